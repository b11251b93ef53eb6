//! Random programs, and the promises that hold whatever a program does.
//!
//! A program is drawn from a seed: streams, datagrams, timers, hooks, notifiers, signals, deferred and posted closures,
//! tasks, and futures that are polled by hand. Its callbacks, destructors, wakers and tasks do the same things as its main
//! part: they use the handles that they belong to, panic, drop the loop.
//!
//! In `random_programs/`, `program` says what there is to do and `draw` draws it; `perform`, with `handles`, `streams`,
//! `datagrams`, `requests`, `futures` and `runs`, does it; `world`, `given` and `data` keep the books; `life` goes through a
//! program, and looks at the end.
//!
//! Each program runs in a child process, many after one another. One that fails, hangs or aborts is made smaller, as long as
//! it still fails in the same way, and printed with its seed.
//!
//! - `LUVIO_RANDOM_PROGRAMS=100000 cargo test --all-features --test random_programs` runs so many.
//! - `LUVIO_SEED=1234` begins with that seed; alone, it runs that program only.

mod support;

#[path = "random_programs/data.rs"]
mod data;
#[path = "random_programs/datagrams.rs"]
mod datagrams;
#[path = "random_programs/draw.rs"]
mod draw;
#[path = "random_programs/futures.rs"]
mod futures;
#[path = "random_programs/given.rs"]
mod given;
#[path = "random_programs/handles.rs"]
mod handles;
#[path = "random_programs/life.rs"]
mod life;
#[path = "random_programs/perform.rs"]
mod perform;
#[path = "random_programs/program.rs"]
mod program;
#[path = "random_programs/requests.rs"]
mod requests;
#[path = "random_programs/runs.rs"]
mod runs;
#[path = "random_programs/streams.rs"]
mod streams;
#[path = "random_programs/world.rs"]
mod world;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{self, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use program::Program;
use support::{child, is_child};

/// So many programs run without being asked, half of them with fixed seeds, half with new ones.
const PROGRAMS: u64 = 2_000;
/// A program that takes longer hangs. Usual are a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for one that is being made smaller.
const LESS_PATIENCE: Duration = Duration::from_secs(2);
/// So long a program is made smaller.
const SHRINKING: Duration = Duration::from_secs(60);

const COUNT: &str = "LUVIO_RANDOM_PROGRAMS";
const SEED: &str = "LUVIO_SEED";
/// Tells a child process which programs to run, and which parts of them.
const TO_RUN: &str = "LUVIO_TEST_PROGRAMS";

const TEST: &str = "whatever_a_program_does_the_promises_hold";

/// L-03, L-04, L-12, L-16, L-29, L-31, L-33, L-40, H-02, H-10, H-12, T-01, RD-05, RD-06, Z-05: whatever a program does,
/// its requests end once, what it gave away is dropped once, and the loop comes to its end.
#[test]
fn whatever_a_program_does_the_promises_hold() {
    if is_child() {
        return run_programs(&env::var(TO_RUN).expect("the parent says what to run"));
    }
    let number = |name| env::var(name).ok().map(|text: String| text.parse().expect(name));
    let fresh = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("now is later");
    let fresh = fresh.as_micros() as u64;
    match (number(SEED), number(COUNT)) {
        (Some(seed), count) => try_programs(seed, count.unwrap_or(1)),
        (None, Some(count)) => try_programs(fresh, count),
        (None, None) => {
            try_programs(1, PROGRAMS / 2);
            try_programs(fresh, PROGRAMS / 2);
        }
    }
}

// ---- the child ------------------------------------------------------------------------------------------------------------

/// Runs the programs of so many seeds, or those parts of one program: `seed+count` or `seed:1,2,5`.
fn run_programs(what: &str) {
    life::note_panics();
    life::log_to_programs();
    life::catch_signals();
    support::refusing_addr();
    #[cfg(target_os = "linux")]
    let unanswering = support::unanswering();
    #[cfg(target_os = "linux")]
    let silent = Some(unanswering.addr);
    #[cfg(not(target_os = "linux"))]
    let silent = None;
    let run = |seed: u64, kept: Option<Vec<usize>>| {
        println!("@program {seed}");
        let mut program = Program::of(seed);
        if let Some(kept) = kept {
            program.keep(&kept);
        }
        if let Err(failure) = life::live(program, silent) {
            println!("@failure {}", failure.replace('\n', " "));
            let _ = std::io::stdout().flush();
            process::exit(1);
        }
    };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    if let Some((seed, kept)) = what.split_once(':') {
        let kept = kept.split(',').filter(|part| !part.is_empty());
        run(number(seed), Some(kept.map(|part| number(part) as usize).collect()));
    } else {
        let (seed, count) = what.split_once('+').expect("a seed and a count");
        (0..number(count)).for_each(|n| run(number(seed) + n, None));
    }
    println!("@done");
}

// ---- the parent -----------------------------------------------------------------------------------------------------------

/// What became of a child, if it failed: the seed of its last program, and how that failed.
struct Failure {
    seed: u64,
    text: String,
}

impl Failure {
    /// What has to stay the same while a program is made smaller.
    fn kind(&self) -> String {
        let words: String = self.text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        words.chars().take(60).collect()
    }
}

fn try_programs(first: u64, count: u64) {
    let mut from = first;
    while from < first + count {
        // Not all in one process, so that an environment with a limit per process does.
        let some = (first + count - from).min(2_000);
        if let Some(failure) = run_child(&format!("{from}+{some}"), PATIENCE) {
            report(&failure);
        }
        from += some;
    }
}

fn run_child(what: &str, patience: Duration) -> Option<Failure> {
    let mut command = child(TEST, "");
    let mut process = command
        .env(TO_RUN, what)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary can be started again");
    let stdout = process.stdout.take().expect("it is piped");
    let mut stderr = process.stderr.take().expect("it is piped");
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    let (mut seed, mut failure, mut is_done) = (0, None, false);
    loop {
        match lines.recv_timeout(patience) {
            Ok(line) => {
                // The test harness may have begun the line.
                let Some((_, told)) = line.split_once('@') else { continue };
                if let Some(number) = told.strip_prefix("program ") {
                    seed = number.parse().expect("a number");
                } else if let Some(text) = told.strip_prefix("failure ") {
                    failure = Some(text.to_string());
                }
                is_done |= told == "done";
            }
            Err(RecvTimeoutError::Timeout) => {
                failure = Some("it hangs".to_string());
                let _ = process.kill();
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = process.wait().expect("it was started");
    let errors = errors.join().expect("nothing panics there");
    if is_done && failure.is_none() && status.success() {
        return None;
    }
    let text = failure.unwrap_or_else(|| {
        let last = errors.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ");
        format!("the process ended with {status}: {last}")
    });
    Some(Failure { seed, text })
}

/// Makes the program smaller, and fails with what is left.
fn report(failure: &Failure) {
    let seed = failure.seed;
    eprintln!("program {seed} failed: {}\nmaking it smaller …", failure.text);
    let mut kept: Vec<usize> = (0..Program::of(seed).parts()).collect();
    let mut text = failure.text.clone();
    let deadline = Instant::now() + SHRINKING;
    let mut size = kept.len().div_ceil(2);
    while Instant::now() < deadline {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < kept.len() && Instant::now() < deadline {
            let without: Vec<usize> = [&kept[..at], &kept[(at + size).min(kept.len())..]].concat();
            let list: Vec<String> = without.iter().map(ToString::to_string).collect();
            match run_child(&format!("{seed}:{}", list.join(",")), LESS_PATIENCE) {
                Some(smaller) if smaller.kind() == failure.kind() => {
                    text = smaller.text;
                    kept = without;
                    has_shrunk = true;
                }
                _ => at += size,
            }
        }
        if size == 1 && !has_shrunk {
            break;
        }
        size = size.div_ceil(2).max(1);
    }
    let mut program = Program::of(seed);
    program.keep(&kept);
    panic!("{text}\nseed {seed} ({SEED}={seed} repeats it), made smaller:\n{program}");
}
