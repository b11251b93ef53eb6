//! `Builder::busy_poll`: polling for a while before sleeping changes how fast things happen, and nothing else.

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use luvio::{Loop, Notifier, Timer};
use support::{connected_pair, expect, with_built_loop};

/// L-07, L-20: a timer that comes due while the loop spins ends the spinning.
#[test]
fn timer_is_not_late_for_the_spinning() {
    // Longer than a test may take: whoever waits for the end of it fails.
    let builder = Loop::builder().busy_poll(Duration::from_secs(3_600));
    with_built_loop(builder, |event_loop| {
        let notifier = Notifier::new(event_loop, |_| {}).expect("a notifier can be made");
        let fired = expect(1);
        Timer::after(event_loop, Duration::from_millis(5), move |_| {
            fired.hit();
            notifier.close();
        });
    });
}

/// A-02, RD-01: sockets and other threads are served while the loop spins.
#[test]
fn sockets_and_threads_are_served_while_the_loop_spins() {
    let builder = Loop::builder().busy_poll(Duration::from_secs(3_600));
    with_built_loop(builder, |event_loop| {
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.read_start(|tcp, chunk| match chunk.expect("it reads") {
            Some(data) => drop(tcp.write(data)),
            None => drop(tcp.close()),
        })
        .expect("a connection can be read");
        let posted = expect(1);
        let remote = event_loop.remote();
        let other = thread::spawn(move || {
            for round in 0..100_u8 {
                peer.write_all(&[round]).expect("it can be written");
                let mut answer = [0];
                peer.read_exact(&mut answer).expect("an answer comes");
                assert_eq!(answer, [round]);
            }
            remote.post(move |_| drop(peer)).expect("the loop is there");
        });
        event_loop.defer(move |_| {
            posted.hit();
        });
        event_loop.run().expect("the loop runs");
        other.join().expect("it ends");
    });
}

/// A loop that spun in vain goes to sleep, and is woken there.
#[test]
fn loop_that_spun_in_vain_can_be_woken_from_its_sleep() {
    let builder = Loop::builder().busy_poll(Duration::from_nanos(1));
    with_built_loop(builder, |event_loop| {
        let woken = expect(1);
        let notifier = Notifier::new(event_loop, move |notifier| {
            woken.hit();
            notifier.close();
        });
        let sender = notifier.expect("a notifier can be made").sender();
        let (tcp, mut peer) = connected_pair(event_loop);
        tcp.read_start(move |tcp, _| {
            tcp.close();
            // By now the loop has been asleep: it was waiting for these bytes.
            let sender = sender.clone();
            thread::spawn(move || sender.send());
        })
        .expect("a connection can be read");
        let other = thread::spawn(move || peer.write_all(b"x"));
        event_loop.run().expect("the loop runs");
        other.join().expect("it ends").expect("it was written");
    });
}
