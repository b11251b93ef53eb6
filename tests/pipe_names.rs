//! The names of Unix-domain sockets: paths and their files, abstract names, and what is no name.

mod support;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use luvio::{Loop, Misuse, Pipe};
use support::{Folder, Journal, misuse, new_loop, watchdog, with_loop};

fn bound(event_loop: &Loop, path: &Path) -> Pipe {
    let pipe = Pipe::new(event_loop);
    pipe.bind(path).expect("the name is free");
    pipe
}

/// U-01: a bind makes a socket file; close removes it in the call.
#[test]
fn the_socket_file_lives_from_bind_to_close() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("socket");
        let pipe = bound(event_loop, &path);
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(pipe.local_addr().unwrap().as_pathname(), Some(&*path));
        pipe.close();
        assert!(folder.is_empty());
    });
}

/// U-01: the file goes with a listener that is dropped, and with its loop.
#[test]
fn the_socket_file_goes_with_the_last_clone_and_with_the_loop() {
    let _watchdog = watchdog();
    let folder = Folder::new();
    let event_loop = new_loop();
    let pipe = bound(&event_loop, &folder.path("dropped"));
    pipe.listen_only(8).unwrap();
    let clone = pipe.clone();
    drop(pipe);
    assert!(!folder.is_empty());
    drop(clone);
    assert!(folder.is_empty());

    let pipe = bound(&event_loop, &folder.path("of the loop"));
    pipe.listen(8, |_, _| {}).unwrap();
    drop(event_loop);
    assert!(folder.is_empty() && pipe.is_closing());
}

/// U-01: the file of another server that has taken the place is left alone.
#[test]
fn the_file_of_another_server_is_not_removed() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("socket");
        let old = bound(event_loop, &path);
        old.listen(8, |_, _| {}).unwrap();
        fs::remove_file(&path).unwrap();
        let new = UnixListener::bind(&path).unwrap();
        assert_eq!(misuse(old.chmod(0o777)), Misuse::NoFile);
        old.close();
        UnixStream::connect(&path).expect("the new one is still there");
        drop(new);
    });
}

/// U-01: a file that somebody removes under a listener takes nothing but the name: who has connected is served, and another
/// server may have the name.
#[test]
fn a_listener_without_its_file_goes_on() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("socket");
        let server = bound(event_loop, &path);
        server.listen_only(8).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let accepted = event_loop.try_block_on(server.accept_next()).unwrap();
        let other = bound(event_loop, &path);
        server.close();
        assert!(path.exists(), "it is the other's");
        assert!(accepted.is_writable());
        drop(client);
        accepted.close();
        other.close();
    });
}

/// U-01: a relative path is found again after the program has changed its directory. In a process of its own, since the
/// directory is the process's.
#[test]
fn a_relative_path_is_found_again() {
    const NAME: &str = "a_relative_path_is_found_again";
    if !support::is_child() {
        assert!(support::child(NAME, "").status().unwrap().success());
        return;
    }
    let folder = Folder::new();
    std::env::set_current_dir(folder.path(".")).unwrap();
    with_loop(|event_loop| {
        let pipe = bound(event_loop, Path::new("relative"));
        std::env::set_current_dir("/").unwrap();
        assert!(!folder.is_empty());
        pipe.close();
        assert!(folder.is_empty());
    });
}

/// U-02, U-05: a name in use is refused at once, also if nobody listens there any more, to whom connects are refused.
#[test]
fn a_name_in_use_is_refused() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("left behind");
        drop(UnixListener::bind(&path).unwrap());
        // A child that another test starts holds the listener until it has become its program.
        while UnixStream::connect(&path).is_ok() {
            std::thread::yield_now();
        }
        let pipe = Pipe::new(event_loop);
        assert_eq!(pipe.bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(misuse(pipe.listen(8, |_, _| {})), Misuse::NotBound);
        let connected = event_loop.block_on(Pipe::new(event_loop).connect(&path)).unwrap();
        assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        // Another name may be tried.
        pipe.bind(folder.path("free")).unwrap();
        pipe.listen(8, |_, _| {}).unwrap();
        pipe.close();
        assert!(path.exists(), "the file was not made by this handle");
    });
}

/// U-03: a directory that does not exist is not found.
#[test]
fn a_missing_directory_is_not_found() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let pipe = Pipe::new(event_loop);
        let err = pipe.bind(folder.path("missing").join("socket")).unwrap_err();
        assert_eq!(err.raw_os_error(), Some(libc::ENOENT));
    });
}

/// U-04: bind twice, listen without bind, and both after close.
#[test]
fn bind_and_listen_in_the_wrong_order_are_refused() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let pipe = Pipe::new(event_loop);
        assert_eq!(misuse(pipe.listen(8, |_, _| {})), Misuse::NotBound);
        assert_eq!(misuse(pipe.listen_only(8)), Misuse::NotBound);
        pipe.bind(folder.path("one")).unwrap();
        assert_eq!(misuse(pipe.bind(folder.path("two"))), Misuse::AlreadyBound);
        pipe.close();
        assert_eq!(misuse(pipe.bind(folder.path("two"))), Misuse::Closing);
        assert_eq!(misuse(pipe.listen(8, |_, _| {})), Misuse::Closing);
        assert!(folder.is_empty());
    });
}

/// U-05: what nobody listens on; the handle may connect again.
#[test]
fn connecting_to_what_is_no_listener_fails() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let file = folder.path("file");
        fs::write(&file, "plain").unwrap();
        let pipe = Pipe::new(event_loop);
        for (path, expected) in [
            (folder.path("missing"), io::ErrorKind::NotFound),
            (file, io::ErrorKind::ConnectionRefused),
        ] {
            let err = event_loop.block_on(pipe.connect(&path)).unwrap().unwrap_err();
            assert_eq!(err.kind(), expected);
        }
        let path = folder.path("listener");
        let _listener = UnixListener::bind(&path).unwrap();
        event_loop.try_block_on(pipe.connect(&path)).unwrap();
        assert!(pipe.is_writable());
    });
}

/// U-05: a full backlog is told, and nothing is lost by it.
#[cfg(target_os = "linux")]
#[test]
fn a_full_backlog_is_told() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let server = bound(event_loop, &folder.path("busy"));
        server.listen_only(0).unwrap();
        let addr = server.local_addr().unwrap();
        let first = Pipe::new(event_loop);
        event_loop.try_block_on(first.connect(&addr)).unwrap();
        let second = Pipe::new(event_loop);
        let err = event_loop.block_on(second.connect(&addr)).unwrap().unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
        server.accept().unwrap();
        event_loop.try_block_on(second.connect(&addr)).unwrap();
    });
}

/// U-06: a name is refused that is too long or has a zero byte in it; nothing is cut, and no file appears.
#[test]
fn a_bad_name_is_refused() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let journal = Journal::new();
        for bad in ["x".repeat(200), "zero\0byte".into(), "\0zero".into()] {
            let path = folder.path(&bad);
            let pipe = Pipe::new(event_loop);
            assert_eq!(misuse(pipe.bind(&path)), Misuse::BadName);
            assert_eq!(misuse(event_loop.block_on(pipe.connect(path)).unwrap()), Misuse::BadName);
            pipe.connect(bad).then(journal.result("connect"));
        }
        assert!(folder.is_empty());
        event_loop.run().unwrap();
        journal.assert_is(&["connect InvalidInput"; 3]);
    });
}

/// U-07: an abstract name, with zero bytes in it, makes no file and is free after close.
#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_makes_no_file() {
    use std::os::linux::net::SocketAddrExt;
    with_loop(|event_loop| {
        let name = [b"luvio\0zero", &std::process::id().to_ne_bytes()[..]].concat();
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        for _ in 0..2 {
            let server = Pipe::new(event_loop);
            // A child that a test beside this one is starting holds a duplicate of the former socket until it runs.
            while server.bind(&addr).is_err_and(|err| err.kind() == io::ErrorKind::AddrInUse) {
                std::thread::yield_now();
            }
            assert_eq!(misuse(server.chmod(0o600)), Misuse::NoFile);
            server.listen_only(8).unwrap();
            assert_eq!(server.local_addr().unwrap().as_abstract_name(), Some(&*name));
            let other = Pipe::new(event_loop);
            assert_eq!(other.bind(&addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            let client = Pipe::new(event_loop);
            event_loop.try_block_on(client.connect(addr.clone())).unwrap();
            assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(&*name));
            server.close();
        }
    });
}

/// U-08: the empty name is one of the system's choice; nobody can connect to it.
#[cfg(target_os = "linux")]
#[test]
fn the_empty_name_is_picked_by_the_system() {
    use std::os::linux::net::SocketAddrExt;
    with_loop(|event_loop| {
        let server = Pipe::new(event_loop);
        server.bind("").unwrap();
        server.listen_only(8).unwrap();
        let addr = server.local_addr().unwrap();
        let name = addr.as_abstract_name().unwrap();
        assert!(name.len() == 5 && name.iter().all(u8::is_ascii_hexdigit), "{name:?}");
        let client = Pipe::new(event_loop);
        assert_eq!(misuse(event_loop.block_on(client.connect("")).unwrap()), Misuse::BadName);
        event_loop.try_block_on(client.connect(addr)).unwrap();
    });
}

/// U-09: a client that did not bind has no name; one that did has it at both ends, and its file goes with it.
#[test]
fn clients_are_unnamed_unless_they_bind() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("server");
        let server = bound(event_loop, &path);
        server.listen_only(8).unwrap();
        let client = Pipe::new(event_loop);
        event_loop.try_block_on(client.connect(&path)).unwrap();
        let (accepted, addr) = server.accept_with_addr().unwrap();
        assert!(addr.is_unnamed() && client.local_addr().unwrap().is_unnamed());
        assert!(accepted.peer_addr().unwrap().is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(accepted.local_addr().unwrap().as_pathname(), Some(&*path));

        let named = bound(event_loop, &folder.path("client"));
        event_loop.try_block_on(named.connect(&path)).unwrap();
        let (_, addr) = server.accept_with_addr().unwrap();
        assert_eq!(addr.as_pathname(), Some(&*folder.path("client")));
        named.close();
        server.close();
        assert!(folder.is_empty());
        assert_eq!(misuse(Pipe::new(event_loop).local_addr()), Misuse::NoSocket);
    });
}

/// U-01: the name of a client goes with a connect that fails, and it may bind to it again.
#[test]
fn a_failed_connect_takes_the_name_along() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("client");
        let client = bound(event_loop, &path);
        let missing = folder.path("missing");
        event_loop.block_on(client.connect(&missing)).unwrap().unwrap_err();
        assert!(folder.is_empty());
        assert_eq!(
            misuse(event_loop.block_on(client.connect(&missing)).unwrap()),
            Misuse::NotBound
        );
        client.bind(&path).unwrap();
        client.close();
        assert!(folder.is_empty());
    });
}

/// U-13: chmod changes the file, and says what is wrong.
#[test]
fn chmod_changes_the_permissions_of_the_file() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("socket");
        let pipe = Pipe::new(event_loop);
        assert_eq!(misuse(pipe.chmod(0o666)), Misuse::NoFile);
        pipe.bind(&path).unwrap();
        for mode in [0o600, 0o666, 0o777] {
            pipe.chmod(mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        }
        assert_eq!(misuse(pipe.chmod(0o1777)), Misuse::BadMode);
        assert_eq!(misuse(pipe.chmod(u32::MAX)), Misuse::BadMode);
        pipe.close();
        assert_eq!(misuse(pipe.chmod(0o666)), Misuse::Closing);
    });
}

/// U-01: a listener that is handed over keeps its file, which is the program's then.
#[test]
fn a_listener_that_is_handed_over_keeps_its_file() {
    let folder = Folder::new();
    with_loop(|event_loop| {
        let path = folder.path("socket");
        let server = bound(event_loop, &path);
        server.listen_only(8).unwrap();
        let listener = server.into_std_listener().unwrap();
        let client = UnixStream::connect(&path).expect("it still listens");
        let server = Pipe::new(event_loop);
        server.open_listener(listener).unwrap();
        server.listen_only(8).unwrap();
        event_loop.try_block_on(server.accept_next()).unwrap();
        server.close();
        assert!(path.exists());
        drop(client);
    });
}
