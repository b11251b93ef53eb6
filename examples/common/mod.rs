//! What the servers among the examples have in common and no lesson needs: their arguments and their last words.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process;

/// The address in `[PORT] [HOST]`, by default port 7000 of every interface. Ends the program if they are no address.
#[allow(dead_code)] // some have arguments of their own
pub fn address_from_args(program: &str) -> SocketAddr {
    // What is no Unicode is no address either.
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let usage = format!(
        "usage: {program} [PORT] [HOST]   (defaults: 7000 0.0.0.0; port 0 picks a free one)"
    );
    let refuse = |what: String| -> ! {
        eprintln!("{program}: {what}\n{usage}");
        process::exit(2);
    };
    if matches!(args.first().map(String::as_str), Some("-h" | "--help")) {
        println!("{usage}");
        process::exit(0);
    }
    if let Some(extra) = args.get(2) {
        refuse(format!("one argument too many: {extra:?}"));
    }
    let port = match args.first() {
        None => 7000,
        Some(port) => port.parse().unwrap_or_else(|_| refuse(format!("not a port: {port:?}"))),
    };
    let host = match args.get(1) {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(host) => {
            host.parse().unwrap_or_else(|_| refuse(format!("not an IP address: {host:?}")))
        }
    };
    SocketAddr::new(host, port)
}

/// Says in one line what went wrong, and ends the program.
pub fn fail(program: &str, what: impl Display) -> ! {
    eprintln!("{program}: {what}");
    process::exit(1);
}
