//! Holders and partners that no longer exist.

use crate::gates::{Gate, Knots};
use crate::report::{Holder, Party};
use crate::world::{Actor, World};
use snapshot::{Address, ChildState, Ended, Kind, Process, SyncObject, SyncState, Task, TaskState};

/// Who held, or would have opened, a gate that nobody alive can open.
pub(crate) fn holder(knots: &Knots<'_, '_>, waiter: Actor, gate: &Gate) -> Option<Holder> {
    let world = knots.world;
    let wait = world.wait(waiter);
    match gate {
        Gate::Lock(p, address) => {
            let task = matches!(
                world.object(*p, *address).map(|o| &o.state),
                Some(SyncState::AsyncLock { .. })
            );
            if task {
                return left_taken(world, *p, *address)
                    .or_else(|| failed_task(world, *p, *address));
            }
            left_by_fork(world, *p, *address).or_else(|| ended_owner(world, *p, *address))
        }
        Gate::Shared(_) => dead_child(world, waiter.process()),
        Gate::Object(p, address, _) | Gate::Future(p, address) => {
            let shared = wait.is_some_and(|w| !w.fds.is_empty());
            let task = failed_task(world, *p, *address);
            let child = || if shared { dead_child(world, *p) } else { None };
            task.or_else(child)
                .or_else(|| left_taken(world, *p, *address))
                .or_else(|| ended_giver(world, *p, *address))
                .or_else(|| dead_worker(world, *p, wait?.kind))
        }
        Gate::Descriptor { process, .. } => dead_child(world, *process),
        Gate::Pool(p, pool) => ended_worker(world, *p, *pool),
        _ => None,
    }
}

/// A thread of a pool's own that has ended.
pub(crate) fn ended_worker(world: &World<'_>, p: usize, pool: Address) -> Option<Holder> {
    let Some(SyncState::Executor { workers, .. }) = world.object(p, pool).map(|o| &o.state) else {
        return None;
    };
    let process = world.process(p)?;
    let mut ended = process.ended.iter();
    let ended = ended.find(|ended| workers.contains(&ended.thread_object))?;
    Some(ended_thread(process, ended))
}

/// In a forked child: the parent's thread that held the lock when the child was made.
fn left_by_fork(world: &World<'_>, p: usize, address: Address) -> Option<Holder> {
    let child = world.process(p)?;
    let parent_pid = child.forked_from.or_else(|| same_program(world, child))?;
    // A lock that was made since is not the parent's affair.
    let parent = world.by_pid.get(&parent_pid);
    if parent.is_some_and(|&q| !is_same_kind(world, p, q, address)) {
        return None;
    }
    let how = Some(format!("only in the parent, PID {parent_pid}, at fork"));
    let mut party = Party {
        pid: Some(parent_pid),
        ..Party::default()
    };
    if let Some(&q) = world.by_pid.get(&parent_pid)
        && let Some(index) = world.index.get(q)
    {
        let holds = || index.holders.get(&address).into_iter().flatten();
        let reaches = index.reachers.get(&address).into_iter().flatten();
        let reaches = reaches.map(|(actor, _)| actor);
        // The thread that forked is the child's main one, and goes by the same number in both.
        let forker = child.threads.iter().find(|t| t.main).and_then(|t| t.ident);
        let another = |a: &&Actor| match a {
            Actor::Thread(q, t) => world.thread(*q, *t).is_some_and(|t| t.ident != forker),
            Actor::Task(..) => true,
        };
        let holder = holds().find(another).or_else(|| holds().next());
        if let Some(&actor) = holder.or_else(|| reaches.into_iter().find(|a| another(a))) {
            let hold = world.holds(actor).iter().find(|h| h.address == address);
            let place = hold
                .map(|h| h.place.clone())
                .unwrap_or_else(|| world.place(actor));
            party = crate::edges::party(world, actor, place);
        }
    }
    Some(Holder {
        party,
        now: None,
        ended: true,
        how,
    })
}

/// Whether two processes have an object of the same kind at an address, as far as is known.
fn is_same_kind(world: &World<'_>, p: usize, q: usize, address: Address) -> bool {
    match (world.object(p, address), world.object(q, address)) {
        (Some(own), Some(other)) => own.kind == other.kind,
        _ => false,
    }
}

/// The parent, when it runs the same program with the same arguments.
fn same_program(world: &World<'_>, child: &Process) -> Option<u32> {
    let &q = world.by_pid.get(&child.parent)?;
    let parent = world.process(q)?;
    let same = !child.command.is_empty()
        && parent.command == child.command
        && parent.executable == child.executable;
    same.then_some(parent.pid)
}

/// The ended thread that owned a lock.
fn ended_owner(world: &World<'_>, p: usize, address: Address) -> Option<Holder> {
    let process = world.process(p)?;
    let owner = match world.object(p, address).map(|o| &o.state) {
        Some(SyncState::RLock { owner, .. } | SyncState::ModuleLock { owner, .. }) => *owner,
        _ => None,
    };
    let by_ident = owner.and_then(|o| process.ended.iter().find(|e| e.ident == Some(o)));
    if let Some(ended) = by_ident {
        return Some(ended_thread(process, ended));
    }
    let mut threads = process.ended.iter().filter(|ended| !ended.name.is_empty());
    left_taken(world, p, address).or_else(|| match (threads.next(), threads.next()) {
        (Some(one), None) => Some(ended_thread(process, one)),
        (None, _) => None,
        _ => Some(Holder {
            ended: true,
            how: Some("ended".to_owned()),
            ..Holder::default()
        }),
    })
}

fn ended_thread(process: &Process, ended: &Ended) -> Holder {
    let place = ended
        .last
        .clone()
        .or_else(|| ended.target.clone())
        .unwrap_or_default();
    Holder {
        party: Party {
            pid: Some(process.pid),
            tid: ended.native_id,
            thread: (!ended.name.is_empty()).then(|| ended.name.clone()),
            task: None,
            place,
        },
        now: None,
        ended: true,
        how: Some(ended.how.clone().unwrap_or_else(|| "ended".to_owned())),
    }
}

/// The function that has left a lock or a permit taken, and the thread that ran it.
fn left_taken(world: &World<'_>, p: usize, address: Address) -> Option<Holder> {
    let process = world.process(p)?;
    let left = process.left.iter().find(|left| left.lock == address)?;
    let thread = left.thread_object;
    let ended = thread.and_then(|t| process.ended.iter().find(|e| e.thread_object == t));
    let holder = match ended {
        Some(ended) => ended_thread(process, ended),
        None => Holder {
            party: Party {
                pid: Some(process.pid),
                ..Party::default()
            },
            ended: true,
            ..Holder::default()
        },
    };
    Some(Holder {
        party: Party {
            place: left.place.clone(),
            ..holder.party
        },
        how: Some(left.how.clone()),
        ..holder
    })
}

/// A thread or job that ended and would have given the object.
fn ended_giver(world: &World<'_>, p: usize, address: Address) -> Option<Holder> {
    let process = world.process(p)?;
    let gives = || {
        process
            .ended
            .iter()
            .filter(|ended| ended.gives.contains(&address))
    };
    let failed = gives().find(|ended| ended.how.is_some());
    let ended = failed.or_else(|| gives().next());
    // A thread of which it is only known that an exception ended it.
    let failed = || {
        let failed = |e: &&Ended| e.how.as_deref().is_some_and(|h| h.starts_with("ended by"));
        let mut known = process.ended.iter().filter(failed);
        known.find(|e| e.gives.is_empty() && !e.name.is_empty())
    };
    let ended = ended.or_else(failed)?;
    Some(ended_thread(process, ended))
}

/// How it is known who has left a lock taken, or would have given an object: a guess in either case.
pub(crate) fn guess(world: &World<'_>, gate: &Gate) -> Option<String> {
    let (Gate::Lock(p, address) | Gate::Object(p, address, _) | Gate::Future(p, address)) = gate
    else {
        return None;
    };
    let process = world.process(*p)?;
    if let Some(left) = process.left.iter().find(|left| left.lock == *address) {
        return Some(left.evidence.clone());
    }
    let gives = process.ended.iter().find(|e| e.gives.contains(address))?;
    let function = &gives.target.as_ref()?.function;
    Some(format!("the code of {function}() would have given it"))
}

/// A task that failed: one that could reach the object, else the only one whose exception nobody took.
fn failed_task(world: &World<'_>, p: usize, address: Address) -> Option<Holder> {
    let process = world.process(p)?;
    let parts = world.object(p, address).map_or(&[][..], |o| &o.parts);
    let reaches = |t: &&Task| {
        t.reaches
            .iter()
            .any(|e| e.object == address || parts.contains(&e.object))
    };
    let failed = || {
        process
            .tasks
            .iter()
            .filter(|t| t.state == TaskState::Failed)
    };
    let task = failed()
        .find(reaches)
        .or_else(|| failed().find(|t| t.unretrieved))
        .or_else(|| failed().next())?;
    let place = task
        .frames
        .iter()
        .find(|f| f.origin == snapshot::Origin::Program)
        .map(|f| f.place());
    let exception = task
        .exception
        .clone()
        .unwrap_or_else(|| "an exception".to_owned());
    Some(Holder {
        party: Party {
            pid: Some(process.pid),
            tid: task.loop_tid,
            thread: None,
            task: Some(task.name.clone()),
            place: place.unwrap_or_default(),
        },
        now: None,
        ended: true,
        how: Some(format!("ended by {exception}")),
    })
}

/// A worker process that is gone, where a pool's result is waited for.
fn dead_worker(world: &World<'_>, p: usize, kind: Kind) -> Option<Holder> {
    (kind == Kind::Future)
        .then(|| dead_child(world, p))
        .flatten()
}

/// A child that ended badly, of any process of the family; else one that ended at all.
pub(crate) fn dead_child(world: &World<'_>, p: usize) -> Option<Holder> {
    let own = world.process(p).into_iter();
    let mut candidates: Vec<DeadChild> = Vec::new();
    for process in own.chain(&world.snapshot.processes) {
        let zombies = process.children.iter();
        for child in zombies.filter(|c| c.state == ChildState::Zombie) {
            candidates.push(DeadChild {
                pid: child.pid,
                code: child.exit_code,
                name: name_of(process, child.pid),
            });
        }
        candidates.extend(process.objects.iter().filter_map(joined));
    }
    // One that another process has waited for: a fork server's, for example.
    let root = world.process(0).map_or(&[][..], |root| &root.objects);
    candidates.extend(root.iter().filter_map(|object| unseen(world, object)));
    let bad = candidates.iter().find(|c| c.code != Some(0));
    let child = bad.or(candidates.first())?;
    Some(Holder {
        party: Party {
            pid: Some(child.pid),
            thread: child.name.clone(),
            ..Party::default()
        },
        now: None,
        ended: true,
        how: Some(child.code.map_or_else(|| "ended".to_owned(), exit_words)),
    })
}

/// A child process that has ended.
struct DeadChild {
    pid: u32,
    /// Its exit code; `None` where nobody knows it.
    code: Option<i64>,
    name: Option<String>,
}

/// One that its parent has waited for.
fn joined(object: &SyncObject) -> Option<DeadChild> {
    match &object.state {
        SyncState::Process {
            pid: Some(pid),
            exit_code: Some(code),
            name,
        } => Some(DeadChild {
            pid: *pid,
            code: Some(*code),
            name: name.clone(),
        }),
        _ => None,
    }
}

/// One that its parent takes to be alive and that is nowhere in the family.
fn unseen(world: &World<'_>, object: &SyncObject) -> Option<DeadChild> {
    let SyncState::Process {
        pid: Some(pid),
        exit_code: None,
        name,
    } = &object.state
    else {
        return None;
    };
    let mut all = world.snapshot.processes.iter();
    let seen = all.any(|process| {
        let child = |c: &snapshot::Child| c.pid == *pid;
        process.ns_pid.unwrap_or(process.pid) == *pid || process.children.iter().any(child)
    });
    (!seen).then(|| DeadChild {
        pid: *pid,
        code: None,
        name: name.clone(),
    })
}

/// `multiprocessing`'s name of a child.
fn name_of(parent: &Process, child: u32) -> Option<String> {
    parent
        .objects
        .iter()
        .find_map(|object| match &object.state {
            SyncState::Process {
                pid: Some(pid),
                name,
                ..
            } if *pid == child => name.clone(),
            _ => None,
        })
}

/// How a process ended, from its exit code as Python tells it.
pub(crate) fn exit_words(code: i64) -> String {
    match code {
        0 => "finished".to_owned(),
        1.. => format!("ended with exit code {code}"),
        _ => match signal_name(code.unsigned_abs()) {
            Some(name) => format!("killed by {name}"),
            None => format!("killed by signal {}", code.unsigned_abs()),
        },
    }
}

fn signal_name(number: u64) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
