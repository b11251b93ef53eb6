//! An echo server on calloop: a generic source for each socket, by edge and for both directions.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};

/// What all connections share.
struct State {
    buffer: Vec<u8>,
}

/// What one connection has queued.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
}

fn add_connection(handle: &LoopHandle<'static, State>, stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut queue = Queue::default();
    let source = Generic::new(stream, Interest::BOTH, Mode::Edge);
    let added = handle.insert_source(source, move |_, stream, state| {
        let mut stream: &TcpStream = stream;
        match serve(&mut stream, &mut queue, &mut state.buffer) {
            Ok(true) => Ok(PostAction::Continue),
            Ok(false) | Err(_) => Ok(PostAction::Remove),
        }
    });
    added.map(drop).map_err(|err| io::Error::other(err.to_string()))
}

/// Sends what is queued, then reads and echoes until nothing is left. False at the end of the stream.
fn serve(stream: &mut &TcpStream, queue: &mut Queue, buffer: &mut [u8]) -> io::Result<bool> {
    loop {
        while !queue.bytes.is_empty() {
            match stream.write(&queue.bytes) {
                Ok(sent) => drop(queue.bytes.drain(..sent)),
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(err) => return Err(err),
            }
        }
        match stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => queue_or_send(stream, queue, &buffer[..length])?,
            Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(err) => return Err(err),
        }
    }
}

fn queue_or_send(stream: &mut &TcpStream, queue: &mut Queue, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match stream.write(data) {
            Ok(sent) => data = &data[sent..],
            Err(err) if err.kind() == ErrorKind::WouldBlock => break,
            Err(err) => return Err(err),
        }
    }
    queue.bytes.extend_from_slice(data);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "7000".into());
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let mut event_loop: EventLoop<'static, State> = EventLoop::try_new()?;
    let handle = event_loop.handle();
    let listener = TcpListener::bind(format!("{host}:{port}"))?;
    listener.set_nonblocking(true)?;
    println!("Echo server listening on {}", listener.local_addr()?);
    let connections = handle.clone();
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let added = handle.insert_source(source, move |_, listener, _| {
        while let Ok((stream, _)) = listener.accept() {
            add_connection(&connections, stream)?;
        }
        Ok(PostAction::Continue)
    });
    added.map_err(|err| err.to_string())?;
    event_loop.run(None, &mut State { buffer: vec![0; 64 * 1024] }, |_| {})?;
    Ok(())
}
