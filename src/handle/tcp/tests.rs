//! What no system can be made to do on demand: registrations that fail, and errors of accept.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::{Loop, Misuse, RunMode};

thread_local! {
    /// What the next accepts fail with, by code.
    static FAULTS: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
}

/// What an accept is to fail with in this test.
pub(super) fn next_fault() -> Option<io::Error> {
    FAULTS.with_borrow_mut(VecDeque::pop_front).map(io::Error::from_raw_os_error)
}

fn have_accept_fail(codes: impl IntoIterator<Item = i32>) {
    FAULTS.with_borrow_mut(|faults| faults.extend(codes));
}

fn faults_left() -> usize {
    FAULTS.with_borrow(VecDeque::len)
}

/// A bound handle, on a loop without waiting times, and a client that waits there once it listens.
fn server() -> (Loop, Tcp, impl Fn() -> TcpStream) {
    let event_loop = Loop::builder().virtual_clock().build().unwrap();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    (event_loop, server, move || TcpStream::connect(addr).unwrap())
}

/// LA-20: what accept says of one connection ends neither the wait of a task nor a call of accept.
#[test]
fn an_error_of_one_connection_is_skipped() {
    let (event_loop, server, connect) = server();
    server.listen_only(128).unwrap();
    for code in [
        libc::ECONNABORTED,
        libc::ECONNRESET,
        libc::ECONNREFUSED,
        libc::EPERM,
        libc::EACCES,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EOPNOTSUPP,
        libc::EPROTONOSUPPORT,
        libc::ETIMEDOUT,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::EIO,
    ] {
        let clients = [connect(), connect()];
        have_accept_fail([code, code]);
        let (_, first) = server.accept_with_addr().unwrap();
        have_accept_fail([code, libc::EINTR]);
        let (_, next) = event_loop.block_on(server.accept_next_with_addr()).unwrap().unwrap();
        assert_eq!([first, next], clients.map(|client| client.local_addr().unwrap()));
        assert_eq!(faults_left(), 0);
    }
    #[cfg(target_os = "linux")]
    {
        let _client = connect();
        have_accept_fail([libc::ENONET]);
        event_loop.block_on(server.accept_next()).unwrap().unwrap();
    }
}

/// LA-20: an error of the listener itself is what a task gets.
#[test]
fn an_error_of_the_listener_ends_the_wait() {
    let (event_loop, server, connect) = server();
    server.listen_only(128).unwrap();
    let _client = connect();
    for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EFAULT] {
        have_accept_fail([code]);
        let err = event_loop.block_on(server.accept_next()).unwrap().unwrap_err();
        assert_eq!(err.raw_os_error(), Some(code));
        have_accept_fail([code]);
        assert_eq!(server.accept().unwrap_err().raw_os_error(), Some(code));
    }
}

/// LA-20: if accept says the same for ever, as a firewall may have it do, a task waits and the loop does not spin; when that
/// is over, the client that has waited is served.
#[test]
fn a_task_does_not_spin_on_errors_of_connections() {
    let (event_loop, server, connect) = server();
    server.listen_only(128).unwrap();
    let client = connect();
    have_accept_fail([libc::EPERM; 1_000]);
    let addr = client.local_addr().unwrap();
    let task = event_loop.spawn(async move { server.accept_next_with_addr().await });
    for _ in 0..3 {
        event_loop.run_mode(RunMode::NoWait).unwrap();
    }
    assert_eq!(1_000 - faults_left(), 64, "as many attempts as accepts a turn");
    assert!(event_loop.backend_timeout().is_some_and(|rest| rest > Duration::ZERO));
    let (_, accepted) = event_loop.block_on(task).unwrap().unwrap().unwrap();
    assert_eq!(accepted, addr);
    assert_eq!(faults_left(), 0);
}

/// LA-20: a listen callback hears of it, once a burst.
#[test]
fn a_listen_callback_hears_once_of_errors_without_end() {
    let (event_loop, server, connect) = server();
    let (errors, accepted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counters = (Rc::clone(&errors), Rc::clone(&accepted));
    server
        .listen(128, move |server, incoming| match incoming {
            Ok(()) => {
                counters.1.set(counters.1.get() + 1);
                server.accept().unwrap();
            }
            Err(err) => {
                assert_eq!(err.raw_os_error(), Some(libc::EPERM));
                counters.0.set(counters.0.get() + 1);
            }
        })
        .unwrap();
    have_accept_fail([libc::EPERM; 10]);
    let _clients = [connect(), connect()];
    event_loop.run_mode(RunMode::Once).unwrap();
    assert_eq!((errors.get(), accepted.get()), (0, 2), "a few are skipped");

    have_accept_fail([libc::EPERM; 1_000]);
    let _client = connect();
    event_loop.run_mode(RunMode::Once).unwrap();
    assert_eq!((errors.get(), 1_000 - faults_left()), (1, 64));
    while accepted.get() < 3 {
        event_loop.run_mode(RunMode::Once).unwrap();
    }
    assert_eq!(errors.get(), 1);
    server.close();
    event_loop.run().unwrap();
}

/// Does something with the first record of this thread that has a certain text.
struct Logger;

type Deed = Box<dyn FnOnce()>;

thread_local! {
    static IN_LOGGER: RefCell<Option<(&'static str, Deed)>> = const { RefCell::new(None) };
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        let deed = IN_LOGGER.with_borrow_mut(|deed| deed.take_if(|(part, _)| text.contains(*part)));
        if let Some((_, deed)) = deed {
            deed();
        }
    }

    fn flush(&self) {}
}

/// L-40, Z-05: whatever accept has the logger told, it may close the listener: the task that waits hears of it.
#[test]
fn a_logger_may_close_the_listener_of_a_task() {
    log::set_logger(&Logger).expect("there is no other logger");
    log::set_max_level(log::LevelFilter::Debug);
    for (part, code, count) in [
        ("skips a connection", libc::EPERM, 1),
        ("rests, since", libc::EPERM, 64),
        ("turns clients away", libc::EMFILE, 1),
    ] {
        let (event_loop, server, connect) = server();
        server.listen_only(128).unwrap();
        let _client = connect();
        have_accept_fail(vec![code; count]);
        let closed = server.clone();
        IN_LOGGER.set(Some((part, Box::new(move || drop(closed.close())))));
        let mut wait = server.accept_next();
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut wait).poll(&mut context) {
            Poll::Ready(Err(err)) => assert!(crate::is_canceled(&err), "{part}: {err}"),
            other => panic!("{part}: {other:?}"),
        }
        drop(wait);
        event_loop.run().unwrap();
        assert!(IN_LOGGER.take().is_none() && faults_left() == 0, "{part}");
    }
}

/// LA-01, TC-03: a bound handle that the poll does not take keeps its address.
#[test]
fn a_handle_that_cannot_listen_keeps_its_address() {
    let event_loop = Loop::new().unwrap();
    let tcp = Tcp::new(&event_loop);
    tcp.bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap();
    event_loop.inner().poller.close();
    tcp.listen_only(1).unwrap_err();
    assert_eq!(tcp.local_addr().unwrap(), addr);
}

/// TC-23: a socket that the poll does not take comes back.
#[test]
fn a_socket_that_cannot_be_registered_comes_back() {
    let event_loop = Loop::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let tcp = Tcp::new(&event_loop);
    event_loop.inner().poller.close();
    let refused = tcp.open(socket).unwrap_err();
    assert_eq!(refused.value.local_addr().unwrap(), addr);
    assert_eq!(Misuse::of(&refused.error), Some(Misuse::LoopGone));
    assert!(!tcp.has_socket());
}

/// TC-29: a handle whose socket the poll does not let go keeps it.
#[test]
fn a_socket_that_cannot_be_deregistered_stays() {
    let event_loop = Loop::new().unwrap();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").unwrap();
    server.listen_only(1).unwrap();
    let client = Tcp::new(&event_loop);
    event_loop.block_on(client.connect(server.local_addr().unwrap())).unwrap().unwrap();
    event_loop.inner().poller.close();
    let client = client.into_std().unwrap_err().value;
    let server = server.into_std_listener().unwrap_err().value;
    assert!(client.is_writable() && client.peer_addr().is_ok() && server.local_addr().is_ok());
}

/// What a listener knows of its connections costs them nothing: it lies where the compiler would leave a gap.
#[cfg(all(target_pointer_width = "64", not(debug_assertions)))]
#[test]
fn a_connection_is_small() {
    // mio's sockets are larger in debug builds.
    assert_eq!((size_of::<StreamSocket<Tcp>>(), size_of::<crate::handle::Core>()), (136, 40));
}
