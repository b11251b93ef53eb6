//! What a random program is, and how parts of it are left out.

use std::fmt;

/// The slots in which a program keeps its handles: so many of each kind.
pub const TCPS: u8 = 5;
pub const TIMER: u8 = TCPS;
pub const IDLE: u8 = TIMER + 2;
pub const PREPARE: u8 = IDLE + 1;
pub const CHECK: u8 = PREPARE + 1;
pub const NOTIFIER: u8 = CHECK + 1;
pub const SIGNAL: u8 = NOTIFIER + 2;
pub const UDP: u8 = SIGNAL + 2;
pub const SLOTS: u8 = UDP + 2;
/// Not a slot: the handle whose callback, or whose callback's destructor, is running.
pub const ME: u8 = 99;
/// Slots for requests, cancelers, futures, tasks, wakers, resumes: so many of each.
pub const HELD: u8 = 3;

/// Code of the program that the library is given: scripts, by their number. 0 is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// What it does when it is called.
    pub body: u8,
    /// What it does when it is dropped.
    pub end: u8,
    /// True if it keeps a clone of its own handle.
    pub keeps: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Ignore,
    Then(Code),
    Keep(u8),
    /// Awaited by a future that is polled by hand.
    Hand(u8),
}

/// Where a connect goes.
#[derive(Clone, Copy, Debug)]
pub enum To {
    Slot(u8),
    Refusing,
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Default,
    Once,
    NoWait,
}

/// What only a future can do.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    ReadOnce(u8),
    ReadInto(u8),
    ReadWith(u8, Code),
    Write(u8, u32),
    Connect(u8, To),
    Shutdown(u8),
    Drained(u8),
    Accept(u8, u8),
    Notified(u8),
    Delivered(u8),
    RecvOnce(u8),
    Sleep(u32),
    Tick(u32),
    Yield,
    /// Leaves its waker in the slot, and waits to be polled again.
    Park(u8),
    /// Leaves the resume in the slot; the script is part of registering.
    Callback(u8, u8),
    Join(u8),
    Request(u8),
    PollRead(u8),
    PollWrite(u8, u32),
    Flush(u8),
    PollClose(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Action {
    // ---- the loop
    Run {
        l: u8,
        mode: Mode,
    },
    BlockOn {
        l: u8,
        script: u8,
    },
    Stop {
        l: u8,
    },
    UpdateTime {
        l: u8,
    },
    Walk {
        l: u8,
        close: bool,
    },
    Defer {
        l: u8,
        code: Code,
    },
    Post {
        l: u8,
        code: Code,
        elsewhere: bool,
    },
    DropLoop {
        l: u8,
    },
    Panic {
        payload_end: u8,
    },
    // ---- any handle
    Make {
        h: u8,
        l: u8,
        code: Code,
        bare: bool,
    },
    Close {
        h: u8,
        then: Use,
    },
    Ref {
        h: u8,
        on: bool,
    },
    Forget {
        h: u8,
    },
    Ask {
        h: u8,
    },
    Stop_ {
        h: u8,
    },
    // ---- one kind
    StartTimer {
        h: u8,
        delay: u32,
        repeat: u32,
        code: Code,
    },
    After {
        h: u8,
        l: u8,
        delay: u32,
        code: Code,
    },
    Again {
        h: u8,
    },
    SetRepeat {
        h: u8,
        repeat: u32,
    },
    StartHook {
        h: u8,
        code: Code,
    },
    StartSignal {
        h: u8,
        second: bool,
        once: bool,
        only: bool,
        code: Code,
    },
    Raise {
        second: bool,
    },
    Send {
        h: u8,
        elsewhere: bool,
    },
    // ---- streams
    OpenPair {
        a: u8,
        b: u8,
        l: u8,
        small: bool,
    },
    Pair {
        server: u8,
        a: u8,
        b: u8,
    },
    Bind {
        h: u8,
    },
    Listen {
        h: u8,
        code: Code,
        only: bool,
    },
    Accept {
        h: u8,
        into: u8,
    },
    Connect {
        h: u8,
        to: To,
        limit: Option<u32>,
        then: Use,
    },
    ReadStart {
        h: u8,
        code: Code,
    },
    ReadStop {
        h: u8,
    },
    Write {
        h: u8,
        len: u32,
        pieces: u8,
        then: Use,
    },
    TryWrite {
        h: u8,
        len: u32,
    },
    Shutdown {
        h: u8,
        then: Use,
    },
    Finish {
        h: u8,
        then: Use,
    },
    CloseReset {
        h: u8,
        then: Use,
    },
    Drained {
        h: u8,
        then: Use,
    },
    HighWater {
        h: u8,
        bytes: u32,
    },
    Shrink {
        h: u8,
    },
    // ---- datagrams
    RecvStart {
        h: u8,
        code: Code,
    },
    SendTo {
        h: u8,
        to: u8,
        len: u32,
        then: Use,
    },
    TrySendTo {
        h: u8,
        to: u8,
        len: u32,
    },
    ConnectUdp {
        h: u8,
        to: u8,
    },
    // ---- requests
    Cancel {
        s: u8,
    },
    CancelThen {
        s: u8,
    },
    Then {
        s: u8,
        code: Code,
    },
    ForgetRequest {
        s: u8,
    },
    // ---- tasks, wakers
    Spawn {
        l: u8,
        code: Code,
        s: u8,
    },
    Go {
        l: u8,
        code: Code,
    },
    Abort {
        s: u8,
    },
    RefTask {
        s: u8,
        on: bool,
    },
    ForgetTask {
        s: u8,
    },
    Wake {
        s: u8,
        elsewhere: bool,
    },
    ForgetWaker {
        s: u8,
    },
    Resume {
        s: u8,
    },
    ForgetResume {
        s: u8,
    },
    /// In a task: awaits. Elsewhere: makes a future of it and polls it by hand, with a waker that is this code.
    Await {
        op: Op,
        limit: Option<u32>,
        s: u8,
        waker: Code,
    },
    MakeFuture {
        s: u8,
        code: Code,
    },
    Poll {
        s: u8,
        waker: Code,
    },
    ForgetFuture {
        s: u8,
    },
}

/// What is not as usual about the loop.
#[derive(Clone, Copy, Debug)]
pub enum Setting {
    VirtualClock,
    ReadsPerTurn(u32),
    WritesPerTurn(u32),
    ReadChunk(u32),
    AcceptsPerTurn(u32),
    TasksPerTurn(u32),
    HighWater(u32),
    SlowCallback,
    /// The logger runs this script.
    Logger(u8),
}

/// A program. Its first script is what it does by itself, the others are what its callbacks, destructors and tasks do.
pub struct Program {
    pub settings: Vec<Setting>,
    pub scripts: Vec<Vec<Action>>,
}

impl Program {
    /// How many parts there are that can be left out.
    pub fn parts(&self) -> usize {
        self.settings.len() + self.scripts.iter().map(Vec::len).sum::<usize>()
    }

    /// Leaves out the parts that are not among `kept`.
    pub fn keep(&mut self, kept: &[usize]) {
        let mut part = 0..;
        let mut is_kept = || kept.binary_search(&part.next().expect("no end")).is_ok();
        self.settings.retain(|_| is_kept());
        for script in &mut self.scripts {
            script.retain(|_| is_kept());
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "settings: {:?}", self.settings)?;
        for (number, script) in self.scripts.iter().enumerate() {
            if !script.is_empty() {
                writeln!(f, "script {number}:")?;
                script.iter().try_for_each(|action| writeln!(f, "    {action:?}"))?;
            }
        }
        Ok(())
    }
}
