//! A TCP echo server in callbacks, as one writes it with libuv or luv.
//!
//! ```text
//! cargo run --example luv_echo -- 7000
//! nc 127.0.0.1 7000              # in another terminal: what you type comes back
//! ```
//!
//! `luv_echo [PORT] [HOST]`. Ctrl-C stops it: it accepts nobody any more, lets out what is queued, and ends. With
//! `RUST_LOG=debug` it says what goes wrong on the way.

mod common;

use std::io::{self, Write};
use std::time::Duration;

use log::{debug, info, warn};
use luvio::{Loop, Signal, Tcp, Timer};

/// How long clients have to take what is queued for them when the server ends.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// Called with each chunk that a client sends, with the end of its stream, or with an error.
fn on_read(client: &Tcp, chunk: io::Result<Option<&[u8]>>) {
    match chunk {
        Ok(Some(data)) => {
            client.write(data);
            if client.needs_drain() {
                pause(client);
            }
        }
        // The end of the stream, not of the connection: what is queued still goes out, then it is closed.
        Ok(None) => {
            client.finish();
        }
        Err(err) => {
            debug!("read error: {err}");
            client.shutdown();
            client.close();
        }
    }
}

/// A client that sends but does not read would fill our memory: lets it wait until it has read.
fn pause(client: &Tcp) {
    client.read_stop();
    let paused = client.clone();
    client.drained().then(move |drained| {
        if drained.is_ok() {
            let _ = paused.read_start(on_read);
        }
    });
}

/// Called for each connection that arrives.
fn on_connection(server: &Tcp, incoming: io::Result<()>) {
    let accepted = incoming.and_then(|()| server.accept());
    match accepted.and_then(|client| client.read_start(on_read)) {
        Ok(()) => {}
        Err(err) => warn!("accept error: {err}"),
    }
}

/// Called on Ctrl-C: ends every connection without losing what is queued, and gives the slow ones a deadline.
fn on_signal(signal: &Signal, signum: i32) {
    info!("{}: ending", Signal::name_of(signum).unwrap_or("a signal"));
    let event_loop = signal.event_loop();
    event_loop.walk(|handle| {
        match handle.as_any().downcast_ref::<Tcp>() {
            Some(tcp) => say_goodbye(tcp),
            // The signal handles: a second Ctrl-C ends the program at once.
            None => drop(handle.close()),
        }
    });
    Timer::after(event_loop, LAST_CHANCE, |timer| timer.event_loop().close_all()).unref();
}

/// Ends a connection, or the listening. Until the client ends, too, what it still sends is read and dropped: to close on
/// unread data would be a reset, which takes back what is under way.
fn say_goodbye(tcp: &Tcp) {
    if !tcp.is_readable() {
        tcp.finish();
        return;
    }
    tcp.shutdown();
    tcp.read_stop();
    let _ = tcp.read_start(|client, chunk| {
        if !matches!(chunk, Ok(Some(_))) {
            client.finish();
        }
    });
}

fn main() {
    env_logger::init();
    let addr = common::address_from_args("luv_echo");
    if let Err(err) = serve(addr) {
        common::fail("luv_echo", format_args!("{addr}: {err}"));
    }
}

fn serve(addr: std::net::SocketAddr) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Tcp::new(&event_loop);
    server.bind(addr)?;
    server.listen(128, on_connection)?;
    for signum in [Signal::INT, Signal::TERM] {
        let signal = Signal::new(&event_loop);
        signal.start(signum, on_signal)?;
        signal.unref();
    }
    writeln!(io::stdout(), "Echo server listening on {}", server.local_addr()?)?;
    event_loop.run()
}
