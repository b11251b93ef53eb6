//! What the loop and each kind of handle promise, statement by statement, and where they differ from libuv.
//!
//! This chapter is for looking things up; it is not meant to be read from one end to the other. Each statement has a
//! number that never changes: a letter for the subject, then a counter. The numbers that a subject skips stand at the
//! end, under [Not applicable](#not-applicable), with the reason. Where luvio chose otherwise than libuv, "(libuv: …)"
//! says what libuv does and, unless it is plain, why luvio does not.
//!
//! Each statement is shown by at least one test, whose first line names it. To find the tests of a statement:
//!
//! ```text
//! grep -rn "WR-07" tests/ src/
//! ```
//!
//! The words: a *turn* is one trip round the loop, a *pass* one phase of it. *The next pending pass* is the first of
//! these to come: the rounds after the I/O callbacks of this turn, or the beginning of the next turn. A call that
//! *refuses* returns an error, which is a [`Misuse`] in an [`io::Error`] if the mistake is the caller's; a call that
//! returns a [`Request`] refuses through that request: it is finished when the call returns, and its callback hears the
//! error in the next pending pass. Awaiting something yields the values and errors that its callback would get.
//!
//! # L: the loop
//!
//! - **L-01** A turn is: pending callbacks, [`Idle`], [`Prepare`], the poll, I/O callbacks (see L-24), what these
//!   brought about (see L-28), [`Check`], closings, timers, and the tasks that the timers woke.
//! - **L-02** [`run`](crate::Loop::run) on a loop that is alive and not stopped goes through the timers and the tasks
//!   once before its first turn. [`RunMode::Once`] and [`RunMode::NoWait`] do not: their only pass over the timers
//!   comes after the poll.
//! - **L-03** [`run`](crate::Loop::run) returns when the loop is not alive any more;
//!   [`run_mode`](crate::Loop::run_mode) then says `false`. With nothing to run for, it returns without a turn.
//! - **L-04** The loop is alive while there is a handle that is active and referenced, an unfinished request, a handle
//!   being closed, a callback that is queued and not called yet, a referenced task that has not ended, or a closure
//!   that another thread posted.
//! - **L-05** A run of a loop that is not alive still reads the clock.
//! - **L-06** [`RunMode::NoWait`] never sleeps. The result says whether the loop is alive afterwards.
//! - **L-07** [`RunMode::Once`] sleeps in one poll at most and returns after that turn. If a timer is all that there
//!   is, it waits until the timer is due and runs it.
//! - **L-08** A run with [`RunMode::Once`] may return without having called anybody, since more than callbacks can end
//!   a poll. Call it in a loop.
//! - **L-09** A turn of [`RunMode::Once`] that begins with an active [`Idle`] or with a pending callback does not
//!   sleep, even if the idle handle stops itself before the poll.
//! - **L-10** In the default mode, whether a turn may sleep is decided after idle and prepare. So when the last idle
//!   handle stops itself, that very turn may sleep.
//! - **L-11** [`stop`](crate::LoopHandle::stop) before a run: nothing is called, not even timers that are due; the
//!   result says whether something is alive; and the stop is used up.
//! - **L-12** `stop` in a callback: the turn goes through its remaining phases, does not sleep if its poll is still to
//!   come, and no other turn begins.
//! - **L-13** `stop` in a timer before the first turn: there is no turn.
//! - **L-14** The run after a stopped one is a normal one.
//! - **L-15** A stopped run says `true` exactly if the loop is still alive.
//! - **L-16** A run of a loop inside itself is refused with [`Misuse::NestedRun`], and the outer run goes on
//!   undisturbed (libuv: undefined, which Rust does not allow). Another loop may be run inside a callback; the outer
//!   one waits for it.
//! - **L-17** [`now`](crate::LoopHandle::now) stands still while callbacks run, however long they take, unless
//!   [`update_time`](crate::LoopHandle::update_time) is called. Between runs it moves only if that is called or a timer
//!   is started (see T-25).
//! - **L-18** The clock is read when a run begins, in whatever mode, after each poll, and before the timers if anything
//!   ran since. It never goes back. (libuv: [`RunMode::Once`] and [`RunMode::NoWait`] first read it after the poll. What a
//!   host did between two turns would be missing from the timers that pending, idle and prepare callbacks start.)
//! - **L-19** [`backend_timeout`](crate::LoopHandle::backend_timeout) is zero if stop was called; if nothing referenced
//!   is active and there is neither a request nor a referenced task; and if a callback is pending, a task is ready, an
//!   idle handle is active, a handle is being closed, a closure was posted, a handle has more to do than its last turn
//!   allowed, or the last poll brought as many events as it can, so that there may be more. Otherwise it is the time to
//!   the next timer by the cached clock (zero if that is overdue), and `None` without timers or with none that ever fires.
//! - **L-20** Unreferenced timers are waited for, and fire in time, as long as something else keeps the loop alive.
//! - **L-21** A loop can live inside another one: wait until its descriptor (it is [`AsFd`](std::os::fd::AsFd)) is
//!   readable or `backend_timeout` has passed, then run it with [`RunMode::NoWait`]. Sends, posts and wakes from other
//!   threads make the descriptor readable. Not where mio polls with poll(2), which has no descriptor. A host that waits
//!   for edges misses nothing, since the timeout is zero as long as there may be more to take.
//! - **L-22** A socket is registered with the kernel at once, so that a new one does not keep the next poll from
//!   sleeping (libuv: it does, since libuv registers in the poll).
//! - **L-23** A signal that interrupts the poll is not seen: the poll goes on with what is left of its time.
//! - **L-24** Within the I/O callbacks of a turn, those of `Signal` come last: after the events of the poll, the
//!   notifiers, and the handles whose budget ran out in the turn before.
//! - **L-25** An event of the poll for a handle that an earlier callback stopped or closed is dropped.
//! - **L-26** A handle that gets the descriptor or the slot of one closed earlier in the same batch never sees an event
//!   of that one. Nor does a handle that has one socket after another see an event of an earlier one, although somebody
//!   outside (a child process about to run its program) may hold a duplicate of that one's descriptor.
//! - **L-27** A peer that sends without end does not hold up the loop: after so many reads (32;
//!   [`reads_per_turn`](crate::Builder::reads_per_turn)) the others have their turn. The rest follows in later turns,
//!   which do not sleep, without anything new arriving; and what does arrive does not double the number.
//! - **L-28** Callbacks and tasks that become ready during the I/O callbacks run in the same turn, before check:
//!   pending callbacks, then tasks, in eight rounds at most. What is left then runs in the next turn, before it could
//!   sleep. A round calls all that was pending when it began: a closure that defers another waits for the next one, and
//!   of requests there are no more than the program made.
//! - **L-29** No callback of an event or a request runs inside a call that the program makes, whatever is over at once.
//! - **L-30** A call that returns an error drops the callback that it was given, uncalled.
//! - **L-31** [`Loop::close`](crate::Loop::close) refuses as long as a handle exists that is not completely closed,
//!   active or not, or something else keeps the loop alive.
//! - **L-32** The loop then comes back, in the [`CloseError`](crate::CloseError), as it was, and can be run. (As an
//!   [`io::Error`] the refusal is [`Misuse::Busy`].)
//! - **L-33** Dropping a loop closes every handle, gives back every descriptor, drops every callback and task, and
//!   calls nobody; requests and futures that are still held end with [`Canceled`]. What is still held of handles and
//!   [`LoopHandle`]s then says no, does nothing, or refuses with [`Misuse::LoopGone`] (libuv: a loop has to be run
//!   until everything is closed). A destructor or a waker that panics stops none of that: the first panic goes on when
//!   everything is done; while another one unwinds the stack already, it is logged instead.
//! - **L-34** [`walk`](crate::LoopHandle::walk) shows every handle that is not completely closed, those being closed
//!   included, once, in the order of creation. luvio has no handles of its own among them.
//! - **L-35** The visitor may close any handle and make new ones, which this walk does not show.
//!   [`close_all`](crate::LoopHandle::close_all) closes them all.
//! - **L-36** A handle is shown until its close calls back: not in that callback, and not afterwards. Of several requests
//!   for its close the first counts.
//! - **L-37** Loops in different threads know nothing of each other. A loop can be made, run and dropped as long as its
//!   thread lives, in the destructors of thread-local variables too.
//! - **L-40** A panic of a callback leaves [`run`](crate::Loop::run), and the next run goes on behind it: events, due
//!   timers and pending callbacks that were not delivered yet are, and the callback that panicked is called again for
//!   the next event (libuv: has no notion of it). A panic of a task goes to its [`JoinHandle`], or to the log. Destructors
//!   of what callbacks and tasks captured, wakers that are not the loop's, payloads of panics and the logger may panic,
//!   and may use whatever they like, as callbacks may: the others are served all the same.
//! - **L-41** [`advance`](crate::Loop::advance) moves a virtual clock by hand: what is due on the way runs, each at its
//!   own moment, then everything that follows from it; then the clock is held, exactly so far on, until the next call or
//!   run (libuv: has neither clock).
//! - **L-42** Closures that other threads [post](crate::Remote::post) run in order, so many a turn (64;
//!   [`posts_per_turn`](crate::Builder::posts_per_turn)). The rest follows in the next turns, which do not sleep. No
//!   notifier and no wake of a task waits behind them (libuv: has no such closures).
//!
//! # H: handles in general
//!
//! - **H-01** A new handle is inactive, referenced and not closing. A [`Notifier`] is active from the start.
//! - **H-02** Starting makes a handle active, stopping inactive, closing inactive and closing.
//! - **H-03** [`unref`](crate::Timer::unref) and [`ref_`](crate::Timer::ref_) set a flag and do not count.
//! - **H-04** The flag does not depend on activity: what is said before the start holds after it.
//! - **H-05** An active handle that is unreferenced does not keep the loop running, and a run for nothing else does not
//!   call it.
//! - **H-06** If the last handle unreferences itself in its callback, the run ends after this turn.
//! - **H-07** Requests keep the loop running although their handle is unreferenced.
//! - **H-08** A handle being closed keeps the loop running until its close calls back, referenced or not. In the callback
//!   it does not count any more.
//! - **H-09** A close calls back once, never inside the call.
//! - **H-10** After close no event of the handle calls back any more. Only its requests do: those that had ended, with
//!   their result; those that had not, with [`Canceled`].
//! - **H-11** Any handle may be closed in its own callback.
//! - **H-12** [`is_closing`](crate::Timer::is_closing) is true from the call of close on, in its callback too.
//! - **H-13** A close called up to the check phase, by a callback or a task, ends in the closing phase of the same
//!   turn; one called in a close callback, in a timer or after it, in the next turn's.
//! - **H-14** Check callbacks come before the closings of a turn.
//! - **H-15** First closed, first called (libuv: last closed, first called, which nobody would expect).
//! - **H-16** The descriptor is given back in the call of close: before the callback, the peer sees it and the port is
//!   free.
//! - **H-17** A second close changes nothing; its request ends with the first one's (libuv: aborts the program).
//! - **H-18** A closing handle of whatever kind refuses to start, with [`Misuse::Closing`] (libuv: some kinds refuse,
//!   some accept in silence, some abort; one rule is easier to remember).
//! - **H-19** Stopping a handle that is stopped, was never started, or is closing does nothing.
//! - **H-20** A constructor that fails leaves nothing in the loop. Those can that do more than to make a handle, and they
//!   refuse a loop that is gone, with [`Misuse::LoopGone`]: that of [`Notifier`], which also starts, and those that take,
//!   open or connect a descriptor (of [`Poll`](crate::Poll), of terminals and standard streams, of pairs of pipes). The
//!   others make a handle that is closed.
//! - **H-21** [`fileno`](crate::Tcp::fileno) is refused with [`Misuse::NoSocket`] before there is a socket and after
//!   close. Kinds without a descriptor do not have the method (libuv: an error at run time).
//! - **H-22** The sizes of a socket's buffers ([`send_buffer_size`](crate::Tcp::send_buffer_size),
//!   [`recv_buffer_size`](crate::Tcp::recv_buffer_size)) are refused with [`Misuse::NoSocket`] without a socket; Linux
//!   reports twice the value set. Kinds without a socket do not have the methods (libuv: an error at run time).
//! - **H-23** [`is_active`](crate::Tcp::is_active) of a [`Tcp`] is true while it reads, listens with a callback,
//!   connects, or has writes or a shutdown under way (libuv: only while it reads or listens, against its own
//!   documentation).
//! - **H-24** Whatever names a handle that is gone (an event, a sender, a request) is recognised as stale, although
//!   another handle has its slot.
//! - **H-25** The callbacks of a closed handle, and what they captured, are dropped after its close has called back,
//!   not before, and never while one of them is running (libuv: C has nothing to drop). So is a reader that closes the
//!   handle when it hears of the end; one that does not is dropped when it has returned.
//!
//! # T: timers
//!
//! - **T-01** A [`Timer`] is never early by [`now`](crate::LoopHandle::now), in full resolution (libuv: cuts both ends
//!   to milliseconds, and so may be early by almost one). [`sleep`], [`timeout`] and [`interval`] read a fresh clock
//!   and are never early by [`Instant`](std::time::Instant).
//! - **T-02** No delay means the next pass over the timers: the one before the first turn if started before a run in
//!   the default mode; this turn's if started up to its closings; the next turn's if started by a timer or a task after
//!   it.
//! - **T-03** A timer that a timer callback starts without delay, even itself, does not run in this pass.
//! - **T-04** Timers run by due time, equal ones in the order of their starts. A restart puts a timer behind its
//!   equals.
//! - **T-05** The timers due when the pass begins are taken together. One that becomes due while they run waits for the
//!   next turn.
//! - **T-06** A due timer that an earlier one of its pass stops or closes does not fire.
//! - **T-07** A due timer that an earlier one restarts leaves the pass, and fires once, by its new setting.
//! - **T-08** A timer is active until its callback begins (libuv: not while it waits for its turn in the pass, although
//!   it can still be stopped).
//! - **T-09** In its callback a one-shot timer is inactive, and may be started again or closed.
//! - **T-10** In its callback a repeating timer is active, armed again.
//! - **T-11** The repetition counts from the clock of the pass, not from an ideal grid: lateness adds up. ([`interval`]
//!   keeps to a grid.)
//! - **T-12** Repetitions that were missed are not made up: however many, there is one call.
//! - **T-13** [`start`](crate::Timer::start) on a running timer replaces delay, repeat and callback.
//! - **T-14** [`again`](crate::Timer::again) on a timer that was never started is refused with
//!   [`Misuse::NeverStarted`].
//! - **T-15** `again` on a timer with a repeat value lets it fire one repeat from now, whether it was running or
//!   stopped.
//! - **T-16** `again` on a timer without a repeat value stops it (libuv: says so in its documentation and changes
//!   nothing).
//! - **T-17** `again`, called often enough, keeps a timer from ever firing.
//! - **T-18** [`set_repeat`](crate::Timer::set_repeat) is for the next arming. In the callback of a repeating timer,
//!   the interval that has begun keeps the old value; after zero, there is one more call.
//! - **T-19** A one-shot timer that gets a repeat value before it fires goes on repeating.
//! - **T-20** One that gets it in its callback is not armed by that.
//! - **T-21** A new timer has the repeat value zero.
//! - **T-22** [`due_in`](crate::Timer::due_in) goes by the cached clock; it is zero when overdue or never started. Of a
//!   timer that was stopped it says what would be left.
//! - **T-23** A delay beyond the range of the clock (584 years), such as [`Duration::MAX`](std::time::Duration::MAX),
//!   means never. It neither wraps nor disturbs other timers, and a virtual clock does not jump to it: without another
//!   timer the loop waits as if it had none.
//! - **T-24** So does a repeat value; the loop sleeps meanwhile.
//! - **T-25** A timer counts from the cached clock. Started by a callback that has run for longer than the delay, it is
//!   due in the next pass. ([`sleep`] reads a fresh clock.) Outside a run, before the first one or between two, starting
//!   it reads the clock (libuv: does not, so that after a setup of 60 ms a timer of 50 ms is overdue from the start).
//! - **T-26** In [`RunMode::Once`] and [`RunMode::NoWait`] a timer fires once per run at most, however overdue.
//! - **T-27** A check or I/O callback that stops a timer which is due in its turn prevents it.
//! - **T-28** Timers without delay that restart themselves for ever do not starve I/O; endless I/O or an idle handle
//!   does not starve timers. (A [virtual clock](crate::Builder::virtual_clock) moves only when there is nothing to do:
//!   it stands still as long as an idle handle is active or I/O is ready at each poll. I/O and signals that have to be
//!   waited for do not hold it: they get 5 ms for each of its moves, however many they are.)
//! - **T-29** An unreferenced timer fires if something else keeps the loop running.
//! - **T-30** Starting and stopping take logarithmic time at most: a million timers are practical.
//!
//! # W: idle, prepare, check
//!
//! - **W-01** Each active one is called once a turn: [`Idle`], then [`Prepare`], then, after the poll and what it
//!   brought, [`Check`].
//! - **W-02** Those of one kind run in the order in which they were started (libuv: last started first, which nobody
//!   would expect).
//! - **W-03** One that a callback of its own kind starts first runs in the next turn.
//! - **W-04** One that is started in an earlier phase of the turn runs in this turn.
//! - **W-05** An idle handle started in prepare keeps this turn's poll from sleeping, and first runs in the next turn.
//! - **W-06** One that an earlier callback of the same pass stops or closes does not run in it.
//! - **W-07** A handle may stop or close itself in its callback.
//! - **W-08** Starting an active one replaces its callback, and keeps its place in the order (libuv: keeps the old
//!   callback in silence).
//! - **W-09** While an idle handle is active, the loop does not sleep; timers and I/O go on. (But a virtual clock stands
//!   still: no timer becomes due that is not yet.)
//! - **W-10** I/O that is begun in prepare is part of this turn's poll. An error that needs no poll is reported without
//!   sleeping before.
//! - **W-11** A lone prepare or check handle keeps the loop alive, but asleep. Beside a connection that nobody reads, it
//!   gets one turn for the news that the connection can be written (libuv: none. It registers a socket for what is asked
//!   of it, and again for each change; here every socket is registered once for both directions, which saves these system
//!   calls).
//! - **W-12** A timer that is started in check counts from this turn's clock.
//!
//! # A: notifiers
//!
//! - **A-01** A [`Notifier`] is active from the start, and keeps the loop running until it is closed or unreferenced.
//! - **A-02** [`send`](crate::NotifierSender::send) in any thread wakes a sleeping loop.
//! - **A-03** After a send the callback runs at least once. Sends that come before it begins may share one call.
//! - **A-04** A send after the callback has begun, from inside it too, leads to another call.
//! - **A-05** The sends of two notifiers are never taken for each other.
//! - **A-06** Notifiers that were sent to are all called in one pass, in the order of their creation.
//! - **A-07** What a thread wrote before it sent is visible in the callback.
//! - **A-08** A send before the first run is not lost.
//! - **A-09** A notifier without a callback ([`wake_only`](crate::Notifier::wake_only)) makes the loop go through a
//!   turn, and ends the wait of one task in [`notified`](crate::Notifier::notified) (see Z-13). Sends that nobody
//!   awaits count as one, as do those of A-03.
//! - **A-10** Close drops a send that was not delivered yet.
//! - **A-11** [`NotifierSender`] is `Clone`, `Send` and `Sync`. Once the notifier is closed or the loop is gone, a send
//!   is refused; neither waits for senders (libuv: undefined).
//! - **A-12** A send never waits for the loop: it takes a short lock at most. So it is not for signal handlers, where
//!   no lock may be taken (libuv: it is); they are the business of `Signal`.
//! - **A-13** The callback of a notifier may close another one that was sent to; that one is not called then.
//!
//! # RD: reading from streams
//!
//! - **RD-01** [`read_start`](crate::Tcp::read_start) is refused with [`Misuse::NotConnected`] unless the handle is
//!   connected or connecting; on a listener too.
//! - **RD-02** A stream has one reader. On a closing handle `read_start` is refused with [`Misuse::Closing`]; beside
//!   another read callback or a future that waits for data, with [`Misuse::AlreadyReading`], and the first one stays;
//!   so is a read future beside either. (A wait by the futures-io traits does not count: whoever comes takes over.)
//! - **RD-03** It may be called during a connect; data comes after the connect's callback.
//! - **RD-04** The callback never runs inside `read_start`, although data is at hand.
//! - **RD-05** Data arrives in order, none lost and none twice, in chunks of any size up to
//!   [`read_chunk`](crate::Builder::read_chunk).
//! - **RD-06** A read that finds nothing calls nobody (libuv: calls back with zero bytes, which mean nothing).
//! - **RD-07** The end of the stream is one `Ok(None)`. Reading has stopped then; the handle stays open.
//! - **RD-08** What came before the end is delivered before it, by calls of its own, maybe in earlier turns.
//! - **RD-09** After the end, the stream can still be written, and still counts as readable.
//! - **RD-10** Reading may begin again after the end, and comes to the end again; once a turn if it begins again in the
//!   callback.
//! - **RD-11** A read error is delivered once, and reading has stopped: in its callback the handle is inactive, as in that
//!   of the end (libuv: active there, though not at the end). The stream is neither readable nor writable then: reads
//!   are refused with [`Misuse::NotConnected`], writes with [`Misuse::ShutDown`]. It is not closed.
//! - **RD-12** A reset by the peer is [`ConnectionReset`](std::io::ErrorKind::ConnectionReset), not the end of the
//!   stream, also when a write that failed was told first.
//! - **RD-13** [`read_stop`](crate::Tcp::read_stop) is good at once: not one call more, although data is at hand. It
//!   may be called any number of times.
//! - **RD-14** Stop and start within the callback lose nothing: the new callback gets the rest.
//! - **RD-15** What arrives while the stream is stopped is delivered after the next start, without anything new
//!   arriving.
//! - **RD-16** Data that nobody reads does not keep the loop awake.
//! - **RD-17** Close in the callback ends the calls, although more is at hand.
//! - **RD-18** Closing a stream calls no read callback. A task that awaits data gets [`Canceled`].
//! - **RD-19** A stream gets a bounded number of calls in a turn: see L-27.
//! - **RD-20** There is always a buffer to read into: the loop lends its own, and another one while that is lent
//!   (libuv: asks the program, which may have none).
//! - **RD-21** A peer that left, with nothing to read, is the end of the stream, also if that was before reading began.
//! - **RD-22** Urgent data brings neither errors nor empty calls.
//! - **RD-23** Stopping or ending the reading leaves queued writes alone.
//! - **RD-24** A descriptor that a child process still has open wakes the loop no more once the handle is closed.
//! - **RD-25** If one poll reports data and the end, the data comes first.
//! - **RD-26** If the connect fails, is cancelled or runs out of time for which a reader waits, the reader hears of that
//!   error, once, after the connect's own callback, and reading has stopped by then (libuv: it hears of an end of the
//!   stream). So it does when it awaits data.
//!
//! # WR: writing to streams
//!
//! - **WR-01** The buffers of one write, and writes among each other, reach the peer in order.
//! - **WR-02** Writes that were accepted call back in the order in which they were made, each once. One that was
//!   [cancelled](crate::Request::cancel) does not wait for those before it: it calls back in the next pending pass.
//! - **WR-03** The callback never runs inside [`write`](crate::Tcp::write), although the kernel took everything at
//!   once.
//! - **WR-04** If it did: made by an I/O callback, the write calls back in the same turn, before check; made by a
//!   timer, at the beginning of the next turn.
//! - **WR-05** On a connected stream with nothing queued, the kernel is tried inside `write`.
//! - **WR-06** Writes during a connect are queued, and sent once it has succeeded; its callback comes first, and if that
//!   closes the handle, none of them is sent.
//! - **WR-07** A write is refused with [`Misuse::NotConnected`] before any connect, [`Misuse::Listening`] on a
//!   listener, [`Misuse::ShutDown`] after a shutdown was called or a read has failed, [`Misuse::Closing`] after close
//!   (libuv: does not tell the first from the last, nor the second from the third). Like every refusal it calls back in
//!   the next pending pass (libuv: the call returns the error): of a closing handle before its close, but if it is made
//!   in the closing phase itself, by the callback of what the close cancelled, in the next turn, after the close.
//! - **WR-08** An empty list of buffers is refused with [`Misuse::NoBuffers`]; an empty buffer is a write that
//!   succeeds.
//! - **WR-09** More buffers than the kernel takes in one call are no problem: thousands are one write.
//! - **WR-10** There is no limit to the size of a write, and nothing is cut off (libuv: refuses above 2 GiB).
//! - **WR-11** After the kernel took a part, the rest follows by itself; the write ends when all is with the kernel.
//! - **WR-12** [`write_queue_size`](crate::Tcp::write_queue_size) counts the bytes accepted and not with the kernel
//!   yet. It grows in `write`, shrinks with progress, and does not include a write in that write's callback.
//! - **WR-13** A small write behind a big one waits for it.
//! - **WR-14** A peer that reads as fast as we write does not hold up the loop: after so many sends of queued data
//!   ([`writes_per_turn`](crate::Builder::writes_per_turn)) the others have their turn.
//! - **WR-15** If sending fails, every queued write gets the error, in order; a waiting shutdown and
//!   [`drained`](crate::Tcp::drained) do, too.
//! - **WR-16** A write error neither closes the stream nor stops reading.
//! - **WR-17** A write to a peer that has gone may succeed once; the reset shows in a later write or when reading.
//! - **WR-18** [`try_write`](crate::Tcp::try_write) writes what fits and says how much that was;
//!   [`WouldBlock`](std::io::ErrorKind::WouldBlock) if nothing fits, while connecting, and while anything is queued. From
//!   a shutdown on it is refused as other writes are, also behind a queue (libuv: would block there, as if there could
//!   be room some day).
//! - **WR-19** It never queues, never changes the queue's size, never overtakes.
//! - **WR-20** Its other errors are returned at once.
//! - **WR-21** Writing to a broken connection raises no SIGPIPE, in whatever program.
//! - **WR-22** A socket that was shut down behind the loop's back ends its writes with an error, not in a crash.
//! - **WR-23** The callback of a write may write, shut down or close. One that always writes again does not starve
//!   timers.
//! - **WR-24** A kernel out of buffers (ENOBUFS) is no error: the write stays queued and is tried again after a pause.
//! - **WR-25** The data that waits belongs to the queue: what the caller does with its buffer after `write` changes
//!   nothing (libuv: the buffer has to stay as it is until the callback).
//! - **WR-26** A program that writes on although more than 64 times the mark is queued (and more than 1 MiB) does not wait
//!   for its peer: the log is told, as a warning, once a stream.
//!
//! # SH: shutdown and close of streams
//!
//! [`finish`](crate::Tcp::finish) is a shutdown and, when that has ended, a close.
//!
//! - **SH-01** [`shutdown`](crate::Tcp::shutdown) waits until everything queued is with the kernel, and ends after all
//!   writes.
//! - **SH-02** Its callback never runs inside the call. If nothing is queued, the peer is told inside the call (libuv: in
//!   the next turn; but as with a write, WR-05, there is nothing to wait for).
//! - **SH-03** The peer reads the end of the stream after all data.
//! - **SH-04** From the call on, the stream is not writable.
//! - **SH-05** Reading goes on until the peer ends.
//! - **SH-06** A second shutdown is refused with [`Misuse::NotConnected`]; the first goes its way.
//! - **SH-07** Without a connection, and on a listener, it is refused with [`Misuse::NotConnected`], on a closing
//!   handle with [`Misuse::Closing`] (libuv: does not tell them apart; here every call says so of a closing handle).
//! - **SH-08** Of a shutdown that a close follows at once one hears before the close: success, or [`Canceled`].
//! - **SH-09** Both ends may shut down at the same time.
//! - **SH-10** A shutdown during a connect waits for the connect, and for the writes between (libuv: reports the
//!   connect as successful and never ends the shutdown).
//! - **SH-11** If that connect fails, the shutdown is [`Canceled`] right after the queued writes (libuv: stays until
//!   close).
//! - **SH-12** A shutdown succeeds only if everything accepted for writing, and not cancelled by the program, was sent
//!   (libuv: also after writes that failed).
//! - **SH-13** Neither a shutdown nor the end of the stream closes the handle.
//! - **SH-14** Close with requests under way reports the connect, the writes in order, the shutdown, those who wait in
//!   [`drained`](crate::Tcp::drained), then itself. What was not over is [`Canceled`].
//! - **SH-15** A write that the kernel had taken before the close, and whose callback was still to come, is a success.
//! - **SH-16** A write of which the kernel had a part only is [`Canceled`].
//! - **SH-17** However many writes there are, each is reported once, as a success, a failure or cancelled.
//! - **SH-18** After [`close_reset`](crate::Tcp::close_reset) the peer's reads fail with
//!   [`ConnectionReset`](std::io::ErrorKind::ConnectionReset); the writes that it cut short call back before the close.
//! - **SH-19** It resets whether the stream was shut down or not. A shutdown that waits is [`Canceled`], before the close;
//!   one that was done is a success, and its peer reads the end that it was told before (libuv: refuses until the
//!   shutdown has called back, but who resets wants to be rid of what the shutdown waits for).
//! - **SH-20** It works although the socket was shut down directly on the descriptor.
//! - **SH-21** The handle may be closed in every callback of a stream.
//! - **SH-22** A stream closes its own descriptor and no other: one made of a duplicate of a standard descriptor leaves
//!   that one open.
//! - **SH-23** A reset of a handle without a socket closes it, and one of a closing handle ends with the close (libuv:
//!   refuses both; here one call ends a handle in whatever state).
//! - **SH-24** From the call of finish on, nobody who read so far gets data: the callback is dropped, who awaits gets
//!   [`Canceled`], though the queue may still take its time. Reading may begin again until the close.
//! - **SH-25** Closing by the futures-io traits succeeds on a connection that the peer has reset, unless something that was
//!   accepted for writing was lost: who reads or writes hears of the reset. [`shutdown`](crate::Tcp::shutdown) itself says
//!   what the system says, as libuv's.
//!
//! # TC: bind and connect
//!
//! - **TC-01** A new [`Tcp`] has no socket until it is bound, connects, listens or adopts one.
//! - **TC-03** [`bind`](crate::Tcp::bind) says that an address is in use, and another one can be tried (libuv: later
//!   calls say so, and the error sticks). After a bind that failed, for whatever reason, listen, connect and
//!   `accept_next` are refused with [`Misuse::NotBound`] until a bind succeeds: a program that ignores the error opens
//!   no port on other addresses. Where the system lets two sockets be bound alike, [`listen`](crate::Tcp::listen) says
//!   that the address is in use.
//! - **TC-04** An address that is not this machine's is [`AddrNotAvailable`](std::io::ErrorKind::AddrNotAvailable) from
//!   `bind`.
//! - **TC-05** A second bind is refused with [`Misuse::AlreadyBound`].
//! - **TC-06** A socket of one family takes no address of the other.
//! - **TC-07** The address can be used again at once when a server restarts.
//! - **TC-08** Listeners with [`set_reuse_port`](crate::Tcp::set_reuse_port) share a port, and the system spreads the
//!   connections; where it would not, bind fails with [`Unsupported`](std::io::ErrorKind::Unsupported).
//! - **TC-09** After binding to port 0, [`local_addr`](crate::Tcp::local_addr) tells the port.
//! - **TC-10** A refused connect is reported through its request, as
//!   [`ConnectionRefused`](std::io::ErrorKind::ConnectionRefused).
//! - **TC-11** After a connect that failed, was cancelled or ran out of time, the handle is open and without a socket:
//!   it may bind and connect again. If it had been bound, it has to be bound again first, and refuses with
//!   [`Misuse::NotBound`] until then (libuv: keeps the socket and its address).
//! - **TC-12** Over when the call returns are: a connect beside another one ([`Misuse::AlreadyConnecting`]), on a
//!   connected or listening handle ([`Misuse::AlreadyConnected`]), to something that is no address
//!   ([`Misuse::BadAddress`]; host names are not resolved), and one without a route.
//! - **TC-13** A connect calls back once.
//! - **TC-14** Close during a connect: the connect gets [`Canceled`], then the close ends.
//! - **TC-15** Writes behind a connect that fails are [`Canceled`], after it, in order.
//! - **TC-16** They are reported before the close, also if the connect's callback closes the handle.
//! - **TC-17** The unspecified address means this host.
//! - **TC-19** [`set_nodelay`](crate::Tcp::set_nodelay) and [`set_keepalive`](crate::Tcp::set_keepalive), called before
//!   there is a socket, are checked then and hold for the socket that comes (libuv: forgets the time and does not check
//!   it).
//! - **TC-20** Keep-alive with a time or an interval below a second, or a count of zero, is refused with
//!   [`Misuse::ZeroKeepAlive`]. Switching it off takes no parameters.
//! - **TC-21** [`is_readable`](crate::Tcp::is_readable) and [`is_writable`](crate::Tcp::is_writable) are false before
//!   the connect has ended (libuv: true from the call on, when nothing can go either way yet), true on accepted and
//!   adopted connections.
//! - **TC-22** An adopted connection can be used at once ([`open`](crate::Tcp::open)); an adopted bound socket can
//!   listen or connect ([`open_listener`](crate::Tcp::open_listener)).
//! - **TC-23** A handle with a socket refuses to adopt another one, with [`Misuse::HasSocket`]. What is refused comes
//!   back, open ([`Refused`](crate::Refused)). Adoption makes the socket non-blocking.
//! - **TC-24** Both addresses are refused with [`Misuse::NoSocket`] without a socket; the peer's of a socket without a
//!   connection is [`NotConnected`](std::io::ErrorKind::NotConnected), from the system.
//! - **TC-25** All of it holds for IPv6.
//! - **TC-26** [`connect_timeout`](crate::Tcp::connect_timeout) ends once, with
//!   [`TimedOut`](std::io::ErrorKind::TimedOut) if the time is over first; the socket is given back (libuv: has no such
//!   call). See TC-11.
//! - **TC-27** A socket that is bound to IPv6's "any" address serves IPv4, too, where the system can, unless
//!   [`set_only_v6`](crate::Tcp::set_only_v6) was called before; then IPv4 addresses are refused with
//!   [`Misuse::NotIpv6`].
//! - **TC-28** [`into_std`](crate::Tcp::into_std) and [`into_std_listener`](crate::Tcp::into_std_listener) hand the
//!   socket itself over, no duplicate, with what has arrived and was not read, and with those who wait to be accepted.
//!   The loop hears no more of it. The handle, all clones of it, is then closed, as by close; what waited for data or
//!   connections is [`Canceled`] (libuv: has no such call).
//! - **TC-29** Where something would be lost by that, it is refused, and the handle comes back as it was: with
//!   [`Misuse::AlreadyConnecting`] during a connect; with [`Misuse::UnderWay`] while writes or a shutdown wait, while a
//!   connection is announced and not accepted, and while the descriptor is lent.
//!
//! # LA: listen and accept
//!
//! - **LA-01** A handle that was never bound listens on a free port of all addresses. One whose bind failed, or whose
//!   address went with a connect that failed, does not listen: see TC-03.
//! - **LA-02** Listening again is refused with [`Misuse::AlreadyListening`]; the first callback and backlog stay
//!   (libuv: replaces them, and the first caller never learns of it).
//! - **LA-03** Each connection is announced once.
//! - **LA-04** In the callback the first [`accept`](crate::Tcp::accept) succeeds, and a second one is
//!   [`WouldBlock`](std::io::ErrorKind::WouldBlock).
//! - **LA-05** Until an announced connection is accepted, no other is announced; after that, the next one is. None is
//!   lost.
//! - **LA-06** Accepting may happen long after the callback.
//! - **LA-07** Closing a listener turns away the connection that was announced and those that wait; their clients see
//!   the end of the stream or a reset.
//! - **LA-08** Accept makes a new handle (libuv: takes one, which may have a socket already).
//! - **LA-09** An accepted handle is readable and writable, not reading, and so not active.
//! - **LA-10** The listener may be closed in its own callback; what it accepted lives on.
//! - **LA-11** When descriptors run out, waiting clients are accepted and closed at once, and the loop does not spin.
//!   The listen callback gets the error, once a burst (libuv: nobody hears of it); for
//!   [`accept_next`](crate::Tcp::accept_next) it is logged, since a server that ends with its first error would end. If
//!   even the spare descriptor is gone, the listener rests until a handle closes or 100 ms have passed.
//! - **LA-12** When descriptors are free again, accepting goes on by itself.
//! - **LA-13** A connection that was gone before it could be accepted is skipped. Where the system still hands it over,
//!   [`peer_addr`](crate::Tcp::peer_addr) may be an error already;
//!   [`accept_with_addr`](crate::Tcp::accept_with_addr) tells the address in any case.
//! - **LA-14** A burst is announced completely and in order, so many connections a turn (64;
//!   [`accepts_per_turn`](crate::Builder::accepts_per_turn)).
//! - **LA-15** A listener with a callback is active; unreferenced, it does not hold the loop. One without a callback
//!   ([`listen_only`](crate::Tcp::listen_only)) is not active, and lives as long as it is held.
//! - **LA-16** A listener refuses to connect, and a handle that is connected or connecting refuses to listen, with
//!   [`Misuse::AlreadyConnected`].
//! - **LA-17** What a listener accepts is on its own loop; accepting into another loop cannot be written down (libuv:
//!   aborts).
//! - **LA-18** A server and its client may live on one loop. Which of the two hears first is not said.
//! - **LA-19** A listener knows the connections that it accepted and that are open
//!   ([`connections`](crate::Tcp::connections)), without keeping them alive, also when it is closed: so a server can be
//!   closed with all that it serves (libuv: only `walk`, which cannot tell whose they are).
//! - **LA-20** What accept says of one connection (that it has gone, that its network has, that a firewall forbids it, …)
//!   is logged at debug and skipped, by `accept`, `accept_next` and a listen callback alike (libuv: the callback gets it,
//!   but for `ECONNABORTED`). After so many in a row as a turn accepts the listener rests, as without descriptors, which
//!   the callback hears once a burst; `accept_next` goes on waiting. It ends only with errors of the listener itself.
//!
//! # U: Unix-domain streams
//!
//! What stands under RD, WR, SH and LA holds for a [`Pipe`], too. Here is what is its own.
//!
//! - **U-01** A bind to a path makes a socket file there. It is removed when the handle closes, before the descriptor goes,
//!   and when the last clone is dropped; not if it has been replaced by another file (libuv: removes whatever is there).
//! - **U-02** A bind to a path where there is a file is [`AddrInUse`](std::io::ErrorKind::AddrInUse), at once, whether
//!   anybody listens there or not; `listen` is then refused with [`Misuse::NotBound`].
//! - **U-03** A bind in a directory that does not exist is [`NotFound`](std::io::ErrorKind::NotFound) (libuv: `EACCES`).
//! - **U-04** A second bind is refused with [`Misuse::AlreadyBound`], listening without a bind with [`Misuse::NotBound`], both
//!   on a closing handle with [`Misuse::Closing`].
//! - **U-05** Connecting to a name that does not exist is [`NotFound`](std::io::ErrorKind::NotFound); to a plain file, or one
//!   that a listener has left behind, [`ConnectionRefused`](std::io::ErrorKind::ConnectionRefused) (`ENOTSOCK` on some
//!   systems); to a listener whose backlog is full, [`WouldBlock`](std::io::ErrorKind::WouldBlock) on Linux. All of it
//!   through the request; the handle may connect again.
//! - **U-06** A path that is too long, or has a zero byte in it, is refused with [`Misuse::BadName`] (libuv: is cut, unless
//!   a flag says otherwise).
//! - **U-07** On Linux, a name may be abstract ([`SocketAddr`](std::os::unix::net::SocketAddr)): zero bytes in it count, no
//!   file appears, and it is free when the socket closes.
//! - **U-08** A bind to the empty name has Linux pick an abstract name of five hex digits. Connecting to the empty name is
//!   refused with [`Misuse::BadName`].
//! - **U-09** The name of a client that did not bind is unnamed, at both ends. Its peer's name is the listener's.
//! - **U-10** Of clients that are closed right after the call of connect, each request ends with [`Canceled`], and the server
//!   still sees each of them.
//! - **U-11** An adopted descriptor has the direction that it was opened for: the reading end of a pipe refuses writes with
//!   [`Misuse::ShutDown`], the writing end reads with [`Misuse::NotConnected`]. A shutdown of the writing end closes the
//!   descriptor, so that the reader sees the end (libuv: an error).
//! - **U-12** Who adopts a descriptor owns it: it is closed with the handle. One that is refused comes back:
//!   [`Misuse::NotAPipe`] for files, directories, terminals, datagram sockets and listeners (libuv: accepts some of them).
//! - **U-13** [`chmod`](crate::Pipe::chmod) sets the permissions of the socket file; it is refused without one with
//!   [`Misuse::NoFile`], after close with [`Misuse::Closing`], and for a mode that no file can have with
//!   [`Misuse::BadMode`].
//! - **U-14** Descriptors arrive with the first of the bytes that they were sent with. What one read brings is taken in the
//!   order of sending.
//! - **U-15** They are sent once, even if the bytes go out in parts, and are closed here then; so are those of a write that is
//!   cancelled or cut off by close.
//! - **U-16** What was received and not taken is closed with the handle. No more than 253 wait: what arrives beyond is closed,
//!   and so is what the process has no room for, which the log hears once (libuv: lets them wait without a bound).
//! - **U-17** Received descriptors are close-on-exec.
//! - **U-18** Passing over a stream that was not made for it is refused with [`Misuse::CannotPass`]; without data, or more than
//!   253 at a time, with [`Misuse::BadPassing`]. A closed descriptor cannot be passed, since what is passed is owned (libuv:
//!   `EBADF`).
//! - **U-19** A listener that was passed accepts in both processes; a connection that was passed is read and written by whoever
//!   has it.
//! - **U-20** Heavy traffic in both directions, with descriptors in it, comes to its end.
//! - **U-21** `Pipe::peer_cred` says which process, user and group are at the other end.
//!
//! # D: UDP
//!
//! `Udp` comes with the feature `udp`.
//!
//! - **D-01** The socket comes with the first `bind`, `connect`, send, `recv_start` or wait; all but `bind` take a free
//!   port of every interface, in the family of the address (IPv4 for a receive). After a bind that failed they are
//!   refused with [`Misuse::NotBound`] until one succeeds (libuv: they go ahead, and a program that ignored the
//!   failure can be reached by the world at another port).
//! - **D-02** `bind` reports errors at once. With `set_reuse_address` on both, two sockets may have one address. A
//!   handle with a socket, be it by its first send, is refused with [`Misuse::AlreadyBound`].
//! - **D-03** A second `recv_start`, or a wait beside a receiver, is refused with [`Misuse::AlreadyReceiving`]; the
//!   first one stays.
//! - **D-04** Options and memberships without a socket are refused with [`Misuse::NoSocket`] (libuv: joining a group
//!   binds to a port that nobody knows). What `bind` has to know (address and port reuse, IPv6 only) is refused once
//!   there is a socket.
//! - **D-05** A limit of hops is 1 to 255, for multicast 0 to 255; 0 otherwise is [`Misuse::ZeroHops`], more cannot be
//!   written down.
//! - **D-06** One call for each datagram, with the address of its sender. Bounds are kept: nothing is joined or split.
//! - **D-07** A datagram that is longer than [`read_chunk`](crate::Builder::read_chunk) is cut to it, and `truncated` is
//!   true; for one that just fits it is not. The default chunk has room for all.
//! - **D-08** An empty datagram is delivered, with its sender.
//! - **D-09** Nothing is called when a burst ends or there is nothing (libuv: a call without data and address, which
//!   every receiver has to tell from an empty datagram).
//! - **D-10** After `recv_stop` or close in the callback there are no more calls, though datagrams wait; a new
//!   `recv_start`, in the callback too, gets them.
//! - **D-11** The callback of a send never runs inside it. Datagrams leave, and their requests end, in the order of the
//!   sends.
//! - **D-12** What is too long for a datagram ends with the code EMSGSIZE: the request, or the try.
//! - **D-13** `try_send` and its like are [`WouldBlock`](std::io::ErrorKind::WouldBlock) while something is queued or
//!   there is no room, and queue nothing. (libuv: also while a send that is over has not called back.)
//! - **D-14** `send_queue_size` and `send_queue_count` say what is accepted and not with the kernel, and return to zero.
//! - **D-15** At close, sends that are with the kernel report their success, the others [`Canceled`], in order and
//!   before the close callback.
//! - **D-16** A datagram that fails does not stop those behind it.
//! - **D-17** On a socket with a peer, a send to an address and a connect are refused with [`Misuse::HasPeer`]. Without
//!   one, a send without address is [`Misuse::NoDestination`], `disconnect` and `peer_addr` are [`Misuse::NoPeer`].
//!   After `disconnect` the port is the same (libuv: Linux may take it away), and it can be connected again. Port 0 and
//!   an address of the other family are refused by name, [`Misuse::ZeroPort`] and [`Misuse::WrongFamily`].
//! - **D-18** That nobody is at the peer's address shows as
//!   [`ConnectionRefused`](std::io::ErrorKind::ConnectionRefused), once, in a later send or receive of a connected
//!   socket. Nothing stops by that: the receiver goes on receiving.
//! - **D-19** An error that comes while nobody receives does not make the loop spin; the next send or receive reports
//!   it. The ICMP messages themselves are not asked for (libuv: `UV_UDP_LINUX_RECVERR`).
//! - **D-20** The handle may be closed over an error, in the callback.
//! - **D-21** A thousand sends one after the other to nowhere do not hold the loop.
//! - **D-22** A turn delivers what waits, up to [`reads_per_turn`](crate::Builder::reads_per_turn) datagrams a socket,
//!   and no more if an event comes meanwhile. The rest follows in the next turns without one.
//! - **D-23** Many sockets on one port that are closed with events pending: each send and each close calls back once,
//!   nothing else does.
//! - **D-24** A socket bound to every IPv6 interface also takes part in IPv4, unless `set_only_v6` said otherwise.
//! - **D-25** What is sent to a group reaches its members on the same host, unless the sender's `set_multicast_loop`
//!   said otherwise, until they leave. What is no group, and an interface named in the way of the other family, are
//!   refused by name, [`Misuse::NotMulticast`] and [`Misuse::BadInterface`]; one that there is not is the system's
//!   error. Choosing a source is for IPv4 only, [`Unsupported`](std::io::ErrorKind::Unsupported) otherwise (libuv: for
//!   both).
//! - **D-26** `open` adopts a socket of std, bound, connected or neither; its peer is known. A handle that has one
//!   refuses with [`Misuse::HasSocket`] and closes the other. Nothing else is changed about it (libuv: sets address
//!   reuse).
//! - **D-27** The unfinished send of an unreferenced handle is finished before the run ends.
//! - **D-28** `try_send_many` says how many datagrams went out, the first ones; it is an error only if the first failed.
//! - **D-29** A queued datagram can be [cancelled](crate::Request::cancel) until the kernel has it. Dropping its request
//!   does not cancel it.
//! - **D-30** `recv_once` and `recv_with` wait for one datagram, for one task at a time; dropping the wait loses
//!   nothing.
//! - **D-31** With the feature `udp-offload`, on Linux, a socket that asked for it by `enable_offload` gets datagrams of
//!   one sender and one length joined in one call, where the system has joined them; `segments` takes them apart as they
//!   were sent. `try_send_segments` sends whole datagrams, says how many bytes they carried, and works without offload,
//!   too. Whether datagrams may be fragmented stays as it was. Without asking, nothing changes (libuv: has no offload).
//!
//! # P: any descriptor
//!
//! - **P-01** While there is any of what is wanted, the callback comes in each turn, once (on kqueue once for reading and
//!   once for writing), whether it does something about it or not: by level, though the selector is asked by edge. Like an
//!   idle handle, a descriptor that stays ready lets a virtual clock stand still.
//! - **P-02** Only what is wanted is told. What nobody wants (data beside an interest in the end, a hang-up beside one in
//!   room to write) does not have the loop spin either. (libuv: may tell of a disconnect that nobody asked for.)
//! - **P-03** [`start`](crate::Poll::start) on a started handle replaces interest and callback, and loses no readiness. A
//!   start that fails changes nothing.
//! - **P-04** [`stop`](crate::Poll::stop) and close drop an event that was fetched already, and it does not reach a later
//!   start either.
//! - **P-05** An empty [`Interest`] is a stop.
//! - **P-06** A descriptor is owned by one handle, so that no two can have the same one (libuv: EEXIST, at the second
//!   start). Of duplicates each has its own events.
//! - **P-07** Plain files, directories and what else the system cannot poll are refused when the handle is made, with
//!   [`Misuse::NotPollable`], and come back with the error.
//! - **P-08** The descriptor is made non-blocking, and is the handle's: closed by close, by the drop of the last clone of
//!   an inactive handle, and with the loop; while it is lent, when the loan ends. (libuv: the program's. Here a
//!   registration could outlive its descriptor then.)
//! - **P-09** A new descriptor with the number of one that was closed or given back gets none of its events.
//! - **P-10** An error of the descriptor is told as all that is wanted, and the program meets it where it reads or writes
//!   (libuv: `EBADF`, whatever it was, and the handle is stopped). The callback gets an error only if the selector cannot
//!   watch the descriptor any longer: as its last call.
//! - **P-11** [`DISCONNECT`](crate::Interest::DISCONNECT) tells that the other end has closed, or writes no more, also while
//!   data is unread. Seen, it can be left out of the interest.
//! - **P-12** [`PRIORITIZED`](crate::Interest::PRIORITIZED) tells of urgent data, apart from other data (Linux).
//! - **P-13** A handle is active from a start to the stop, and then says in
//!   [`alive_because`](crate::LoopHandle::alive_because) what it waits for, on which descriptor.
//! - **P-14** A descriptor of epoll can be watched, such as that of another loop; a loop cannot watch itself.
//! - **P-15** However many handles are started and closed at once, each close calls back, and nothing else.
//! - **P-16** [`readable`](crate::Poll::readable), [`writable`](crate::Poll::writable) and [`ready`](crate::Poll::ready)
//!   await the same: what was there before, too, and as often as they are awaited. A wait uses nothing up. All tasks that
//!   wait for what there is hear of it. Beside a callback they are refused with [`Misuse::HasCallback`].
//! - **P-17** [`into_fd`](crate::Poll::into_fd) gives the descriptor back and closes the handle; not while it is lent
//!   (libuv: it never was the handle's).
//!
//! # SG: signals
//!
//! `Signal` comes with the feature `signal`.
//!
//! - **SG-01** Every active handle for a signal gets a call for each delivery that the process caught.
//! - **SG-02** Deliveries are counted, not merged, however many wait: ten raises, ten calls (libuv: some 4,000 wait at
//!   most). What the kernel merges was lost before. Elsewhere than on Linux, or where the size of files is limited, as
//!   many can wait as a pipe has bytes.
//! - **SG-03** Handles in several loops and threads all get it, each on its own loop.
//! - **SG-04** A one-shot handle gets one call, and is inactive in it, though more have arrived. Its callback is dropped
//!   when it returns. Others are not affected.
//! - **SG-05** Repeating and one-shot handles for one signal come and go without disturbing each other.
//! - **SG-06** A handle that another one's callback stops, for the same delivery, is not called.
//! - **SG-07** Stopping drops the deliveries that were caught and not reported yet.
//! - **SG-08** Starting a handle that watches with another number moves it to that signal; with the same number only the
//!   callback changes, and no delivery is lost, from whatever kind of start to whatever other.
//! - **SG-09** A number that is no signal, SIGKILL and SIGSTOP are refused with [`Misuse::BadSignal`]; SIGILL, SIGFPE
//!   and SIGSEGV too, since no callback can serve them (libuv: accepts those).
//! - **SG-10** Close with deliveries waiting: none is reported, and the close ends.
//! - **SG-11** When the last handle for a signal goes, its default action is back; a signal that was ignored before the
//!   first came is ignored again (libuv: gets the default action). Handlers that others installed before are called
//!   throughout; then no default action comes back.
//! - **SG-12** An unreferenced handle does not hold the loop.
//! - **SG-13** A stopped handle can be started again.
//! - **SG-14** The callbacks run on the loop's thread, never in the context of the signal.
//! - **SG-15** The handles of a loop for one signal are called in the order of their starts (libuv: by their addresses,
//!   those that repeat first).
//!
//! # Z: awaiting
//!
//! libuv has nothing of this; where luv's way of doing it by coroutines differs, that is said.
//!
//! - **Z-01** If the operation fails at once, so does the future.
//! - **Z-02** What is over before the first poll of the future is kept for it.
//! - **Z-03** Between two awaited reads nothing is read: nothing goes elsewhere, nothing is lost, the next await goes
//!   on.
//! - **Z-04** The end of the stream is a value, no error, and comes again if it is awaited again.
//! - **Z-05** Closing a handle ends every future that waits on it with [`Canceled`], and so ends one that begins to
//!   wait afterwards, for data, a datagram, a connection, a send, a delivery or a descriptor: a loop around an await ends
//!   with the same error, whenever the close comes. Dropping the loop does the same.
//! - **Z-06** Dropping a future cancels what can be cancelled without harm (a wait, a read, a sleep, an awaited
//!   connect) and lets a write or a shutdown go on. The handle stays usable.
//! - **Z-07** A sleep gives its timer back when it ends, is dropped, or its loop is.
//! - **Z-08** A task is never polled inside [`spawn`] or [`go`], but at the next point where tasks run: in the same
//!   turn if an I/O callback spawned it (luv: runs it at once).
//! - **Z-09** Tasks that are woken in a turn run in it or in the next. One that wakes itself for ever, or whose reads
//!   and writes are always ready, does not starve timers or I/O: a turn polls so many tasks (256;
//!   [`tasks_per_turn`](crate::Builder::tasks_per_turn)), and one poll may find 128 operations ready, the parts of a task
//!   that have wakers of their own included. An executor that holds the thread inside a task gets on all the same, a
//!   waker without anything behind it is never told to wait, and [`unconstrained`] lifts the limit for one future. (But a virtual
//!   clock stands still while a task is ready.)
//! - **Z-10** Wakers may be used and dropped in other threads. Waking a task that has ended does nothing.
//! - **Z-11** A task keeps the loop running until it ends, whether its [`JoinHandle`] is held or dropped, unless it was
//!   [unreferenced](crate::JoinHandle::unref).
//! - **Z-12** A panic of a task reaches its [`JoinHandle`], and the other tasks go on (luv: prints it). If nobody
//!   joins, it is logged, as is an error that a task of [`go`] returns.
//! - **Z-13** If two tasks await data of one stream, the second gets [`Misuse::AlreadyReading`], not the data of the
//!   first. Any number may await connections of a listener or sends of a notifier: each one that comes is for the task
//!   that has waited longest, which alone is woken; if its wait is dropped instead, it is for the next one.
//! - **Z-14** [`block_on`](crate::Loop::block_on) inside a callback or a task of the same loop is refused with
//!   [`Misuse::NestedRun`].
//! - **Z-15** Several may wait for the same by the futures-io traits: all of them are woken, and those who find nothing wait
//!   again. (Who of them gets which part of the data is not said.)
//!
//! # Y: terminals and standard streams
//!
//! With the feature `tty`. What holds for all streams stands under RD, WR and SH.
//!
//! - **Y-01** [`Tty::new`] takes a terminal, and the master of a pseudo-terminal; anything else is refused with
//!   [`Misuse::NotATerminal`] (libuv: `EINVAL` for a file; a pipe or a socket becomes a `uv_tty_t`). It is a handle and a
//!   stream like the others.
//! - **Y-02** A terminal is opened a second time, so that what the program and others have of it does not become
//!   non-blocking. If that cannot be, each call asks first whether it would wait (libuv: writes block). A master is used as
//!   it is, and becomes non-blocking for all who have it.
//! - **Y-03** Bytes go the ways for which the descriptor was opened.
//! - **Y-04** In [`TtyMode::Normal`] a read brings one line, however many wait; those behind it come without another
//!   event.
//! - **Y-05** Ctrl-D at the beginning of a line is told as the end. Reading may be started again.
//! - **Y-06** [`shutdown`](crate::Tty::shutdown) waits for what is queued, succeeds, and the terminal hears nothing of it
//!   (libuv: `ENOTSOCK`).
//! - **Y-07** [`set_mode`](crate::Tty::set_mode) acts at once and loses nothing that was typed or written (libuv: waits
//!   until all is written, which may be for ever). [`TtyMode::Raw`] brings each key as it is typed and echoes nothing, Ctrl-C
//!   is a byte; [`TtyMode::Io`] changes nothing of what is written either.
//! - **Y-08** The mode is put back when the handle that set it is closed, when its last clone is dropped, and when its loop
//!   is, also by a panic (libuv: only by a call). A process in the background leaves the mode alone: it is that of
//!   others.
//! - **Y-09** Of several handles for one terminal, whatever they opened it by, the last call counts. What a handle had asked
//!   for goes with it, in whatever order they go; the last one leaves the mode that was there before the first (libuv:
//!   each puts back what it had found, so that the terminal may stay raw).
//! - **Y-10** [`Tty::reset_mode`](crate::Tty::reset_mode) puts back the mode of every terminal, from any thread. Handles
//!   that go later change nothing, unless they set a mode again. (libuv: only of the terminal whose mode was set first.)
//! - **Y-11** [`winsize`](crate::Tty::winsize) says columns, then rows, as of now. A change is told by a signal:
//!   `Signal::WINCH`.
//! - **Y-12** A terminal that goes away is told once: as the end, or, if something that was written is lost, as an error.
//!   Then writes fail with `EIO`. (A master hears `EIO` when the last user of the other end has gone.)
//! - **Y-13** [`stdin`](crate::stdin()), [`stdout`](crate::stdout()) and [`stderr`](crate::stderr()) are streams of the loop
//!   whatever they are: a terminal, a pipe, a socket, a file, a device. None becomes non-blocking for those who share it
//!   (libuv: pipes and sockets do, and the program picks the handle).
//! - **Y-14** A file is always ready: a turn reads a part of it, as of every stream, and a write is over at once. No thread
//!   is started (libuv: no stream at all; its file calls use the pool).
//! - **Y-15** What the process was started without is the null device, which std opens: reading ends at once, and what is
//!   written is gone.
//! - **Y-16** Input cannot be written ([`Misuse::ShutDown`]), nor output be read ([`Misuse::NotConnected`]), also if it is a
//!   terminal.
//! - **Y-17** Close, [`finish`](crate::Stdio::finish) and [`shutdown`](crate::Stdio::shutdown) end the handle. The process's
//!   own descriptor stays open, and so the reader of a pipe sees no end before the process ends (libuv: closes it).
//! - **Y-18** All that was written is with the system before [`run`](crate::Loop::run) returns, also if nobody holds the
//!   handle. When nobody reads it any more, writes fail with [`BrokenPipe`](std::io::ErrorKind::BrokenPipe).
//! - **Y-19** [`guess_handle`](crate::guess_handle()) says which kind of handle serves a descriptor.
//!
//! # Not applicable
//!
//! - L-38: there is no counter of turns. (A run whose only timer fires before the first turn has no turn.)
//! - L-39: idle time is not measured.
//! - TC-02: there is no family to name: the address says it.
//! - TC-18: the scope of a link-local IPv6 address is the caller's to give, in its
//!   [`SocketAddrV6`](std::net::SocketAddrV6).
//!
//! [`Canceled`]: crate::Canceled
//! [`Check`]: crate::Check
//! [`Idle`]: crate::Idle
//! [`Interest`]: crate::Interest
//! [`JoinHandle`]: crate::JoinHandle
//! [`LoopHandle`]: crate::LoopHandle
//! [`Misuse`]: crate::Misuse
//! [`Misuse::AlreadyBound`]: crate::Misuse::AlreadyBound
//! [`Misuse::AlreadyConnected`]: crate::Misuse::AlreadyConnected
//! [`Misuse::AlreadyConnecting`]: crate::Misuse::AlreadyConnecting
//! [`Misuse::AlreadyListening`]: crate::Misuse::AlreadyListening
//! [`Misuse::AlreadyReading`]: crate::Misuse::AlreadyReading
//! [`Misuse::AlreadyReceiving`]: crate::Misuse::AlreadyReceiving
//! [`Misuse::BadAddress`]: crate::Misuse::BadAddress
//! [`Misuse::BadMode`]: crate::Misuse::BadMode
//! [`Misuse::BadName`]: crate::Misuse::BadName
//! [`Misuse::BadPassing`]: crate::Misuse::BadPassing
//! [`Misuse::BadInterface`]: crate::Misuse::BadInterface
//! [`Misuse::BadSignal`]: crate::Misuse::BadSignal
//! [`Misuse::Busy`]: crate::Misuse::Busy
//! [`Misuse::CannotPass`]: crate::Misuse::CannotPass
//! [`Misuse::Closing`]: crate::Misuse::Closing
//! [`Misuse::HasCallback`]: crate::Misuse::HasCallback
//! [`Misuse::HasPeer`]: crate::Misuse::HasPeer
//! [`Misuse::HasSocket`]: crate::Misuse::HasSocket
//! [`Misuse::Listening`]: crate::Misuse::Listening
//! [`Misuse::LoopGone`]: crate::Misuse::LoopGone
//! [`Misuse::NestedRun`]: crate::Misuse::NestedRun
//! [`Misuse::NeverStarted`]: crate::Misuse::NeverStarted
//! [`Misuse::NoBuffers`]: crate::Misuse::NoBuffers
//! [`Misuse::NoFile`]: crate::Misuse::NoFile
//! [`Misuse::NoDestination`]: crate::Misuse::NoDestination
//! [`Misuse::NoPeer`]: crate::Misuse::NoPeer
//! [`Misuse::NoSocket`]: crate::Misuse::NoSocket
//! [`Misuse::NotAPipe`]: crate::Misuse::NotAPipe
//! [`Misuse::NotATerminal`]: crate::Misuse::NotATerminal
//! [`Misuse::NotBound`]: crate::Misuse::NotBound
//! [`Misuse::NotConnected`]: crate::Misuse::NotConnected
//! [`Misuse::NotIpv6`]: crate::Misuse::NotIpv6
//! [`Misuse::NotMulticast`]: crate::Misuse::NotMulticast
//! [`Misuse::NotPollable`]: crate::Misuse::NotPollable
//! [`Misuse::ShutDown`]: crate::Misuse::ShutDown
//! [`Misuse::UnderWay`]: crate::Misuse::UnderWay
//! [`Misuse::WrongFamily`]: crate::Misuse::WrongFamily
//! [`Misuse::ZeroHops`]: crate::Misuse::ZeroHops
//! [`Misuse::ZeroKeepAlive`]: crate::Misuse::ZeroKeepAlive
//! [`Misuse::ZeroPort`]: crate::Misuse::ZeroPort
//! [`Notifier`]: crate::Notifier
//! [`NotifierSender`]: crate::NotifierSender
//! [`Pipe`]: crate::Pipe
//! [`Prepare`]: crate::Prepare
//! [`Request`]: crate::Request
//! [`RunMode::NoWait`]: crate::RunMode::NoWait
//! [`RunMode::Once`]: crate::RunMode::Once
//! [`Tcp`]: crate::Tcp
//! [`Timer`]: crate::Timer
//! [`Tty::new`]: crate::Tty::new
//! [`TtyMode::Io`]: crate::TtyMode::Io
//! [`TtyMode::Normal`]: crate::TtyMode::Normal
//! [`TtyMode::Raw`]: crate::TtyMode::Raw
//! [`go`]: crate::go()
//! [`interval`]: crate::interval()
//! [`io::Error`]: std::io::Error
//! [`sleep`]: crate::sleep()
//! [`spawn`]: crate::spawn()
//! [`timeout`]: crate::timeout()
//! [`unconstrained`]: crate::unconstrained()

// What a feature brings is a link only where it is there.
#![cfg_attr(not(feature = "tty"), allow(rustdoc::broken_intra_doc_links))]
