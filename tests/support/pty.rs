//! Pseudo-terminals: a terminal for the program, and its other end, at which the test sits.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Both ends. What is written to the master was typed; what is read from it, printed.
pub struct Pty {
    pub master: File,
    pub path: PathBuf,
}

impl Pty {
    pub fn new() -> Pty {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).expect("there are pseudo-terminals");
        // Not inherited by the children of other tests, which would keep the terminal from going away.
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).expect("a flag can be set");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let path = Path::new(OsStr::from_bytes(name.as_bytes())).to_path_buf();
        Pty { master: File::from(master), path }
    }

    /// The terminal, opened by its name as often as needed. It is nobody's controlling terminal by that.
    pub fn terminal(&self) -> File {
        self.open(OpenOptions::new().read(true).write(true))
    }

    pub fn open(&self, options: &mut OpenOptions) -> File {
        let no_controlling = rustix::fs::OFlags::NOCTTY.bits() as i32;
        options.custom_flags(no_controlling).open(&self.path).expect("the terminal can be opened")
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("it has a size");
    }

    /// The master for somebody else.
    pub fn other_master(&self) -> OwnedFd {
        self.master.as_fd().try_clone_to_owned().expect("a descriptor can be duplicated")
    }
}

/// What tells the modes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    Normal,
    Raw,
    Io,
    Else,
}

/// Which mode a terminal has, by its flags.
pub fn mode_of(terminal: impl AsFd) -> Looks {
    use rustix::termios::OutputModes;
    let flags = tcgetattr(terminal).expect("a terminal has a mode");
    let lines = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    let newlines = OutputModes::OPOST | OutputModes::ONLCR;
    let (lines, newlines) =
        (flags.local_modes.intersection(lines) == lines, flags.output_modes.contains(newlines));
    match (lines, flags.local_modes.contains(LocalModes::ICANON), newlines) {
        (true, true, true) => Looks::Normal,
        (false, false, true) => Looks::Raw,
        (false, false, false) => Looks::Io,
        _ => Looks::Else,
    }
}
