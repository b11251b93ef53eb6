//! The coroutine pipeline behind a socket: a server that squares the numbers it is sent.
//!
//! ```text
//! cargo run --example pipeline_server -- 7000
//! printf '1\n2\nthree\n4\n' | nc -N 127.0.0.1 7000      # in another terminal
//! ```
//!
//! `pipeline_server [PORT] [HOST]`. Each client has a pipeline of its own: a producer that pulls
//! lines out of the socket, a transformer that squares, a consumer that sends the answers. As in
//! `co_pipeline`, each resumes the one before it; here a resume may have to wait for the network,
//! which is what `resume_async` is for.

mod common;
#[path = "common/graceful.rs"]
mod graceful;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use log::debug;
use luvio::coroutine::{Coroutine, ResumeError, Resumed};
use luvio::{Loop, Tcp, go, timeout};

/// The longest line that a client may send. Without a bound, one that never ends its line would
/// fill our memory.
const LONGEST_LINE: usize = 1024;

/// Answers are sent when so many bytes of them have gathered, or when there is nothing else to do.
const SEND_AT: usize = 16 * 1024;

/// How long a client that was refused has to read why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A line of the client, or why it gets no further line in.
enum Line {
    Text { number: usize, text: String },
    TooLong { number: usize },
}

/// What is sent back for a line, and whether it was the last one.
struct Answer {
    text: String,
    is_last: bool,
}

/// Pulls lines out of the socket, however the network has cut them.
fn producer(client: Tcp) -> Coroutine<Line, (), io::Result<()>> {
    Coroutine::new(async move |co| {
        let mut unread = Vec::new();
        let mut number = 0;
        loop {
            let received = client.read_into(&mut unread).await?;
            let mut rest = &unread[..];
            while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                number += 1;
                co.yield_(line(number, &rest[..end])).await;
                rest = &rest[end + 1..];
            }
            let is_last = received == 0;
            let is_endless = rest.len() > LONGEST_LINE + 1; // what is one over may be a CR
            if is_endless || (is_last && !rest.is_empty()) {
                co.yield_(line(number + 1, rest)).await;
            }
            if is_last {
                return Ok(());
            }
            unread.drain(..unread.len() - rest.len());
        }
    })
}

fn line(number: usize, bytes: &[u8]) -> Line {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if bytes.len() > LONGEST_LINE {
        return Line::TooLong { number };
    }
    Line::Text { number, text: String::from_utf8_lossy(bytes).trim().to_string() }
}

/// Squares what the source yields. A line that cannot be squared gets an answer that says why.
fn transformer(
    source: Coroutine<Line, (), io::Result<()>>,
) -> Coroutine<Answer, (), io::Result<()>> {
    Coroutine::new(async move |co| {
        loop {
            let line = match source.resume_async(()).await.map_err(io::Error::other)? {
                Resumed::Yielded(line) => line,
                Resumed::Returned(end) => return end,
            };
            let is_last = matches!(line, Line::TooLong { .. });
            let text = square(line).unwrap_or_else(|problem| format!("error: {problem}"));
            co.yield_(Answer { text, is_last }).await;
        }
    })
}

fn square(line: Line) -> Result<String, String> {
    let (number, text) = match line {
        Line::Text { number, text } => (number, text),
        Line::TooLong { number } => {
            return Err(format!("line {number}: longer than {LONGEST_LINE} bytes"));
        }
    };
    let value: i64 =
        text.parse().map_err(|problem| format!("line {number}: {text:?}: {problem}"))?;
    match value.checked_mul(value) {
        Some(square) => Ok(square.to_string()),
        None => Err(format!("line {number}: the square of {value} does not fit in 64 bits")),
    }
}

/// Sends what the source yields, one answer a line.
async fn consumer(source: Coroutine<Answer, (), io::Result<()>>, client: &Tcp) -> io::Result<()> {
    let mut answers = String::new();
    loop {
        // First without waiting. When that is not possible, the client gets what it has earned so
        // far before we wait for more.
        let mut resumed = source.resume(());
        if matches!(resumed, Err(ResumeError::Blocked)) {
            send(&mut answers, client).await?;
            resumed = source.resume_async(()).await;
        }
        match resumed.map_err(io::Error::other)? {
            Resumed::Yielded(Answer { text, is_last }) => {
                let _ = writeln!(answers, "{text}"); // into a String: cannot fail
                if is_last {
                    send(&mut answers, client).await?;
                    // The client may still be sending, but not for ever.
                    let _ = timeout(LAST_WORDS, graceful::say_goodbye(client.clone())).await;
                    return Ok(());
                }
            }
            Resumed::Returned(end) => {
                send(&mut answers, client).await?;
                return end;
            }
        }
        if answers.len() >= SEND_AT {
            send(&mut answers, client).await?;
        }
    }
}

async fn send(answers: &mut String, client: &Tcp) -> io::Result<()> {
    if !answers.is_empty() {
        client.write(answers.as_bytes()).await?;
        answers.clear();
    }
    Ok(())
}

/// Connects the three for one client, and sends all answers before it closes.
async fn run_pipeline(client: Tcp) {
    let lines = producer(client.clone());
    let answers = transformer(lines);
    if let Err(err) = consumer(answers, &client).await {
        return debug!("connection failed: {err}");
    }
    client.finish();
}

/// Accepts connections, and starts a pipeline for each.
async fn serve(server: Tcp) -> io::Result<()> {
    loop {
        let client = server.accept_next().await?;
        go(run_pipeline(client));
    }
}

fn main() {
    env_logger::init();
    let addr = common::address_from_args("pipeline_server");
    if let Err(err) = run(addr) {
        common::fail("pipeline_server", format_args!("{addr}: {err}"));
    }
}

fn run(addr: SocketAddr) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let server = Tcp::new(&event_loop);
    server.bind(addr)?;
    server.listen_only(128)?;
    graceful::end_on_signals(&event_loop)?;
    writeln!(io::stdout(), "Pipeline server listening on {}", server.local_addr()?)?;
    event_loop.spawn(serve(server));
    event_loop.run()
}
