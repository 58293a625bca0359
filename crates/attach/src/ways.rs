//! Which ways in there are, the best first: a pure function of what the threads are doing.

use crate::Door;
use crate::error::Tried;
use crate::threads::{Candidate, Place, Scene, Sleep};
use cpython::sync::AfterInterruption;

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// PEP 768, in this thread.
    Mailbox(u32),
    /// A pending call for the main thread.
    MainCall,
    /// A pending call for whichever thread looks first.
    AnyCall,
    /// This thread makes the call itself, before it goes on with its system call.
    Errand(u32),
    /// This thread loads a library.
    Library(u32),
}

impl Way {
    pub fn door(self) -> Door {
        match self {
            Way::Mailbox(_) => Door::RemoteDebugger,
            Way::MainCall | Way::AnyCall => Door::PendingCall,
            Way::Errand(_) => Door::BorrowedThread,
            Way::Library(_) => Door::LoadedLibrary,
        }
    }
}

/// A way, and the thread that must be woken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub way: Way,
    pub wake: Option<u32>,
}

/// What can be done in a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means {
    /// It has PEP 768.
    pub mailbox: bool,
    /// Its interpreters have a ring of pending calls of their own, beside the main thread's.
    pub any_ring: bool,
    /// Threads may be sent on an errand.
    pub errand: bool,
    /// A library may be loaded.
    pub library: bool,
    /// Sleeping threads may be woken.
    pub kick: bool,
    /// Only this thread will do.
    pub only: Option<u32>,
}

/// The ways in, the best first, and why others are none.
pub(crate) fn ways(scene: &Scene, means: Means) -> (Vec<Step>, Vec<Tried>) {
    let (mut steps, mut shut) = (Vec::new(), Vec::new());
    let wanted = |thread: &&Candidate| means.only.is_none_or(|tid| tid == thread.tid);
    let mut threads: Vec<&Candidate> = scene.threads.iter().filter(wanted).collect();
    // The main thread before all others, then those that run.
    threads.sort_by_key(|thread| (!thread.main, thread.place != Place::Runs));
    let mut take = |way: Result<Step, Tried>| match way {
        Ok(step) if !steps.contains(&step) => steps.push(step),
        Ok(_) => {}
        Err(tried) => shut.push(tried),
    };
    for thread in &threads {
        take(direct(thread, means));
    }
    if means.errand && means.kick {
        for thread in &threads {
            take(errand(scene, thread, means));
        }
    }
    if means.library && means.kick {
        for thread in &threads {
            take(library(thread));
        }
    }
    // At last: to hand it over to one that sleeps, and to wait until it wakes by itself.
    for thread in &threads {
        let way = match () {
            () if means.mailbox => Way::Mailbox(thread.tid),
            () if thread.main => Way::MainCall,
            () => continue,
        };
        if !steps.iter().any(|step| step.way == way) {
            steps.push(Step { way, wake: None });
        }
    }
    (steps, shut)
}

fn tried(thread: &Candidate, door: Door, why: impl Into<String>) -> Tried {
    Tried {
        door,
        tid: Some(thread.tid),
        place: thread.shown.clone(),
        why: why.into(),
    }
}

/// The thread's own way, which it takes by itself or when it is woken.
fn direct(thread: &Candidate, means: Means) -> Result<Step, Tried> {
    let door = if means.mailbox {
        Door::RemoteDebugger
    } else {
        Door::PendingCall
    };
    let no = |why: &str| Err(tried(thread, door, why));
    let sleep = match &thread.place {
        Place::Runs => {
            let way = match () {
                () if means.mailbox => Way::Mailbox(thread.tid),
                () if thread.main => Way::MainCall,
                () if means.any_ring && means.only.is_none() => Way::AnyCall,
                () => return no("in this version only the main thread makes pending calls"),
            };
            return Ok(Step { way, wake: None });
        }
        Place::Sleeps(sleep) => sleep,
    };
    if !means.kick {
        return no("it sleeps, and may not be woken");
    }
    if sleep.native.after == AfterInterruption::Unknown {
        return no(
            "the C function that it is in is not CPython's own: a system call of it is not interrupted",
        );
    }
    if !sleep.may_end() {
        return no("its system call would be ended half-way: it is not interrupted");
    }
    let wake = Some(thread.tid);
    match sleep.native.after {
        AfterInterruption::LooksForSignals if means.mailbox => Ok(Step {
            way: Way::Mailbox(thread.tid),
            wake,
        }),
        AfterInterruption::LooksForCalls if thread.main => Ok(Step {
            way: Way::MainCall,
            wake,
        }),
        AfterInterruption::LooksForCalls => {
            no("woken from a lock, only the main thread looks for calls")
        }
        _ => no("in this version, woken from this call, it looks for signals alone"),
    }
}

fn errand(scene: &Scene, thread: &Candidate, means: Means) -> Result<Step, Tried> {
    let no = |why: &str| Err(tried(thread, Door::BorrowedThread, why));
    let sleep = asleep(thread, Door::BorrowedThread)?;
    // It would wait for the GIL. Whoever has that can be asked without detours, and if it does not look it does not let
    // go of the GIL either.
    let asked = |holder: &&Candidate| means.mailbox || means.any_ring || holder.main;
    let holder = (scene.threads.iter()).find(|other| Some(other.state) == scene.gil_holder);
    if holder.filter(asked).is_some() {
        return no("another thread has the GIL");
    }
    if !thread.detached {
        return no("it has not let go of the interpreter");
    }
    if !sleep.may_wait() {
        return no("in this system call it may have locks that are needed");
    }
    Ok(Step {
        way: Way::Errand(thread.tid),
        wake: None,
    })
}

fn library(thread: &Candidate) -> Result<Step, Tried> {
    let sleep = asleep(thread, Door::LoadedLibrary)?;
    if !sleep.may_wait() || sleep.call.name.starts_with("futex") {
        let why = "in this system call it may have locks that are needed";
        return Err(tried(thread, Door::LoadedLibrary, why));
    }
    Ok(Step {
        way: Way::Library(thread.tid),
        wake: None,
    })
}

fn asleep(thread: &Candidate, door: Door) -> Result<&Sleep, Tried> {
    match &thread.place {
        Place::Sleeps(sleep) => Ok(sleep),
        Place::Runs => Err(tried(thread, door, "it is not asleep in a system call")),
    }
}
