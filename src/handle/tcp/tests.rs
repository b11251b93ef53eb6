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
