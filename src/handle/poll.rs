//! `Poll`: what happens to a descriptor of any kind, whatever made it.
//!
//! The selector tells of changes (by edge), this handle of what is so (by level). So after an event that is reported to a
//! callback the descriptor is registered anew, which has the next poll look at it again: one system call for each call of
//! the callback, and none for what nobody wants, of which no poll speaks again. This is done before the callback runs: the
//! kernel looks at the very moment of the poll, when the callback has read what there was.
//!
//! | who wants something | registered | an event |
//! |---|---|---|
//! | nobody yet | no | |
//! | a callback | yes | registers anew, calls it |
//! | tasks | yes | wakes those who wait for it; the next wait registers anew |
//! | nobody any more: the callback was stopped | no | one that was fetched already is dropped |
//! | nobody any more: the tasks are done | yes | ends the registration |

mod descriptor;
mod interest;
mod waits;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use mio::unix::SourceFd;

use self::descriptor::prepare;
pub use self::interest::{Interest, Ready};
pub(crate) use self::waits::Place;
use self::waits::Waits;
use super::{Core, Handle, Kind, Slot, impl_handle};
use crate::error::{Misuse, Refused};
use crate::event_loop::{AliveReason, LoopHandle, Object, has_normal_data};
use crate::panics::Panics;

/// Tells when a descriptor can be read or written: of any kind that the system can poll, made by std, by another crate or by
/// a C library. Reading and writing is the program's.
///
/// The handle owns the descriptor, so that no registration outlives it, and closes it when it is closed itself;
/// [`into_fd`](Poll::into_fd) gives it back. Of one that somebody else needs, take a duplicate: most types have a
/// `try_clone`, and `BorrowedFd` has [`try_clone_to_owned`](std::os::fd::BorrowedFd::try_clone_to_owned). The descriptor is made
/// non-blocking, which its duplicates share.
///
/// It tells what is so, not only what changes: while there is something to read and [`READABLE`](Interest::READABLE) is
/// wanted, the callback comes once in each turn. So a program may read as much as it likes in each call, and stops or changes
/// what it wants when it has no use for more. A call is a hint all the same, as always with polls: somebody else may have
/// read first, and then a read is [`WouldBlock`](io::ErrorKind::WouldBlock).
///
/// ```
/// use luvio::{Interest, Loop, Poll};
/// use std::io::{self, Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let event_loop = Loop::new()?;
/// let (mut here, mut there) = UnixStream::pair()?;
/// there.write_all(b"hello")?;
/// drop(there);
///
/// let mut text = String::new();
/// let poll = Poll::new(&event_loop, here.try_clone()?)?; // the program keeps `here`, to read from
/// poll.start(Interest::READABLE, move |poll, ready| {
///     let mut buffer = [0; 3];
///     match ready.and_then(|_| here.read(&mut buffer)) {
///         Ok(0) => drop(poll.close()),
///         Ok(length) => text += &String::from_utf8_lossy(&buffer[..length]), // the rest in the next turn
///         Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
///         Err(err) => panic!("{err}"),
///     }
///     println!("{text}");
/// })?;
/// event_loop.run()?;
/// # Ok::<(), io::Error>(())
/// ```
///
/// In a task, which tries first and waits when there is nothing yet:
///
/// ```
/// use luvio::{Loop, Poll};
/// use std::io::{self, Write};
/// use std::os::unix::net::UnixDatagram;
///
/// let event_loop = Loop::new()?;
/// let (here, there) = UnixDatagram::pair()?;
/// let poll = Poll::new(&event_loop, here.try_clone()?)?;
/// let text = event_loop.try_block_on(async {
///     there.send(b"hello")?;
///     let mut buffer = [0; 64];
///     loop {
///         match here.recv(&mut buffer) {
///             Err(err) if err.kind() == io::ErrorKind::WouldBlock => poll.readable().await?,
///             received => return io::Result::Ok(buffer[..received?].to_vec()),
///         }
///     }
/// })?;
/// assert_eq!(text, b"hello");
/// # Ok::<(), io::Error>(())
/// ```
///
/// libuv: `uv_poll_t`
#[doc(alias = "uv_poll_t")]
#[derive(Clone)]
pub struct Poll(Rc<PollInner>);

type Callback = dyn FnMut(&Poll, io::Result<Ready>);

struct PollInner {
    core: Core,
    /// `None` after close. It is shared only while it is lent.
    fd: RefCell<Option<Rc<OwnedFd>>>,
    callback: Slot<Callback>,
    /// What the callback is for. Empty if there is none.
    wanted: Cell<Interest>,
    /// The selector may know the descriptor.
    registered: Cell<bool>,
    waits: Waits,
}

impl_handle!(Poll);

impl Poll {
    /// A handle for `fd` that watches nothing yet: a descriptor, or whatever of std turns into an [`OwnedFd`].
    ///
    /// # Errors
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) ([`Misuse::NotPollable`], `EPERM`) for a plain file or a
    /// directory, which no poll can tell anything of; [`InvalidInput`](io::ErrorKind::InvalidInput) if the loop is gone
    /// ([`Misuse::LoopGone`]); what the system says otherwise. The descriptor comes back with the error; `?` drops it.
    ///
    /// libuv: `uv_poll_init`
    #[doc(alias = "uv_poll_init")]
    #[doc(alias = "uv_poll_init_socket")]
    #[track_caller]
    pub fn new(event_loop: &LoopHandle, fd: impl Into<OwnedFd>) -> Result<Poll, Refused<OwnedFd>> {
        let core = Core::new(event_loop, Kind::Poll);
        let fd = fd.into();
        if let Err(error) = prepare(&core, &fd) {
            return Err(Refused { error, value: fd });
        }
        let poll = Rc::new(PollInner {
            core,
            fd: RefCell::new(Some(Rc::new(fd))),
            callback: Slot::empty(),
            wanted: Cell::new(Interest::NONE),
            registered: Cell::new(false),
            waits: Waits::default(),
        });
        poll.core.enroll(&(Rc::clone(&poll) as Rc<dyn Object>));
        Ok(Poll(poll))
    }

    /// Calls `cb` with what there is of `interest`, once in each turn while there is any (on kqueue once for reading and
    /// once for writing). An error of the descriptor counts as all that is wanted, so that the program meets it where it
    /// reads or writes.
    ///
    /// Starting a handle that is started replaces its interest and its callback, and no readiness is lost. An empty interest
    /// is a [`stop`](Poll::stop). Tasks that wait get [`Misuse::HasCallback`]: the events are the callback's.
    ///
    /// If the system cannot watch the descriptor any longer, `cb` gets that error, as its last call: the handle is stopped
    /// then.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the handle is closing or its loop is gone;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for [`PRIORITIZED`](Interest::PRIORITIZED) elsewhere than on Linux; what
    /// the system says otherwise. What the handle did before then goes on.
    ///
    /// libuv: `uv_poll_start`
    #[doc(alias = "uv_poll_start")]
    pub fn start(
        &self,
        interest: Interest,
        cb: impl FnMut(&Poll, io::Result<Ready>) + 'static,
    ) -> io::Result<()> {
        self.start_with(interest, Box::new(cb))
    }

    fn start_with(&self, interest: Interest, callback: Box<Callback>) -> io::Result<()> {
        let poll = &self.0;
        poll.core.check_open()?;
        // What follows drops callbacks and wakes tasks, which is the program's code: the state is whole before.
        let mut panics = Panics::default();
        if interest.is_empty() {
            panics.catch(|| self.stop());
            panics.catch(|| drop(callback));
        } else {
            poll.ask_for(interest)?;
            poll.wanted.set(interest);
            poll.core.set_active(true);
            poll.core.pin();
            panics.catch(|| poll.callback.set(callback));
            panics.catch(|| poll.waits.wake_all(self.event_loop().inner()));
        }
        panics.go_on();
        Ok(())
    }

    /// Stops the calls, drops the callback, and drops what was seen and not reported yet. Does nothing if the handle is not
    /// active; tasks that wait go on waiting.
    ///
    /// libuv: `uv_poll_stop`
    #[doc(alias = "uv_poll_stop")]
    pub fn stop(&self) {
        self.0.leave_callback();
        self.0.callback.clear();
    }
}

impl PollInner {
    /// Has the next poll tell whether there is any of this, be it new or not.
    fn ask_for(&self, interest: Interest) -> io::Result<()> {
        let fd = self.fd.borrow();
        let fd = fd.as_ref().ok_or(Misuse::Closing)?.as_raw_fd();
        let (inner, key) = (self.core.event_loop().inner(), self.core.key());
        let (source, interest) = (&mut SourceFd(&fd), interest.for_mio()?);
        if self.registered.get() {
            return inner.reregister(key, source, interest);
        }
        inner.register(key, source, interest)?;
        self.registered.set(true);
        Ok(())
    }

    /// Has the selector forget the descriptor. Closing it would not do: there may be duplicates.
    fn forget(&self) {
        if !self.registered.replace(false) {
            return;
        }
        if let Some(fd) = self.fd.borrow().as_ref() {
            // It is not known any more if the loop is gone, or, with poll(2), if it hung up.
            let inner = self.core.event_loop().inner();
            let _ = inner.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
    }

    /// There is nobody to call any more.
    fn leave_callback(&self) {
        if !self.wanted.replace(Interest::NONE).is_empty() {
            self.forget();
            self.core.set_active(false);
            self.core.unpin();
        }
    }

    /// Gives the descriptor back to the system, if it was not given away.
    fn drop_fd(&self) {
        self.forget();
        if let Some(fd) = self.fd.take() {
            drop(fd);
            self.core.event_loop().inner().descriptor_closed();
        }
    }

    /// What of `wanted` the event brought.
    fn met(&self, wanted: Interest, event: &mio::event::Event) -> Interest {
        let met = wanted.met_by(event);
        let is_doubtful = event.is_priority() && !event.is_error() && !event.is_read_closed();
        if is_doubtful && met.contains(Interest::READABLE) {
            let fd = self.fd.borrow().as_ref().map(|fd| fd.as_raw_fd());
            // If it cannot be found out, a read will.
            if fd.is_some_and(|fd| !has_normal_data(fd).unwrap_or(true)) {
                return met & (Interest::WRITABLE | Interest::DISCONNECT | Interest::PRIORITIZED);
            }
        }
        met
    }

    fn call(self: Rc<Self>, ready: io::Result<Ready>) {
        let poll = Poll(self);
        if let Some(mut callback) = poll.0.callback.lend() {
            if ready.is_err() {
                // Dropped when it returns, unless it starts the handle again.
                poll.0.callback.clear();
            }
            poll.0.core.call(|| callback(&poll, ready));
        }
    }
}

impl Object for PollInner {
    fn polled(self: Rc<Self>, event: &mio::event::Event) {
        let wanted = self.wanted.get();
        let is_callback = !wanted.is_empty();
        let wanted = if is_callback { wanted } else { self.waits.wanted() };
        if wanted.is_empty() {
            return self.forget();
        }
        let met = self.met(wanted, event);
        if met.is_empty() {
            return;
        }
        if !is_callback {
            return self.waits.tell(self.core.event_loop().inner(), met);
        }
        let again = self.ask_for(wanted);
        if again.is_err() {
            self.leave_callback();
        }
        self.call(again.map(|()| Ready(met)));
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn release(&self) {
        self.wanted.set(Interest::NONE);
        self.drop_fd();
        self.waits.wake_all(self.core.event_loop().inner());
    }

    fn drop_callbacks(&self) {
        self.callback.clear();
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.core.report(reasons, || {
            let wanted = self.wanted.get();
            match self.fd.borrow().as_ref() {
                Some(fd) => format!("waiting for {wanted:?} on descriptor {}", fd.as_raw_fd()),
                None => "closed".to_string(),
            }
        });
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&Poll(self));
    }
}

/// The last one who held the handle let go of it.
impl Drop for PollInner {
    fn drop(&mut self) {
        self.drop_fd();
        self.waits.close(self.core.event_loop().inner());
    }
}

#[cfg(test)]
mod tests;
