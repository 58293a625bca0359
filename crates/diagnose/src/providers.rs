//! Who could open each gate.

use crate::gates::{Gate, Knots, find_thread};
use crate::graph::{Link, NodeId, Rule};
use crate::world::{Actor, has_ended};
use snapshot::{
    Address, Certainty, Effect, FutureState, GilState, Kind, Operation, Process, SharedKey,
    SyncObject, SyncState, Task, Thread, ThreadState,
};

/// Most parts that one object is taken to be made of.
const PARTS_MAX: usize = 64;

/// Handlers that CPython sets itself and that no program means by "a handler will wake it".
const OWN_HANDLERS: [&str; 2] = ["default_int_handler", "_on_sigint"];

impl Knots<'_, '_> {
    /// Links a gate to all who could open it.
    pub(crate) fn fill(&mut self, node: NodeId, gate: &Gate) {
        match gate {
            Gate::Lock(p, address) => self.fill_lock(node, *p, *address),
            Gate::Shared(key) => self.fill_shared(node, key),
            Gate::Object(p, address, operation) => self.fill_object(node, *p, *address, *operation),
            Gate::Future(p, address) => self.fill_future(node, *p, *address),
            Gate::Pool(p, address) => self.fill_pool(node, *p, *address, false),
            Gate::PoolEnd(p, address) => self.fill_pool(node, *p, *address, true),
            Gate::Wakeup(p, address) => self.fill_wakeup(node, *p, *address),
            Gate::Slot(p, t) => {
                let thread = self.world.thread(*p, *t);
                if let Some(event_loop) = thread.and_then(|t| self.world.overslept(*p, t)) {
                    self.need_gate(node, Gate::Wakeup(*p, event_loop), Link::Reach);
                } else if self.world.in_own_select(*p, *t) {
                    self.open(node);
                } else {
                    self.need_actor(node, Actor::Thread(*p, *t), Link::Definite);
                }
            }
            Gate::Callbacks(p, address) => self.fill_callbacks(node, *p, *address),
            Gate::Watched(p, address, fd) => self.fill_watched(node, *p, *address, *fd),
            Gate::Gil(p, interpreter) => self.fill_gil(node, *p, *interpreter),
            Gate::Descriptor {
                process,
                fd,
                write,
                queue,
            } => {
                self.fill_descriptor(node, *process, *fd, *write, *queue);
            }
            Gate::AnyOf(p) => self.fill_process(node, *p),
            Gate::Anyone(p) => self.fill_anyone(node, *p),
            Gate::Family => {
                if self.world.has_outside {
                    self.open(node);
                }
                for p in 0..self.world.snapshot.processes.len() {
                    self.need_gate(node, Gate::Anyone(p), Link::Reach);
                }
            }
            Gate::Others(p, t) => self.fill_others(node, *p, *t),
            Gate::Children(p) => self.fill_children(node, *p),
            Gate::FileLock(p, fd) => self.fill_file_lock(node, *p, *fd),
            Gate::Choice(_) | Gate::Continued(_) => {}
        }
    }

    fn fill_lock(&mut self, node: NodeId, p: usize, address: Address) {
        let world = self.world;
        let Some(index) = world.index.get(p) else {
            return self.open(node);
        };
        let owner = match index.objects.get(&address).map(|o| &o.state) {
            Some(
                SyncState::Lock {
                    locked: Some(false),
                }
                | SyncState::AsyncLock { locked: false },
            ) => {
                return self.open(node);
            }
            Some(SyncState::RLock { owner, .. } | SyncState::ModuleLock { owner, .. }) => {
                if owner.is_none() {
                    return self.open(node);
                }
                *owner
            }
            _ => None,
        };
        if let Some(owner) = owner {
            // The object itself says who owns it; what stacks say cannot be more.
            match index.thread_by_ident.get(&owner) {
                Some(&t) => self.need_actor(node, Actor::Thread(p, t), Link::Definite),
                None => self.reach(node, p, &[address], &RELEASE),
            }
            return;
        }
        match index.holders.get(&address) {
            Some(holders) => {
                for &holder in holders {
                    self.need_actor(node, holder, Link::Definite);
                }
                self.other_releasers(node, p, address, holders);
            }
            None => match index.objects.get(&address).map(|o| &o.state) {
                Some(SyncState::Lock { locked: Some(true) } | SyncState::AsyncLock { .. }) => {
                    self.reach(node, p, &[address], &RELEASE);
                }
                // Nothing says that it is taken at all.
                _ => self.open(node),
            },
        }
    }

    /// Where a lock was taken by `acquire()`, another thread may be meant to release it: a lock used as a signal.
    fn other_releasers(&mut self, node: NodeId, p: usize, address: Address, holders: &[Actor]) {
        let world = self.world;
        let (Some(process), Some(index)) = (world.process(p), world.index.get(p)) else {
            return;
        };
        let probably = |holder: &Actor| {
            let mut holds = world.holds(*holder).iter().filter(|h| h.address == address);
            holds.all(|hold| hold.certainty == Certainty::Probable)
        };
        if !holders.iter().all(probably) {
            return;
        }
        let by_handler = |e: &Effect| e.object == address && e.releases;
        if process.handlers_reach.iter().any(by_handler) {
            return self.open(node);
        }
        for &actor in index.releasers.get(&address).into_iter().flatten() {
            if !holders.contains(&actor) {
                self.need_actor(node, actor, Link::Reach);
            }
        }
    }

    fn fill_shared(&mut self, node: NodeId, key: &SharedKey) {
        let world = self.world;
        let mut held = false;
        let mut most = 1;
        for (p, object) in world.shared.get(key).into_iter().flatten() {
            let Some(index) = world.index.get(*p) else {
                continue;
            };
            let SyncState::SharedSemaphore {
                value,
                count,
                last_owner,
                max,
                ..
            } = &object.state
            else {
                continue;
            };
            most = most.max(*max);
            if value.is_some_and(|v| v > 0) {
                return self.open(node);
            }
            let owner = last_owner
                .filter(|_| *count > 0)
                .and_then(|i| index.thread_by_ident.get(&i));
            if let Some(&t) = owner {
                held = true;
                self.need_actor(node, Actor::Thread(*p, t), Link::Definite);
            }
            for &holder in index.holders.get(&object.address).into_iter().flatten() {
                held = true;
                self.need_actor(node, holder, Link::Definite);
            }
        }
        let known = world
            .shared
            .get(key)
            .into_iter()
            .flatten()
            .any(|(_, object)| {
                matches!(
                    &object.state,
                    SyncState::SharedSemaphore { value: Some(_), .. }
                )
            });
        if !held && !known {
            return self.open(node);
        }
        if world.has_outside && !held {
            return self.open(node);
        }
        if most > 1 {
            self.need_gate(node, Gate::Family, Link::Reach);
        }
    }

    fn fill_object(&mut self, node: NodeId, p: usize, address: Address, operation: Operation) {
        let world = self.world;
        let object = world.object(p, address);
        let ready = match object.map(|o| &o.state) {
            Some(SyncState::Semaphore { value, .. }) => *value > 0,
            Some(SyncState::Event { set }) => *set,
            Some(SyncState::Barrier {
                parties,
                waiting,
                broken,
            }) => *broken || waiting >= parties,
            Some(SyncState::Queue {
                size,
                maxsize,
                unfinished,
            }) => match operation {
                Operation::Put => *maxsize <= 0 || size.is_some_and(|s| (s as i64) < *maxsize),
                Operation::Join => *unfinished <= 0,
                _ => size.is_some_and(|s| s > 0),
            },
            Some(SyncState::Executor { .. }) => {
                return self.need_gate(node, Gate::PoolEnd(p, address), Link::Definite);
            }
            _ => false,
        };
        if ready {
            return self.open(node);
        }
        let mut addresses = vec![address];
        let mut shared = false;
        if let Some(object) = object {
            let parts = self.all_parts(p, address);
            shared = parts.iter().any(|part| {
                matches!(
                    world.object(p, *part).map(|o| &o.state),
                    Some(SyncState::SharedSemaphore { .. })
                )
            });
            addresses.extend(parts);
            if matches!(object.state, SyncState::Semaphore { .. }) {
                let holders = world.index.get(p).and_then(|i| i.holders.get(&address));
                for &holder in holders.into_iter().flatten() {
                    self.need_actor(node, holder, Link::Definite);
                }
            }
        }
        if shared {
            self.need_gate(node, Gate::Family, Link::Reach);
        }
        let enders = enders(object.map(|o| &o.state), operation);
        self.reach(node, p, &addresses, enders);
    }

    /// What an object is made of, and what that is made of in turn.
    fn all_parts(&self, p: usize, address: Address) -> Vec<Address> {
        let mut found: Vec<Address> = vec![address];
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            let parts = self.world.object(p, at).map_or(&[][..], |o| &o.parts);
            for part in parts {
                if !found.contains(part) && found.len() < PARTS_MAX {
                    found.push(*part);
                }
            }
        }
        found.remove(0);
        found
    }

    /// Links a gate to all that can reach one of `addresses`, and whose code names one of `enders` where the first of them is
    /// what they reach.
    pub(crate) fn reach(&mut self, node: NodeId, p: usize, addresses: &[Address], enders: &[&str]) {
        let world = self.world;
        let (Some(process), Some(index)) = (world.process(p), world.index.get(p)) else {
            return self.open(node);
        };
        let main = addresses.first();
        let may_end = |effect: &Effect| {
            addresses.contains(&effect.object)
                && (Some(&effect.object) != main || uses(effect, enders))
        };
        if process.handlers_reach.iter().any(may_end) {
            return self.open(node);
        }
        if process.reach_complete {
            for address in addresses {
                for &(actor, effect) in index.reachers.get(address).into_iter().flatten() {
                    if may_end(effect) {
                        self.need_actor(node, actor, Link::Reach);
                    }
                }
            }
        } else {
            self.need_gate(node, Gate::Anyone(p), Link::Reach);
        }
        // Work that nobody has begun may do anything.
        for &pool in &index.queued_pools {
            self.need_gate(node, Gate::Pool(p, pool), Link::Reach);
        }
        for event_loop in index.loop_by_tid.values() {
            self.reach_of_loop(node, p, event_loop, &may_end);
        }
    }

    /// Links a gate to those callbacks of a loop that can reach one of `addresses`.
    fn reach_of_loop(
        &mut self,
        node: NodeId,
        p: usize,
        event_loop: &SyncObject,
        may_end: &dyn Fn(&Effect) -> bool,
    ) {
        let SyncState::EventLoop {
            reaches,
            sources,
            watched,
            ..
        } = &event_loop.state
        else {
            return;
        };
        let wanted = |found: &[Effect]| found.iter().any(may_end);
        if reaches.as_deref().is_none_or(wanted) {
            self.need_gate(node, Gate::Callbacks(p, event_loop.address), Link::Reach);
        }
        for &fd in watched {
            let source = sources.iter().find(|source| source.fd == fd);
            if source.is_none_or(|source| wanted(&source.reaches)) {
                self.need_gate(node, Gate::Watched(p, event_loop.address, fd), Link::Reach);
            }
        }
    }

    fn fill_anyone(&mut self, node: NodeId, p: usize) {
        let world = self.world;
        let Some(process) = world.process(p) else {
            return;
        };
        if has_ended(process) {
            return;
        }
        if !process.reach_complete && handles_signals(process) {
            return self.open(node);
        }
        for (t, thread) in process.threads.iter().enumerate() {
            if may_act(self.world.is_python(p, thread), thread) && !world.in_own_select(p, t) {
                self.need_actor(node, Actor::Thread(p, t), Link::Reach);
            }
        }
        for (k, task) in process.tasks.iter().enumerate() {
            if self.actors.contains_key(&Actor::Task(p, k)) && task.loop_tid.is_some() {
                self.need_actor(node, Actor::Task(p, k), Link::Reach);
            }
        }
    }

    fn fill_future(&mut self, node: NodeId, p: usize, address: Address) {
        let world = self.world;
        let Some(index) = world.index.get(p) else {
            return self.open(node);
        };
        let mut certain = false;
        if let Some(&k) = index.task_by_address.get(&address) {
            return match self.actors.contains_key(&Actor::Task(p, k)) {
                true => self.need_actor(node, Actor::Task(p, k), Link::Definite),
                false => self.open(node),
            };
        }
        let state = index.objects.get(&address).map(|o| &o.state);
        if let Some(SyncState::Future { state, .. } | SyncState::AsyncFuture { state, .. }) = state
            && !matches!(state, FutureState::Pending | FutureState::Running)
        {
            return self.open(node);
        }
        for &holder in index.holders.get(&address).into_iter().flatten() {
            certain = true;
            self.need_actor(node, holder, Link::Definite);
        }
        if let Some(SyncState::AsyncFuture { all: true, .. }) = state {
            self.graph.set_rule(node, Rule::All);
        }
        for &waker in index.wakers.get(&address).into_iter().flatten() {
            if waker != address && self.is_pending(p, waker) {
                certain = true;
                self.need_gate(node, Gate::Future(p, waker), Link::Definite);
            }
        }
        match state {
            Some(SyncState::Future {
                executor,
                event_loop,
                ..
            }) if !certain => {
                let pool = executor.or_else(|| index.queued_in.get(&address).copied());
                if let Some(pool) = pool {
                    certain = true;
                    self.need_gate(node, Gate::Pool(p, pool), Link::Definite);
                }
                let thread = event_loop.and_then(|l| loop_thread(index, l));
                if let Some(t) = thread {
                    certain = true;
                    self.need_gate(node, Gate::Slot(p, t), Link::Definite);
                }
            }
            Some(SyncState::AsyncFuture {
                follows: Some(follows),
                ..
            }) => {
                certain = true;
                self.need_gate(node, Gate::Future(p, *follows), Link::Definite);
            }
            None if !certain => return self.open(node),
            _ => {}
        }
        if !certain {
            self.graph.set_rule(node, Rule::Any);
            let enders = ["set_result", "set_exception", "cancel"];
            self.reach(node, p, &[address], &enders);
        }
    }

    /// Whether a waker may still wake: a task or future that is not done, or a thing that is neither.
    fn is_pending(&self, p: usize, waker: Address) -> bool {
        let Some(index) = self.world.index.get(p) else {
            return false;
        };
        if let Some(&k) = index.task_by_address.get(&waker) {
            return self.actors.contains_key(&Actor::Task(p, k));
        }
        match index.objects.get(&waker).map(|o| &o.state) {
            Some(SyncState::Future { state, .. } | SyncState::AsyncFuture { state, .. }) => {
                matches!(state, FutureState::Pending | FutureState::Running)
            }
            // A queue or lock that wakes its waiters does so when somebody acts on it.
            _ => false,
        }
    }

    fn fill_pool(&mut self, node: NodeId, p: usize, address: Address, end: bool) {
        let world = self.world;
        let Some(SyncState::Executor {
            workers, processes, ..
        }) = world.object(p, address).map(|o| &o.state)
        else {
            return self.open(node);
        };
        if end {
            self.graph.set_rule(node, Rule::All);
        } else if workers.is_empty() && processes.is_empty() {
            return self.open(node);
        }
        // The threads of a pool of processes pass on what the processes do, and do nothing themselves; without one of
        // them nothing comes.
        let threads = workers.iter().filter(|_| end || processes.is_empty());
        if !end && !processes.is_empty() && crate::gone::ended_worker(world, p, address).is_some() {
            return;
        }
        for &worker in threads {
            if let Some(t) = find_thread(world, p, worker) {
                self.need_actor(node, Actor::Thread(p, t), Link::Definite);
            }
        }
        for pid in processes {
            match world.descendant(p, *pid) {
                Some(q) if world.process(q).is_some_and(|c| !c.threads.is_empty()) => {
                    self.need_actor(node, Actor::Thread(q, 0), Link::Definite);
                }
                Some(_) => {}
                None if end => {}
                // A fork has a copy of its parent's pool, whose workers are not its children.
                None if world.is_seen(*pid) => {}
                None => return self.open(node),
            }
        }
    }

    fn fill_callbacks(&mut self, node: NodeId, p: usize, address: Address) {
        let world = self.world;
        let Some(SyncState::EventLoop {
            ready,
            scheduled,
            signal_handlers,
            tid,
            ..
        }) = world.object(p, address).map(|o| &o.state)
        else {
            return self.open(node);
        };
        let index = world.index.get(p);
        let known = index
            .and_then(|i| i.timers_of_tasks.get(&address))
            .copied()
            .unwrap_or(0);
        let thread = tid.and_then(|tid| index?.thread_by_tid.get(&tid));
        let wakes = *ready > 0 || *scheduled > known || *signal_handlers > 0;
        let Some(&t) = thread else {
            return self.open(node);
        };
        if wakes {
            self.need_gate(node, Gate::Slot(p, t), Link::Reach);
        }
    }

    /// A descriptor that is ready, a signal, or somebody who knows the loop and how to wake it.
    fn fill_wakeup(&mut self, node: NodeId, p: usize, address: Address) {
        if let Some(SyncState::EventLoop {
            signal_handlers: 1..,
            ..
        }) = self.world.object(p, address).map(|o| &o.state)
        {
            return self.open(node);
        }
        for fd in self.watched(p, address) {
            let descriptor = Gate::Descriptor {
                process: p,
                fd,
                write: false,
                queue: true,
            };
            self.need_gate(node, descriptor, Link::Reach);
        }
        let enders = ["call_soon_threadsafe", "_write_to_self"];
        self.reach(node, p, &[address], &enders);
    }

    /// Its descriptor has to be ready, and the loop's thread free.
    fn fill_watched(&mut self, node: NodeId, p: usize, address: Address, fd: i32) {
        let index = self.world.index.get(p);
        let thread = match self.world.object(p, address).map(|o| &o.state) {
            Some(SyncState::EventLoop { tid: Some(tid), .. }) => {
                index.and_then(|i| i.thread_by_tid.get(tid))
            }
            _ => None,
        };
        let Some(&t) = thread else {
            return self.open(node);
        };
        self.graph.set_rule(node, Rule::All);
        self.need_gate(node, Gate::Slot(p, t), Link::Reach);
        let descriptor = Gate::Descriptor {
            process: p,
            fd,
            write: false,
            queue: true,
        };
        self.need_gate(node, descriptor, Link::Reach);
    }

    fn fill_gil(&mut self, node: NodeId, p: usize, interpreter: i64) {
        let Some(process) = self.world.process(p) else {
            return self.open(node);
        };
        let holds = |t: &&(usize, &Thread)| t.1.gil == GilState::Holds;
        let threads: Vec<_> = process.threads.iter().enumerate().collect();
        let holder = threads
            .iter()
            .filter(holds)
            .find(|(_, t)| t.interpreter.unwrap_or(0) == interpreter)
            .or_else(|| threads.iter().find(holds));
        match holder {
            Some(&(t, _)) => self.need_actor(node, Actor::Thread(p, t), Link::Definite),
            None => self.open(node),
        }
    }

    fn fill_others(&mut self, node: NodeId, p: usize, but: usize) {
        self.graph.set_rule(node, Rule::All);
        let Some(process) = self.world.process(p) else {
            return;
        };
        for (t, thread) in process.threads.iter().enumerate() {
            if t != but && thread.daemon == Some(false) && self.world.is_python(p, thread) {
                self.need_actor(node, Actor::Thread(p, t), Link::Definite);
            }
        }
    }
}

/// What gives a lock back.
const RELEASE: [&str; 3] = ["release", "__exit__", "__aexit__"];

/// The methods of an object in this state by which a wait for it can end; none given: whatever is done with it.
pub(crate) fn enders(state: Option<&SyncState>, operation: Operation) -> &'static [&'static str] {
    match (state, operation) {
        (Some(SyncState::Queue { .. }), Operation::Join) => &["task_done", "shutdown"],
        (Some(SyncState::Queue { .. }), Operation::Put) => &[
            "get",
            "get_nowait",
            "clear",
            "notify",
            "notify_all",
            "shutdown",
        ],
        (Some(SyncState::Queue { .. }), Operation::Get) => {
            &["put", "put_nowait", "notify", "notify_all", "shutdown"]
        }
        (Some(SyncState::Event { .. }), _) => &["set"],
        (Some(SyncState::Condition { .. }), _) => &["notify", "notify_all", "notifyAll"],
        (Some(SyncState::Semaphore { .. }), _) => &RELEASE,
        _ => &[],
    }
}

/// Whether the code behind an effect names one of these methods, as far as is known.
fn uses(effect: &Effect, enders: &[&str]) -> bool {
    let named = |uses: &Vec<String>| uses.iter().any(|used| enders.contains(&used.as_str()));
    enders.is_empty() || effect.uses.as_ref().is_none_or(named)
}

/// Whether a signal makes the program run code of its own.
pub(crate) fn handles_signals(process: &Process) -> bool {
    let own = |name: &str| OWN_HANDLERS.iter().any(|own| name.contains(own));
    process.signal_handlers.iter().any(|(_, name)| !own(name))
}

/// Whether a thread may do something of the program's own accord, or because the world outside asks for it.
pub(crate) fn may_act(python: bool, thread: &Thread) -> bool {
    python && (thread.state != ThreadState::Idle || serves_outside(thread))
}

/// Whether a thread without work waits for requests, and not for what its own pool or manager has to do.
fn serves_outside(thread: &Thread) -> bool {
    let own =
        |file: &str| file.contains("/multiprocessing/") || file.contains("/concurrent/futures/");
    let wait = thread.waits_for.as_ref();
    wait.is_some_and(|w| matches!(w.kind, Kind::Descriptors | Kind::Socket))
        && !thread.frames.iter().any(|f| own(&f.file))
}

/// The position of the thread that runs a loop.
fn loop_thread(index: &crate::world::Index<'_>, event_loop: Address) -> Option<usize> {
    match &index.objects.get(&event_loop)?.state {
        SyncState::EventLoop { tid: Some(tid), .. } => index.thread_by_tid.get(tid).copied(),
        _ => None,
    }
}

/// Whether a task waits only for its turn.
pub(crate) fn is_due(task: &Task) -> bool {
    task.scheduled || (task.waits_for.is_none() && task.awaiting.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::ENDERS;

    #[test]
    fn only_methods_that_are_looked_for_are_asked_for() {
        let states = [
            SyncState::Queue {
                size: None,
                maxsize: 0,
                unfinished: 0,
            },
            SyncState::Event { set: false },
            SyncState::Condition {
                lock: None,
                waiters: Vec::new(),
            },
            SyncState::Semaphore {
                value: 0,
                bound: None,
            },
        ];
        for state in &states {
            for operation in [Operation::Join, Operation::Put, Operation::Get] {
                let asked = enders(Some(state), operation);
                assert!(!asked.is_empty());
                assert!(asked.iter().all(|name| ENDERS.contains(name)), "{asked:?}");
            }
        }
    }
}
