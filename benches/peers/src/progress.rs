//! A sign of life while the measures run, on standard error.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// On a terminal one line that is replaced by the next one; elsewhere a line for each part, so that a log shows it.
pub struct Progress {
    begin: Instant,
    on_terminal: bool,
    parts: usize,
    part: RefCell<(usize, String)>,
}

impl Progress {
    pub fn new(parts: usize) -> Progress {
        Progress {
            begin: Instant::now(),
            on_terminal: io::stderr().is_terminal(),
            parts,
            part: RefCell::new((0, String::new())),
        }
    }

    /// The next part begins.
    pub fn part(&self, name: &str) {
        let number = self.part.borrow().0 + 1;
        self.part.replace((number, name.to_string()));
        match self.on_terminal {
            true => self.step("…"),
            false => eprintln!("{}", self.heading()),
        }
    }

    /// What is being done in this part.
    pub fn step(&self, text: &str) {
        if self.on_terminal {
            self.write(&format!("{}: {text}", self.heading()));
        }
    }

    /// Makes room for what is to stay.
    pub fn clear(&self) {
        if self.on_terminal {
            self.write("");
        }
    }

    fn heading(&self) -> String {
        let (number, name) = &*self.part.borrow();
        format!("[{:>3} s] {number} of {}: {name}", self.begin.elapsed().as_secs(), self.parts)
    }

    fn write(&self, text: &str) {
        let mut stderr = io::stderr();
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }
}
