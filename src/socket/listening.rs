//! Listening, and accepting what has come; the passes are the [`Listener`]'s.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::listener::{Callback, Listener};
use super::{Accepted, SocketHandle, StreamSocket};
use crate::error::{Canceled, Misuse, Refused};
use crate::handle::{Handle, Place};

/// The backlog of a listener that `accept_next` starts.
const DEFAULT_BACKLOG: u32 = 128;

/// Calls back for each connection, or for none if there is no callback.
pub(crate) fn listen<H: SocketHandle>(
    handle: &H,
    backlog: u32,
    callback: Option<Box<Callback<H>>>,
) -> io::Result<()> {
    let socket = handle.socket();
    let core = &socket.stream.core;
    core.check_open()?;
    if socket.extra(|extra| extra.listener.is_some()) {
        return Err(Misuse::AlreadyListening.into());
    }
    if socket.stream.is_connected() || socket.stream.is_connecting() {
        return Err(Misuse::AlreadyConnected.into());
    }
    if !socket.has_socket() {
        socket.check_address()?;
        handle.bind_anywhere()?;
    }
    let Some(fresh) = socket.extra(|extra| extra.fresh.clone()) else {
        return Err(Misuse::NoSocket.into());
    };
    // The socket stays bound if this fails.
    fresh.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    drop(fresh);
    let Some(fresh) = socket.take_fresh()? else {
        return Err(Misuse::NoSocket.into());
    };
    let mut listening = handle.make_listening(fresh);
    let inner = core.event_loop().inner();
    if let Err(err) = inner.register(core.key(), &mut listening, mio::Interest::READABLE) {
        // A handle without it would listen elsewhere the next time.
        socket.set_fresh(H::from_listening(listening));
        return Err(err);
    }
    let has_callback = callback.is_some();
    let listener = Listener::new(listening, callback);
    inner.descriptors.reserve();
    socket.with_extra(|extra| extra.listener = Some(Rc::new(listener)));
    socket.stream.mark_listening();
    if has_callback {
        core.set_active(true);
        core.pin();
    }
    Ok(())
}

/// The connection that was announced, or the next one that waits, as a handle that was made at `place`.
pub(crate) fn accept<H: SocketHandle>(
    handle: &H,
    place: &'static Location<'static>,
) -> io::Result<(H, H::Addr)> {
    let socket = handle.socket();
    socket.stream.core.check_open()?;
    let Some(listener) = socket.extra(|extra| extra.listener.clone()) else {
        return Err(Misuse::NotListening.into());
    };
    accepted(handle, listener.take(handle)?, place)
}

fn accepted<H: SocketHandle>(
    listener: &H,
    (transport, addr): Accepted<H>,
    place: &'static Location<'static>,
) -> io::Result<(H, H::Addr)> {
    let listening = &listener.stream().core;
    let accepted = StreamSocket::<H>::make(listening.event_loop(), place);
    accepted.stream().core.set_accepted_by(listening);
    accepted.stream().adopt(transport, false)?;
    Ok((accepted, addr))
}

/// What `handle` accepted and is open.
pub(crate) fn connections<H: SocketHandle>(handle: &H) -> Vec<H> {
    let mut found = Vec::new();
    let listening = &handle.stream().core;
    listening.event_loop().walk(|other: &dyn Handle| {
        let other = other.as_any().downcast_ref::<H>();
        let is_own = |other: &&H| {
            let core = &other.stream().core;
            !core.is_closing() && core.is_accepted_by(listening)
        };
        found.extend(other.filter(is_own).cloned());
    });
    found
}

/// The next connection, for a task that called `accept_next` at `called_from`.
pub(crate) fn poll_accept<H: SocketHandle>(
    handle: &H,
    place: &mut Place,
    called_from: &'static Location<'static>,
    context: &mut Context<'_>,
) -> Poll<io::Result<(H, H::Addr)>> {
    let socket = handle.socket();
    if socket.stream.core.is_closing() {
        return Poll::Ready(Err(Canceled.into()));
    }
    if socket.extra(|extra| extra.fresh.is_some()) {
        listen(handle, DEFAULT_BACKLOG, None)?;
    }
    let Some(listener) = socket.extra(|extra| extra.listener.clone()) else {
        socket.check_address()?;
        return Poll::Ready(Err(Misuse::NotListening.into()));
    };
    let connection = ready!(listener.poll_accept(handle, place, context))?;
    Poll::Ready(accepted(handle, connection, called_from))
}

/// A future of `accept_next` is gone.
pub(crate) fn stop_accepting<H: SocketHandle>(handle: &H, place: &mut Place) {
    if place.is_some() {
        if let Some(listener) = handle.socket().extra(|extra| extra.listener.clone()) {
            listener.leave(handle, place);
        }
    }
}

/// Closes a handle whose socket was taken out; otherwise it goes on, and comes back.
pub(crate) fn close_when_taken<H: SocketHandle, S: Into<T>, T>(
    handle: H,
    taken: io::Result<S>,
) -> Result<T, Refused<H>> {
    match taken {
        Ok(socket) => {
            handle.close();
            Ok(socket.into())
        }
        Err(error) => Err(Refused { error, value: handle }),
    }
}

/// Takes the bound or listening socket out of a handle, which is to be closed then.
pub(crate) fn give_away<H: SocketHandle>(handle: &H) -> io::Result<socket2::Socket> {
    let socket = handle.socket();
    socket.stream.core.check_open()?;
    let take = |extra: &mut super::Extra<H>| (extra.fresh.take(), extra.listener.clone());
    let (fresh, listener) = socket.if_extra(take).unwrap_or_default();
    if let Some(fresh) = fresh {
        return Rc::try_unwrap(fresh).map_err(|lent| {
            socket.with_extra(|extra| extra.fresh = Some(lent));
            Misuse::UnderWay.into()
        });
    }
    match listener {
        Some(listener) => Ok(H::from_listening(listener.give_away(handle)?)),
        None if socket.has_socket() => Err(Misuse::NotListening.into()),
        None => Err(Misuse::NoSocket.into()),
    }
}
