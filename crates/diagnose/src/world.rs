//! A snapshot with its indexes: who is where, who holds what, who reaches what.

use snapshot::{
    Address, ChildState, Effect, FdKind, FileLock, Hold, Kind, Operation, Place, Process,
    ProcessState, SharedKey, Snapshot, SyncObject, SyncState, Task, TaskState, TerminalEnd, Thread,
    ThreadState, Timeout, Wait,
};
use std::collections::{HashMap, HashSet};

/// A thread or task, by its position in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// Process and thread.
    Thread(usize, usize),
    /// Process and task.
    Task(usize, usize),
}

impl Actor {
    pub(crate) fn process(self) -> usize {
        match self {
            Actor::Thread(p, _) | Actor::Task(p, _) => p,
        }
    }
}

/// One process's indexes.
#[derive(Debug, Default)]
pub(crate) struct Index<'s> {
    pub objects: HashMap<Address, &'s SyncObject>,
    pub thread_by_object: HashMap<Address, usize>,
    pub thread_by_ident: HashMap<u64, usize>,
    pub thread_by_tid: HashMap<u32, usize>,
    pub task_by_address: HashMap<Address, usize>,
    pub running_in: HashMap<Address, usize>,
    pub holders: HashMap<Address, Vec<Actor>>,
    pub reachers: HashMap<Address, Vec<(Actor, &'s Effect)>>,
    /// Those among them who may release what another one took.
    pub releasers: HashMap<Address, Vec<Actor>>,
    /// From what is woken to what wakes it.
    pub wakers: HashMap<Address, Vec<Address>>,
    pub loop_by_tid: HashMap<u32, &'s SyncObject>,
    /// Pools with items that no worker has taken yet.
    pub queued_pools: Vec<Address>,
    /// The pool in whose queue a future is.
    pub queued_in: HashMap<Address, Address>,
    /// Tasks of each loop whose wait ends by a timer.
    pub timers_of_tasks: HashMap<Address, u64>,
    /// Tasks run by each thread.
    pub tasks_of_thread: HashMap<u32, Vec<usize>>,
    /// Children in the snapshot, by the PID that the target knows them by.
    pub children: HashMap<u32, usize>,
    pub fds: HashMap<i32, &'s snapshot::Fd>,
}

/// Where the two ends of a pipe are open.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub readers: Vec<usize>,
    pub writers: Vec<usize>,
}

/// A file lock that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitedLock {
    /// The file's device and inode.
    pub file: (u64, u64),
    /// The process that took it, where the kernel tells.
    pub blocked_by: Option<u32>,
}

/// The snapshot and all its indexes.
pub(crate) struct World<'s> {
    pub snapshot: &'s Snapshot,
    pub index: Vec<Index<'s>>,
    pub by_pid: HashMap<u32, usize>,
    pub pipes: HashMap<u64, Ends>,
    pub sockets: HashMap<u64, Vec<usize>>,
    pub terminals: HashMap<TerminalEnd, Vec<usize>>,
    pub shared: HashMap<SharedKey, Vec<(usize, &'s SyncObject)>>,
    /// Whether a process outside the snapshot may share pipes and semaphores with those inside.
    pub has_outside: bool,
    /// Pipes and sockets that a process outside the snapshot is known to have open.
    outside: HashSet<u64>,
    terminals_outside: HashSet<TerminalEnd>,
}

impl<'s> World<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        let mut world = World {
            snapshot,
            index: Vec::with_capacity(snapshot.processes.len()),
            by_pid: HashMap::new(),
            pipes: HashMap::new(),
            sockets: HashMap::new(),
            terminals: HashMap::new(),
            shared: HashMap::new(),
            has_outside: false,
            outside: snapshot
                .processes
                .iter()
                .flat_map(|p| &p.shared_outside)
                .copied()
                .collect(),
            terminals_outside: snapshot
                .processes
                .iter()
                .flat_map(|p| &p.terminals_outside)
                .copied()
                .collect(),
        };
        for (p, process) in snapshot.processes.iter().enumerate() {
            world.by_pid.entry(process.pid).or_insert(p);
        }
        for (p, process) in snapshot.processes.iter().enumerate() {
            let mut index = index_process(p, process);
            for (q, child) in snapshot.processes.iter().enumerate() {
                if child.parent == process.pid && q != p {
                    index.children.insert(child.ns_pid.unwrap_or(child.pid), q);
                }
            }
            world.index.push(index);
            world.add_shared(p, process);
        }
        let unseen = |process: &Process| {
            let mut children = process.children.iter();
            children.any(|c| c.state != ChildState::Zombie && !world.by_pid.contains_key(&c.pid))
                || process.process_state == ProcessState::Core
        };
        let unseen = snapshot.processes.iter().any(unseen);
        world.has_outside = unseen
            || snapshot.processes.first().is_some_and(|root| {
                root.forked_from
                    .is_some_and(|parent| !world.by_pid.contains_key(&parent))
                    || root.command.iter().any(|word| {
                        word.contains("multiprocessing.spawn")
                            || word.contains("multiprocessing.forkserver")
                    })
            });
        world
    }

    /// Whether a process that is not in the snapshot has this pipe, or the other end of this socket, open.
    pub fn shared_outside(&self, kind: &FdKind) -> bool {
        let inode = match kind {
            FdKind::Pipe { inode, .. } => *inode,
            FdKind::Socket {
                connection: Some(connection),
                ..
            } => connection.peer_inode.unwrap_or(0),
            FdKind::Terminal { end: Some(end), .. } => {
                return self.terminals_outside.contains(&end.other());
            }
            _ => return false,
        };
        self.outside.contains(&inode)
    }

    /// Whether it is one of the standard streams of the process asked for, or a copy: whoever started that has the other
    /// end, also where it may not be seen.
    pub fn is_given(&self, kind: &FdKind) -> bool {
        let root = self
            .snapshot
            .processes
            .first()
            .map_or(&[][..], |root| &root.fds);
        let mut given = root.iter().filter(|fd| (0..=2).contains(&fd.fd));
        given.any(|fd| match (&fd.kind, kind) {
            (FdKind::Pipe { inode: a, .. }, FdKind::Pipe { inode: b, .. })
            | (FdKind::Socket { inode: a, .. }, FdKind::Socket { inode: b, .. }) => a == b,
            (FdKind::Terminal { end: a, .. }, FdKind::Terminal { end: b, .. }) => a == b,
            _ => false,
        })
    }

    /// The lock that process `p` waits for by way of a descriptor.
    pub fn waited_file_lock(&self, p: usize, fd: i32) -> Option<WaitedLock> {
        let process = self.process(p)?;
        let mut waiting = process.file_locks.iter().filter(|lock| lock.waiting);
        let file = match self.index.get(p)?.fds.get(&fd).map(|fd| &fd.kind) {
            Some(FdKind::File { dev, inode, .. }) => Some((*dev, *inode)),
            _ => None,
        };
        let same = |lock: &&FileLock| Some((lock.dev, lock.inode)) == file;
        // Some file systems number their devices otherwise for the one than for the other. A thread that has just been
        // let go may not be in the kernel's list again: another thread's lock is not its.
        let inode = |lock: &&FileLock| file.is_none_or(|(_, inode)| lock.inode == inode);
        let told = waiting.clone().find(same).or_else(|| waiting.find(inode));
        match (told, file) {
            (Some(lock), _) => Some(WaitedLock {
                file: (lock.dev, lock.inode),
                blocked_by: lock.blocked_by,
            }),
            // The kernel leaves out locks that an ended process took, and who waits for them.
            (None, Some(file)) => Some(WaitedLock {
                file,
                blocked_by: None,
            }),
            (None, None) => None,
        }
    }

    /// Whether process `q` has the file open by way of which the same lock was taken.
    pub fn has_lock(&self, q: usize, lock: &WaitedLock) -> bool {
        self.locked_fds(q, lock).next().is_some()
    }

    fn locked_fds(&self, q: usize, lock: &WaitedLock) -> impl Iterator<Item = i32> {
        let fds = self.process(q).map_or(&[][..], |process| &process.fds);
        let file = lock.file;
        let same = move |other: &FileLock| !other.waiting && (other.dev, other.inode) == file;
        fds.iter()
            .filter(move |fd| fd.locks.iter().any(same))
            .map(|fd| fd.fd)
    }

    /// The thread of process `q` whose frames show where it took the lock.
    pub fn file_lock_holder(&self, q: usize, lock: &WaitedLock) -> Option<Actor> {
        let fds: Vec<i32> = self.locked_fds(q, lock).collect();
        let process = self.process(q)?;
        let holds = |thread: &Thread| thread.holds.iter().any(|hold| is_file_lock(hold, &fds));
        let holder = process.threads.iter().position(holds)?;
        Some(Actor::Thread(q, holder))
    }

    /// How an actor holds that lock.
    pub fn file_lock_hold(&self, actor: Actor, lock: &WaitedLock) -> Option<&'s Hold> {
        let fds: Vec<i32> = self.locked_fds(actor.process(), lock).collect();
        let holds = || self.holds(actor).iter();
        let sure = holds().find(|hold| hold.fd.is_some() && is_file_lock(hold, &fds));
        sure.or_else(|| holds().find(|hold| is_file_lock(hold, &fds)))
    }

    fn add_shared(&mut self, p: usize, process: &'s Process) {
        for fd in &process.fds {
            match &fd.kind {
                FdKind::Pipe { inode, .. } => {
                    let ends = self.pipes.entry(*inode).or_default();
                    if fd.readable && ends.readers.last() != Some(&p) {
                        ends.readers.push(p);
                    }
                    if fd.writable && ends.writers.last() != Some(&p) {
                        ends.writers.push(p);
                    }
                }
                FdKind::Socket { inode, .. } => {
                    let users = self.sockets.entry(*inode).or_default();
                    if users.last() != Some(&p) {
                        users.push(p);
                    }
                }
                FdKind::Terminal { end: Some(end), .. } => {
                    let users = self.terminals.entry(*end).or_default();
                    if users.last() != Some(&p) {
                        users.push(p);
                    }
                }
                _ => {}
            }
        }
        for object in &process.objects {
            if let SyncState::SharedSemaphore { key: Some(key), .. } = &object.state {
                self.shared
                    .entry(key.clone())
                    .or_default()
                    .push((p, object));
            }
        }
    }

    /// Whether a child was stopped by a signal, and not the whole family with the process asked for.
    pub(crate) fn is_suspended(&self, p: usize) -> bool {
        let stopped = |p: usize| {
            let process = self.process(p);
            process.is_some_and(|process| process.process_state == ProcessState::Stopped)
        };
        stopped(p) && !stopped(0)
    }

    /// The child that `p` knows by this PID, or its child's child: a fork server's are its asker's.
    pub(crate) fn descendant(&self, p: usize, pid: u32) -> Option<usize> {
        let index = self.index.get(p)?;
        index.children.get(&pid).copied().or_else(|| {
            let mut children = index.children.values();
            children.find_map(|&q| self.index.get(q)?.children.get(&pid).copied())
        })
    }

    /// Whether a process of this number is in the family.
    pub(crate) fn is_seen(&self, pid: u32) -> bool {
        let mut all = self.snapshot.processes.iter();
        all.any(|q| q.ns_pid.unwrap_or(q.pid) == pid)
    }

    pub(crate) fn process(&self, p: usize) -> Option<&'s Process> {
        self.snapshot.processes.get(p)
    }

    pub(crate) fn thread(&self, p: usize, t: usize) -> Option<&'s Thread> {
        self.process(p)?.threads.get(t)
    }

    pub(crate) fn task(&self, p: usize, k: usize) -> Option<&'s Task> {
        self.process(p)?.tasks.get(k)
    }

    pub(crate) fn object(&self, p: usize, address: Address) -> Option<&'s SyncObject> {
        self.index.get(p)?.objects.get(&address).copied()
    }

    /// What an actor waits for.
    pub(crate) fn wait(&self, actor: Actor) -> Option<&'s Wait> {
        match actor {
            Actor::Thread(p, t) => self.thread(p, t)?.waits_for.as_ref(),
            Actor::Task(p, k) => self.task(p, k)?.waits_for.as_ref(),
        }
    }

    pub(crate) fn holds(&self, actor: Actor) -> &'s [Hold] {
        match actor {
            Actor::Thread(p, t) => self.thread(p, t).map_or(&[], |t| &t.holds),
            Actor::Task(p, k) => self.task(p, k).map_or(&[], |t| &t.holds),
        }
    }

    /// Where an actor is: its innermost frame in the program's own code, else the innermost.
    pub(crate) fn place(&self, actor: Actor) -> Place {
        let frames = match actor {
            Actor::Thread(p, t) => self.thread(p, t).map_or(&[][..], |t| &t.frames),
            Actor::Task(p, k) => self.task(p, k).map_or(&[][..], |t| &t.frames),
        };
        let own = frames
            .iter()
            .find(|f| !f.native && f.origin == snapshot::Origin::Program);
        own.or_else(|| frames.iter().find(|f| !f.native))
            .map(|f| f.place())
            .unwrap_or_default()
    }

    /// Whether a thread is an event loop's, and asleep in the loop's own select.
    pub(crate) fn in_own_select(&self, p: usize, t: usize) -> bool {
        let (Some(thread), Some(index)) = (self.thread(p, t), self.index.get(p)) else {
            return false;
        };
        let runs_loop = index.loop_by_tid.contains_key(&thread.tid)
            || index.tasks_of_thread.contains_key(&thread.tid);
        runs_loop
            && thread.running_task.is_none()
            && match &thread.waits_for {
                None => matches!(thread.state, ThreadState::Idle | ThreadState::Waiting),
                Some(wait) => {
                    thread.state == ThreadState::Idle
                        || matches!(wait.kind, Kind::Descriptors)
                        || wait.operation == Operation::Select
                }
            }
    }

    /// The loop of a thread that sleeps in the loop's own select without an end, although something is due in it: whoever
    /// put it there did not wake the loop.
    pub(crate) fn overslept(&self, p: usize, thread: &Thread) -> Option<Address> {
        let index = self.index.get(p)?;
        let event_loop = index.loop_by_tid.get(&thread.tid)?;
        let due = matches!(&event_loop.state, SyncState::EventLoop { ready: 1.., .. });
        let &t = index.thread_by_tid.get(&thread.tid)?;
        let forever = thread
            .waits_for
            .as_ref()
            .is_some_and(|wait| wait.timeout == Timeout::Forever);
        (due && forever && self.in_own_select(p, t)).then_some(event_loop.address)
    }

    /// Whether a thread belongs to the program's own work: Python, and not a worker without work.
    pub(crate) fn is_python(&self, p: usize, thread: &Thread) -> bool {
        thread.interpreter.is_some()
            || self
                .process(p)
                .is_none_or(|process| process.python.is_none())
            || !thread.frames.is_empty()
    }
}

/// Whether a hold is, or may be, that of a file lock taken by way of one of these descriptors.
fn is_file_lock(hold: &Hold, fds: &[i32]) -> bool {
    hold.kind == Kind::FileLock && hold.fd.is_none_or(|fd| fds.contains(&fd))
}

fn index_process(p: usize, process: &Process) -> Index<'_> {
    let mut index = Index::default();
    for object in &process.objects {
        index_object(&mut index, object);
    }
    for fd in &process.fds {
        index.fds.insert(fd.fd, fd);
    }
    for (t, thread) in process.threads.iter().enumerate() {
        if let Some(object) = thread.thread_object {
            index.thread_by_object.insert(object, t);
        }
        if let Some(ident) = thread.ident {
            index.thread_by_ident.insert(ident, t);
        }
        index.thread_by_tid.insert(thread.tid, t);
        if let Some(task) = thread.running_task {
            index.running_in.insert(task, t);
        }
        let actor = Actor::Thread(p, t);
        for hold in thread.holds.iter().filter(|h| !h.given_up) {
            index.holders.entry(hold.address).or_default().push(actor);
        }
        index_effects(&mut index, actor, &thread.reaches);
    }
    for (k, task) in process.tasks.iter().enumerate() {
        index_task(&mut index, p, k, task);
    }
    index
}

fn index_object<'s>(index: &mut Index<'s>, object: &'s SyncObject) {
    index.objects.insert(object.address, object);
    for &woken in &object.wakes {
        index.wakers.entry(woken).or_default().push(object.address);
    }
    match &object.state {
        SyncState::EventLoop { tid: Some(tid), .. } => {
            index.loop_by_tid.insert(*tid, object);
        }
        SyncState::Executor { queued, .. } if !queued.is_empty() => {
            index.queued_pools.push(object.address);
            for &future in queued {
                index.queued_in.insert(future, object.address);
            }
        }
        _ => {}
    }
}

fn index_effects<'s>(index: &mut Index<'s>, actor: Actor, effects: &'s [Effect]) {
    for effect in effects {
        let reachers = index.reachers.entry(effect.object).or_default();
        reachers.push((actor, effect));
        if effect.releases {
            let releasers = index.releasers.entry(effect.object).or_default();
            releasers.push(actor);
        }
    }
}

fn index_task<'s>(index: &mut Index<'s>, p: usize, k: usize, task: &'s Task) {
    index.task_by_address.insert(task.address, k);
    if matches!(
        task.state,
        TaskState::Finished | TaskState::Failed | TaskState::Cancelled
    ) {
        return;
    }
    // What a task does in its step, its thread does.
    let actor = index
        .running_in
        .get(&task.address)
        .map_or(Actor::Task(p, k), |&t| Actor::Thread(p, t));
    for hold in task.holds.iter().filter(|h| !h.given_up) {
        index.holders.entry(hold.address).or_default().push(actor);
    }
    index_effects(index, actor, &task.reaches);
    if let Some(tid) = task.loop_tid {
        index.tasks_of_thread.entry(tid).or_default().push(k);
    }
    let by_timer = task
        .waits_for
        .as_ref()
        .is_some_and(|w| w.kind == Kind::Timer || w.timeout == Timeout::Limited);
    if let (true, Some(event_loop)) = (by_timer, task.event_loop) {
        *index.timers_of_tasks.entry(event_loop).or_default() += 1;
    }
}

/// Whether a process has ended.
pub(crate) fn has_ended(process: &Process) -> bool {
    process.process_state == ProcessState::Zombie
}
