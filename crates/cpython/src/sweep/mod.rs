//! The stacks of a process's threads, again and again, in as few reads as the memory allows: for a profiler.
//!
//! A sweep reads, in one call, the head of each thread's state, the memory where its frames were in the sweep
//! before, and the head once more. Frames lie together (3.11+: in the thread's data stack; before: in the
//! allocator's pools), so a few ranges fetch them all. What the walk meets and the copy lacks is read in a further
//! call and belongs to the ranges from then on. Only frames above the outermost unchanged ones are walked anew.
//!
//! A stack that is read while its thread runs may be torn: [`Outcome::Torn`] says that it certainly is, and
//! [`Outcome::Read`] does not promise that it is not. A caller who wants the truth repeats a doubtful reading while
//! the thread is held. To keep that short, [`Sweeper::copy`] does all the reading of frames, and
//! [`Sweeper::resolve`], after the thread was let go, finds out what code they run.
//!
//! Absent: system calls, clocks, any notion of how a thread is held.

mod codes;
mod copy;
mod form;
mod list;
mod walk;

pub use codes::{CodeId, CodeTable};
pub use walk::{Entry, Outcome, Step};

use crate::frame::Mark;
use crate::runtime::Runtime;
use copy::Copy;
use form::{Form, Innermost};
use process::{Memory, Range, ReadError};
use snapshot::Address;
use walk::{Chain, Walked};

/// Reads that one thread's frames may take in one sweep: a deep stack that is seen for the first time needs many.
const ROUNDS_MAX: usize = 20_000;
/// How often the pointer to the innermost frame may move in one sweep.
const RESTARTS_MAX: u8 = 4;

/// A thread that is swept.
#[derive(Debug)]
pub struct SweptThread {
    /// Its `PyThreadState`.
    pub state: Address,
    /// Its interpreter's `PyInterpreterState`.
    pub interpreter: Address,
    /// `threading.get_ident()`; 0 while the thread has not begun.
    pub ident: u64,
    /// Kernel thread id, as the target numbers it (3.11+).
    pub native_id: Option<u32>,
    /// The head of its state as it was read before the frames, and once more after them.
    head: Head,
    again: Head,
    /// Its neighbours in the list of threads, when that was read.
    neighbours: Option<(u64, u64)>,
    /// Whether the head belongs to what is read next.
    head_due: bool,
    /// Whether the walk along the frames has begun in this sweep.
    begun: bool,
    restarts: u8,
    /// Whether it is expected not to have run: then its head is read once, and any change is a doubt.
    calm: bool,
    copy: Copy,
    chain: Chain,
}

/// The head of a thread's state.
#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
    whole: bool,
    /// 3.11, 3.12: where the pointer to its innermost frame is, and that pointer. 0 in other versions.
    at: u64,
    pointer: [u8; 8],
    pointer_read: bool,
}

impl Head {
    fn new(len: usize) -> Head {
        Head {
            bytes: vec![0; len],
            whole: false,
            at: 0,
            pointer: [0; 8],
            pointer_read: false,
        }
    }

    fn push_ranges<'a>(&'a mut self, state: Address, ranges: &mut Vec<Range<'a>>) {
        ranges.push(Range {
            address: state,
            buffer: &mut self.bytes,
            ok: false,
        });
        if self.at != 0 {
            ranges.push(Range {
                address: Address(self.at),
                buffer: &mut self.pointer,
                ok: false,
            });
        }
    }

    fn note(&mut self, read: &mut impl FnMut() -> bool) {
        self.whole = read();
        self.pointer_read = self.at != 0 && read();
    }

    /// The innermost frame; `None` where the pointer to it is yet to be read.
    fn innermost(&mut self, form: &Form) -> Option<u64> {
        match form.innermost(&self.bytes)? {
            Innermost::Frame(frame) => Some(frame),
            Innermost::At(at) if at == self.at && self.pointer_read => {
                Some(u64::from_le_bytes(self.pointer))
            }
            Innermost::At(at) => {
                self.at = at;
                None
            }
        }
    }
}

impl SweptThread {
    /// Whether it runs already. CPython makes its state before: one without frames, and without an identity.
    pub fn has_begun(&self) -> bool {
        self.ident != 0
    }

    /// Whether it was expected not to have run when it was copied last.
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// Begins a sweep.
    fn plan(&mut self, form: &Form) {
        self.copy.plan(self.chain.frames(), form);
        (self.head_due, self.begun, self.restarts) = (true, false, 0);
    }

    /// What is read of it in the next call: in the first one of a sweep all, later what was missing.
    fn push_ranges<'a>(&'a mut self, ranges: &mut Vec<Range<'a>>) {
        if self.head_due {
            self.head.push_ranges(self.state, ranges);
        }
        self.copy.push_ranges(ranges);
        if !self.calm {
            self.again.push_ranges(self.state, ranges);
        }
    }

    /// Which of these ranges were read, in the same order.
    fn note(&mut self, mut read: impl FnMut() -> bool) {
        if std::mem::take(&mut self.head_due) {
            self.head.note(&mut read);
        }
        self.copy.note(&mut read);
        if !self.calm {
            self.again.note(&mut read);
        }
    }

    /// Goes along the frames as far as the copy leads; whether more is to be read.
    fn follow(&mut self, form: &Form, list_changed: &mut bool) -> bool {
        if self.calm {
            return self.follow_calm(form);
        }
        if !self.head.whole || !self.again.whole {
            *list_changed = true;
            return self.chain.fail(Outcome::Unreadable);
        }
        if !self.begun {
            let neighbours = form.neighbours(&self.head.bytes);
            *list_changed |= self.neighbours.is_some() && self.neighbours != neighbours;
            self.neighbours = neighbours;
        }
        let top = self.head.innermost(form);
        let again = self.again.innermost(form);
        let Some(top) = top else {
            // The pointer to it has moved; where it is now is known.
            self.again.at = self.head.at;
            self.head_due = true;
            self.restarts += 1;
            return self.restarts <= RESTARTS_MAX || self.chain.fail(Outcome::Torn);
        };
        if again != Some(top) {
            return self.chain.fail(Outcome::Torn);
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.chain.begin(top, &mut self.copy, form);
        }
        match self.chain.walk(&mut self.copy, form) {
            Walked::Whole => false,
            Walked::Missing(at) if self.copy.want(at, form) => true,
            Walked::Missing(_) | Walked::Broken => self.chain.fail(Outcome::Torn),
        }
    }

    /// Sees whether all is as it was.
    fn follow_calm(&mut self, form: &Form) -> bool {
        let top = self.head.innermost(form).filter(|_| self.head.whole);
        let same = top.is_some_and(|top| {
            self.chain.begin(top, &mut self.copy, form);
            self.chain.walk(&mut self.copy, form) == Walked::Whole && self.chain.is_unchanged()
        });
        if !same {
            self.chain.fail(Outcome::Torn);
        }
        false
    }

    /// Its frames of the last good reading, from the outermost inwards.
    pub fn entries(&self) -> &[Entry] {
        self.chain.entries()
    }

    /// How many of [`SweptThread::entries`], from the outermost inwards, are as they were in the reading before.
    pub fn unchanged(&self) -> usize {
        self.chain.unchanged()
    }

    /// The outermost frame of a coroutine, as of the last good reading.
    pub fn step(&self) -> Option<Step> {
        self.chain.step()
    }
}

/// What an interpreter did when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterpreterNow {
    /// The thread state that has its GIL; null where none has it or there is no GIL.
    pub gil_holder: Address,
    /// Whether a garbage collection was going on.
    pub collecting: bool,
}

/// Reads the stacks of one process again and again.
#[derive(Debug)]
pub struct Sweeper {
    form: Form,
    threads: Vec<SweptThread>,
    interpreters: Vec<list::Interpreter>,
    codes: CodeTable,
    /// Whether the last reading showed that threads have come or gone.
    list_changed: bool,
    /// System calls are what costs: reads so far, each of them one call where the memory is a live process's.
    reads: u64,
}

impl Sweeper {
    /// For a process with this runtime. Nothing is read yet.
    pub fn new(runtime: &Runtime) -> Sweeper {
        Sweeper {
            form: Form::of(&runtime.layout),
            threads: Vec::new(),
            interpreters: Vec::new(),
            codes: CodeTable::default(),
            list_changed: true,
            reads: 0,
        }
    }

    /// The threads known, the newest first.
    pub fn threads(&self) -> &[SweptThread] {
        &self.threads
    }

    /// The runs of the interpreter's loop in which a thread's shown frames run, those whose entry has code, from the innermost
    /// outwards, as of the last good reading.
    pub fn marks(&self, thread: &SweptThread) -> Vec<Mark> {
        let frames = thread.chain.frames().iter().zip(thread.entries()).rev();
        let mut shown = 0;
        let mut marks = Vec::new();
        for (words, entry) in frames {
            shown += usize::from(entry.code.is_some());
            if let Some(on_stack) = self.form.begins(words) {
                marks.push(Mark {
                    frames: shown,
                    on_stack,
                });
            }
        }
        marks
    }

    /// The code objects met so far.
    pub fn codes(&self) -> &CodeTable {
        &self.codes
    }

    /// Whether threads have come or gone since the list was read.
    pub fn list_changed(&self) -> bool {
        self.list_changed
    }

    /// Calls of the memory's batched read so far, without those for code objects.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// From now on each code object is checked once before it is used again: where the process does not count code
    /// objects that die, another may have taken its place. To be called every now and then.
    pub fn recheck_codes(&mut self) {
        self.codes.recheck();
    }

    /// Reads who the threads are. Those that stay keep what is known of them.
    ///
    /// # Errors
    /// When the runtime cannot be read: the process has ended or executes another program.
    pub fn refresh_list(
        &mut self,
        runtime: &Runtime,
        memory: &dyn Memory,
    ) -> Result<(), ReadError> {
        let reader = runtime.reader(memory);
        let found = list::read(&reader, runtime, &self.threads)?;
        self.interpreters = found.interpreters;
        let mut old = std::mem::take(&mut self.threads);
        self.threads = found
            .threads
            .into_iter()
            .map(|fresh| {
                let same = old
                    .iter()
                    .position(|t| t.state == fresh.state && t.ident == fresh.ident);
                match same {
                    Some(at) => old.swap_remove(at),
                    None => SweptThread {
                        state: fresh.state,
                        interpreter: fresh.interpreter,
                        ident: fresh.ident,
                        native_id: fresh.native_id,
                        head: Head::new(self.form.head_len),
                        again: Head::new(self.form.head_len),
                        neighbours: None,
                        head_due: true,
                        begun: false,
                        restarts: 0,
                        calm: false,
                        copy: Copy::default(),
                        chain: Chain::default(),
                    },
                }
            })
            .collect();
        self.list_changed = false;
        Ok(())
    }

    /// What the interpreters did at the last [`Sweeper::copy`] of several threads, in the order of
    /// [`Sweeper::interpreters`].
    pub fn now(&self) -> impl Iterator<Item = InterpreterNow> {
        self.interpreters.iter().map(list::Interpreter::now)
    }

    /// The interpreters, by the address of their state.
    pub fn interpreters(&self) -> impl Iterator<Item = Address> {
        self.interpreters
            .iter()
            .map(|interpreter| interpreter.state)
    }

    /// Whether the futex at this address is a GIL's: whoever sleeps on it waits for the GIL.
    pub fn is_gil(&self, futex: u64) -> bool {
        let mut gils = self.interpreters.iter().filter_map(|i| i.gil);
        gils.any(|gil| {
            let (start, size) = gil.place;
            futex.checked_sub(start.0).is_some_and(|at| at < size)
        })
    }

    /// Says that a thread is not expected to have run since it was read before. The next copy then costs less, and any
    /// change makes it [`Outcome::Torn`]: it is to be copied again without that expectation.
    pub fn expect_calm(&mut self, index: usize, calm: bool) {
        if let Some(thread) = self.threads.get_mut(index) {
            thread.calm = calm && !thread.chain.frames().is_empty();
        }
    }

    /// Reads of the interpreters alone what they do.
    ///
    /// # Errors
    /// When the process has ended or may not be read.
    pub fn look(&mut self, memory: &dyn Memory) -> Result<(), ReadError> {
        self.read(memory, &[], true)
    }

    /// Whether nobody had a GIL when that was read last, and each interpreter has one: no thread could then run Python.
    pub fn nobody_runs(&self) -> bool {
        let free = |i: &list::Interpreter| i.gil.is_some() && i.now().gil_holder.is_null();
        self.interpreters.iter().all(free)
    }

    /// Copies the frames of these threads (ascending indices into [`Sweeper::threads`]), all in one call as a rule.
    /// Nothing but frames and heads of thread states is read.
    ///
    /// # Errors
    /// When the process has ended or may not be read.
    pub fn copy(&mut self, memory: &dyn Memory, which: &[usize]) -> Result<(), ReadError> {
        self.copy_while(memory, which, || true)
    }

    /// As [`Sweeper::copy`], for as long as `may_go_on` says so before each further read: a deep stack that was not
    /// seen before takes many. What is left undone is [`Outcome::Torn`]; the next copy knows where to read for it.
    ///
    /// # Errors
    /// When the process has ended or may not be read.
    pub fn copy_while(
        &mut self,
        memory: &dyn Memory,
        which: &[usize],
        mut may_go_on: impl FnMut() -> bool,
    ) -> Result<(), ReadError> {
        let mut due: Vec<usize> = Vec::with_capacity(which.len());
        for &index in which {
            if let Some(thread) = self.threads.get_mut(index) {
                thread.plan(&self.form);
                due.push(index);
            }
        }
        let mut with_interpreters = true;
        for _ in 0..ROUNDS_MAX {
            if due.is_empty() {
                return Ok(());
            }
            if !may_go_on() {
                break;
            }
            self.read(memory, &due, std::mem::take(&mut with_interpreters))?;
            let (form, threads) = (&self.form, &mut self.threads);
            let changed = &mut self.list_changed;
            due.retain(|&index| {
                threads
                    .get_mut(index)
                    .is_some_and(|thread| thread.follow(form, changed))
            });
        }
        for index in due {
            if let Some(thread) = self.threads.get_mut(index) {
                let _ = thread.chain.fail(Outcome::Torn);
            }
        }
        Ok(())
    }

    /// One call of the memory: of each of these threads the head, the frames, and the head once more.
    fn read(
        &mut self,
        memory: &dyn Memory,
        which: &[usize],
        with_interpreters: bool,
    ) -> Result<(), ReadError> {
        self.reads += 1;
        let mut ranges: Vec<Range<'_>> = Vec::with_capacity(which.len() * 4 + 4);
        if with_interpreters {
            for interpreter in &mut self.interpreters {
                interpreter.push_ranges(&mut ranges);
            }
        }
        let mut rest = self.threads.as_mut_slice();
        let mut passed = 0;
        for &index in which {
            // Indices ascend, so each thread is split off once.
            let thread = index
                .checked_sub(passed)
                .and_then(|skip| std::mem::take(&mut rest).split_at_mut_checked(skip))
                .and_then(|(_, tail)| tail.split_first_mut());
            let Some((thread, tail)) = thread else {
                break;
            };
            (rest, passed) = (tail, index + 1);
            thread.push_ranges(&mut ranges);
        }
        memory.read_batch(&mut ranges)?;
        let read: Vec<bool> = ranges.iter().map(|range| range.ok).collect();
        let mut read = read.into_iter();
        if with_interpreters {
            for interpreter in &mut self.interpreters {
                interpreter.note(|| read.next().unwrap_or(false));
            }
        }
        for &index in which {
            if let Some(thread) = self.threads.get_mut(index) {
                thread.note(|| read.next().unwrap_or(false));
            }
        }
        Ok(())
    }

    /// Finds out what code the frames run that [`Sweeper::copy`] has copied of this thread.
    pub fn resolve(&mut self, runtime: &Runtime, memory: &dyn Memory, index: usize) -> Outcome {
        let Some(thread) = self.threads.get_mut(index) else {
            return Outcome::Torn;
        };
        thread
            .chain
            .resolve(&self.form, &mut self.codes, &runtime.reader(memory))
    }
}
