//! Locks taken by `acquire()` and not by `with`: found by walking the function from the call to where it is now.

use super::forms::{Form, form_of};
use super::holds::{BY_STACK, Holder, Managed, is_locked, lock_of};
use super::insight::{CodeNames, Insight};
use super::scope::Scope;
use crate::bytecode::{Subject, Taken};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use snapshot::{Address, Certainty, Hold};

/// Most names of a function that are looked at.
const NAMES_MAX: usize = 2000;

/// A lock that a function has taken by calling its `acquire`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Acquired {
    /// The object; `None` where the expression means something else by now.
    pub object: Option<Address>,
    /// Its expression.
    pub name: Option<String>,
    /// Line of the call.
    pub line: u32,
    /// Not every way to the current instruction has taken it, or it is this very instruction, that would take it again.
    pub unsure: bool,
}

impl Insight<'_> {
    /// What the frame has taken and, as far as its code tells, not given back.
    pub(super) fn acquired(&self, frame: &RawFrame) -> Vec<Acquired> {
        let code = &frame.code;
        if !frame.complete || !self.calls(code).acquire {
            return Vec::new();
        }
        let Some((analysis, moment)) = self.moment(frame) else {
            return Vec::new();
        };
        let names = CodeNames {
            reader: &self.reader,
            code,
        };
        let taken = analysis.borrow_mut().held_by_acquire(&moment, &names);
        let analysis = analysis.borrow();
        let value = |id| analysis.value(id);
        taken
            .into_iter()
            .filter(|taken| taken.taken != Taken::FileLock)
            .filter_map(|taken| {
                let Subject::Expression(object) = taken.subject else {
                    return None;
                };
                let now = || self.evaluate(Scope::Frame(frame), &value, object, 0);
                Some(Acquired {
                    object: if taken.rebound { None } else { now() },
                    name: self.name_of(frame, &analysis, object),
                    line: code.line_at(taken.offset as usize).unwrap_or(0),
                    unsure: !taken.on_every_path || taken.offset == moment.offset,
                })
            })
            .collect()
    }

    /// A quick look that spares most functions the interpretation.
    pub(super) fn calls(&self, code: &CodeInfo) -> Calls {
        *code.understood.calls.get_or_init(|| {
            let names = (0..NAMES_MAX).map_while(|index| code.name_at(&self.reader, index).ok());
            names.fold(Calls::default(), |calls, name| Calls {
                acquire: calls.acquire
                    || matches!(
                        &*name,
                        "acquire" | "acquire_lock" | "__enter__" | "enter_context"
                    ),
                file_lock: calls.file_lock || matches!(&*name, "flock" | "lockf"),
            })
        })
    }
}

/// Which of the calls looked for a function may make, by the names in its code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// A lock's `acquire`, or its like.
    pub acquire: bool,
    /// `fcntl.flock` or `lockf`.
    pub file_lock: bool,
}

impl Holder<'_> {
    /// What the program's own function took without `with`. The owner that a re-entrant lock names makes it certain.
    /// `of_frame` is how many holds come before this frame's own.
    pub(super) fn acquired(
        &self,
        frame: &RawFrame,
        within: &[RawFrame],
        of_frame: usize,
        holds: &mut Vec<Hold>,
    ) {
        if !self.is_own(frame) {
            return;
        }
        let sites = self.insight.acquired(frame);
        for acquired in &sites {
            let Some(object) = acquired.object else {
                continue;
            };
            self.one_acquired(frame, (acquired, object), within, of_frame, holds);
        }
        // In a loop, the call that put a lock on the stack is known although its expression has moved on.
        let mut lines: Vec<u32> = sites.iter().map(|site| site.line).collect();
        lines.dedup();
        if let [line] = lines.as_slice() {
            for hold in entered(holds, of_frame) {
                hold.place = self.insight.place(frame, Some(*line));
            }
        }
    }

    fn one_acquired(
        &self,
        frame: &RawFrame,
        (acquired, object): (&Acquired, Address),
        within: &[RawFrame],
        of_frame: usize,
        holds: &mut Vec<Hold>,
    ) {
        let reader = &self.insight.reader;
        let Some(form) = form_of(reader, object) else {
            return;
        };
        let Some((lock, _)) = lock_of(reader, object, form) else {
            return;
        };
        // A lock that does not say whether it is taken, as a semaphore, is taken here by its code alone.
        let tells = !matches!(
            form,
            Form::Semaphore | Form::AsyncSemaphore | Form::AsyncLock | Form::AsyncCondition
        );
        if tells && !is_locked(reader, lock, self.ident) && !self.is_given_up(lock, within) {
            return;
        }
        let place = self.insight.place(frame, Some(acquired.line));
        // What an ExitStack holds was put there by this call.
        if let Some(hold) = entered(holds, of_frame).find(|hold| hold.address == lock) {
            hold.place = place;
            hold.name = acquired.name.clone();
            return;
        }
        let has_owner = matches!(form_of(reader, lock), Some(Form::RLock | Form::PythonRLock));
        let managed = Managed {
            object,
            name: acquired.name.as_deref(),
            place: &place,
            evidence: format!(
                "{}() took this {{}} by acquire() in line {}, and nothing on the way to line {} gives it back",
                frame.code.name,
                acquired.line,
                frame.line().unwrap_or(0)
            ),
            certainty: if has_owner && self.ident.is_some() {
                Certainty::Certain
            } else {
                Certainty::Probable
            },
            within,
            own: true,
        };
        if acquired.unsure {
            self.unsure.borrow_mut().push(lock);
        }
        self.lock(&managed, object, form, holds);
    }
}

/// What a frame holds through an `ExitStack`; `of_frame` holds come before its own.
fn entered(holds: &mut [Hold], of_frame: usize) -> impl Iterator<Item = &mut Hold> {
    let own = holds.get_mut(of_frame..).unwrap_or_default().iter_mut();
    own.filter(|hold| hold.evidence.starts_with(BY_STACK))
}
