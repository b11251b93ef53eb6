//! The arguments of the scoreboard.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::scenario;

const USAGE: &str = "\
usage: cargo bench -- [--quick] [--only NAME]... [--servers NAME,NAME...] [--rounds N] [--json FILE]

  --quick     a first impression in under a minute
  --only      one part; may be given several times: a scenario (c1, c50, c1000, c50-16k, c50-p16, bulk, churn, idle),
              or syscalls, instructions, micro
  --servers   only these; the floor always takes part
  --rounds    rounds of each scenario (13; with --quick 3)
  --json      also writes all figures to FILE";

/// What the user asked for.
pub struct Options {
    pub quick: bool,
    only: Vec<String>,
    pub servers: Option<Vec<String>>,
    pub rounds: usize,
    pub slice: Duration,
    pub json: Option<PathBuf>,
}

/// Why there is nothing to do.
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

impl Options {
    pub fn from_args(args: impl Iterator<Item = String>) -> Result<Options, Refusal> {
        let mut quick = false;
        let mut only = Vec::new();
        let mut servers = None;
        let mut rounds = None;
        let mut json = None;
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            let mut value =
                || args.next().ok_or_else(|| Refusal::Bad(format!("{arg} needs a value")));
            match arg.as_str() {
                "--bench" => {} // cargo says this to every bench
                "-h" | "--help" => return Err(Refusal::Help),
                "--quick" => quick = true,
                "--only" => only.push(value()?),
                "--servers" => servers = Some(value()?.split(',').map(String::from).collect()),
                "--json" => json = Some(PathBuf::from(value()?)),
                "--rounds" => {
                    let text = value()?;
                    let count = text.parse().ok().filter(|&count| count > 0);
                    let bad = || Refusal::Bad(format!("--rounds needs a number above 0: {text}"));
                    rounds = Some(count.ok_or_else(bad)?);
                }
                _ => return Err(Refusal::Bad(format!("unknown argument {arg}"))),
            }
        }
        let parts: Vec<&str> = scenario::ALL
            .iter()
            .map(|scenario| scenario.name)
            .chain(["syscalls", "instructions", "micro"])
            .collect();
        if let Some(unknown) = only.iter().find(|name| !parts.contains(&name.as_str())) {
            let parts = parts.join(", ");
            return Err(Refusal::Bad(format!("--only {unknown}: there is only {parts}")));
        }
        Ok(Options {
            quick,
            only,
            servers,
            rounds: rounds.unwrap_or(if quick { 3 } else { 13 }),
            slice: Duration::from_millis(if quick { 100 } else { 200 }),
            json,
        })
    }

    /// True if the part of this name was asked for.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    pub fn wants_server(&self, name: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|server| server == name))
    }
}
