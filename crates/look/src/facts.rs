//! The kernel's side of each process, joined with what its interpreter says.

use crate::family::Family;
use crate::opened::Opened;
use crate::{Options, waits};
use cpython::read::{KernelThread, Reading};
use process::fds::End;
use process::hold::Hold;
use process::{Mapping, Maps, ProcError, ProcStatus, Watch, proc};
use snapshot::{Address, FdKind, Process, ProcessState, Snapshot, SyncState, Thread, ThreadState};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// How long the descriptors of all other processes are searched.
const SEARCH_LIMIT: Duration = Duration::from_millis(200);

/// The threads of a process as the kernel shows them, watched from now on.
pub(crate) fn kernel_threads(
    pid: u32,
    status: &ProcStatus,
    watch: Option<&mut Watch>,
    options: Options,
) -> Vec<KernelThread> {
    let other_namespace = status.ns_pids.len() > 1;
    let threads = watch.and_then(|watch| watch.begin(options.reach).ok());
    let named = |tid: u32| {
        let inside = other_namespace
            .then(|| ProcStatus::read_thread(pid, tid).ok()?.ns_pid())
            .flatten();
        inside.unwrap_or(tid)
    };
    let threads = threads.unwrap_or_default().into_iter();
    threads
        .map(|(tid, os)| KernelThread {
            tid,
            ns_tid: named(tid),
            os,
        })
        .collect()
}

/// What the registers of the held threads say is truer than what `/proc` said before. Those that are neither held
/// nor asleep have ended.
pub(crate) fn take_registers(kernel: &mut Vec<KernelThread>, hold: &Hold, watch: &Watch) {
    let held: HashMap<u32, _> = hold
        .threads()
        .iter()
        .map(|thread| (thread.tid, thread))
        .collect();
    kernel.retain(|thread| held.contains_key(&thread.tid) || watch.is_asleep(thread.tid));
    for thread in kernel.iter_mut() {
        let Some(registers) = held.get(&thread.tid).and_then(|held| held.registers) else {
            continue;
        };
        thread.os.syscall = registers.syscall();
        // It may have run when `/proc` was read and have gone to sleep since: a stop only leaves a call unfinished in which
        // the thread waited.
        if thread.os.syscall.is_some() && thread.os.state == 'R' {
            thread.os.state = 'S';
        }
        thread.os.pc = Some(registers.pc());
        thread.os.sp = Some(registers.sp());
    }
    let known: HashSet<u32> = kernel.iter().map(|thread| thread.tid).collect();
    for thread in hold
        .threads()
        .iter()
        .filter(|thread| !known.contains(&thread.tid))
    {
        let mut os = snapshot::OsThread {
            state: '?',
            ..Default::default()
        };
        os.syscall = thread.registers.and_then(|registers| registers.syscall());
        kernel.push(KernelThread {
            tid: thread.tid,
            ns_tid: thread.tid,
            os,
        });
    }
}

/// What `/proc` says of a process.
pub(crate) fn process(opened: &Opened, status: &ProcStatus, options: Options) -> Process {
    let pid = opened.pid;
    let (python, free_threaded) = match &opened.runtime {
        Ok(runtime) => (
            Some(runtime.version.to_string()),
            runtime.version.free_threaded,
        ),
        Err(_) => (None, false),
    };
    let command = proc::command_line(pid).unwrap_or_default();
    Process {
        pid,
        ns_pid: (status.ns_pids.len() > 1)
            .then(|| status.ns_pid())
            .flatten(),
        parent: status.ppid,
        forked_from: (options.reach && opened.runtime.is_ok())
            .then(|| forked_from(opened, status.ppid))
            .flatten(),
        python,
        free_threaded,
        command: command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        executable: proc::executable(pid)
            .ok()
            .map(|exe| exe.path.to_string_lossy().into_owned()),
        process_state: match status.state {
            'T' | 't' => ProcessState::Stopped,
            'Z' | 'X' => ProcessState::Zombie,
            _ => ProcessState::Live,
        },
        ..Process::default()
    }
}

/// Puts what the interpreter says into the process.
pub(crate) fn take_reading(process: &mut Process, reading: Reading) {
    process.threads = reading.threads;
    process.tasks = reading.tasks;
    process.objects.extend(reading.objects);
    process.ended = reading.ended;
    process.gil_switches = reading.gil_switches;
    process.notes.extend(reading.notes);
}

/// Says for each semaphore in shared memory which memory that is, the same in all processes.
pub(crate) fn name_shared(process: &mut Process, opened: &Opened) {
    let mut fresh: Option<Maps> = None;
    for object in &mut process.objects {
        let (SyncState::SharedSemaphore { key, .. }, Some(&at)) =
            (&mut object.state, object.parts.first())
        else {
            continue;
        };
        *key = opened.maps.shared_key(at).or_else(|| {
            // It may have been made after the process was opened.
            if fresh.is_none() {
                fresh = Maps::read(opened.pid).ok();
            }
            fresh.as_ref()?.shared_key(at)
        });
    }
}

/// The threads of a process without Python.
pub(crate) fn take_native(process: &mut Process, kernel: Vec<KernelThread>) {
    let pid = process.pid;
    process.threads = kernel
        .into_iter()
        .map(|thread| Thread {
            tid: thread.tid,
            ns_tid: (thread.ns_tid != thread.tid).then_some(thread.ns_tid),
            name: thread.os.comm.clone(),
            main: thread.tid == pid,
            state: if thread.os.syscall.is_some() {
                ThreadState::Waiting
            } else {
                ThreadState::Native
            },
            os: thread.os,
            ..Thread::default()
        })
        .collect();
}

/// Open descriptors, children and file locks; then the waits that only they explain.
pub(crate) fn descriptors(
    process: &mut Process,
    opened: &Opened,
    family: &Family,
    options: Options,
) {
    let needed = options.reach || waits::needs_descriptors(process);
    if needed {
        note(
            &mut process.notes,
            "its descriptors",
            process::fds::read(opened.pid),
            &mut process.fds,
        );
        note(
            &mut process.notes,
            "its file locks",
            process::locks::of(opened.pid),
            &mut process.file_locks,
        );
    }
    if options.reach || waits::needs_children(process) {
        let read = match family.children(opened.pid) {
            Some(pids) => Ok(process::children::described(pids)),
            None => process::children::of(opened.pid),
        };
        note(
            &mut process.notes,
            "its children",
            read,
            &mut process.children,
        );
    }
    waits::complete(process, opened);
}

/// Names the threads that only the kernel has a name for.
pub(crate) fn name_threads(process: &mut Process) {
    let mut nameless = process
        .threads
        .iter_mut()
        .filter(|thread| thread.name.is_empty())
        .peekable();
    if nameless.peek().is_none() {
        return;
    }
    let Ok(mut reader) = process::ThreadReader::open(process.pid) else {
        return;
    };
    for thread in nameless {
        thread.name = reader.name(thread.tid).unwrap_or_default();
        thread.os.comm.clone_from(&thread.name);
    }
}

fn note<T>(notes: &mut Vec<String>, what: &str, read: Result<T, ProcError>, into: &mut T) {
    match read {
        Ok(value) => *into = value,
        // One that has just ended has none.
        Err(ProcError::Gone(_)) => {}
        Err(error) => notes.push(format!("{what} could not be read: {error}")),
    }
}

/// Where a forked process waits for a lock, its parent is asked whether that one was there when the process was
/// forked: it then lies at the same place in both.
pub(crate) fn left_by_forks(snapshot: &mut Snapshot, opened: &[&Opened]) {
    let mut asked: Vec<(u32, Vec<Address>)> = Vec::new();
    for process in &snapshot.processes {
        let Some(parent) = process.forked_from else {
            continue;
        };
        let waits = process.threads.iter().filter_map(|t| t.waits_for.as_ref());
        let locks = waits.flat_map(|wait| [wait.address, wait.inner_address]);
        let is_lock = |address: &Address| {
            let mut objects = process.objects.iter();
            objects.any(|object| object.address == *address && is_private_lock(&object.state))
        };
        let locks: Vec<Address> = locks.flatten().filter(is_lock).collect();
        if !locks.is_empty() {
            asked.push((parent, locks));
        }
    }
    for (pid, locks) in asked {
        let parent = opened.iter().find(|opened| opened.pid == pid);
        let Some((parent, runtime)) = parent.and_then(|o| Some((o, o.runtime.as_ref().ok()?)))
        else {
            continue;
        };
        let reader = runtime.reader(&parent.memory);
        let found = cpython::sync::describe(&reader, &locks);
        let process = snapshot
            .processes
            .iter_mut()
            .find(|process| process.pid == pid);
        let Some(process) = process else { continue };
        for object in found {
            if process
                .objects
                .iter()
                .all(|known| known.address != object.address)
            {
                process.objects.push(object);
            }
        }
    }
}

fn is_private_lock(state: &SyncState) -> bool {
    matches!(state, SyncState::Lock { .. } | SyncState::RLock { .. })
}

/// Finds out which pipes and sockets that somebody waits for are open in processes outside of the snapshot too.
pub(crate) fn shared_outside(snapshot: &mut Snapshot) {
    let mut ends = HashSet::new();
    for process in &snapshot.processes {
        let kinds: HashMap<i32, &FdKind> = process.fds.iter().map(|fd| (fd.fd, &fd.kind)).collect();
        for fd in waits::all(process).flat_map(|wait| &wait.fds) {
            match kinds.get(fd) {
                Some(FdKind::Pipe { inode, .. }) => ends.extend([End::Inode(*inode)]),
                Some(FdKind::Socket {
                    connection: Some(c),
                    ..
                }) => ends.extend(c.peer_inode.map(End::Inode)),
                Some(FdKind::Terminal { end: Some(end), .. }) => {
                    ends.extend([End::Terminal(end.other())]);
                }
                _ => {}
            }
        }
    }
    if ends.is_empty() {
        return;
    }
    let inside: HashSet<u32> = snapshot
        .processes
        .iter()
        .map(|process| process.pid)
        .collect();
    let holders = process::fds::who_has(&ends, None, SEARCH_LIMIT);
    // Other users' processes can often not be asked; that one of them shares a pipe with this family is too rare
    // to give up every finding about pipes for it.
    let others = holders
        .found
        .iter()
        .filter(|holder| !inside.contains(&holder.pid) && holder.pid != std::process::id());
    let outside: HashSet<End> = others.map(|holder| holder.end).collect();
    if let Some(process) = snapshot.processes.first_mut() {
        for end in outside {
            match end {
                End::Inode(inode) => process.shared_outside.push(inode),
                End::Terminal(end) => process.terminals_outside.push(end),
            }
        }
        process.shared_outside.sort_unstable();
        process.terminals_outside.sort_unstable();
    }
}

/// Whether the process is a fork of its parent that has not executed a program since: the kernel puts its own pages
/// (`[vdso]`) and the stack at new random places whenever a program is executed, and at the same ones in a fork.
pub(crate) fn forked_from(opened: &Opened, parent: u32) -> Option<u32> {
    let parents = Maps::read(parent).ok()?;
    let place = |maps: &Maps, name: &str| {
        let own = |mapping: &&Mapping| mapping.path.as_deref() == Some(Path::new(name));
        maps.iter().find(own).map(|mapping| mapping.end)
    };
    let same = |name: &str| {
        let own = place(&opened.maps, name);
        own.is_some() && own == place(&parents, name)
    };
    (same("[vdso]") && same("[stack]")).then_some(parent)
}
