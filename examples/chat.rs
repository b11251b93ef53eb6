//! A chat for many, over TCP and over a Unix-domain socket at once: what one says, all others read.
//!
//! ```text
//! cargo run --example chat -- 7000 /tmp/chat
//! nc 127.0.0.1 7000              # in another terminal
//! nc -U /tmp/chat                # and in a third one
//! ```
//!
//! `chat [PORT] [SOCKET]` (7000, /tmp/chat). Everything but `main` is written once for both kinds of streams. Callbacks
//! accept, a task for each guest reads, and whoever speaks writes to all. A guest who does not read what the others say is
//! thrown out, or its queue would fill our memory. Ctrl-C ends it.

mod common;
#[path = "common/graceful.rs"]
mod graceful;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;

use log::{debug, warn};
use luvio::{ByteStream, Listen, Loop, Pipe, Tcp, go};

/// The longest line. Without a bound, a guest who never ends it would fill our memory, too.
const LONGEST_LINE: usize = 4 * 1024;

/// Writes a line to a guest.
type Hear = Box<dyn Fn(&[u8])>;

/// Who is here.
#[derive(Default)]
struct Room {
    guests: RefCell<BTreeMap<u32, Hear>>,
    next: Cell<u32>,
}

impl Room {
    /// Lets a guest in, who hears the others from now on, and tells it by which number it is known.
    fn enter(&self, guest: &impl ByteStream) -> u32 {
        let (number, guest) = (self.next.get() + 1, guest.clone());
        self.next.set(number);
        let hear = move |line: &[u8]| match guest.needs_drain() {
            false => drop(guest.write(line)),
            true => drop(guest.close()), // it has not read for a long time
        };
        hear(format!("you are {number}\n").as_bytes());
        self.guests.borrow_mut().insert(number, Box::new(hear));
        self.say(number, "came in");
        number
    }

    fn leave(&self, number: u32) {
        self.guests.borrow_mut().remove(&number);
        self.say(number, "left");
    }

    /// Tells all others.
    fn say(&self, speaker: u32, what: &str) {
        let line = format!("{speaker} {what}\n");
        for (_, hear) in self.guests.borrow().iter().filter(|&(&number, _)| number != speaker) {
            hear(line.as_bytes());
        }
    }
}

/// Called once for each listener: its callback lets in whoever comes.
fn open_door<L: Listen>(door: &L, room: &Rc<Room>) -> io::Result<()> {
    let room = Rc::clone(room);
    door.listen(128, move |door, incoming| match incoming.and_then(|()| door.accept()) {
        Ok(guest) => go(serve(guest, Rc::clone(&room))),
        Err(err) => warn!("accept error: {err}"),
    })
}

/// A guest's task, from its coming to its leaving.
async fn serve(guest: impl ByteStream, room: Rc<Room>) {
    let number = room.enter(&guest);
    if let Err(err) = listen_to(&guest, number, &room).await {
        debug!("{number}: {err}");
    }
    room.leave(number);
    guest.finish();
}

/// Passes on line after line, however the network has cut them.
async fn listen_to(guest: &impl ByteStream, number: u32, room: &Room) -> io::Result<()> {
    let mut unread = Vec::new();
    while guest.read_into(&mut unread).await? > 0 {
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            room.say(number, &format!("says: {}", String::from_utf8_lossy(&line).trim_end()));
        }
        if unread.len() > LONGEST_LINE {
            return Err(io::Error::other("the line is too long"));
        }
    }
    Ok(())
}

fn main() {
    env_logger::init();
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or("7000".into());
    let path = args.next().unwrap_or("/tmp/chat".into());
    let Ok(port) = port.parse() else {
        common::fail("chat", format_args!("usage: chat [PORT] [SOCKET]; not a port: {port:?}"));
    };
    if let Err(err) = run(port, &path) {
        common::fail("chat", format_args!("port {port}, {path}: {err}"));
    }
}

fn run(port: u16, path: &str) -> io::Result<()> {
    let event_loop = Loop::new()?;
    let room = Rc::new(Room::default());
    let (front, back) = (Tcp::new(&event_loop), Pipe::new(&event_loop));
    front.bind(([0, 0, 0, 0], port))?;
    back.bind(path)?;
    open_door(&front, &room)?;
    open_door(&back, &room)?;
    graceful::end_on_signals(&event_loop)?;
    writeln!(io::stdout(), "Chat listening on {path} and {}", front.local_addr()?)?;
    event_loop.run()
}
