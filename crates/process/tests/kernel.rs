//! Descriptors, locks and children of real processes: shells, cats and sleeps.

use process::{Maps, ThreadReader, children, fds, locks};
use snapshot::{ChildState, FdKind, SocketState};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Asks until the answer is yes; the kernel needs a moment.
fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !ask() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `cat` between two pipes of ours.
fn cat() -> Ended {
    let mut cat = Command::new("cat");
    let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ended(cat.spawn().expect("cat is everywhere"))
}

fn inode_of(fd: i32) -> u64 {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("our own");
    let text = link.to_string_lossy().into_owned();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("pipe:[123]")
}

#[test]
fn both_ends_of_a_pipe_are_found() {
    let cat = cat();
    let pid = cat.0.id();
    let input = cat.0.stdin.as_ref().expect("piped");
    let inode = inode_of(input.as_raw_fd());
    let list = fds::read(pid).expect("our own child");
    let stdin = list.iter().find(|fd| fd.fd == 0).expect("cat's input");
    assert!(matches!(stdin.kind, FdKind::Pipe { inode: it, .. } if it == inode));
    assert!(stdin.readable && !stdin.writable);
    let stdout = list.iter().find(|fd| fd.fd == 1).expect("cat's output");
    assert!(!stdout.readable && stdout.writable);

    let own = std::process::id();
    let asked = [pid, own];
    let holders = fds::who_has(
        &HashSet::from([fds::End::Inode(inode)]),
        Some(&asked),
        Duration::from_secs(5),
    );
    assert!(holders.complete);
    assert!(
        holders
            .found
            .iter()
            .any(|it| it.pid == pid && it.fd == 0 && it.readable)
    );
    assert!(holders.found.iter().any(|it| it.pid == own && it.writable));
}

#[test]
fn what_is_queued_in_a_pipe_is_told_and_left_there() {
    let mut sleep = Command::new("sleep");
    let sleep = sleep
        .arg("1000")
        .stdin(Stdio::piped())
        .spawn()
        .expect("sleep is everywhere");
    let mut sleep = Ended(sleep);
    let input = sleep.0.stdin.as_mut().expect("piped");
    input.write_all(b"12345").expect("there is room");
    for _ in 0..2 {
        let list = fds::read(sleep.0.id()).expect("our own child");
        let stdin = list.iter().find(|fd| fd.fd == 0).expect("its input");
        let FdKind::Pipe { queued, .. } = stdin.kind else {
            panic!("{stdin:?}");
        };
        // Older kernels cannot share a descriptor: then it is not told.
        assert!(queued.is_none_or(|count| count == 5), "{queued:?}");
    }
}

#[test]
fn sockets_know_their_other_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(address).expect("we listen");
    let (server, _) = listener.accept().expect("we connect");
    client.write_all(b"123").expect("there is room");
    let (left, right) = UnixStream::pair().expect("room for two");
    let path = std::env::temp_dir().join(format!("unknot-test-{}.sock", std::process::id()));
    let _named = UnixListener::bind(&path).expect("our own path");
    std::fs::remove_file(&path).expect("our own path");

    let list = fds::read(std::process::id()).expect("our own");
    let connection = |fd: i32| {
        list.iter()
            .find(|it| it.fd == fd)
            .and_then(|it| match &it.kind {
                FdKind::Socket { connection, .. } => connection.clone(),
                _ => None,
            })
    };
    let accepted = connection(server.as_raw_fd()).expect("/proc/net/tcp");
    assert_eq!(accepted.peer_inode, Some(inode_of(client.as_raw_fd())));
    assert_eq!(
        (accepted.protocol.as_str(), accepted.state),
        ("tcp", SocketState::Established)
    );
    assert_eq!(accepted.local, address.to_string());
    assert_eq!(accepted.receive_queue, Some(3));
    let listening = connection(listener.as_raw_fd()).expect("/proc/net/tcp");
    assert_eq!(listening.state, SocketState::Listening);
    let half = connection(left.as_raw_fd()).expect("/proc/net/unix at least");
    assert_eq!(half.state, SocketState::Established);
    // Only sock_diag tells the peer.
    let peer = inode_of(right.as_raw_fd());
    assert!(half.peer_inode.is_none_or(|inode| inode == peer));
}

#[test]
fn a_file_lock_names_its_holder_and_its_waiter() {
    let path = std::env::temp_dir().join(format!("unknot-test-{}.lock", std::process::id()));
    let file = std::fs::File::create(&path).expect("our own path");
    file.lock().expect("nobody else knows it");
    let script = "exec 9<>\"$0\"; echo ready; flock 9";
    let waiter = Command::new("sh")
        .args(["-c", script])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh is everywhere");
    let mut waiter = Ended(waiter);
    let mut line = String::new();
    let output = waiter.0.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("sh writes");
    let own = std::process::id();
    let mut found = false;
    until("the waiter waits", || {
        let ended = waiter.0.try_wait().expect("our own child").is_some();
        let all = locks::all().expect("/proc/locks");
        found = all
            .iter()
            .any(|it| it.lock.waiting && it.lock.blocked_by == Some(own));
        found || ended
    });
    std::fs::remove_file(&path).expect("our own path");
    if !found {
        eprintln!("skipped: there is no flock(1) here");
        return;
    }
    let held = locks::of(own).expect("/proc/locks");
    assert!(
        held.iter()
            .any(|lock| lock.class == "flock" && lock.exclusive && !lock.waiting)
    );
}

#[test]
fn children_are_listed_with_those_that_ended() {
    // A shell would wait for the child that ends; it ends only once the shell has made way for a program that does not.
    let script =
        "exec 3<&0; sleep 1000 & sh -c 'read line <&3; exit 3' & echo ready; exec sleep 1000";
    let parent = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut parent = Ended(parent.expect("sh is everywhere"));
    let mut line = String::new();
    let output = parent.0.stdout.take().expect("piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("sh writes");
    let pid = parent.0.id();
    until("the shell has made way", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    let mut input = parent.0.stdin.take().expect("piped");
    input.write_all(b"end\n").expect("the child reads");
    let mut list = Vec::new();
    until("one child sleeps and one has ended", || {
        list = children::of(pid).expect("our own child");
        let sleeps = list.iter().any(|child| child.command == ["sleep", "1000"]);
        sleeps && list.iter().any(|child| child.state == ChildState::Zombie)
    });
    let dead = list
        .iter()
        .find(|child| child.state == ChildState::Zombie)
        .expect("just seen");
    assert_eq!(dead.exit_code, Some(3));
    assert_eq!(dead.command.len(), 1);
    let all = children::descendants(std::process::id()).expect("our own");
    let place = |pid: u32| all.iter().position(|&it| it == pid).expect("a descendant");
    assert!(place(pid) < place(dead.pid));
    for child in &list {
        // SAFETY: kill takes two numbers; the pid is of a child not waited for while its parent lives.
        unsafe { nix::libc::kill(child.pid.cast_signed(), nix::libc::SIGKILL) };
    }
}

#[test]
fn a_sleeping_thread_tells_its_call() {
    let cat = cat();
    let mut reader = ThreadReader::open(cat.0.id()).expect("our own child");
    until("cat reads", || {
        let threads = reader.read_all(true).expect("our own child");
        let [(tid, thread)] = threads.as_slice() else {
            return false;
        };
        let call = thread.syscall.as_ref();
        *tid == cat.0.id()
            && thread.state == 'S'
            && call.is_some_and(|call| call.name == "read" && call.args[0] == 0)
    });
}

#[test]
fn shared_memory_has_the_same_name_for_all() {
    let own = std::process::id();
    let maps = Maps::read(own).expect("our own");
    let private = maps
        .iter()
        .find(|mapping| !mapping.perms.shared)
        .expect("there is some");
    assert_eq!(maps.shared_key(private.start), None);
    assert_eq!(
        children::PidMap::of(own).expect("our own").to_ours(own),
        Some(own)
    );
}
