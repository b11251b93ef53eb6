//! The modes of terminals, which belong to the terminals and not to the handles: for the whole process, who asked for
//! which, and what was there before.
//!
//! A terminal has the mode that was asked for last by a handle that is still there. When none is, it has its own again, and
//! is forgotten.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::fstat;
use rustix::io::retry_on_intr;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    tcgetattr, tcgetpgrp, tcsetattr,
};

use super::TtyMode;
use crate::descriptor::is_master;

/// The terminals whose mode somebody has set.
static CHANGED: Mutex<Vec<Changed>> = Mutex::new(Vec::new());

struct Changed {
    terminal: Device,
    /// Before anybody set anything.
    original: Termios,
    /// In the order in which they were made.
    wishes: Vec<Wish>,
}

/// What a handle asked for.
struct Wish {
    /// The number of the handle's descriptor: no other handle has it as long as this one is there.
    whose: RawFd,
    mode: TtyMode,
    /// A duplicate of it: whoever resets the modes has no handle.
    fd: OwnedFd,
}

/// Which terminal it is, whatever it was opened as.
pub(super) type Device = u64;

/// Gives the terminal a mode, as the handle with the descriptor `fd` asks for.
pub(super) fn set(fd: BorrowedFd<'_>, terminal: Device, mode: TtyMode) -> io::Result<()> {
    let mut all = lock();
    let known = all.iter().position(|changed| changed.terminal == terminal);
    let original = match known {
        Some(at) => all[at].original.clone(),
        None if mode == TtyMode::Normal => return Ok(()),
        None => tcgetattr(fd)?,
    };
    let whose = fd.as_raw_fd();
    let wish = Wish { whose, mode, fd: fd.try_clone_to_owned()? };
    apply(fd, &original, mode)?;
    let at = known.unwrap_or_else(|| {
        all.push(Changed { terminal, original, wishes: Vec::new() });
        all.len() - 1
    });
    all[at].wishes.retain(|wish| wish.whose != whose);
    all[at].wishes.push(wish);
    Ok(())
}

/// The handle with the descriptor `fd` goes, and what it asked for with it.
pub(super) fn leave(fd: BorrowedFd<'_>, terminal: Device) -> io::Result<()> {
    let mut all = lock();
    let Some(at) = all.iter().position(|changed| changed.terminal == terminal) else {
        return Ok(());
    };
    let Changed { original, wishes, .. } = &mut all[at];
    let Some(place) = wishes.iter().position(|wish| wish.whose == fd.as_raw_fd()) else {
        return Ok(());
    };
    let had_its_wish = place + 1 == wishes.len();
    wishes.remove(place);
    let mode = wishes.last().map_or(TtyMode::Normal, |wish| wish.mode);
    let original = original.clone();
    if wishes.is_empty() {
        all.remove(at);
    }
    match had_its_wish && !is_in_background(fd) {
        true => apply(fd, &original, mode),
        false => Ok(()),
    }
}

/// Puts every terminal back as it was, and forgets who wanted what.
pub(super) fn reset() -> io::Result<()> {
    let mut result = Ok(());
    for Changed { original, wishes, .. } in lock().drain(..) {
        let Some(wish) = wishes.last() else { continue };
        if !is_in_background(wish.fd.as_fd()) {
            result = result.and(apply(wish.fd.as_fd(), &original, TtyMode::Normal));
        }
    }
    result
}

fn lock() -> MutexGuard<'static, Vec<Changed>> {
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the mode at once: to wait until everything written is out (as libuv does) would block the loop while somebody has
/// stopped the terminal.
fn apply(fd: BorrowedFd<'_>, original: &Termios, mode: TtyMode) -> io::Result<()> {
    let wanted = made(original, mode);
    Ok(retry_on_intr(|| tcsetattr(fd, OptionalActions::Now, &wanted))?)
}

/// What a mode makes of the original one: the same as in libuv.
fn made(original: &Termios, mode: TtyMode) -> Termios {
    let mut termios = original.clone();
    match mode {
        TtyMode::Normal => {}
        TtyMode::Raw => {
            termios.input_modes -= InputModes::BRKINT
                | InputModes::ICRNL
                | InputModes::INPCK
                | InputModes::ISTRIP
                | InputModes::IXON;
            termios.output_modes |= OutputModes::ONLCR;
            termios.control_modes |= ControlModes::CS8;
            termios.local_modes -=
                LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
            termios.special_codes[SpecialCodeIndex::VMIN] = 1;
            termios.special_codes[SpecialCodeIndex::VTIME] = 0;
        }
        TtyMode::Io => termios.make_raw(),
    }
    termios
}

/// True if the terminal controls this process, and others are in its foreground. To set its mode would stop the process,
/// and the mode is theirs anyway.
fn is_in_background(fd: BorrowedFd<'_>) -> bool {
    // Of a master, the first question is about the other end.
    !is_master(fd) && tcgetpgrp(fd).is_ok_and(|group| group != rustix::process::getpgrp())
}

pub(super) fn device_of(fd: BorrowedFd<'_>) -> io::Result<Device> {
    let device = fstat(fd)?.st_rdev as Device;
    Ok(alias_of(fd, device).unwrap_or(device))
}

/// What a terminal is really, if it was opened by the name that each process has for its own (/dev/tty), or is the master of
/// a pseudo-terminal, whose mode is that of the other end.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn alias_of(fd: BorrowedFd<'_>, device: Device) -> Option<Device> {
    if device == rustix::fs::makedev(5, 0) {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name of the program in brackets: its state, three process ids, and the terminal's number.
        let (_, fields) = stat.rsplit_once(')')?;
        return fields.split_whitespace().nth(4)?.parse().ok();
    }
    let other_end = rustix::pty::ptsname(fd, Vec::new()).ok()?;
    Some(rustix::fs::stat(other_end.as_c_str()).ok()?.st_rdev as Device)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn alias_of(_: BorrowedFd<'_>, _: Device) -> Option<Device> {
    None
}
