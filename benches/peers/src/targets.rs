//! What luvio is meant to reach, beside what it reached.

use crate::scenario;
use crate::summary::{Report, Table};

/// A figure of luvio, and what it is meant to be.
struct Target {
    what: &'static str,
    path: &'static [&'static str],
    goal: Goal,
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}
use Goal::{AtLeast, AtMost};

const fn target(what: &'static str, path: &'static [&'static str], goal: Goal) -> Target {
    Target { what, path, goal }
}

/// The goals that hold for each of the scenarios with many messages.
const FOR_MESSAGES: [(&str, &str, &str, &str, Goal); 5] = [
    ("throughput × floor", "luvio", "floor", "throughput", AtLeast(1.0)),
    ("throughput × libuv", "luvio", "libuv", "throughput", AtLeast(1.12)),
    ("CPU × libuv", "luvio", "libuv", "cpu", AtMost(0.87)),
    ("tasks: throughput × callbacks", "luvio-tasks", "luvio", "throughput", AtLeast(0.97)),
    ("tasks: CPU × callbacks", "luvio-tasks", "luvio", "cpu", AtMost(1.05)),
];

const WITH_MESSAGES: [&str; 4] = ["c50", "c1000", "c50-16k", "c50-p16"];

const OTHERS: [Target; 36] = [
    target(
        "bulk: throughput × floor",
        &["bulk", "luvio", "over", "floor", "throughput"],
        AtLeast(1.0),
    ),
    target(
        "bulk: throughput × libuv",
        &["bulk", "luvio", "over", "libuv", "throughput"],
        AtLeast(1.2),
    ),
    target(
        "bulk: throughput × tokio",
        &["bulk", "luvio", "over", "tokio", "throughput"],
        AtLeast(1.05),
    ),
    target("churn: CPU × floor", &["churn", "luvio", "over", "floor", "cpu"], AtMost(0.98)),
    target("churn: CPU × libuv", &["churn", "luvio", "over", "libuv", "cpu"], AtMost(0.93)),
    target(
        "c1: spinning, throughput × floor",
        &["c1", "luvio-spin", "over", "floor", "throughput"],
        AtLeast(2.5),
    ),
    target("idle: bytes, callbacks", &["idle", "luvio", "idle_bytes"], AtMost(200.0)),
    target("idle: bytes, Udp", &["idle", "luvio-udp", "idle_bytes"], AtMost(250.0)),
    target("idle: bytes, tasks", &["idle", "luvio-tasks", "idle_bytes"], AtMost(600.0)),
    target("syscalls, callbacks", &["syscalls", "luvio", "per_message"], AtMost(2.05)),
    target("syscalls, tasks", &["syscalls", "luvio-tasks", "per_message"], AtMost(2.05)),
    target("instructions, callbacks", &["instructions", "luvio", "per_message"], AtMost(220.0)),
    target("instructions, tasks", &["instructions", "luvio-tasks", "per_message"], AtMost(450.0)),
    target(
        "udp: throughput × libuv",
        &["udp", "luvio", "over", "libuv", "throughput"],
        AtLeast(1.05),
    ),
    target("udp: CPU × libuv", &["udp", "luvio", "over", "libuv", "cpu"], AtMost(0.96)),
    target("udp: syscalls", &["udp-syscalls", "luvio", "per_message"], AtMost(2.05)),
    target("udp: instructions", &["udp-instructions", "luvio", "per_message"], AtMost(250.0)),
    target("udp: allocations", &["udp-instructions", "luvio", "allocations"], AtMost(0.0)),
    target(
        "udp-gso: throughput × libuv",
        &["udp-gso", "luvio-offload", "over", "libuv", "throughput"],
        AtLeast(3.5),
    ),
    target(
        "udp-gso: CPU × libuv",
        &["udp-gso", "luvio-offload", "over", "libuv", "cpu"],
        AtMost(0.26),
    ),
    target(
        "unix-c50: throughput × libuv",
        &["unix-c50", "luvio", "over", "libuv", "throughput"],
        AtLeast(1.25),
    ),
    target("unix-c50: CPU × libuv", &["unix-c50", "luvio", "over", "libuv", "cpu"], AtMost(0.78)),
    target(
        "unix-bulk: throughput × libuv",
        &["unix-bulk", "luvio", "over", "libuv", "throughput"],
        AtLeast(1.03),
    ),
    target("unix-idle: bytes, callbacks", &["unix-idle", "luvio", "idle_bytes"], AtMost(200.0)),
    target("unix: syscalls", &["unix-syscalls", "luvio", "per_message"], AtMost(2.025)),
    target("unix: instructions", &["unix-instructions", "luvio", "per_message"], AtMost(200.0)),
    target("unix: allocations", &["unix-instructions", "luvio", "allocations"], AtMost(0.0)),
    target("loop turn, ns", &["micro", "loop turn", "luvio", "ns"], AtMost(215.0)),
    target("timer start, ns", &["micro", "timer start, 1M live", "luvio", "ns"], AtMost(60.0)),
    target("timer stop, ns", &["micro", "timer stop, 1M live", "luvio", "ns"], AtMost(40.0)),
    target("timer fire, ns", &["micro", "timer fire, 1M due", "luvio", "ns"], AtMost(200.0)),
    target(
        "timer alone, ns",
        &["micro", "timer start and stop, alone", "luvio", "ns"],
        AtMost(10.0),
    ),
    target(
        "spawn and join, ns",
        &["micro", "spawn and join, by 1,000", "luvio", "ns"],
        AtMost(100.0),
    ),
    target("self wake, ns", &["micro", "self wake, 1 task", "luvio", "ns"], AtMost(30.0)),
    target("callback to future, ns", &["micro", "callback to future", "luvio", "ns"], AtMost(60.0)),
    target(
        "pending wake, ns",
        &["micro", "wake that is pending already", "luvio", "ns"],
        AtMost(4.0),
    ),
];

/// Two tables: how luvio stands to the others in each scenario, and its targets. Only what was measured.
pub fn print(report: &Report) {
    let ratios = ratios(report);
    if !ratios.is_empty() {
        ratios.print();
    }
    let targets = targets(report);
    if !targets.is_empty() {
        targets.print();
    }
}

fn ratios(report: &Report) -> Table {
    let peers = ["floor", "libuv", "tokio"];
    let columns = ["throughput ×", "CPU ×"]
        .iter()
        .flat_map(|figure| peers.iter().map(move |peer| format!("{figure} {peer}")));
    let columns: Vec<String> =
        ["scenario", "server"].map(String::from).into_iter().chain(columns).collect();
    let mut table = Table::new("summary", "luvio over its peers, medians of ratios", &columns);
    for scenario in scenario::ALL {
        for server in ["luvio", "luvio-tasks"] {
            let ratio = |figure, peer| {
                let ratio = report.figure(&[scenario.name, server, "over", peer, figure])?;
                let spread = report.figure(&[
                    scenario.name,
                    server,
                    "over",
                    peer,
                    &format!("{figure}_spread"),
                ])?;
                Some(format!("{ratio:.2} ±{spread:.2}"))
            };
            let cells: Vec<Option<String>> = ["throughput", "cpu"]
                .iter()
                .flat_map(|figure| peers.iter().map(move |peer| ratio(figure, peer)))
                .collect();
            if cells.iter().any(Option::is_some) {
                let cells = cells.into_iter().map(|cell| cell.unwrap_or("-".into()));
                let names = [scenario.name, server].map(String::from);
                table.row(names.into_iter().chain(cells).collect());
            }
        }
    }
    table
}

fn targets(report: &Report) -> Table {
    let mut table = Table::new(
        "targets",
        "what luvio is meant to reach",
        &["target", "goal", "measured", "reached"],
    );
    let mut row = |what: &str, path: &[&str], goal: Goal| {
        let Some(value) = report.figure(path) else { return };
        let (last, rest) = path.split_last().expect("no path is empty");
        let spread_name = format!("{last}_spread");
        let spread_path: Vec<&str> = rest.iter().copied().chain([&*spread_name]).collect();
        let spread = report.figure(&spread_path);
        let digits = if value < 10.0 { 2 } else { 0 };
        let mut measured = format!("{value:.digits$}");
        if let Some(spread) = spread {
            measured += &format!(" ±{spread:.digits$}");
        }
        let reached = goal.judge(value, spread.unwrap_or(0.0));
        table.row(vec![what.into(), goal.text(), measured, reached.into()]);
    };
    for scenario in WITH_MESSAGES {
        for (what, ours, theirs, figure, goal) in FOR_MESSAGES {
            row(&format!("{scenario}: {what}"), &[scenario, ours, "over", theirs, figure], goal);
        }
    }
    for Target { what, path, goal } in OTHERS {
        row(what, path, goal);
    }
    table.note("within ±", "missed, but by less than the spread");
    table
}

impl Goal {
    fn text(self) -> String {
        match self {
            AtLeast(bound) => format!("≥ {bound}"),
            AtMost(bound) => format!("≤ {bound}"),
        }
    }

    fn judge(self, value: f64, spread: f64) -> &'static str {
        let short = match self {
            AtLeast(bound) => bound - value,
            AtMost(bound) => value - bound,
        };
        match short {
            short if short <= 0.0 => "yes",
            short if short <= spread => "within ±",
            _ => "no",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_its_side_and_the_spread() {
        assert_eq!(AtLeast(1.0).judge(1.0, 0.0), "yes");
        assert_eq!(AtLeast(1.0).judge(0.98, 0.05), "within ±");
        assert_eq!(AtLeast(1.0).judge(0.9, 0.05), "no");
        assert_eq!(AtMost(4.0).judge(2.5, 0.1), "yes");
        assert_eq!(AtMost(4.0).judge(4.5, 0.1), "no");
    }

    #[test]
    fn what_was_not_measured_has_no_row() {
        let mut report = Report::default();
        assert!(targets(&report).is_empty() && ratios(&report).is_empty());
        let path = ["c50", "luvio", "over", "floor"];
        report.record(&path, &[("throughput", Some(1.02)), ("throughput_spread", Some(0.1))]);
        assert!(targets(&report).to_string().contains("1.02 ±0.10"));
        assert!(ratios(&report).to_string().contains("1.02 ±0.10"));
    }
}
