//! Giving a signal its default action back when the last handle for it goes.
//!
//! signal-hook never uninstalls its handler. But an action of it can be told to behave as the default would, under a
//! condition that can be switched: here, that no handle is left. It is installed once per signal, and only if nobody else
//! had a handler for that signal before, whose work a default action would end.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::flag;

use crate::error::Misuse;
use crate::event_loop::is_out_of_descriptors;

/// For each signal ever watched: how many handles watch it, and the condition for the default action.
static CLAIMS: Mutex<Option<HashMap<i32, Claims>>> = Mutex::new(None);

struct Claims {
    handles: usize,
    nobody_left: Arc<AtomicBool>,
}

/// A handle's interest in a signal. While there is one, the default action is off.
pub(super) struct Claim {
    signum: i32,
}

impl Claim {
    pub(super) fn on(signum: i32) -> io::Result<Claim> {
        with_claims(|claims| {
            if let Some(known) = claims.get_mut(&signum) {
                known.handles += 1;
                known.nobody_left.store(false, Ordering::SeqCst);
                return Ok(Claim { signum });
            }
            let nobody_left = Arc::new(AtomicBool::new(false));
            if !has_handler(signum)? {
                default_while(signum, &nobody_left)?;
            }
            claims.insert(signum, Claims { handles: 1, nobody_left });
            Ok(Claim { signum })
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        with_claims(|claims| {
            if let Some(known) = claims.get_mut(&self.signum) {
                known.handles -= 1;
                known.nobody_left.store(known.handles == 0, Ordering::SeqCst);
            }
        });
    }
}

fn with_claims<R>(f: impl FnOnce(&mut HashMap<i32, Claims>) -> R) -> R {
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    f(claims.get_or_insert_with(HashMap::new))
}

/// Has the default action of the signal happen while the condition is true.
fn default_while(signum: i32, condition: &Arc<AtomicBool>) -> io::Result<()> {
    let condition = Arc::clone(condition);
    let installed = if signal_hook::low_level::signal_name(signum).is_some() {
        flag::register_conditional_default(signum, condition)
    } else if cfg!(target_os = "linux") {
        // Real-time signals and a few old ones, which signal-hook does not know. They all end the process, which exits
        // with the status by which a shell tells of that: nearest to it that can be had.
        flag::register_conditional_shutdown(signum, signum.saturating_add(128), condition)
    } else {
        return Ok(());
    };
    installed.map(drop).map_err(|_| Misuse::BadSignal.into())
}

/// True if the process has a handler for the signal already. Only Linux tells; elsewhere the answer is no, and the default
/// action comes back as it does in libuv. An error if there is no descriptor left to look.
fn has_handler(signum: i32) -> io::Result<bool> {
    let status = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => status,
        Err(err) if is_out_of_descriptors(&err) => return Err(err),
        Err(_) => return Ok(false),
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signum - 1).unwrap_or(u32::MAX);
    Ok(mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn sees_a_handler_that_is_there() {
        let signum = signal_hook::consts::SIGWINCH;
        assert!(!has_handler(signum).unwrap());
        let _kept = flag::register(signum, Arc::new(AtomicBool::new(false))).unwrap();
        assert!(has_handler(signum).unwrap());
        assert!(!has_handler(500).unwrap());
    }
}
