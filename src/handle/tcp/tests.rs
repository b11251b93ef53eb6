//! What no system can be made to do on demand: registrations that fail, and errors of accept.

use super::*;
use crate::Loop;

/// LA-01, TC-03: a bound handle that the poll does not take keeps its address.
#[test]
fn a_handle_that_cannot_listen_keeps_its_address() {
    let event_loop = Loop::new().unwrap();
    let tcp = Tcp::new(&event_loop);
    tcp.bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap();
    event_loop.inner().poller.close();
    tcp.listen_only(1).unwrap_err();
    assert_eq!(tcp.local_addr().unwrap(), addr);
}

/// TC-23: a socket that the poll does not take comes back.
#[test]
fn a_socket_that_cannot_be_registered_comes_back() {
    let event_loop = Loop::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let tcp = Tcp::new(&event_loop);
    event_loop.inner().poller.close();
    let refused = tcp.open(socket).unwrap_err();
    assert_eq!(refused.value.local_addr().unwrap(), addr);
    assert_eq!(Misuse::of(&refused.error), Some(Misuse::LoopGone));
    assert!(!tcp.has_socket());
}

/// TC-29: a handle whose socket the poll does not let go keeps it.
#[test]
fn a_socket_that_cannot_be_deregistered_stays() {
    let event_loop = Loop::new().unwrap();
    let server = Tcp::new(&event_loop);
    server.bind("127.0.0.1:0").unwrap();
    server.listen_only(1).unwrap();
    let client = Tcp::new(&event_loop);
    event_loop.block_on(client.connect(server.local_addr().unwrap())).unwrap().unwrap();
    event_loop.inner().poller.close();
    let client = client.into_std().unwrap_err().value;
    let server = server.into_std_listener().unwrap_err().value;
    assert!(client.is_writable() && client.peer_addr().is_ok() && server.local_addr().is_ok());
}

/// What a listener knows of its connections costs them nothing: it lies where the compiler would leave a gap.
#[cfg(all(target_pointer_width = "64", not(debug_assertions)))]
#[test]
fn a_connection_is_small() {
    // mio's sockets are larger in debug builds.
    assert_eq!((size_of::<TcpInner>(), size_of::<Core>()), (136, 40));
}
