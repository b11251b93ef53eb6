//! The engine with a socket that does what a script says.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::event_loop::{Object, RequestId};
use crate::handle::{Handle, Kind, OUT_OF_BUFFERS_PAUSE};
use crate::{Loop, RunMode};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// What the kernel says to one send.
type Answer = Result<(), i32>;

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    sent: Vec<Vec<u8>>,
    incoming: VecDeque<Vec<u8>>,
    asked_for_room: Vec<bool>,
}

#[derive(Clone, Default)]
struct FakeSocket(Rc<RefCell<Script>>);

impl mio::event::Source for FakeSocket {
    fn register(
        &mut self,
        _: &mio::Registry,
        _: mio::Token,
        interests: mio::Interest,
    ) -> io::Result<()> {
        assert!(!interests.is_writable());
        Ok(())
    }

    fn reregister(
        &mut self,
        _: &mio::Registry,
        _: mio::Token,
        interests: mio::Interest,
    ) -> io::Result<()> {
        self.0.borrow_mut().asked_for_room.push(interests.is_writable());
        Ok(())
    }

    fn deregister(&mut self, _: &mio::Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for FakeSocket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let data = self.0.borrow_mut().incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..data.len()].copy_from_slice(&data);
        Ok(Received {
            length: data.len(),
            from: PEER,
            #[cfg(feature = "udp-offload")]
            segment_size: data.len(),
        })
    }

    fn send(&self, data: &[u8], to: Option<&SocketAddr>) -> io::Result<()> {
        assert_eq!(to, Some(&PEER));
        let mut script = self.0.borrow_mut();
        match script.answers.pop_front() {
            Some(Err(code)) => return Err(io::Error::from_raw_os_error(code)),
            Some(Ok(())) | None => script.sent.push(data.to_vec()),
        }
        Ok(())
    }

    fn send_many(&self, _: &[(&[u8], SocketAddr)]) -> io::Result<usize> {
        unreachable!("the engine only passes it on")
    }
}

#[derive(Clone)]
struct Fake(Rc<FakeInner>);

struct FakeInner {
    datagrams: Datagrams<Fake>,
    socket: FakeSocket,
}

impl DatagramHandle for Fake {
    type Transport = FakeSocket;
}

impl Object for FakeInner {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        let fake = Fake(self);
        fake.0.datagrams.ready(&fake, readiness);
    }

    fn resume(self: Rc<Self>) {
        let fake = Fake(self);
        fake.0.datagrams.resume(&fake);
    }

    fn core(&self) -> &Core {
        &self.datagrams.core
    }

    fn release(&self) {
        self.datagrams.release();
    }

    fn call_next_request(&self) -> bool {
        self.datagrams.call_next_request()
    }

    fn discard_requests(&self) {
        self.datagrams.discard_requests();
    }

    fn drop_callbacks(&self) {
        self.datagrams.drop_callbacks();
    }

    fn cancel(&self, request: RequestId) -> bool {
        self.datagrams.cancel(request)
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.datagrams.report(reasons);
    }

    fn show(self: Rc<Self>, _visit: &mut dyn FnMut(&dyn Handle)) {}
}

impl Fake {
    fn new(event_loop: &Loop) -> Fake {
        let core = Core::new(event_loop, Kind::Udp);
        let socket = FakeSocket::default();
        let fake = Rc::new(FakeInner { datagrams: Datagrams::new(core), socket: socket.clone() });
        fake.core().enroll(&(Rc::clone(&fake) as Rc<dyn Object>));
        fake.datagrams.adopt(socket, false).unwrap();
        Fake(fake)
    }

    fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.socket.0.borrow_mut().answers.extend(answers);
    }

    fn send(&self, data: &str) -> crate::Request<()> {
        self.0.datagrams.send(std::panic::Location::caller(), data.as_bytes(), Some(&PEER))
    }

    fn sent(&self) -> String {
        let script = self.0.socket.0.borrow();
        script.sent.iter().map(|data| String::from_utf8_lossy(data).into_owned()).collect()
    }

    fn arrive(&self, count: usize) {
        self.0.socket.0.borrow_mut().incoming.extend((0..count).map(|_| b"x".to_vec()));
    }

    fn become_readable(&self) {
        self.0.datagrams.flags.set(is::READABLE);
        Rc::clone(&self.0).ready(Readiness::WRITABLE_ONLY);
    }
}

fn turn(event_loop: &Loop) {
    event_loop.run_mode(RunMode::NoWait).unwrap();
}

#[test]
fn what_finds_no_room_leaves_in_order_when_the_poll_tells_of_room() {
    let event_loop = Loop::new().unwrap();
    let fake = Fake::new(&event_loop);
    fake.script([Ok(()), Err(libc::EAGAIN)]);
    let first = fake.send("1");
    let rest = [fake.send("2"), fake.send("3"), fake.send("4")];
    assert!(first.is_finished() && rest.iter().all(|request| !request.is_finished()));
    assert_eq!((fake.0.datagrams.send_queue_count(), fake.sent()), (3, "1".to_string()));

    fake.script([Ok(()), Err(libc::EAGAIN)]);
    Rc::clone(&fake.0).ready(Readiness::WRITABLE_ONLY);
    assert_eq!((rest[0].is_finished(), fake.sent()), (true, "12".to_string()));
    Rc::clone(&fake.0).ready(Readiness::WRITABLE_ONLY);
    assert!(rest.iter().all(|request| request.is_finished()));
    assert_eq!((fake.0.datagrams.send_queue_count(), fake.sent()), (0, "1234".to_string()));
    assert_eq!(fake.0.socket.0.borrow().asked_for_room, [true, false]);
}

/// D-16: one failing datagram does not stop those behind it.
#[test]
fn a_datagram_that_fails_in_the_queue_does_not_stop_the_others() {
    let event_loop = Loop::new().unwrap();
    let fake = Fake::new(&event_loop);
    fake.script([Err(libc::EAGAIN), Ok(()), Err(libc::ENETUNREACH), Ok(())]);
    let requests = ["1", "2", "3"].map(|data| fake.send(data));
    Rc::clone(&fake.0).ready(Readiness::WRITABLE_ONLY);
    assert!(requests.iter().all(|request| request.is_finished()));
    assert_eq!(fake.sent(), "13");
    let codes = requests.map(|request| {
        event_loop.block_on(request).unwrap().err().and_then(|err| err.raw_os_error())
    });
    assert_eq!(codes, [None, Some(libc::ENETUNREACH), None]);
}

#[test]
fn a_kernel_without_buffers_is_tried_again_after_a_pause() {
    let event_loop = Loop::builder().virtual_clock().build().unwrap();
    let fake = Fake::new(&event_loop);
    let begin = event_loop.now();
    fake.script([Err(libc::ENOBUFS), Err(libc::ENOBUFS), Err(libc::ENOBUFS), Ok(())]);
    fake.send("patient");
    event_loop.run().unwrap();
    assert_eq!(fake.sent(), "patient");
    assert_eq!(event_loop.now() - begin, 3 * Duration::from_nanos(OUT_OF_BUFFERS_PAUSE));
}

/// L-40: a panic of the callback does not lose what waits behind the datagram.
#[test]
fn receiving_goes_on_after_a_panic() {
    let event_loop = Loop::new().unwrap();
    let fake = Fake::new(&event_loop);
    let received = Rc::new(Cell::new(0));
    let count = Rc::clone(&received);
    fake.0.datagrams.recv_start(Box::new(move |_, _| {
        count.set(count.get() + 1);
        assert_ne!(count.get(), 2, "on purpose");
    }));
    fake.arrive(5);
    assert!(catch_unwind(AssertUnwindSafe(|| fake.become_readable())).is_err());
    assert_eq!(received.get(), 2);
    turn(&event_loop);
    assert_eq!(received.get(), 5);
}

/// L-40: the waker of a send panics. The task that waits for a datagram, which came with the same event, is woken all the
/// same.
#[test]
fn a_waker_of_a_send_may_panic_beside_a_task_that_receives() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let event_loop = Loop::new().unwrap();
    let fake = Fake::new(&event_loop);
    fake.script([Err(libc::EAGAIN)]);
    let mut send = fake.send("1");
    let bomb = Waker::from(Arc::new(Bomb));
    assert!(Pin::new(&mut send).poll(&mut Context::from_waker(&bomb)).is_pending());
    let woken = Arc::<Woken>::default();
    let receiver = Waker::from(Arc::clone(&woken));
    let mut waits = false;
    let mut context = Context::from_waker(&receiver);
    let datagrams = &fake.0.datagrams;
    assert!(datagrams.poll_receive(&mut waits, &mut context, |_| ()).is_pending());
    fake.arrive(1);
    assert!(catch_unwind(AssertUnwindSafe(|| fake.become_readable())).is_err());
    turn(&event_loop);
    assert!(woken.0.load(Ordering::Relaxed));
    assert!(datagrams.poll_receive(&mut waits, &mut context, |_| ()).is_ready());
}

#[test]
fn an_idle_handle_is_small() {
    assert!(size_of::<Datagrams<Fake>>() <= 152, "{}", size_of::<Datagrams<Fake>>());
}
