//! What is done to UDP sockets.

#[cfg(feature = "udp")]
pub use with_udp::{Sent, bind, connect, recv_once, recv_start, send_to, try_send_to};
#[cfg(not(feature = "udp"))]
pub use without_udp::{bind, connect, recv_once, recv_start, send_to, try_send_to};

#[cfg(feature = "udp")]
mod with_udp {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::rc::Rc;

    use luvio::{Datagram, Udp};

    use super::super::data::pattern;
    use super::super::given::Holder;
    use super::super::program::{Code, Use};
    use super::super::requests::use_request;
    use super::super::world::{
        Calls, It, Item, api, check_gone, event, fail_unless, get, is_gone, script, world,
    };

    fn udp(h: u8) -> Option<(u8, Udp, Rc<Calls>)> {
        match get(h)? {
            Item { l, it: It::Udp(udp, calls) } => Some((l, udp, calls)),
            _ => None,
        }
    }

    /// Where a socket can be reached, if it has an address.
    fn addr_of(h: u8) -> Option<SocketAddr> {
        let addr = api(|| udp(h)?.1.local_addr().ok())?;
        Some((Ipv4Addr::LOCALHOST, addr.port()).into())
    }

    fn port(udp: &Udp) -> u16 {
        udp.local_addr().map_or(0, |addr| addr.port())
    }

    pub fn bind(h: u8) {
        let Some((l, udp, _)) = udp(h) else { return };
        let was_gone = is_gone(l);
        let bound = api(|| udp.bind("127.0.0.1:0"));
        check_gone("bind", was_gone, &bound);
    }

    pub fn connect(h: u8, to: u8) {
        let (Some((l, udp, _)), Some(addr)) = (udp(h), addr_of(to)) else { return };
        let was_gone = is_gone(l);
        let connected =
            api(|| if udp.peer_addr().is_ok() { udp.disconnect() } else { udp.connect(addr) });
        check_gone("connect", was_gone, &connected);
    }

    pub fn recv_start(h: u8, code: Code) {
        let Some((l, udp, calls)) = udp(h) else { return };
        let was_gone = is_gone(l);
        let item = Item { l, it: It::Udp(udp.clone(), Rc::clone(&calls)) };
        let holder = Holder::new("a receive callback", l, false, code, Some(&item));
        let started = api(|| {
            udp.recv_start(move |udp, datagram| {
                event("a receive callback", l, udp, &holder);
                calls.count(l);
                if let Ok(datagram) = datagram {
                    came(udp, &datagram);
                }
                script(code.body, Some(Item { l, it: It::Udp(udp.clone(), Rc::clone(&calls)) }));
            })
        });
        check_gone("recv_start", was_gone, &started);
    }

    fn came(udp: &Udp, datagram: &Datagram<'_>) {
        datagram_came(datagram.data, datagram.truncated, datagram.from.port(), port(udp));
    }

    /// What a socket is about to send, and where. One that has no address yet gets it now, to be known by it.
    fn parcel(udp: &Udp, to: u8, len: u32) -> Option<(Vec<u8>, SocketAddr)> {
        let addr = udp.peer_addr().ok().or_else(|| addr_of(to))?;
        if udp.local_addr().is_err() {
            let _ = api(|| udp.bind("127.0.0.1:0"));
        }
        Some((new_datagram(len as usize, port(udp), addr.port()), addr))
    }

    pub fn send_to(h: u8, to: u8, len: u32, then: Use) {
        let Some((l, udp, calls)) = udp(h) else { return };
        let Some((data, addr)) = parcel(&udp, to, len) else { return };
        let request =
            api(|| if udp.peer_addr().is_ok() { udp.send(data) } else { udp.send_to(data, addr) });
        use_request("send", &Item { l, it: It::Udp(udp, calls) }, request, None, then);
    }

    pub fn try_send_to(h: u8, to: u8, len: u32) {
        let Some((l, udp, _)) = udp(h) else { return };
        let was_gone = is_gone(l);
        let Some((data, addr)) = parcel(&udp, to, len) else { return };
        let sent = api(|| udp.try_send_to(&data, addr));
        check_gone("try_send_to", was_gone, &sent);
    }

    pub async fn recv_once(h: u8) {
        if let Some((_, udp, _)) = udp(h) {
            let _ = udp.recv_with(|datagram| came(&udp, &datagram)).await;
        }
    }

    /// A datagram that was sent, maybe.
    pub struct Sent {
        len: usize,
        /// The ports of the two ends.
        from: u16,
        to: u16,
        has_come: bool,
    }

    /// Notes a datagram, and says what it carries.
    fn new_datagram(len: usize, from: u16, to: u16) -> Vec<u8> {
        let number = world(|world| {
            world.datagrams.push(Sent { len, from, to, has_come: false });
            world.datagrams.len() - 1
        });
        datagram(number, len)
    }

    fn datagram(number: usize, len: usize) -> Vec<u8> {
        (0..len).map(|at| pattern((0, number), at)).collect()
    }

    /// D-06, D-07, D-11: what has come was sent, once, by the one that is named, and nothing later from there came before it.
    fn datagram_came(data: &[u8], is_cut: bool, from: u16, to: u16) {
        let wrong = world(|world| {
            let mut all = world.datagrams.iter().enumerate();
            let is_it = |(number, sent): &(usize, &Sent)| {
                let fits = if is_cut { sent.len > data.len() } else { sent.len == data.len() };
                let is_between = (sent.from, sent.to) == (from, to);
                fits && is_between && !sent.has_come && datagram(*number, data.len()) == data
            };
            let Some((number, _)) = all.find(is_it) else { return Some("was not sent") };
            world.datagrams[number].has_come = true;
            // Empty ones are all alike.
            let mut later = world.datagrams[number + 1..].iter();
            let overtaken = later.any(|sent| sent.has_come && (sent.from, sent.to) == (from, to));
            (overtaken && !data.is_empty()).then_some("came after a later one")
        });
        fail_unless(wrong.is_none(), || format!("a datagram {}", wrong.unwrap_or_default()));
    }
}

#[cfg(not(feature = "udp"))]
mod without_udp {
    use super::super::program::{Code, Use};

    pub fn bind(_: u8) {}
    pub fn connect(_: u8, _: u8) {}
    pub fn recv_start(_: u8, _: Code) {}
    pub fn send_to(_: u8, _: u8, _: u32, _: Use) {}
    pub fn try_send_to(_: u8, _: u8, _: u32) {}
    pub async fn recv_once(_: u8) {}
}
