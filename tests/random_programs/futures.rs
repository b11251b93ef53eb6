//! What tasks do, and what is awaited.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use luvio::{await_callback, interval, sleep, timeout, yield_now};

use super::data::{received, write_ended};
use super::datagrams;
use super::given::Holder;
use super::perform::{micros, perform};
use super::program::{Action, Code, Op};
use super::streams::{start_connect, start_write};
use super::world::{
    It, Item, Sock, api, fail_unless, get, hold, put, script, sock, spend, take, world,
};

impl Op {
    /// True for what waits for a handle, and so ends when that is closed.
    pub fn ends_with_its_handle(self) -> bool {
        !matches!(
            self,
            Op::Sleep(_)
                | Op::Tick(_)
                | Op::Yield
                | Op::Park(_)
                | Op::Callback(..)
                | Op::Join(_)
                | Op::Request(_)
        )
    }
}

/// A future that goes through a script.
pub fn task(is_task: bool, l: u8, code: Code) -> impl Future<Output = ()> + 'static {
    let what = if is_task { "a task" } else { "a future" };
    let holder = Holder::new(what, l, false, code, None);
    let scripts = world(|world| Rc::clone(&world.scripts));
    async move {
        holder.token().call();
        let script = scripts.get(usize::from(code.body)).filter(|_| code.body != 0);
        for &action in script.into_iter().flatten() {
            match action {
                Action::Await { op, limit, .. } => {
                    if spend() {
                        awaiting(op, limit, is_task).await;
                    }
                }
                other => perform(other),
            }
        }
    }
}

/// Something awaited, maybe with a time limit.
pub async fn awaiting(op: Op, limit: Option<u32>, in_task: bool) {
    let _waiting = Waiting::new(in_task && limit.is_none() && op.ends_with_its_handle());
    match limit.filter(|_| is_running()) {
        Some(limit) => drop(timeout(micros(limit), Box::pin(wait_for(op))).await),
        None => Box::pin(wait_for(op)).await,
    }
}

struct Waiting(bool);

impl Waiting {
    fn new(counts: bool) -> Waiting {
        world(|world| world.waiting += usize::from(counts));
        Waiting(counts)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        world(|world| world.waiting -= usize::from(self.0));
    }
}

fn is_running() -> bool {
    world(|world| world.running.contains(&true))
}

async fn wait_for(op: Op) {
    match op {
        Op::ReadOnce(h) => {
            if let Some(sock) = sock(h) {
                if let Ok(data) = sock.tcp.read_once().await {
                    received(sock.notes.conn.get(), &data.unwrap_or_default());
                }
            }
        }
        Op::ReadInto(h) => {
            if let Some(sock) = sock(h) {
                let mut data = Vec::new();
                if sock.tcp.read_into(&mut data).await.is_ok() {
                    received(sock.notes.conn.get(), &data);
                }
            }
        }
        Op::ReadWith(h, code) => {
            if let Some(sock) = sock(h) {
                let holder = Holder::new("what takes a read", sock.l, true, code, None);
                let (notes, item) = (Rc::clone(&sock.notes), sock.item());
                let read = sock.tcp.read_with(move |data| {
                    holder.token().call();
                    received(notes.conn.get(), data);
                    script(code.body, Some(item));
                });
                if let Ok(None) = read.await {
                    received(sock.notes.conn.get(), &[]);
                }
            }
        }
        Op::Write(h, len) => {
            if let Some(sock) = sock(h) {
                let (request, write) = start_write(&sock, len, 1);
                write_ended(write, &request.await);
            }
        }
        Op::Connect(h, to) => {
            if let Some(sock) = sock(h) {
                if let Some(request) = start_connect(&sock, to, None) {
                    let _ = request.await;
                }
            }
        }
        Op::Shutdown(h) => {
            if let Some(sock) = sock(h) {
                let _ = api(|| sock.tcp.shutdown()).await;
            }
        }
        Op::Drained(h) => {
            if let Some(sock) = sock(h) {
                let _ = api(|| sock.tcp.drained()).await;
            }
        }
        Op::Accept(h, into) => {
            if let Some(Sock { l, tcp, .. }) = sock(h) {
                if let Ok(tcp) = tcp.accept_next().await {
                    let sock = Sock { l, tcp, notes: Rc::default() };
                    sock.accepted();
                    put(into, Some(sock.item()));
                }
            }
        }
        Op::Notified(h) => {
            if let Some(Item { it: It::Notifier(notifier), .. }) = get(h) {
                let _ = notifier.notified().await;
            }
        }
        #[cfg(feature = "signal")]
        Op::Delivered(h) => {
            if let Some(Item { it: It::Signal(signal), .. }) = get(h) {
                let _ = signal.delivered().await;
            }
        }
        #[cfg(not(feature = "signal"))]
        Op::Delivered(h) => drop(get(h)),
        Op::RecvOnce(h) => datagrams::recv_once(h).await,
        Op::Sleep(delay) => {
            if is_running() {
                let (begin, delay) = (Instant::now(), micros(delay));
                sleep(delay).await;
                let is_early = world(|world| !world.is_virtual) && begin.elapsed() < delay;
                fail_unless(!is_early, || "a sleep was early (T-01)".into());
            }
        }
        Op::Tick(period) => {
            if is_running() {
                interval(micros(period)).tick().await;
            }
        }
        Op::Yield => yield_now().await,
        Op::Park(s) => park(s).await,
        Op::Callback(s, register) => {
            let called = await_callback(|resume| {
                hold(s, Some(resume), |world| &mut world.resumes);
                script(register, None);
            });
            until_the_end(called).await;
        }
        Op::Join(s) => {
            if let Some(task) = take(s, |world| &mut world.tasks) {
                until_the_end(task).await;
            }
        }
        Op::Request(s) => {
            if let Some(held) = take(s, |world| &mut world.requests) {
                let ended = until_the_end(held.request).await;
                if let Some(result) = ended {
                    write_ended(held.write, &result);
                }
            }
        }
        Op::PollRead(h) => by_trait::read(h).await,
        Op::PollWrite(h, len) => by_trait::write(h, len).await,
        Op::Flush(h) => by_trait::flush(h).await,
        Op::PollClose(h) => by_trait::close(h).await,
    }
}

/// Waits for the program, but not when it is over.
async fn until_the_end<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let waker = context.waker().clone();
        let is_over = world(|world| {
            world.enders.push(waker);
            world.ending
        });
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if is_over => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn park(s: u8) {
    let mut was_polled = false;
    let parked = poll_fn(move |context| {
        if std::mem::replace(&mut was_polled, true) {
            return Poll::Ready(());
        }
        hold(s, Some(context.waker().clone()), |world| &mut world.wakers);
        Poll::Pending
    });
    until_the_end(parked).await;
}

/// The traits of futures-io.
#[cfg(feature = "futures")]
mod by_trait {
    use std::pin::Pin;

    use super::super::data::write_cut;
    use super::*;
    use futures::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

    pub async fn read(h: u8) {
        if let Some(sock) = sock(h) {
            let mut buffer = [0; 40];
            if let Ok(length) = AsyncReadExt::read(&mut &sock.tcp, &mut buffer).await {
                received(sock.notes.conn.get(), &buffer[..length]);
            }
        }
    }

    pub async fn write(h: u8, len: u32) {
        if let Some(sock) = sock(h) {
            // What it writes is known only when it has written it: other writes may come before.
            let mut sent = pin!(poll_fn(|context| {
                let (write, data) = sock.new_write(len as usize);
                let mut stream = &sock.tcp;
                let polled = Pin::new(&mut stream).poll_write(context, &data);
                write_cut(
                    write,
                    match &polled {
                        Poll::Ready(Ok(length)) => *length,
                        _ => 0,
                    },
                );
                polled
            }));
            let _ = sent.as_mut().await;
        }
    }

    pub async fn flush(h: u8) {
        if let Some(sock) = sock(h) {
            let _ = AsyncWriteExt::flush(&mut &sock.tcp).await;
        }
    }

    pub async fn close(h: u8) {
        if let Some(sock) = sock(h) {
            let _ = AsyncWriteExt::close(&mut &sock.tcp).await;
        }
    }
}

#[cfg(not(feature = "futures"))]
mod by_trait {
    pub async fn read(_: u8) {}
    pub async fn write(_: u8, _: u32) {}
    pub async fn flush(_: u8) {}
    pub async fn close(_: u8) {}
}
