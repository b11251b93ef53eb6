//! Giving a signal its default action back when the last handle for it goes.
//!
//! signal-hook never uninstalls its handler. But an action of it can be told to behave as the default would, under a
//! condition that can be switched: here, that no handle is left. It is installed once per signal, and only if nobody else
//! had a handler for that signal before, whose work a default action would end.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
            let has_default = signal_hook::low_level::signal_name(signum).is_some();
            if has_default && !has_handler(signum)? {
                signal_hook::flag::register_conditional_default(signum, Arc::clone(&nobody_left))
                    .map_err(|_| Misuse::BadSignal)?;
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
    use signal_hook::flag;

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
