//! The program's code in the places where it runs without having been called: destructors, wakers, panic payloads.

#![allow(unsafe_code)] // a waker whose clone can be watched cannot be written without
#![allow(dead_code)] // each test binary uses a part of it

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What happens in such a place, once.
pub type Deed = Box<dyn FnOnce()>;

/// Does something when it is dropped.
pub struct OnDrop(Option<Deed>);

impl OnDrop {
    pub fn new(deed: impl FnOnce() + 'static) -> OnDrop {
        OnDrop(Some(Box::new(deed)))
    }

    /// Has a `move` closure capture it.
    pub fn keep(&self) {}
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(deed) = self.0.take() {
            deed();
        }
    }
}

/// The payload of a panic that panics when it is dropped.
pub struct ExplosivePayload;

impl Drop for ExplosivePayload {
    fn drop(&mut self) {
        panic!("the payload panics on purpose");
    }
}

/// Runs `f`, and says whether it panicked. The payload is dropped, whatever it is.
pub fn panics(f: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { return false };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    true
}

/// A waker that is not the loop's, and what it does. For one thread.
#[derive(Default)]
pub struct ForeignWaker {
    on_clone: RefCell<Option<Deed>>,
    on_wake: RefCell<Option<Deed>>,
    on_drop: RefCell<Option<Deed>>,
    wakes: Cell<usize>,
}

impl ForeignWaker {
    pub fn new() -> Rc<ForeignWaker> {
        Rc::default()
    }

    /// Has the next clone, wake or drop of a clone do something, before it is one.
    pub fn on_clone(&self, deed: impl FnOnce() + 'static) {
        self.on_clone.replace(Some(Box::new(deed)));
    }

    pub fn on_wake(&self, deed: impl FnOnce() + 'static) {
        self.on_wake.replace(Some(Box::new(deed)));
    }

    pub fn on_drop(&self, deed: impl FnOnce() + 'static) {
        self.on_drop.replace(Some(Box::new(deed)));
    }

    /// How often it was woken, also if that panicked.
    pub fn wakes(&self) -> usize {
        self.wakes.get()
    }

    /// How many clones there are.
    pub fn clones(self: &Rc<Self>) -> usize {
        Rc::strong_count(self) - 1
    }

    /// One that does nothing when it is dropped.
    pub fn waker(self: &Rc<Self>) -> ManuallyDropWaker {
        // SAFETY: the functions of the table keep the contract of `RawWaker`, but for other threads, to which no test of
        // this kind takes a waker: a loop stays on its thread.
        ManuallyDropWaker(
            Rc::clone(self),
            ManuallyDrop::new(unsafe { Waker::from_raw(raw(Rc::clone(self))) }),
        )
    }

    fn act(deed: &RefCell<Option<Deed>>) {
        let deed = deed.take();
        if let Some(deed) = deed {
            deed();
        }
    }
}

/// The test's own clone, whose drop is none of those that are watched.
pub struct ManuallyDropWaker(Rc<ForeignWaker>, ManuallyDrop<Waker>);

impl std::ops::Deref for ManuallyDropWaker {
    type Target = Waker;

    fn deref(&self) -> &Waker {
        &self.1
    }
}

impl Drop for ManuallyDropWaker {
    fn drop(&mut self) {
        // SAFETY: it holds one reference, which nobody else gives back.
        unsafe { drop(Rc::from_raw(self.1.data().cast::<ForeignWaker>())) }
    }
}

fn raw(waker: Rc<ForeignWaker>) -> RawWaker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_raw);
    RawWaker::new(Rc::into_raw(waker).cast(), &TABLE)
}

// SAFETY: all four get what `raw` has made.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<Rc<ForeignWaker>> {
    unsafe { ManuallyDrop::new(Rc::from_raw(data.cast())) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    let waker = unsafe { borrow(data) };
    ForeignWaker::act(&waker.on_clone);
    raw(Rc::clone(&waker))
}

unsafe fn wake(data: *const ()) {
    let waker = unsafe { Rc::<ForeignWaker>::from_raw(data.cast()) };
    waker.wakes.set(waker.wakes.get() + 1);
    ForeignWaker::act(&waker.on_wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    let waker = unsafe { borrow(data) };
    waker.wakes.set(waker.wakes.get() + 1);
    ForeignWaker::act(&waker.on_wake);
}

unsafe fn drop_raw(data: *const ()) {
    let waker = unsafe { Rc::<ForeignWaker>::from_raw(data.cast()) };
    ForeignWaker::act(&waker.on_drop);
}
