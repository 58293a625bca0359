//! From a snapshot to its graph: one node for each actor, one gate for each thing waited for.

use crate::graph::{Graph, Link, NodeId, Rule};
use crate::world::{Actor, World, has_ended};
use snapshot::{
    Address, FdKind, GilState, Kind, Operation, Process, SharedKey, SocketState, SyncState, Task,
    TaskState, Thread, ThreadState, Timeout, Wait,
};
use std::collections::HashMap;

/// What a gate stands for. Equal things waited for in equal ways share one gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Gate {
    /// A lock of process `0`; opened by its holder.
    Lock(usize, Address),
    /// A semaphore shared by processes; opened by its holder.
    Shared(SharedKey),
    /// An object without an owner, and what is asked of it; opened by whoever reaches it.
    Object(usize, Address, Operation),
    /// A future of either kind; opened by whoever will finish it.
    Future(usize, Address),
    /// A free worker of a pool.
    Pool(usize, Address),
    /// The end of a pool's workers.
    PoolEnd(usize, Address),
    /// The moment when a thread can run a step of its loop.
    Slot(usize, usize),
    /// The end of the sleep of a loop that something was put into without waking it.
    Wakeup(usize, Address),
    /// What a loop calls without a descriptor being ready, and that is no task's step.
    Callbacks(usize, Address),
    /// What a loop calls when a descriptor is ready.
    Watched(usize, Address, i32),
    /// The GIL of a process and interpreter.
    Gil(usize, i64),
    /// Data (or room, when `write`) at a descriptor.
    Descriptor {
        process: usize,
        fd: i32,
        write: bool,
        queue: bool,
    },
    /// Anything that a process may do.
    AnyOf(usize),
    /// Anything that actors of a process with program code on their stacks may do.
    Anyone(usize),
    /// The same for all processes.
    Family,
    /// The end of all other threads that the program waits for when it ends.
    Others(usize, usize),
    /// A child's end; any child's.
    Children(usize),
    /// The signal that lets a stopped process go on.
    Continued(usize),
    /// Whoever holds the lock of the file behind a descriptor.
    FileLock(usize, i32),
    /// Several gates, any of which will do: the wait of this actor.
    Choice(Actor),
}

/// The graph of a snapshot.
pub(crate) struct Knots<'w, 's> {
    pub world: &'w World<'s>,
    pub graph: Graph,
    pub actors: HashMap<Actor, NodeId>,
    /// The actor of a node that is one.
    pub actor_of: Vec<Option<Actor>>,
    /// The gate of a node that is one.
    pub gate_of: HashMap<NodeId, Gate>,
    gates: HashMap<Gate, NodeId>,
    pub(crate) to_fill: Vec<(NodeId, Gate)>,
}

impl<'w, 's> Knots<'w, 's> {
    pub(crate) fn build(world: &'w World<'s>) -> Self {
        let mut knots = Knots {
            world,
            graph: Graph::default(),
            actors: HashMap::new(),
            actor_of: Vec::new(),
            gate_of: HashMap::new(),
            gates: HashMap::new(),
            to_fill: Vec::new(),
        };
        knots.add_actors();
        for (p, process) in world.snapshot.processes.iter().enumerate() {
            for (t, thread) in process.threads.iter().enumerate() {
                if let Some(&node) = knots.actors.get(&Actor::Thread(p, t)) {
                    knots.thread(node, p, t, process, thread);
                }
            }
            for (k, task) in process.tasks.iter().enumerate() {
                if let Some(&node) = knots.actors.get(&Actor::Task(p, k))
                    && knots.actor_of.get(node) == Some(&Some(Actor::Task(p, k)))
                {
                    knots.task(node, p, k, task);
                }
            }
        }
        while let Some((node, gate)) = knots.to_fill.pop() {
            knots.fill(node, &gate);
        }
        knots
    }

    fn add_actors(&mut self) {
        for (p, process) in self.world.snapshot.processes.iter().enumerate() {
            for (t, thread) in process.threads.iter().enumerate() {
                if self.world.is_python(p, thread) {
                    self.add_actor(Actor::Thread(p, t));
                }
            }
            for (k, task) in process.tasks.iter().enumerate() {
                if matches!(
                    task.state,
                    TaskState::Finished | TaskState::Failed | TaskState::Cancelled
                ) {
                    continue;
                }
                let runner = self
                    .world
                    .index
                    .get(p)
                    .and_then(|i| i.running_in.get(&task.address));
                let alias = runner.and_then(|&t| self.actors.get(&Actor::Thread(p, t)).copied());
                match alias {
                    // A step's fate is its thread's.
                    Some(node) => {
                        self.actors.insert(Actor::Task(p, k), node);
                    }
                    None => {
                        self.add_actor(Actor::Task(p, k));
                    }
                }
            }
        }
    }

    fn add_actor(&mut self, actor: Actor) {
        let node = self.graph.add(Rule::All);
        self.actors.insert(actor, node);
        self.actor_of.resize(node + 1, None);
        if let Some(place) = self.actor_of.get_mut(node) {
            *place = Some(actor);
        }
    }

    /// The actor that a node is, where it is one.
    pub(crate) fn actor(&self, node: NodeId) -> Option<Actor> {
        self.actor_of.get(node).copied().flatten()
    }

    /// The gate's node, made when it is the first to ask.
    pub(crate) fn gate(&mut self, gate: Gate) -> NodeId {
        if let Some(&node) = self.gates.get(&gate) {
            return node;
        }
        let node = self.graph.add(Rule::Any);
        self.gates.insert(gate.clone(), node);
        self.gate_of.insert(node, gate.clone());
        self.to_fill.push((node, gate));
        node
    }

    pub(crate) fn open(&mut self, node: NodeId) {
        self.graph.set_rule(node, Rule::Open);
    }

    /// `node` needs `actor`; an actor that is not known goes on.
    pub(crate) fn need_actor(&mut self, node: NodeId, actor: Actor, link: Link) {
        match self.actors.get(&actor) {
            Some(&other) => self.graph.need(node, other, link),
            None => self.open(node),
        }
    }

    pub(crate) fn need_gate(&mut self, node: NodeId, gate: Gate, link: Link) {
        let other = self.gate(gate);
        self.graph.need(node, other, link);
    }

    fn thread(&mut self, node: NodeId, p: usize, t: usize, process: &Process, thread: &Thread) {
        if has_ended(process) {
            return self.open(node);
        }
        if self.world.is_suspended(p) {
            return self.need_gate(node, Gate::Continued(p), Link::Definite);
        }
        if thread.gil == GilState::Waits || thread.state == ThreadState::Gil {
            return self.need_gate(
                node,
                Gate::Gil(p, thread.interpreter.unwrap_or(0)),
                Link::Definite,
            );
        }
        if self.world.in_own_select(p, t) {
            return self.loop_thread(node, p, thread);
        }
        if thread.state == ThreadState::Idle {
            return match self.serves_family(p, process, thread) {
                true => self.need_gate(node, Gate::Family, Link::Reach),
                false => self.open(node),
            };
        }
        match &thread.waits_for {
            Some(wait) => self.wait(node, Actor::Thread(p, t), wait),
            None => self.open(node),
        }
    }

    /// Whether a thread without work is a `multiprocessing` manager's, which does only what its clients ask for, and
    /// those are in this family: it listens at no address that others could know.
    fn serves_family(&self, p: usize, process: &Process, thread: &Thread) -> bool {
        let reachable = |fd: &snapshot::Fd| match &fd.kind {
            FdKind::Socket {
                connection: Some(connection),
                ..
            } => connection.state == SocketState::Listening && connection.protocol != "unix",
            _ => false,
        };
        p != 0
            && thread
                .frames
                .iter()
                .any(|f| f.file.ends_with("multiprocessing/managers.py"))
            && !process.fds.is_empty()
            && !process.fds.iter().any(reachable)
    }

    /// A loop with nothing to run goes on when any of its tasks or callbacks does.
    fn loop_thread(&mut self, node: NodeId, p: usize, thread: &Thread) {
        let limited = thread
            .waits_for
            .as_ref()
            .is_some_and(|w| w.timeout == Timeout::Limited);
        let index = self.world.index.get(p);
        let event_loop = index
            .and_then(|i| i.loop_by_tid.get(&thread.tid))
            .map(|o| o.address);
        let tasks = index.and_then(|i| i.tasks_of_thread.get(&thread.tid));
        let (Some(event_loop), Some(tasks), false) = (event_loop, tasks, limited) else {
            return self.open(node);
        };
        if self.world.overslept(p, thread).is_some() {
            return self.need_gate(node, Gate::Wakeup(p, event_loop), Link::Definite);
        }
        self.graph.set_rule(node, Rule::Any);
        for &k in tasks {
            self.need_actor(node, Actor::Task(p, k), Link::Definite);
        }
        self.need_gate(node, Gate::Callbacks(p, event_loop), Link::Reach);
        for fd in self.watched(p, event_loop) {
            self.need_gate(node, Gate::Watched(p, event_loop, fd), Link::Reach);
        }
    }

    /// The descriptors that a loop watches.
    pub(crate) fn watched(&self, p: usize, event_loop: Address) -> Vec<i32> {
        match self.world.object(p, event_loop).map(|o| &o.state) {
            Some(SyncState::EventLoop { watched, .. }) => watched.clone(),
            _ => Vec::new(),
        }
    }

    fn task(&mut self, node: NodeId, p: usize, k: usize, task: &Task) {
        let index = self.world.index.get(p);
        let Some(&t) = task.loop_tid.and_then(|tid| index?.thread_by_tid.get(&tid)) else {
            return self.open(node);
        };
        let thread = self.world.thread(p, t);
        if task.scheduled
            && let Some(event_loop) = thread.and_then(|t| self.world.overslept(p, t))
        {
            return self.need_gate(node, Gate::Wakeup(p, event_loop), Link::Definite);
        }
        self.need_gate(node, Gate::Slot(p, t), Link::Definite);
        if task.scheduled {
            return;
        }
        match (&task.waits_for, task.awaiting) {
            (Some(wait), _) => self.wait(node, Actor::Task(p, k), wait),
            (None, Some(future)) => self.need_gate(node, Gate::Future(p, future), Link::Definite),
            (None, None) => {}
        }
    }

    /// Adds to `node` what a wait needs. A wait that ends by itself needs nothing.
    fn wait(&mut self, node: NodeId, actor: Actor, wait: &Wait) {
        if wait.timeout == Timeout::Limited {
            return;
        }
        if wait.any_of.is_empty() {
            return self.one_wait(node, actor, wait, wait.address);
        }
        let choice = self.gate(Gate::Choice(actor));
        self.graph.need(node, choice, Link::Definite);
        for address in wait.address.iter().chain(&wait.any_of) {
            self.one_wait(choice, actor, wait, Some(*address));
        }
    }

    fn one_wait(&mut self, node: NodeId, actor: Actor, wait: &Wait, address: Option<Address>) {
        let p = actor.process();
        let task = matches!(actor, Actor::Task(..));
        match wait.kind {
            Kind::Timer | Kind::Signal | Kind::File | Kind::Unknown => {
                self.nothing_needed(node);
            }
            Kind::Gil => self.need_gate(node, Gate::Gil(p, 0), Link::Definite),
            // `Thread.start` waits only until the thread runs.
            Kind::Thread if wait.operation == Operation::Wait => self.nothing_needed(node),
            Kind::Thread => self.thread_end(node, actor, address),
            Kind::Child | Kind::Process => self.child_end(node, p, wait),
            Kind::Pipe | Kind::Socket | Kind::Terminal | Kind::Descriptors => {
                self.descriptors(node, p, wait);
            }
            Kind::FileLock => match wait.fds.first() {
                Some(&fd) => self.need_gate(node, Gate::FileLock(p, fd), Link::Definite),
                None => self.nothing_needed(node),
            },
            Kind::Future | Kind::Task | Kind::Awaitable => {
                let awaited = match actor {
                    Actor::Task(p, k) => self.world.task(p, k).and_then(|t| t.awaiting),
                    Actor::Thread(..) => None,
                };
                match address.or(awaited) {
                    Some(address) => self.need_gate(node, Gate::Future(p, address), Link::Definite),
                    None => self.nothing_needed(node),
                }
            }
            Kind::Executor => match address {
                Some(address) => self.need_gate(node, Gate::PoolEnd(p, address), Link::Definite),
                None => self.nothing_needed(node),
            },
            _ => match address {
                Some(address) => self.object(node, p, wait, address, task),
                None => self.nothing_needed(node),
            },
        }
    }

    /// One of the ways that `node` can go on needs nothing.
    pub(crate) fn nothing_needed(&mut self, node: NodeId) {
        if matches!(self.gate_of.get(&node), Some(Gate::Choice(_))) {
            self.open(node);
        }
    }

    fn object(&mut self, node: NodeId, p: usize, wait: &Wait, address: Address, _task: bool) {
        let object = self.world.object(p, address);
        if let Some(inner) = wait.inner_address {
            let part = object.is_none_or(|o| o.parts.contains(&inner) || o.address == inner);
            match self.world.object(p, inner).map(|o| &o.state) {
                Some(SyncState::Lock {
                    locked: Some(false),
                }) => return self.nothing_needed(node),
                // A waiter's private lock is no part of what it waits for.
                Some(
                    SyncState::Lock { .. } | SyncState::RLock { .. } | SyncState::AsyncLock { .. },
                ) if part => {
                    return self.need_gate(node, Gate::Lock(p, inner), Link::Definite);
                }
                Some(SyncState::SharedSemaphore { .. }) if self.is_shared_lock(p, inner, wait) => {
                    return self.shared(node, p, inner);
                }
                _ => {}
            }
        }
        if wait.kind == Kind::Queue && !wait.fds.is_empty() {
            return self.descriptors(node, p, wait);
        }
        match object.map(|o| &o.state) {
            Some(
                SyncState::Lock { .. }
                | SyncState::RLock { .. }
                | SyncState::ModuleLock { .. }
                | SyncState::AsyncLock { .. },
            ) => self.need_gate(node, Gate::Lock(p, address), Link::Definite),
            Some(SyncState::SharedSemaphore { .. }) => self.shared(node, p, address),
            None if matches!(
                wait.kind,
                Kind::Lock | Kind::RLock | Kind::ModuleLock | Kind::NativeMutex
            ) =>
            {
                self.need_gate(node, Gate::Lock(p, address), Link::Definite);
            }
            Some(SyncState::Condition {
                lock: Some(lock), ..
            }) if wait.operation == Operation::Acquire => {
                self.need_gate(node, Gate::Lock(p, *lock), Link::Definite);
            }
            Some(SyncState::Future { .. } | SyncState::AsyncFuture { .. }) => {
                self.need_gate(node, Gate::Future(p, address), Link::Definite);
            }
            _ => {
                let operation = match wait.operation {
                    Operation::Put | Operation::Write => Operation::Put,
                    Operation::Join => Operation::Join,
                    Operation::Get => Operation::Get,
                    _ => Operation::Wait,
                };
                self.need_gate(node, Gate::Object(p, address, operation), Link::Definite);
            }
        }
    }

    /// Whether a wait on an inner shared semaphore is for a lock that somebody holds, and not to be notified.
    fn is_shared_lock(&self, p: usize, inner: Address, wait: &Wait) -> bool {
        match wait.kind {
            Kind::Event | Kind::Condition | Kind::Barrier => wait.operation == Operation::Acquire,
            // A full queue's `_sem` is given back by its readers, the locks by their holders.
            Kind::Queue => matches!(
                self.world.object(p, inner).map(|o| &o.state),
                Some(SyncState::SharedSemaphore { max: 1, .. })
            ),
            _ => true,
        }
    }

    fn shared(&mut self, node: NodeId, p: usize, address: Address) {
        match self.world.object(p, address).map(|o| &o.state) {
            Some(SyncState::SharedSemaphore { key: Some(key), .. }) => {
                self.need_gate(node, Gate::Shared(key.clone()), Link::Definite);
            }
            _ => self.need_gate(node, Gate::Lock(p, address), Link::Definite),
        }
    }

    fn thread_end(&mut self, node: NodeId, actor: Actor, address: Option<Address>) {
        let p = actor.process();
        let Some(address) = address else {
            return match actor {
                Actor::Thread(p, t) => self.need_gate(node, Gate::Others(p, t), Link::Definite),
                Actor::Task(..) => self.nothing_needed(node),
            };
        };
        match find_thread(self.world, p, address) {
            Some(t) => self.need_actor(node, Actor::Thread(p, t), Link::Definite),
            None => self.nothing_needed(node),
        }
    }
}

/// The live thread of a Thread object.
pub(crate) fn find_thread(world: &World<'_>, p: usize, object: Address) -> Option<usize> {
    let index = world.index.get(p)?;
    if let Some(&t) = index.thread_by_object.get(&object) {
        return Some(t);
    }
    match &index.objects.get(&object)?.state {
        SyncState::Thread { ended: true, .. } => None,
        SyncState::Thread {
            ident, native_id, ..
        } => {
            let by_ident = ident.and_then(|i| index.thread_by_ident.get(&i).copied());
            by_ident.or_else(|| {
                let native = (*native_id)?;
                let threads = &world.process(p)?.threads;
                threads
                    .iter()
                    .position(|t| t.ns_tid.unwrap_or(t.tid) == native)
            })
        }
        _ => None,
    }
}
