//! Runs the example `async_echo` as a process, and has real clients talk to it.
#![cfg(feature = "signal")]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/echo_clients.rs"]
#[macro_use]
mod echo_clients;
#[path = "support/process.rs"]
mod process;
#[path = "support/server_life.rs"]
#[macro_use]
mod server_life;

server_tests!("async_echo", "Echo server");
echo_tests!("async_echo");
