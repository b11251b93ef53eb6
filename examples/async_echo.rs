//! The TCP echo server again, with a task for each connection that reads and writes as if it blocked.
//!
//! ```text
//! cargo run --example async_echo -- 7000
//! nc 127.0.0.1 7000              # in another terminal: what you type comes back
//! ```
//!
//! `async_echo [PORT] [HOST]`. Ctrl-C stops it: it accepts nobody any more, lets out what is under way, and ends. With
//! `RUST_LOG=debug` it says what goes wrong on the way.

mod common;

use std::io::{self, Write};
use std::time::Duration;

use log::{debug, info};
use luvio::{Loop, Signal, Tcp, go, sleep};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// How long clients have to take what is under way to them when the server ends.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// One connection, from its first byte to its last. A client that does not read keeps only itself waiting: nothing more
/// is read from it before it has taken the answer.
async fn handle_client(client: Tcp) {
    loop {
        let data = match client.read_once().await {
            Ok(Some(data)) => data,
            Ok(None) => break, // the client is done
            Err(err) => return debug!("read error: {err}"),
        };
        if let Err(err) = client.write(data).await {
            return debug!("write error: {err}");
        }
    }
    let _ = client.finish().await;
}

/// Accepts connections, and starts a task for each.
async fn serve(server: Tcp) -> io::Result<()> {
    loop {
        let client = server.accept_next().await?;
        go(handle_client(client));
    }
}

/// Waits for a signal; then ends every connection without losing what is under way, and gives the slow ones a deadline.
async fn end_on(signal: Signal) -> io::Result<()> {
    let signum = signal.delivered().await?;
    info!("signal {signum}: ending");
    signal.close(); // a second Ctrl-C ends the program at once
    let event_loop = signal.event_loop();
    event_loop.walk(|handle| {
        if let Some(tcp) = handle.as_any().downcast_ref::<Tcp>() {
            tcp.finish();
        }
    });
    sleep(LAST_CHANCE).await;
    event_loop.walk(|handle| drop(handle.close()));
    Ok(())
}

fn main() {
    env_logger::init();
    let addr = common::address_from_args("async_echo");
    if let Err(err) = run(addr) {
        common::fail("async_echo", format_args!("{addr}: {err}"));
    }
}

fn run(addr: std::net::SocketAddr) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Tcp::new(&event_loop);
    server.bind(addr)?;
    server.listen_only(128)?;
    for signum in [SIGINT, SIGTERM] {
        let signal = Signal::new(&event_loop);
        signal.start_only(signum)?;
        // The program is there for its clients, not for this task.
        event_loop.spawn(end_on(signal)).unref();
    }
    writeln!(
        io::stdout(),
        "Echo server listening on {}",
        server.local_addr()?
    )?;
    event_loop.spawn(serve(server));
    event_loop.run()
}
