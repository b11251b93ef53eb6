//! What a change of a stream means for the program: requests that have ended, tasks that are to be woken.
//!
//! To tell it is to run the program's code: a waker may be anybody's, and do anything; so may the logger, which hears of
//! failures that nobody asked about. So it is gathered while the stream changes, and told at the end, when the stream is
//! whole and nothing is borrowed. A panic keeps nobody from hearing.

use std::io;
use std::iter;
use std::rc::Rc;
use std::task::Waker;

use crate::panics::Panics;
use crate::request::Ticket;
use crate::task::{Tasks, Waiting};

#[must_use = "somebody waits to be told"]
#[derive(Default)]
pub(super) struct Outcome {
    ended: Vec<(Rc<Ticket<()>>, io::Result<()>)>,
    reader: Waiting,
    /// More of them, which is rare.
    readers: Vec<Waiting>,
    writers: Vec<Waker>,
}

impl Outcome {
    /// A request is over.
    pub(super) fn end(&mut self, ticket: Rc<Ticket<()>>, result: io::Result<()>) {
        self.ended.push((ticket, result));
    }

    /// Whoever waits for data, and these too, have to look again.
    #[inline]
    pub(super) fn wake_readers(&mut self, reader: Waiting, more: Vec<Waiting>) {
        self.reader = reader;
        self.readers = more;
    }

    /// All of these, who wait for room, have to look again.
    pub(super) fn wake_writers(&mut self, writers: Vec<Waker>) {
        self.writers = writers;
    }

    /// Tells everybody: first those whose requests have ended, callbacks before tasks.
    pub(super) fn tell(self, tasks: &Tasks) {
        self.tell_then(tasks, || {});
    }

    /// The same, and does something last, whatever panicked before.
    pub(super) fn tell_then(self, tasks: &Tasks, last: impl FnOnce()) {
        let mut panics = Panics::default();
        // Callbacks are only queued here. All of them, before a waker can do something whose callback comes after theirs.
        let mut told_at_once = Vec::new();
        for (ticket, result) in self.ended {
            if ticket.is_told_at_once() {
                told_at_once.push((ticket, result));
            } else {
                ticket.finish(result);
            }
        }
        for (ticket, result) in told_at_once {
            panics.catch(|| ticket.finish(result));
        }
        for reader in iter::once(self.reader).chain(self.readers) {
            panics.catch(|| reader.wake(tasks));
        }
        for writer in self.writers {
            panics.catch(|| writer.wake());
        }
        panics.catch(last);
        panics.go_on();
    }
}
