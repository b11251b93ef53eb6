//! Every kind of callback, each brought about in the same way.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(feature = "udp")]
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
#[cfg(feature = "udp")]
use std::os::{fd::OwnedFd, unix::net::UnixDatagram};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Check, Handle, Idle, Interest, Loop, Notifier, Poll, Prepare, Tcp, Timer};

use crate::support::{bound_socket, connected_pair, fill};

const ZERO: Duration = Duration::ZERO;

/// What is to be called.
pub type Callback = Box<dyn FnMut()>;

/// A callback that is going to be called.
pub struct Armed {
    /// The handle that calls it, if it is a handle's.
    pub handle: Option<Box<dyn Handle>>,
    /// Brings about a call of what calls again and again.
    pub again: Option<Box<dyn Fn()>>,
    /// Stops the handle.
    pub stop: Option<Box<dyn Fn()>>,
    /// Puts another callback in the place of this one.
    pub restart: Option<Box<dyn Fn(Callback)>>,
    /// To be called before each turn: does what the other end has to do.
    pub help: Box<dyn Fn()>,
    _kept: Box<dyn Any>,
}

impl Armed {
    fn once(handle: Option<Box<dyn Handle>>, kept: impl Any) -> Armed {
        Armed {
            handle,
            again: None,
            stop: None,
            restart: None,
            help: Box::new(|| {}),
            _kept: Box::new(kept),
        }
    }
}

/// Makes a callback ready to be called.
pub type Arm = fn(&Loop, Callback) -> Armed;

/// Every kind of callback that there is.
pub fn every_kind() -> Vec<(&'static str, Arm)> {
    vec![
        ("timer", timer),
        ("idle", idle),
        ("prepare", prepare),
        ("check", check),
        ("notifier", notifier),
        #[cfg(feature = "signal")]
        ("signal", signal),
        ("poll", poll),
        ("listen", listen),
        ("read", read),
        ("connect", connect),
        ("write", write),
        ("queued write", queued_write),
        ("shutdown", shutdown),
        ("drained", drained),
        #[cfg(feature = "udp")]
        ("datagram", datagram),
        #[cfg(feature = "udp")]
        ("send", send),
        #[cfg(feature = "udp")]
        ("queued send", queued_send),
        ("close", close),
        ("defer", defer),
        ("post", post),
    ]
}

fn timer(event_loop: &Loop, mut cb: Callback) -> Armed {
    let timer = Timer::new(event_loop);
    let repeat = Duration::from_nanos(1);
    timer.start(ZERO, repeat, move |_| cb()).expect("a new timer can be started");
    let (stopped, restarted) = (timer.clone(), timer.clone());
    Armed {
        again: Some(Box::new(|| {})),
        stop: Some(Box::new(move || stopped.stop())),
        restart: Some(Box::new(move |mut cb| {
            restarted.start(ZERO, ZERO, move |_| cb()).expect("it can be started again");
        })),
        ..Armed::once(Some(Box::new(timer)), ())
    }
}

macro_rules! hook {
    ($name:ident, $hook:ident) => {
        fn $name(event_loop: &Loop, mut cb: Callback) -> Armed {
            let hook = $hook::new(event_loop);
            hook.start(move |_| cb()).expect("a new handle can be started");
            let (stopped, restarted) = (hook.clone(), hook.clone());
            Armed {
                again: Some(Box::new(|| {})),
                stop: Some(Box::new(move || stopped.stop())),
                restart: Some(Box::new(move |mut cb| {
                    restarted.stop();
                    let started = restarted.start(move |_| cb());
                    assert!(started.is_ok() || restarted.is_closing(), "it can be started again");
                })),
                ..Armed::once(Some(Box::new(hook)), ())
            }
        }
    };
}

hook!(idle, Idle);
hook!(prepare, Prepare);
hook!(check, Check);

fn notifier(event_loop: &Loop, mut cb: Callback) -> Armed {
    let notifier = Notifier::new(event_loop, move |_| cb()).expect("a notifier can be made");
    let sender = notifier.sender();
    sender.send().expect("it is open");
    Armed {
        again: Some(Box::new(move || sender.send().expect("it is open"))),
        ..Armed::once(Some(Box::new(notifier)), ())
    }
}

#[cfg(feature = "signal")]
fn signal(event_loop: &Loop, mut cb: Callback) -> Armed {
    use std::sync::{Mutex, PoisonError};

    /// Signals reach every handle of the process: one test at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    const WINCH: i32 = luvio::Signal::WINCH; // ignored by default, so no other test minds it

    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let signal = luvio::Signal::new(event_loop);
    signal.start(WINCH, move |_, _| cb()).expect("the signal can be heard");
    let raise = || signal_hook::low_level::raise(WINCH).expect("it can be raised");
    raise();
    let (stopped, restarted) = (signal.clone(), signal.clone());
    Armed {
        again: Some(Box::new(raise)),
        stop: Some(Box::new(move || stopped.stop())),
        restart: Some(Box::new(move |mut cb| {
            restarted.start(WINCH, move |_, _| cb()).expect("it can be started again");
        })),
        ..Armed::once(Some(Box::new(signal)), alone)
    }
}

fn poll(event_loop: &Loop, cb: Callback) -> Armed {
    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let poll = Poll::new(event_loop, here.try_clone().expect("it can be duplicated"));
    let poll = poll.expect("a socket can be polled");
    let start = move |poll: &Poll, mut cb: Callback| {
        let here = here.try_clone().expect("it can be duplicated");
        let started = poll.start(Interest::READABLE, move |_, ready| {
            assert!(ready.expect("it is watched").is_readable());
            (&here).read_exact(&mut [0]).expect("a byte is there");
            cb();
        });
        started.expect("an open handle can be started");
    };
    start(&poll, cb);
    let send = move || (&there).write_all(b"x").expect("the socket has room");
    send();
    let (stopped, restarted) = (poll.clone(), poll.clone());
    Armed {
        again: Some(Box::new(send)),
        stop: Some(Box::new(move || stopped.stop())),
        restart: Some(Box::new(move |cb| start(&restarted, cb))),
        ..Armed::once(Some(Box::new(poll)), ())
    }
}

fn listen(event_loop: &Loop, mut cb: Callback) -> Armed {
    let server = Tcp::new(event_loop);
    server.bind("127.0.0.1:0").expect("loopback has a free port");
    let listening = server.listen(8, move |server, incoming| {
        incoming.and_then(|()| server.accept()).expect("a connection waits");
        cb();
    });
    listening.expect("a bound socket can listen");
    let addr = server.local_addr().expect("a listener has an address");
    let clients = Rc::new(RefCell::new(Vec::new()));
    let connected = Rc::clone(&clients);
    let connect = move || {
        connected.borrow_mut().push(TcpStream::connect(addr).expect("the listener is there"));
    };
    connect();
    Armed { again: Some(Box::new(connect)), ..Armed::once(Some(Box::new(server)), clients) }
}

fn read(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    let on_read = move |data: Option<&[u8]>| {
        assert_eq!(data, Some(&b"x"[..]));
        cb();
    };
    start_reading(&tcp, on_read);
    let send = move || (&peer).write_all(b"x").expect("the socket has room");
    send();
    let (stopped, restarted) = (tcp.clone(), tcp.clone());
    Armed {
        again: Some(Box::new(send)),
        stop: Some(Box::new(move || stopped.read_stop())),
        restart: Some(Box::new(move |mut cb| {
            restarted.read_stop();
            // Unless a destructor of what was dropped has closed it, or has started it again.
            if !restarted.is_closing() && !restarted.is_active() {
                start_reading(&restarted, move |_| cb());
            }
        })),
        ..Armed::once(Some(Box::new(tcp)), ())
    }
}

fn start_reading(tcp: &Tcp, mut cb: impl FnMut(Option<&[u8]>) + 'static) {
    let started = tcp.read_start(move |_, chunk| cb(chunk.expect("it reads")));
    started.expect("a connection can be read");
}

fn connect(event_loop: &Loop, mut cb: Callback) -> Armed {
    let listener = bound_socket(([127, 0, 0, 1], 0).into());
    listener.listen(1).expect("a bound socket can listen");
    let addr = listener.local_addr().expect("it has an address");
    let tcp = Tcp::new(event_loop);
    tcp.connect(addr.as_socket().expect("an IP address")).then(move |connected| {
        succeeds(connected);
        cb();
    });
    Armed::once(Some(Box::new(tcp)), listener)
}

fn write(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    tcp.write("x").then(move |written| {
        written.expect("the socket has room");
        cb();
    });
    Armed::once(Some(Box::new(tcp)), peer)
}

fn queued_write(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    fill(&tcp);
    tcp.write("x").then(move |written| {
        succeeds(written);
        cb();
    });
    Armed { help: read_all(peer), ..Armed::once(Some(Box::new(tcp)), ()) }
}

fn shutdown(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    tcp.shutdown().then(move |end| {
        end.expect("nothing is in its way");
        cb();
    });
    Armed::once(Some(Box::new(tcp)), peer)
}

fn drained(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    tcp.set_high_water(0);
    fill(&tcp);
    tcp.drained().then(move |end| {
        succeeds(end);
        cb();
    });
    Armed { help: read_all(peer), ..Armed::once(Some(Box::new(tcp)), ()) }
}

/// A request succeeds, unless its handle was closed before.
fn succeeds(result: io::Result<()>) {
    let is_canceled = matches!(&result, Err(err) if luvio::is_canceled(err));
    assert!(result.is_ok() || is_canceled, "{result:?}");
}

/// Takes what has arrived.
fn read_all(peer: TcpStream) -> Box<dyn Fn()> {
    peer.set_nonblocking(true).expect("it can be set");
    Box::new(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            match (&peer).read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(err) if err.kind() == ErrorKind::WouldBlock => return,
                Err(err) => panic!("{err}"),
            }
        }
    })
}

#[cfg(feature = "udp")]
fn datagram(event_loop: &Loop, mut cb: Callback) -> Armed {
    let udp = luvio::Udp::new(event_loop);
    udp.bind("127.0.0.1:0").expect("loopback has a free port");
    udp.recv_start(move |_, datagram| {
        assert_eq!(datagram.expect("it receives").data, b"x");
        cb();
    })
    .expect("it is bound");
    let addr = udp.local_addr().expect("it is bound");
    let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let send = move || _ = peer.send_to(b"x", addr).expect("loopback has room");
    send();
    let (stopped, restarted) = (udp.clone(), udp.clone());
    Armed {
        again: Some(Box::new(send)),
        stop: Some(Box::new(move || stopped.recv_stop())),
        restart: Some(Box::new(move |mut cb| {
            restarted.recv_stop();
            // The callback that this drops may have closed the handle.
            let _ = restarted.recv_start(move |_, _| cb());
        })),
        ..Armed::once(Some(Box::new(udp)), ())
    }
}

#[cfg(feature = "udp")]
fn send(event_loop: &Loop, mut cb: Callback) -> Armed {
    let udp = luvio::Udp::new(event_loop);
    udp.send_to("x", "127.0.0.1:9").then(move |sent| {
        sent.expect("the kernel takes it");
        cb();
    });
    Armed::once(Some(Box::new(udp)), ())
}

#[cfg(feature = "udp")]
fn queued_send(event_loop: &Loop, mut cb: Callback) -> Armed {
    // A Unix socket in the clothes of a UDP one, since on the loopback those always find room.
    let (here, there) = UnixDatagram::pair().expect("a pair can be made");
    there.set_nonblocking(true).expect("it can be set");
    let udp = luvio::Udp::new(event_loop);
    udp.open(UdpSocket::from(OwnedFd::from(here))).expect("a connected socket can be adopted");
    while udp.send("fill").is_finished() {}
    udp.send("x").then(move |sent| {
        succeeds(sent);
        cb();
    });
    let help = move || while there.recv(&mut [0; 9]).is_ok() {};
    Armed { help: Box::new(help), ..Armed::once(Some(Box::new(udp)), ()) }
}

fn close(event_loop: &Loop, mut cb: Callback) -> Armed {
    let (tcp, peer) = connected_pair(event_loop);
    tcp.close().then(move |_| cb());
    Armed::once(Some(Box::new(tcp)), peer)
}

fn defer(event_loop: &Loop, mut cb: Callback) -> Armed {
    event_loop.defer(move |_| cb());
    Armed::once(None, ())
}

fn post(event_loop: &Loop, cb: Callback) -> Armed {
    thread_local! {
        /// What a closure that crosses threads could not carry.
        static POSTED: RefCell<Vec<Option<Callback>>> = RefCell::default();
    }
    let at = POSTED.with_borrow_mut(|posted| {
        posted.push(Some(cb));
        posted.len() - 1
    });
    let posted = event_loop.remote().post(move |_| {
        let cb = POSTED.with_borrow_mut(|posted| posted[at].take());
        cb.expect("it is posted once")();
    });
    posted.expect("the loop is there");
    Armed::once(None, ())
}
