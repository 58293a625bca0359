//! The threads of a process that is held still, as far as it matters for entering it.

use crate::target::Target;
use cpython::interpreter::{Interp, interpreters};
use cpython::reader::Reader;
use cpython::sync::{AfterInterruption, NativeCall, native_call};
use cpython::threads::RawThread;
use process::arch::Interruption;
use process::{Hold, ReadError};
use snapshot::{Address, Syscall};

/// A thread that Python knows.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// Its id in unknot's numbering.
    pub tid: u32,
    /// Its `PyThreadState`.
    pub state: Address,
    /// Whether it is the interpreter's main thread, which alone runs the calls of the main ring.
    pub main: bool,
    pub place: Place,
    /// Whether it is in no state in which other code of Python's must not run in it.
    pub detached: bool,
    /// For people: its innermost function and line, and the C function that it is in.
    pub shown: Option<String>,
}

/// What a thread is doing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// It executes something, or waits for the GIL: it will look by itself, unless it is in C code.
    Runs,
    /// It sleeps in a system call.
    Sleeps(Sleep),
}

/// A system call that a thread sleeps in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sleep {
    pub call: Syscall,
    pub interruption: Interruption,
    pub native: NativeCall,
    /// For a futex: whether it is that of the lock which the C function waits for.
    pub in_its_lock: bool,
}

/// What was found under a hold.
pub(crate) struct Scene {
    pub main_interpreter: Address,
    /// The main interpreter's threads that are held, the main thread first.
    pub threads: Vec<Candidate>,
    /// The thread that has the GIL, where one has.
    pub gil_holder: Option<Address>,
}

/// Looks at the threads.
pub(crate) fn look(target: &Target, hold: &Hold) -> Result<Scene, ReadError> {
    target.memory.clear();
    target.runtime.caches.begin_look();
    let reader = target.runtime.reader(&target.memory);
    let all = interpreters(&reader, &target.runtime)?;
    let main = all
        .first()
        .ok_or(ReadError::Nonsense(target.runtime.address))?;
    let main_ident = reader.get(target.runtime.address, reader.layout.runtime.main_thread);
    let main_ident: Option<u64> = main_ident.ok();
    let idents = || {
        all.iter()
            .flat_map(|interp| &interp.threads)
            .map(|thread| thread.ident)
    };
    let mut threads: Vec<Candidate> = (main.threads.iter())
        .filter_map(|thread| {
            let held = hold.threads().iter().find(|held| {
                let pointer = held.registers.map(|registers| registers.thread_pointer().0);
                pointer == Some(thread.ident) && thread.ident != 0
            })?;
            let place = place(&reader, main, thread, held.registers?);
            let alone = idents().filter(|ident| *ident == thread.ident).count() == 1;
            Some(Candidate {
                tid: held.tid,
                state: thread.state,
                main: main_ident == Some(thread.ident)
                    || (main_ident.is_none() && held.tid == target.pid),
                detached: alone && is_detached(&reader, thread),
                shown: shown(thread, &place),
                place,
            })
        })
        .collect();
    threads.sort_by_key(|thread| !thread.main);
    Ok(Scene {
        main_interpreter: main.address,
        gil_holder: main.gil.and_then(|gil| gil.holder),
        threads,
    })
}

fn place(
    reader: &Reader<'_>,
    interp: &Interp,
    thread: &RawThread,
    registers: process::arch::Registers,
) -> Place {
    let (Some(call), Some(interruption)) = (registers.syscall(), registers.interruption()) else {
        return Place::Runs;
    };
    let futex = call
        .name
        .starts_with("futex")
        .then(|| Address(call.args[0]));
    if let (Some(word), Some(gil)) = (futex, &interp.gil)
        && gil.contains(word)
    {
        return Place::Runs;
    }
    let native = match thread.frames.first() {
        Some(frame) => native_call(reader, frame),
        None => NativeCall {
            shown: String::new(),
            after: AfterInterruption::Unknown,
            receiver: None,
        },
    };
    let in_its_lock = futex.is_some_and(|word| native.sleeps_in_its_lock(reader, word));
    Place::Sleeps(Sleep {
        call,
        interruption,
        native,
        in_its_lock,
    })
}

/// Whether the thread has let go of the interpreter (`Py_BEGIN_ALLOW_THREADS`) with no exception on its way.
fn is_detached(reader: &Reader<'_>, thread: &RawThread) -> bool {
    const DETACHED: i32 = 0;
    let fields = &reader.layout.thread_state;
    let exception = reader.get(thread.state, fields.current_exception);
    let attached = match reader.get(thread.state, fields.state) {
        Ok(state) => state != DETACHED,
        Err(ReadError::Absent) => thread.holds_gil,
        Err(_) => true,
    };
    exception.is_ok_and(Address::is_null) && !attached && !thread.holds_gil
}

fn shown(thread: &RawThread, place: &Place) -> Option<String> {
    let frame = thread.frames.first()?;
    let line = frame.line().unwrap_or(0);
    let mut shown = format!("{} at {}:{line}", frame.code.qualname, frame.code.file);
    if let Place::Sleeps(sleep) = place {
        match sleep.native.shown.as_str() {
            "" => shown.push_str(&format!(", in the system call {}", sleep.call.name)),
            native => shown.push_str(&format!(", in {native}, system call {}", sleep.call.name)),
        }
    }
    Some(shown)
}

impl Sleep {
    /// Whether this call may end with EINTR and nothing is lost: its caller is CPython's own, and it has done nothing by
    /// half.
    pub fn may_end(&self) -> bool {
        let plain = match self.call.name.as_str() {
            "read" | "recvfrom" | "recvmsg" | "accept" | "accept4" | "poll" | "ppoll"
            | "select" | "pselect6" | "epoll_wait" | "epoll_pwait" | "nanosleep"
            | "clock_nanosleep" | "wait4" | "waitid" | "flock" | "open" | "openat" => true,
            // F_SETLKW and F_OFD_SETLKW.
            "fcntl" => matches!(self.call.args[1], 7 | 38),
            "futex" | "futex_waitv" => true,
            _ => false,
        };
        plain
            && !process::ends_half_way(&self.call)
            && self.native.after != AfterInterruption::Unknown
    }

    /// Whether the thread may do something else before it goes on with this call: libc makes it with no locks of its
    /// own held.
    pub fn may_wait(&self) -> bool {
        match self.call.name.as_str() {
            "read" | "recvfrom" | "recvmsg" | "accept" | "accept4" | "poll" | "ppoll"
            | "select" | "pselect6" | "epoll_wait" | "epoll_pwait" | "nanosleep"
            | "clock_nanosleep" | "wait4" | "waitid" | "flock" => {
                !process::ends_half_way(&self.call)
            }
            "futex" => self.in_its_lock,
            _ => false,
        }
    }
}

impl Candidate {
    /// Whether the C function that it sleeps in expects its system call to end with EINTR.
    pub fn expects_interruption(&self) -> bool {
        matches!(&self.place, Place::Sleeps(sleep) if sleep.may_end())
    }
}
