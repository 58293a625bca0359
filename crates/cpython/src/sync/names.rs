//! Under which names the program knows the objects that somebody waits for.

use super::forms::{Form, form_of};
use super::insight::Insight;
use super::inspect::Inspection;
use super::objects::{NAME_CHARS, sem_lock_of};
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::{Address, Origin, SyncObject, SyncState};
use std::collections::{HashMap, HashSet};

/// Most namespaces of modules that are searched.
const MODULES_MAX: usize = 50;
/// Most names of one namespace that are looked at.
const GLOBALS_MAX: usize = 5000;
/// Most objects whose attributes are looked at.
const OWNERS_MAX: usize = 200;
/// Most attributes of one of them.
const ATTRIBUTES_MAX: usize = 100;

/// The objects whose names are wanted.
struct Index {
    by_address: HashMap<Address, usize>,
    /// Whether any is a lock of `multiprocessing`.
    shared: bool,
}

/// Adds the names: of global variables of the modules whose code is on a stack, and of attributes of the `self`
/// of each frame.
pub(super) fn add(inspection: &Inspection<'_>, objects: &mut [SyncObject]) {
    if objects.is_empty() {
        return;
    }
    let index = Index {
        by_address: objects
            .iter()
            .enumerate()
            .map(|(at, object)| (object.address, at))
            .collect(),
        shared: objects
            .iter()
            .any(|object| matches!(object.state, SyncState::SharedSemaphore { .. })),
    };
    let reader = inspection.reader();
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut modules = HashSet::new();
    let mut owners = HashSet::new();
    for frame in program_frames(inspection) {
        if modules.len() < MODULES_MAX && modules.insert(frame.globals) {
            globals(reader, frame.globals, &index, &mut found);
        }
        if let Some(this) = frame.local(reader, "self")
            && owners.len() < OWNERS_MAX
            && owners.insert(this)
        {
            attributes(reader, this, &index, &mut found);
        }
    }
    for (at, name) in found {
        if let Some(object) = objects.get_mut(at)
            && !object.names.contains(&name)
        {
            object.names.push(name);
        }
    }
}

fn program_frames<'a>(inspection: &'a Inspection<'_>) -> impl Iterator<Item = &'a RawFrame> {
    inspection
        .threads
        .iter()
        .flat_map(|thread| &thread.raw.frames)
        .filter(|frame| inspection.origins.origin_of(&frame.code.file) == Origin::Program)
}

fn globals(
    reader: &Reader<'_>,
    namespace: Address,
    index: &Index,
    found: &mut Vec<(usize, String)>,
) {
    let Ok(items) = reader.dict_items(namespace, GLOBALS_MAX) else {
        return;
    };
    let module = reader
        .dict_get(namespace, "__name__")
        .ok()
        .flatten()
        .and_then(|name| reader.string(name, NAME_CHARS).ok());
    for (key, value) in items {
        let Some(at) = position(reader, value, index) else {
            continue;
        };
        let Ok(name) = reader.string(key, NAME_CHARS) else {
            continue;
        };
        found.push((
            at,
            match module.as_deref() {
                Some("__main__") | None => name,
                Some(module) => format!("{module}.{name}"),
            },
        ));
    }
}

fn attributes(
    reader: &Reader<'_>,
    owner: Address,
    index: &Index,
    found: &mut Vec<(usize, String)>,
) {
    let Ok(class) = reader.class_of(owner) else {
        return;
    };
    for (name, value) in reader.attributes(owner, ATTRIBUTES_MAX).unwrap_or_default() {
        if let Some(at) = position(reader, value, index) {
            found.push((at, format!("{}.{name}", class.name)));
        }
    }
}

/// Which of the objects this is; a lock of `multiprocessing` stands for the C object inside it.
fn position(reader: &Reader<'_>, value: Address, index: &Index) -> Option<usize> {
    let by_address = |address| index.by_address.get(&address).copied();
    by_address(value).or_else(|| {
        let inner = index.shared.then(|| behind(reader, value)).flatten()?;
        by_address(inner)
    })
}

/// The expression by which a frame names an object: where it calls it or enters it now, or a local variable, an
/// attribute of its `self`, a global variable.
pub(super) fn in_frame(insight: &Insight<'_>, frame: &RawFrame, wanted: Address) -> Option<String> {
    let reader = &insight.reader;
    if let Some(call) = insight.call(frame)
        && call.callable.receiver == Some(wanted)
        && call.receiver_name.is_some()
    {
        return call.receiver_name;
    }
    if let Some(block) = insight.entering(frame)
        && block.manager == wanted
        && block.name.is_some()
    {
        return block.name;
    }
    let shared = form_of(reader, wanted) == Some(Form::SemLock);
    let is_wanted =
        |value: Address| value == wanted || shared && behind(reader, value) == Some(wanted);
    let locals = frame.code.locals(reader).unwrap_or_default();
    let local = locals.iter().find(|local| {
        frame
            .slot(reader, local.slot)
            .is_some_and(|value| value == wanted || behind(reader, value) == Some(wanted))
    });
    if let Some(local) = local {
        return Some(local.name.to_string());
    }
    let of_self = frame.local(reader, "self").and_then(|this| {
        let attributes = reader.attributes(this, ATTRIBUTES_MAX).ok()?;
        let mut attributes = attributes.into_iter();
        let (name, _) = attributes.find(|(_, value)| is_wanted(*value))?;
        Some(format!("self.{name}"))
    });
    of_self.or_else(|| {
        let globals = reader.dict_items(frame.globals, GLOBALS_MAX).ok()?;
        let (name, _) = globals.into_iter().find(|(_, value)| is_wanted(*value))?;
        reader.string(name, NAME_CHARS).ok()
    })
}

/// The C object inside a lock of `multiprocessing`.
fn behind(reader: &Reader<'_>, value: Address) -> Option<Address> {
    if form_of(reader, value)? != Form::SharedLock {
        return None;
    }
    sem_lock_of(reader, value)
}

/// What a logging handler's lock is called, in a frame of one of its methods: `StreamHandler.lock`.
pub(super) fn of_handler(reader: &Reader<'_>, frame: &RawFrame) -> Option<String> {
    let this = frame.local(reader, "self")?;
    if form_of(reader, this)? != Form::LogHandler {
        return None;
    }
    Some(format!("{}.lock", reader.class_of(this).ok()?.name))
}
