//! What a thread or task holds: the locks whose `with` blocks its frames are in, and those that name their owner.

use super::forms::{Form, form_of, kind_of};
use super::insight::{Block, Insight};
use super::locks::{lock_is_locked, rlock_owner};
use super::names;
use super::objects::{attribute, ident, sem_lock_of, text};
use super::origin::Origins;
use crate::frame::RawFrame;
use crate::generator::frames_of_generator;
use crate::reader::Reader;
use snapshot::{Address, Certainty, Hold, Kind, Origin, Place};
use std::cell::RefCell;

/// Managers within managers (generators, stacks, the program's own classes) that are looked into.
const DEPTH_MAX: usize = 6;
/// Most callbacks of an `ExitStack` that are looked at.
const CALLBACKS_MAX: usize = 200;
/// Most attributes of the program's own managers that are looked at.
const ATTRIBUTES_MAX: usize = 40;
/// How the evidence of what an `ExitStack` holds begins.
pub(super) const BY_STACK: &str = "entered through an ExitStack";

/// What is held by a stack of frames.
pub(super) struct Holder<'a> {
    pub insight: &'a Insight<'a>,
    pub origins: &'a Origins,
    /// From the innermost outwards.
    pub frames: &'a [RawFrame],
    /// `get_ident()` of the thread; `None` for a suspended task.
    pub ident: Option<u64>,
    /// Where it is at present.
    pub now: Place,
    /// Of what is held by `acquire()`: what only some of the ways through the code have taken. Filled by [`Holder::holds`].
    pub unsure: RefCell<Vec<Address>>,
}

/// A manager on its way to the locks in it.
pub(super) struct Managed<'b> {
    pub object: Address,
    pub name: Option<&'b str>,
    pub place: &'b Place,
    pub evidence: String,
    pub certainty: Certainty,
    /// Frames further in than the one that is in the block.
    pub within: &'b [RawFrame],
    /// Whether the block is the program's own.
    pub own: bool,
}

impl Holder<'_> {
    /// All that is held, in the order in which it was taken as far as that can be told (the outermost first).
    pub(super) fn holds(&self) -> Vec<Hold> {
        let mut holds = Vec::new();
        for (depth, frame) in self.frames.iter().enumerate().rev() {
            let blocks = self.insight.blocks(frame);
            let within = self.frames.get(..depth).unwrap_or_default();
            let of_frame = holds.len();
            for block in blocks.iter().filter(|block| block.held) {
                self.block(frame, depth, block, within, &mut holds);
            }
            self.acquired(frame, within, of_frame, &mut holds);
            self.file_locks(frame, &mut holds);
        }
        holds
    }

    fn block(
        &self,
        frame: &RawFrame,
        depth: usize,
        block: &Block,
        within: &[RawFrame],
        holds: &mut Vec<Hold>,
    ) {
        let own = self.is_own(frame);
        let place = if own {
            self.insight.place(frame, Some(block.line))
        } else {
            self.place_outside(depth)
                .unwrap_or_else(|| self.insight.place(frame, Some(block.line)))
        };
        let exit = if block.is_async {
            "__aexit__"
        } else {
            "__exit__"
        };
        let evidence = format!(
            "`{exit}` of this {{}} on the value stack of {}(), slot {}",
            frame.code.name, block.slot
        );
        let name = if own {
            block.name.clone()
        } else {
            names::of_handler(&self.insight.reader, frame)
        };
        let managed = Managed {
            object: block.manager,
            name: name.as_deref(),
            place: &place,
            evidence,
            certainty: Certainty::Certain,
            within,
            own,
        };
        self.manager(&managed, 0, holds);
    }

    pub(super) fn is_own(&self, frame: &RawFrame) -> bool {
        self.origins.of_frame(&self.insight.reader, frame) == Origin::Program
    }

    /// The place of the innermost of the program's frames that is not further in than `depth`.
    fn place_outside(&self, depth: usize) -> Option<Place> {
        self.frames
            .iter()
            .skip(depth)
            .find(|frame| self.is_own(frame))
            .map(|frame| self.insight.place(frame, None))
    }

    /// The locks that a manager stands for.
    fn manager(&self, managed: &Managed<'_>, depth: usize, holds: &mut Vec<Hold>) {
        if depth > DEPTH_MAX {
            return;
        }
        let reader = &self.insight.reader;
        match form_of(reader, managed.object) {
            Some(Form::GeneratorManager) => self.generator(managed, depth, holds),
            Some(Form::ExitStack) => self.exit_stack(managed, depth, holds),
            Some(Form::ModuleLockManager) => {
                if let Some(lock) = attribute(reader, managed.object, "_lock") {
                    self.lock(managed, lock, Form::ModuleLock, holds);
                }
            }
            Some(form) => self.lock(managed, managed.object, form, holds),
            None => self.own_class(managed, holds),
        }
    }

    pub(super) fn lock(
        &self,
        managed: &Managed<'_>,
        object: Address,
        form: Form,
        holds: &mut Vec<Hold>,
    ) {
        let reader = &self.insight.reader;
        let Some((address, kind)) = lock_of(reader, object, form) else {
            return;
        };
        let given_up = self.is_given_up(address, managed.within);
        if !given_up && self.contradicted(address) {
            return;
        }
        // The library's own conditions within its queues and events: given up, they matter to nobody.
        if given_up && !managed.own {
            return;
        }
        let noun = match kind {
            Kind::Lock | Kind::RLock | Kind::ModuleLock => "lock".to_owned(),
            kind => format!("{kind:?}").to_lowercase(),
        };
        let name = match form {
            Form::ModuleLock => text(reader, object, "name"),
            _ => managed.name.map(str::to_owned),
        };
        holds.push(Hold {
            kind,
            address,
            fd: None,
            name,
            place: managed.place.clone(),
            now: self.now.clone(),
            given_up,
            evidence: managed.evidence.replace("{}", &noun),
            certainty: managed.certainty,
        });
    }

    /// Whether the lock itself says that this thread does not hold it.
    fn contradicted(&self, lock: Address) -> bool {
        let reader = &self.insight.reader;
        match form_of(reader, lock) {
            Some(Form::Lock) => lock_is_locked(reader, lock) == Some(false),
            Some(Form::RLock) => match (rlock_owner(reader, lock), self.ident) {
                (Some((owner, _)), Some(ident)) => owner != Some(ident),
                (Some((owner, _)), None) => owner.is_none(),
                (None, _) => false,
            },
            Some(Form::PythonRLock) => {
                self.ident.is_some() && ident(reader, lock, "_owner") != self.ident
            }
            Some(Form::ModuleLock) => {
                self.ident.is_some() && ident(reader, lock, "owner") != self.ident
            }
            Some(Form::SemLock) => reader
                .get(lock, reader.layout.sem_lock.count)
                .is_ok_and(|count| count <= 0),
            _ => false,
        }
    }

    /// Whether a `Condition.wait` further in has given the lock up for the time of the wait.
    pub(super) fn is_given_up(&self, lock: Address, within: &[RawFrame]) -> bool {
        let reader = &self.insight.reader;
        within.iter().any(|frame| {
            if &*frame.code.name != "wait" {
                return false;
            }
            let path = self.origins.stdlib_path(&frame.code.file);
            // What the function notes down once it has given the lock up.
            let noted = match path.as_deref() {
                Some("threading.py") => "saved_state",
                Some("multiprocessing/synchronize.py") => "count",
                Some("asyncio/locks.py") => "fut",
                _ => return false,
            };
            let own_lock = frame
                .local(reader, "self")
                .and_then(|condition| attribute(reader, condition, "_lock"))
                .and_then(|lock| Some(lock_of(reader, lock, form_of(reader, lock)?)?.0));
            own_lock == Some(lock) && frame.local(reader, noted).is_some()
        })
    }

    /// What a `@contextmanager` function holds in its suspended frame.
    fn generator(&self, managed: &Managed<'_>, depth: usize, holds: &mut Vec<Hold>) {
        let Some(generator) = attribute(&self.insight.reader, managed.object, "gen") else {
            return;
        };
        let frames = frames_of_generator(&self.insight.reader, generator);
        for frame in frames.iter().rev() {
            for block in self.insight.blocks(frame).iter().filter(|block| block.held) {
                let own = self.is_own(frame);
                let place = self.insight.place(frame, Some(block.line));
                let inner = Managed {
                    object: block.manager,
                    name: block.name.as_deref().filter(|_| own).or(managed.name),
                    place: if own { &place } else { managed.place },
                    evidence: format!(
                        "`__exit__` of this {{}} on the value stack of the suspended {}(), slot {}",
                        frame.code.name, block.slot
                    ),
                    certainty: managed.certainty,
                    within: managed.within,
                    own: own || managed.own,
                };
                self.manager(&inner, depth + 1, holds);
            }
            self.acquired(frame, managed.within, holds.len(), holds);
        }
    }

    /// What was entered through an `ExitStack`: its callbacks are bound `__exit__` methods.
    fn exit_stack(&self, managed: &Managed<'_>, depth: usize, holds: &mut Vec<Hold>) {
        let reader = &self.insight.reader;
        let callbacks = attribute(reader, managed.object, "_exit_callbacks")
            .and_then(|callbacks| reader.deque_items(callbacks, CALLBACKS_MAX).ok())
            .unwrap_or_default();
        for callback in callbacks {
            let exit = match reader.items(callback, 2).as_deref() {
                Ok([_, exit]) => *exit,
                _ => callback,
            };
            let Ok(object) = reader.get(exit, reader.layout.method.im_self) else {
                continue;
            };
            let inner = Managed {
                object,
                name: None,
                evidence: format!("{BY_STACK} whose block the frame is in"),
                ..*managed
            };
            self.manager(&inner, depth + 1, holds);
        }
    }

    /// A manager of the program's own class: the locks among its attributes that are locked are probably its.
    fn own_class(&self, managed: &Managed<'_>, holds: &mut Vec<Hold>) {
        let reader = &self.insight.reader;
        let attributes = reader
            .attributes(managed.object, ATTRIBUTES_MAX)
            .unwrap_or_default();
        for (name, value) in attributes {
            let Some(form) = form_of(reader, value) else {
                continue;
            };
            let Some((lock, _)) = lock_of(reader, value, form) else {
                continue;
            };
            if !is_locked(reader, lock, self.ident) {
                continue;
            }
            let full = managed.name.map(|manager| format!("{manager}.{name}"));
            let inner = Managed {
                object: value,
                name: full.as_deref(),
                evidence: format!(
                    "{}; its attribute {name} is this locked {{}}",
                    managed.evidence.replace("{}", "manager")
                ),
                certainty: Certainty::Probable,
                ..*managed
            };
            self.lock(&inner, value, form, holds);
        }
    }
}

/// The lock that is held by whoever is in the block of this object, and what the program calls it.
pub(super) fn lock_of(reader: &Reader<'_>, object: Address, form: Form) -> Option<(Address, Kind)> {
    let kind = kind_of(reader, object, form);
    let address = match form {
        Form::Lock
        | Form::RLock
        | Form::PythonRLock
        | Form::Semaphore
        | Form::ModuleLock
        | Form::SemLock
        | Form::AsyncLock
        | Form::AsyncSemaphore => object,
        Form::Condition | Form::AsyncCondition => attribute(reader, object, "_lock")?,
        Form::SharedLock => sem_lock_of(reader, object)?,
        Form::SharedCondition => sem_lock_of(reader, attribute(reader, object, "_lock")?)?,
        _ => return None,
    };
    Some((address, kind))
}

/// Whether this lock is locked, and by this thread where it tells.
pub(super) fn is_locked(reader: &Reader<'_>, lock: Address, holder: Option<u64>) -> bool {
    match form_of(reader, lock) {
        Some(Form::Lock) => lock_is_locked(reader, lock) == Some(true),
        Some(Form::RLock) => {
            rlock_owner(reader, lock).is_some_and(|(owner, _)| owner.is_some() && owner == holder)
        }
        Some(Form::PythonRLock) => {
            let owner = ident(reader, lock, "_owner");
            owner.is_some() && owner == holder
        }
        Some(Form::SemLock) => reader
            .get(lock, reader.layout.sem_lock.count)
            .is_ok_and(|count| count > 0),
        _ => false,
    }
}
