//! The servers under test: building what has to be built, starting them, and what the system knows about them.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use core_affinity::CoreId;

use crate::options::Options;

/// A server that can be started.
pub struct Server {
    pub name: &'static str,
    pub what: &'static str,
    /// How to start it, or why it cannot be.
    pub program: Result<PathBuf, String>,
    /// The only scenario that it takes part in, if it is not for all of them.
    pub only_in: Option<&'static str>,
}

/// The name of the server that the others are compared with.
pub const FLOOR: &str = "floor";

/// Finds the servers, and builds the one that is not Rust.
pub fn prepare(options: &Options) -> Vec<Server> {
    let here = std::env::current_exe().expect("the scoreboard knows where it is");
    let folder = here.parent().expect("it is in a folder").to_path_buf();
    let rust = |name, what, binary: &str| {
        let program = folder.join(binary);
        let missing = format!("{} was not built", program.display());
        let program = program.exists().then_some(program).ok_or(missing);
        Server { name, what, program, only_in: None }
    };
    let mut servers = vec![
        rust(FLOOR, "written by hand on mio", "floor_mio"),
        rust("luvio", "luvio in callbacks: examples/luv_echo", "luv_echo"),
        rust("luvio-tasks", "luvio in tasks: examples/async_echo", "async_echo"),
        Server {
            only_in: Some("c1"),
            ..rust(
                "luvio-spin",
                "luvio in callbacks, polling 200 µs before it sleeps",
                "luvio_spin",
            )
        },
        rust("tokio", "tokio, current thread, LocalSet", "tokio_echo"),
        rust("smol", "async-io under async-executor", "smol_echo"),
        rust("calloop", "calloop, generic sources by edge", "calloop_echo"),
    ];
    if options.wants_server("libuv") {
        servers.push(Server {
            name: "libuv",
            what: "libuv in C, as its manual writes it",
            program: build_libuv(&folder),
            only_in: None,
        });
    }
    servers.retain(|server| server.name == FLOOR || options.wants_server(server.name));
    servers
}

fn build_libuv(folder: &Path) -> Result<PathBuf, String> {
    let hint =
        "install libuv's headers, pkg-config and a C compiler (Debian: libuv1-dev pkg-config gcc)";
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "libuv"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .ok_or_else(|| format!("libuv was not found: {hint}"))?;
    let flags = String::from_utf8_lossy(&flags.stdout).into_owned();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/libuv_echo.c");
    let program = folder.join("libuv_echo");
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(source)
        .args(flags.split_whitespace())
        .stderr(Stdio::null())
        .status();
    match built {
        Ok(status) if status.success() => Ok(program),
        _ => Err(format!("the server on libuv could not be compiled: {hint}")),
    }
}

/// A server that is running. Ended when it is dropped.
pub struct Running {
    child: Child,
    pub addr: SocketAddr,
}

impl Running {
    /// Starts `server` on the first core, behind `wrapper` if there is one, and waits until it listens.
    pub fn start(program: &Path, wrapper: &[String]) -> Result<Running, String> {
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["0", "127.0.0.1"]).stdout(Stdio::piped()).stderr(Stdio::null());
        // A child runs where the thread that starts it may run.
        let spawned = thread::spawn(move || {
            pin_to_core(0);
            command.spawn()
        });
        let spawned = spawned.join().expect("starting a process does not panic");
        let mut child = spawned.map_err(|err| format!("{}: {err}", program.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut line);
        let addr = line.split_whitespace().last().and_then(|word| word.parse().ok());
        match (read, addr) {
            (Ok(_), Some(addr)) => Ok(Running { child, addr }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{} did not start to listen", program.display()))
            }
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

    /// The memory that the process has touched and that is its own, in bytes.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }

    /// Ends the server behind a tool as Ctrl-C does, and waits until the tool has written its report.
    pub fn end_traced(mut self) -> io::Result<()> {
        // strace passes the signal on to nobody, valgrind is the process: the server is a child of the one and is the other.
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let target = children.split_whitespace().next().map_or(pid.to_string(), String::from);
        Command::new("kill").args(["-INT", &target]).status()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this thread on one core, where the system allows it.
pub fn pin_to_core(index: usize) {
    // Asked once, before anything is pinned: a thread that is sees no other core than its own.
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    let cores = CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default());
    if cores.len() > 1 {
        core_affinity::set_for_current(cores[index % cores.len()]);
    }
}
