//! `cargo bench`: luvio beside its peers, in one table, in one run.
//!
//! The scoreboard and the peers are a package of their own under `benches/peers`, so that nobody who builds or tests
//! luvio has to build them. This builds that package and runs it, with the arguments behind `cargo bench --`.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = root.join("benches/peers");
    let target = peers.join("target");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--bins", "--manifest-path"])
        .arg(peers.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    match built {
        Ok(status) if status.success() => {}
        Ok(_) => {
            eprintln!("cargo bench: the peers could not be built (see above)");
            return ExitCode::FAILURE;
        }
        Err(err) => {
            eprintln!("cargo bench: cargo could not be started: {err}");
            return ExitCode::FAILURE;
        }
    }
    let scoreboard = target.join("release/scoreboard");
    match Command::new(&scoreboard).args(env::args_os().skip(1)).status() {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(err) => {
            eprintln!("cargo bench: {}: {err}", scoreboard.display());
            ExitCode::FAILURE
        }
    }
}
