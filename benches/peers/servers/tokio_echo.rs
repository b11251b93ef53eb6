//! An echo server on tokio: current-thread runtime, a local task for each connection. A host that is a path is a Unix
//! socket.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{LocalSet, spawn_local};

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        stream.write_all(&buffer).await?;
    }
}

async fn serve(addr: String) -> io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    println!("Echo server listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(echo(stream));
    }
}

async fn serve_unix(path: String) -> io::Result<()> {
    let listener = UnixListener::bind(&path)?;
    println!("Echo server listening on {path}");
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(echo(stream));
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = LocalSet::new();
    match host.starts_with('/') {
        true => runtime.block_on(tasks.run_until(serve_unix(host))),
        false => runtime.block_on(tasks.run_until(serve(format!("{host}:{port}")))),
    }
}
