//! What is written and read, and what was promised of it.

use std::io;

use luvio::is_canceled;

use super::world::{Sock, fail_unless, world};

/// One end of a connection: what was written to it, and how much of what the other end wrote was read.
#[derive(Default)]
pub struct Conn {
    pub peer: Option<usize>,
    pub port: u16,
    writes: Vec<Write>,
    read: (usize, usize),
    read_all: bool,
}

struct Write {
    len: usize,
    canceled: bool,
    succeeded: bool,
}

/// Names a write: its connection and its place there.
pub type WriteId = (usize, usize);

/// The byte at a place of a write.
pub fn pattern((conn, write): WriteId, at: usize) -> u8 {
    (conn * 101 + write * 37 + at) as u8
}

impl Sock {
    /// Notes a write of so many bytes, and says what they are.
    pub fn new_write(&self, len: usize) -> (Option<WriteId>, Vec<u8>) {
        let Some(conn) = self.notes.conn.get() else { return (None, vec![b'?'; len]) };
        let id = world(|world| {
            let writes = &mut world.conns[conn].writes;
            writes.push(Write { len, canceled: false, succeeded: false });
            (conn, writes.len() - 1)
        });
        (Some(id), (0..len).map(|at| pattern(id, at)).collect())
    }

    /// A new connection, as far as this end knows.
    pub fn begin_connection(&self, peer: Option<usize>) -> usize {
        let port = self.tcp.local_addr().map_or(0, |addr| addr.port());
        let conn = world(|world| {
            let conn = world.conns.len();
            world.conns.push(Conn { peer, port, ..Conn::default() });
            if let Some(peer) = peer {
                world.conns[peer].peer = Some(conn);
            }
            conn
        });
        self.notes.conn.set(Some(conn));
        conn
    }

    /// This stream was accepted: finds out which one its peer is.
    pub fn accepted(&self) {
        let Ok(addr) = self.tcp.peer_addr() else { return };
        let peer = world(|world| world.conns.iter().rposition(|conn| conn.port == addr.port()));
        self.begin_connection(peer);
    }
}

/// How a write ended.
pub fn write_ended(write: Option<WriteId>, result: &io::Result<()>) {
    let Some((conn, number)) = write else { return };
    let was_canceled = world(|world| {
        let write = &mut world.conns[conn].writes[number];
        write.succeeded = result.is_ok();
        write.canceled
    });
    let is_canceled = matches!(result, Err(err) if is_canceled(err));
    fail_unless(!was_canceled || is_canceled, || {
        format!("a write that was cancelled ended with {result:?}")
    });
}

pub fn write_canceled(write: Option<WriteId>) {
    if let Some((conn, number)) = write {
        world(|world| world.conns[conn].writes[number].canceled = true);
    }
}

/// Only so much of a write was taken, and it has succeeded.
pub fn write_cut(write: Option<WriteId>, len: usize) {
    if let Some((conn, number)) = write {
        world(|world| {
            let write = &mut world.conns[conn].writes[number];
            write.len = len;
            write.succeeded = true;
        });
    }
}

/// RD-05: what was read has to be what the other end wrote next; nothing is its end.
pub fn received(conn: Option<usize>, data: &[u8]) {
    let Some(conn) = conn else { return };
    let wrong = world(|world| {
        let peer = world.conns[conn].peer?;
        let (mut write, mut at) = world.conns[conn].read;
        world.conns[conn].read_all |= data.is_empty();
        for &byte in data {
            while world.conns[peer].writes.get(write).is_some_and(|w| w.canceled || at == w.len) {
                (write, at) = (write + 1, 0);
            }
            if world.conns[peer].writes.get(write).is_none() {
                return Some("more was read than was written".to_string());
            }
            if byte != pattern((peer, write), at) {
                return Some(format!("byte {at} of write {write} to connection {peer} is wrong"));
            }
            at += 1;
        }
        world.conns[conn].read = (write, at);
        None
    });
    fail_unless(wrong.is_none(), || format!("{} (RD-05)", wrong.unwrap_or_default()));
}

/// What was promised of data that came to its end.
pub fn check_connections() {
    let lost = world(|world| {
        let ended = world.conns.iter().filter(|conn| conn.read_all);
        let mut lost = None;
        for conn in ended {
            let Some(peer) = conn.peer else { continue };
            let (write, at) = conn.read;
            let mut rest = world.conns[peer].writes.iter().enumerate().skip(write);
            let is_lost = |number: usize, w: &Write| {
                w.succeeded && !w.canceled && w.len > if number == write { at } else { 0 }
            };
            if let Some((number, _)) = rest.find(|(number, w)| is_lost(*number, w)) {
                lost = Some(format!(
                    "write {number} to connection {peer} succeeded; its reader met the end before it"
                ));
            }
        }
        lost
    });
    fail_unless(lost.is_none(), || lost.unwrap_or_default());
}
