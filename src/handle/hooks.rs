//! `Idle`, `Prepare` and `Check`: a callback in every turn, at one of three points.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::{Core, Kind, Slot, impl_handle};
use crate::event_loop::{AliveReason, HookKey, HookList, LoopHandle, Object, Runnable};

/// The three kinds differ in nothing but their name, their list and their text. The attributes at the end are those of
/// `new`, `start` and `stop`: an alias has to be a literal.
macro_rules! hook {
    (
        $(#[$docs:meta])*
        $hook:ident, $inner:ident, $list:ident, $word:literal,
        #[$new:meta]
        #[$start:meta]
        #[$stop:meta]
    ) => {
        $(#[$docs])*
        ///
        /// Active ones run in the order in which they were started. One that is started by a callback of its own kind
        /// first runs in the next turn.
        #[doc = concat!("\n\nlibuv: `uv_", $word, "_t`")]
        #[derive(Clone)]
        pub struct $hook(Rc<$inner>);

        struct $inner {
            core: Core,
            callback: Slot<dyn FnMut(&$hook)>,
            listed: Cell<Option<HookKey>>,
        }

        impl_handle!($hook);

        impl $hook {
            /// A handle that does nothing yet.
            #[doc = concat!("\n\nlibuv: `uv_", $word, "_init`")]
            #[$new]
            #[track_caller]
            pub fn new(event_loop: &LoopHandle) -> $hook {
                let hook = Rc::new($inner {
                    core: Core::new(event_loop, Kind::$hook),
                    callback: Slot::empty(),
                    listed: Cell::new(None),
                });
                hook.core.enroll(&(Rc::clone(&hook) as Rc<dyn Object>));
                $hook(hook)
            }

            /// Calls `cb` once in every turn. Starting an active handle replaces its callback and leaves its place in
            /// the order.
            ///
            /// # Errors
            /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the handle is closing or its loop is gone.
            #[doc = concat!("\n\nlibuv: `uv_", $word, "_start`")]
            #[$start]
            pub fn start(&self, cb: impl FnMut(&$hook) + 'static) -> io::Result<()> {
                self.0.core.check_open()?;
                if self.0.listed.get().is_none() {
                    let hook = Rc::clone(&self.0) as Rc<dyn Runnable>;
                    self.0.listed.set(Some(self.0.list().insert(hook)));
                    self.0.core.set_active(true);
                }
                self.0.callback.set(Box::new(cb));
                Ok(())
            }

            /// Stops the calls and drops the callback. Does nothing if the handle is not active.
            #[doc = concat!("\n\nlibuv: `uv_", $word, "_stop`")]
            #[$stop]
            pub fn stop(&self) {
                self.0.leave();
                self.0.callback.clear();
            }
        }

        impl $inner {
            fn list(&self) -> &HookList {
                &self.core.event_loop().inner().$list
            }

            fn leave(&self) {
                self.core.set_active(false);
                if let Some(key) = self.listed.take() {
                    self.list().remove(key);
                }
            }
        }

        impl Runnable for $inner {
            fn run(self: Rc<Self>) {
                let hook = $hook(self);
                if let Some(mut callback) = hook.0.callback.lend() {
                    hook.0.core.call(|| callback(&hook));
                }
            }
        }

        impl Object for $inner {
            fn core(&self) -> &Core {
                &self.core
            }

            fn release(&self) {
                self.leave();
            }

            fn drop_callbacks(&self) {
                self.callback.clear();
            }

            fn report(&self, reasons: &mut Vec<AliveReason>) {
                self.core.report(reasons, || "started".to_string());
            }

            fn show(self: Rc<Self>, visit: &mut dyn FnMut(&dyn super::Handle)) {
                visit(&$hook(self));
            }
        }
    };
}

hook! {
    /// Calls back at the beginning of every turn. While one is active, the loop does not sleep.
    #[doc(alias = "uv_idle_t")]
    Idle, IdleInner, idle, "idle",
    #[doc(alias = "uv_idle_init")]
    #[doc(alias = "uv_idle_start")]
    #[doc(alias = "uv_idle_stop")]
}

hook! {
    /// Calls back right before the loop polls for I/O.
    #[doc(alias = "uv_prepare_t")]
    Prepare, PrepareInner, prepare, "prepare",
    #[doc(alias = "uv_prepare_init")]
    #[doc(alias = "uv_prepare_start")]
    #[doc(alias = "uv_prepare_stop")]
}

hook! {
    /// Calls back right after the I/O callbacks of a turn and what they brought about.
    #[doc(alias = "uv_check_t")]
    Check, CheckInner, check, "check",
    #[doc(alias = "uv_check_init")]
    #[doc(alias = "uv_check_start")]
    #[doc(alias = "uv_check_stop")]
}
