//! Going a way: what each door writes, how it is seen that the script was taken, and how it is taken back.

use crate::error::Shut;
use crate::remote::Mailbox;
use crate::ring::{Call, Ring, ring_bell};
use crate::script;
use crate::target::Target;
use crate::threads::Scene;
use crate::ways::Way;
use cpython::reader::Reader;
use process::{Argument, Errand, Hold, Patch, ReadError};
use snapshot::Address;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of stack that Python code may need, or the loading of a library.
const STACK_BYTES: u64 = 192 << 10;
/// RTLD_NOW.
const RTLD_NOW: u64 = 2;
/// What `PyGILState_Ensure` gives in a thread that has let go of the GIL (`PyGILState_UNLOCKED`).
const UNLOCKED: u64 = 1;
/// Most threads whose eval breakers are set at a time.
const BELLS_MAX: usize = 60;

/// What lies in the target, and waits to be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placed {
    Mailbox(Mailbox),
    Call {
        ring: Address,
        call: Call,
        /// Bytes at the call's argument to give back.
        lent: usize,
        /// Of the main thread's ring.
        main: bool,
    },
    /// The thread does it, and nothing can be taken back.
    OnItsWay,
}

/// What is handed over.
pub(crate) struct Load<'a> {
    pub script: &'a Path,
    pub library: Option<&'a Path>,
}

/// Puts what is handed over where the way begins.
pub(crate) fn place(
    target: &Target,
    hold: &Hold,
    scene: &Scene,
    way: Way,
    load: &Load<'_>,
) -> Result<Placed, Shut> {
    let reader = target.runtime.reader(&target.memory);
    match way {
        Way::Mailbox(tid) => {
            let mailbox = Mailbox::of(&reader, state_of(scene, tid)?)?;
            mailbox.put(&reader, hold, load.script)?;
            Ok(Placed::Mailbox(mailbox))
        }
        Way::MainCall | Way::AnyCall => {
            call(target, hold, scene, way == Way::MainCall, load.script)
        }
        Way::Errand(tid) => {
            let text = script::text(load.script).ok_or(Shut::Because("the path is none"))?;
            let run = target.run_string.ok_or(NO_FUNCTION)?;
            let (ensure, release) = target.gil_state.ok_or(NO_FUNCTION)?;
            let none = Argument::Number(0);
            send(
                target,
                hold,
                scene,
                tid,
                &text,
                &[
                    (ensure, [none, none]),
                    (run, [Argument::Data(0), none]),
                    (release, [Argument::Number(UNLOCKED), none]),
                ],
            )
        }
        Way::Library(tid) => {
            let library = load
                .library
                .ok_or(Shut::Because("there is no library to load"))?;
            let mut path = library.as_os_str().as_bytes().to_vec();
            path.push(0);
            let dlopen = target.dlopen().ok_or(Shut::Because(
                "the program loads no libraries: it has no dlopen",
            ))?;
            let arguments = [Argument::Data(0), Argument::Number(RTLD_NOW)];
            send(target, hold, scene, tid, &path, &[(dlopen, arguments)])
        }
    }
}

const NO_FUNCTION: Shut = Shut::Because("the interpreter's functions are not among its symbols");

fn state_of(scene: &Scene, tid: u32) -> Result<Address, Shut> {
    let thread = scene.threads.iter().find(|thread| thread.tid == tid);
    let thread = thread.ok_or(Shut::Because("the thread is no longer there"))?;
    Ok(thread.state)
}

fn send(
    target: &Target,
    hold: &Hold,
    scene: &Scene,
    tid: u32,
    data: &[u8],
    calls: &[(Address, [Argument; 2])],
) -> Result<Placed, Shut> {
    let restorer = target
        .restorer()
        .ok_or(Shut::Because("its libc is none that is known here"))?;
    let thread = scene.threads.iter().find(|thread| thread.tid == tid);
    let errand = Errand {
        calls,
        data,
        restorer,
        stack_bytes: STACK_BYTES,
        may_end_call: thread.is_some_and(|thread| thread.expects_interruption()),
    };
    hold.send(tid, &errand)?;
    Ok(Placed::OnItsWay)
}

/// Puts a call into a ring.
fn call(
    target: &Target,
    hold: &Hold,
    scene: &Scene,
    main: bool,
    script: &Path,
) -> Result<Placed, Shut> {
    let reader = target.runtime.reader(&target.memory);
    let function = target.run_string.ok_or(NO_FUNCTION)?;
    let text = script::text(script).ok_or(Shut::Because("the path is none"))?;
    let base = ring_of(target, &reader, scene, main)?;
    let ring = Ring::read(&reader, base)?;
    let (argument, lent) = place_for(target, &reader, scene, &text)?;
    let call = Call { function, argument };
    ring.push(&reader, hold, call, &text)?;
    let placed = Placed::Call {
        ring: base,
        call,
        lent,
        main,
    };
    remind(target, hold, scene, &placed)?;
    Ok(placed)
}

/// The ring of the main thread, or of any of the main interpreter's.
fn ring_of(
    target: &Target,
    reader: &Reader<'_>,
    scene: &Scene,
    main: bool,
) -> Result<Address, ReadError> {
    let (runtime, interpreter) = (
        reader.layout.runtime.pending,
        reader.layout.interpreter.pending,
    );
    if main && runtime.exists() {
        reader.place(target.runtime.address, runtime)
    } else {
        reader.place(scene.main_interpreter, interpreter)
    }
}

/// Where the text can lie until it was read, and how many bytes are to be given back: the main thread's place for a
/// remote debugger's path, which is for such things, else memory that belongs to nothing.
fn place_for(
    target: &Target,
    reader: &Reader<'_>,
    scene: &Scene,
    text: &[u8],
) -> Result<(Address, usize), Shut> {
    let main = scene.threads.iter().find(|thread| thread.main);
    if let Some(mailbox) = main.and_then(|main| Mailbox::of(reader, main.state).ok())
        && mailbox.path_bytes >= text.len() as u64
        && !mailbox.is_full(reader)?
    {
        return Ok((mailbox.path, 0));
    }
    let rings = [true, false].map(|main| ring_of(target, reader, scene, main));
    let rings: Vec<Ring> = (rings.into_iter().flatten())
        .filter_map(|base| Ring::read(reader, base).ok())
        .collect();
    let unused = |at| !rings.iter().any(|ring| ring.refers_to(reader, at));
    // What another unknot left behind that was killed, and no call refers to.
    let is_ours = |at, content: &[u8]| content.starts_with(script::MARK) && unused(at);
    let slack = target.slack(text.len() as u64, is_ours);
    let slack = slack.ok_or(Shut::Because(
        "there is no memory to put the script's name in",
    ))?;
    Ok((slack, text.len()))
}

/// Makes the evaluation loop look for it.
pub(crate) fn remind(
    target: &Target,
    hold: &Hold,
    scene: &Scene,
    placed: &Placed,
) -> Result<(), Shut> {
    let reader = target.runtime.reader(&target.memory);
    match placed {
        Placed::Mailbox(mailbox) => mailbox.ring(&reader, hold),
        Placed::Call { main, .. } => {
            let threads = scene.threads.iter().filter(|thread| !main || thread.main);
            let states: Vec<Address> = threads.map(|thread| thread.state).take(BELLS_MAX).collect();
            let runtime = target.runtime.address;
            ring_bell(&reader, hold, runtime, scene.main_interpreter, &states)
        }
        Placed::OnItsWay => Ok(()),
    }
}

/// Whether it was taken: the script has begun, or will begin whatever is done.
pub(crate) fn is_taken(target: &Target, placed: &Placed) -> Result<bool, ReadError> {
    let reader = target.runtime.reader(target.memory.memory());
    match placed {
        Placed::Mailbox(mailbox) => Ok(!mailbox.is_full(&reader)?),
        Placed::Call { ring, call, .. } => Ok(!Ring::read(&reader, *ring)?.has(&reader, *call)?),
        Placed::OnItsWay => Ok(true),
    }
}

/// Takes it back, or gives back what it needed once it was taken. All that was written is then as it was.
pub(crate) fn clear(target: &Target, hold: &Hold, placed: &Placed) -> Result<(), Shut> {
    let reader = target.runtime.reader(target.memory.memory());
    match placed {
        Placed::Mailbox(mailbox) if mailbox.is_full(&reader)? => mailbox.take_back(hold),
        Placed::Call {
            ring, call, lent, ..
        } => {
            let ring = Ring::read(&reader, *ring)?;
            if ring.has(&reader, *call)? {
                ring.take_out(&reader, hold, *call)?;
            }
            if *lent > 0 {
                hold.write(&[Patch::new(call.argument, vec![0; *lent])])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
