//! The engine on a socket that does what the test says: what no kernel can be made to do on demand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::panic::Location;
use std::rc::{Rc, Weak};
#[cfg(feature = "futures")]
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::write_queue::SLICES_PER_SEND;
use super::writing::MAX_SLICES;
use super::*;
use crate::event_loop::{AliveReason, Object, Readiness, RequestId};
use crate::handle::{Core, Kind, OUT_OF_BUFFERS_PAUSE};
use crate::request::Request;
use crate::{Builder, Canceler, Loop, RunMode};

/// The other side of a socket: how much it takes, and what it got.
#[derive(Default)]
struct Kernel {
    /// What the next calls do, one each: take at most so many bytes, or fail with this code.
    script: RefCell<VecDeque<Result<usize, i32>>>,
    /// Without a script, so many bytes are taken, and no more.
    room: Cell<usize>,
    /// Only counted if the test is about very much.
    counts_only: Cell<bool>,
    taken: Cell<usize>,
    received: RefCell<Vec<u8>>,
    /// What is there to be read, one piece a read.
    pieces: RefCell<VecDeque<&'static [u8]>>,
    /// Which way bytes can go, if not both.
    one_way: Cell<Option<Direction>>,
    /// A short read leaves something behind.
    piecemeal: Cell<bool>,
    shut_down: Cell<bool>,
}

impl Kernel {
    fn take(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let next = self.script.borrow_mut().pop_front();
        let taken = match next {
            Some(Ok(most)) => length.min(most),
            Some(Err(code)) => return Err(io::Error::from_raw_os_error(code)),
            None if length > 0 && self.room.get() == 0 => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            None => {
                let taken = length.min(self.room.get());
                self.room.set(self.room.get() - taken);
                taken
            }
        };
        self.taken.set(self.taken.get() + taken);
        if !self.counts_only.get() {
            let bytes = slices.iter().flat_map(|slice| slice.iter());
            self.received.borrow_mut().extend(bytes.take(taken));
        }
        Ok(taken)
    }
}

struct FakeSocket(Rc<Kernel>);

impl mio::event::Source for FakeSocket {
    fn register(&mut self, _: &mio::Registry, _: mio::Token, _: mio::Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &mio::Registry, _: mio::Token, _: mio::Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &mio::Registry) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for FakeSocket {
    type Along = Infallible;

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pieces.borrow_mut().pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.0.take(&[IoSlice::new(data)])
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(slices.len() <= MAX_SLICES);
        self.0.take(slices)
    }

    fn shut_down(&self) -> io::Result<()> {
        self.0.shut_down.set(true);
        Ok(())
    }

    fn connected(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn direction(&self) -> Direction {
        self.0.one_way.get().unwrap_or(Direction::Both)
    }

    fn short_read_drains(&self) -> bool {
        !self.0.piecemeal.get()
    }
}

#[derive(Clone)]
struct Fake(Rc<FakeInner>);

struct FakeInner {
    stream: Stream<Fake>,
    kernel: Rc<Kernel>,
    itself: Weak<FakeInner>,
}

impl StreamHandle for Fake {
    type Transport = FakeSocket;

    fn stream(&self) -> &Stream<Fake> {
        &self.0.stream
    }
}

impl Object for FakeInner {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        let fake = Fake(self);
        match fake.stream().note(readiness) {
            ToDo::Read => fake.stream().read_pass(&fake),
            ToDo::Wake => fake.stream().wake_reader_now(),
            ToDo::LookAround => fake.stream().look_around(&fake),
        }
    }

    fn resume(self: Rc<Self>) {
        let fake = Fake(self);
        fake.stream().resume(&fake);
    }

    fn core(&self) -> &Core {
        &self.stream.core
    }

    fn release(&self) {
        self.stream.release();
    }

    fn call_next_request(&self) -> bool {
        self.stream.call_next_request()
    }

    fn drop_callbacks(&self) {}

    fn cancel(&self, request: RequestId) -> bool {
        self.stream.cancel(request)
    }

    fn report(&self, _: &mut Vec<AliveReason>) {}

    fn show(self: Rc<Self>, _: &mut dyn FnMut(&dyn crate::Handle)) {}
}

impl Fake {
    /// A connected stream on a kernel without room.
    fn new(event_loop: &Loop) -> Fake {
        Fake::on(event_loop, Kernel::default())
    }

    fn on(event_loop: &Loop, kernel: Kernel) -> Fake {
        let kernel = Rc::new(kernel);
        let fake = Rc::new_cyclic(|itself| FakeInner {
            stream: Stream::new(Core::new(event_loop, Kind::Tcp)),
            kernel: Rc::clone(&kernel),
            itself: Weak::clone(itself),
        });
        fake.stream.core.enroll(&(Rc::clone(&fake) as Rc<dyn Object>));
        fake.stream.adopt(FakeSocket(kernel), false).unwrap();
        Fake(fake)
    }

    /// The kernel has room for so much more, and the poll says so.
    fn make_room(&self, bytes: usize) {
        self.0.kernel.room.set(self.0.kernel.room.get() + bytes);
        self.poll_says_writable();
    }

    fn poll_says_writable(&self) {
        let fake = self.0.itself.upgrade().expect("it is in use");
        fake.ready(Readiness::WRITABLE_ONLY);
    }

    fn poll_says_readable(&self) {
        let fake = self.0.itself.upgrade().expect("it is in use");
        fake.ready(Readiness::READABLE_ONLY);
    }

    fn script(&self, steps: impl IntoIterator<Item = Result<usize, i32>>) {
        self.0.kernel.script.borrow_mut().extend(steps);
    }

    fn write(&self, data: impl AsRef<[u8]>) -> Request<()> {
        self.stream().write(Location::caller(), data.as_ref())
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> Request<()> {
        self.stream().write_vectored(self.stream().core.origin(), slices)
    }

    fn queued(&self) -> usize {
        self.stream().write_queue_size()
    }

    fn received(&self) -> Vec<u8> {
        self.0.kernel.received.borrow().clone()
    }
}

fn with_loop(builder: Builder, test: impl FnOnce(&Loop)) {
    let event_loop = builder.build().unwrap();
    test(&event_loop);
    event_loop.run().unwrap();
}

/// Counts the calls of callbacks that get `Ok`.
fn successes() -> (Rc<Cell<usize>>, impl Fn(Request<()>)) {
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    let note = move |request: Request<()>| {
        let counter = Rc::clone(&counter);
        request.then(move |result| {
            result.unwrap();
            counter.set(counter.get() + 1);
        });
    };
    (count, note)
}

/// U-11: a stream that can only be read refuses writes as one that was shut down, and one that can only be written refuses
/// reads as one without a connection.
#[test]
fn a_one_way_stream_refuses_the_other_way() {
    with_loop(Loop::builder(), |event_loop| {
        let one_way = |direction| {
            let kernel = Kernel { one_way: Cell::new(Some(direction)), ..Kernel::default() };
            kernel.room.set(100);
            Fake::on(event_loop, kernel)
        };
        let misuse = |result: io::Result<()>| Misuse::of(&result.unwrap_err());

        let source = one_way(Direction::ReadOnly);
        assert!(source.stream().is_readable() && !source.stream().is_writable());
        let journal = Rc::new(RefCell::new(Vec::new()));
        for request in [source.write("x"), source.write_vectored(&[IoSlice::new(b"x")])] {
            let noted = Rc::clone(&journal);
            request.then(move |result| noted.borrow_mut().push(misuse(result)));
        }
        let tried = source.stream().try_write(b"x").map(drop);
        assert_eq!(misuse(tried), Some(Misuse::ShutDown));
        event_loop.run_mode(RunMode::NoWait).unwrap();
        assert_eq!(*journal.borrow(), [Some(Misuse::ShutDown); 2]);
        assert!(source.stream().may_close_at_once(), "nobody has to be told");
        source.stream().read_start(Box::new(|_, _| {})).unwrap();

        let sink = one_way(Direction::WriteOnly);
        assert!(!sink.stream().is_readable() && sink.stream().is_writable());
        let read = sink.stream().read_start(Box::new(|_, _| {}));
        assert_eq!(misuse(read), Some(Misuse::NotConnected));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = sink.stream().poll_read(&mut 0, &mut context, |_| ());
        assert!(matches!(polled, std::task::Poll::Ready(Err(_))));
        assert_eq!(sink.stream().try_write(b"out").unwrap(), 3);
        // Its end is the end of the descriptor.
        drop(sink.stream().shutdown(sink.stream().core.origin()));
        assert!(!sink.stream().has_socket() && !sink.0.kernel.shut_down.get());
        assert!(!sink.stream().is_writable() && sink.stream().is_connected());
        for fake in [source, sink] {
            fake.stream().core.close(Rc::clone(&fake.0) as Rc<dyn Object>);
        }
    });
}

/// RD-05: where a short read leaves something behind, the next read is made at once, without another event.
#[test]
fn a_short_read_of_a_piece_is_followed_by_another() {
    with_loop(Loop::builder(), |event_loop| {
        for piecemeal in [false, true] {
            let kernel = Kernel { piecemeal: Cell::new(piecemeal), ..Kernel::default() };
            *kernel.pieces.borrow_mut() = [&b"one"[..], b"two"].into();
            let fake = Fake::on(event_loop, kernel);
            let read = Rc::new(RefCell::new(Vec::new()));
            let reads = Rc::clone(&read);
            let note = move |_: &Fake, chunk: io::Result<Option<&[u8]>>| {
                reads.borrow_mut().push(chunk.unwrap().unwrap().to_vec());
            };
            fake.stream().read_start(Box::new(note)).unwrap();
            fake.poll_says_readable();
            let all = if SHORT_MEANS_DRAINED && !piecemeal { 1 } else { 2 };
            assert_eq!(read.borrow().len(), all);
            fake.stream().core.close(Rc::clone(&fake.0) as Rc<dyn Object>);
        }
    });
}

/// WR-24: a kernel that is out of buffers gets the write again a little later, as often as it takes.
#[test]
fn a_kernel_out_of_buffers_gets_the_write_again_later() {
    with_loop(Loop::builder().virtual_clock(), |event_loop| {
        let fake = Fake::new(event_loop);
        fake.script([Err(libc::ENOBUFS), Err(libc::ENOBUFS), Err(libc::ENOBUFS), Ok(100)]);
        let (succeeded, note) = successes();
        let begin = event_loop.now();
        note(fake.write(b"patient"));
        assert_eq!(fake.queued(), 7);
        event_loop.run().unwrap();
        assert_eq!((succeeded.get(), fake.received()), (1, b"patient".to_vec()));
        let pause = Duration::from_nanos(OUT_OF_BUFFERS_PAUSE);
        assert_eq!(event_loop.now() - begin, 3 * pause);
    });
}

/// WR-24, WR-18: to `try_write` a kernel without buffers is one without room. However often it is asked, there is one more
/// attempt after the pause, not as many.
#[test]
fn try_write_on_a_kernel_out_of_buffers_would_block() {
    with_loop(Loop::builder().virtual_clock(), |event_loop| {
        let fake = Fake::new(event_loop);
        fake.script([Err(libc::ENOBUFS); 3]);
        for _ in 0..3 {
            let err = fake.stream().try_write(b"x").unwrap_err();
            assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
        }
        let begin = event_loop.now();
        fake.script([Err(libc::ENOBUFS), Err(libc::ENOBUFS), Err(libc::ENOBUFS), Ok(100)]);
        fake.write(b"patient");
        event_loop.run().unwrap();
        let pause = Duration::from_nanos(OUT_OF_BUFFERS_PAUSE);
        assert_eq!((event_loop.now() - begin, fake.received()), (3 * pause, b"patient".to_vec()));
    });
}

/// WR-11: an interrupted send is made again, and nobody hears of it.
#[test]
fn an_interrupted_send_is_made_again() {
    with_loop(Loop::builder(), |event_loop| {
        let fake = Fake::new(event_loop);
        let (succeeded, note) = successes();
        fake.script([Err(libc::EINTR), Err(libc::EINTR), Ok(100)]);
        note(fake.write(b"at once, "));
        assert_eq!(fake.queued(), 0);
        note(fake.write(b"queued"));
        fake.script([Err(libc::EINTR), Ok(100)]);
        fake.poll_says_writable();
        fake.script([Err(libc::EINTR), Ok(100)]);
        assert_eq!(fake.stream().try_write(b" and tried").unwrap(), 10);
        event_loop.run().unwrap();
        assert_eq!((succeeded.get(), fake.received().len()), (2, 25));
        assert_eq!(fake.received(), b"at once, queued and tried");
    });
}

/// WR-11, WR-12: the rest of a write that went out in part follows, byte by byte if need be, and the queue size is what
/// the kernel has not got.
#[test]
fn the_queue_size_is_what_the_kernel_has_not_got() {
    with_loop(Loop::builder(), |event_loop| {
        let fake = Fake::new(event_loop);
        let (succeeded, note) = successes();
        fake.0.kernel.room.set(3);
        note(fake.write(b"abcdefgh"));
        assert_eq!(fake.queued(), 5);
        note(fake.write_vectored(&[IoSlice::new(b"ij"), IoSlice::new(b""), IoSlice::new(b"kl")]));
        note(fake.write(b""));
        assert_eq!(fake.queued(), 9);
        for left in (0..9).rev() {
            fake.make_room(1);
            assert_eq!(fake.queued(), left);
            event_loop.run_mode(RunMode::NoWait).unwrap();
            let expected = match left {
                5.. => 0,
                1.. => 1,
                0 => 3,
            };
            assert_eq!(succeeded.get(), expected, "{left} bytes left");
        }
        assert_eq!(fake.received(), b"abcdefghijkl");
    });
}

/// WR-09, WR-11: a write of more buffers than fit into one call goes on where the kernel stopped, wherever that is, even
/// if it has room again for the next call.
#[test]
fn a_write_of_many_buffers_goes_on_where_the_kernel_stopped() {
    let whole = 2 * MAX_SLICES;
    let stops: [&[usize]; 7] =
        [&[0], &[1], &[1500], &[whole - 1], &[whole, 0], &[whole, 1], &[whole, whole, 900]];
    for stop in stops {
        with_loop(Loop::builder(), |event_loop| {
            let fake = Fake::new(event_loop);
            let data: Vec<u8> = (0..6000).map(|i| (i % 251) as u8).collect();
            let slices: Vec<IoSlice<'_>> = data.chunks(2).map(IoSlice::new).collect();
            let (succeeded, note) = successes();
            fake.script(stop.iter().map(|&most| Ok(most)).chain([Ok(700)]));
            note(fake.write_vectored(&slices));
            assert_eq!(fake.queued(), data.len() - stop.iter().sum::<usize>());
            // The poll speaks only of room that was missed.
            event_loop.run_mode(RunMode::NoWait).unwrap();
            fake.make_room(data.len());
            fake.poll_says_writable();
            event_loop.run().unwrap();
            assert_eq!((succeeded.get(), fake.queued()), (1, 0));
            assert!(fake.received() == data, "stopped at {stop:?}");
        });
    }
}

/// WR-10: no limit, and nothing cut off: the system takes at most this much in one call, and the rest follows.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_write_of_more_than_2_gib_is_sent_to_its_end() {
    const MOST: usize = 0x7fff_f000;
    with_loop(Loop::builder(), |event_loop| {
        let fake = Fake::new(event_loop);
        fake.0.kernel.counts_only.set(true);
        let (succeeded, note) = successes();
        // Zeroed memory that nobody looks at costs none.
        let data = vec![0; MOST + 5000];
        let (half, rest) = (&data[..MOST / 2], &data[..5000 + MOST % 2]);
        fake.script([Ok(MOST)]);
        note(fake.write(&data));
        assert_eq!(fake.queued(), 5000);
        fake.make_room(5000);
        assert_eq!(fake.0.kernel.taken.take(), data.len());
        fake.script([Ok(MOST)]);
        note(fake.write_vectored(&[half, half, rest].map(IoSlice::new)));
        assert_eq!(fake.queued(), 5000);
        fake.make_room(5000);
        // Where a write that was cut short has asked for another go, that one sends it.
        event_loop.run().unwrap();
        assert_eq!(fake.0.kernel.taken.get(), data.len());
        assert_eq!(succeeded.get(), 2);
    });
}

/// WR-15, WR-16: every queued write gets the error of the one that failed, in order, and so do a shutdown and a drain
/// that wait. The stream goes on: the next write is tried.
#[test]
fn a_failure_fails_all_that_is_queued_and_nothing_else() {
    with_loop(Loop::builder().high_water(0), |event_loop| {
        let fake = Fake::new(event_loop);
        let failed = Rc::new(RefCell::new(Vec::new()));
        let note = |what: &'static str, request: Request<()>| {
            let failed = Rc::clone(&failed);
            request.then(move |result| {
                failed.borrow_mut().push((what, result.unwrap_err().raw_os_error()));
            });
        };
        fake.0.kernel.room.set(2);
        note("partly sent", fake.write(b"1234"));
        note("empty", fake.write(b""));
        note("drained", fake.stream().drained(fake.stream().core.origin()));
        note("last", fake.write(b"5678"));
        fake.script([Ok(1), Err(libc::EHOSTUNREACH)]);
        fake.poll_says_writable();
        fake.poll_says_writable();
        assert_eq!(fake.queued(), 0);
        let (succeeded, note_success) = successes();
        fake.script([Ok(100)]);
        note_success(fake.write(b"9"));
        event_loop.run().unwrap();
        let error = Some(libc::EHOSTUNREACH);
        let expected = ["partly sent", "empty", "last", "drained"].map(|what| (what, error));
        assert_eq!(*failed.borrow(), expected);
        assert_eq!((succeeded.get(), fake.received()), (1, b"1239".to_vec()));
    });
}

/// WR-14: a kernel that takes everything at once gets so many writes in a turn, and the rest in the next ones.
#[test]
fn a_turn_sends_a_bounded_number_of_queued_writes() {
    const SENDS: usize = 3;
    with_loop(Loop::builder().writes_per_turn(SENDS as u32), |event_loop| {
        let fake = Fake::new(event_loop);
        let (succeeded, note) = successes();
        for _ in 0..1000 {
            note(fake.write(b"x"));
        }
        fake.make_room(usize::MAX / 2);
        for turn in 1..=1000usize.div_ceil(SENDS * SLICES_PER_SEND) {
            assert_eq!(fake.queued(), 1000usize.saturating_sub(turn * SENDS * SLICES_PER_SEND));
            event_loop.run_mode(RunMode::NoWait).unwrap();
        }
        event_loop.run().unwrap();
        assert_eq!(succeeded.get(), 1000);
    });
}

/// L-27, WR-14: an event for a stream that waits for its next go does not double its budget.
#[test]
fn an_event_does_not_double_the_budget_of_writes() {
    with_loop(Loop::builder().writes_per_turn(1), |event_loop| {
        let fake = Fake::new(event_loop);
        let (succeeded, note) = successes();
        for _ in 0..10 * SLICES_PER_SEND {
            note(fake.write(b"x"));
        }
        fake.make_room(usize::MAX / 2);
        event_loop.run_mode(RunMode::NoWait).unwrap();
        for turn in 2..10 {
            let before = fake.queued();
            // The poll's event comes before the go that is due in this turn.
            fake.poll_says_writable();
            event_loop.run_mode(RunMode::NoWait).unwrap();
            assert_eq!(before - fake.queued(), SLICES_PER_SEND, "turn {turn}");
        }
        event_loop.run().unwrap();
        assert_eq!(succeeded.get(), 10 * SLICES_PER_SEND);
    });
}

/// WR-09: the futures-io traits give the kernel the first buffers of many, and do not take that for a lack of room.
#[cfg(feature = "futures")]
#[test]
fn a_poll_of_many_buffers_leaves_the_stream_writable() {
    with_loop(Loop::builder(), |event_loop| {
        let fake = Fake::new(event_loop);
        fake.0.kernel.room.set(usize::MAX / 2);
        let slices = [IoSlice::new(b"x"); MAX_SLICES + 1];
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            let Poll::Ready(sent) = fake.stream().poll_send(&mut context, &slices) else {
                panic!("there is room");
            };
            assert_eq!(sent.unwrap(), MAX_SLICES);
        }
    });
}

/// The place of a write that was cancelled.
const CANCELED: usize = usize::MAX;

#[derive(Clone, Debug)]
enum Op {
    Write(usize),
    WriteVectored(Vec<usize>),
    TryWrite(usize),
    Room(usize),
    Cancel(usize),
    Turn,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..40usize).prop_map(Op::Write),
        2 => prop::collection::vec(0..20usize, 1..5).prop_map(Op::WriteVectored),
        1 => (0..40usize).prop_map(Op::TryWrite),
        3 => (1..100usize).prop_map(Op::Room),
        2 => (0..1000usize).prop_map(Op::Cancel),
        1 => Just(Op::Turn),
    ]
}

proptest! {
    /// WR-01, WR-02, WR-12, WR-18, WR-19: whatever is written, taken and cancelled, the bytes come out once and in order;
    /// the queue size is right at any time; a write can be cancelled exactly as long as the kernel has none of it; each
    /// callback comes once, and those of the writes that were sent in order.
    #[test]
    fn sends_what_was_written_and_not_cancelled(ops in prop::collection::vec(op(), 1..60)) {
        let event_loop = Loop::builder().writes_per_turn(1).build().unwrap();
        let fake = Fake::new(&event_loop);
        let (mut writes, mut next_byte) = (Vec::new(), 0u8);
        let ended = Rc::new(RefCell::new(Vec::new()));
        // What was written and not cancelled; the writes by their place in it.
        let mut expected = Vec::new();
        let mut data = |length: usize| -> Vec<u8> {
            (0..length).map(|_| { next_byte = next_byte.wrapping_add(1); next_byte }).collect()
        };
        for op in ops.into_iter().chain([Op::Room(usize::MAX / 2)]) {
            let request = match op {
                Op::Write(length) => {
                    let data = data(length);
                    expected.extend_from_slice(&data);
                    Some((length, fake.write(data)))
                }
                Op::WriteVectored(lengths) => {
                    let parts: Vec<Vec<u8>> = lengths.into_iter().map(&mut data).collect();
                    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                    expected.extend(parts.concat());
                    Some((parts.concat().len(), fake.write_vectored(&slices)))
                }
                Op::TryWrite(length) => {
                    let data = data(length);
                    let was_queued = fake.queued() > 0;
                    if let Ok(taken) = fake.stream().try_write(&data) {
                        prop_assert!(!was_queued);
                        expected.extend_from_slice(&data[..taken]);
                    }
                    None
                }
                Op::Room(bytes) => {
                    fake.make_room(bytes);
                    None
                }
                Op::Cancel(which) if !writes.is_empty() => {
                    let index = which % writes.len();
                    let (start, length, ref canceler): (usize, usize, Canceler) = writes[index];
                    let may_cancel = start >= fake.received().len();
                    let canceled = canceler.cancel();
                    prop_assert!(length == 0 || canceled == (may_cancel && start != CANCELED));
                    if canceled {
                        writes[index].0 = CANCELED;
                        expected.drain(start..start + length);
                        let later = writes[index + 1..].iter_mut().filter(|w| w.0 != CANCELED);
                        later.for_each(|write| write.0 -= length);
                    }
                    None
                }
                Op::Cancel(_) => None,
                Op::Turn => {
                    event_loop.run_mode(RunMode::NoWait).unwrap();
                    None
                }
            };
            if let Some((length, request)) = request {
                let (number, ended) = (writes.len(), Rc::clone(&ended));
                let canceler = request.then(move |end| ended.borrow_mut().push((number, end.is_ok())));
                writes.push((expected.len() - length, length, canceler));
            }
            prop_assert_eq!(fake.queued(), expected.len() - fake.received().len());
            prop_assert_eq!(&fake.received()[..], &expected[..fake.received().len()]);
        }
        event_loop.run().unwrap();
        prop_assert_eq!(fake.received(), expected);
        let ended = ended.borrow();
        prop_assert_eq!(ended.len(), writes.len());
        let sent: Vec<usize> = ended.iter().filter(|end| end.1).map(|end| end.0).collect();
        prop_assert!(sent.is_sorted());
        let canceled = writes.iter().filter(|write| write.0 == CANCELED).count();
        prop_assert_eq!(sent.len() + canceled, writes.len());
    }
}
