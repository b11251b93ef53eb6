//! An echo server on what smol consists of: async-io's reactor under async-executor's local executor.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

async fn echo(mut stream: Async<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let addr: SocketAddr = format!("{host}:{port}").parse().map_err(io::Error::other)?;
    let executor = Rc::new(LocalExecutor::new());
    async_io::block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(addr)?;
        println!("Echo server listening on {}", listener.get_ref().local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(echo(stream)).detach();
        }
    }))
}
