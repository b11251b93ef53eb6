//! Connecting: a socket whose connect is under way, and how that ends.

use std::io;
use std::mem;
use std::rc::Rc;

use super::outcome::Outcome;
use super::requests::BY_TRAIT;
use super::transport::nature_of;
use super::{Stream, StreamHandle, Transport, copy_of, is};
use crate::error::Canceled;
use crate::event_loop::{Expire, Job, Nanos, Pending};
use crate::panics::Panics;
use crate::request::{OnDrop, Origin, Request};

impl<H: StreamHandle> Stream<H> {
    /// Takes over a socket whose connect is under way.
    pub(crate) fn connect(&self, origin: Origin, mut socket: H::Transport) -> Request<()> {
        if let Err(err) = self.register(&mut socket) {
            return Request::finished(origin, Err(err));
        }
        let nature = nature_of(&socket);
        self.socket.replace(Some(socket));
        self.flags.set(is::CONNECTING | nature);
        let (request, ticket) = Request::pending(origin, "connect", OnDrop::Cancel);
        self.with_outgoing(|outgoing| outgoing.connect = Some(ticket));
        self.update_hold();
        request
    }

    /// Gives up the connect that is under way unless it ends in time.
    pub(crate) fn limit_connect(&self, limit: Rc<dyn Expire>, due: Nanos) {
        let key = self.core.event_loop().inner().arm(due, limit);
        self.with_outgoing(|outgoing| outgoing.connect_limit = Some(key));
    }

    /// Ends a connect that did not succeed. The handle has no socket then and may connect again. What waited for the
    /// connection is cancelled, after the connect; whoever reads hears of the error last.
    pub(crate) fn fail_connect(&self, error: io::Error) {
        if !self.flags.is(is::CONNECTING) {
            return;
        }
        let mut outcome = Outcome::default();
        self.stop_connect_limit();
        self.drop_socket();
        let wait = self.current_wait();
        if self.flags.is(is::AWAITED) {
            let number = if self.flags.is(is::AWAITED_BY_TRAIT) { BY_TRAIT } else { wait };
            self.with_outgoing(|outgoing| outgoing.cut_off = Some((number, copy_of(&error))));
            self.stop_awaiting_data(&mut outcome);
        }
        self.stop_awaiting_room(&mut outcome);
        let mut is_read = false;
        if self.flags.is(is::READING) {
            self.core.set_active(false);
            if let Some(callback) = self.reader.take() {
                is_read = true;
                let unconnected = (callback, copy_of(&error));
                self.with_outgoing(|outgoing| outgoing.unconnected.push_back(unconnected));
            }
        }
        let kept = self.flags.get() & (is::PINNED | is::RESUMING | is::CUT_OFF_WAITS);
        self.flags.replace(kept);
        let mut error = Some(error);
        while let Some(ticket) = self.pop_request() {
            outcome.end(ticket, Err(error.take().unwrap_or_else(|| Canceled.into())));
        }
        self.update_hold();
        let inner = self.core.event_loop().inner();
        let Origin { owner, place, .. } = self.core.origin_at(self.core.place());
        outcome.tell_then(&inner.tasks, || {
            if is_read {
                inner.queue(Pending { owner, place, job: Job::Handle });
            }
        });
    }

    /// The reader of a connect that failed hears of it, after the connect's own callback.
    pub(crate) fn tell_unconnected_reader(&self, handle: &H) {
        if self.core.is_closing() {
            return;
        }
        if let Some((mut callback, error)) =
            self.pop_with(|outgoing| outgoing.unconnected.pop_front())
        {
            self.update_hold();
            self.core.call(|| callback(handle, Err(error)));
        }
    }

    /// Drops such readers, who have nothing to hear any more.
    pub(super) fn drop_unconnected_readers(&self, panics: &mut Panics) {
        let left = self.outgoing.with(|outgoing| mem::take(&mut outgoing.unconnected));
        if let Some(left) = left.filter(|left| !left.is_empty()) {
            self.update_hold();
            panics.drop_each(left.into_iter().map(|(callback, _)| callback));
        }
    }

    pub(super) fn check_connect(&self) {
        if !self.flags.is(is::WRITABLE) {
            return;
        }
        let connected = self.socket.borrow().as_ref().map_or(Ok(false), H::Transport::connected);
        match connected {
            Ok(false) => self.flags.unset(is::WRITABLE),
            Err(err) => self.fail_connect(err),
            Ok(true) => self.finish_connect(),
        }
    }

    fn finish_connect(&self) {
        let mut outcome = Outcome::default();
        self.stop_connect_limit();
        self.flags.unset(is::CONNECTING);
        self.flags.set(is::CONNECTED);
        if let Some(ticket) = self.pop_with(|outgoing| outgoing.connect.take()) {
            outcome.end(ticket, Ok(()));
        }
        if self.flags.is(is::QUEUED) || self.flags.has(is::READING | is::READABLE) {
            // Not now: the connect's callback comes first, and may close the handle.
            self.resume_later();
        }
        if !self.flags.is(is::QUEUED) {
            self.stop_awaiting_room(&mut outcome);
        }
        if self.flags.has(is::AWAITED | is::READABLE) {
            self.wake_readers(&mut outcome);
        }
        self.update_hold();
        self.tell(outcome);
    }

    pub(super) fn stop_connect_limit(&self) {
        let limit = self.pop_with(|outgoing| outgoing.connect_limit.take());
        if let Some(key) = limit {
            self.core.event_loop().inner().disarm(key);
        }
    }
}
