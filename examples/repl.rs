//! A line editor on a terminal, in one task: keys, window size and signals are awaited at the same time.
//!
//! ```text
//! cargo run --example repl                   # arrow keys, Backspace, Ctrl-A, Ctrl-E, Ctrl-U; Ctrl-C drops a line, Ctrl-D ends
//! seq 3 | cargo run --example repl           # without a terminal: a line is a line
//! ```
//!
//! It adds what is joined by `+`, says how large the window is when asked for its `size`, and shouts anything else. Whatever
//! ends it, the terminal is as it was.

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use futures::{FutureExt, select};
use luvio::{Loop, LoopHandle, Signal, Stdio, Tty, TtyMode, stdin, stdout};

const PROMPT: &str = "> ";

/// So many lines can be called back by the arrow keys.
const HISTORY: usize = 100;

/// A line that is longer is no line.
const LONGEST: usize = 64 * 1024;

fn main() -> ExitCode {
    // However it ends: a report in raw mode would be a staircase.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = Tty::reset_mode();
        report(panic);
    }));
    match Loop::new().and_then(|event_loop| event_loop.try_block_on(repl(event_loop.clone()))) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `repl < file | head`.
        Err(err) if err.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("repl: {err}");
            ExitCode::FAILURE
        }
    }
}

async fn repl(event_loop: LoopHandle) -> io::Result<()> {
    let output = stdout(&event_loop)?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        edit_lines(&Tty::new(&event_loop, io::stdin())?, &output).await
    } else {
        read_lines(&stdin(&event_loop)?, &output).await
    }
}

/// Answers each line of what is no terminal.
async fn read_lines(input: &Stdio, output: &Stdio) -> io::Result<()> {
    let mut read = Vec::new();
    while input.read_into(&mut read).await? > 0 {
        let complete = read.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in String::from_utf8_lossy(&read[..complete]).lines() {
            output.write(answer(line, None) + "\n").await?;
        }
        read.drain(..complete);
        if read.len() > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "a line without an end"));
        }
    }
    if !read.is_empty() {
        output.write(answer(&String::from_utf8_lossy(&read), None) + "\n").await?;
    }
    Ok(())
}

/// Edits and answers lines on a terminal. When `terminal` is dropped, its mode is put back.
async fn edit_lines(terminal: &Tty, output: &Stdio) -> io::Result<()> {
    let watch = |signum| {
        let signal = Signal::new(terminal.event_loop());
        signal.start_only(signum).map(|()| signal)
    };
    let (resized, end, hang_up) =
        (watch(Signal::WINCH)?, watch(Signal::TERM)?, watch(Signal::HUP)?);
    terminal.set_mode(TtyMode::Raw)?;
    let mut editor = Editor::default();
    let mut keys = Keys::default();
    loop {
        let (columns, rows) = terminal.winsize()?;
        output.write(editor.draw(columns)).await?;
        // Whichever comes first; the waits that are dropped have taken nothing.
        select! {
            read = terminal.read_once().fuse() => match read? {
                Some(bytes) => keys.0.extend(bytes),
                None => return Ok(()), // the terminal has gone
            },
            _ = resized.delivered().fuse() => continue,
            _ = end.delivered().fuse() => break,
            _ = hang_up.delivered().fuse() => return Ok(()),
        }
        while let Some(key) = keys.next() {
            if key == Key::Control('d') && editor.line.is_empty() {
                return output.write("\n").await;
            }
            if let Some(line) = editor.press(key) {
                let answer = answer(&line, Some((columns, rows)));
                output.write(format!("{}\n{answer}\n", editor.draw(columns))).await?;
                editor.remember(line);
            }
        }
    }
    output.write("\n").await
}

/// What there is to say to a line.
fn answer(line: &str, size: Option<(u16, u16)>) -> String {
    match (line.trim(), size) {
        ("size", Some((columns, rows))) => return format!("{columns} x {rows}"),
        ("size", None) => return "no window".to_string(),
        _ => {}
    }
    let numbers: Result<Vec<i64>, _> =
        line.split('+').map(|number| number.trim().parse()).collect();
    match numbers {
        Ok(numbers) => {
            let sum = numbers.into_iter().try_fold(0_i64, |sum, number| sum.checked_add(number));
            sum.map_or("too large".to_string(), |sum| sum.to_string())
        }
        Err(_) => line.to_uppercase(),
    }
}

/// A line that is being edited, and those before it.
#[derive(Default)]
struct Editor {
    line: Vec<char>,
    cursor: usize,
    history: Vec<String>,
    /// How far back in the history the line comes from.
    back: usize,
}

impl Editor {
    /// Does what a key says; gives the line if it is complete.
    fn press(&mut self, key: Key) -> Option<String> {
        match key {
            Key::Char(typed) if self.line.len() < LONGEST => {
                self.line.insert(self.cursor, typed);
                self.cursor += 1;
            }
            Key::Control('h') | Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.line.remove(self.cursor);
            }
            Key::Control('d') | Key::Delete if self.cursor < self.line.len() => {
                self.line.remove(self.cursor);
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = self.line.len().min(self.cursor + 1),
            Key::Control('a') | Key::Home => self.cursor = 0,
            Key::Control('e') | Key::End => self.cursor = self.line.len(),
            Key::Control('c' | 'u') => self.show(0),
            Key::Up => self.show(self.back + 1),
            Key::Down => self.show(self.back.saturating_sub(1)),
            Key::Control('m' | 'j') => return Some(self.line.iter().collect()),
            _ => {}
        }
        None
    }

    /// Goes so far back in the history; 0 is a new line.
    fn show(&mut self, back: usize) {
        self.back = back.min(self.history.len());
        self.line = match self.back {
            0 => Vec::new(),
            back => self.history[self.history.len() - back].chars().collect(),
        };
        self.cursor = self.line.len();
    }

    /// The line is done, and a new one begins.
    fn remember(&mut self, line: String) {
        if !line.is_empty() {
            self.history.push(line);
        }
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
        self.show(0);
    }

    /// What makes the terminal show the line, or as much of it around the cursor as fits into its columns.
    fn draw(&self, columns: u16) -> String {
        let room = usize::from(columns).saturating_sub(PROMPT.len() + 1).max(1);
        let first = self.cursor.saturating_sub(room);
        let shown: String = self.line.iter().skip(first).take(room).collect();
        let column = PROMPT.len() + self.cursor - first;
        format!("\r{PROMPT}{shown}\x1b[K\r\x1b[{column}C")
    }
}

#[derive(Debug, PartialEq)]
enum Key {
    Char(char),
    /// A letter, with the key for that held down: Return is Ctrl-M.
    Control(char),
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Other,
}

/// What was typed and is not understood yet: a key may be several bytes, and these may come one by one.
#[derive(Default)]
struct Keys(Vec<u8>);

impl Keys {
    fn next(&mut self) -> Option<Key> {
        let (key, length) = match *self.0.as_slice() {
            [] | [0x1b] | [0x1b, b'[' | b'O'] => return None,
            [0x1b, b'[' | b'O', ref rest @ ..] => {
                let end = rest.iter().position(|byte| (0x40..0x7f).contains(byte))?;
                let key = match &rest[..=end] {
                    b"A" => Key::Up,
                    b"B" => Key::Down,
                    b"C" => Key::Right,
                    b"D" => Key::Left,
                    b"H" | b"1~" => Key::Home,
                    b"F" | b"4~" => Key::End,
                    b"3~" => Key::Delete,
                    _ => Key::Other,
                };
                (key, 2 + end + 1)
            }
            [0x1b, ..] => (Key::Other, 2),
            [0x7f, ..] => (Key::Backspace, 1),
            [byte @ 0..0x20, ..] => (Key::Control(char::from(byte | 0x60)), 1),
            [first, ..] => {
                let length = first.leading_ones().clamp(1, 4) as usize;
                let typed = self.0.get(..length)?; // the rest is still to come
                let text = String::from_utf8_lossy(typed);
                (text.chars().next().map_or(Key::Other, Key::Char), length)
            }
        };
        self.0.drain(..length);
        Some(key)
    }
}
