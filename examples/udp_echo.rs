//! A UDP echo server in callbacks.
//!
//! ```text
//! cargo run --example udp_echo -- 7000
//! socat - UDP:127.0.0.1:7000     # in another terminal: what you type comes back, line by line
//! ```
//!
//! `udp_echo [PORT] [HOST]`. Ctrl-C stops it. With `RUST_LOG=debug` it says what goes wrong on the way.

mod common;

use std::io::{self, Write};
use std::net::SocketAddr;

use log::{debug, info};
use luvio::{Datagram, Loop, Signal, Udp};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// What may wait for room in the kernel, in bytes. A datagram more is dropped, as any router on its way would do: clients
/// that send faster than we can answer must not fill our memory.
const MOST_QUEUED: usize = 1024 * 1024;

/// Called with each datagram, or with an error, after which it goes on.
fn on_datagram(server: &Udp, datagram: io::Result<Datagram<'_>>) {
    match datagram {
        Ok(datagram) if server.send_queue_size() > MOST_QUEUED => {
            debug!("no room for an answer to {}", datagram.from);
        }
        Ok(datagram) => {
            server.send_to(datagram.data, datagram.from);
        }
        Err(err) => debug!("receive error: {err}"),
    }
}

/// Called on Ctrl-C: what the kernel has taken goes out, nobody else is answered.
fn on_signal(signal: &Signal, signum: i32) {
    info!("signal {signum}: ending");
    signal.event_loop().walk(|handle| drop(handle.close()));
}

fn main() {
    env_logger::init();
    let addr = common::address_from_args("udp_echo");
    if let Err(err) = serve(addr) {
        common::fail("udp_echo", format_args!("{addr}: {err}"));
    }
}

fn serve(addr: SocketAddr) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Udp::new(&event_loop);
    server.bind(addr)?;
    server.recv_start(on_datagram)?;
    for signum in [SIGINT, SIGTERM] {
        let signal = Signal::new(&event_loop);
        signal.start(signum, on_signal)?;
        signal.unref();
    }
    writeln!(io::stdout(), "UDP echo server listening on {}", server.local_addr()?)?;
    event_loop.run()
}
