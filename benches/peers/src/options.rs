//! The arguments of the scoreboard.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::scenario;
use crate::server;

const USAGE: &str = "\
usage: cargo bench -- [--quick] [--only PART,PART...] [--servers NAME,NAME...] [--rounds N] [--json FILE]

Without arguments everything is measured, which takes about ten minutes.

  --quick     a first impression in under a minute
  --only      some parts: a scenario (c1, c50, c1000, c50-16k, c50-p16, bulk, churn, udp, udp-gso, idle, unix-c50,
              unix-bulk, unix-idle), or growth, syscalls, instructions, micro
  --servers   only these (luvio, luvio-tasks, luvio-spin, luvio-offload, tokio, smol, calloop, libuv); the floor always takes part,
              and luvio in micro
  --rounds    rounds of each measure that is timed (13, in micro 7; with --quick 3 and 1)
  --json      also writes all figures to FILE";

/// The parts that are not scenarios.
const OTHER_PARTS: [&str; 4] = ["growth", "syscalls", "instructions", "micro"];

/// What the user asked for.
#[derive(Debug)]
pub struct Options {
    pub quick: bool,
    only: Vec<String>,
    servers: Vec<String>,
    rounds: Option<usize>,
    /// How long a server is under load in each round.
    pub slice: Duration,
    pub json: Option<PathBuf>,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Refusal {
    Help,
    Bad(String),
}

impl Refusal {
    pub fn show(self) -> ExitCode {
        match self {
            Refusal::Help => {
                println!("{USAGE}");
                ExitCode::SUCCESS
            }
            Refusal::Bad(what) => {
                eprintln!("cargo bench: {what} (see cargo bench -- --help)");
                ExitCode::from(2)
            }
        }
    }
}

fn bad<T>(what: String) -> Result<T, Refusal> {
    Err(Refusal::Bad(what))
}

impl Options {
    pub fn from_args(args: impl Iterator<Item = String>) -> Result<Options, Refusal> {
        let mut options = Options {
            quick: false,
            only: Vec::new(),
            servers: Vec::new(),
            rounds: None,
            slice: Duration::from_millis(200),
            json: None,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value =
                || args.next().ok_or_else(|| Refusal::Bad(format!("{arg} needs a value")));
            match arg.as_str() {
                "--bench" => {} // cargo says this to every bench
                "-h" | "--help" => return Err(Refusal::Help),
                "--quick" => options.quick = true,
                "--only" => options.only.extend(names("--only", &value()?, &parts())?),
                "--servers" => {
                    let known: Vec<&str> = server::NAMES.to_vec();
                    options.servers.extend(names("--servers", &value()?, &known)?);
                }
                "--json" => options.json = Some(PathBuf::from(value()?)),
                "--rounds" => {
                    let text = value()?;
                    options.rounds = text.parse().ok().filter(|&count: &usize| count > 0);
                    if options.rounds.is_none() {
                        return bad(format!("--rounds needs a number above 0, not {text}"));
                    }
                }
                _ => return bad(format!("unknown argument {arg}")),
            }
        }
        if options.quick {
            options.slice = Duration::from_millis(100);
        }
        if let Some(path) = &options.json {
            // To be told now, and not when everything has been measured.
            if let Err(err) = OpenOptions::new().create(true).append(true).open(path) {
                return bad(format!("--json {}: {err}", path.display()));
            }
        }
        Ok(options)
    }

    /// True if the part of this name was asked for.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    /// The parts that were asked for, in the order of the table.
    pub fn parts(&self) -> Vec<&'static str> {
        parts().into_iter().filter(|part| self.wants(part)).collect()
    }

    pub fn wants_server(&self, name: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|server| server == name)
    }

    /// How many rounds there are where servers are under load.
    pub fn rounds(&self) -> usize {
        self.rounds_or(if self.quick { 3 } else { 13 })
    }

    /// What the user said, or else `default`.
    pub fn rounds_or(&self, default: usize) -> usize {
        self.rounds.unwrap_or(default)
    }
}

fn parts() -> Vec<&'static str> {
    scenario::ALL.iter().map(|scenario| scenario.name).chain(OTHER_PARTS).collect()
}

/// The names in a list with commas, all of which have to be known.
fn names(option: &str, list: &str, known: &[&str]) -> Result<Vec<String>, Refusal> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_string()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => bad(format!("{option} {unknown}: there is only {}", known.join(", "))),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        match Options::from_args(line.split_whitespace().map(String::from)) {
            Ok(options) => Ok(options),
            Err(Refusal::Help) => Err("help".into()),
            Err(Refusal::Bad(what)) => Err(what),
        }
    }

    #[test]
    fn without_arguments_everything_is_wanted() {
        let options = parse("--bench").unwrap();
        assert!(options.wants("c50") && options.wants("micro") && options.wants_server("tokio"));
        assert_eq!((options.rounds(), options.rounds_or(7)), (13, 7));
        assert_eq!(options.parts().len(), scenario::ALL.len() + OTHER_PARTS.len());
    }

    #[test]
    fn the_options_work_together() {
        let options =
            parse("--only c50,growth --only micro --servers luvio,tokio --rounds 2 --quick")
                .unwrap();
        assert_eq!(options.parts(), ["c50", "growth", "micro"]);
        assert!(options.wants_server("luvio") && !options.wants_server("libuv"));
        assert_eq!((options.rounds(), options.rounds_or(7)), (2, 2));
    }

    #[test]
    fn a_wrong_argument_is_named_in_one_line() {
        for (line, named) in [
            ("--fast", "--fast"),
            ("c50", "c50"),
            ("--only c51", "c51"),
            ("--only c50,", "--only"),
            ("--servers nginx", "nginx"),
            ("--rounds 0", "0"),
            ("--rounds many", "many"),
            ("--rounds", "--rounds"),
            ("--json", "--json"),
            ("--json /nowhere/figures.json", "/nowhere/figures.json"),
        ] {
            let refusal = parse(line).unwrap_err();
            assert!(refusal.contains(named) && refusal.lines().count() == 1, "{line}: {refusal}");
        }
    }

    #[test]
    fn help_is_no_error() {
        assert_eq!(parse("--only c50 --help").unwrap_err(), "help");
    }

    #[test]
    fn the_usage_names_all_parts_and_servers() {
        let names = parts().into_iter().chain(server::NAMES);
        for name in names {
            assert!(USAGE.contains(name), "{name}");
        }
    }
}
