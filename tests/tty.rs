//! Terminals: what is one, what is typed and printed, the modes and who puts them back, the size, and how they go away.
#![cfg(feature = "tty")]

#[path = "support/pty.rs"]
mod pty;
mod support;

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use luvio::{
    ByteStream, Kind, Loop, LoopHandle, Misuse, Prepare, RunMode, Timer, Tty, TtyMode, is_canceled,
};
use pty::{Looks, Pty, mode_of};
use rustix::fs::{OFlags, fcntl_getfl};
use support::{
    Journal, check_expectations, child, expect, is_child, misuse, new_loop, std_pair, turn,
    turn_until, watchdog, with_loop,
};

/// Said of a terminal that has gone away.
const EIO: i32 = 5;

fn tty(event_loop: &LoopHandle, fd: impl AsFd) -> Tty {
    Tty::new(event_loop, fd).expect("a terminal")
}

/// A handle for the terminal, and its other end.
fn new_tty(event_loop: &LoopHandle) -> (Tty, Pty) {
    let pty = Pty::new();
    (tty(event_loop, pty.terminal()), pty)
}

/// Types, as a person would at the other end.
fn types(pty: &Pty, keys: &[u8]) {
    (&pty.master).write_all(keys).expect("a terminal takes keys");
}

/// Reads what was printed, until that is `text`.
#[track_caller]
fn assert_prints(pty: &Pty, text: &str) {
    let mut printed = vec![0; text.len()];
    (&pty.master).read_exact(&mut printed).expect("the terminal is open");
    assert_eq!(String::from_utf8_lossy(&printed), text);
}

/// A read callback that notes each chunk, and how it ended.
fn note_reads<H: ByteStream>(handle: &H, journal: &Journal) {
    let noted = journal.clone();
    let started = handle.read_start(move |_, chunk| {
        noted.note(match chunk {
            Ok(Some(data)) => String::from_utf8_lossy(data).into_owned(),
            Ok(None) => "end".to_string(),
            Err(err) => err.to_string(),
        });
    });
    started.expect("it can be read");
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).expect("it is open").contains(OFlags::NONBLOCK)
}

/// Runs a child that begins with `exec setsid`.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_done(child: &mut std::process::Command) {
    const NO_SUCH_PROGRAM: i32 = 127;
    let status = child.status().expect("a Unix system has sh");
    if status.code() == Some(NO_SUCH_PROGRAM) {
        return eprintln!("skipped: setsid of util-linux is missing");
    }
    assert!(status.success(), "{status:?}");
}

// ---- what is a terminal ------------------------------------------------------------------------------------------

/// Y-01: what is no terminal is refused with a text that says what to call, and nothing is left behind.
#[test]
fn what_is_no_terminal_is_refused() {
    with_loop(|event_loop| {
        let (socket, _peer) = std_pair();
        let file = File::open(env!("CARGO_MANIFEST_DIR").to_string() + "/Cargo.toml");
        let (pipe, _writer) = rustix::pipe::pipe().expect("a pipe can be made");
        let not_terminals: [(&str, &dyn Fn() -> io::Result<Tty>); 5] = [
            ("socket", &|| Tty::new(event_loop, &socket)),
            ("file", &|| Tty::new(event_loop, file.as_ref().expect("the manifest is there"))),
            ("folder", &|| Tty::new(event_loop, File::open("/").expect("it is there"))),
            ("null device", &|| {
                Tty::new(event_loop, File::open("/dev/null").expect("it is there"))
            }),
            ("pipe", &|| Tty::new(event_loop, &pipe)),
        ];
        for (what, open) in not_terminals {
            let err = open().expect_err(what);
            assert_eq!(Misuse::of(&err), Some(Misuse::NotATerminal), "{what}");
            assert_eq!(Misuse::NotATerminal.name(), "ENOTTY");
            assert!(err.kind() == ErrorKind::InvalidInput && err.to_string().contains("stdin"));
        }
        assert!(!is_nonblocking(&pipe) && !is_nonblocking(&socket));
        let mut count = 0;
        event_loop.walk(|_| count += 1);
        assert_eq!(count, 0);
    });
}

/// Y-02: the terminal is opened a second time: what the program and others have of it stays blocking, and stays open.
#[test]
fn nothing_becomes_non_blocking_for_others() {
    with_loop(|event_loop| {
        let pty = Pty::new();
        let shared = pty.terminal();
        let tty = tty(event_loop, &shared);
        assert!(!is_nonblocking(&shared));
        assert!(tty.with_fd(|own| is_nonblocking(own)).expect("it is open"));
        assert_ne!(tty.fileno().expect("it is open"), std::os::fd::AsRawFd::as_raw_fd(&shared));
        tty.close();
        assert_eq!(misuse(tty.fileno()), Misuse::NoSocket);
        (&shared).write_all(b"still").expect("the program's own descriptor is open");
        assert_prints(&pty, "still");
    });
}

/// Y-02: a master cannot be opened again, so it becomes non-blocking itself; its other end is heard.
#[test]
fn the_master_of_a_pseudo_terminal_is_used_as_it_is() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let pty = Pty::new();
    let mut terminal = pty.terminal();
    let master = tty(&event_loop, &pty.master);
    assert!(is_nonblocking(&pty.master));
    let journal = Journal::new();
    note_reads(&master, &journal);
    terminal.write_all(b"hello\n").expect("there is room");
    turn_until(&event_loop, || !journal.entries().is_empty());
    journal.assert_is(&["hello\r\n"]);
    master.set_mode(TtyMode::Raw).expect("it is that of the other end");
    assert_eq!(mode_of(&terminal), Looks::Raw);
    event_loop.try_block_on(master.write("k")).expect("there is room");
    let mut key = [0];
    terminal.read_exact(&mut key).expect("a key was typed");
    assert_eq!(key, *b"k");
    // The terminal's last user goes.
    drop(terminal);
    turn_until(&event_loop, || journal.entries().len() == 2);
    assert_eq!(journal.entries()[1], "Input/output error (os error 5)");
    assert!(!master.is_active());
}

/// Y-03: bytes go the ways for which the descriptor was opened.
#[test]
fn it_goes_the_ways_for_which_it_was_opened() {
    with_loop(|event_loop| {
        let pty = Pty::new();
        let input = tty(event_loop, pty.open(OpenOptions::new().read(true)));
        let output = tty(event_loop, pty.open(OpenOptions::new().write(true)));
        let both = tty(event_loop, pty.terminal());
        let ways = |tty: &Tty| (tty.is_readable(), tty.is_writable());
        assert_eq!(
            [&input, &output, &both].map(ways),
            [(true, false), (false, true), (true, true)]
        );
        assert_eq!(misuse(input.try_write(b"x")), Misuse::ShutDown);
        assert_eq!(misuse(output.read_start(|_, _| {})), Misuse::NotConnected);
        for tty in [&input, &output] {
            assert_eq!(tty.winsize().expect("each knows it"), (0, 0));
            tty.set_mode(TtyMode::Raw).expect("each can set it");
            tty.close();
        }
        assert_eq!(mode_of(pty.terminal()), Looks::Normal);
    });
}

// ---- what is typed and printed -----------------------------------------------------------------------------------

/// Y-04: each read brings a line, and lines that wait behind it come without another event.
#[test]
fn lines_typed_at_once_all_arrive() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let journal = Journal::new();
    types(&pty, b"one\ntwo\nthree\nnot yet a line");
    note_reads(&tty, &journal);
    turn_until(&event_loop, || journal.entries().len() == 3);
    journal.assert_is(&["one\n", "two\n", "three\n"]);
    types(&pty, b"!\n");
    turn_until(&event_loop, || journal.entries().len() == 4);
    assert_eq!(journal.entries()[3], "not yet a line!\n");
}

/// Y-04: what a task awaits is a line, too, and dropping the wait loses none.
#[test]
fn a_task_awaits_lines() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let typist = thread::spawn(move || {
        types(&pty, b"one\ntwo\n");
        pty
    });
    let read = event_loop.try_block_on(async {
        let one = tty.read_once().await?;
        drop(tty.read_once());
        let mut two = Vec::new();
        tty.read_into(&mut two).await?;
        io::Result::Ok((one, two))
    });
    let (one, two) = read.expect("lines are typed");
    assert_eq!((one.as_deref(), &two[..]), (Some(&b"one\n"[..]), &b"two\n"[..]));
    drop(typist.join());
}

/// Y-05: Ctrl-D at the beginning of a line is told as the end; the terminal can be read on.
#[test]
fn the_key_for_the_end_ends_reading_and_no_more() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let journal = Journal::new();
    note_reads(&tty, &journal);
    types(&pty, b"\x04");
    turn_until(&event_loop, || !tty.is_active());
    journal.assert_is(&["end"]);
    note_reads(&tty, &journal);
    types(&pty, b"on\n");
    turn_until(&event_loop, || journal.entries().len() == 2);
    journal.assert_is(&["end", "on\n"]);
}

/// WR-11, WR-13: what the terminal has no room for is queued and goes out in order when somebody looks at it.
#[test]
fn output_waits_for_a_slow_terminal() {
    const BYTES: usize = 1 << 20;
    with_loop(|event_loop| {
        let (tty, pty) = new_tty(event_loop);
        tty.set_mode(TtyMode::Io).expect("a terminal has modes");
        let sent: Vec<u8> = (0..BYTES).map(|at| (at / 7) as u8).collect();
        let written = expect(2);
        let (first, second) = (written.clone(), written);
        tty.write(&sent[..BYTES / 2]).then(move |end| {
            end.expect("it is read");
            assert_eq!(first.hit(), 1);
        });
        assert!(tty.needs_drain(), "a terminal has no room for so much");
        let mut rest = [io::IoSlice::new(&sent[BYTES / 2..BYTES / 2 + 5]), io::IoSlice::new(&[])];
        rest[1] = io::IoSlice::new(&sent[BYTES / 2 + 5..]);
        tty.write_vectored(&rest).then(move |end| {
            end.expect("it is read");
            assert_eq!(second.hit(), 2);
        });
        let reader = thread::spawn(move || {
            let mut seen = vec![0; BYTES];
            (&pty.master).read_exact(&mut seen).map(|()| seen)
        });
        let (finished, done) = (expect(1), tty.finish());
        done.then(move |end| {
            finished.hit();
            end.expect("everything went out");
            assert!(reader.join().expect("no panic").expect("it is open") == sent);
        });
    });
}

/// Y-06: a terminal has no end to be told: shutdown waits for what is queued and succeeds; reading goes on.
#[test]
fn shutdown_tells_the_terminal_nothing() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    tty.write("bye");
    event_loop.try_block_on(tty.shutdown()).expect("nothing is in its way");
    assert_prints(&pty, "bye");
    assert_eq!(misuse(tty.try_write(b"x")), Misuse::ShutDown);
    types(&pty, b"still here\n");
    let read = event_loop.try_block_on(tty.read_once()).expect("it is open");
    assert_eq!(read.as_deref(), Some(&b"still here\n"[..]));
    let mut waiting = Box::pin(tty.read_once());
    assert!(support::poll(&mut waiting).is_pending());
    tty.close();
    assert!(is_canceled(&event_loop.try_block_on(waiting).expect_err("it was closed")));
}

// ---- modes -------------------------------------------------------------------------------------------------------

/// Y-07: raw brings each key at once and without an echo, Ctrl-C among them; normal is what was before.
#[test]
fn raw_mode_brings_each_key() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let terminal = pty.terminal();
    tty.set_mode(TtyMode::Normal).expect("it has that already");
    assert_eq!(mode_of(&terminal), Looks::Normal);
    types(&pty, b"typed before ");
    assert_prints(&pty, "typed before "); // the echo
    tty.set_mode(TtyMode::Raw).expect("a terminal has modes");
    assert_eq!(mode_of(&terminal), Looks::Raw);
    let journal = Journal::new();
    note_reads(&tty, &journal);
    types(&pty, b"\x03\x04\x1b[A");
    let all = || journal.entries().concat();
    turn_until(&event_loop, || all().len() == 18);
    assert_eq!(all(), "typed before \x03\x04\x1b[A");
    tty.write("a\nb");
    // No echo.
    assert_prints(&pty, "a\r\nb");
    tty.set_mode(TtyMode::Io).expect("a terminal has modes");
    assert_eq!(mode_of(&terminal), Looks::Io);
    tty.write("c\nd");
    assert_prints(&pty, "c\nd");
    tty.set_mode(TtyMode::Normal).expect("a terminal has modes");
    assert_eq!(mode_of(&terminal), Looks::Normal);
}

/// Y-08: the mode is put back by close, by the drop of the last clone, and by that of the loop.
#[test]
fn the_mode_is_put_back_whatever_ends_the_handle() {
    let _watchdog = watchdog();
    let pty = Pty::new();
    let terminal = pty.terminal();
    let raw = |event_loop: &Loop| {
        let tty = tty(event_loop, &terminal);
        tty.set_mode(TtyMode::Raw).expect("a terminal has modes");
        assert_eq!(mode_of(&terminal), Looks::Raw);
        tty
    };
    let event_loop = new_loop();
    let handle = raw(&event_loop);
    handle.close();
    assert_eq!(mode_of(&terminal), Looks::Normal, "close");
    assert_eq!(misuse(handle.set_mode(TtyMode::Raw)), Misuse::Closing);
    assert_eq!(misuse(handle.winsize()), Misuse::Closing);

    let (handle, clone) = (raw(&event_loop), Cell::new(None));
    clone.set(Some(handle.clone()));
    drop(handle);
    assert_eq!(mode_of(&terminal), Looks::Raw);
    drop(clone.take());
    assert_eq!(mode_of(&terminal), Looks::Normal, "the last clone");

    let handle = raw(&event_loop);
    handle.read_start(|_, _| {}).expect("it can be read");
    drop(handle); // the loop keeps it now
    assert_eq!(mode_of(&terminal), Looks::Raw);
    drop(event_loop);
    assert_eq!(mode_of(&terminal), Looks::Normal, "the loop");

    let event_loop = new_loop();
    let handle = raw(&event_loop);
    drop(event_loop);
    assert_eq!(mode_of(&terminal), Looks::Normal, "the loop, of a handle that is held");
    assert_eq!(misuse(handle.set_mode(TtyMode::Raw)), Misuse::LoopGone);
    assert_eq!(mode_of(&terminal), Looks::Normal);
}

/// Y-08: a close while the descriptor is lent puts the mode back at the end of the loan; a panic in a callback leaves it to
/// the drop.
#[test]
fn the_mode_is_put_back_after_a_panic() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let terminal = pty.terminal();
    tty.set_mode(TtyMode::Raw).expect("a terminal has modes");
    let lent = tty.clone();
    tty.with_fd(|_| drop(lent.close())).expect("it was open");
    assert_eq!(mode_of(&terminal), Looks::Normal);
    drop(tty);

    let panicking = Tty::new(&event_loop, &terminal).expect("a terminal");
    panicking.set_mode(TtyMode::Raw).expect("a terminal has modes");
    panicking.read_start(|_, _| panic!("on purpose")).expect("it can be read");
    drop(panicking);
    types(&pty, b"x");
    let run = std::panic::AssertUnwindSafe(move || event_loop.run());
    assert!(std::panic::catch_unwind(run).is_err());
    assert_eq!(mode_of(&terminal), Looks::Normal);
}

/// Y-08: a process in the background neither stops when its handles go, nor takes the mode from those in the foreground.
#[cfg(target_os = "linux")]
#[test]
fn a_process_in_the_background_leaves_the_mode_alone() {
    use rustix::termios::tcsetpgrp;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    const NAME: &str = "a_process_in_the_background_leaves_the_mode_alone";
    if !is_child() {
        // In a process whose controlling terminal it is. With the signal ignored, the system would let it have its way.
        let pty = Pty::new();
        let prefix = "trap '' TTOU; exec setsid --ctty --wait \"$0\" \"$@\"";
        let mut command = child(NAME, prefix);
        return assert_done(command.stdin(pty.terminal()));
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    // Also by the name that each process has for its own terminal.
    let by_name = File::options().read(true).write(true).open("/dev/tty");
    let handles =
        [tty(&event_loop, io::stdin()), tty(&event_loop, by_name.expect("there is a terminal"))];
    for handle in &handles {
        handle.set_mode(TtyMode::Raw).expect("a terminal has modes");
    }
    let mut other = Command::new("cat");
    let mut other = other.stdin(Stdio::piped()).process_group(0).spawn().expect("there is cat");
    let foreground = rustix::process::Pid::from_child(&other);
    tcsetpgrp(io::stdin(), foreground).expect("this process controls the session");
    let [first, second] = handles;
    drop(first);
    drop(second);
    assert_eq!(mode_of(io::stdin()), Looks::Raw);
    drop(other.stdin.take());
    assert!(other.wait().expect("it ends").success());
}

/// Y-09: the terminal that each process has by name is the same one.
#[cfg(target_os = "linux")]
#[test]
fn the_controlling_terminal_is_known_by_either_name() {
    const NAME: &str = "the_controlling_terminal_is_known_by_either_name";
    if !is_child() {
        let pty = Pty::new();
        let mut command = child(NAME, "exec setsid --ctty --wait \"$0\" \"$@\"");
        return assert_done(command.stdin(pty.terminal()));
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let by_name = File::options().read(true).write(true).open("/dev/tty");
    let by_name = tty(&event_loop, by_name.expect("there is a terminal"));
    let by_number = tty(&event_loop, io::stdin());
    by_number.set_mode(TtyMode::Raw).expect("a terminal has modes");
    by_name.set_mode(TtyMode::Io).expect("a terminal has modes");
    drop(by_number);
    assert_eq!(mode_of(io::stdin()), Looks::Io);
    drop(by_name);
    assert_eq!(mode_of(io::stdin()), Looks::Normal);
}

/// Y-09: of several handles the last call counts; what it asked for goes with the handle, in any order.
#[test]
fn handles_that_set_modes_in_turn_leave_none_behind() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let pty = Pty::new();
    let terminal = pty.terminal();
    let modes = |calls: [(usize, TtyMode); 3], order: [usize; 3]| -> Vec<Looks> {
        // The master is another name for the same terminal.
        let mut handles = [&terminal, &terminal, &pty.master].map(|fd| Some(tty(&event_loop, fd)));
        for (which, mode) in calls {
            let handle = handles[which].as_ref().expect("it is there");
            handle.set_mode(mode).expect("a terminal has modes");
        }
        let mut seen = vec![mode_of(&terminal)];
        for which in order {
            handles[which].take();
            seen.push(mode_of(&terminal));
        }
        seen
    };
    use Looks::{Io, Normal, Raw};
    use TtyMode as Set;
    let raw_io_raw = [(0, Set::Raw), (1, Set::Io), (2, Set::Raw)];
    assert_eq!(modes(raw_io_raw, [0, 1, 2]), [Raw, Raw, Raw, Normal]);
    assert_eq!(modes(raw_io_raw, [2, 1, 0]), [Raw, Io, Raw, Normal]);
    assert_eq!(modes(raw_io_raw, [1, 2, 0]), [Raw, Raw, Raw, Normal]);
    let with_normal = [(0, Set::Raw), (1, Set::Normal), (0, Set::Io)];
    assert_eq!(modes(with_normal, [2, 0, 1]), [Io, Io, Normal, Normal]);
    let last_normal = [(2, Set::Io), (0, Set::Raw), (1, Set::Normal)];
    assert_eq!(modes(last_normal, [1, 0, 2]), [Normal, Raw, Io, Normal]);
    let only_normal = [(0, Set::Normal), (1, Set::Normal), (2, Set::Normal)];
    assert_eq!(modes(only_normal, [0, 1, 2]), [Normal; 4]);
}

/// Y-10: `reset_mode` puts all terminals back, from any thread and in a panic hook; handles that go later change nothing,
/// and a mode can be set again.
#[test]
fn reset_mode_puts_every_terminal_back() {
    const NAME: &str = "reset_mode_puts_every_terminal_back";
    // In a process of its own: it would reset the terminals of other tests.
    if !is_child() {
        let status = child(NAME, "").status().expect("it can be run");
        return assert!(status.success());
    }
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let ptys = [Pty::new(), Pty::new()];
    let terminals = [ptys[0].terminal(), ptys[1].terminal()];
    let looks = || [mode_of(&terminals[0]), mode_of(&terminals[1])];
    let handles = [tty(&event_loop, &terminals[0]), tty(&event_loop, &terminals[1])];
    handles[0].set_mode(TtyMode::Raw).expect("a terminal has modes");
    handles[1].set_mode(TtyMode::Io).expect("a terminal has modes");
    assert_eq!(looks(), [Looks::Raw, Looks::Io]);
    thread::spawn(Tty::reset_mode).join().expect("no panic").expect("they are there");
    assert_eq!(looks(), [Looks::Normal; 2]);
    Tty::reset_mode().expect("there is nothing to do");

    handles[0].set_mode(TtyMode::Raw).expect("a terminal has modes");
    std::panic::set_hook(Box::new(|_| Tty::reset_mode().expect("it is there")));
    assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
    drop(std::panic::take_hook());
    assert_eq!(looks(), [Looks::Normal; 2]);

    // Somebody else, such as a child of the program, has it now.
    let other = new_loop();
    let foreign = tty(&other, &ptys[0].master);
    foreign.set_mode(TtyMode::Io).expect("a terminal has modes");
    let [first, second] = handles;
    drop((first, second));
    assert_eq!(looks(), [Looks::Io, Looks::Normal]);
    drop(other);
    assert_eq!(looks(), [Looks::Normal; 2]);
}

// ---- the size ----------------------------------------------------------------------------------------------------

/// Y-11: the size is columns, then rows, as of now.
#[test]
fn the_size_is_columns_and_rows() {
    with_loop(|event_loop| {
        let (tty, pty) = new_tty(event_loop);
        assert_eq!(tty.winsize().expect("a terminal has a size"), (0, 0));
        pty.resize(132, 43);
        assert_eq!(tty.winsize().expect("a terminal has a size"), (132, 43));
    });
}

// ---- the end -----------------------------------------------------------------------------------------------------

/// Y-12: a terminal that goes away is told once, as the end; then writes fail, and the loop rests.
#[test]
fn a_terminal_that_goes_away_is_told_once() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    tty.set_mode(TtyMode::Raw).expect("a terminal has modes");
    let journal = Journal::new();
    note_reads(&tty, &journal);
    turn(&event_loop);
    drop(pty);
    turn_until(&event_loop, || !tty.is_active());
    journal.assert_is(&["end"]);
    let err = tty.try_write(b"x").expect_err("nobody is there");
    assert_eq!(err.raw_os_error(), Some(EIO));
    assert!(tty.set_mode(TtyMode::Normal).is_err());

    // Nothing happens any more: a sleeping loop is woken by its timer only.
    let turns = Rc::new(Cell::new(0));
    let (counted, over) = (Rc::clone(&turns), Rc::new(Cell::new(false)));
    let prepare = Prepare::new(&event_loop);
    prepare.start(move |_| counted.set(counted.get() + 1)).expect("a new handle can be started");
    prepare.unref();
    let ends = Rc::clone(&over);
    Timer::after(&event_loop, Duration::from_millis(20), move |_| ends.set(true));
    turn_until(&event_loop, || over.get());
    assert!(turns.get() < 10, "{} turns", turns.get());

    tty.close();
    event_loop.run().expect("it can be run");
}

/// Y-12: what was queued for a terminal that goes away fails, and whoever reads hears of that, once.
#[test]
fn output_for_a_terminal_that_goes_away_fails() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, pty) = new_tty(&event_loop);
    let journal = Journal::new();
    note_reads(&tty, &journal);
    tty.write(vec![b'x'; 1 << 20]).then(|end| {
        assert_eq!(end.expect_err("nobody is there").raw_os_error(), Some(EIO));
    });
    assert!(tty.write_queue_size() > 0);
    drop(pty);
    turn_until(&event_loop, || !tty.is_active());
    assert_eq!(tty.write_queue_size(), 0);
    journal.assert_is(&["Input/output error (os error 5)"]);
    assert_eq!(misuse(tty.read_start(|_, _| {})), Misuse::NotConnected);
    event_loop.run().expect("it can be run");
}

// ---- as every handle ---------------------------------------------------------------------------------------------

/// L-04, L-34, H-01: it is shown by walk as what it is, and named by what keeps the loop alive.
#[test]
fn it_is_a_handle_like_the_others() {
    let _watchdog = watchdog();
    let event_loop = new_loop();
    let (tty, _pty) = new_tty(&event_loop);
    let mut seen = Vec::new();
    event_loop.walk(|handle| {
        seen.push((handle.kind(), handle.as_any().is::<Tty>(), handle.created_at().file()));
    });
    assert_eq!(seen, [(Kind::Tty, true, file!())]);
    assert!(event_loop.alive_because().is_empty());
    tty.read_start(|_, _| {}).expect("it can be read");
    let reasons = event_loop.alive_because();
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].to_string().starts_with("tty handle made at tests/tty.rs"));
    tty.unref();
    assert!(!event_loop.run_mode(RunMode::Default).expect("it can be run"));
    drop(event_loop);
    assert_eq!(misuse(tty.read_start(|_, _| {})), Misuse::LoopGone);
    let gone = { new_loop().clone() };
    assert_eq!(misuse(Tty::new(&gone, Pty::new().terminal())), Misuse::LoopGone);
}

/// Y-01: a virtual clock waits a moment for what is typed, as for every other outside.
#[test]
fn a_virtual_clock_waits_for_keys() {
    let _watchdog = watchdog();
    let event_loop = Loop::builder().virtual_clock().build().expect("a loop can be made");
    let (tty, pty) = new_tty(&event_loop);
    let order = Rc::new(RefCell::new(Vec::new()));
    let (typed, fired) = (Rc::clone(&order), Rc::clone(&order));
    tty.read_start(move |tty, _| {
        typed.borrow_mut().push("key");
        tty.close();
    })
    .expect("it can be read");
    Timer::after(&event_loop, Duration::from_secs(3_600), move |_| fired.borrow_mut().push("hour"));
    types(&pty, b"\n");
    event_loop.run().expect("it can be run");
    assert_eq!(*order.borrow(), ["key", "hour"]);
    check_expectations();
}
