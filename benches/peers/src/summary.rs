//! Figures: their medians and spreads, tables for people, JSON for programs.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::{Map, Value, json};

/// A median, and half the width of its 95 % interval (by order statistics, so without any assumption).
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub half_width: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let middle = last as f64 / 2.0;
        let reach = 0.98 * (sorted.len() as f64).sqrt();
        let low = sorted[(middle - reach).max(0.0).floor() as usize];
        let high = sorted[((middle + reach).ceil() as usize).min(last)];
        let median = (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0;
        Some(Spread { median, half_width: (high - low) / 2.0 })
    }

    /// Of the ratios within each round, which do not depend on the machine's mood.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Spread> {
        let ratios: Vec<f64> =
            ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        Spread::of(&ratios)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ±{:.2}", self.median, self.half_width)
    }
}

/// A figure of which the first three digits matter.
pub fn count(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds, shown in microseconds.
pub fn micros(nanos: f64) -> String {
    match nanos / 1_000.0 {
        micros if micros < 100.0 => format!("{micros:.2}"),
        micros => count(micros),
    }
}

/// A table for the terminal, which is valid Markdown as well.
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    pub fn new(name: &str, what: &str, columns: &[&str]) -> Table {
        Table {
            title: format!("{name}: {what}"),
            columns: columns.iter().map(|column| (*column).to_string()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn note(&mut self, about: &str, what: &str) {
        self.notes.push(format!("{about}: {what}"));
    }

    pub fn print(&self) {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| &row[column]);
            cells.chain([&self.columns[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells =
                cells.iter().zip(&widths).enumerate().map(
                    |(column, (cell, &width))| match column {
                        0 => format!("{cell:<width$}"),
                        _ => format!("{cell:>width$}"),
                    },
                );
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        println!("\n### {}\n", self.title);
        println!("{}", line(&self.columns));
        let rule = widths.iter().enumerate().map(|(column, &width)| match column {
            0 => "-".repeat(width + 2),
            _ => format!("{}:", "-".repeat(width + 1)),
        });
        println!("|{}|", rule.collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            println!("{}", line(row));
        }
        if !self.notes.is_empty() {
            println!();
        }
        for note in &self.notes {
            println!("- {note}");
        }
    }
}

/// All figures of the run, and what failed.
#[derive(Default)]
pub struct Report {
    figures: Map<String, Value>,
    failures: Vec<String>,
    unwritten: bool,
}

impl Report {
    /// Says where and when this was measured.
    pub fn describe_machine(&mut self) {
        let first_line = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().map(str::to_string)
        };
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split(':').nth(1)?.trim().to_string())
        });
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let system = first_line("uname", &["-sr"]).unwrap_or_else(|| "?".into());
        let date = first_line("date", &["-I"]).unwrap_or_else(|| "?".into());
        let rust = first_line("rustc", &["--version"]).unwrap_or_else(|| "?".into());
        let cpu = cpu.unwrap_or_else(|| std::env::consts::ARCH.into());
        println!("{date}, {system}, {cores} cores ({cpu}), {rust}");
        println!(
            "Ratios are medians over rounds, each taken within a round; ± is half of the 95 % interval."
        );
        self.figures.insert(
            "machine".into(),
            json!({ "date": date, "system": system, "cores": cores, "cpu": cpu, "rust": rust }),
        );
    }

    pub fn record(&mut self, part: &str, subject: &str, figures: &[(&str, Option<f64>)]) {
        let figures: Map<String, Value> = figures
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_string(), json!((*value)?))))
            .collect();
        let part = self.figures.entry(part).or_insert_with(|| json!({}));
        part[subject] = Value::Object(figures);
    }

    pub fn fail(&mut self, who: &str, reason: &str) {
        let failure = format!("{who}: {reason}");
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    pub fn write_json(&mut self, path: &Path) {
        let text = serde_json::to_string_pretty(&self.figures).expect("numbers and text");
        if let Err(err) = fs::write(path, text + "\n") {
            eprintln!("cargo bench: {}: {err}", path.display());
            self.unwritten = true;
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        for failure in &self.failures {
            eprintln!("cargo bench: {failure}");
        }
        match self.failures.is_empty() && !self.unwritten {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
