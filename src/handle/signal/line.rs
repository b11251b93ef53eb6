//! What a loop has for each signal that its handles watch: the line on which it is woken, and the list of those handles.
//!
//! A delivery is counted first (see `counter`) and then wakes the loop by a byte in a socket. That byte says nothing but
//! "look": when the socket is full, the loop is going to look anyway. Each handle remembers how many deliveries it has
//! seen, so that a wake-up from before its start means nothing to it. However many handles there are, a signal takes two
//! descriptors a loop, and two for its count.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::{Rc, Weak};

use mio::net::UnixStream;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

use super::claim::Claim;
use crate::error::Misuse;
use crate::event_loop::{AliveReason, Key, LoopHandle, Object, Readiness};
use crate::handle::{Core, Handle, Kind};

/// How often a wake-up reads, so that a storm of signals does not keep the loop in it.
const READS_PER_TURN: u32 = 8;

/// The lines of a loop.
#[derive(Default)]
pub(crate) struct Lines(RefCell<Vec<Weak<Line>>>);

/// A signal that handles of this loop watch. It is there as long as they do.
struct Line {
    core: Core,
    signum: i32,
    /// What wakes the loop: an action behind that of the claim, which counts.
    wake: SigId,
    socket: RefCell<UnixStream>,
    claim: Claim,
    /// The deliveries that were counted up to the last look.
    counted: Cell<u64>,
    /// The handles that watch, in the order of their starts.
    watching: RefCell<BTreeMap<u64, Key>>,
    starts: Cell<u64>,
}

/// A handle's place on a line.
pub(super) struct Watch {
    line: Rc<Line>,
    place: u64,
    /// How many deliveries were told to the handle, or came before it.
    seen: u64,
}

impl Watch {
    /// Has the handle `key` watch the signal from now on.
    pub(super) fn on(event_loop: &LoopHandle, key: Key, signum: i32) -> io::Result<Watch> {
        let line = Line::of(event_loop, signum)?;
        line.look();
        let place = line.starts.replace(line.starts.get() + 1);
        line.watching.borrow_mut().insert(place, key);
        Ok(Watch { seen: line.counted.get(), line, place })
    }

    pub(super) fn signum(&self) -> i32 {
        self.line.signum
    }

    /// True if there are deliveries, as of the last look, that the handle has not seen.
    pub(super) fn has_unseen(&self) -> bool {
        self.seen < self.line.counted.get()
    }

    /// Takes the next delivery that the handle has not seen.
    pub(super) fn take(&mut self) -> Option<i32> {
        self.has_unseen().then(|| {
            self.seen += 1;
            self.line.signum
        })
    }

    /// Looks for new ones.
    pub(super) fn look(&self) {
        self.line.look();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.line.watching.borrow_mut().remove(&self.place);
    }
}

impl Line {
    /// The loop's line for this signal.
    fn of(event_loop: &LoopHandle, signum: i32) -> io::Result<Rc<Line>> {
        let lines = &event_loop.inner().signals.0;
        let mut known = lines.borrow_mut();
        known.retain(|line| line.strong_count() > 0);
        let found = known.iter().filter_map(Weak::upgrade).find(|line| line.signum == signum);
        drop(known);
        if let Some(line) = found {
            return Ok(line);
        }
        let line = Line::new(event_loop, signum)?;
        lines.borrow_mut().push(Rc::downgrade(&line));
        Ok(line)
    }

    fn new(event_loop: &LoopHandle, signum: i32) -> io::Result<Rc<Line>> {
        let (socket, writer) = UnixStream::pair()?;
        let claim = Claim::on(signum)?;
        let wake = pipe::register(signum, writer).map_err(|_| Misuse::BadSignal)?;
        let line = Rc::new(Line {
            core: Core::new(event_loop, Kind::Signal),
            signum,
            wake,
            socket: RefCell::new(socket),
            claim,
            counted: Cell::new(0),
            watching: RefCell::default(),
            starts: Cell::new(0),
        });
        line.core.enroll(&(Rc::clone(&line) as Rc<dyn Object>));
        let interest = mio::Interest::READABLE;
        event_loop.inner().register(line.core.key(), &mut *line.socket.borrow_mut(), interest)?;
        Ok(line)
    }

    fn look(&self) {
        self.counted.set(self.claim.deliveries());
    }

    /// Empties the socket, so that the next delivery wakes again. False if that is not done yet.
    fn empty(&self) -> bool {
        let mut bytes = [0; 512];
        for _ in 0..READS_PER_TURN {
            match self.socket.borrow_mut().read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }
}

impl Object for Line {
    fn ready(self: Rc<Self>, _: Readiness) {
        self.resume();
    }

    fn resume(self: Rc<Self>) {
        let inner = self.core.event_loop().inner();
        // In this order: a delivery is counted before its wake-up, so that what this look misses wakes once more.
        if !self.empty() {
            inner.resume_next_turn(self.core.key());
        }
        self.look();
        for &key in self.watching.borrow().values() {
            // It only asks to be called after the others, so that nothing changes in this pass.
            if let Some(handle) = inner.handles.get(key) {
                handle.resume();
            }
        }
    }

    fn core(&self) -> &Core {
        &self.core
    }

    // It is no handle that anybody has: it goes when the last one that watches does.

    fn release(&self) {}

    fn drop_callbacks(&self) {}

    fn report(&self, _: &mut Vec<AliveReason>) {}

    fn show(self: Rc<Self>, _: &mut dyn FnMut(&dyn Handle)) {}
}

impl Drop for Line {
    fn drop(&mut self) {
        // First, so that no signal meets a broken pipe.
        unregister(self.wake);
        let inner = self.core.event_loop().inner();
        let _ = inner.deregister(self.socket.get_mut());
        inner.descriptor_closed();
    }
}
