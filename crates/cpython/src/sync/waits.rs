//! What a thread waits for: from the system call and the call in flight outwards to what the program called.

use super::blocked::Blocked;
use super::forms::{Form, form_of, kind_of};
use super::insight::Call;
use super::locks::{lock_is_locked, parked_on, sleeps_in};
use crate::reader::Reader;
use snapshot::{Address, Certainty, Kind, Operation, Timeout};

/// A wait, on its way from the system call to the program's own code.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub kind: Kind,
    pub operation: Operation,
    /// The object called.
    pub address: Option<Address>,
    /// The object slept on.
    pub inner: Option<Address>,
    pub any_of: Vec<Address>,
    /// Its name, where that is no expression of the program's.
    pub name: Option<String>,
    pub limit: Timeout,
    pub fds: Vec<i32>,
    pub child: Option<i64>,
    pub evidence: String,
    pub certainty: Certainty,
}

impl Found {
    fn new(kind: Kind, operation: Operation, limit: Timeout, evidence: impl Into<String>) -> Found {
        Found {
            kind,
            operation,
            address: None,
            inner: None,
            any_of: Vec::new(),
            name: None,
            limit,
            fds: Vec::new(),
            child: None,
            evidence: evidence.into(),
            certainty: Certainty::Certain,
        }
    }

    fn on(mut self, object: Address) -> Found {
        self.address = Some(object);
        self.inner = Some(object);
        self
    }

    fn with_fds(mut self, fds: Vec<i32>) -> Found {
        self.fds = fds;
        self
    }
}

/// What the innermost frame waits for, given what the kernel says and the call that the frame makes.
/// `variables` are the objects that it has at hand, looked through where the call does not tell.
pub(super) fn innermost(
    reader: &Reader<'_>,
    blocked: &Blocked,
    call: Option<&Call>,
    variables: impl FnOnce() -> Vec<Address>,
) -> Option<Found> {
    let shown = call.map(|call| call.callable.shown());
    let doing = shown.as_deref().unwrap_or("native code");
    let receiver = call.and_then(|call| call.callable.receiver);
    let socket = receiver.filter(|object| reader.is_instance(*object, "_socket", "socket"));
    let stream = |operation, fd: i32| {
        let kind = if socket.is_some() {
            Kind::Socket
        } else {
            Kind::File
        };
        let evidence = format!("{doing} is in a system call on descriptor {fd}");
        let found = Found::new(kind, operation, Timeout::Forever, evidence).with_fds(vec![fd]);
        Some(Found {
            address: socket,
            ..found
        })
    };
    match blocked {
        Blocked::No | Blocked::Other(_) => None,
        Blocked::Unknown => without_kernel(reader, call?),
        Blocked::Futex { word, limit } => on_futex(reader, *word, *limit, call, variables),
        Blocked::Read(fd) => stream(Operation::Read, *fd),
        Blocked::Write(fd) => stream(Operation::Write, *fd),
        Blocked::Accept(fd) => stream(Operation::Accept, *fd),
        Blocked::Connect(fd) => stream(Operation::Connect, *fd),
        Blocked::Select(fds, limit) => Some(selecting(call, socket, fds, *limit, doing)),
        Blocked::Sleep => Some(Found::new(
            Kind::Timer,
            Operation::Sleep,
            Timeout::Limited,
            format!("{doing} sleeps"),
        )),
        Blocked::Reap(pid) => {
            let evidence = format!("{doing} waits in the kernel for child {pid}");
            let mut found = Found::new(Kind::Child, Operation::Reap, Timeout::Forever, evidence);
            found.child = Some(*pid);
            Some(found)
        }
        Blocked::Signal(limit) => Some(Found::new(
            Kind::Signal,
            Operation::Wait,
            *limit,
            format!("{doing} waits for a signal"),
        )),
        Blocked::FileLock(fd) => Some(
            Found::new(
                Kind::FileLock,
                Operation::Acquire,
                Timeout::Forever,
                format!("{doing} waits for a lock on descriptor {fd}"),
            )
            .with_fds(vec![*fd]),
        ),
        Blocked::Open => Some(Found::new(
            Kind::Pipe,
            Operation::Open,
            Timeout::Forever,
            format!("{doing} waits for the other end to be opened"),
        )),
    }
}

/// A `poll`, `select` or `epoll_wait`: also how sockets with a timeout wait, and how some sleep.
fn selecting(
    call: Option<&Call>,
    socket: Option<Address>,
    fds: &[i32],
    limit: Timeout,
    doing: &str,
) -> Found {
    if fds.is_empty() && limit == Timeout::Limited {
        let evidence = format!("{doing} sleeps");
        return Found::new(Kind::Timer, Operation::Sleep, limit, evidence);
    }
    let evidence = format!("{doing} waits for descriptors {fds:?}");
    let name = call.map_or("", |call| call.callable.name.as_str());
    let (kind, operation) = match socket {
        None => (Kind::Descriptors, Operation::Select),
        Some(_) if name.contains("accept") => (Kind::Socket, Operation::Accept),
        Some(_) if name.contains("connect") => (Kind::Socket, Operation::Connect),
        Some(_) if name.contains("send") => (Kind::Socket, Operation::Write),
        Some(_) => (Kind::Socket, Operation::Read),
    };
    let found = Found::new(kind, operation, limit, evidence).with_fds(fds.to_vec());
    Found {
        address: socket,
        ..found
    }
}

/// What waiting for an object of this form is, where C code itself sleeps on it.
fn native_wait(reader: &Reader<'_>, object: Address, form: Form) -> Option<(Kind, Operation)> {
    Some(match form {
        Form::Lock => (Kind::Lock, Operation::Acquire),
        Form::RLock => (Kind::RLock, Operation::Acquire),
        Form::SimpleQueue => (Kind::SimpleQueue, Operation::Get),
        Form::SemLock => (kind_of(reader, object, form), Operation::Acquire),
        Form::ThreadHandle => (Kind::Thread, Operation::Join),
        _ => return None,
    })
}

fn on_futex(
    reader: &Reader<'_>,
    word: Address,
    limit: Timeout,
    call: Option<&Call>,
    variables: impl FnOnce() -> Vec<Address>,
) -> Option<Found> {
    let receiver = call.and_then(|call| call.callable.receiver);
    if let Some(object) = receiver
        && let Some(form) = form_of(reader, object)
        && let Some((kind, operation)) = native_wait(reader, object, form)
    {
        let sleeps = sleeps_in(reader, object, form, word);
        let shown = call.map(|call| call.callable.shown()).unwrap_or_default();
        let evidence = if sleeps {
            format!("{shown} is being called on it, and the thread sleeps on its futex {word}")
        } else {
            format!("{shown} is being called on it, and the thread sleeps on a futex")
        };
        let mut found = Found::new(kind, operation, limit, evidence).on(object);
        if !sleeps {
            found.certainty = Certainty::Probable;
        }
        return Some(found);
    }
    if let Some(call) = call.filter(|call| call.callable.foreign) {
        return foreign_futex(reader, word, limit, call);
    }
    let by_word = variables().into_iter().find_map(|object| {
        let form = form_of(reader, object)?;
        let (kind, operation) = native_wait(reader, object, form)?;
        sleeps_in(reader, object, form, word).then(|| {
            let evidence = format!("the thread sleeps on its futex {word}");
            Found::new(kind, operation, limit, evidence).on(object)
        })
    });
    by_word.or_else(|| foreign_futex(reader, word, limit, call?))
}

/// A futex that is none of a lock object's: inside other C code.
fn foreign_futex(reader: &Reader<'_>, word: Address, limit: Timeout, call: &Call) -> Option<Found> {
    let shown = call.callable.shown();
    match (call.callable.owner.as_str(), call.callable.name.as_str()) {
        ("_thread", "_shutdown") => {
            let evidence = "the interpreter waits for its threads to end".to_owned();
            let mut found = Found::new(Kind::Thread, Operation::Join, limit, evidence);
            found.inner = parked_on(reader, word);
            Some(found)
        }
        ("_imp", "acquire_lock") => {
            let evidence = "the old global import lock is being taken".to_owned();
            Some(Found::new(
                Kind::ModuleLock,
                Operation::Import,
                limit,
                evidence,
            ))
        }
        _ if !call.callable.native => None,
        _ => {
            let evidence = format!("the thread sleeps on futex {word} inside {shown}");
            let mut found =
                Found::new(Kind::NativeMutex, Operation::Acquire, limit, evidence).on(word);
            if !call.callable.foreign {
                found.certainty = Certainty::Probable;
            }
            Some(found)
        }
    }
}

/// Without a word from the kernel (a core file) the call in flight must do, with the lock's own state.
fn without_kernel(reader: &Reader<'_>, call: &Call) -> Option<Found> {
    let shown = call.callable.shown();
    if shown == "time.sleep" {
        let evidence = "time.sleep is being called";
        return Some(Found::new(
            Kind::Timer,
            Operation::Sleep,
            Timeout::Limited,
            evidence,
        ));
    }
    let object = call.callable.receiver?;
    let form = form_of(reader, object)?;
    let (kind, operation) = native_wait(reader, object, form)?;
    if form == Form::Lock && lock_is_locked(reader, object) == Some(false) {
        return None;
    }
    let evidence = format!("{shown} is being called on it");
    let mut found = Found::new(kind, operation, Timeout::Unknown, evidence).on(object);
    found.certainty = Certainty::Probable;
    Some(found)
}
