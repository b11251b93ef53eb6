//! Very many requests of one stream whose peer does not read: waits for its queue, and writes that are taken back.

use std::cell::Cell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use luvio::{Loop, Request, RunMode, Tcp};

use super::new_loop;
use super::stopwatch::Stopwatch;

/// A stream whose queue is above its mark, and its peer.
fn held_up() -> (Loop, Tcp, TcpStream) {
    let event_loop = new_loop();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let peer = TcpStream::connect(addr).expect("loopback can be connected");
    let (here, _) = listener.accept().expect("the connection is there");
    let tcp = Tcp::new(&event_loop);
    tcp.open(here).expect("a connected socket can be adopted");
    let block = vec![0; 64 * 1024];
    while !tcp.needs_drain() {
        tcp.write(&block);
    }
    (event_loop, tcp, peer)
}

/// So many wait for the queue to drain, and are told in one turn when the mark is raised above it.
pub fn luvio_drained(count: usize) -> Duration {
    let (event_loop, tcp, _peer) = held_up();
    let ended = Rc::new(Cell::new(0));
    let watch = Stopwatch::start();
    for _ in 0..count {
        let ended = Rc::clone(&ended);
        tcp.drained().then(move |_| ended.set(ended.get() + 1));
    }
    tcp.set_high_water(usize::MAX);
    event_loop.run_mode(RunMode::NoWait).expect("the loop can be run");
    let taken = watch.elapsed();
    assert_eq!(ended.get(), count);
    taken
}

/// So many queued writes are taken back, the last one first.
pub fn luvio_cancel(count: usize) -> Duration {
    let (event_loop, tcp, _peer) = held_up();
    let writes: Vec<Request<()>> = (0..count).map(|_| tcp.write("x")).collect();
    let watch = Stopwatch::start();
    for write in writes.iter().rev() {
        assert!(write.cancel());
    }
    let taken = watch.elapsed();
    drop(event_loop);
    taken
}
