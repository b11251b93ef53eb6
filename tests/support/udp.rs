//! UDP sockets for the tests: peers of the standard library, and a socket that has no room.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use luvio::{LoopHandle, Udp};

/// A handle with a free port of the loopback.
#[track_caller]
pub fn bound(event_loop: &LoopHandle) -> Udp {
    let udp = Udp::new(event_loop);
    udp.bind("127.0.0.1:0").expect("loopback has a free port");
    udp
}

/// Its address.
#[track_caller]
pub fn addr(udp: &Udp) -> SocketAddr {
    udp.local_addr().expect("a bound socket has an address")
}

/// A blocking socket of the standard library, whose waits end after a while.
pub fn std_socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    socket
}

/// One that sends to the handle and receives from it alone.
pub fn peer_of(udp: &Udp) -> UdpSocket {
    let socket = std_socket();
    socket.connect(addr(udp)).expect("loopback can be connected");
    socket
}

/// A connected handle that has no room for more than a few datagrams until its peer reads them: a Unix datagram socket
/// in the clothes of a UDP one, since UDP on the loopback always finds room, and drops what it has none for later.
pub fn narrow(event_loop: &LoopHandle) -> (Udp, UnixDatagram) {
    let (here, there) = UnixDatagram::pair().expect("a pair can be made");
    there.set_nonblocking(true).expect("it can be set");
    let udp = Udp::new(event_loop);
    udp.open(UdpSocket::from(OwnedFd::from(here))).expect("a connected socket can be adopted");
    (udp, there)
}

/// Sends numbered datagrams until one has to wait, and says how many went out.
pub fn fill(udp: &Udp) -> usize {
    let mut sent = 0;
    while udp.send(format!("{sent}")).is_finished() {
        sent += 1;
    }
    sent
}

/// Everything that has arrived.
pub fn take_all(peer: &UnixDatagram) -> Vec<String> {
    let mut taken = Vec::new();
    let mut buffer = [0; 100];
    while let Ok(length) = peer.recv(&mut buffer) {
        taken.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    taken
}

/// An address of the loopback at which nobody is.
pub fn nobody() -> SocketAddr {
    std_socket().local_addr().expect("a bound socket has an address")
}
