//! A pipeline of three coroutines: producer, transformer, consumer.
//!
//! Each coroutine resumes the one before it whenever it wants a value, so the consumer sets the
//! pace: nothing is made before it is asked for, and no value is ever stored. The memory that this
//! takes does not depend on the number of values. There is no event loop in it.
//!
//! Run it, with N, the last number to square (default 10), and START, the first (default 1):
//!
//! ```text
//! cargo run --example co_pipeline [N [START]]
//! ```
//!
//! Try it:
//!
//! ```text
//! cargo run --example co_pipeline 3                        1, 4 and 9
//! cargo run --example co_pipeline 0                        nothing
//! cargo run --example co_pipeline 10000000 | head          ends quietly when head does
//! cargo run --example co_pipeline 4294967296 4294967295    the second needs more than 64 bits
//! ```

use std::convert::Infallible;
use std::env;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use luvio::coroutine::{Coroutine, Resumed, Status};

/// Makes the numbers from `start` to `n`.
fn producer(start: u64, n: u64) -> Coroutine<u64> {
    Coroutine::new(async move |co| {
        for i in start..=n {
            // Hands `i` to whoever resumed this coroutine, and rests until the next resume.
            co.yield_(i).await;
        }
        // The end of the body: from now on the coroutine is dead.
    })
}

/// Squares what the source yields.
///
/// What can go wrong in a body is its return value. The source here has nothing to say at its end,
/// and is read with a plain `for`.
fn transformer(source: Coroutine<u64>) -> Coroutine<u64, (), io::Result<()>> {
    Coroutine::new(async move |co| {
        for number in source {
            let square = number.checked_mul(number).ok_or_else(|| {
                let text = format!("the square of {number} does not fit in 64 bits");
                io::Error::new(ErrorKind::InvalidData, text)
            })?;
            co.yield_(square).await;
        }
        Ok(())
    })
}

/// Prints what the source yields, and yields nothing itself.
///
/// This source does have something to say at its end, so it is resumed by hand.
fn consumer(
    source: Coroutine<u64, (), io::Result<()>>,
) -> Coroutine<Infallible, (), io::Result<()>> {
    Coroutine::new(async move |_| {
        let mut out = BufWriter::new(io::stdout().lock());
        let end = loop {
            match source.resume(()).map_err(io::Error::other)? {
                Resumed::Yielded(square) => writeln!(out, "Consumer received: {square}")?,
                Resumed::Returned(end) => break end,
            }
        };
        out.flush()?; // also before an error is reported
        end
    })
}

/// Connects the three, and drives the last until it is dead.
fn run_pipeline(start: u64, n: u64) -> io::Result<()> {
    let numbers = producer(start, n);
    let squares = transformer(numbers);
    let printer = consumer(squares);

    while printer.status() != Status::Dead {
        let Resumed::Returned(end) = printer.resume(()).map_err(io::Error::other)?;
        end?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let (start, n) = match arguments() {
        Ok(numbers) => numbers,
        Err(text) => {
            eprintln!("co_pipeline: {text} (usage: co_pipeline [N [START]])");
            return ExitCode::from(2);
        }
    };
    match run_pipeline(start, n) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `co_pipeline | head`.
        Err(err) if err.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("co_pipeline: {err}");
            ExitCode::FAILURE
        }
    }
}

/// START and N, or what is wrong with them.
fn arguments() -> Result<(u64, u64), String> {
    let mut arguments = env::args_os().skip(1);
    let mut number = |name, default| match arguments.next() {
        None => Ok(default),
        Some(text) => text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            format!("{name} must be a whole number from 0 to {}, not {text:?}", u64::MAX)
        }),
    };
    let (n, start) = (number("N", 10)?, number("START", 1)?);
    match arguments.next() {
        None => Ok((start, n)),
        Some(extra) => Err(format!("{extra:?} is one argument too many")),
    }
}
