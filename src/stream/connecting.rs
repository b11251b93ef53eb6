//! Connecting: a socket whose connect is under way, and how that ends.

use std::io;
use std::rc::Rc;

use super::{Stream, StreamHandle, Transport, is};
use crate::error::Canceled;
use crate::event_loop::{Expire, Nanos};
use crate::request::{OnDrop, Origin, Request};

impl<H: StreamHandle> Stream<H> {
    /// Takes over a socket whose connect is under way.
    pub(crate) fn connect(&self, origin: Origin, mut socket: H::Transport) -> Request<()> {
        if let Err(err) = self.register(&mut socket) {
            return Request::finished(origin, Err(err));
        }
        self.socket.replace(Some(socket));
        self.set(is::CONNECTING);
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
    /// connection is cancelled, after the connect.
    pub(crate) fn fail_connect(&self, error: io::Error) {
        if !self.is(is::CONNECTING) {
            return;
        }
        self.stop_connect_limit();
        self.drop_socket();
        self.cut_off_reader();
        self.wake_writer();
        let was_reading = self.is(is::READING);
        let kept = self.flags.get() & (is::PINNED | is::RESUMING | is::FAILED_CONNECTS);
        self.flags.set(kept.wrapping_add(is::ONE_FAILED_CONNECT));
        if was_reading {
            self.core.set_active(false);
            self.reader.clear();
        }
        let mut error = Some(error);
        while let Some(ticket) = self.pop_request() {
            ticket.finish(Err(error.take().unwrap_or_else(|| Canceled.into())));
        }
        self.update_hold();
    }

    pub(super) fn check_connect(&self) {
        if !self.is(is::WRITABLE) {
            return;
        }
        let connected = self.socket.borrow().as_ref().map_or(Ok(false), H::Transport::connected);
        match connected {
            Ok(false) => self.unset(is::WRITABLE),
            Err(err) => self.fail_connect(err),
            Ok(true) => {
                self.stop_connect_limit();
                self.unset(is::CONNECTING);
                self.set(is::CONNECTED);
                if let Some(ticket) = self.pop_with(|outgoing| outgoing.connect.take()) {
                    ticket.finish(Ok(()));
                }
                self.write_pass();
                self.after_progress();
                self.wake_reader();
                if self.has(is::READING | is::READABLE) {
                    // Not now: the connect callback comes before the data.
                    self.resume_later();
                }
            }
        }
    }

    pub(super) fn stop_connect_limit(&self) {
        let limit = self.pop_with(|outgoing| outgoing.connect_limit.take());
        if let Some(key) = limit {
            self.core.event_loop().inner().disarm(key);
        }
    }
}
