//! How the servers with tasks end.

use std::io;
use std::time::Duration;

use log::info;
use luvio::{ByteStream, Loop, LoopHandle, Pipe, Signal, Tcp, go, sleep};

/// Ctrl-C, and what a service manager sends.
const SIGNALS: [i32; 2] = [Signal::INT, Signal::TERM];

/// How long clients have to take what is under way to them when the server ends.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// Has the first Ctrl-C end the server gracefully; the second one ends it at once.
pub fn end_on_signals(event_loop: &Loop) -> io::Result<()> {
    for signum in SIGNALS {
        let signal = Signal::new(event_loop);
        signal.start_only(signum)?;
        // The program is there for its clients, not for these tasks.
        event_loop.spawn(end_on(signal)).unref();
    }
    Ok(())
}

/// Waits for the signal, then ends.
async fn end_on(signal: Signal) -> io::Result<()> {
    let signum = signal.delivered().await?;
    info!("{}: ending", Signal::name_of(signum).unwrap_or("a signal"));
    signal.close();
    end(signal.event_loop().clone()).await;
    Ok(())
}

/// Every connection ends without losing what is under way; after a while, the slow ones are closed.
pub async fn end(event_loop: LoopHandle) {
    event_loop.walk(|handle| {
        if let Some(tcp) = handle.as_any().downcast_ref::<Tcp>() {
            end_stream(tcp);
        } else if let Some(pipe) = handle.as_any().downcast_ref::<Pipe>() {
            end_stream(pipe);
        }
    });
    sleep(LAST_CHANCE).await;
    event_loop.close_all();
}

fn end_stream(stream: &impl ByteStream) {
    match stream.is_readable() {
        true => go(say_goodbye(stream.clone())),
        false => drop(stream.finish()), // one that listens
    }
}

/// Ends a connection. What the client still sends is read and dropped: to close on unread data would be
/// a reset, which takes back what is under way to it.
pub async fn say_goodbye(client: impl ByteStream) {
    let _ = client.shutdown().await; // or that was done before
    // Also ends if the client's own task waits for data: then there is nothing unread.
    while let Ok(Some(())) = client.read_with(|_| ()).await {}
    client.finish();
}
