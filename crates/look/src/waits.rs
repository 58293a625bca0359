//! Waits that the kernel alone explains: of threads without Python, and of descriptors whose kind was not known.

use crate::opened::Opened;
use process::blocking;
use snapshot::{Certainty, FdKind, Kind, Operation, Place, Process, Thread, ThreadState, Wait};

/// Gives threads without Python their waits, and tells for every wait on a descriptor what the descriptor is.
pub(crate) fn complete(process: &mut Process, opened: &Opened) {
    let kinds: Vec<(i32, Kind)> = process
        .fds
        .iter()
        .map(|fd| (fd.fd, kind_of(&fd.kind)))
        .collect();
    let kind = |fd: i32| {
        kinds
            .iter()
            .find(|(number, _)| *number == fd)
            .map(|(_, kind)| *kind)
    };
    let has_python = process.python.is_some();
    for thread in &mut process.threads {
        if thread.interpreter.is_none() && !has_python {
            thread.waits_for = native_wait(thread, opened);
            if thread.waits_for.is_some() {
                thread.state = ThreadState::Waiting;
            }
        }
        if let Some(wait) = &mut thread.waits_for {
            name_descriptor(wait, &kind);
        }
    }
    for wait in process
        .tasks
        .iter_mut()
        .filter_map(|task| task.waits_for.as_mut())
    {
        name_descriptor(wait, &kind);
    }
}

/// What threads and tasks wait for.
pub(crate) fn all(process: &Process) -> impl Iterator<Item = &Wait> {
    let threads = process.threads.iter().filter_map(|t| t.waits_for.as_ref());
    let tasks = process.tasks.iter().filter_map(|t| t.waits_for.as_ref());
    threads.chain(tasks)
}

/// Whether somebody waits for a child.
pub(crate) fn needs_children(process: &Process) -> bool {
    all(process)
        .any(|wait| wait.child.is_some() || matches!(wait.kind, Kind::Child | Kind::Process))
}

/// Whether some wait can only be named once the descriptors are known.
pub(crate) fn needs_descriptors(process: &Process) -> bool {
    all(process).any(|wait| !wait.fds.is_empty()) || process.python.is_none()
}

/// A wait for one descriptor is for what that descriptor is.
fn name_descriptor(wait: &mut Wait, kind: &dyn Fn(i32) -> Option<Kind>) {
    let general = matches!(
        wait.kind,
        Kind::File | Kind::Unknown | Kind::Pipe | Kind::Socket
    );
    if let ([fd], true) = (wait.fds.as_slice(), general)
        && let Some(kind) = kind(*fd)
    {
        wait.kind = kind;
    }
}

fn kind_of(fd: &FdKind) -> Kind {
    match fd {
        FdKind::Pipe { .. } => Kind::Pipe,
        FdKind::Socket { .. } => Kind::Socket,
        FdKind::Terminal { .. } => Kind::Terminal,
        FdKind::File { .. } => Kind::File,
        FdKind::Other { .. } => Kind::Descriptors,
    }
}

/// What a thread that runs no Python waits for, by its system call.
fn native_wait(thread: &Thread, opened: &Opened) -> Option<Wait> {
    let call = thread.os.syscall.as_ref()?;
    let asks = blocking(call, thread.os.pc, &opened.memory);
    let (kind, operation) = match asks.name.as_str() {
        "read" | "readv" | "pread64" | "recvfrom" | "recvmsg" | "recvmmsg" => {
            (Kind::Unknown, Operation::Read)
        }
        "write" | "writev" | "pwrite64" | "sendto" | "sendmsg" | "sendmmsg" | "sendfile" => {
            (Kind::Unknown, Operation::Write)
        }
        "accept" | "accept4" => (Kind::Socket, Operation::Accept),
        "connect" => (Kind::Socket, Operation::Connect),
        "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait"
        | "epoll_pwait2" => (Kind::Descriptors, Operation::Select),
        "wait4" | "waitid" => (Kind::Child, Operation::Reap),
        "nanosleep" | "clock_nanosleep" => (Kind::Timer, Operation::Sleep),
        "pause" | "rt_sigsuspend" | "rt_sigtimedwait" => (Kind::Signal, Operation::Wait),
        "flock" | "fcntl" => (Kind::FileLock, Operation::Acquire),
        "open" | "openat" => (Kind::Pipe, Operation::Open),
        _ => return None,
    };
    Some(Wait {
        kind,
        address: None,
        inner_address: None,
        operation,
        name: None,
        place: Place {
            function: call.name.clone(),
            ..Place::default()
        },
        inner: None,
        timeout: asks.timeout,
        fds: asks.fds.iter().map(|wait| wait.fd).collect(),
        child: asks.child,
        any_of: Vec::new(),
        evidence: format!("its system call is {}", call.name),
        certainty: Certainty::Certain,
    })
}
