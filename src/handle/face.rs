//! The face of a handle: what every kind offers, defined once.

/// The methods that every handle has, as inherent ones and as `Handle`. `$handle` is a tuple struct around the `Rc` of an
/// `Object`; `$warning` is what its users have to know before they close one.
macro_rules! impl_handle {
    ($handle:ty $(, $warning:literal)?) => {
        impl $handle {
            /// Closes the handle.
            ///
            /// Its descriptor is given back in the call, and from here on no callback of it runs except these: in the
            /// closing phase of this turn (of the next one, when called from a timer or a close callback) its
            /// unfinished requests end with [`Canceled`](crate::Canceled), in order; then the returned request ends; then
            /// the handle's callbacks are dropped. Handles closed first are called first. A second close changes
            /// nothing; its request ends with the first one's.
            $(#[doc = $warning])?
            ///
            /// # Cancel safety
            /// Dropping the request changes nothing: the close goes on.
            ///
            /// libuv: `uv_close`
            #[doc(alias = "uv_close")]
            #[track_caller]
            pub fn close(&self) -> crate::Request<()> {
                self.core().close(std::rc::Rc::clone(&self.0) as std::rc::Rc<dyn crate::event_loop::Object>)
            }

            /// True if the handle is doing something that can call back.
            ///
            /// libuv: `uv_is_active`
            #[doc(alias = "uv_is_active")]
            pub fn is_active(&self) -> bool {
                crate::event_loop::Object::is_active(&*self.0)
            }

            /// True from the call of [`close`](Self::close) on.
            ///
            /// libuv: `uv_is_closing`
            #[doc(alias = "uv_is_closing")]
            pub fn is_closing(&self) -> bool {
                self.core().is_closing()
            }

            /// Lets the handle keep the loop running while it is active. It does so from the start.
            ///
            /// libuv: `uv_ref`
            #[doc(alias = "uv_ref")]
            pub fn ref_(&self) {
                self.core().set_ref(true);
            }

            /// Lets the loop end although the handle is active. Its unfinished requests still keep the loop running.
            ///
            /// libuv: `uv_unref`
            #[doc(alias = "uv_unref")]
            pub fn unref(&self) {
                self.core().set_ref(false);
            }

            /// True unless the handle was [unreferenced](Self::unref).
            ///
            /// libuv: `uv_has_ref`
            #[doc(alias = "uv_has_ref")]
            pub fn has_ref(&self) -> bool {
                self.core().has_ref()
            }

            /// The loop on which the handle was made.
            ///
            /// libuv: `uv_handle_get_loop`
            #[doc(alias = "uv_handle_get_loop")]
            pub fn event_loop(&self) -> &crate::LoopHandle {
                self.core().event_loop()
            }

            /// The place in the program where the handle was made.
            pub fn created_at(&self) -> &'static std::panic::Location<'static> {
                self.core().place()
            }

            fn core(&self) -> &crate::handle::Core {
                crate::event_loop::Object::core(&*self.0)
            }
        }

        impl crate::handle::private::Sealed for $handle {}

        impl crate::handle::Handle for $handle {
            fn kind(&self) -> crate::handle::Kind {
                self.core().kind()
            }

            fn as_any(&self) -> &dyn std::any::Any {
                self
            }

            #[track_caller]
            fn close(&self) -> crate::Request<()> {
                self.close()
            }

            fn is_active(&self) -> bool {
                self.is_active()
            }

            fn is_closing(&self) -> bool {
                self.is_closing()
            }

            fn ref_(&self) {
                self.ref_();
            }

            fn unref(&self) {
                self.unref();
            }

            fn has_ref(&self) -> bool {
                self.has_ref()
            }

            fn event_loop(&self) -> &crate::LoopHandle {
                self.event_loop()
            }

            fn created_at(&self) -> &'static std::panic::Location<'static> {
                self.created_at()
            }
        }

        impl std::fmt::Debug for $handle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($handle))
                    .field("active", &self.is_active())
                    .field("closing", &self.is_closing())
                    .field("made_at", &format_args!("{}", self.created_at()))
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use impl_handle;
