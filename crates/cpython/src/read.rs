//! One reading of a process: interpreters, threads, tasks and locks, put together.

use crate::frame::RawFrame;
use crate::interpreter::{Interp, interpreters};
use crate::reader::Reader;
use crate::render::RenderLimits;
use crate::runtime::Runtime;
use crate::sync::{self, Origins, ThreadInput};
use crate::tasks::{self, TaskSeen};
use crate::threads::{PTHREAD_BYTES, RawThread, kernel_id, thread_objects};
use process::{Memory, ReadError};
use snapshot::{
    Address, Ended, Frame, GilState, Local, Operation, OsThread, SyncObject, SyncState, Task,
    TaskState, Thread, ThreadState, Timeout,
};
use std::collections::{BTreeMap, HashMap};

/// Longest name of a thread that is read.
const NAME_LIMIT_CHARS: usize = 200;
/// Most local variables of one frame that are read.
const LOCALS_MAX: usize = 200;

/// A thread of the process as the kernel shows it.
#[derive(Debug, Clone)]
pub struct KernelThread {
    /// Its id in unknot's PID namespace.
    pub tid: u32,
    /// Its id in the target's PID namespace; the same where there is only one.
    pub ns_tid: u32,
    /// What the kernel says of it.
    pub os: OsThread,
}

/// What to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Local variables.
    pub locals: bool,
}

/// What was read of a process.
#[derive(Debug, Default)]
pub struct Reading {
    /// Python's threads, the main one first, then those that run no Python.
    pub threads: Vec<Thread>,
    /// asyncio's tasks.
    pub tasks: Vec<Task>,
    /// Synchronisation objects.
    pub objects: Vec<SyncObject>,
    /// Threads that ended.
    pub ended: Vec<Ended>,
    /// How often the main interpreter's GIL has changed hands.
    pub gil_switches: Option<u64>,
    /// What could not be read.
    pub notes: Vec<String>,
    /// For whoever looks further: the frames of each thread and task, and the interpreters.
    pub raw: Raw,
}

/// What was read of a task.
#[derive(Debug)]
pub struct RawTask {
    /// The Task object.
    pub address: Address,
    /// Its frames, from the innermost outwards.
    pub frames: Vec<RawFrame>,
    /// What is called when it is done.
    pub callbacks: Vec<Address>,
}

/// What a reading was made from.
#[derive(Debug, Default)]
pub struct Raw {
    /// The interpreters with their threads.
    pub interpreters: Vec<Interp>,
    /// The tasks.
    pub tasks: Vec<RawTask>,
    /// Loops and what each will call by itself.
    pub loops: Vec<(Address, Vec<tasks::Source>)>,
    /// `threading.Thread` objects by `get_ident()`.
    pub thread_objects: HashMap<u64, Address>,
}

/// Reads all of a process. What cannot be read is left out and noted.
///
/// # Errors
/// When not even the list of interpreters can be read.
pub fn read(
    memory: &dyn Memory,
    runtime: &Runtime,
    pid: u32,
    kernel: &[KernelThread],
    wanted: Wanted,
) -> Result<Reading, ReadError> {
    runtime.caches.begin_look();
    let reader = runtime.reader(memory);
    let interps = interpreters(&reader, runtime)?;
    let mut reading = Reading::default();
    let main_ident = reader
        .get(runtime.address, reader.layout.runtime.main_thread)
        .unwrap_or(0u64);
    let mut claimed = HashMap::new();
    let by_ns_tid = kernel
        .iter()
        .map(|thread| (thread.ns_tid, thread))
        .collect();
    for interp in &interps {
        let look = Look {
            reader: &reader,
            runtime,
            interp,
            kernel,
            by_ns_tid: &by_ns_tid,
            pid,
            main_ident,
            wanted,
        };
        look.interpreter(&mut reading, &mut claimed);
    }
    for thread in kernel
        .iter()
        .filter(|thread| !claimed.contains_key(&thread.tid))
    {
        reading.threads.push(native_thread(thread, pid));
    }
    reading
        .threads
        .sort_by_key(|thread| (thread.interpreter.is_none(), !thread.main));
    reading.raw.interpreters = interps;
    Ok(reading)
}

/// One interpreter's turn.
struct Look<'a> {
    reader: &'a Reader<'a>,
    runtime: &'a Runtime,
    interp: &'a Interp,
    kernel: &'a [KernelThread],
    by_ns_tid: &'a HashMap<u32, &'a KernelThread>,
    pid: u32,
    main_ident: u64,
    wanted: Wanted,
}

impl Look<'_> {
    /// `claimed` gets the kernel's threads that belong to a Python thread.
    fn interpreter(&self, reading: &mut Reading, claimed: &mut HashMap<u32, ()>) {
        let reader = self.reader;
        if self.interp.cut {
            reading.notes.push(format!(
                "the threads of interpreter {} could not all be read",
                self.interp.id
            ));
        }
        let objects_of_threads = thread_objects(reader, self.interp);
        let origins = Origins::of(reader, self.interp.address);
        let mut found: Vec<(Thread, &RawThread)> = Vec::new();
        self.prefetch_pthreads();
        for raw in self.interp.threads.iter() {
            let object = objects_of_threads.get(&raw.ident).copied();
            let Some(kernel) = self.kernel_thread(raw, object) else {
                continue;
            };
            // Two interpreters may share a kernel thread; each shows its own frames.
            claimed.insert(kernel.tid, ());
            found.push((self.thread(raw, kernel, object), raw));
        }
        let inputs: Vec<ThreadInput<'_>> = found
            .iter()
            .map(|(thread, raw)| ThreadInput {
                raw,
                os: &thread.os,
                ns_tid: thread.ns_tid.unwrap_or(thread.tid),
                name: &thread.name,
            })
            .collect();
        let tids: HashMap<u64, u32> = found
            .iter()
            .map(|(thread, raw)| (raw.ident, thread.tid))
            .collect();
        let tasks = tasks::inspect(reader, self.interp, &origins, &|ident| {
            tids.get(&ident).copied()
        });
        let report = sync::inspect(reader, self.runtime, self.interp, &inputs, &tasks.foreign);

        for ((thread, raw), sync) in found.iter_mut().zip(report.per_thread) {
            thread.frames = raw
                .frames
                .iter()
                .map(|frame| self.frame(frame, &origins))
                .collect();
            for (frame, calls) in thread.frames.iter_mut().zip(sync.calls) {
                frame.calls = calls;
            }
            thread.running_task = tasks.running.get(&raw.ident).copied();
            thread.waits_for = sync.waits_for;
            thread.holds = sync.holds;
            thread.gil = match (raw.holds_gil, sync.waits_for_gil) {
                (true, _) => GilState::Holds,
                (false, true) => GilState::Waits,
                (false, false) => GilState::None,
            };
            thread.state = state(thread, sync.state_hint, sync.idle);
        }
        self.tasks(reading, tasks.tasks, &found, &origins);
        merge(&mut reading.objects, report.objects);
        merge(&mut reading.objects, tasks.objects);
        bring(&mut reading.objects, &tasks.brought);
        reading.raw.loops.extend(tasks.loops);
        reading.ended.extend(report.ended);
        reading.notes.extend(report.notes);
        reading.notes.extend(tasks.notes);
        reading.raw.thread_objects.extend(objects_of_threads);
        if self.interp.id == 0 {
            reading.gil_switches = self.interp.gil.as_ref().and_then(|gil| {
                reader
                    .get(gil.address, reader.layout.gil.switch_number)
                    .ok()
            });
        }
        reading
            .threads
            .extend(found.into_iter().map(|(thread, _)| thread));
    }

    /// The kernel's thread behind a Python thread: by its own note of it, by `threading`'s, as the main thread,
    /// or by what libc keeps in the `pthread_t`.
    fn kernel_thread(&self, raw: &RawThread, object: Option<Address>) -> Option<&KernelThread> {
        let by_ns_tid = |ns_tid: u32| self.by_ns_tid.get(&ns_tid).copied();
        let noted = raw.native_id.and_then(by_ns_tid);
        let by_object = || {
            let id = self.reader.attribute(object?, "_native_id").ok()??;
            by_ns_tid(u32::try_from(self.reader.int(id).ok()?).ok()?)
        };
        let main = || {
            let is_main = raw.ident == self.main_ident && self.main_ident != 0;
            is_main
                .then(|| self.kernel.iter().find(|thread| thread.tid == self.pid))
                .flatten()
        };
        noted
            .or_else(|| self.by_pthread(raw.ident))
            .or_else(main)
            .or_else(by_object)
    }

    /// Brings in what [`Look::by_pthread`] will read, where the threads' numbers are noted nowhere else (up to 3.10).
    fn prefetch_pthreads(&self) {
        let threads = self.interp.threads.iter();
        let unknown = threads.filter(|raw| raw.native_id.is_none());
        let ranges: Vec<(Address, u64)> = unknown
            .map(|raw| (Address(raw.ident), PTHREAD_BYTES as u64))
            .collect();
        self.reader.memory.prefetch_alone(&ranges);
    }

    fn by_pthread(&self, ident: u64) -> Option<&KernelThread> {
        let id = kernel_id(self.reader, ident, |id| self.by_ns_tid.contains_key(&id))?;
        self.by_ns_tid.get(&id).copied()
    }

    fn thread(&self, raw: &RawThread, kernel: &KernelThread, object: Option<Address>) -> Thread {
        let reader = self.reader;
        let attribute =
            |name: &str| object.and_then(|at| reader.attribute(at, name).ok().flatten());
        let main = kernel.tid == self.pid;
        let name = attribute("_name").and_then(|name| reader.string(name, NAME_LIMIT_CHARS).ok());
        Thread {
            tid: kernel.tid,
            ns_tid: (kernel.ns_tid != kernel.tid).then_some(kernel.ns_tid),
            ident: Some(raw.ident),
            name: name.unwrap_or_else(|| {
                if main {
                    "MainThread".to_owned()
                } else {
                    kernel.os.comm.clone()
                }
            }),
            main,
            daemon: attribute("_daemonic").and_then(|flag| reader.truth(flag).ok()),
            thread_object: object,
            interpreter: Some(raw.interpreter),
            os: kernel.os.clone(),
            frames_cut: raw.cut,
            steps: reader
                .get(raw.state, reader.layout.thread_state.context_ver)
                .ok(),
            ..Thread::default()
        }
    }

    fn frame(&self, raw: &RawFrame, origins: &Origins) -> Frame {
        Frame {
            function: raw.code.qualname.to_string(),
            file: raw.code.file.to_string(),
            line: raw.line().unwrap_or(0),
            first_line: u32::try_from(raw.code.first_line).unwrap_or(0),
            column: raw.column(),
            native: false,
            origin: origins.of_frame(self.reader, raw),
            calls: None,
            locals: if self.wanted.locals {
                self.locals(raw)
            } else {
                Vec::new()
            },
        }
    }

    fn locals(&self, raw: &RawFrame) -> Vec<Local> {
        let reader = self.reader;
        let limits = RenderLimits::default();
        let local = |name: &str, value: Address| Local {
            name: name.to_owned(),
            type_name: reader
                .class_of(value)
                .map(|class| class.name.to_string())
                .unwrap_or_default(),
            value: reader.render(value, &limits),
        };
        let mut locals = Vec::new();
        for name in raw
            .code
            .locals(reader)
            .unwrap_or(&[])
            .iter()
            .filter(|name| !name.hidden)
            .take(LOCALS_MAX)
        {
            if let Some(value) = raw.slot(reader, name.slot) {
                locals.push(local(&name.name, value));
            }
        }
        // A module's or class body's variables are those of its namespace, without what every module has.
        if !raw.namespace.is_null() {
            for (key, value) in reader
                .dict_items(raw.namespace, LOCALS_MAX)
                .unwrap_or_default()
            {
                let name = reader.string(key, NAME_LIMIT_CHARS).unwrap_or_default();
                if !(name.starts_with("__") && name.ends_with("__")) {
                    locals.push(local(&name, value));
                }
            }
        }
        locals
    }

    fn tasks(
        &self,
        reading: &mut Reading,
        seen: Vec<TaskSeen>,
        threads: &[(Thread, &RawThread)],
        origins: &Origins,
    ) {
        for TaskSeen {
            mut task,
            frames,
            callbacks,
            ..
        } in seen
        {
            if matches!(task.state, TaskState::Finished | TaskState::Cancelled) {
                continue;
            }
            if task.scheduled && !sleeps_on(threads, &task) {
                // What it waited for is over.
                task.waits_for = None;
            }
            if task.state == TaskState::Running {
                task.frames = threads
                    .iter()
                    .find(|(thread, _)| thread.running_task == Some(task.address))
                    .map(|(thread, _)| step_frames(&thread.frames))
                    .unwrap_or_default();
            } else {
                task.frames = frames
                    .iter()
                    .map(|frame| self.frame(frame, origins))
                    .collect();
            }
            if task.state == TaskState::Pending {
                task.holds = sync::holds_of_frames(self.reader, &frames, origins);
                let held: Vec<Address> = task.holds.iter().map(|hold| hold.address).collect();
                merge(
                    &mut reading.objects,
                    held.iter()
                        .filter_map(|at| tasks::primitives::read(self.reader, *at))
                        .collect(),
                );
                merge(&mut reading.objects, sync::describe(self.reader, &held));
            }
            reading.raw.tasks.push(RawTask {
                address: task.address,
                frames,
                callbacks,
            });
            reading.tasks.push(task);
        }
    }
}

/// Whether the thread of a task's loop sleeps without an end in the loop's own select.
fn sleeps_on(threads: &[(Thread, &RawThread)], task: &Task) -> bool {
    let thread = threads
        .iter()
        .find(|(thread, _)| Some(thread.tid) == task.loop_tid);
    thread.is_some_and(|(thread, _)| {
        thread.running_task.is_none()
            && thread.waits_for.as_ref().is_some_and(|wait| {
                wait.operation == Operation::Select && wait.timeout == Timeout::Forever
            })
    })
}

/// Of a thread that runs a step of a task: the task's own frames, up to asyncio's that runs the step.
fn step_frames(frames: &[Frame]) -> Vec<Frame> {
    let runs_step = |frame: &Frame| {
        frame.file.ends_with("asyncio/events.py") && frame.function.ends_with("_run")
    };
    let end = frames.iter().position(runs_step).unwrap_or(frames.len());
    frames.get(..end).unwrap_or_default().to_vec()
}

fn state(thread: &Thread, hint: Option<ThreadState>, idle: bool) -> ThreadState {
    if idle {
        return ThreadState::Idle;
    }
    if let Some(hint) = hint {
        return hint;
    }
    let calls_c = thread
        .frames
        .first()
        .is_some_and(|frame| frame.calls.is_some());
    match (thread.os.state, thread.waits_for.is_some()) {
        (_, true) => ThreadState::Waiting,
        ('R', _) if calls_c => ThreadState::Native,
        ('R' | 't' | 'T', _) if thread.os.syscall.is_none() => ThreadState::Running,
        ('R', _) => ThreadState::Running,
        _ => ThreadState::Waiting,
    }
}

fn native_thread(kernel: &KernelThread, pid: u32) -> Thread {
    Thread {
        tid: kernel.tid,
        ns_tid: (kernel.ns_tid != kernel.tid).then_some(kernel.ns_tid),
        name: kernel.os.comm.clone(),
        main: kernel.tid == pid,
        state: if kernel.os.state == 'R' {
            ThreadState::Native
        } else {
            ThreadState::Waiting
        },
        os: kernel.os.clone(),
        ..Thread::default()
    }
}

/// Adds what is not there yet; what two readers have met is kept once, with the names and links of both.
fn merge(objects: &mut Vec<SyncObject>, more: Vec<SyncObject>) {
    let mut index: BTreeMap<Address, usize> = objects
        .iter()
        .enumerate()
        .map(|(i, o)| (o.address, i))
        .collect();
    for object in more {
        match index.get(&object.address).and_then(|i| objects.get_mut(*i)) {
            Some(known) => {
                for (list, other) in [
                    (&mut known.wakes, object.wakes),
                    (&mut known.parts, object.parts),
                ] {
                    list.extend(other);
                    list.sort_unstable();
                    list.dedup();
                }
                known.names.extend(object.names);
                known.names.dedup();
            }
            None => {
                index.insert(object.address, objects.len());
                objects.push(object);
            }
        }
    }
}

/// Notes with the futures that a loop has still to begin with which loop that is.
fn bring(objects: &mut [SyncObject], brought: &[(Address, Address)]) {
    for object in objects {
        if let SyncState::Future { event_loop, .. } = &mut object.state
            && let Some((_, by)) = brought.iter().find(|(future, _)| *future == object.address)
        {
            *event_loop = Some(*by);
        }
    }
}
