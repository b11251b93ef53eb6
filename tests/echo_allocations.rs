//! What the steady state allocates: nothing a message, nothing a tick.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use allocator::{allocated, allocations};
use luvio::{ByteStream, Loop, Notifier, Pipe, RunMode, Tcp, Timer};
use support::{turn, watchdog, with_virtual_loop};

const ZERO: Duration = Duration::ZERO;
const MESSAGES: usize = 1_000;
/// The first ones make room in queues that are kept.
const WARM_UP: usize = 10;

fn tcp_pair(event_loop: &Loop) -> (Tcp, std::net::TcpStream) {
    let (tcp, peer) = support::connected_pair(event_loop);
    peer.set_nonblocking(true).expect("it can be set");
    (tcp, peer)
}

/// Two Unix-domain sockets, of which one is the loop's.
fn unix_pair(event_loop: &Loop) -> (Pipe, UnixStream) {
    let (pipe, peer) = Pipe::pair(event_loop).expect("a pair can be made");
    (pipe, peer.into_fd().expect("nothing is under way").into())
}

/// Sends messages and waits for each to come back. Says how often the thread allocated after the first few.
fn echo_allocations(event_loop: &Loop, mut peer: impl Read + Write) -> usize {
    let message = [b'm'; 100];
    let mut send_and_wait = || {
        peer.write_all(&message).expect("the socket has room");
        let mut came_back = 0;
        let mut buffer = [0; 100];
        while came_back < message.len() {
            event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
            match peer.read(&mut buffer) {
                Ok(0) => panic!("the end of the stream"),
                Ok(length) => came_back += length,
                Err(err) => assert_eq!(err.kind(), io::ErrorKind::WouldBlock),
            }
        }
    };
    (0..WARM_UP).for_each(|_| send_and_wait());
    allocations(|| (0..MESSAGES).for_each(|_| send_and_wait()))
}

/// A message that is read in a callback and written back allocates nothing.
#[test]
fn echo_in_callbacks_does_not_allocate() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, peer) = tcp_pair(&event_loop);
    echo(&tcp);
    assert_eq!(echo_allocations(&event_loop, peer), 0);
    let (pipe, peer) = unix_pair(&event_loop);
    echo(&pipe);
    assert_eq!(echo_allocations(&event_loop, peer), 0);
}

fn echo(stream: &impl ByteStream) {
    let read = stream.read_start(|stream, chunk| {
        if let Some(data) = chunk.expect("it reads") {
            stream.write(data);
        }
    });
    read.expect("a connection can be read");
}

/// A message that a task reads into a buffer of its own and writes back allocates nothing, waiting included.
#[test]
fn echo_in_a_task_does_not_allocate() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, peer) = tcp_pair(&event_loop);
    event_loop.go(echo_with_buffer(tcp));
    assert_eq!(echo_allocations(&event_loop, peer), 0);
    let (tcp, peer) = tcp_pair(&event_loop);
    event_loop.go(echo_from_the_loops_buffer(tcp));
    assert_eq!(echo_allocations(&event_loop, peer), 0);
    let (pipe, peer) = unix_pair(&event_loop);
    event_loop.go(echo_from_the_loops_buffer(pipe));
    assert_eq!(echo_allocations(&event_loop, peer), 0);
}

async fn echo_with_buffer(tcp: Tcp) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(1_000);
    while tcp.read_into(&mut buffer).await? > 0 {
        tcp.write(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

/// Lends the loop's buffer to the write, which is over at once unless the kernel is full.
async fn echo_from_the_loops_buffer(tcp: impl ByteStream) -> io::Result<()> {
    while let Some(write) = tcp.read_with(|data| tcp.write(data)).await? {
        write.await?;
    }
    Ok(())
}

#[cfg(feature = "udp")]
mod datagrams {
    use super::*;
    use luvio::Udp;
    use std::net::UdpSocket;

    /// Sends datagrams, several at a time, and waits for each to come back. Says how often the thread allocated after the
    /// first few.
    fn echo_allocations(event_loop: &Loop, udp: &Udp) -> usize {
        const AT_ONCE: usize = 32;
        let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        peer.connect(udp.local_addr().expect("it is bound")).expect("loopback can be connected");
        peer.set_nonblocking(true).expect("it can be set");
        let send_and_wait = || {
            for _ in 0..AT_ONCE {
                peer.send(&[b'm'; 64]).expect("loopback has room");
            }
            let mut came_back = 0;
            while came_back < AT_ONCE {
                event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
                came_back += std::iter::from_fn(|| peer.recv(&mut [0; 100]).ok()).count();
            }
        };
        (0..WARM_UP).for_each(|_| send_and_wait());
        allocations(|| (0..MESSAGES / AT_ONCE).for_each(|_| send_and_wait()))
    }

    fn bound(event_loop: &Loop) -> Udp {
        let udp = Udp::new(event_loop);
        udp.bind("127.0.0.1:0").expect("loopback has a free port");
        udp
    }

    /// A datagram that is received in a callback and sent back allocates nothing.
    #[test]
    fn echo_in_callbacks_does_not_allocate() {
        let _watchdog = watchdog();
        let event_loop = Loop::new().expect("a loop can be made");
        let udp = bound(&event_loop);
        udp.recv_start(|udp, datagram| {
            let datagram = datagram.expect("it receives");
            udp.send_to(datagram.data, datagram.from);
        })
        .expect("it is bound");
        assert_eq!(echo_allocations(&event_loop, &udp), 0);
    }

    /// A datagram that a task sends back allocates nothing, waiting included.
    #[test]
    fn echo_in_a_task_does_not_allocate() {
        let _watchdog = watchdog();
        let event_loop = Loop::new().expect("a loop can be made");
        let udp = bound(&event_loop);
        let server = udp.clone();
        event_loop.go(async move {
            loop {
                let echo =
                    |datagram: luvio::Datagram<'_>| server.send_to(datagram.data, datagram.from);
                if let Err(err) = server.recv_with(echo).await?.await {
                    return io::Result::<()>::Err(err);
                }
            }
        });
        assert_eq!(echo_allocations(&event_loop, &udp), 0);
    }

    /// An idle handle takes no more than this: itself, its callback and its place on the loop. On poll(2), mio keeps lists
    /// of its own.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn idle_handle_is_small() {
        const HANDLES: usize = 1_024;
        let _watchdog = watchdog();
        let event_loop = Loop::new().expect("a loop can be made");
        let mut handles = Vec::with_capacity(HANDLES);
        let mut add = |count: usize| {
            for _ in 0..count {
                let udp = bound(&event_loop);
                udp.recv_start(|udp, datagram| {
                    let datagram = datagram.expect("it receives");
                    udp.send_to(datagram.data, datagram.from);
                })
                .expect("it is bound");
                handles.push(udp);
            }
        };
        add(HANDLES / 2);
        let before = allocator::live_bytes();
        // As many again, so that the loop's own lists grow by as much as they have.
        add(HANDLES / 2);
        let each = (allocator::live_bytes() - before) / (HANDLES / 2) as isize;
        assert!(each <= 250, "{each} bytes");
    }
}

/// A message that has to be queued allocates, but what it took is given back.
#[test]
fn queued_messages_leave_nothing_behind() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let (tcp, peer) = tcp_pair(&event_loop);
    let fill_and_drain = || {
        support::fill(&tcp);
        let mut buffer = [0; 64 * 1024];
        while tcp.write_queue_size() > 0 {
            while (&peer).read(&mut buffer).is_ok_and(|length| length > 0) {}
            turn(&event_loop);
        }
        allocator::live()
    };
    fill_and_drain();
    let before = fill_and_drain();
    assert_eq!(fill_and_drain(), before);
}

/// A timer that repeats, or is started anew by `again`, allocates nothing.
#[test]
fn timer_does_not_allocate() {
    with_virtual_loop(|event_loop| {
        let ticks = Rc::new(Cell::new(0));
        let begin = Rc::new(Cell::new(0));
        let (count, at) = (Rc::clone(&ticks), Rc::clone(&begin));
        let period = Duration::from_millis(1);
        let timer = Timer::new(event_loop);
        let ticking = move |timer: &Timer| {
            count.set(count.get() + 1);
            if count.get() == WARM_UP {
                at.set(allocated());
            } else if count.get() == WARM_UP + MESSAGES {
                assert_eq!(allocated(), at.get());
                timer.close();
            } else if count.get() % 2 == 0 {
                timer.again().expect("it was started");
            }
        };
        timer.start(period, period, ticking).expect("a new timer can be started");
        event_loop.run().expect("the loop runs");
        assert_eq!(ticks.get(), WARM_UP + MESSAGES);
    });
}

/// The usual time limit of a connection, pushed back at each message, allocates nothing either.
#[test]
fn pushing_a_deadline_back_does_not_allocate() {
    with_virtual_loop(|event_loop| {
        let hour = Duration::from_secs(3_600);
        let timers: Vec<Timer> = (0..100).map(|_| Timer::new(event_loop)).collect();
        for timer in &timers {
            timer.start(hour, hour, |_| {}).expect("a new timer can be started");
        }
        let push_back = || timers.iter().for_each(|timer| timer.again().expect("it was started"));
        (0..WARM_UP).for_each(|_| push_back());
        assert_eq!(allocations(push_back), 0);
        timers.iter().for_each(|timer| drop(timer.close()));
    });
}

/// Waking the loop through a notifier allocates nothing, neither in the send nor in the loop.
#[test]
fn sends_to_a_notifier_do_not_allocate() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let notifier = Notifier::new(&event_loop, move |_| count.set(count.get() + 1));
    let sender = notifier.expect("a notifier can be made").sender();
    let send_and_run = || {
        for _ in 0..10 {
            sender.send().expect("it is open");
        }
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    };
    (0..WARM_UP).for_each(|_| send_and_run());
    let made = allocations(|| (0..MESSAGES).for_each(|_| send_and_run()));
    assert_eq!(calls.get(), WARM_UP + MESSAGES);
    assert_eq!(made, 0);
}

/// A turn without anything to do allocates nothing, nor does one with hooks.
#[test]
fn empty_turns_do_not_allocate() {
    let _watchdog = watchdog();
    let event_loop = Loop::new().expect("a loop can be made");
    let turns = Rc::new(RefCell::new(0));
    let (idle, prepare) = (luvio::Idle::new(&event_loop), luvio::Prepare::new(&event_loop));
    let count = Rc::clone(&turns);
    idle.start(move |_| *count.borrow_mut() += 1).expect("a new handle can be started");
    prepare.start(|_| {}).expect("a new handle can be started");
    Timer::after(&event_loop, Duration::from_secs(3_600), |_| {});
    let run = || {
        event_loop.run_mode(RunMode::NoWait).expect("the loop runs");
    };
    run();
    assert_eq!(allocations(|| (0..MESSAGES).for_each(|_| run())), 0);
    assert_eq!(*turns.borrow(), MESSAGES + 1);
    assert_eq!(event_loop.backend_timeout(), Some(ZERO));
}
