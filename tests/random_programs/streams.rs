//! What is done to streams.

use std::io::IoSlice;
use std::mem;
use std::rc::Rc;

use luvio::{Request, Tcp};

use super::data::{WriteId, received, write_cut};
use super::given::Holder;
use super::perform::{handle, micros};
use super::program::{Code, Mode, To, Use};
use super::requests::use_request;
use super::runs;
use super::support;
use super::world::{
    It, Item, Sock, api, check_gone, event, fail, fail_unless, is_gone, put, script, sock, world,
};

fn new_sock(l: u8) -> Sock {
    let event_loop = handle(l);
    Sock { l, tcp: api(|| Tcp::new(&event_loop)), notes: Rc::default() }
}

pub fn open_pair(a: u8, b: u8, l: u8, small: bool) {
    let (here, there) = support::std_pair();
    for socket in [&here, &there] {
        if small {
            let socket = socket2::SockRef::from(socket);
            let _ = (socket.set_send_buffer_size(1), socket.set_recv_buffer_size(1));
        }
    }
    let ends = [(here, a), (there, b)].map(|(socket, h)| {
        let sock = new_sock(l);
        let opened = api(|| sock.tcp.open(socket));
        (sock, h, opened.is_ok())
    });
    if let [(first, a, true), (second, b, true)] = ends {
        let peer = first.begin_connection(None);
        second.begin_connection(Some(peer));
        put(a, Some(first.item()));
        put(b, Some(second.item()));
    } else {
        fail_unless(is_gone(l), || "a connected socket could not be opened".into());
    }
}

/// Connects `a` to the listener, which has no callback, and turns the loop until it was accepted as `b`.
pub fn accepted_pair(server: u8, a: u8, b: u8) {
    let l = 0;
    if is_gone(l) || world(|world| world.running[0]) {
        return;
    }
    let listener = new_sock(l);
    let Ok(()) = api(|| listener.tcp.listen_only(8)) else { return fail("nobody can listen") };
    let client = new_sock(l);
    let addr = api(|| listener.tcp.local_addr()).expect("a listener has an address");
    let request = api(|| client.tcp.connect(addr));
    client.begin_connection(None);
    for _ in 0..10 {
        if is_gone(l) || client.tcp.is_closing() || listener.tcp.is_closing() {
            return;
        }
        runs::run(l, Mode::NoWait);
        if let Ok(tcp) = api(|| listener.tcp.accept()) {
            let sock = Sock { l, tcp, notes: Rc::default() };
            sock.accepted();
            put(b, Some(sock.item()));
            break;
        }
    }
    drop(request);
    put(a, Some(client.item()));
    put(server, Some(listener.item()));
}

pub fn listen(h: u8, code: Code, only: bool) {
    let Some(sock) = sock(h) else { return };
    let (l, was_gone) = (sock.l, is_gone(sock.l));
    let listening = if only {
        api(|| sock.tcp.listen_only(8))
    } else {
        let holder = Holder::new("a listen callback", l, false, code, Some(&sock.item()));
        let notes = Rc::clone(&sock.notes);
        api(|| {
            sock.tcp.listen(8, move |tcp, incoming| {
                event("a listen callback", l, tcp, &holder);
                fail_unless(incoming.is_ok(), || format!("a listen callback got {incoming:?}"));
                script(code.body, Some(Item { l, it: It::Tcp(tcp.clone(), Rc::clone(&notes)) }));
            })
        })
    };
    check_gone("listen", was_gone, &listening);
}

pub fn accept(h: u8, into: u8) {
    let Some(Sock { l, tcp, .. }) = sock(h) else { return };
    if let Ok(tcp) = api(|| tcp.accept()) {
        let sock = Sock { l, tcp, notes: Rc::default() };
        sock.accepted();
        put(into, Some(sock.item()));
    }
}

/// The request of a connect, if there is somewhere to go.
pub fn start_connect(sock: &Sock, to: To, limit: Option<u32>) -> Option<Request<()>> {
    let addr = match to {
        To::Slot(h) => {
            let listener = super::world::sock(h)?;
            api(|| listener.tcp.local_addr()).ok()?
        }
        To::Refusing => support::refusing_addr(),
        To::Silent => world(|world| world.silent)?,
    };
    let was_gone = is_gone(sock.l);
    let request = api(|| match limit {
        Some(limit) => sock.tcp.connect_timeout(addr, micros(limit)),
        None => sock.tcp.connect(addr),
    });
    if !request.is_finished() {
        fail_unless(!was_gone, || "a connect began on a loop that is gone".into());
        sock.begin_connection(None);
    }
    Some(request)
}

pub fn connect(h: u8, to: To, limit: Option<u32>, then: Use) {
    let Some(sock) = sock(h) else { return };
    if let Some(request) = start_connect(&sock, to, limit) {
        let is_under_way = !request.is_finished();
        let callback = use_request("connect", &sock.item(), request, None, then);
        if is_under_way {
            sock.notes.connect.replace(callback);
        }
    }
}

pub fn read_start(h: u8, code: Code) {
    let Some(sock) = sock(h) else { return };
    let (l, was_gone) = (sock.l, is_gone(sock.l));
    let holder = Holder::new("a read callback", l, false, code, Some(&sock.item()));
    let notes = Rc::clone(&sock.notes);
    let connect = sock.notes.connect.borrow().clone();
    let mut ended = false;
    let started = api(|| {
        sock.tcp.read_start(move |tcp, chunk| {
            event("a read callback", l, tcp, &holder);
            if chunk.is_ok() {
                notes.calls.count(l);
            }
            fail_unless(connect.as_ref().is_none_or(|connect| connect.was_called()), || {
                "a read callback was called before that of the connect (RD-03, RD-26)".into()
            });
            fail_unless(!mem::replace(&mut ended, !matches!(chunk, Ok(Some(_)))), || {
                "a read callback was called after its end".into()
            });
            match chunk {
                Ok(Some(data)) => {
                    fail_unless(!data.is_empty(), || "a read brought nothing (RD-06)".into());
                    received(notes.conn.get(), data);
                }
                Ok(None) => received(notes.conn.get(), &[]),
                Err(_) => {}
            }
            script(code.body, Some(Item { l, it: It::Tcp(tcp.clone(), Rc::clone(&notes)) }));
        })
    });
    check_gone("read_start", was_gone, &started);
}

/// The request of a write.
pub fn start_write(sock: &Sock, len: u32, pieces: u8) -> (Request<()>, Option<WriteId>) {
    let (write, data) = sock.new_write(if pieces == 0 { 0 } else { len as usize });
    let request = if pieces == 1 {
        api(|| sock.tcp.write(&data))
    } else {
        let size = data.len().div_ceil(usize::from(pieces.max(1))).max(1);
        let slices: Vec<_> = data.chunks(size).map(IoSlice::new).collect();
        api(|| sock.tcp.write_vectored(&slices))
    };
    (request, write)
}

pub fn write(h: u8, len: u32, pieces: u8, then: Use) {
    let Some(sock) = sock(h) else { return };
    let (request, write) = start_write(&sock, len, pieces);
    use_request("write", &sock.item(), request, write, then);
}

pub fn try_write(h: u8, len: u32) {
    let Some(sock) = sock(h) else { return };
    let was_gone = is_gone(sock.l);
    let (write, data) = sock.new_write(len as usize);
    let written = api(|| sock.tcp.try_write(&data));
    check_gone("try_write", was_gone, &written);
    write_cut(write, written.unwrap_or(0));
}

pub fn stream_request(what: &'static str, h: u8, then: Use, ask: fn(&Tcp) -> Request<()>) {
    if let Some(sock) = sock(h) {
        let request = api(|| ask(&sock.tcp));
        use_request(what, &sock.item(), request, None, then);
    }
}

pub fn shrink(h: u8) {
    if let Some(sock) = sock(h) {
        let shrunk = sock.tcp.with_fd(|fd| {
            let socket = socket2::SockRef::from(&fd);
            socket.set_send_buffer_size(1).and(socket.set_recv_buffer_size(1))
        });
        let _ = shrunk;
    }
}
