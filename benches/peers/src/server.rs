//! The servers under test: building what has to be built, starting them, and what the system knows about them.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use core_affinity::CoreId;
use socket2::SockAddr;

use crate::options::Options;
use crate::scenario::Transport;
use crate::summary::Report;

/// A server that can be started.
pub struct Server {
    pub name: &'static str,
    pub what: &'static str,
    /// How to start it, or why it cannot be.
    pub program: Result<PathBuf, String>,
    /// The only scenario that it takes part in, if it is not for all of them.
    pub only_in: Option<&'static str>,
    /// What it takes messages over.
    pub transport: Transport,
    /// Not having it is no failure.
    optional: bool,
}

/// The name of the server that the others are compared with.
pub const FLOOR: &str = "floor";

pub const NAMES: [&str; 9] = [
    FLOOR,
    "luvio",
    "luvio-tasks",
    "luvio-spin",
    "luvio-offload",
    "tokio",
    "smol",
    "calloop",
    "libuv",
];

/// A server that does not listen after so long never will. Under valgrind it takes a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

/// Finds the servers, and builds the one that is not Rust.
pub fn prepare(options: &Options) -> Vec<Server> {
    let spin = "luvio in callbacks, polling for 200 µs before it sleeps";
    let mut servers = vec![
        rust(
            FLOOR,
            "written by hand on mio, with what every fast server does and nothing else",
            "floor_mio",
        ),
        rust("luvio", "luvio in callbacks: examples/luv_echo", "luv_echo"),
        rust("luvio-tasks", "luvio in tasks: examples/async_echo", "async_echo"),
        Server { only_in: Some("c1"), ..rust("luvio-spin", spin, "luvio_spin") },
        rust(
            "tokio",
            "tokio, current-thread runtime, a local task for each connection",
            "tokio_echo",
        ),
        rust("smol", "async-io under async-executor, a task for each connection", "smol_echo"),
        rust("calloop", "calloop, a generic source for each connection, by edge", "calloop_echo"),
        over(Transport::Udp, rust(FLOOR, "datagrams, by hand on mio", "floor_udp")),
        over(
            Transport::Udp,
            rust("luvio", "datagrams in callbacks: examples/udp_echo", "udp_echo"),
        ),
        over(Transport::Udp, rust("tokio", "datagrams, current-thread runtime", "tokio_udp")),
        Server {
            only_in: Some("udp-gso"),
            ..over(Transport::Udp, rust("luvio-offload", "datagrams with offload", "luvio_udp_gso"))
        },
        over(Transport::Unix, rust(FLOOR, "Unix sockets, by hand on mio", "floor_mio")),
        over(Transport::Unix, rust("luvio", "Unix sockets in callbacks", "luvio_pipe")),
        over(Transport::Unix, rust("luvio-tasks", "Unix sockets in tasks", "luvio_pipe_tasks")),
        over(Transport::Unix, rust("tokio", "Unix sockets, current-thread runtime", "tokio_echo")),
    ];
    if options.wants_server("libuv") {
        let echo = compile_with_libuv("libuv_echo");
        let what = "libuv in C as its users write it: uv_read_start, uv_write with a request for each message";
        let libuv =
            |what, program| Server { what, optional: true, ..Server::new("libuv", program) };
        servers.push(libuv(what, echo.clone()));
        servers.push(over(Transport::Unix, libuv("Unix sockets, the same", echo)));
        let what = "libuv in C as its users write it: uv_udp_recv_start, uv_udp_send with a request for each datagram";
        servers.push(over(Transport::Udp, libuv(what, compile_with_libuv("libuv_udp"))));
    }
    servers.retain(|server| server.name == FLOOR || options.wants_server(server.name));
    servers
}

fn rust(name: &'static str, what: &'static str, binary: &str) -> Server {
    let program = folder().join(binary);
    let missing = format!("{} was not built", program.display());
    let program = program.exists().then_some(program).ok_or(missing);
    Server { what, ..Server::new(name, program) }
}

fn over(transport: Transport, server: Server) -> Server {
    Server { transport, ..server }
}

/// Where cargo has put the servers: where it has put the scoreboard.
fn folder() -> PathBuf {
    let here = std::env::current_exe().expect("the scoreboard knows where it is");
    here.parent().expect("it is in a folder").to_path_buf()
}

/// Compiles `servers/NAME.c`, or says what is missing.
pub fn compile_with_libuv(name: &str) -> Result<PathBuf, String> {
    let hint =
        "install libuv's headers, pkg-config and a C compiler (Debian: libuv1-dev pkg-config gcc)";
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "libuv"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .ok_or_else(|| format!("not found: {hint}"))?;
    let flags = String::from_utf8_lossy(&flags.stdout).into_owned();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("servers/{name}.c"));
    let program = folder().join(name);
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(&source)
        .args(flags.split_whitespace())
        .output();
    match built {
        Ok(output) if output.status.success() => Ok(program),
        _ => Err(format!("{} could not be compiled: {hint}", source.display())),
    }
}

impl Server {
    pub fn new(name: &'static str, program: Result<PathBuf, String>) -> Server {
        let transport = Transport::Tcp;
        Server { name, what: "", program, only_in: None, transport, optional: false }
    }

    /// Notes that there are no figures of it in a part of the table. That what is optional is not there is no failure.
    pub fn note_missing(&self, part: &str, reason: &str, report: &mut Report) {
        match &self.program {
            Err(_) if self.optional => {}
            // The same in each part.
            Err(_) => report.fail(self.name, reason),
            Ok(_) => report.fail(&format!("{part}: {}", self.name), reason),
        }
    }
}

/// A server that is running. Ended when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pub addr: SockAddr,
    /// The same as the server says it.
    pub said: String,
    /// Brings the last line of what the server had to say, once it has ended.
    last_words: mpsc::Receiver<String>,
}

impl Running {
    /// Starts `server` on its core, behind `wrapper` if there is one, and waits until it listens.
    pub fn start(
        program: &Path,
        transport: Transport,
        wrapper: &[String],
    ) -> Result<Running, String> {
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let host = match transport {
            Transport::Tcp | Transport::Udp => "127.0.0.1".to_string(),
            Transport::Unix => new_path(),
        };
        command.args(["0", &host]).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Logging would be measured, too.
        command.env_remove("RUST_LOG");
        // A child runs where the thread that starts it may run.
        let spawned = thread::spawn(move || {
            pin_to_core(SERVER_CORE);
            command.spawn()
        });
        let spawned = spawned.join().expect("starting a process does not panic");
        let mut child = spawned.map_err(|err| format!("{}: {err}", program.display()))?;
        let (greet, greeting) = mpsc::channel();
        let stdout = child.stdout.take().expect("it is piped");
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = greet.send(line);
            let _ = io::copy(&mut stdout, &mut io::sink());
        });
        let stderr = child.stderr.take().expect("it is piped");
        let (tell, last_words) = mpsc::channel();
        thread::spawn(move || tell.send(last_line(stderr)));
        // Where it listens is known when it says so.
        let addr = SocketAddr::from(([0, 0, 0, 0], 0)).into();
        let mut running = Running { child, addr, said: host, last_words };
        let line = greeting.recv_timeout(PATIENCE).unwrap_or_default();
        let said = line.split_whitespace().last();
        match said.and_then(|said| Some((said.to_string(), address(said)?))) {
            Some((said, addr)) => (running.said, running.addr) = (said, addr),
            None => return Err(format!("it did not start: {}", running.how_it_ended())),
        }
        Ok(running)
    }

    /// How the server ended, and what it said last; ends it if it has not.
    pub fn how_it_ended(&mut self) -> String {
        // Its sockets are closed a moment before it is over.
        let mut status = None;
        for _ in 0..20 {
            status = self.child.try_wait().ok().flatten();
            if status.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let how = match status {
            Some(status) => status.to_string(),
            None => "it is still running".to_string(),
        };
        self.end();
        match self
            .last_words
            .recv_timeout(Duration::from_secs(1))
            .ok()
            .filter(|said| !said.is_empty())
        {
            Some(said) => format!("{how}; it said: {said}"),
            None => format!("{how}; it said nothing"),
        }
    }

    /// The time on a core so far, in nanoseconds, over all threads.
    pub fn cpu_ns(&self) -> Option<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()? {
            let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            sum += stat.split_whitespace().next()?.parse::<u64>().ok()?;
        }
        Some(sum)
    }

    /// See [`memory_of`].
    pub fn memory(&self) -> Option<u64> {
        memory_of(self.child.id())
    }

    /// Ends the server behind a tool, and waits until the tool has written its report. Not as Ctrl-C does: a program that a
    /// shell has started in the background does not hear that, nor do those that it starts.
    pub fn end_traced(mut self) -> io::Result<()> {
        let target = self.traced().unwrap_or(self.child.id());
        Command::new("kill").args(["-TERM", &target.to_string()]).status()?;
        self.child.wait().map(drop)
    }

    /// The server if it is a child of the tool, as with strace; valgrind is the same process.
    fn traced(&self) -> Option<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return; // its number may be another's by now
        }
        // strace would leave it behind.
        if let Some(server) = self.traced() {
            let _ = Command::new("kill").args(["-KILL", &server.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        // A server that is killed leaves its socket file behind.
        if self.said.starts_with('/') {
            let _ = fs::remove_file(&self.said);
        }
    }
}

/// The memory that this process has touched and that is its own, in bytes.
pub fn memory_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Where a server listens: an address and a port, or the path of a Unix socket.
pub fn address(said: &str) -> Option<SockAddr> {
    match said.starts_with('/') {
        true => SockAddr::unix(said).ok(),
        false => Some(said.parse::<SocketAddr>().ok()?.into()),
    }
}

/// The path of a Unix socket that no other server has.
fn new_path() -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("luvio-peers-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = fs::remove_file(&path); // of a run that was killed
    path.display().to_string()
}

/// Reads to the end and returns the last line that is not empty.
fn last_line(from: impl Read) -> String {
    let mut last = String::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            last = line.trim().to_string();
        }
    }
    last
}

/// The servers run on the one core, and what puts them under load on the other.
pub const SERVER_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

/// Keeps this thread on one of the two cores, where the system allows it.
pub fn pin_to_core(index: usize) {
    if let Some(cores) = two_cores() {
        core_affinity::set_for_current(cores[index]);
    }
}

/// The first core and the next one that does not share its hardware; nothing where there is only one.
pub fn two_cores() -> Option<[CoreId; 2]> {
    // Asked once, before anything is pinned: a thread that is sees no other core than its own.
    static CORES: OnceLock<Option<[CoreId; 2]>> = OnceLock::new();
    *CORES.get_or_init(|| {
        let cores = core_affinity::get_core_ids()?;
        let (first, others) = cores.split_first()?;
        let shared = siblings(first.id);
        let apart = others.iter().find(|core| !shared.contains(&core.id));
        Some([*first, *apart.or(others.first())?])
    })
}

/// The logical cores that are the same piece of hardware as this one.
fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let list = fs::read_to_string(path).unwrap_or_default();
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_what_is_not_empty() {
        assert_eq!(last_line(&b"first\nlast \n\n"[..]), "last");
        assert_eq!(last_line(&b""[..]), "");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let refused =
            Running::start(Path::new("/nowhere/server"), Transport::Tcp, &[]).unwrap_err();
        assert!(refused.contains("/nowhere/server"), "{refused}");
    }

    #[test]
    fn a_server_says_an_address_or_a_path() {
        assert!(address("127.0.0.1:7000").unwrap().is_ipv4());
        assert!(address("/tmp/socket").unwrap().is_unix());
        assert!(address("7000").is_none() && address("").is_none());
    }

    #[test]
    fn a_server_that_does_not_start_is_quoted() {
        let shell = ["sh", "-c", "echo cannot bind: port taken >&2; exit 3"].map(String::from);
        let refused = Running::start(Path::new("server"), Transport::Unix, &shell).unwrap_err();
        assert!(refused.contains("port taken") && refused.contains('3'), "{refused}");
        assert_eq!(refused.lines().count(), 1);
    }
}
