//! Each function of libuv 1.52 with what answers it here: an item of this crate, the standard library or a crate that
//! does it well, or the reason why nothing has to.
//!
//! Search the documentation for a function's name and you get the item that answers it, too. What is "later" is to come,
//! by the name that it will have. Where a handle has both styles, the callback comes first and its await twin after it.
//! What streams share is linked at [`Tcp`]; what all handles share at [`Handle`], though each has it as its own.
//!
//! How the answers behave, and where that differs from libuv, is the chapter [`behaviour`](crate::behaviour).
//!
//! # The loop
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_loop_init` | [`Loop::new`], [`Loop::builder`] |
//! | `uv_loop_close` | [`Loop::close`]; dropping the loop closes what is left |
//! | `uv_default_loop` | no global loop: [`Loop::new`] makes one |
//! | `uv_loop_new` | deprecated in libuv: [`Loop::new`] |
//! | `uv_loop_delete` | deprecated in libuv: [`Loop::close`] |
//! | `uv_loop_size` | only for allocation by hand |
//! | `uv_loop_alive` | [`LoopHandle::is_alive`]; [`LoopHandle::alive_because`] says why |
//! | `uv_loop_configure` | [`Builder`] |
//! | `uv_loop_fork` | a fork without exec is [not supported](crate#fork) |
//! | `uv_loop_get_data` | closures capture what they need |
//! | `uv_loop_set_data` | closures capture what they need |
//! | `uv_run` | [`Loop::run`], [`Loop::run_mode`] |
//! | `uv_stop` | [`LoopHandle::stop`] |
//! | `uv_update_time` | [`LoopHandle::update_time`] |
//! | `uv_now` | [`LoopHandle::now`] |
//! | `uv_backend_fd` | [`Loop`] is [`AsFd`](std::os::fd::AsFd) |
//! | `uv_backend_timeout` | [`LoopHandle::backend_timeout`] |
//! | `uv_walk` | [`LoopHandle::walk`]; with `uv_close` for all: [`LoopHandle::close_all`] |
//! | `uv_print_all_handles` | [`LoopHandle::walk`]: kind, state and place of each |
//! | `uv_print_active_handles` | [`LoopHandle::alive_because`]: those that are referenced, requests and tasks |
//! | `uv_metrics_info` | later: `LoopHandle::metrics` |
//! | `uv_metrics_idle_time` | later: `LoopHandle::metrics` |
//! | `uv_library_shutdown` | nothing to free by hand |
//! | `uv_replace_allocator` | [`std::alloc::GlobalAlloc`] |
//! | `uv_version` | the version in Cargo.toml |
//! | `uv_version_string` | the version in Cargo.toml |
//!
//! # All handles
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_close` | [`Handle::close`]; dropping the last clone of an idle handle |
//! | `uv_is_closing` | [`Handle::is_closing`] |
//! | `uv_is_active` | [`Handle::is_active`] |
//! | `uv_ref` | [`Handle::ref_`] |
//! | `uv_unref` | [`Handle::unref`] |
//! | `uv_has_ref` | [`Handle::has_ref`] |
//! | `uv_handle_size` | only for allocation by hand |
//! | `uv_handle_get_type` | [`Handle::kind`] |
//! | `uv_handle_type_name` | [`Kind`], by its `Display` |
//! | `uv_handle_get_data` | closures capture what they need |
//! | `uv_handle_set_data` | closures capture what they need |
//! | `uv_handle_get_loop` | [`Handle::event_loop`] |
//! | `uv_send_buffer_size` | [`Tcp::send_buffer_size`], [`Tcp::set_send_buffer_size`] |
//! | `uv_recv_buffer_size` | [`Tcp::recv_buffer_size`], [`Tcp::set_recv_buffer_size`] |
//! | `uv_fileno` | [`Tcp::fileno`], [`Tcp::with_fd`] |
//! | `uv_buf_init` | slices, and [`IoSlice`](std::io::IoSlice) for several |
//!
//! # Requests and errors
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_cancel` | [`Request::cancel`], where the operation allows it |
//! | `uv_req_size` | only for allocation by hand |
//! | `uv_req_get_data` | closures capture what they need |
//! | `uv_req_set_data` | closures capture what they need |
//! | `uv_req_get_type` | a [`Request`] is typed by its result |
//! | `uv_req_type_name` | a [`Request`] is typed by its result |
//! | `uv_err_name` | [`Misuse::name`], of what luvio itself refuses |
//! | `uv_err_name_r` | no buffer to fill: the name is a `&str` |
//! | `uv_strerror` | [`std::io::Error`] |
//! | `uv_strerror_r` | [`std::io::Error`] |
//! | `uv_translate_sys_error` | [`std::io::Error::from_raw_os_error`] |
//!
//! # Timer
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_timer_init` | [`Timer::new`] |
//! | `uv_timer_start` | [`Timer::start`], [`Timer::after`]; in tasks [`sleep`](crate::sleep()), [`interval`](crate::interval()) |
//! | `uv_timer_stop` | [`Timer::stop`] |
//! | `uv_timer_again` | [`Timer::again`] |
//! | `uv_timer_set_repeat` | [`Timer::set_repeat`] |
//! | `uv_timer_get_repeat` | [`Timer::repeat`] |
//! | `uv_timer_get_due_in` | [`Timer::due_in`] |
//!
//! # Idle, Prepare, Check
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_idle_init` | [`Idle::new`] |
//! | `uv_idle_start` | [`Idle::start`] |
//! | `uv_idle_stop` | [`Idle::stop`] |
//! | `uv_prepare_init` | [`Prepare::new`] |
//! | `uv_prepare_start` | [`Prepare::start`] |
//! | `uv_prepare_stop` | [`Prepare::stop`] |
//! | `uv_check_init` | [`Check::new`] |
//! | `uv_check_start` | [`Check::start`] |
//! | `uv_check_stop` | [`Check::stop`] |
//!
//! # Notifier
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_async_init` | [`Notifier::new`]; in tasks [`Notifier::wake_only`], [`Notifier::notified`] |
//! | `uv_async_send` | [`NotifierSender::send`]; with a closure to run: [`Remote::post`] |
//!
//! # Signal
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_signal_init` | [`Signal::new`] |
//! | `uv_signal_start` | [`Signal::start`]; in tasks [`Signal::start_only`], [`Signal::delivered`] |
//! | `uv_signal_start_oneshot` | [`Signal::start_oneshot`] |
//! | `uv_signal_stop` | [`Signal::stop`] |
//!
//! # Streams
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_shutdown` | [`Tcp::shutdown`]; with the close after it: [`Tcp::finish`] |
//! | `uv_listen` | [`Tcp::listen`]; in tasks [`Tcp::listen_only`], [`Tcp::accept_next`] |
//! | `uv_accept` | [`Tcp::accept`], which returns a handle instead of taking one |
//! | `uv_read_start` | [`Tcp::read_start`]; in tasks [`Tcp::read_once`], [`Tcp::read_into`], [`Tcp::read_with`] |
//! | `uv_read_stop` | [`Tcp::read_stop`] |
//! | `uv_write` | [`Tcp::write`], [`Tcp::write_vectored`] |
//! | `uv_write2` | [`Pipe::write_with_fds`] |
//! | `uv_try_write` | [`Tcp::try_write`], [`Tcp::try_write_vectored`] |
//! | `uv_try_write2` | [`Pipe::try_write_with_fds`] |
//! | `uv_is_readable` | [`Tcp::is_readable`] |
//! | `uv_is_writable` | [`Tcp::is_writable`] |
//! | `uv_stream_set_blocking` | it would hold up the loop: await [`Tcp::drained`] |
//! | `uv_stream_get_write_queue_size` | [`Tcp::write_queue_size`]; beside it [`Tcp::needs_drain`], [`Tcp::drained`] |
//!
//! # Tcp
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_tcp_init` | [`Tcp::new`] |
//! | `uv_tcp_init_ex` | [`Tcp::new`]: the socket is made for the first address |
//! | `uv_tcp_open` | [`Tcp::open`], [`Tcp::open_listener`]; back again: [`Tcp::into_std`] |
//! | `uv_tcp_nodelay` | [`Tcp::set_nodelay`] |
//! | `uv_tcp_keepalive` | [`Tcp::set_keepalive`] |
//! | `uv_tcp_keepalive_ex` | [`Tcp::set_keepalive_with`] |
//! | `uv_tcp_simultaneous_accepts` | only for Windows |
//! | `uv_tcp_bind` | [`Tcp::bind`]; its flags: [`Tcp::set_only_v6`], [`Tcp::set_reuse_port`] |
//! | `uv_tcp_getsockname` | [`Tcp::local_addr`] |
//! | `uv_tcp_getpeername` | [`Tcp::peer_addr`], [`Tcp::accept_with_addr`] |
//! | `uv_tcp_close_reset` | [`Tcp::close_reset`] |
//! | `uv_tcp_connect` | [`Tcp::connect`], [`Tcp::connect_timeout`] |
//!
//! # Pipe
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_pipe_init` | [`Pipe::new`], [`Pipe::with_descriptors`] |
//! | `uv_pipe_open` | [`Pipe::open`], [`Pipe::open_listener`]; back again: [`Pipe::into_fd`] |
//! | `uv_pipe_bind` | [`Pipe::bind`] |
//! | `uv_pipe_bind2` | [`Pipe::bind`] |
//! | `uv_pipe_connect` | [`Pipe::connect`], [`Pipe::connect_timeout`] |
//! | `uv_pipe_connect2` | [`Pipe::connect`] |
//! | `uv_pipe_getsockname` | [`Pipe::local_addr`] |
//! | `uv_pipe_getpeername` | [`Pipe::peer_addr`], [`Pipe::accept_with_addr`] |
//! | `uv_pipe_pending_instances` | only for Windows |
//! | `uv_pipe_pending_count` | [`Pipe::take_fds`] |
//! | `uv_pipe_pending_type` | [`Pipe::take_fds`] |
//! | `uv_pipe_chmod` | [`Pipe::chmod`] |
//! | `uv_pipe` | `std::io::pipe`, from Rust 1.87 on |
//! | `uv_socketpair` | [`Pipe::pair`], [`Pipe::pair_with_descriptors`] |
//!
//! # Tty
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_tty_init` | [`Tty::new`] |
//! | `uv_tty_set_mode` | [`Tty::set_mode`] |
//! | `uv_tty_reset_mode` | [`Tty::reset_mode`] |
//! | `uv_tty_get_winsize` | [`Tty::winsize`] |
//! | `uv_tty_set_vterm_state` | only for Windows |
//! | `uv_tty_get_vterm_state` | only for Windows |
//! | `uv_guess_handle` | [`guess_handle`]; [`stdin`], [`stdout`] and [`stderr`] need no guess |
//!
//! # Udp
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_udp_init` | [`Udp::new`] |
//! | `uv_udp_init_ex` | [`Udp::new`] |
//! | `uv_udp_open` | [`Udp::open`] |
//! | `uv_udp_open_ex` | adoption leaves the options of the socket alone |
//! | `uv_udp_bind` | [`Udp::bind`] |
//! | `uv_udp_connect` | [`Udp::connect`], [`Udp::disconnect`] |
//! | `uv_udp_getpeername` | [`Udp::peer_addr`] |
//! | `uv_udp_getsockname` | [`Udp::local_addr`] |
//! | `uv_udp_set_membership` | [`Udp::join_multicast`], [`Udp::leave_multicast`] |
//! | `uv_udp_set_source_membership` | [`Udp::join_multicast_source`], [`Udp::leave_multicast_source`] |
//! | `uv_udp_set_multicast_loop` | [`Udp::set_multicast_loop`] |
//! | `uv_udp_set_multicast_ttl` | [`Udp::set_multicast_ttl`] |
//! | `uv_udp_set_multicast_interface` | [`Udp::set_multicast_interface`] |
//! | `uv_udp_set_broadcast` | [`Udp::set_broadcast`] |
//! | `uv_udp_set_ttl` | [`Udp::set_ttl`] |
//! | `uv_udp_send` | [`Udp::send_to`], [`Udp::send`] |
//! | `uv_udp_try_send` | [`Udp::try_send_to`], [`Udp::try_send`] |
//! | `uv_udp_try_send2` | [`Udp::try_send_many`] |
//! | `uv_udp_recv_start` | [`Udp::recv_start`] |
//! | `uv_udp_using_recvmmsg` | the buffer is the loop's, not the caller's |
//! | `uv_udp_recv_stop` | [`Udp::recv_stop`] |
//! | `uv_udp_get_send_queue_size` | [`Udp::send_queue_size`] |
//! | `uv_udp_get_send_queue_count` | [`Udp::send_queue_count`] |
//!
//! # Poll
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_poll_init` | [`Poll::new`] |
//! | `uv_poll_init_socket` | [`Poll::new`] |
//! | `uv_poll_start` | [`Poll::start`] |
//! | `uv_poll_stop` | [`Poll::stop`] |
//!
//! # Process
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_spawn` | later: `Process::spawn` |
//! | `uv_process_kill` | later: `Process::kill` |
//! | `uv_process_get_pid` | later: `Process::pid` |
//! | `uv_kill` | [`rustix::process::kill_process`](https://docs.rs/rustix) |
//! | `uv_disable_stdio_inheritance` | what std and luvio open closes on exec |
//!
//! # Pool and names
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_queue_work` | later: `LoopHandle::queue_work` |
//! | `uv_getaddrinfo` | later: `LoopHandle::resolve` |
//! | `uv_freeaddrinfo` | dropped with its owner |
//! | `uv_getnameinfo` | later: `LoopHandle::resolve_name` |
//!
//! # Files
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_fs_get_type` | a [`Request`] is typed by its result |
//! | `uv_fs_get_result` | a [`Request`] is typed by its result |
//! | `uv_fs_get_system_error` | a [`Request`] is typed by its result |
//! | `uv_fs_get_ptr` | a [`Request`] is typed by its result |
//! | `uv_fs_get_path` | closures capture what they need |
//! | `uv_fs_get_statbuf` | a [`Request`] is typed by its result |
//! | `uv_fs_req_cleanup` | dropped with its owner |
//! | `uv_fs_close` | later: `File::close` |
//! | `uv_fs_open` | later: `File::open`, `File::options` |
//! | `uv_fs_read` | later: `File::read_at`, `File::read` |
//! | `uv_fs_write` | later: `File::write_at`, `File::write` |
//! | `uv_fs_unlink` | later: `fs::remove_file` |
//! | `uv_fs_copyfile` | later: `fs::copy` |
//! | `uv_fs_mkdir` | later: `fs::create_dir` |
//! | `uv_fs_mkdtemp` | [`tempfile::tempdir`](https://docs.rs/tempfile) |
//! | `uv_fs_mkstemp` | [`tempfile::NamedTempFile`](https://docs.rs/tempfile) |
//! | `uv_fs_rmdir` | later: `fs::remove_dir` |
//! | `uv_fs_scandir` | later: `fs::read_dir` |
//! | `uv_fs_scandir_next` | the list of a directory is a `Vec` |
//! | `uv_fs_opendir` | later: `fs::read_dir` |
//! | `uv_fs_readdir` | later: `fs::read_dir` |
//! | `uv_fs_closedir` | dropped with its owner |
//! | `uv_fs_stat` | later: `fs::metadata` |
//! | `uv_fs_fstat` | later: `File::metadata` |
//! | `uv_fs_lstat` | later: `fs::symlink_metadata` |
//! | `uv_fs_statfs` | [`rustix::fs::statvfs`](https://docs.rs/rustix) |
//! | `uv_fs_rename` | later: `fs::rename` |
//! | `uv_fs_fsync` | later: `File::sync_all` |
//! | `uv_fs_fdatasync` | later: `File::sync_data` |
//! | `uv_fs_ftruncate` | later: `File::set_len` |
//! | `uv_fs_sendfile` | [`std::io::copy`] |
//! | `uv_fs_access` | [`rustix::fs::access`](https://docs.rs/rustix) |
//! | `uv_fs_chmod` | later: `fs::set_permissions` |
//! | `uv_fs_fchmod` | later: `File::set_permissions` |
//! | `uv_fs_utime` | [`filetime::set_file_times`](https://docs.rs/filetime) |
//! | `uv_fs_futime` | [`std::fs::File::set_times`] |
//! | `uv_fs_lutime` | [`filetime::set_symlink_file_times`](https://docs.rs/filetime) |
//! | `uv_fs_link` | later: `fs::hard_link` |
//! | `uv_fs_symlink` | later: `fs::symlink` |
//! | `uv_fs_readlink` | later: `fs::read_link` |
//! | `uv_fs_realpath` | later: `fs::canonicalize` |
//! | `uv_fs_chown` | [`std::os::unix::fs::chown`] |
//! | `uv_fs_fchown` | [`std::os::unix::fs::fchown`] |
//! | `uv_fs_lchown` | [`std::os::unix::fs::lchown`] |
//!
//! # FsEvent, FsPoll
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_fs_event_init` | later: `FsEvent::new` |
//! | `uv_fs_event_start` | later: `FsEvent::start` |
//! | `uv_fs_event_stop` | later: `FsEvent::stop` |
//! | `uv_fs_event_getpath` | later: `FsEvent::path` |
//! | `uv_fs_poll_init` | later: `FsPoll::new` |
//! | `uv_fs_poll_start` | later: `FsPoll::start` |
//! | `uv_fs_poll_stop` | later: `FsPoll::stop` |
//! | `uv_fs_poll_getpath` | later: `FsPoll::path` |
//!
//! # Addresses
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_ip4_addr` | [`IntoAddr`], or `"127.0.0.1:80".parse()` |
//! | `uv_ip6_addr` | [`IntoAddr`], or `"[::1]:80".parse()` |
//! | `uv_ip4_name` | [`std::net::SocketAddrV4`] |
//! | `uv_ip6_name` | [`std::net::SocketAddrV6`] |
//! | `uv_ip_name` | [`std::net::SocketAddr`] |
//! | `uv_inet_ntop` | [`std::net::IpAddr`] |
//! | `uv_inet_pton` | [`std::net::IpAddr`] |
//! | `uv_if_indextoname` | [`nix::net::if_::if_indextoname`](https://docs.rs/nix) |
//! | `uv_if_indextoiid` | `index.to_string()`: the index is the scope |
//! | `uv_interface_addresses` | [`if_addrs::get_if_addrs`](https://docs.rs/if-addrs) |
//! | `uv_free_interface_addresses` | dropped with its owner |
//!
//! # Threads
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_thread_create` | [`std::thread::spawn`] |
//! | `uv_thread_create_ex` | [`std::thread::Builder::stack_size`] |
//! | `uv_thread_detach` | [`std::thread::JoinHandle`], dropped |
//! | `uv_thread_join` | [`std::thread::JoinHandle::join`] |
//! | `uv_thread_self` | [`std::thread::current`] |
//! | `uv_thread_equal` | [`std::thread::ThreadId`] |
//! | `uv_thread_setname` | [`std::thread::Builder::name`] |
//! | `uv_thread_getname` | [`std::thread::Thread::name`] |
//! | `uv_thread_setaffinity` | [`rustix::thread::sched_setaffinity`](https://docs.rs/rustix) |
//! | `uv_thread_getaffinity` | [`rustix::thread::sched_getaffinity`](https://docs.rs/rustix) |
//! | `uv_thread_getcpu` | [`rustix::thread::sched_getcpu`](https://docs.rs/rustix) |
//! | `uv_thread_setpriority` | [`thread-priority`](https://docs.rs/thread-priority) |
//! | `uv_thread_getpriority` | [`thread-priority`](https://docs.rs/thread-priority) |
//! | `uv_cpumask_size` | [`rustix::thread::CpuSet`](https://docs.rs/rustix) |
//! | `uv_mutex_init` | [`std::sync::Mutex`] |
//! | `uv_mutex_init_recursive` | [`parking_lot::ReentrantMutex`](https://docs.rs/parking_lot) |
//! | `uv_mutex_destroy` | [`std::sync::Mutex`], dropped |
//! | `uv_mutex_lock` | [`std::sync::Mutex::lock`] |
//! | `uv_mutex_trylock` | [`std::sync::Mutex::try_lock`] |
//! | `uv_mutex_unlock` | [`std::sync::MutexGuard`], dropped |
//! | `uv_rwlock_init` | [`std::sync::RwLock`] |
//! | `uv_rwlock_destroy` | [`std::sync::RwLock`], dropped |
//! | `uv_rwlock_rdlock` | [`std::sync::RwLock::read`] |
//! | `uv_rwlock_tryrdlock` | [`std::sync::RwLock::try_read`] |
//! | `uv_rwlock_rdunlock` | [`std::sync::RwLockReadGuard`], dropped |
//! | `uv_rwlock_wrlock` | [`std::sync::RwLock::write`] |
//! | `uv_rwlock_trywrlock` | [`std::sync::RwLock::try_write`] |
//! | `uv_rwlock_wrunlock` | [`std::sync::RwLockWriteGuard`], dropped |
//! | `uv_sem_init` | [`std::sync::Mutex`] and [`std::sync::Condvar`] |
//! | `uv_sem_destroy` | [`std::sync::Mutex`] and [`std::sync::Condvar`] |
//! | `uv_sem_post` | [`std::sync::Mutex`] and [`std::sync::Condvar`] |
//! | `uv_sem_wait` | [`std::sync::Mutex`] and [`std::sync::Condvar`] |
//! | `uv_sem_trywait` | [`std::sync::Mutex`] and [`std::sync::Condvar`] |
//! | `uv_cond_init` | [`std::sync::Condvar`] |
//! | `uv_cond_destroy` | [`std::sync::Condvar`], dropped |
//! | `uv_cond_signal` | [`std::sync::Condvar::notify_one`] |
//! | `uv_cond_broadcast` | [`std::sync::Condvar::notify_all`] |
//! | `uv_cond_wait` | [`std::sync::Condvar::wait`] |
//! | `uv_cond_timedwait` | [`std::sync::Condvar::wait_timeout`] |
//! | `uv_barrier_init` | [`std::sync::Barrier`] |
//! | `uv_barrier_destroy` | [`std::sync::Barrier`], dropped |
//! | `uv_barrier_wait` | [`std::sync::Barrier::wait`] |
//! | `uv_once` | [`std::sync::Once`], [`std::sync::OnceLock`] |
//! | `uv_key_create` | [`std::thread_local`] |
//! | `uv_key_delete` | [`std::thread_local`] |
//! | `uv_key_get` | [`std::thread::LocalKey::with`] |
//! | `uv_key_set` | [`std::thread::LocalKey::set`] |
//!
//! # Shared libraries
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_dlopen` | [`libloading::Library::new`](https://docs.rs/libloading) |
//! | `uv_dlclose` | [`libloading::Library::close`](https://docs.rs/libloading) |
//! | `uv_dlsym` | [`libloading::Library::get`](https://docs.rs/libloading) |
//! | `uv_dlerror` | [`libloading::Error`](https://docs.rs/libloading) |
//!
//! # The system
//!
//! | libuv | luvio |
//! |---|---|
//! | `uv_setup_args` | only for the process title |
//! | `uv_get_process_title` | nothing reads it back: keep what was set |
//! | `uv_set_process_title` | [`proctitle::set_title`](https://docs.rs/proctitle) |
//! | `uv_resident_set_memory` | [`sysinfo::Process::memory`](https://docs.rs/sysinfo) |
//! | `uv_uptime` | [`sysinfo::System::uptime`](https://docs.rs/sysinfo) |
//! | `uv_get_osfhandle` | only for Windows |
//! | `uv_open_osfhandle` | only for Windows |
//! | `uv_getrusage` | [`nix::sys::resource::getrusage`](https://docs.rs/nix) |
//! | `uv_getrusage_thread` | [`nix::sys::resource::getrusage`](https://docs.rs/nix) |
//! | `uv_os_homedir` | [`std::env::home_dir`] |
//! | `uv_os_tmpdir` | [`std::env::temp_dir`] |
//! | `uv_os_get_passwd` | [`uzers::get_user_by_uid`](https://docs.rs/uzers) |
//! | `uv_os_free_passwd` | dropped with its owner |
//! | `uv_os_get_passwd2` | [`uzers::get_user_by_uid`](https://docs.rs/uzers) |
//! | `uv_os_get_group` | [`uzers::get_group_by_gid`](https://docs.rs/uzers) |
//! | `uv_os_free_group` | dropped with its owner |
//! | `uv_os_getpid` | [`std::process::id`] |
//! | `uv_os_getppid` | [`std::os::unix::process::parent_id`] |
//! | `uv_os_getpriority` | [`rustix::process::getpriority_process`](https://docs.rs/rustix) |
//! | `uv_os_setpriority` | [`rustix::process::setpriority_process`](https://docs.rs/rustix) |
//! | `uv_available_parallelism` | [`std::thread::available_parallelism`] |
//! | `uv_cpu_info` | [`sysinfo::System::cpus`](https://docs.rs/sysinfo) |
//! | `uv_free_cpu_info` | dropped with its owner |
//! | `uv_loadavg` | [`sysinfo::System::load_average`](https://docs.rs/sysinfo) |
//! | `uv_os_environ` | [`std::env::vars_os`] |
//! | `uv_os_free_environ` | dropped with its owner |
//! | `uv_os_getenv` | [`std::env::var_os`] |
//! | `uv_os_setenv` | [`std::env::set_var`] |
//! | `uv_os_unsetenv` | [`std::env::remove_var`] |
//! | `uv_os_gethostname` | [`gethostname::gethostname`](https://docs.rs/gethostname) |
//! | `uv_os_uname` | [`rustix::system::uname`](https://docs.rs/rustix) |
//! | `uv_exepath` | [`std::env::current_exe`] |
//! | `uv_cwd` | [`std::env::current_dir`] |
//! | `uv_chdir` | [`std::env::set_current_dir`] |
//! | `uv_get_free_memory` | [`sysinfo::System::free_memory`](https://docs.rs/sysinfo) |
//! | `uv_get_total_memory` | [`sysinfo::System::total_memory`](https://docs.rs/sysinfo) |
//! | `uv_get_constrained_memory` | [`sysinfo::System::cgroup_limits`](https://docs.rs/sysinfo) |
//! | `uv_get_available_memory` | [`sysinfo::System::available_memory`](https://docs.rs/sysinfo) |
//! | `uv_clock_gettime` | [`std::time::SystemTime`], [`std::time::Instant`] |
//! | `uv_hrtime` | [`std::time::Instant`] |
//! | `uv_gettimeofday` | [`std::time::SystemTime`] |
//! | `uv_sleep` | [`std::thread::sleep`] |
//! | `uv_random` | [`getrandom::fill`](https://docs.rs/getrandom) |
//! | `uv_utf16_length_as_wtf8` | only for Windows |
//! | `uv_utf16_to_wtf8` | only for Windows |
//! | `uv_wtf8_length_as_utf16` | only for Windows |
//! | `uv_wtf8_to_utf16` | only for Windows |

// What a feature brings is a link only where it is there.
#![cfg_attr(
    not(all(feature = "signal", feature = "udp", feature = "tty", feature = "descriptors")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(all(doc, feature = "signal"))]
use crate::Signal;
#[cfg(all(doc, feature = "udp"))]
use crate::Udp;
#[cfg(doc)]
use crate::{
    Builder, Check, Handle, Idle, IntoAddr, Kind, Loop, LoopHandle, Misuse, Notifier,
    NotifierSender, Pipe, Poll, Prepare, Remote, Request, Tcp, Timer,
};
#[cfg(all(doc, feature = "tty"))]
use crate::{Tty, guess_handle, stderr, stdin, stdout};
