//! What travels along with bytes: it is sent with the first byte of a write, and waits here until it is taken.

#[cfg(feature = "descriptors")]
use std::io::{self, IoSlice};

use log::warn;

use super::{Along, AlongOf, Stream, StreamHandle};
#[cfg(feature = "descriptors")]
use super::{Transport, is};
#[cfg(feature = "descriptors")]
use crate::request::{Origin, Request};

impl<H: StreamHandle> Stream<H> {
    /// As [`write`](Stream::write), with `along`, which goes once and then is dropped. There must be data for it to go with.
    #[cfg(feature = "descriptors")]
    pub(crate) fn write_along(
        &self,
        origin: Origin,
        data: &[u8],
        along: AlongOf<H>,
    ) -> Request<()> {
        debug_assert!(!data.is_empty(), "it goes with the first byte");
        if let Err(misuse) = self.check_can_write() {
            return Request::finished(origin, Err(misuse.into()));
        }
        let mut sent = 0;
        if self.can_send_now() {
            let slices = [IoSlice::new(data)];
            match self.attempt(|socket| socket.send_along(&slices, &along), data.len()) {
                Ok(taken) if taken == data.len() => return Request::finished(origin, Ok(())),
                Ok(taken) => sent = taken,
                Err(err) => return self.refuse(origin, err),
            }
            if self.flags.is(is::WRITABLE) {
                // Cut short without a "would block", so that the poll will not speak of it.
                self.resume_later();
            }
        }
        let along = if sent == 0 { Some(along) } else { None };
        self.enqueue(origin, data[sent..].to_vec(), sent > 0, along)
    }

    /// As [`try_write`](Stream::try_write), with `along`, which has gone unless this fails.
    #[cfg(feature = "descriptors")]
    pub(crate) fn try_write_along(&self, data: &[u8], along: &AlongOf<H>) -> io::Result<usize> {
        let slices = [IoSlice::new(data)];
        let send = || self.attempt(|socket| socket.send_along(&slices, along), data.len());
        self.try_sending(data.len(), send)
    }

    /// Something came along with the data that is being read.
    #[cold]
    pub(super) fn note_arrival(&self, along: AlongOf<H>) {
        let lost = self.with_outgoing(|outgoing| AlongOf::<H>::join(&mut outgoing.arrived, along));
        if let Some(lost) = lost {
            // Not now: the stream is being read, and the logger may do anything.
            let (kind, place) = (self.core.kind(), self.core.place());
            self.core.event_loop().defer(move |_| warn!("the {kind} made at {place}: {lost}"));
        }
    }

    /// What came along with the data so far and was not taken yet.
    pub(crate) fn take_arrived(&self) -> Option<AlongOf<H>> {
        let arrived = self.pop_with(|outgoing| outgoing.arrived.take())?;
        self.update_hold();
        Some(arrived)
    }

    pub(super) fn has_arrived(&self) -> bool {
        self.outgoing.with(|outgoing| outgoing.arrived.is_some()) == Some(true)
    }
}
