//! What the servers are put through.

/// How the clients behave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each connection keeps so many messages under way.
    Messages { outstanding: usize },
    /// Each connection sends as fast as it can.
    Stream,
    /// One socket keeps so many datagrams under way.
    Datagrams { outstanding: usize, offload: bool },
    /// Each connection sends one message and is replaced by a new one.
    Churn,
}

/// What the messages go over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
    Unix,
}

/// One scenario.
pub struct Scenario {
    pub name: &'static str,
    pub what: &'static str,
    pub transport: Transport,
    pub connections: usize,
    /// Connections that are open and do nothing.
    pub idle: usize,
    pub message: usize,
    pub shape: Shape,
}

/// A message goes when the answer to the last one has come.
pub const ONE: Shape = Shape::Messages { outstanding: 1 };

pub const ALL: &[Scenario] = &[
    scenario("c1", "1 connection, 64 B", 1, 64, ONE),
    scenario("c50", "50 connections, 64 B", 50, 64, ONE),
    scenario("c1000", "1,000 connections, 64 B", 1_000, 64, ONE),
    scenario("c50-16k", "50 connections, 16 KiB", 50, 16 * 1024, ONE),
    scenario(
        "c50-p16",
        "50 connections, 64 B, 16 messages outstanding",
        50,
        64,
        Shape::Messages { outstanding: 16 },
    ),
    scenario("bulk", "4 connections, streaming; a message is 64 KiB", 4, 64 * 1024, Shape::Stream),
    scenario("churn", "connect, one message of 64 B, close; 64 at once", 64, 64, Shape::Churn),
    Scenario {
        transport: Transport::Udp,
        ..scenario(
            "udp",
            "1 UDP socket, datagrams of 64 B, 64 outstanding",
            1,
            64,
            Shape::Datagrams { outstanding: 64, offload: false },
        )
    },
    Scenario {
        transport: Transport::Udp,
        ..scenario(
            "udp-gso",
            "1 UDP socket, datagrams of 1,200 B that are sent in one piece, 64 outstanding",
            1,
            1_200,
            Shape::Datagrams { outstanding: 64, offload: true },
        )
    },
    Scenario {
        idle: 10_000,
        ..scenario("idle", "10,000 idle connections beside 50 with 64 B", 50, 64, ONE)
    },
    over_unix("unix-c50", "50 connections over a Unix socket, 64 B", 50, 64, ONE),
    over_unix(
        "unix-bulk",
        "4 connections over a Unix socket, streaming; a message is 64 KiB",
        4,
        64 * 1024,
        Shape::Stream,
    ),
    Scenario {
        idle: 10_000,
        ..over_unix(
            "unix-idle",
            "10,000 idle connections over a Unix socket beside 50 with 64 B",
            50,
            64,
            ONE,
        )
    },
];

const fn scenario(
    name: &'static str,
    what: &'static str,
    connections: usize,
    message: usize,
    shape: Shape,
) -> Scenario {
    let transport = Transport::Tcp;
    Scenario { name, what, transport, connections, idle: 0, message, shape }
}

const fn over_unix(
    name: &'static str,
    what: &'static str,
    connections: usize,
    message: usize,
    shape: Shape,
) -> Scenario {
    Scenario { transport: Transport::Unix, ..scenario(name, what, connections, message, shape) }
}
