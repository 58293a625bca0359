//! What two looks, or one at a loop's thread, show: the GIL kept, a loop blocked, a thread that spins.

use crate::edges::{party, waiting_place};
use crate::gates::{Gate, Knots};
use crate::report::{Edge, Finding, FindingKind, Holder, Party, Target};
use crate::roots::Root;
use crate::words::{self, Told};
use crate::world::{Actor, World};
use snapshot::{
    Certainty, Frame, GilState, Kind, Operation, Process, Snapshot, Thread, ThreadState,
};

/// How much CPU time between two looks counts as spinning, in microseconds: the kernel's clock tick
/// is 10,000, so one tick is the least that tells anything.
const BUSY_US: u64 = 10_000;
/// How long a thread that spins keeps a CPU each time it gets one, on average, in microseconds: the kernel gives it several
/// milliseconds (sched(7)), and the GIL changes hands every 5. One that a timer wakes again and again runs for less.
const TURN_US: u64 = 1000;

/// What was found, and whether a second look could find more.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    pub findings: Vec<Finding>,
    pub wants_second_look: bool,
}

pub(crate) fn before<'e>(
    earlier: Option<&'e Snapshot>,
    process: &Process,
    thread: &Thread,
) -> Option<&'e Thread> {
    let process = earlier?.processes.iter().find(|p| p.pid == process.pid)?;
    process.threads.iter().find(|t| t.tid == thread.tid)
}

/// Threads of native code that keep the GIL while others wait for it.
pub(crate) fn gil(
    world: &World<'_>,
    earlier: Option<&Snapshot>,
    told: &dyn Fn(Actor) -> bool,
    out: &mut Lasting,
) {
    for (p, process) in world.snapshot.processes.iter().enumerate() {
        let holder = process
            .threads
            .iter()
            .position(|t| t.gil == GilState::Holds);
        let Some((t, thread)) = holder.and_then(|t| Some((t, process.threads.get(t)?))) else {
            continue;
        };
        let waits = |t: &Thread| t.gil == GilState::Waits && t.interpreter == thread.interpreter;
        let in_python = thread.state == ThreadState::Running && !calls_native(thread);
        if in_python || told(Actor::Thread(p, t)) || !process.threads.iter().any(waits) {
            continue;
        }
        let Some(earlier_look) = earlier else {
            out.wants_second_look = true;
            continue;
        };
        let same = before(earlier, process, thread)
            .is_some_and(|b| b.gil == GilState::Holds && same_stack(&b.frames, &thread.frames));
        let switches = earlier_look
            .processes
            .iter()
            .find(|e| e.pid == process.pid)
            .and_then(|e| e.gil_switches)
            .zip(process.gil_switches);
        let waiters: Vec<Actor> = process
            .threads
            .iter()
            .enumerate()
            .filter(|(_, w)| waits(w))
            .filter(|(_, w)| {
                before(earlier, process, w).is_some_and(|b| same_stack(&b.frames, &w.frames))
            })
            .map(|(w, _)| Actor::Thread(p, w))
            .collect();
        if same && !waiters.is_empty() && switches.is_none_or(|(a, b)| a == b) {
            let evidence = "two looks found the same holder in the same call";
            out.findings
                .push(gil_finding(world, Actor::Thread(p, t), &waiters, evidence));
        }
    }
}

/// The GIL's part in a cycle that it closes: its holder waits in native code for one who waits for the GIL.
pub(crate) fn gil_in_cycle(knots: &Knots<'_, '_>, root: &Root) -> Option<Finding> {
    let gil = root
        .nodes
        .iter()
        .copied()
        .find(|n| matches!(knots.gate_of.get(n), Some(Gate::Gil(..))))?;
    let holder = knots.actor(knots.graph.needs(gil).first()?.node)?;
    let members = root.knot.iter().chain(&root.followers).copied();
    let waits = |actor: &Actor| match *actor {
        Actor::Thread(p, t) => {
            let waits = |t: &Thread| t.gil == GilState::Waits || t.state == ThreadState::Gil;
            p == holder.process() && knots.world.thread(p, t).is_some_and(waits)
        }
        Actor::Task(..) => false,
    };
    let waiters: Vec<Actor> = members.filter(waits).collect();
    let evidence = "its holder waits inside native code for one who waits for the GIL";
    (!waiters.is_empty()).then(|| gil_finding(knots.world, holder, &waiters, evidence))
}

/// Whether the innermost frame is inside a call of a C function.
fn calls_native(thread: &Thread) -> bool {
    thread
        .frames
        .first()
        .is_some_and(|f| f.native || f.calls.is_some())
}

fn gil_finding(world: &World<'_>, holder: Actor, waiters: &[Actor], evidence: &str) -> Finding {
    let culprit = party(world, holder, waiting_place(world, holder));
    let edges: Vec<Edge> = waiters
        .iter()
        .map(|&w| {
            let place = world.place(w);
            Edge {
                waiter: party(world, w, place.clone()),
                waits_for: Target {
                    kind: Kind::Gil,
                    address: None,
                    name: None,
                    place,
                    inner: None,
                },
                held_by: Some(Holder {
                    party: culprit.clone(),
                    now: Some(culprit.place.clone()),
                    ended: false,
                    how: None,
                }),
                certainty: Certainty::Certain,
                evidence: evidence.to_owned(),
            }
        })
        .collect();
    let names: Vec<String> = edges.iter().map(|e| words::who(&e.waiter, false)).collect();
    let at = words::spot(&culprit.place)
        .map(|s| format!(" at {s}"))
        .unwrap_or_default();
    let who = words::who(&culprit, false);
    let verb = if names.len() > 1 { "wait" } else { "waits" };
    Finding {
        kind: FindingKind::GilHeld,
        certainty: Certainty::Certain,
        summary: format!(
            "{who} keeps the GIL in native code{at}, and {} {verb} for it",
            words::enumerate(&names)
        ),
        cause: format!(
            "native code called by {who}{at} does not give up the GIL, so no other Python code runs"
        ),
        places: std::iter::once(culprit)
            .chain(edges.iter().map(|e| e.waiter.clone()))
            .collect(),
        knot_edges: edges.len(),
        edges,
    }
}

fn same_stack(a: &[Frame], b: &[Frame]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.function == b.function && a.file == b.file && a.line == b.line)
}

/// Loops whose thread sleeps or computes inside one step.
pub(crate) fn loops(
    world: &World<'_>,
    earlier: Option<&Snapshot>,
    told: &dyn Fn(Actor) -> bool,
    out: &mut Lasting,
) {
    for (p, process) in world.snapshot.processes.iter().enumerate() {
        let Some(index) = world.index.get(p) else {
            continue;
        };
        for (t, thread) in process.threads.iter().enumerate() {
            let actor = Actor::Thread(p, t);
            let in_callback = index.loop_by_tid.contains_key(&thread.tid)
                && thread.waits_for.is_some()
                && !world.in_own_select(p, t);
            if (thread.running_task.is_none() && !in_callback) || told(actor) {
                continue;
            }
            let asleep = thread.state == ThreadState::Waiting && thread.gil != GilState::Waits;
            let sleeps = asleep
                && thread
                    .waits_for
                    .as_ref()
                    .is_some_and(|w| !is_brief(world, p, w));
            if sleeps {
                out.findings.push(loop_finding(world, actor, true));
                continue;
            }
            match (earlier, before(earlier, process, thread)) {
                (None, _) => out.wants_second_look = true,
                (Some(_), Some(b)) if same_step(b, thread) => {
                    out.findings.push(loop_finding(world, actor, asleep));
                }
                _ => {}
            }
        }
    }
}

/// Waits that are over in a moment as a rule: a disk, a lock whose holder is at work.
fn is_brief(world: &World<'_>, p: usize, wait: &snapshot::Wait) -> bool {
    match wait.kind {
        Kind::File | Kind::Unknown | Kind::Gil => true,
        // `Thread.start` waits until the thread runs.
        Kind::Thread => wait.operation == Operation::Wait,
        Kind::Lock | Kind::RLock | Kind::ModuleLock | Kind::NativeMutex => {
            let holders = wait
                .address
                .and_then(|a| world.index.get(p)?.holders.get(&a));
            holders.is_none_or(|holders| {
                holders.iter().all(|h| match *h {
                    Actor::Thread(p, t) => world
                        .thread(p, t)
                        .is_some_and(|t| t.state != ThreadState::Waiting),
                    Actor::Task(..) => false,
                })
            })
        }
        _ => false,
    }
}

/// Whether two looks saw one and the same step of a loop.
fn same_step(before: &Thread, now: &Thread) -> bool {
    if before.running_task != now.running_task {
        return false;
    }
    if let (Some(before), Some(now)) = (before.steps, now.steps) {
        return before == now;
    }
    // Without the count of steps: the frames around the step, and the line where it began its work.
    let outer = |t: &Thread| -> Vec<(String, u32)> {
        t.frames
            .iter()
            .rev()
            .take_while(|f| !f.native)
            .map(|f| (f.function.clone(), f.line))
            .collect()
    };
    let (before, now) = (outer(before), outer(now));
    let own = before.len().min(now.len());
    own > 0
        && before
            .iter()
            .zip(&now)
            .take(own.saturating_sub(1).max(1))
            .all(|(a, b)| a == b)
}

fn loop_finding(world: &World<'_>, actor: Actor, asleep: bool) -> Finding {
    let place = waiting_place(world, actor);
    let culprit = party(world, actor, place.clone());
    let wait = world.wait(actor);
    let who = words::who(&culprit, false);
    let at = words::spot(&place)
        .map(|s| format!(" at {s}"))
        .unwrap_or_default();
    let mut edges = Vec::new();
    let doing = match wait.filter(|_| asleep) {
        Some(wait) => {
            let edge = Edge {
                waiter: culprit.clone(),
                waits_for: Target {
                    kind: wait.kind,
                    address: wait.address,
                    name: wait.name.clone(),
                    place: place.clone(),
                    inner: wait.inner.clone(),
                },
                held_by: lock_holder(world, actor, wait),
                certainty: wait.certainty,
                evidence: wait.evidence.clone(),
            };
            let doing = match wait.kind {
                Kind::Timer => "sleeps".to_owned(),
                _ => format!(
                    "waits {}",
                    words::thing(&Told {
                        edge: edge.clone(),
                        operation: wait.operation
                    })
                ),
            };
            edges.push(edge);
            doing
        }
        None => "computes".to_owned(),
    };
    let function = if place.function.is_empty() {
        String::new()
    } else {
        format!(" in {}()", place.function)
    };
    Finding {
        kind: FindingKind::BlockedEventLoop,
        certainty: Certainty::Certain,
        summary: format!("{who} blocks its event loop: it {doing}{function}{at}"),
        cause: format!(
            "{who} {doing} inside one step{at} without awaiting, so no other task of the loop can run"
        ),
        knot_edges: edges.len(),
        edges,
        places: std::iter::once(culprit)
            .chain(call_chain(world, actor))
            .collect(),
    }
}

/// The program's own callers of the place where a loop is blocked.
fn call_chain(world: &World<'_>, actor: Actor) -> Vec<Party> {
    let Actor::Thread(p, t) = actor else {
        return Vec::new();
    };
    let frames = world.thread(p, t).map_or(&[][..], |t| &t.frames);
    let own = frames
        .iter()
        .filter(|f| !f.native && f.origin == snapshot::Origin::Program);
    own.skip(1)
        .take(10)
        .map(|f| party(world, actor, f.place()))
        .collect()
}

fn lock_holder(world: &World<'_>, actor: Actor, wait: &snapshot::Wait) -> Option<Holder> {
    let p = actor.process();
    let address = wait.inner_address.or(wait.address)?;
    let holders = world
        .index
        .get(p)?
        .holders
        .get(&address)
        .or_else(|| world.index.get(p)?.holders.get(&wait.address?))?;
    let &holder = holders.iter().find(|h| **h != actor)?;
    let hold = world
        .holds(holder)
        .iter()
        .find(|h| h.address == address || Some(h.address) == wait.address)?;
    Some(Holder {
        party: party(world, holder, hold.place.clone()),
        now: Some(waiting_place(world, holder)),
        ended: false,
        how: None,
    })
}

/// Threads that the program relies on and that spin.
pub(crate) fn busy(world: &World<'_>, earlier: Option<&Snapshot>, out: &mut Lasting) {
    for (p, process) in world.snapshot.processes.iter().enumerate() {
        for (t, thread) in process.threads.iter().enumerate() {
            let on_cpu = matches!(thread.state, ThreadState::Running | ThreadState::Native)
                && thread.waits_for.is_none()
                && !thread.frames.is_empty();
            if !on_cpu || !(thread.main || thread.daemon == Some(false)) {
                continue;
            }
            if earlier.is_none() {
                out.wants_second_look = true;
                continue;
            }
            let spins = before(earlier, process, thread).is_some_and(|b| {
                let spent = thread.os.cpu_us.saturating_sub(b.os.cpu_us);
                let turns = b.os.switches.zip(thread.os.switches);
                let turns = turns.map_or(0, |(a, b)| b.saturating_sub(a));
                let stays = spent >= turns.saturating_mul(TURN_US);
                b.waits_for.is_none() && spent >= BUSY_US && stays && same_function(b, thread)
            });
            if spins {
                out.findings.push(busy_finding(world, Actor::Thread(p, t)));
            }
        }
    }
}

/// Whether both looks found the thread in the same function of the program.
fn same_function(a: &Thread, b: &Thread) -> bool {
    let own = |t: &Thread| {
        let frame = t
            .frames
            .iter()
            .find(|f| !f.native && f.origin == snapshot::Origin::Program);
        frame.map(|f| (f.file.clone(), f.function.clone()))
    };
    own(a).is_some() && own(a) == own(b)
}

fn busy_finding(world: &World<'_>, actor: Actor) -> Finding {
    let place: snapshot::Place = world.place(actor);
    let culprit: Party = party(world, actor, place.clone());
    let who = words::who(&culprit, false);
    let at = words::spot(&place)
        .map(|s| format!(" at {s}"))
        .unwrap_or_default();
    Finding {
        kind: FindingKind::Busy,
        certainty: Certainty::Certain,
        summary: format!("{who} is busy in {}(){at}", place.function),
        cause: format!(
            "{who} ran on a CPU in two looks and did not yield; it may be spinning or at work"
        ),
        edges: Vec::new(),
        knot_edges: 0,
        places: vec![culprit],
    }
}
