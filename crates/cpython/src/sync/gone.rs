//! Who is gone that could have ended a wait: threads that ended, functions that left a lock taken, jobs that failed.

use super::callees::Called;
use super::forms::{Form, form_of};
use super::functions::{self, Function};
use super::insight::{CodeNames, Insight};
use super::nearby;
use super::objects::{Catalogue, attribute};
use super::origin::Origins;
use super::scope::{Activation, Scope};
use crate::bytecode::{AcquireSite, Analysis, Subject, Taken};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use crate::interpreter::Interp;
use crate::reader::Reader;
use crate::traceback::frames_of_traceback;
use snapshot::{
    Address, Certainty, Ended, FutureState, Kind, Left, Operation, Origin, Place, SyncState,
};
use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

/// Most calls that are looked into.
const CALLS_MAX: usize = 5000;
/// Most frames near which failed jobs are looked for.
const FRAMES_MAX: usize = 50;
/// Most names of one function.
const NAMES_MAX: usize = 2000;
/// Functions called by name that are looked into, one within another.
const CALLED_MAX: usize = 2;

/// Something that is waited for and that nobody who goes on seems to be able to give.
#[derive(Debug, Clone, PartialEq)]
pub struct Lonely {
    /// The lock or other object.
    pub object: Address,
    /// What it is.
    pub kind: Kind,
    /// What is asked of it.
    pub operation: Operation,
    /// What the program calls it where it waits.
    pub name: Option<String>,
}

impl Lonely {
    /// The methods by which another one could give it.
    fn remedies(&self) -> &'static [&'static str] {
        match (self.kind, self.operation) {
            (Kind::Event, _) => &["set"],
            (Kind::Condition, Operation::Wait) => &["notify", "notify_all", "notifyAll"],
            (Kind::Barrier, _) => &["wait"],
            (Kind::Queue | Kind::SimpleQueue, Operation::Get) => &["put", "put_nowait"],
            (Kind::Queue, Operation::Put) => &["get", "get_nowait"],
            (Kind::Queue, Operation::Join) => &["task_done"],
            (Kind::Future, _) => &["set_result", "set_exception"],
            _ => &["release"],
        }
    }

    /// Whether a call of a remedy cannot be undone: had it been made, the wait would be over.
    fn lasts(&self) -> bool {
        matches!(self.kind, Kind::Event | Kind::Future)
    }

    /// The last name of what the program calls it.
    fn tail(&self) -> Option<&str> {
        self.name.as_deref().map(tail)
    }
}

fn tail(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Finds out who is gone: tells of `ended` threads what they ran and which of `things` they could have given, adds
/// jobs that failed, and returns the locks that a function has left taken.
pub fn who_is_gone(
    reader: &Reader<'_>,
    interpreter: &Interp,
    things: &[Lonely],
    ended: &mut Vec<Ended>,
) -> Vec<Left> {
    let insight = Insight::new(*reader);
    let origins = Origins::of(reader, interpreter.address);
    let search = Search {
        reader,
        insight: &insight,
        origins: &origins,
        functions: functions::of_program(reader, &origins, interpreter.modules),
        on_stacks: interpreter
            .threads
            .iter()
            .flat_map(|thread| &thread.frames)
            .map(|frame| frame.code.address)
            .collect(),
        calls: Cell::new(CALLS_MAX),
    };
    for thread in ended.iter_mut() {
        search.ended(thread, things);
    }
    let mut left = Vec::new();
    for thing in things {
        left.extend(search.left(thing, ended));
    }
    search.failed_jobs(interpreter, things, ended);
    left
}

struct Search<'a> {
    reader: &'a Reader<'a>,
    insight: &'a Insight<'a>,
    origins: &'a Origins,
    functions: Vec<Function>,
    /// Code that runs at present.
    on_stacks: HashSet<Address>,
    calls: Cell<usize>,
}

/// How well a function fits, the greater the better.
type Score = (bool, bool, bool);

impl Search<'_> {
    /// Tells what a thread ran and what it could have given.
    fn ended(&self, thread: &mut Ended, things: &[Lonely]) {
        let Some(function) = self.function_of(thread) else {
            return;
        };
        if thread.target.is_none() {
            thread.target = Some(place(&function.code, None));
        }
        for thing in things {
            if !self.gives(&function.code, thing) {
                continue;
            }
            thread.gives.push(thing.object);
            if thing.lasts() && thread.how.is_none() && self.gives_always(function, thing) {
                thread.how = Some("ended by an exception".to_owned());
            }
        }
    }

    /// The function that a thread ran: its class's `run`, or the one that its name tells.
    fn function_of(&self, thread: &Ended) -> Option<&Function> {
        let reader = self.reader;
        let own_run = || {
            let class = reader.type_of(thread.thread_object).ok()?;
            let run = reader.class_attribute(class, "run").ok()??;
            self.functions
                .iter()
                .find(|function| function.address == Some(run))
        };
        let by_name = || {
            // `Thread-1 (work)`, from 3.10 on.
            let inner = thread
                .name
                .strip_suffix(')')
                .and_then(|name| name.rsplit_once(" ("));
            let name = inner.map_or(thread.name.as_str(), |(_, function)| function);
            self.functions
                .iter()
                .find(|function| *function.code.name == *name)
        };
        own_run().or_else(by_name)
    }

    /// Whether a function, or one that it calls by name, calls a remedy for the wait.
    fn gives(&self, code: &Rc<CodeInfo>, thing: &Lonely) -> bool {
        let mut codes: Vec<Rc<CodeInfo>> = vec![Rc::clone(code)];
        let mut seen: HashSet<Address> = HashSet::new();
        for _ in 0..=CALLED_MAX {
            let mut next = Vec::new();
            for code in codes {
                if !seen.insert(code.address) {
                    continue;
                }
                let names = self.names(&code);
                let called = |name: &&str| names.iter().any(|known| **known == **name);
                if thing.remedies().iter().any(&called) {
                    return true;
                }
                let known = self.functions.iter().filter(|f| called(&&*f.code.name));
                next.extend(known.map(|f| Rc::clone(&f.code)));
            }
            codes = next;
        }
        false
    }

    fn names(&self, code: &CodeInfo) -> Vec<Rc<str>> {
        (0..NAMES_MAX)
            .map_while(|index| code.name_at(self.reader, index).ok())
            .collect()
    }

    /// Whether each way to the function's end has given it.
    fn gives_always(&self, function: &Function, thing: &Lonely) -> bool {
        let Some(shared) = self.insight.analysis(&function.code) else {
            return false;
        };
        let names = CodeNames {
            reader: self.reader,
            code: &function.code,
        };
        let Ok(mut analysis) = shared.try_borrow_mut() else {
            return false;
        };
        let called = analysis.called_at_each_return(&names, thing.remedies());
        called.iter().filter(|site| site.on_every_path).any(|site| {
            let Subject::Expression(id) = site.subject else {
                return false;
            };
            let name = analysis.render(id, &names);
            name.as_deref().map(tail) == thing.tail()
        })
    }

    /// The function that has left a lock or a permit taken.
    fn left(&self, thing: &Lonely, ended: &[Ended]) -> Option<Left> {
        if !matches!(
            form_of(self.reader, thing.object),
            Some(Form::Lock | Form::Semaphore)
        ) {
            return None;
        }
        let mut best: Option<(Score, Left)> = None;
        for function in &self.functions {
            let runner = ended.iter().find(|thread| {
                self.function_of(thread)
                    .is_some_and(|f| f.code.address == function.code.address)
            });
            for (strong, left) in self.left_by(function, thing) {
                let running = self.on_stacks.contains(&function.code.address);
                let score = (strong, runner.is_some(), !running);
                if best.as_ref().is_none_or(|(known, _)| *known < score) {
                    let thread_object = runner.map(|thread| thread.thread_object);
                    best = Some((
                        score,
                        Left {
                            thread_object,
                            ..left
                        },
                    ));
                }
            }
        }
        let (_, mut left) = best?;
        if left.thread_object.is_none()
            && let [one] = ended
            && self.function_of(one).is_none()
        {
            left.thread_object = Some(one.thread_object);
        }
        Some(left)
    }

    /// What a function leaves taken that is, or is called like, the thing: for each whether it is that very object.
    fn left_by(&self, function: &Function, thing: &Lonely) -> Vec<(bool, Left)> {
        let takes = self
            .names(&function.code)
            .iter()
            .any(|name| &**name == "acquire");
        if !takes {
            return Vec::new();
        }
        let Some(shared) = self.insight.analysis(&function.code) else {
            return Vec::new();
        };
        let activation = Activation {
            code: Rc::clone(&function.code),
            globals: function.globals,
            locals: Called::closure(self.reader, function.address, &function.code),
        };
        let scope = Scope::Call(&activation);
        let called = Called::of(self.insight, self.origins, scope, &self.calls);
        let names = CodeNames {
            reader: self.reader,
            code: &function.code,
        };
        let Ok(mut analysis) = shared.try_borrow_mut() else {
            return Vec::new();
        };
        let behind = analysis.left_behind(&names, &called);
        let by_return = |site: &AcquireSite| {
            behind
                .taken
                .iter()
                .any(|taken| taken.subject == site.subject)
        };
        let mut found = Vec::new();
        for site in behind
            .taken
            .iter()
            .chain(behind.raised.iter().filter(|site| !by_return(site)))
        {
            let Some(strong) = self.is_thing(&analysis, &called, &names, site, thing) else {
                continue;
            };
            let raised = !by_return(site);
            let line = function.code.line_at(site.offset as usize);
            let way = if raised {
                "only an exception keeps it from giving it back"
            } else {
                "not every way to its end gives it back"
            };
            let left = Left {
                lock: thing.object,
                place: place(&function.code, line),
                how: if raised {
                    "ended by an exception".to_owned()
                } else {
                    "finished".to_owned()
                },
                thread_object: None,
                evidence: format!(
                    "{}() takes it in line {}, and {way}",
                    function.code.name,
                    line.unwrap_or(0)
                ),
                certainty: Certainty::Probable,
            };
            found.push((strong, left));
        }
        found
    }

    /// Whether a site is of the thing: `Some(true)` by its address, `Some(false)` by its name alone.
    fn is_thing(
        &self,
        analysis: &Analysis,
        called: &Called<'_>,
        names: &CodeNames<'_, '_>,
        site: &AcquireSite,
        thing: &Lonely,
    ) -> Option<bool> {
        if site.taken != Taken::Lock {
            return None;
        }
        if let Some((lock, _)) = called.told(analysis, site) {
            return (lock == thing.object).then_some(true);
        }
        let Subject::Expression(id) = site.subject else {
            return None;
        };
        let name = analysis.render(id, names)?;
        (Some(tail(&name)) == thing.tail()).then_some(false)
    }

    /// Jobs of pools that failed, among what the stacks have at hand: each with what its own frames had at hand.
    fn failed_jobs(&self, interpreter: &Interp, things: &[Lonely], ended: &mut Vec<Ended>) {
        let own = |frame: &&RawFrame| self.origins.origin_of(&frame.code.file) == Origin::Program;
        let frames = interpreter.threads.iter().flat_map(|thread| &thread.frames);
        let mut futures: HashSet<Address> = HashSet::new();
        for frame in frames.filter(own).take(FRAMES_MAX) {
            let near = nearby::of_frame(self.insight, frame, 0, []);
            futures.extend(
                near.into_iter()
                    .filter(|at| form_of(self.reader, *at) == Some(Form::Future)),
            );
        }
        let mut futures: Vec<Address> = futures.into_iter().collect();
        futures.sort_unstable();
        ended.extend(
            futures
                .into_iter()
                .filter_map(|future| self.failed_job(future, things)),
        );
    }

    fn failed_job(&self, future: Address, things: &[Lonely]) -> Option<Ended> {
        let mut catalogue = Catalogue::default();
        catalogue.add(self.reader, [future]);
        let Some(SyncState::Future {
            state: FutureState::Failed,
            exception: Some(exception),
            ..
        }) = catalogue.get(future).map(|object| &object.state)
        else {
            return None;
        };
        let raised = attribute(self.reader, future, "_exception")?;
        let frames = frames_of_traceback(self.reader, raised);
        let own = |frame: &&RawFrame| self.origins.origin_of(&frame.code.file) == Origin::Program;
        let last = frames.iter().find(own)?;
        let gives = |thing: &&Lonely| {
            frames.iter().filter(own).any(|frame| {
                let near = nearby::of_frame(self.insight, frame, 0, []);
                near.contains(&thing.object) || self.gives(&frame.code, thing)
            })
        };
        Some(Ended {
            thread_object: future,
            target: Some(place(&last.code, None)),
            last: Some(self.insight.place(last, None)),
            how: Some(format!("ended by {exception}")),
            gives: things
                .iter()
                .filter(gives)
                .map(|thing| thing.object)
                .collect(),
            ..Ended::default()
        })
    }
}

fn place(code: &CodeInfo, line: Option<u32>) -> Place {
    Place {
        file: code.file.to_string(),
        line: line.unwrap_or_else(|| u32::try_from(code.first_line).unwrap_or(0)),
        function: code.qualname.to_string(),
    }
}
