//! The signals by name, so that nobody has to write their numbers, which differ from system to system.

use super::Signal;

/// From one table: a constant for each signal, and the way back from its number.
macro_rules! signals {
    ($(
        $(#[doc = $doc:literal])+
        $(#[cfg($($condition:tt)+)])?
        $name:ident = $number:ident;
    )+) => {
        /// The signals that can be watched. SIGKILL and SIGSTOP are not among them, since no program can catch them, nor
        /// are SIGILL, SIGFPE and SIGSEGV, which no callback can serve.
        impl Signal {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nlibuv: `", stringify!($number), "`")]
                $(#[cfg($($condition)+)])?
                pub const $name: i32 = libc::$number;
            )+

            /// The system's name of a signal, such as `"SIGINT"`, for messages. `None` for a number that has no constant
            /// here, such as that of a real-time signal.
            ///
            /// ```
            /// use luvio::Signal;
            ///
            /// assert_eq!(Signal::name_of(Signal::TERM), Some("SIGTERM"));
            /// assert_eq!(Signal::name_of(0), None);
            /// ```
            pub fn name_of(signum: i32) -> Option<&'static str> {
                match signum {
                    $($(#[cfg($($condition)+)])? libc::$number => Some(stringify!($number)),)+
                    _ => None,
                }
            }
        }
    };
}

signals! {
    /// The terminal was closed. For a server by custom: read the configuration again. Ends the process by default; is
    /// ignored under `nohup`.
    HUP = SIGHUP;
    /// Ctrl-C was pressed. Ends the process by default.
    INT = SIGINT;
    /// Ctrl-\ was pressed. Ends the process with a core dump by default.
    QUIT = SIGQUIT;
    /// A breakpoint was reached. Ends the process with a core dump by default.
    TRAP = SIGTRAP;
    /// The process called `abort`, which ends it whatever a callback does. Ends the process with a core dump by default.
    ABRT = SIGABRT;
    /// An access to memory that has gone, such as the rest of a mapped file. Ends the process with a core dump by default.
    BUS = SIGBUS;
    /// For the program's own use. Ends the process by default.
    USR1 = SIGUSR1;
    /// For the program's own use. Ends the process by default.
    USR2 = SIGUSR2;
    /// A write to a pipe or socket that nobody reads any more. Ends the process by default, but Rust's standard library has
    /// it ignored.
    PIPE = SIGPIPE;
    /// The time that was given to `alarm` has passed. Ends the process by default.
    ALRM = SIGALRM;
    /// Please end: what `kill` and service managers send. Ends the process by default.
    TERM = SIGTERM;
    /// A fault of the coprocessor's stack, which Linux never sends. Ends the process by default.
    #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(any(
            target_arch = "mips",
            target_arch = "mips32r6",
            target_arch = "mips64",
            target_arch = "mips64r6",
            target_arch = "sparc",
            target_arch = "sparc64",
        )),
    ))]
    STKFLT = SIGSTKFLT;
    /// A child process has ended or was stopped; the kernel merges those that come at the same time. Does nothing by
    /// default.
    CHLD = SIGCHLD;
    /// The process, which was stopped, goes on. Does nothing else by default.
    CONT = SIGCONT;
    /// Ctrl-Z was pressed. Stops the process by default.
    TSTP = SIGTSTP;
    /// The process read from its terminal in the background. Stops the process by default.
    TTIN = SIGTTIN;
    /// The process wrote to its terminal in the background. Stops the process by default.
    TTOU = SIGTTOU;
    /// Urgent data has come to a socket. Does nothing by default.
    URG = SIGURG;
    /// The process has used the processor longer than it may. Ends the process with a core dump by default.
    XCPU = SIGXCPU;
    /// The process made a file larger than it may. Ends the process with a core dump by default.
    XFSZ = SIGXFSZ;
    /// A timer of the process's own processor time has ended. Ends the process by default.
    VTALRM = SIGVTALRM;
    /// A timer for profiling has ended. Ends the process by default.
    PROF = SIGPROF;
    /// The terminal has another size. Does nothing by default.
    WINCH = SIGWINCH;
    /// A descriptor is ready for input or output; on Linux also called SIGPOLL. Ends the process by default on Linux, does
    /// nothing elsewhere.
    IO = SIGIO;
    /// The power fails. Ends the process by default.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    PWR = SIGPWR;
    /// A system call that does not exist or is forbidden. Ends the process with a core dump by default.
    SYS = SIGSYS;
    /// An instruction that has to be emulated. Ends the process with a core dump by default.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    EMT = SIGEMT;
    /// Ctrl-T was pressed: say how far you are. Does nothing by default.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ))]
    INFO = SIGINFO;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signal_that_can_be_watched_has_its_name() {
        let forbidden = signal_hook::consts::FORBIDDEN;
        let named = (1..32).filter(|&signum| Signal::name_of(signum).is_some()).count();
        // On Linux, each of the first 31.
        assert_eq!(named, if cfg!(target_os = "linux") { 31 - forbidden.len() } else { named });
        for signum in 1..32 {
            assert_ne!(Signal::name_of(signum).is_some(), forbidden.contains(&signum), "{signum}");
        }
    }
}
