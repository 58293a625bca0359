//! One interpreter's threads, all together.

use super::blocked::{Blocked, blocked};
use super::ended;
use super::forms::{Form, form_of};
use super::futures;
use super::holds::Holder;
use super::insight::Insight;
use super::names;
use super::objects::Catalogue;
use super::origin::Origins;
use super::owners;
use super::shared;
use super::traced;
use super::waits;
use super::{SyncReport, ThreadInput, ThreadSync, outward};
use crate::frame::RawFrame;
use crate::interpreter::Interp;
use crate::reader::Reader;
use crate::threads::thread_objects;
use snapshot::{Address, Origin, Place, ThreadState};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

/// Most variables of one namespace that are looked at.
const VARIABLES_MAX: usize = 1000;

/// All that is known while an interpreter's threads are looked at.
pub(super) struct Inspection<'a> {
    pub insight: &'a Insight<'a>,
    pub origins: &'a Origins,
    pub interpreter: &'a Interp,
    pub threads: &'a [ThreadInput<'a>],
    thread_objects: OnceCell<HashMap<u64, Address>>,
}

impl<'a> Inspection<'a> {
    pub(super) fn new(
        insight: &'a Insight<'a>,
        origins: &'a Origins,
        interpreter: &'a Interp,
        threads: &'a [ThreadInput<'a>],
    ) -> Self {
        Inspection {
            insight,
            origins,
            interpreter,
            threads,
            thread_objects: OnceCell::new(),
        }
    }

    pub(super) fn reader(&self) -> &Reader<'a> {
        &self.insight.reader
    }

    /// The `threading.Thread` objects by their ident, read when first asked for.
    pub(super) fn thread_objects(&self) -> &HashMap<u64, Address> {
        self.thread_objects
            .get_or_init(|| thread_objects(self.reader(), self.interpreter))
    }

    /// All of it, with the objects at `more` among those described.
    pub(super) fn report(&self, more: &[Address]) -> SyncReport {
        let mut per_thread: Vec<ThreadSync> = self
            .threads
            .iter()
            .map(|thread| self.thread(thread))
            .collect();
        owners::add(self, &mut per_thread);
        owners::settle(self.reader(), &mut per_thread);
        traced::add(self, &mut per_thread);
        futures::add_running(self, &mut per_thread);
        let shared = shared::add(self, &mut per_thread);
        let mut catalogue = Catalogue::default();
        catalogue.add(self.reader(), wanted(&per_thread));
        catalogue.add(self.reader(), shared);
        catalogue.add(self.reader(), more.iter().copied());
        catalogue.add(self.reader(), shared::children(self, &per_thread));
        futures::relate(self, &mut catalogue);
        let ended = ended::ended(self, &per_thread, &catalogue);
        let mut objects = catalogue.into_objects();
        names::add(self, &mut objects);
        SyncReport {
            per_thread,
            objects,
            ended,
            notes: Vec::new(),
        }
    }

    fn thread(&self, thread: &ThreadInput<'_>) -> ThreadSync {
        let frames = thread.raw.own_frames();
        let mut sync = ThreadSync {
            calls: vec![None; thread.raw.frames.len()],
            ..ThreadSync::default()
        };
        let blocked = blocked(self.reader(), thread.os);
        let call = frames.first().and_then(|frame| self.insight.call(frame));
        if let (Some(first), Some(call)) = (sync.calls.first_mut(), &call) {
            *first = call.callable.native.then(|| call.callable.shown());
        }
        self.outer_calls(&thread.raw.frames, &mut sync.calls);
        sync.waits_for_gil = self.waits_for_gil(&blocked);
        if sync.waits_for_gil {
            sync.state_hint = Some(ThreadState::Gil);
        } else if let Some(innermost) = frames.first() {
            let variables = || self.variables(innermost);
            let found = waits::innermost(self.reader(), &blocked, call.as_ref(), variables);
            if let Some(found) = found {
                let objects = || self.thread_objects().values().copied().collect();
                let told = outward::tell(self.insight, self.origins, frames, found, &objects);
                sync.idle = told.idle;
                sync.state_hint = Some(if told.idle {
                    ThreadState::Idle
                } else {
                    ThreadState::Waiting
                });
                sync.waits_for = Some(told.wait);
            }
        }
        let holder = Holder {
            insight: self.insight,
            origins: self.origins,
            frames,
            ident: Some(thread.raw.ident),
            now: self.now(frames),
            unsure: RefCell::default(),
        };
        sync.holds = holder.holds();
        sync.unsure = holder.unsure.into_inner();
        sync
    }

    /// The C functions between the frames: what a frame calls whose next inner frame was called from C (3.11+;
    /// before, each frame is called so, and the Python function itself is what is called).
    fn outer_calls(&self, frames: &[RawFrame], calls: &mut [Option<String>]) {
        for ((inner, frame), shown) in frames
            .iter()
            .zip(frames.iter().skip(1))
            .zip(calls.iter_mut().skip(1))
        {
            if inner.entry && frame.code.dialect.has_exception_table() {
                let call = self.insight.call(frame).filter(|call| call.callable.native);
                *shown = call.map(|call| call.callable.shown());
            }
        }
    }

    fn waits_for_gil(&self, blocked: &Blocked) -> bool {
        match (blocked, &self.interpreter.gil) {
            (Blocked::Futex { word, .. }, Some(gil)) => gil.contains(*word),
            _ => false,
        }
    }

    /// The objects in a frame's local variables.
    pub(super) fn locals(&self, frame: &RawFrame) -> Vec<Address> {
        let names = frame.code.locals(self.reader()).unwrap_or_default();
        names
            .iter()
            .filter_map(|local| frame.slot(self.reader(), local.slot))
            .collect()
    }

    /// The objects that a frame has at hand: local variables, attributes of `self`, global variables.
    fn variables(&self, frame: &RawFrame) -> Vec<Address> {
        let reader = self.reader();
        let mut found = self.locals(frame);
        if let Some(this) = frame.local(reader, "self") {
            let attributes = reader.attributes(this, VARIABLES_MAX).unwrap_or_default();
            found.extend(attributes.into_iter().map(|(_, value)| value));
        }
        let globals = reader.dict_items(frame.globals, VARIABLES_MAX);
        found.extend(
            globals
                .unwrap_or_default()
                .into_iter()
                .map(|(_, value)| value),
        );
        found
    }

    /// Where a thread is at present: the innermost of the program's frames, or of all.
    pub(super) fn now(&self, frames: &[RawFrame]) -> Place {
        now(self.insight, self.origins, frames)
    }
}

/// Where a stack of frames is at present: the innermost of the program's frames, or of all.
pub(super) fn now(insight: &Insight<'_>, origins: &Origins, frames: &[RawFrame]) -> Place {
    frames
        .iter()
        .find(|frame| origins.of_frame(&insight.reader, frame) == Origin::Program)
        .or(frames.first())
        .map(|frame| insight.place(frame, None))
        .unwrap_or_default()
}

/// The objects that somebody waits for or holds.
fn wanted(threads: &[ThreadSync]) -> Vec<Address> {
    let mut addresses = Vec::new();
    for thread in threads {
        if let Some(wait) = &thread.waits_for {
            addresses.extend(wait.address);
            addresses.extend(wait.inner_address);
            addresses.extend(&wait.any_of);
        }
        addresses.extend(thread.holds.iter().map(|hold| hold.address));
    }
    addresses
}

/// Whether the object at this address is of this form.
pub(super) fn is(reader: &Reader<'_>, object: Address, form: Form) -> bool {
    form_of(reader, object) == Some(form)
}
