//! The TCP echo server again, with a task for each connection that reads and writes as if it
//! blocked.
//!
//! ```text
//! cargo run --example async_echo -- 7000
//! nc 127.0.0.1 7000              # in another terminal: what you type comes back
//! ```
//!
//! `async_echo [PORT] [HOST]`. Ctrl-C stops it: it accepts nobody any more, lets out what is under
//! way, and ends. With `RUST_LOG=debug` it says what goes wrong on the way.

mod common;
#[path = "common/graceful.rs"]
mod graceful;

use std::io::{self, Write};
use std::net::SocketAddr;

use log::debug;
use luvio::{Loop, Tcp, go};

/// One connection, from its first byte to its last. A client that does not read keeps only itself
/// waiting: nothing more is read from it before it has taken the answer.
async fn handle_client(client: Tcp) {
    debug!("client connected");
    loop {
        // The data is lent to the closure, which begins to write it; a copy to keep is `read_once`.
        let echoed = match client.read_with(|data| client.write(data)).await {
            Ok(Some(writing)) => writing.await,
            Ok(None) => break, // the client is done
            Err(err) => Err(err),
        };
        if let Err(err) = echoed {
            return debug!("connection lost: {err}");
        }
    }
    client.finish();
}

/// Accepts connections, and starts a task for each.
async fn serve(server: Tcp) -> io::Result<()> {
    loop {
        let client = server.accept_next().await?;
        go(handle_client(client));
    }
}

fn main() {
    env_logger::init();
    let addr = common::address_from_args("async_echo");
    if let Err(err) = run(addr) {
        common::fail("async_echo", format_args!("{addr}: {err}"));
    }
}

fn run(addr: SocketAddr) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Tcp::new(&event_loop);
    server.bind(addr)?;
    server.listen_only(128)?;
    graceful::end_on_signals(&event_loop)?;
    writeln!(io::stdout(), "Echo server listening on {}", server.local_addr()?)?;
    event_loop.spawn(serve(server));
    event_loop.run()
}
