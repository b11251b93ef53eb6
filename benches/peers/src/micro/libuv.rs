//! The same operations in C on libuv, in a program of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::server::{SERVER_CORE, compile_with_libuv, pin_to_core};

/// Compiles the program, or says what is missing.
pub fn build() -> Result<PathBuf, String> {
    compile_with_libuv("libuv_micro")
}

/// Has the program run an operation so many times; it prints how many nanoseconds that took.
pub fn run(program: &Path, operation: &str, count: usize) -> Result<Duration, String> {
    let mut command = Command::new(program);
    command.args([operation, &count.to_string()]);
    // A child runs where the thread that starts it may run.
    let run = thread::spawn(move || {
        pin_to_core(SERVER_CORE);
        command.output()
    });
    let output = run.join().expect("starting a process does not panic");
    let output = output.map_err(|err| format!("{}: {err}", program.display()))?;
    let nanos = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    let taken = nanos.filter(|_| output.status.success()).map(Duration::from_nanos);
    taken.ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}: {}", output.status, said.lines().last().unwrap_or("it said nothing"))
    })
}
