//! How a program is drawn from a seed.

use super::program::{
    Action, CHECK, Code, HELD, IDLE, ME, Mode, NOTIFIER, Op, PREPARE, Program, SIGNAL, SLOTS,
    Setting, TCPS, TIMER, To, UDP, Use,
};

impl Program {
    /// The program of a seed.
    pub fn of(seed: u64) -> Program {
        let mut draw = Draw::new(seed);
        let settings = draw.settings();
        let main = draw.main();
        let others = (1..draw.scripts).map(|_| draw.script()).collect::<Vec<_>>();
        Program { settings, scripts: [main].into_iter().chain(others).collect() }
    }
}

/// Draws programs.
struct Draw {
    state: u64,
    scripts: u64,
    /// How often each group of actions is drawn, chosen anew for each program: one in which everything happens a little
    /// gets nowhere.
    weights: [u64; GROUPS],
    /// The stream that most of it is about.
    favourite: u8,
}

const GROUPS: usize = 15;

impl Draw {
    fn new(seed: u64) -> Draw {
        let mut draw = Draw {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            scripts: 1,
            weights: [1; GROUPS],
            favourite: 0,
        };
        for _ in 0..8 {
            draw.next();
        }
        draw.scripts = 3 + draw.below(7);
        draw.favourite = draw.below(TCPS.into()) as u8;
        for group in 0..GROUPS {
            draw.weights[group] = draw.of([0, 1, 1, 4, 8]);
        }
        if draw.weights.iter().sum::<u64>() == 0 {
            draw.weights[4] = 1;
        }
        draw
    }

    /// xorshift64*
    fn next(&mut self) -> u64 {
        if self.state == 0 {
            self.state = 1;
        }
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy, const N: usize>(&mut self, list: [T; N]) -> T {
        list[self.below(N as u64) as usize]
    }

    fn settings(&mut self) -> Vec<Setting> {
        let mut settings = Vec::new();
        let candidates = [
            (5, Setting::VirtualClock),
            (2, Setting::ReadsPerTurn(1 + self.below(3) as u32)),
            (2, Setting::WritesPerTurn(1 + self.below(2) as u32)),
            (2, Setting::ReadChunk(16)),
            (3, Setting::AcceptsPerTurn(1)),
            (3, Setting::TasksPerTurn(2)),
            (3, Setting::HighWater(100)),
            (6, Setting::SlowCallback),
            (6, Setting::Logger(self.some_script())),
        ];
        for (odds, setting) in candidates {
            if self.one_in(odds) {
                settings.push(setting);
            }
        }
        settings
    }

    fn main(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let length = 10 + self.below(30);
        for _ in 0..length {
            actions.push(self.action());
            if self.one_in(4) {
                actions.push(self.run());
            }
            if self.one_in(20) {
                actions.extend(self.connect_with_all_that_waits());
            }
        }
        if self.one_in(8) {
            let at = self.below(actions.len() as u64) as usize;
            let waiters = self.several_that_wait_by_the_traits();
            actions.splice(at..at, waiters);
        }
        if self.one_in(3) {
            let at = self.below(actions.len() as u64) as usize;
            actions.insert(at, Action::DropLoop { l: 0 });
        }
        actions.push(self.run());
        actions
    }

    /// A connect on which everything waits that can.
    fn connect_with_all_that_waits(&mut self) -> Vec<Action> {
        let h = self.tcp();
        let (to, code) = (self.to(), self.code());
        vec![
            Action::Make { h, l: 0, code, bare: false },
            Action::Connect { h, to, limit: self.limit(), then: self.use_() },
            Action::ReadStart { h, code: self.code() },
            Action::Write { h, len: self.len(), pieces: 1, then: self.use_() },
            Action::Shutdown { h, then: self.use_() },
        ]
    }

    /// A connection at whose one end several wait, and something that may end their wait.
    fn several_that_wait_by_the_traits(&mut self) -> Vec<Action> {
        let (a, b) = (self.tcp(), self.tcp());
        let mut actions = vec![Action::OpenPair { a, b, l: 0, small: true }];
        for s in 0..HELD {
            let len = self.len();
            let op =
                self.of([Op::PollRead(a), Op::PollRead(a), Op::PollWrite(a, len), Op::Flush(a)]);
            let waker = Code { body: self.script_or_none(4), ..self.code() };
            actions.push(Action::Await { op, limit: None, s, waker });
        }
        actions.push(self.about_data());
        actions.push(Action::Write { h: b, len: 5, pieces: 1, then: Use::Ignore });
        actions
    }

    fn script(&mut self) -> Vec<Action> {
        let length = 1 + self.below(4);
        (0..length).map(|_| self.action()).collect()
    }

    fn run(&mut self) -> Action {
        let l = u8::from(self.one_in(8));
        Action::Run { l, mode: self.of([Mode::Default, Mode::Once, Mode::NoWait]) }
    }

    // ---- the parts of an action

    fn loop_(&mut self) -> u8 {
        u8::from(self.one_in(10))
    }

    fn some_script(&mut self) -> u8 {
        (1 + self.below(self.scripts.max(2) - 1)) as u8
    }

    fn script_or_none(&mut self, odds: u64) -> u8 {
        if self.one_in(odds) { self.some_script() } else { 0 }
    }

    fn code(&mut self) -> Code {
        let body = if self.one_in(4) { 0 } else { self.some_script() };
        Code { body, end: self.script_or_none(3), keeps: self.one_in(4) }
    }

    fn use_(&mut self) -> Use {
        match self.below(6) {
            0 => Use::Ignore,
            1 => Use::Keep(self.held()),
            2 => Use::Hand(self.held()),
            _ => Use::Then(self.code()),
        }
    }

    fn held(&mut self) -> u8 {
        self.below(HELD.into()) as u8
    }

    fn or_me(&mut self, h: u8) -> u8 {
        if self.one_in(3) { ME } else { h }
    }

    fn tcp(&mut self) -> u8 {
        if self.one_in(2) { self.favourite } else { self.below(TCPS.into()) as u8 }
    }

    fn tcp_or_me(&mut self) -> u8 {
        let h = self.tcp();
        self.or_me(h)
    }

    fn timer(&mut self) -> u8 {
        let h = TIMER + self.below(2) as u8;
        self.or_me(h)
    }

    fn notifier(&mut self) -> u8 {
        NOTIFIER + self.below(2) as u8
    }

    fn udp(&mut self) -> u8 {
        UDP + self.below(2) as u8
    }

    fn signal(&mut self) -> u8 {
        SIGNAL + self.below(2) as u8
    }

    fn handle(&mut self) -> u8 {
        let h = match self.below(3) {
            0 => self.below(SLOTS.into()) as u8,
            _ => self.tcp(),
        };
        self.or_me(h)
    }

    fn micros(&mut self) -> u32 {
        self.of([0, 0, 1, 200, 1_000])
    }

    fn len(&mut self) -> u32 {
        self.of([0, 1, 5, 16, 40, 40, 3_000, 30_000])
    }

    fn to(&mut self) -> To {
        match self.below(7) {
            0 | 1 => To::Refusing,
            2 => To::Silent,
            _ => To::Slot(self.tcp()),
        }
    }

    fn limit(&mut self) -> Option<u32> {
        if self.one_in(4) { Some(self.micros()) } else { None }
    }

    fn action(&mut self) -> Action {
        let mut pick = self.below(self.weights.iter().sum());
        for group in 0..GROUPS {
            if pick < self.weights[group] {
                return self.action_of(group);
            }
            pick -= self.weights[group];
        }
        unreachable!("the pick is below the sum")
    }

    fn action_of(&mut self, group: usize) -> Action {
        match group {
            0 => self.about_timers(),
            1 => self.about_hooks(),
            2 => self.about_notifiers(),
            3 => self.about_signals(),
            4 | 5 => self.about_connecting(),
            6 | 7 => self.about_data(),
            8 => self.about_endings(),
            9 => self.about_requests(),
            10 => self.about_closures(),
            11 => self.about_tasks(),
            12 => self.about_futures(),
            13 => self.about_datagrams(),
            _ => self.about_the_loop(),
        }
    }

    fn about_timers(&mut self) -> Action {
        let (h, code) = (self.timer(), self.code());
        match self.below(8) {
            0 => {
                Action::Make { h: TIMER + self.below(2) as u8, l: self.loop_(), code, bare: false }
            }
            1 | 2 => Action::After { h, l: self.loop_(), delay: self.micros(), code },
            3 => Action::Stop_ { h },
            4 => Action::Again { h },
            5 => Action::SetRepeat { h, repeat: self.micros() },
            _ => Action::StartTimer { h, delay: self.micros(), repeat: self.micros(), code },
        }
    }

    fn about_hooks(&mut self) -> Action {
        let h = self.of([IDLE, PREPARE, CHECK]);
        match self.below(5) {
            0 | 1 => Action::Make { h, l: self.loop_(), code: self.code(), bare: false },
            2 => Action::Stop_ { h: self.or_me(h) },
            _ => Action::StartHook { h: self.or_me(h), code: self.code() },
        }
    }

    fn about_notifiers(&mut self) -> Action {
        let h = self.notifier();
        match self.below(4) {
            0 => Action::Make { h, l: self.loop_(), code: self.code(), bare: self.one_in(3) },
            1 => self.awaiting(Op::Notified(h)),
            _ => Action::Send { h, elsewhere: self.one_in(4) },
        }
    }

    fn about_signals(&mut self) -> Action {
        let h = self.signal();
        match self.below(8) {
            0 | 1 => Action::Make { h, l: self.loop_(), code: self.code(), bare: false },
            2 => Action::Stop_ { h: self.or_me(h) },
            3 => self.awaiting(Op::Delivered(h)),
            4 | 5 => Action::Raise { second: self.one_in(3) },
            _ => Action::StartSignal {
                h: self.or_me(h),
                second: self.one_in(3),
                once: self.one_in(3),
                only: self.one_in(3),
                code: self.code(),
            },
        }
    }

    fn about_connecting(&mut self) -> Action {
        let h = self.tcp_or_me();
        match self.below(13) {
            0 | 1 => {
                Action::Make { h: self.tcp(), l: self.loop_(), code: self.code(), bare: false }
            }
            2 => Action::OpenPair {
                a: self.tcp(),
                b: self.tcp(),
                l: self.loop_(),
                small: self.one_in(2),
            },
            3 | 4 => Action::Pair { server: self.tcp(), a: self.tcp(), b: self.tcp() },
            5 => Action::Bind { h },
            6 | 7 => Action::Listen { h, code: self.code(), only: self.one_in(3) },
            8 => Action::Accept { h, into: self.tcp() },
            9 => {
                let op = Op::Accept(self.tcp(), self.tcp());
                self.awaiting(op)
            }
            _ => Action::Connect { h, to: self.to(), limit: self.limit(), then: self.use_() },
        }
    }

    fn about_data(&mut self) -> Action {
        let h = self.tcp_or_me();
        match self.below(12) {
            0 | 1 => Action::ReadStart { h, code: self.code() },
            2 => Action::ReadStop { h },
            3..=5 => Action::Write { h, len: self.len(), pieces: 1, then: self.use_() },
            6 => {
                Action::Write { h, len: self.len(), pieces: self.below(4) as u8, then: self.use_() }
            }
            7 => Action::TryWrite { h, len: self.len() },
            8 => Action::Drained { h, then: self.use_() },
            9 => match self.below(2) {
                0 => Action::HighWater { h, bytes: self.len() },
                _ => Action::Shrink { h },
            },
            _ => {
                let op = self.stream_op();
                self.awaiting(op)
            }
        }
    }

    fn about_datagrams(&mut self) -> Action {
        let (own, to) = (self.udp(), self.udp());
        let h = self.or_me(own);
        match self.below(12) {
            0 | 1 => Action::Make { h: own, l: self.loop_(), code: self.code(), bare: false },
            2 | 3 => Action::Bind { h },
            4 | 5 => Action::RecvStart { h, code: self.code() },
            6 => Action::Stop_ { h },
            7 | 8 => Action::SendTo { h, to, len: self.len(), then: self.use_() },
            9 => Action::TrySendTo { h, to, len: self.len() },
            10 => Action::ConnectUdp { h, to },
            _ => self.awaiting(Op::RecvOnce(h)),
        }
    }

    fn about_endings(&mut self) -> Action {
        let (h, tcp, then) = (self.handle(), self.tcp_or_me(), self.use_());
        match self.below(7) {
            0 | 1 => Action::Close { h, then },
            2 => Action::Shutdown { h: tcp, then },
            3 => Action::Finish { h: tcp, then },
            4 => Action::CloseReset { h: tcp, then },
            5 => Action::Forget { h: self.below(SLOTS.into()) as u8 },
            _ => Action::Ref { h, on: self.one_in(3) },
        }
    }

    fn about_requests(&mut self) -> Action {
        let s = self.held();
        match self.below(5) {
            0 => Action::Cancel { s },
            1 | 2 => Action::CancelThen { s },
            3 => Action::Then { s, code: self.code() },
            _ => Action::ForgetRequest { s },
        }
    }

    fn about_closures(&mut self) -> Action {
        let (l, code) = (self.loop_(), self.code());
        match self.below(3) {
            0 => Action::Post { l, code, elsewhere: self.one_in(3) },
            _ => Action::Defer { l, code },
        }
    }

    fn about_tasks(&mut self) -> Action {
        let (s, l, code) = (self.held(), self.loop_(), self.code());
        match self.below(10) {
            0..=2 => Action::Spawn { l, code, s },
            3 => Action::Go { l, code },
            4 => Action::Abort { s },
            5 => Action::RefTask { s, on: self.one_in(3) },
            6 => Action::ForgetTask { s },
            _ => {
                let op = self.op();
                self.awaiting(op)
            }
        }
    }

    fn about_futures(&mut self) -> Action {
        let (s, waker) = (self.held(), self.code());
        match self.below(9) {
            0 => Action::MakeFuture { s, code: self.code() },
            1..=3 => Action::Poll { s, waker },
            4 => Action::ForgetFuture { s },
            5 => Action::Wake { s, elsewhere: self.one_in(4) },
            6 => self.of([
                Action::ForgetWaker { s },
                Action::Resume { s },
                Action::Resume { s },
                Action::ForgetResume { s },
            ]),
            _ => {
                let op = self.op();
                self.awaiting(op)
            }
        }
    }

    fn about_the_loop(&mut self) -> Action {
        let l = self.loop_();
        match self.below(9) {
            0 => Action::Stop { l },
            1 => Action::UpdateTime { l },
            2 => Action::Walk { l, close: self.one_in(4) },
            3 => Action::Ask { h: self.handle() },
            4 => match self.below(3) {
                0 => Action::DropLoop { l: 1 },
                1 => self.run(),
                _ => Action::BlockOn { l, script: self.some_script() },
            },
            _ => Action::Panic { payload_end: self.script_or_none(4) },
        }
    }

    fn awaiting(&mut self, op: Op) -> Action {
        Action::Await { op, limit: self.limit(), s: self.held(), waker: self.code() }
    }

    fn op(&mut self) -> Op {
        let s = self.held();
        match self.below(12) {
            0 => Op::Sleep(self.micros()),
            1 => Op::Tick(self.micros().max(1)),
            2 => Op::Yield,
            3 | 4 => Op::Park(s),
            5 => Op::Callback(s, self.script_or_none(3)),
            6 => Op::Join(s),
            7 => Op::Request(s),
            _ => self.stream_op(),
        }
    }

    fn stream_op(&mut self) -> Op {
        let h = self.tcp_or_me();
        match self.below(13) {
            0 | 1 => Op::ReadOnce(h),
            2 => Op::ReadInto(h),
            3 => Op::ReadWith(h, self.code()),
            4 => Op::Write(h, self.len()),
            5 => Op::Connect(h, self.to()),
            6 => Op::Shutdown(h),
            7 => Op::Drained(h),
            8 => Op::Accept(h, self.tcp()),
            9 => Op::PollRead(h),
            10 => Op::PollWrite(h, self.len()),
            11 => Op::Flush(h),
            _ => Op::PollClose(h),
        }
    }
}
