//! Events of a socket that a handle had before: they do not reach the one that it has now.

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use luvio::{RunMode, Tcp};
use support::{Journal, pair_with_data, std_pair, turn_until, with_loop};

/// L-26, RD-03: a callback cancels a connect, whose event is in the same batch, and connects again. That event is not taken
/// for one of the second connect.
#[test]
#[cfg_attr(mio_unsupported_force_poll_poll, ignore = "nothing says which event comes first")]
fn an_event_of_a_cancelled_connect_does_not_reach_the_next_one() {
    with_loop(|event_loop| {
        let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        // Ready before the connect is, so that its event comes first.
        let (earlier, _peer) = pair_with_data(event_loop, b"data");
        let client = Tcp::new(event_loop);
        let journal = Journal::new();
        let connecting = client.connect(first.local_addr().unwrap());
        let (mut accepted, _) = first.accept().unwrap();
        accepted.write_all(b"of the first connection").unwrap();

        let (again, noted) = (client.clone(), journal.clone());
        let addr = second.local_addr().unwrap();
        let mut connecting = Some(connecting);
        earlier
            .read_start(move |earlier, _| {
                let connecting = connecting.take().expect("it is called once");
                assert!(connecting.cancel());
                connecting.then(noted.result("first"));
                again.connect(addr).then(noted.result("second"));
                let read = noted.clone();
                let started = again.read_start(move |client, chunk| {
                    read.note(String::from_utf8_lossy(chunk.unwrap().unwrap()));
                    client.close();
                });
                started.unwrap();
                earlier.close();
            })
            .unwrap();
        event_loop.run_mode(RunMode::NoWait).unwrap();
        journal.assert_is(&["first canceled"]);
        let (mut accepted, _) = second.accept().unwrap();
        accepted.write_all(b"of the second").unwrap();
        drop(client);
        turn_until(event_loop, || journal.entries().len() == 3);
        journal.assert_is(&["first canceled", "second ok", "of the second"]);
    });
}

/// What a handle may have after a connect that was cancelled.
#[derive(Clone, Copy)]
enum Next {
    Connect,
    Open,
    Listen,
}

/// L-26, RD-24: children that are about to run a program hold duplicates of every descriptor for a moment, so that a socket
/// closed meanwhile stays in the selector. Its events do not reach the next socket of its handle, whatever that is.
#[test]
fn a_socket_that_a_new_child_still_holds_disturbs_nobody() {
    const ROUNDS: usize = 200;
    with_loop(|event_loop| {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let spawning = thread::spawn(move || {
            while !is_done.load(Ordering::SeqCst) {
                Command::new("true").status().unwrap();
            }
        });
        for next in [Next::Connect, Next::Open, Next::Listen].repeat(ROUNDS / 3) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let client = Tcp::new(event_loop);
            let first = client.connect(addr);
            let (mut stale, _) = listener.accept().unwrap();
            assert!(first.cancel());
            // Where the first descriptor is still open somewhere, this makes it readable.
            let _ = stale.write_all(b"nobody reads this");
            let journal = Journal::new();
            let mut peer = match next {
                Next::Connect => {
                    client.connect(addr).then(journal.result("begun"));
                    listener.accept().unwrap().0
                }
                Next::Open => {
                    journal.note("begun ok");
                    let (here, there) = std_pair();
                    client.open(here).unwrap();
                    there
                }
                Next::Listen => {
                    client.bind("127.0.0.1:0").unwrap();
                    let announced = journal.clone();
                    let listen = client.listen(8, move |server, incoming| {
                        announced.note(format!("begun {}", incoming.map_or("failed", |()| "ok")));
                        read_once(&server.accept().unwrap(), &announced);
                        server.close();
                    });
                    listen.unwrap();
                    TcpStream::connect(client.local_addr().unwrap()).unwrap()
                }
            };
            if !matches!(next, Next::Listen) {
                read_once(&client, &journal);
            }
            drop(client);
            peer.write_all(b"data").unwrap();
            event_loop.run().unwrap();
            journal.assert_is(&["begun ok", "data"]);
        }
        done.store(true, Ordering::SeqCst);
        spawning.join().unwrap();
    });
}

/// Notes the next data and closes.
fn read_once(tcp: &Tcp, journal: &Journal) {
    let journal = journal.clone();
    let started = tcp.read_start(move |tcp, chunk| {
        journal.note(String::from_utf8_lossy(chunk.unwrap().unwrap()));
        tcp.close();
    });
    started.unwrap();
}
