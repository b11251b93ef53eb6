//! luvio's echo server in callbacks over a Unix socket: what examples/luv_echo does over TCP.

use std::io;

use luvio::{Loop, Pipe};

fn on_read(client: &Pipe, chunk: io::Result<Option<&[u8]>>) {
    match chunk {
        Ok(Some(data)) => {
            client.write(data);
            if client.needs_drain() {
                pause(client);
            }
        }
        Ok(None) => drop(client.finish()),
        Err(_) => drop(client.close()),
    }
}

/// A client that sends but does not read waits until it has read.
fn pause(client: &Pipe) {
    client.read_stop();
    let paused = client.clone();
    client.drained().then(move |drained| {
        if drained.is_ok() {
            let _ = paused.read_start(on_read);
        }
    });
}

fn main() -> io::Result<()> {
    let path = std::env::args().nth(2).unwrap_or_else(|| "/tmp/luvio_pipe".into());
    let event_loop = Loop::new()?;
    let server = Pipe::new(&event_loop);
    server.bind(&path)?;
    server.listen(128, |server, incoming| {
        if let Ok(client) = incoming.and_then(|()| server.accept()) {
            let _ = client.read_start(on_read);
        }
    })?;
    println!("Echo server listening on {path}");
    event_loop.run()
}
