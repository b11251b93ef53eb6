//! Figures: their medians and spreads, tables for people, JSON for programs.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::{Map, Value, json};

use crate::options::Options;

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
    if value < 100.0 { format!("{value:.1}") } else { grouped(value.round() as u64) }
}

/// A whole number.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
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
    pub fn new(name: &str, what: &str, columns: &[impl ToString]) -> Table {
        Table {
            title: format!("{name}: {what}"),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What is missing at the end of the row was not measured.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), "-".into());
        self.rows.push(cells);
    }

    pub fn note(&mut self, about: &str, what: &str) {
        self.notes.push(format!("{about}: {what}"));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn print(&self) {
        print!("{self}");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let rule = widths.iter().enumerate().map(|(column, &width)| match column {
            0 => "-".repeat(width + 2),
            _ => format!("{}:", "-".repeat(width + 1)),
        });
        writeln!(f, "\n### {}\n", self.title)?;
        if !self.rows.is_empty() {
            writeln!(f, "{}", line(&self.columns))?;
            writeln!(f, "|{}|", rule.collect::<Vec<_>>().join("|"))?;
        }
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
        }
        if !self.rows.is_empty() && !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

/// All figures of the run, and what failed.
#[derive(Default)]
pub struct Report {
    figures: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    /// Says where and when this is measured.
    pub fn describe_run(&mut self, options: &Options) {
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
        println!("{date}, {system}, {cores} cores ({cpu}), {rust}.");
        self.figures.insert(
            "machine".into(),
            json!({ "date": date, "system": system, "cores": cores, "cpu": cpu, "rust": rust }),
        );
        self.figures.insert(
            "run".into(),
            json!({ "quick": options.quick, "rounds": options.rounds(), "parts": options.parts() }),
        );
    }

    /// Keeps the figures of a subject in a part of the table.
    pub fn record(&mut self, path: &[&str], figures: &[(&str, Option<f64>)]) {
        let mut at = &mut self.figures;
        for step in path {
            let next = at.entry(*step).or_insert_with(|| json!({}));
            at = next.as_object_mut().expect("figures are only at the ends of paths");
        }
        for (name, value) in figures {
            // JSON has no word for what is no number.
            if let Some(value) = value.filter(|value| value.is_finite()) {
                at.insert((*name).to_string(), json!(value));
            }
        }
    }

    /// A figure that was recorded.
    pub fn figure(&self, path: &[&str]) -> Option<f64> {
        let (first, rest) = path.split_first()?;
        let start = self.figures.get(*first)?;
        rest.iter().try_fold(start, |at, step| at.get(step))?.as_f64()
    }

    /// Notes what went wrong: said at the end, once.
    pub fn fail(&mut self, who: &str, reason: &str) {
        let failure = format!("{who}: {reason}");
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    pub fn write_json(&mut self, path: &Path) {
        self.figures.insert("failures".into(), json!(self.failures));
        let text = serde_json::to_string_pretty(&self.figures).expect("numbers and text");
        if let Err(err) = fs::write(path, text + "\n") {
            self.fail(&path.display().to_string(), &err.to_string());
        }
    }

    /// Says what failed, and ends with it.
    pub fn exit_code(&self) -> ExitCode {
        for failure in &self.failures {
            eprintln!("cargo bench: {failure}");
        }
        match self.failures.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_few_values_has_their_whole_range() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.half_width), (2.0, 1.0));
        assert_eq!(Spread::of(&[1.0, 2.0]).unwrap().median, 1.5);
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn the_interval_of_the_median_narrows_with_the_number_of_values() {
        let of = |count: usize| {
            let values: Vec<f64> = (0..count).map(|n| n as f64 / count as f64).collect();
            Spread::of(&values).unwrap().half_width
        };
        assert!(of(400) < of(100) && of(100) < of(25) && of(25) < 0.25);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Both are slow in the same round: that is the weather.
        let ratio = Spread::of_ratios(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0]).unwrap();
        assert_eq!((ratio.median, ratio.half_width), (2.0, 0.0));
    }

    #[test]
    fn a_short_row_is_filled_up() {
        let mut table = Table::new("c50", "fifty", &["server", "rate", "ratio"]);
        table.row(vec!["floor".into(), "1 000".into(), "1.00".into()]);
        table.row(vec!["libuv".into()]);
        let text = table.to_string();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.matches('|').count() == 4), "{text}");
        assert!(rows[3].contains("| libuv  |     - |"), "{text}");
    }

    #[test]
    fn figures_can_be_had_again() {
        let mut report = Report::default();
        report.record(&["micro", "turn", "mio"], &[("ns", Some(2.0)), ("no", Some(f64::NAN))]);
        assert_eq!(report.figure(&["micro", "turn", "mio", "ns"]), Some(2.0));
        assert_eq!(report.figure(&["micro", "turn", "mio", "no"]), None);
        assert_eq!(report.figure(&["macro", "turn"]), None);
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(count(1_234_567.0), "1 234 567");
        assert_eq!(count(12.34), "12.3");
        assert_eq!(grouped(10), "10");
    }
}
