//! luvio's echo server in tasks over a Unix socket: what examples/async_echo does over TCP.

use std::io;

use luvio::{Loop, Pipe, go};

async fn echo(client: Pipe) {
    loop {
        let echoed = match client.read_with(|data| client.write(data)).await {
            Ok(Some(writing)) => writing.await,
            Ok(None) => break,
            Err(err) => Err(err),
        };
        if echoed.is_err() {
            return;
        }
    }
    client.finish();
}

async fn serve(server: Pipe) -> io::Result<()> {
    loop {
        go(echo(server.accept_next().await?));
    }
}

fn main() -> io::Result<()> {
    let path = std::env::args().nth(2).unwrap_or_else(|| "/tmp/luvio_pipe_tasks".into());
    let event_loop = Loop::new()?;
    let server = Pipe::new(&event_loop);
    server.bind(&path)?;
    server.listen_only(128)?;
    println!("Echo server listening on {path}");
    event_loop.spawn(serve(server));
    event_loop.run()
}
