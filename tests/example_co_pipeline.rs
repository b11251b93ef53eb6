//! Runs the example `co_pipeline` as a process: what it prints, how it fails, and how it ends when
//! nobody reads on.

#[path = "support/process.rs"]
mod process;

use std::io::{self, BufRead, BufReader};

use process::{Example, Run};

#[test]
fn without_an_argument_it_prints_ten_squares() {
    let run = run(&[]);
    let squares = [1, 4, 9, 16, 25, 36, 49, 64, 81, 100];
    assert_eq!(run.stdout, lines(squares));
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn n_is_the_last_number() {
    let run = run(&["3"]);
    assert_eq!(run.stdout, lines([1, 4, 9]));
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn start_is_the_first_number() {
    let run = run(&["7", "6"]);
    assert_eq!(run.stdout, lines([36, 49]));
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn zero_prints_nothing() {
    let run = run(&["0"]);
    assert_eq!(run.stdout, "");
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn bad_n_is_one_line_on_standard_error_and_status_2() {
    for bad in ["ten", "", "-1", "1.5", "1e3", " 5", "5 ", "18446744073709551616", "a\nb"] {
        let run = run(&[bad]);
        assert_one_line_of_usage(&run, bad);
    }
}

#[test]
fn bad_start_or_a_third_argument_is_one_line_of_usage_too() {
    assert_one_line_of_usage(&run(&["3", "one"]), "START");
    assert_one_line_of_usage(&run(&["3", "1", "2"]), "too many");
}

#[cfg(unix)]
#[test]
fn n_that_is_not_unicode_is_one_line_of_usage_too() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let run = process::run("co_pipeline", [OsStr::from_bytes(b"1\xff")]);
    assert_one_line_of_usage(&run, "not Unicode");
}

#[test]
fn square_that_overflows_64_bits_is_an_error_after_the_last_right_number() {
    let run = run(&["4294967299", "4294967294"]);
    assert_eq!(run.stdout, lines([18446744056529682436, 18446744065119617025]));
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("4294967296 does not fit in 64 bits"), "{}", run.stderr);
    assert_eq!(run.status.code(), Some(1));
}

#[test]
fn largest_numbers_overflow_at_once() {
    let run = run(&["18446744073709551615", "18446744073709551615"]);
    assert_eq!(run.stdout, "");
    assert_eq!((run.status.code(), run.stderr.lines().count()), (Some(1), 1));
}

#[test]
fn million_lines_come_out_in_order() {
    let run = run(&["1000000"]);
    assert_eq!((run.status.code(), run.stderr.as_str()), (Some(0), ""));
    let mut count = 0_u64;
    for line in run.stdout.lines() {
        count += 1;
        let square = line.strip_prefix("Consumer received: ").and_then(|text| text.parse().ok());
        assert_eq!(square, Some(count * count));
    }
    assert_eq!(count, 1_000_000);
}

#[test]
fn reader_that_goes_away_ends_it_quietly() {
    let example = Example::start("co_pipeline", ["1000000000000"]);
    let mut stdout = BufReader::new(example.stdout());
    let mut first = String::new();
    stdout.read_line(&mut first).expect("the first line");
    assert_eq!(first, "Consumer received: 1\n");
    drop(stdout); // as `head -1` does
    let stderr = io::read_to_string(example.stderr()).expect("text");
    assert_eq!((example.end().code(), stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a Linux system");
    let output =
        process::command("co_pipeline").arg("3").stdout(full).output().expect("the example starts");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
}

/// What it holds after a thousand lines is about what it holds after a million.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_values() {
    let example = Example::start("co_pipeline", ["2000000"]);
    let mut lines = BufReader::new(example.stdout()).lines();
    // It blocks on the full pipe whenever nobody reads, so it is there to be asked.
    let mut peak_after = |count: usize| {
        let read = lines.by_ref().take(count).filter(Result::is_ok).count();
        assert_eq!(read, count);
        process::proc::peak_memory_kib(example.id())
    };
    let early = peak_after(1_000);
    let late = peak_after(999_000);
    assert!(late <= early + 512, "{early} KiB, then {late} KiB");
}

fn run(arguments: &[&str]) -> Run {
    process::run("co_pipeline", arguments)
}

fn lines(squares: impl IntoIterator<Item = u64>) -> String {
    squares.into_iter().map(|square| format!("Consumer received: {square}\n")).collect()
}

fn assert_one_line_of_usage(run: &Run, what: &str) {
    assert_eq!(run.status.code(), Some(2), "{what:?}");
    assert_eq!(run.stdout, "", "{what:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{what:?}: {}", run.stderr);
    assert!(run.stderr.contains("usage: co_pipeline"), "{what:?}: {}", run.stderr);
}
