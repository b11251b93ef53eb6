//! A UDP echo server on tokio: current-thread runtime, one task.

use std::io;

use tokio::net::UdpSocket;

async fn serve(addr: String) -> io::Result<()> {
    let socket = UdpSocket::bind(addr).await?;
    println!("UDP echo server listening on {}", socket.local_addr()?);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..length], from).await?;
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve(format!("{host}:{port}")))
}
