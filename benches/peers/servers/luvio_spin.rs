//! luvio's echo server in callbacks on a loop that polls for a while before it sleeps.

use std::io;
use std::time::Duration;

use luvio::{Loop, Tcp};

/// Longer than a sleeping core takes to wake up.
const SPIN: Duration = Duration::from_micros(200);

fn on_read(client: &Tcp, chunk: io::Result<Option<&[u8]>>) {
    match chunk {
        Ok(Some(data)) => drop(client.write(data)),
        Ok(None) => drop(client.finish()),
        Err(_) => drop(client.close()),
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let event_loop = Loop::builder().busy_poll(SPIN).build()?;
    let server = Tcp::new(&event_loop);
    server.bind(format!("{host}:{port}").as_str())?;
    server.listen(128, |server, incoming| {
        if let Ok(client) = incoming.and_then(|()| server.accept()) {
            let _ = client.read_start(on_read);
        }
    })?;
    println!("Echo server listening on {}", server.local_addr()?);
    event_loop.run()
}
