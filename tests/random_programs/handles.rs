//! What is done to timers, hooks, notifiers, signals, and to handles of any kind.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "signal")]
use luvio::Signal;
#[cfg(feature = "udp")]
use luvio::Udp;
use luvio::{Check, Idle, Notifier, Prepare, Tcp, Timer};

use super::given::Holder;
use super::perform::{handle, micros};
use super::program::{CHECK, Code, IDLE, ME, NOTIFIER, PREPARE, SIGNAL, TCPS, TIMER};
use super::world::{It, Item, api, check_gone, event, fail_unless, get, is_gone, put, script};

pub fn make(h: u8, l: u8, code: Code, bare: bool) {
    let event_loop = handle(l);
    let was_gone = is_gone(l);
    let it = match h {
        0..TCPS => It::Tcp(api(|| Tcp::new(&event_loop)), Rc::default()),
        TIMER..IDLE => It::Timer(api(|| Timer::new(&event_loop)), Rc::default()),
        IDLE => It::Idle(api(|| Idle::new(&event_loop))),
        PREPARE => It::Prepare(api(|| Prepare::new(&event_loop))),
        CHECK => It::Check(api(|| Check::new(&event_loop))),
        NOTIFIER..SIGNAL => {
            let made = if bare {
                api(|| Notifier::wake_only(&event_loop))
            } else {
                let holder = Holder::new("a notifier's callback", l, false, code, None);
                api(|| {
                    Notifier::new(&event_loop, move |notifier| {
                        event("a notifier's callback", l, notifier, &holder);
                        script(code.body, Some(Item { l, it: It::Notifier(notifier.clone()) }));
                    })
                })
            };
            match made {
                Ok(notifier) => It::Notifier(notifier),
                Err(_) => return,
            }
        }
        #[cfg(feature = "signal")]
        SIGNAL..super::program::UDP => It::Signal(api(|| Signal::new(&event_loop))),
        #[cfg(feature = "udp")]
        super::program::UDP.. => It::Udp(api(|| Udp::new(&event_loop)), Rc::default()),
        #[allow(unreachable_patterns)] // with all features
        _ => return,
    };
    let item = Item { l, it };
    fail_unless(item.handle().is_closing() == was_gone, || {
        "a new handle is closing exactly if its loop is gone".into()
    });
    put(h, Some(item));
}

pub fn ask(h: u8) {
    let Some(item) = get(h) else { return };
    let shown = item.handle();
    api(|| {
        let _ = (shown.kind(), shown.has_ref(), format!("{shown:p} {:?}", shown.event_loop()));
        let active = shown.is_active();
        fail_unless(!(active && shown.is_closing()), || "active and closing (H-02)".into());
        match &item.it {
            It::Tcp(tcp, _) => {
                let _ =
                    (tcp.local_addr(), tcp.peer_addr(), tcp.write_queue_size(), tcp.needs_drain());
                let _ = (tcp.is_readable(), tcp.is_writable(), tcp.fileno());
            }
            It::Timer(timer, _) => drop((timer.due_in(), timer.repeat())),
            #[cfg(feature = "udp")]
            It::Udp(udp, _) => {
                let _ = (udp.local_addr(), udp.peer_addr(), udp.fileno());
                let _ = (udp.send_queue_size(), udp.send_queue_count());
            }
            _ => {}
        }
        let _ = (handle(item.l).backend_timeout(), handle(item.l).now());
    });
}

pub fn stop(h: u8) {
    let Some(item) = get(h) else { return };
    api(|| match &item.it {
        It::Tcp(tcp, _) => tcp.read_stop(),
        It::Timer(timer, _) => timer.stop(),
        It::Idle(idle) => idle.stop(),
        It::Prepare(prepare) => prepare.stop(),
        It::Check(check) => check.stop(),
        It::Notifier(_) => {}
        #[cfg(feature = "signal")]
        It::Signal(signal) => signal.stop(),
        #[cfg(feature = "udp")]
        It::Udp(udp, _) => udp.recv_stop(),
    });
}

fn expired(l: u8, timer: &Timer, due: &Rc<Cell<Duration>>, holder: &Holder, body: u8) {
    event("a timer's callback", l, timer, holder);
    let now = handle(l).now();
    fail_unless(now >= due.get(), || {
        format!("a timer due at {:?} was called at {now:?} (T-01)", due.get())
    });
    // What it waits for now, if it repeats.
    due.set(now + timer.repeat());
    script(body, Some(Item { l, it: It::Timer(timer.clone(), Rc::clone(due)) }));
}

pub fn start_timer(h: u8, delay: u32, repeat: u32, code: Code) {
    let Some(item) = get(h) else { return };
    let (l, It::Timer(timer, due)) = (item.l, &item.it) else { return };
    let holder = Holder::new("a timer's callback", l, false, code, Some(&item));
    let was_gone = is_gone(l);
    let own = Rc::clone(due);
    let outer = due.replace(handle(l).now() + micros(delay));
    let started = api(|| {
        timer.start(micros(delay), micros(repeat), move |timer| {
            expired(l, timer, &own, &holder, code.body);
        })
    });
    if started.is_err() {
        due.set(outer);
    }
    check_gone("a timer's start", was_gone, &started);
}

pub fn after(h: u8, l: u8, delay: u32, code: Code) {
    let holder = Holder::new("a timer's only callback", l, true, code, None);
    let due = Rc::new(Cell::new(handle(l).now() + micros(delay)));
    let own = Rc::clone(&due);
    let event_loop = handle(l);
    let timer = api(|| {
        Timer::after(&event_loop, micros(delay), move |timer| {
            expired(l, timer, &own, &holder, code.body);
        })
    });
    if h != ME {
        put(h, Some(Item { l, it: It::Timer(timer, due) }));
    }
}

pub fn start_hook(h: u8, code: Code) {
    let Some(item) = get(h) else { return };
    let l = item.l;
    let was_gone = is_gone(l);
    let holder = Holder::new("a hook's callback", l, false, code, Some(&item));
    let started = match &item.it {
        It::Idle(idle) => api(|| {
            idle.start(move |idle| {
                event("an idle callback", l, idle, &holder);
                script(code.body, Some(Item { l, it: It::Idle(idle.clone()) }));
            })
        }),
        It::Prepare(prepare) => api(|| {
            prepare.start(move |prepare| {
                event("a prepare callback", l, prepare, &holder);
                script(code.body, Some(Item { l, it: It::Prepare(prepare.clone()) }));
            })
        }),
        It::Check(check) => api(|| {
            check.start(move |check| {
                event("a check callback", l, check, &holder);
                script(code.body, Some(Item { l, it: It::Check(check.clone()) }));
            })
        }),
        _ => return,
    };
    check_gone("a hook's start", was_gone, &started);
}

#[cfg(feature = "signal")]
pub fn start_signal(h: u8, second: bool, once: bool, only: bool, code: Code) {
    let Some(item) = get(h) else { return };
    let (l, It::Signal(signal)) = (item.l, &item.it) else { return };
    let signum = if second { libc::SIGUSR2 } else { libc::SIGUSR1 };
    let was_gone = is_gone(l);
    let started = if only {
        api(|| signal.start_only(signum))
    } else {
        let holder = Holder::new("a signal's callback", l, false, code, Some(&item));
        let callback = move |signal: &Signal, caught: i32| {
            event("a signal's callback", l, signal, &holder);
            fail_unless(caught == signum, || "a signal's callback got another signal".into());
            fail_unless(signal.is_active() != once, || {
                "a one-shot is active in its callback".into()
            });
            script(code.body, Some(Item { l, it: It::Signal(signal.clone()) }));
        };
        match once {
            true => api(|| signal.start_oneshot(signum, callback)),
            false => api(|| signal.start(signum, callback)),
        }
    };
    check_gone("a signal's start", was_gone, &started);
}

#[cfg(not(feature = "signal"))]
pub fn start_signal(_: u8, _: bool, _: bool, _: bool, _: Code) {}

#[cfg(feature = "signal")]
pub fn raise(second: bool) {
    let signum = if second { libc::SIGUSR2 } else { libc::SIGUSR1 };
    signal_hook::low_level::raise(signum).expect("it can be raised");
}

#[cfg(not(feature = "signal"))]
pub fn raise(_: bool) {}
