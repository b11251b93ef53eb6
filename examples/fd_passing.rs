//! One process accepts, another one serves: connections go from the first to the second as descriptors.
//!
//! ```text
//! cargo run --example fd_passing -- 7000
//! nc 127.0.0.1 7000              # in another terminal: see which process answers
//! ```
//!
//! `fd_passing [PORT] [WORKER…]`. The worker is this program itself, or any other command: it gets the channel as its
//! standard input, and with each byte that comes there a connection. Nothing of a connection is copied or relayed; the
//! first process has nothing to do with it any more. Ctrl-C ends both.

mod common;
#[path = "common/graceful.rs"]
mod graceful;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio, id};

use log::debug;
use luvio::{Loop, Pipe, Tcp, go};

/// The first argument of a worker.
const WORKER: &str = "--worker";

/// Hands each connection to the worker. A worker that is too slow to take them keeps the clients waiting, in the backlog.
async fn hand_out(server: Tcp, channel: Pipe) -> io::Result<()> {
    loop {
        let client = server.accept_next().await?.into_std()?;
        channel.write_with_fds("c", vec![client.into()]).await?;
    }
}

/// Takes connections out of the channel, until the first process has ended.
async fn take_in(channel: Pipe) -> io::Result<()> {
    while channel.read_once().await?.is_some() {
        for fd in channel.take_fds() {
            let client = Tcp::new(channel.event_loop());
            client.open(fd.into())?;
            go(serve(client));
        }
    }
    Ok(())
}

async fn serve(client: Tcp) {
    if let Err(err) = echo(client).await {
        debug!("connection failed: {err}");
    }
}

/// Says who answers, then echoes.
async fn echo(client: Tcp) -> io::Result<()> {
    client.write(format!("process {} serves you\n", id())).await?;
    while let Some(write) = client.read_with(|data| client.write(data)).await? {
        write.await?;
    }
    client.finish().await
}

fn main() {
    env_logger::init();
    let mut args = std::env::args().skip(1).peekable();
    let ended = if args.next_if_eq(WORKER).is_some() {
        work()
    } else {
        let port = args.next().unwrap_or("7000".into());
        let Ok(port) = port.parse() else {
            common::fail(
                "fd_passing",
                format_args!("usage: fd_passing [PORT] [WORKER…]; not a port: {port:?}"),
            );
        };
        run(port, args.collect())
    };
    if let Err(err) = ended {
        common::fail("fd_passing", err);
    }
}

/// The first process.
fn run(port: u16, worker: Vec<String>) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Tcp::new(&event_loop);
    server.bind(([127, 0, 0, 1], port))?;
    server.listen_only(128)?;
    let (channel, theirs) = Pipe::pair_with_descriptors(&event_loop)?;
    let mut command = match worker.split_first() {
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args);
            command
        }
        None => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(WORKER);
            command
        }
    };
    let mut worker = command.stdin(Stdio::from(theirs.into_fd()?)).spawn()?;
    drop(command); // it holds the worker's end, too
    graceful::end_on_signals(&event_loop)?;
    writeln!(io::stdout(), "Process {} listening on {}", id(), server.local_addr()?)?;
    event_loop.spawn(async {
        if let Err(err) = hand_out(server, channel).await {
            debug!("no more connections: {err}");
        }
    });
    event_loop.run()?;
    // The channel has ended with the loop.
    drop(event_loop);
    worker.wait().map(drop)
}

/// The second process.
fn work() -> io::Result<()> {
    let event_loop = Loop::new()?;
    let channel = Pipe::with_descriptors(&event_loop);
    channel.open(io::stdin().as_fd().try_clone_to_owned()?)?;
    graceful::end_on_signals(&event_loop)?;
    event_loop.try_block_on(take_in(channel))?;
    // Those who are being served may finish, but not for ever.
    event_loop.spawn(graceful::end(event_loop.handle().clone())).unref();
    event_loop.run()
}
