//! Gates that the kernel keeps: pipes, sockets, children, file locks.

use crate::gates::{Gate, Knots};
use crate::graph::{Link, NodeId, Rule};
use crate::providers::{handles_signals, may_act};
use crate::world::{Actor, has_ended};
use snapshot::{ChildState, FdKind, Operation, SocketState, SyncState, Wait};

impl Knots<'_, '_> {
    /// A wait at one or several descriptors, any of which will do.
    pub(crate) fn descriptors(&mut self, node: NodeId, p: usize, wait: &Wait) {
        if wait.fds.is_empty()
            || matches!(
                wait.operation,
                Operation::Open | Operation::Accept | Operation::Connect
            )
        {
            return self.nothing_needed(node);
        }
        let write = matches!(wait.operation, Operation::Write | Operation::Put);
        let queue = wait.kind == snapshot::Kind::Queue && !write;
        if let [fd] = wait.fds[..] {
            return self.need_gate(
                node,
                Gate::Descriptor {
                    process: p,
                    fd,
                    write,
                    queue,
                },
                Link::Definite,
            );
        }
        let choice = self.graph.add(Rule::Any);
        self.graph.need(node, choice, Link::Definite);
        for &fd in &wait.fds {
            self.need_gate(
                choice,
                Gate::Descriptor {
                    process: p,
                    fd,
                    write,
                    queue,
                },
                Link::Definite,
            );
        }
    }

    pub(crate) fn fill_descriptor(
        &mut self,
        node: NodeId,
        p: usize,
        fd: i32,
        write: bool,
        queue: bool,
    ) {
        let world = self.world;
        let Some(descriptor) = world.index.get(p).and_then(|i| i.fds.get(&fd)) else {
            return self.open(node);
        };
        if world.shared_outside(&descriptor.kind) {
            return self.open(node);
        }
        // A pidfd is ready when its process has ended.
        if let FdKind::Other { link, watches } = &descriptor.kind
            && link.contains("[pidfd]")
            && let Some(pid) = watches.first()
            && let Some(actor) = self.child(p, i64::from(*pid))
        {
            return self.need_actor(node, actor, Link::Reach);
        }
        let others = match &descriptor.kind {
            FdKind::Pipe {
                queued: Some(1..), ..
            } if !write => None,
            FdKind::Pipe { inode, .. } => world.pipes.get(inode).map(|ends| match write {
                true => &ends.readers,
                false => &ends.writers,
            }),
            FdKind::Socket {
                connection: Some(connection),
                ..
            } => {
                let waiting_data = !write && connection.receive_queue.is_some_and(|n| n > 0);
                match connection.peer_inode {
                    Some(peer) if connection.state == SocketState::Established && !waiting_data => {
                        world.sockets.get(&peer)
                    }
                    _ => None,
                }
            }
            FdKind::Terminal { end: Some(end), .. } => world.terminals.get(&end.other()),
            _ => None,
        };
        // A pipe of its own is how a signal's handler, or the interpreter for it (`signal.set_wakeup_fd`), wakes a thread.
        let woken = world.process(p).is_some_and(handles_signals)
            && others.is_some_and(|others| others.contains(&p));
        let free = woken || world.is_given(&descriptor.kind) || world.has_outside;
        match others {
            Some(others)
                if others[..] == [p]
                    && !write
                    && !free
                    && self.written_by_reach(node, p, &descriptor.kind) => {}
            Some(others) if !others.is_empty() && !free => {
                let link = if queue { Link::Reach } else { Link::Definite };
                for &other in others {
                    self.need_gate(node, Gate::AnyOf(other), link);
                }
            }
            // End of file, an error, or somebody outside.
            _ => self.open(node),
        }
    }

    /// Of a connection with both ends in one process, read by tasks: links the gate of what is read at one end to those who can
    /// reach the other end's transport, where that is known.
    fn written_by_reach(&mut self, node: NodeId, p: usize, kind: &FdKind) -> bool {
        let world = self.world;
        let FdKind::Socket {
            connection: Some(connection),
            ..
        } = kind
        else {
            return false;
        };
        let Some((process, index)) = world.process(p).zip(world.index.get(p)) else {
            return false;
        };
        let is_peer = |fd: &&snapshot::Fd| matches!(fd.kind, FdKind::Socket { inode, .. } if Some(inode) == connection.peer_inode);
        let mut peers = process.fds.iter().filter(is_peer);
        let (Some(peer), None) = (peers.next(), peers.next()) else {
            return false;
        };
        let reads = |wait: &&Wait| wait.operation == Operation::Read && wait.fds == [peer.fd];
        let mut tasks = process.tasks.iter().enumerate();
        let reader = tasks.find_map(|(k, task)| {
            let wait = task.waits_for.as_ref().filter(reads)?;
            Some((Actor::Task(p, k), wait.address?))
        });
        let (Some((reader, transport)), true) = (reader, process.reach_complete) else {
            return false;
        };
        // Who has the transport and is not found to have it was not asked for.
        let reachers = index.reachers.get(&transport);
        if !reachers.is_some_and(|all| all.iter().any(|(actor, _)| *actor == reader)) {
            return false;
        }
        self.need_actor(node, reader, Link::Definite);
        self.reach(node, p, &[transport], &[]);
        true
    }

    pub(crate) fn fill_process(&mut self, node: NodeId, p: usize) {
        let world = self.world;
        let Some(process) = world.process(p) else {
            return self.open(node);
        };
        let mut any = false;
        for (t, thread) in process.threads.iter().enumerate() {
            if may_act(world.is_python(p, thread), thread) || world.in_own_select(p, t) {
                any = true;
                self.need_actor(node, Actor::Thread(p, t), Link::Reach);
            }
        }
        if !any {
            self.open(node);
        }
    }

    /// A wait for a child, or for any of them.
    pub(crate) fn child_end(&mut self, node: NodeId, p: usize, wait: &Wait) {
        let state = wait
            .address
            .and_then(|a| self.world.object(p, a))
            .map(|o| &o.state);
        let named = match state {
            Some(SyncState::Process { pid, .. }) => pid.map(i64::from),
            _ => None,
        };
        match wait.child.or(named) {
            Some(pid) if pid > 0 => match self.child(p, pid) {
                Some(actor) => self.need_actor(node, actor, Link::Definite),
                None => self.nothing_needed(node),
            },
            Some(_) => self.need_gate(node, Gate::Children(p), Link::Definite),
            None => self.nothing_needed(node),
        }
    }

    /// The main thread of a child that lives and was looked at.
    pub(crate) fn child(&self, p: usize, pid: i64) -> Option<Actor> {
        let pid = u32::try_from(pid).ok()?;
        let q = self.world.descendant(p, pid)?;
        let child = self.world.process(q)?;
        let first = child.threads.first()?;
        let main = child.threads.iter().position(|t| t.main).unwrap_or(0);
        (!has_ended(child) && self.world.is_python(q, first)).then_some(Actor::Thread(q, main))
    }

    pub(crate) fn fill_children(&mut self, node: NodeId, p: usize) {
        let Some((process, index)) = self.world.process(p).zip(self.world.index.get(p)) else {
            return self.open(node);
        };
        let seen = |pid: u32| self.world.by_pid.contains_key(&pid);
        let unseen = process
            .children
            .iter()
            .any(|c| c.state == ChildState::Zombie || !seen(c.pid));
        let pids: Vec<u32> = index.children.keys().copied().collect();
        if unseen || pids.is_empty() {
            return self.open(node);
        }
        for pid in pids {
            match self.child(p, i64::from(pid)) {
                Some(actor) => self.need_actor(node, actor, Link::Definite),
                None => return self.open(node),
            }
        }
    }

    pub(crate) fn fill_file_lock(&mut self, node: NodeId, p: usize, fd: i32) {
        let world = self.world;
        let Some(waited) = world.waited_file_lock(p, fd) else {
            return self.open(node);
        };
        let by_pid = waited.blocked_by.and_then(|pid| world.by_pid.get(&pid));
        // Whoever took a lock of the file itself (flock(2)) may have ended; those that share the open file hold it.
        let shared = |q: &usize| world.has_lock(*q, &waited);
        let holders: Vec<usize> = match by_pid {
            Some(&q) => vec![q],
            None => (0..world.snapshot.processes.len()).filter(shared).collect(),
        };
        if holders.is_empty() || world.has_outside {
            return self.open(node);
        }
        for q in holders {
            match world.file_lock_holder(q, &waited) {
                Some(actor) => {
                    self.need_actor(node, actor, Link::Definite);
                    self.need_gate(node, Gate::AnyOf(q), Link::Reach);
                }
                None => self.need_gate(node, Gate::AnyOf(q), Link::Definite),
            }
        }
    }
}
