//! luvio's UDP echo with offload: what the system has joined goes back in one piece.

use std::io::{self, Write};

use luvio::{Datagram, Loop, Udp};

fn on_datagrams(server: &Udp, datagrams: io::Result<Datagram<'_>>) {
    if let Ok(datagrams) = datagrams {
        // What there is no room for is dropped.
        let _ = server.try_send_segments(datagrams.data, datagrams.segment_size, datagrams.from);
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let event_loop = Loop::new()?;
    let server = Udp::new(&event_loop);
    server.bind(format!("{host}:{port}"))?;
    server.enable_offload()?;
    server.recv_start(on_datagrams)?;
    writeln!(io::stdout(), "UDP echo server listening on {}", server.local_addr()?)?;
    event_loop.run()
}
