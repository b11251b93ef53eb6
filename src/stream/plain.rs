//! The shared object of a handle that is a stream and nothing else: there from the start, never listening.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::rc::Rc;

use super::{Stream, StreamHandle, ToDo};
use crate::error::Misuse;
use crate::event_loop::{AliveReason, LoopHandle, Object, Readiness, RequestId};
use crate::handle::{Core, Handle, Kind};

/// A handle that has nothing but a stream.
pub(crate) trait PlainHandle: StreamHandle + Handle {
    const KIND: Kind;

    fn of(object: Rc<PlainStream<Self>>) -> Self;
}

/// The object.
pub(crate) struct PlainStream<H: PlainHandle> {
    pub(crate) stream: Stream<H>,
}

impl<H: PlainHandle> PlainStream<H> {
    /// A handle with this transport. `shared` says that somebody else may have a duplicate of its descriptor.
    pub(crate) fn make(
        event_loop: &LoopHandle,
        place: &'static Location<'static>,
        transport: H::Transport,
        shared: bool,
    ) -> io::Result<H> {
        let core = Core::new_at(event_loop, H::KIND, place);
        core.check_open()?;
        let plain = Rc::new(PlainStream { stream: Stream::new(core) });
        plain.stream.core.enroll(&(Rc::clone(&plain) as Rc<dyn Object>));
        plain.stream.adopt(transport, shared)?;
        Ok(H::of(plain))
    }

    /// The descriptor for the program, which may duplicate it.
    pub(crate) fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R>
    where
        H::Transport: AsFd,
    {
        self.stream.mark_shown();
        self.stream.with_socket(|socket| f(socket.as_fd())).ok_or_else(|| Misuse::NoSocket.into())
    }
}

impl<H: PlainHandle> Object for PlainStream<H> {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        let handle = H::of(self);
        match handle.stream().note(readiness) {
            ToDo::Read => handle.stream().read_pass(&handle),
            ToDo::Wake => handle.stream().wake_reader_now(),
            ToDo::LookAround => handle.stream().look_around(&handle),
        }
    }

    fn resume(self: Rc<Self>) {
        let handle = H::of(self);
        handle.stream().resume(&handle);
    }

    fn core(&self) -> &Core {
        &self.stream.core
    }

    fn is_active(&self) -> bool {
        self.stream.is_active()
    }

    fn release(&self) {
        self.stream.release();
    }

    fn call_next_request(&self) -> bool {
        self.stream.call_next_request()
    }

    fn discard_requests(&self) {
        self.stream.discard_requests();
    }

    fn drop_callbacks(&self) {
        self.stream.drop_callbacks();
    }

    fn cancel(&self, request: RequestId) -> bool {
        self.stream.cancel(request)
    }

    fn report(&self, reasons: &mut Vec<AliveReason>) {
        self.stream.report(reasons);
    }

    fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn Handle)) {
        visit(&H::of(self));
    }
}
