//! The examples as processes: started, talked to, measured, and ended whatever becomes of the test.

// Each test binary compiles this file for itself and uses a part of it.
#![allow(dead_code)]

use std::convert::Infallible;
use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Far more than any of them takes; a run past it is killed and fails its test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Receives a datagram. A wait with a limit is one that the end of a child, whoever started it, may interrupt.
pub fn receive(client: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match client.recv(buffer) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

/// The command that runs the example, which `cargo test` builds into a directory beside that of
/// the test.
pub fn command(program: &str) -> Command {
    Command::new(path_of(program))
}

fn path_of(program: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let example = profile.join("examples").join(format!("{program}{}", env::consts::EXE_SUFFIX));
    assert!(example.exists(), "{} is missing: `cargo build --examples`", example.display());
    example
}

/// How a run ended and what it printed.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the example to its end.
pub fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    let example = Example::start(program, arguments);
    let stdout = example.stdout();
    example.end_after(stdout, String::new())
}

/// An example that runs; killed when its test is over, passed or not, or after the time limit.
pub struct Example {
    child: Arc<Mutex<Child>>,
    _test_is_over: Sender<Infallible>,
}

impl Example {
    pub fn start(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Example {
        let mut command = command(program);
        command.args(arguments);
        Example::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Example {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = Arc::new(Mutex::new(command.spawn().expect("the example starts")));
        let (_test_is_over, over) = channel();
        let late = Arc::clone(&child);
        thread::spawn(move || {
            let _ = over.recv_timeout(LIMIT);
            let _ = lock(&late).kill(); // fails if it has ended by itself
        });
        Example { child, _test_is_over }
    }

    pub fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    pub fn stdout(&self) -> ChildStdout {
        lock(&self.child).stdout.take().expect("a pipe that nobody has taken")
    }

    pub fn stderr(&self) -> ChildStderr {
        lock(&self.child).stderr.take().expect("a pipe that nobody has taken")
    }

    /// Its status; call it after its output has ended.
    pub fn end(&self) -> ExitStatus {
        lock(&self.child).wait().expect("a child to wait for")
    }

    /// How it ended, after `stdout`, of which `printed` was read already.
    fn end_after(self, mut stdout: impl Read, mut printed: String) -> Run {
        let stderr = self.stderr();
        let stderr = thread::spawn(move || io::read_to_string(stderr));
        stdout.read_to_string(&mut printed).expect("text");
        let stderr = stderr.join().expect("a reader that does not panic").expect("text");
        Run { status: self.end(), stdout: printed, stderr }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill(); // fails if it has ended by itself
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An example that is a server, from the moment at which it accepts connections.
pub struct Server {
    example: Example,
    stdout: BufReader<ChildStdout>,
    /// The line that it printed.
    pub greeting: String,
    /// Where it says that it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// On a free port of the loopback.
    pub fn start(program: &str) -> Server {
        Server::start_on(program, "0", "127.0.0.1")
    }

    pub fn start_on(program: &str, port: &str, host: &str) -> Server {
        let mut command = command(program);
        command.args([port, host]);
        Server::spawn(command)
    }

    /// One that may have so many descriptors open, and not one more.
    pub fn with_descriptors(program: &str, limit: usize) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" 0 127.0.0.1")]);
        command.arg(path_of(program));
        Server::spawn(command)
    }

    /// One that another program, with arguments of its own, runs: a tracer. The id is then that program's.
    pub fn start_by(runner: &mut Command, program: &str) -> Server {
        let mut command = Command::new(runner.get_program());
        command.args(runner.get_args()).arg(path_of(program)).args(["0", "127.0.0.1"]);
        Server::spawn(command)
    }

    pub fn spawn(command: Command) -> Server {
        let example = Example::spawn(command);
        let mut stdout = BufReader::new(example.stdout());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).expect("text");
        let Some(addr) = greeting.split_whitespace().last().and_then(|addr| addr.parse().ok())
        else {
            panic!("no server: {:?}", example.end_after(stdout, greeting));
        };
        Server { example, stdout, greeting, addr }
    }

    pub fn id(&self) -> u32 {
        self.example.id()
    }

    /// Sends it a signal: `"INT"`, `"TERM"`.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(kill.expect("a Unix system has kill").success());
    }

    /// Fails if it has ended.
    #[track_caller]
    pub fn assert_runs(&self) {
        let ended = lock(&self.example.child).try_wait().expect("a child");
        assert_eq!(ended, None);
    }

    /// Waits for its end, and says how it was.
    pub fn end(self) -> Run {
        self.example.end_after(self.stdout, self.greeting)
    }

    /// Fails unless it ends by itself, successfully, with nothing printed but its first line.
    #[track_caller]
    pub fn assert_ends_well(self) {
        let run = self.end();
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
        assert_eq!(run.stderr, "", "{run:?}");
    }
}

/// Runs a test that needs so many descriptors: in a process of its own if this one may not have
/// them, and not at all where none may.
pub fn with_descriptors(count: u64, test: &str, body: impl FnOnce()) {
    if cfg!(not(unix)) || descriptor_limit("-Sn") >= count {
        return body();
    }
    let most = descriptor_limit("-Hn");
    if most < count {
        return eprintln!("skipped: {count} descriptors are needed, {most} is the limit here");
    }
    let again = format!("ulimit -n {count} && exec \"$0\" --exact {test}");
    let test = env::current_exe().expect("the path of this test");
    let status = Command::new("sh").args(["-c", &again]).arg(test).status();
    assert!(status.expect("a Unix system has sh").success());
}

fn descriptor_limit(which: &str) -> u64 {
    let output = Command::new("sh").args(["-c", &format!("ulimit {which}")]).output();
    let output = String::from_utf8(output.expect("a Unix system has sh").stdout).expect("text");
    output.trim().parse().unwrap_or(u64::MAX) // "unlimited"
}

/// What Linux tells about a process and its sockets.
#[cfg(target_os = "linux")]
pub mod proc {
    use std::fs;
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::Duration;

    /// The most memory that it has had, in KiB.
    pub fn peak_memory_kib(process: u32) -> u64 {
        status(process, "VmHWM:")
    }

    /// How often it went to sleep by itself.
    pub fn sleeps(process: u32) -> u64 {
        status(process, "voluntary_ctxt_switches:")
    }

    fn status(process: u32, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let value = text.lines().find_map(|line| line.strip_prefix(field)).expect("such a line");
        value.split_whitespace().next().expect("a value").parse().expect("a number")
    }

    /// The time that it has used the processor, in and outside the kernel.
    pub fn cpu_time(process: u32) -> Duration {
        const TICKS_PER_SECOND: u64 = 100; // USER_HZ
        let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        // The second field is the program's name in brackets, and may contain anything.
        let (_, fields) = text.rsplit_once(')').expect("a name in brackets");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Waits until it sleeps and nothing wakes it.
    pub fn wait_until_idle(process: u32) {
        loop {
            let before = (sleeps(process), cpu_time(process), state(process));
            thread::sleep(Duration::from_millis(50));
            let after = (sleeps(process), cpu_time(process), state(process));
            if before == after && after.2 == "S" {
                return;
            }
        }
    }

    fn state(process: u32) -> String {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        let (_, fields) = text.rsplit_once(')').expect("a name in brackets");
        fields.split_whitespace().next().expect("a state").to_string()
    }

    /// Waits until the server has read everything that was sent to it over this connection (IPv4).
    pub fn wait_until_read(client: &TcpStream) {
        let server = client.peer_addr().expect("a connected socket");
        let client = client.local_addr().expect("a connected socket");
        while in_queues(client, server).0 > 0 || in_queues(server, client).1 > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many bytes of a connection the kernel holds at its `local` end: not acknowledged, not read.
    fn in_queues(local: SocketAddr, remote: SocketAddr) -> (u64, u64) {
        let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
        let (local, remote) = (table_form(local), table_form(remote));
        for line in table.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[1] == local && fields[2] == remote {
                let (unsent, unread) = fields[4].split_once(':').expect("two numbers");
                let number = |text| u64::from_str_radix(text, 16).expect("a number");
                return (number(unsent), number(unread));
            }
        }
        panic!("no connection from {local} to {remote}");
    }

    fn table_form(addr: SocketAddr) -> String {
        let SocketAddr::V4(addr) = addr else { panic!("not IPv4: {addr}") };
        let ip = u32::from_ne_bytes(addr.ip().octets());
        format!("{ip:08X}:{:04X}", addr.port())
    }
}
