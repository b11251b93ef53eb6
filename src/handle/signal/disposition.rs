//! What a signal does while no handle watches it: what it did before there were any.
//!
//! signal-hook never uninstalls its handler, which does nothing by itself. So a signal that was ignored is ignored again
//! without further ado. For the default action, signal-hook can be told to behave as it would, under a condition that can be
//! switched: here, that nobody watches. That is asked of it once per signal, and only if nobody else had a handler for that
//! signal before, whose work a default action would end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::flag;

use super::Signal;
use crate::error::Misuse;
use crate::event_loop::is_out_of_descriptors;

/// What the process did with a signal before the first handle for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Default,
    Ignored,
    /// Somebody has a handler for it.
    Caught,
}

impl Disposition {
    /// What the process does with the signal now. An error if there is no descriptor left to look.
    pub(super) fn of(signum: i32) -> io::Result<Disposition> {
        match std::fs::read_to_string("/proc/self/status") {
            Ok(status) if is_in_set(&status, "SigIgn:", signum) => Ok(Disposition::Ignored),
            Ok(status) if is_in_set(&status, "SigCgt:", signum) => Ok(Disposition::Caught),
            Ok(_) => Ok(Disposition::Default),
            Err(err) if is_out_of_descriptors(&err) => Err(err),
            // Only Linux tells. Elsewhere it is known only of the one that Rust's standard library has ignored.
            Err(_) if signum == Signal::PIPE => Ok(Disposition::Ignored),
            Err(_) => Ok(Disposition::Default),
        }
    }

    /// Has the signal do the same again whenever `is_unwatched` is true.
    pub(super) fn restore_while(
        self,
        signum: i32,
        is_unwatched: &Arc<AtomicBool>,
    ) -> io::Result<()> {
        match self {
            Disposition::Default => default_while(signum, is_unwatched),
            Disposition::Ignored | Disposition::Caught => Ok(()),
        }
    }
}

/// Has the default action of the signal happen while the condition is true.
fn default_while(signum: i32, condition: &Arc<AtomicBool>) -> io::Result<()> {
    let condition = Arc::clone(condition);
    let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
    // signal-hook takes SIGIO for one that does nothing by default, which is so elsewhere.
    let is_mistaken = is_linux && signum == Signal::IO;
    let installed = if signal_hook::low_level::signal_name(signum).is_some() && !is_mistaken {
        flag::register_conditional_default(signum, condition)
    } else if is_linux {
        // Real-time signals and a few old ones, which signal-hook does not know. They all end the process, which exits
        // with the status by which a shell tells of that: nearest to it that can be had.
        flag::register_conditional_shutdown(signum, signum.saturating_add(128), condition)
    } else {
        return Ok(());
    };
    installed.map(drop).map_err(|_| Misuse::BadSignal.into())
}

/// True if the signal is in the set that this line of `/proc/self/status` shows.
fn is_in_set(status: &str, line: &str, signum: i32) -> bool {
    let mask = status.lines().find_map(|text| text.strip_prefix(line));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signum - 1).unwrap_or(u32::MAX);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn sees_what_there_is() {
        let of = |signum| Disposition::of(signum).unwrap();
        assert_eq!(of(Signal::WINCH), Disposition::Default);
        let _kept = flag::register(Signal::WINCH, Arc::new(AtomicBool::new(false))).unwrap();
        assert_eq!(of(Signal::WINCH), Disposition::Caught);
        assert_eq!(of(Signal::PIPE), Disposition::Ignored);
        assert_eq!(of(500), Disposition::Default);
    }
}
