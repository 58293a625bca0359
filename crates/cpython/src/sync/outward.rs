//! From the lock that a thread sleeps on outwards to what the program's own code called.

use super::forms::{Form, form_of};
use super::insight::Insight;
use super::names;
use super::objects::{attribute, integer, sem_lock_of, text, thread_handle};
use super::origin::Origins;
use super::pools::is_unfinished;
use super::rules::{self, Limit, Of, Rule};
use super::waits::Found;
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::{Address, Kind, Operation, Origin, Timeout, Wait};

/// Most futures that are waited for at once and listed.
const FUTURES_MAX: usize = 5000;

/// A wait as the program's own code sees it.
pub(super) struct Told {
    /// The wait.
    pub wait: Wait,
    /// Whether no code of the program's takes part: a worker without work.
    pub idle: bool,
}

/// Tells a wait from the innermost frame outwards. `threads` are the `threading.Thread` objects.
pub(super) fn tell(
    insight: &Insight<'_>,
    origins: &Origins,
    frames: &[RawFrame],
    found: Found,
    threads: &dyn Fn() -> Vec<Address>,
) -> Told {
    let reader = &insight.reader;
    let mut found = found;
    let mut idle = false;
    let mut busy = false;
    let mut place_at = None;
    let mut in_packages = false;
    for (depth, frame) in frames.iter().enumerate() {
        match origins.of_frame(reader, frame) {
            Origin::Program => {
                place_at = Some(depth);
                break;
            }
            Origin::Stdlib if !in_packages => {
                let Some(path) = origins.stdlib_path(&frame.code.file) else {
                    continue;
                };
                if let Some(rule) = rule_of(reader, &path, frame) {
                    apply(reader, rule, frame, &mut found);
                }
                busy |= rules::does_work(&path, &frame.code.name);
                // A worker that writes its result, or takes a lock to do so, has work.
                idle |= !busy
                    && found.operation != Operation::Write
                    && rules::waits_for_work(&path, &frame.code.name, found.kind);
            }
            Origin::Stdlib | Origin::Native => {}
            Origin::Packages => in_packages = true,
        }
    }
    finish(reader, &mut found, threads);
    let place_frame = place_at.unwrap_or(0);
    let own_name = found.name.take();
    let name = frames
        .get(place_frame)
        .filter(|_| place_at.is_some())
        .and_then(|frame| {
            name_at_call(insight, frame, &found)
                .or_else(|| own_name.clone())
                .or_else(|| names::in_frame(insight, frame, found.address?))
        });
    let inner = frames.first().filter(|_| place_frame != 0);
    let wait = Wait {
        kind: found.kind,
        address: found.address,
        inner_address: found.inner.filter(|inner| Some(*inner) != found.address),
        operation: found.operation,
        name,
        place: frames
            .get(place_frame)
            .map(|frame| insight.place(frame, insight.line_of_exit(frame)))
            .unwrap_or_default(),
        inner: inner.map(|frame| insight.place(frame, None)),
        any_of: found.any_of,
        timeout: found.limit,
        fds: found.fds,
        child: found.child,
        evidence: found.evidence,
        certainty: found.certainty,
    };
    Told { wait, idle }
}

fn rule_of(reader: &Reader<'_>, path: &str, frame: &RawFrame) -> Option<&'static Rule> {
    if !rules::has_file(path) {
        return None;
    }
    let this = frame.local(reader, "self");
    rules::find(path, &frame.code.name, |module, class| {
        this.is_some_and(|this| reader.is_instance(this, module, class))
    })
}

fn apply(reader: &Reader<'_>, rule: &Rule, frame: &RawFrame, found: &mut Found) {
    let object = match rule.of {
        Of::Inner => None,
        Of::Local(name) => frame.local(reader, name),
        Of::Attribute(name) => {
            let this = frame.local(reader, "self");
            let part = this.and_then(|this| attribute(reader, this, name));
            // Another wait of the same function: a handler that writes its record, for example.
            if part.is_none() || part != found.address {
                return;
            }
            found.name = names::of_handler(reader, frame);
            part
        }
    };
    found.operation = rule.operation;
    if rule.kind == Kind::Condition {
        found.operation = condition_operation(reader, object, found.inner, rule.operation);
    }
    found.kind = rule.kind;
    if let Some(object) = object {
        found.address = Some(canonical(reader, object));
    }
    match rule.limit {
        Limit::Inner => {}
        Limit::Never => found.limit = Timeout::Forever,
        Limit::Always => found.limit = Timeout::Limited,
        Limit::Local(name) => found.limit = limit_of(reader, frame, name),
    }
    if rule.file == "concurrent/futures/_base.py"
        && matches!(rule.function, "wait" | "as_completed")
    {
        list_futures(reader, frame, found);
    }
    if matches!(rule.kind, Kind::Process | Kind::Child) && found.child.is_none() {
        found.child = object.and_then(|object| child_of(reader, object));
    }
}

/// The object that stands for all its wrappers: the C lock inside `multiprocessing`'s.
fn canonical(reader: &Reader<'_>, object: Address) -> Address {
    match form_of(reader, object) {
        Some(Form::SharedLock) => sem_lock_of(reader, object).unwrap_or(object),
        _ => object,
    }
}

/// Inside `Condition.wait`, the lock itself is taken again after the wait.
fn condition_operation(
    reader: &Reader<'_>,
    condition: Option<Address>,
    inner: Option<Address>,
    operation: Operation,
) -> Operation {
    let lock = condition
        .and_then(|condition| attribute(reader, condition, "_lock"))
        .map(|lock| canonical(reader, lock));
    match (lock, inner) {
        (Some(lock), Some(inner)) if lock == inner => Operation::Acquire,
        _ => operation,
    }
}

/// A timeout in a local variable: none when it is `None`, unbound or negative.
fn limit_of(reader: &Reader<'_>, frame: &RawFrame, name: &str) -> Timeout {
    let Some(value) = frame.local(reader, name) else {
        return Timeout::Forever;
    };
    if reader.is_none(value) {
        return Timeout::Forever;
    }
    let negative = reader.float(value).is_ok_and(|seconds| seconds < 0.0)
        || reader.int(value).is_ok_and(|seconds| seconds < 0);
    if negative {
        Timeout::Forever
    } else {
        Timeout::Limited
    }
}

/// The unfinished futures of `concurrent.futures.wait` and `as_completed`.
fn list_futures(reader: &Reader<'_>, frame: &RawFrame, found: &mut Found) {
    let members = ["pending", "not_done", "fs"].into_iter().find_map(|name| {
        let set = frame.local(reader, name)?;
        reader
            .set_items(set, FUTURES_MAX)
            .or_else(|_| reader.items(set, FUTURES_MAX))
            .ok()
    });
    let mut futures = members
        .unwrap_or_default()
        .into_iter()
        .filter(|future| is_unfinished(reader, *future));
    found.address = futures.next();
    found.any_of = futures.collect();
}

/// The PID of a `Popen` or `multiprocessing.Process`.
fn child_of(reader: &Reader<'_>, object: Address) -> Option<i64> {
    integer(reader, object, "pid").or_else(|| {
        let popen = attribute(reader, object, "_popen")?;
        integer(reader, popen, "pid")
    })
}

/// What is left to tell once the outermost call is known.
fn finish(reader: &Reader<'_>, found: &mut Found, threads: &dyn Fn() -> Vec<Address>) {
    let is_thread = |address: Address| form_of(reader, address) == Some(Form::Thread);
    if found.kind == Kind::Thread && !found.address.is_some_and(is_thread) {
        // The interpreter's end waits for the lock or event of a thread, not for its object.
        let slept_on = found.inner.or(found.address);
        found.address = slept_on.and_then(|inner| {
            threads()
                .into_iter()
                .find(|thread| ends_with(reader, *thread, inner))
        });
    }
    if found.kind == Kind::ModuleLock {
        found.name = found.address.and_then(|lock| text(reader, lock, "name"));
    }
}

/// Whether this thread's end releases the lock, or sets the event, at `inner`.
fn ends_with(reader: &Reader<'_>, thread: Address, inner: Address) -> bool {
    if attribute(reader, thread, "_tstate_lock") == Some(inner) {
        return true;
    }
    let Some(handle) = thread_handle(reader, thread) else {
        return false;
    };
    let layout = reader.layout;
    handle == inner
        || reader
            .get(handle, layout.thread_handle.handle)
            .and_then(|data| reader.place(data, layout.thread_handle_data.thread_is_exiting))
            .is_ok_and(|event| event == inner)
}

/// The expression by which the program's frame names what it waits for.
fn name_at_call(insight: &Insight<'_>, frame: &RawFrame, found: &Found) -> Option<String> {
    let call = insight.call(frame)?;
    let receiver = call
        .callable
        .receiver
        .map(|object| canonical(&insight.reader, object));
    let same = match (receiver, found.address) {
        (Some(receiver), Some(address)) => receiver == address || Some(receiver) == found.inner,
        // A module's function, or a wait for nothing that has an address.
        _ => false,
    };
    call.receiver_name.filter(|_| same)
}
