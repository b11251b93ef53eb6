//! The standard streams, whatever they are: each test runs itself once more as a child that has them.
#![cfg(all(feature = "tty", target_os = "linux"))]

#[path = "support/pty.rs"]
mod pty;
mod support;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use luvio::{DescriptorKind, Kind, LoopHandle, Misuse, Timer, guess_handle, stderr, stdin, stdout};
use pty::Pty;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pipe::{PipeFlags, pipe_with};
use support::{child, is_child, misuse, new_loop, std_pair, watchdog, with_loop};

/// What the children print stands between these, since the test harness prints, too.
const BEGIN: &str = "<<<";
const END: &str = ">>>";

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd).expect("it is open").contains(OFlags::NONBLOCK)
}

/// The child: copies its input to its output.
async fn cat(event_loop: LoopHandle) -> io::Result<()> {
    let (input, output, errors) = (stdin(&event_loop)?, stdout(&event_loop)?, stderr(&event_loop)?);
    assert!(is_blocking(io::stdin()) && is_blocking(io::stdout()) && is_blocking(io::stderr()));
    output.write(BEGIN).await?;
    while let Some(data) = input.read_once().await? {
        output.write(data).await?;
    }
    output.write(END).await?;
    errors.write("copied\n").await
}

/// What a child printed, out of what the harness did.
#[track_caller]
fn printed(output: &str) -> &str {
    let rest = output.split_once(BEGIN).unwrap_or_else(|| panic!("no begin: {output}")).1;
    rest.rsplit_once(END).unwrap_or_else(|| panic!("no end: {output}")).0
}

/// A pipe that only those children inherit to whom it is given.
fn pipe() -> (File, File) {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe can be made");
    (reads.into(), writes.into())
}

/// A file of one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("stdio-{name}"));
        fs::write(&path, content).expect("the folder for tests is there");
        Scratch(path)
    }

    fn open(&self) -> File {
        File::options().read(true).append(true).open(&self.0).expect("it is there")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs the child to its end, and says what it printed to a pipe.
fn run_with_input(mut command: Command, input: impl Into<Stdio>) -> String {
    let output = command.stdin(input).stderr(Stdio::piped()).output().expect("it can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.ends_with("copied\n"), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

// ---- input -------------------------------------------------------------------------------------------------------

/// Y-13, Y-14: the input may be anything, and stays blocking for others.
#[test]
fn input_may_be_anything() {
    const NAME: &str = "input_may_be_anything";
    let _watchdog = watchdog();
    if is_child() {
        let event_loop = new_loop();
        return event_loop.try_block_on(cat(event_loop.clone())).expect("everything is there");
    }
    let text = "some text\n".repeat(50_000);
    let from = |input: Stdio| run_with_input(child(NAME, ""), input);

    let file = Scratch::new("input", text.as_bytes());
    assert!(printed(&from(file.open().into())) == text, "a file");
    assert_eq!(printed(&from(Stdio::null())), "", "the null device");

    let (reads, mut writes) = pipe();
    let (kept, sent) = (reads.try_clone().expect("a duplicate"), text.clone());
    let writer = thread::spawn(move || writes.write_all(sent.as_bytes()));
    assert!(printed(&from(reads.into())) == text, "a pipe");
    writer.join().expect("no panic").expect("it was read");
    assert!(is_blocking(&kept));

    let (here, mut there) = UnixStream::pair().expect("a pair can be made");
    let (kept, sent) = (here.try_clone().expect("a duplicate"), text.clone());
    let writer = thread::spawn(move || there.write_all(sent.as_bytes()));
    assert!(printed(&from(OwnedFd::from(here).into())) == text, "a Unix socket");
    writer.join().expect("no panic").expect("it was read");
    assert!(is_blocking(&kept));

    let (here, mut there) = std_pair();
    there.write_all(b"over TCP").expect("there is room");
    drop(there);
    assert_eq!(printed(&from(OwnedFd::from(here).into())), "over TCP");

    let pty = Pty::new();
    let terminal = pty.terminal();
    (&pty.master).write_all(b"typed\n\x04").expect("a terminal takes keys");
    assert_eq!(printed(&from(pty.terminal().into())), "typed\n");
    assert!(is_blocking(&terminal));
}

/// Y-14: an input that is always ready leaves the others their turns.
#[test]
fn an_endless_file_does_not_hold_up_the_loop() {
    const NAME: &str = "an_endless_file_does_not_hold_up_the_loop";
    let _watchdog = watchdog();
    if !is_child() {
        let zeros = File::open("/dev/zero").expect("Linux has it");
        return assert!(child(NAME, "").stdin(zeros).status().expect("it can be run").success());
    }
    with_loop(|event_loop| {
        let input = stdin(event_loop).expect("it is open");
        let bytes = Rc::new(Cell::new(0));
        let count = Rc::clone(&bytes);
        let started = input.read_start(move |_, chunk| {
            let chunk = chunk.expect("it has no end").expect("it has no end");
            count.set(count.get() + chunk.len());
        });
        started.expect("it can be read");
        let ends = Timer::after(event_loop, Duration::from_millis(5), move |_| {
            assert!(bytes.get() > 0);
            drop(input.close());
        });
        drop(ends);
    });
}

/// Y-13: a folder is no input: the error says so, once.
#[test]
fn a_folder_as_input_is_an_error() {
    const NAME: &str = "a_folder_as_input_is_an_error";
    let _watchdog = watchdog();
    if !is_child() {
        let folder = File::open("/").expect("it is there");
        return assert!(child(NAME, "").stdin(folder).status().expect("it can be run").success());
    }
    with_loop(|event_loop| {
        let input = stdin(event_loop).expect("it is open");
        let told = support::expect(1);
        let started = input.read_start(move |_, chunk| {
            told.hit();
            let err = chunk.expect_err("a folder cannot be read");
            assert_eq!(err.kind(), ErrorKind::IsADirectory);
        });
        started.expect("the reader hears");
    });
}

/// Y-13: a pipe without data keeps the loop waiting, unless it is unreferenced.
#[test]
fn input_that_does_not_come_can_be_unreferenced() {
    const NAME: &str = "input_that_does_not_come_can_be_unreferenced";
    let _watchdog = watchdog();
    if !is_child() {
        let mut command = child(NAME, "");
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it can be run");
        let writer = child.stdin.take();
        assert!(child.wait().expect("it ends").success());
        return drop(writer);
    }
    let event_loop = new_loop();
    let input = stdin(&event_loop).expect("it is open");
    input.read_start(|_, _| panic!("there is nothing")).expect("it can be read");
    let reasons = event_loop.alive_because();
    assert!(reasons[0].to_string().starts_with("stdio handle made at tests/stdio.rs"));
    let mut kinds = Vec::new();
    event_loop.walk(|handle| kinds.push(handle.kind()));
    assert_eq!(kinds, [Kind::Stdio]);
    input.unref();
    event_loop.run().expect("it can be run");
}

// ---- output ------------------------------------------------------------------------------------------------------

/// Y-13, Y-14, Y-18: the output may be anything, stays blocking for others, and all of it goes out before the loop ends.
#[test]
fn output_may_be_anything() {
    const NAME: &str = "output_may_be_anything";
    const LINES: usize = 30_000;
    let _watchdog = watchdog();
    if is_child() {
        return with_loop(|event_loop| {
            let output = stdout(event_loop).expect("it is open");
            assert!(is_blocking(io::stdout()));
            output.write(BEGIN);
            let line = io::IoSlice::new(b"line\n");
            output.write_vectored(&vec![line; LINES]);
            // Nobody waits, and nobody holds it.
            drop(output.write(END));
        });
    }
    let text = "line\n".repeat(LINES);
    let to = |output: Stdio| {
        let mut command = child(NAME, "");
        let child = command.stdout(output).spawn().expect("it can be run");
        // The command has a duplicate of the output, which would keep it from ending.
        drop(command);
        child
    };

    let file = Scratch::new("output", b"before ");
    assert!(to(file.open().into()).wait().expect("it ends").success());
    let content = fs::read_to_string(&file.0).expect("text");
    assert!(content.starts_with("before ") && printed(&content) == text, "a file");

    let (reads, writes) = pipe();
    let kept = writes.try_clone().expect("a duplicate");
    let mut child = to(writes.into());
    assert!(printed(&read_to_the_mark(&reads)) == text, "a pipe");
    assert!(child.wait().expect("it ends").success() && is_blocking(&kept));

    let (here, there) = UnixStream::pair().expect("a pair can be made");
    let kept = here.try_clone().expect("a duplicate");
    let mut child = to(OwnedFd::from(here).into());
    assert!(printed(&read_to_the_mark(&there)) == text, "a socket");
    assert!(child.wait().expect("it ends").success() && is_blocking(&kept));

    let pty = Pty::new();
    let terminal = pty.terminal();
    let mut child = to(pty.terminal().into());
    let seen = read_to_the_mark(&pty.master);
    assert!(printed(&seen) == text.replace('\n', "\r\n"), "a terminal");
    // The harness still has something to say.
    let rest = thread::spawn(move || io::copy(&mut &pty.master, &mut io::sink()));
    assert!(child.wait().expect("it ends").success() && is_blocking(&terminal));
    drop(terminal);
    let _ = rest.join().expect("no panic"); // EIO, when nobody has the terminal any more
}

/// Reads until the child has printed its last word, a little at a time.
fn read_to_the_mark(mut output: impl Read) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 1000];
    while !seen.ends_with(END.as_bytes()) && !contains(&seen, END) {
        let length = output.read(&mut buffer).expect("the child is there");
        assert_ne!(length, 0, "the output ended early");
        seen.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(seen).expect("text")
}

fn contains(seen: &[u8], mark: &str) -> bool {
    let tail = &seen[seen.len().saturating_sub(1000 + mark.len())..];
    tail.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// Y-18: when nobody reads the output any more, writes fail and say so.
#[test]
fn output_that_nobody_reads_fails() {
    const NAME: &str = "output_that_nobody_reads_fails";
    let _watchdog = watchdog();
    if !is_child() {
        let (reads, writes) = pipe();
        let mut command = child(NAME, "");
        let child = command.stdin(Stdio::piped()).stdout(writes).spawn();
        let mut child = child.expect("it can be run");
        wait_for_the_mark(reads);
        drop(child.stdin.take());
        return assert!(child.wait().expect("it ends").code().is_some(), "no signal ended it");
    }
    let event_loop = new_loop();
    let output = stdout(&event_loop).expect("it is open");
    event_loop.try_block_on(output.write(END)).expect("there is room");
    // Its end says that the reader is gone.
    let input = stdin(&event_loop).expect("it is open");
    assert_eq!(event_loop.try_block_on(input.read_once()).expect("an end"), None);
    let err = event_loop.try_block_on(output.write("x")).expect_err("nobody reads");
    assert_eq!(err.kind(), ErrorKind::BrokenPipe);
    std::process::exit(0); // the harness could not print either
}

fn wait_for_the_mark(reads: File) {
    assert!(read_to_the_mark(reads).contains(END));
}

/// Y-16, Y-17: input cannot be written, output not be read; the end of a handle is not that of the process's descriptor.
#[test]
fn each_goes_one_way_and_leaves_the_process_its_own() {
    const NAME: &str = "each_goes_one_way_and_leaves_the_process_its_own";
    let _watchdog = watchdog();
    if !is_child() {
        // A terminal goes both ways.
        let pty = Pty::new();
        let mut command = child(NAME, "");
        command.stdin(pty.terminal()).stdout(pty.terminal());
        return assert!(command.status().expect("it can be run").success());
    }
    with_loop(|event_loop| {
        let before = support::open_descriptors();
        let (input, output) = (stdin(event_loop).expect("it is open"), stdout(event_loop));
        let output = output.expect("it is open");
        assert!(input.is_readable() && !input.is_writable());
        assert!(!output.is_readable() && output.is_writable());
        assert_eq!(misuse(input.try_write(b"x")), Misuse::ShutDown);
        assert_eq!(misuse(output.read_start(|_, _| {})), Misuse::NotConnected);
        output.write("last words\n");
        output.finish().then(|end| end.expect("everything went out"));
        input.finish().then(|end| end.expect("there is nothing to wait for"));
        assert!(input.is_closing());
        event_loop.run().expect("it can be run");
        assert_eq!(support::open_descriptors(), before);
        io::stdout().write_all(b"still there\n").expect("the process has its own");
        let again = stdout(event_loop).expect("it is open");
        again.write("again\n");
        again.finish();
    });
}

/// Y-15: what the process was started without is the null device.
#[test]
fn a_process_without_standard_streams_has_null_devices() {
    const NAME: &str = "a_process_without_standard_streams_has_null_devices";
    let _watchdog = watchdog();
    if !is_child() {
        let status = child(NAME, "exec <&- >&-").status().expect("it can be run");
        return assert!(status.success());
    }
    let event_loop = new_loop();
    assert_eq!(guess_handle(io::stdin()).expect("std opens it"), DescriptorKind::File);
    let input = stdin(&event_loop).expect("it is open");
    assert_eq!(event_loop.try_block_on(input.read_once()).expect("an end"), None);
    let output = stdout(&event_loop).expect("it is open");
    event_loop.try_block_on(output.write("to nobody")).expect("it is taken");
}

/// Y-19: what a descriptor is, in the words of the handles.
#[test]
fn guess_handle_names_the_handle_that_serves() {
    let guess = |fd: &dyn AsFd| guess_handle(fd.as_fd()).expect("it is open");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let (unix, _) = UnixStream::pair().expect("a pair can be made");
    let (datagram, _) = std::os::unix::net::UnixDatagram::pair().expect("a pair can be made");
    let (reads, writes) = pipe();
    let pty = Pty::new();
    let file = Scratch::new("guess", b"");
    assert_eq!(guess(&pty.terminal()), DescriptorKind::Tty);
    assert_eq!(guess(&pty.master), DescriptorKind::Tty);
    assert_eq!([guess(&reads), guess(&writes), guess(&unix)], [DescriptorKind::Pipe; 3]);
    assert_eq!([guess(&std_pair().0), guess(&udp)], [DescriptorKind::Tcp, DescriptorKind::Udp]);
    let null = File::open("/dev/null").expect("it is there");
    assert_eq!([guess(&file.open()), guess(&null)], [DescriptorKind::File; 2]);
    let folder = File::open("/").expect("it is there");
    assert_eq!([guess(&folder), guess(&datagram)], [DescriptorKind::Unknown; 2]);
}
