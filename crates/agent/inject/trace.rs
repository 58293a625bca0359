//! The trace functions, and what they pass over.

use crate::natives::*;
use crate::*;

/// The function of `support.py` that trace events go to.
pub(crate) static HANDLER: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// A set of pointers, open addressed; 0 is no entry. It is written under the GIL and read in every event.
pub(crate) struct Set<const N: usize> {
    entries: [AtomicUsize; N],
    count: AtomicUsize,
}

impl<const N: usize> Set<N> {
    const fn new() -> Set<N> {
        Set {
            entries: [const { AtomicUsize::new(0) }; N],
            count: AtomicUsize::new(0),
        }
    }

    /// The entry of this pointer, or the free one for it.
    fn find(&self, pointer: usize) -> Option<&AtomicUsize> {
        let start = (pointer >> 4).wrapping_mul(0x9e37_79b9);
        (0..N).find_map(|step| {
            let entry = self.entries.get(start.wrapping_add(step) % N)?;
            let known = entry.load(Ordering::Relaxed);
            (known == pointer || known == 0).then_some(entry)
        })
    }

    fn has(&self, pointer: usize) -> bool {
        let entry = self.find(pointer);
        entry.is_some_and(|entry| entry.load(Ordering::Relaxed) == pointer)
    }

    /// Whether there was room: it gets half full at most, so that looking stays short.
    fn add(&self, pointer: usize) -> bool {
        if self.count.load(Ordering::Relaxed) >= N / 2 {
            return false;
        }
        if let Some(entry) = self.find(pointer)
            && entry.swap(pointer, Ordering::Relaxed) != pointer
        {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    fn clear(&self) {
        for entry in &self.entries {
            entry.store(0, Ordering::Relaxed);
        }
        self.count.store(0, Ordering::Relaxed);
    }
}

/// Code objects that have a breakpoint in them, and those that were looked at for one.
pub(crate) static WATCHED: Set<{ 1 << 13 }> = Set::new();
pub(crate) static SEEN: Set<{ 1 << 16 }> = Set::new();
/// Lines on which there is a breakpoint in some file, as keys.
pub(crate) static LINES: Set<{ 1 << 13 }> = Set::new();

/// A line in a set of pointers, none of which is 0.
pub(crate) fn line_key(line: c_int) -> usize {
    ((line.unsigned_abs() as usize) << 4) | 1
}

/// `lines(…)`: the lines on which there is a breakpoint in some file.
pub(crate) extern "C" fn native_lines(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    LINES.clear();
    let lines = usize::try_from(count).unwrap_or(0);
    let all = (0..lines).all(|index| {
        let line = number(&python, argument(arguments, count, index));
        c_int::try_from(line).is_ok_and(|line| LINES.add(line_key(line)))
    });
    flag(&python, all)
}

/// Whether every event of every thread is to be handed on.
pub(crate) static ALL: AtomicBool = AtomicBool::new(false);

/// `watch(code, has)`: the code object was looked at, and has a breakpoint in it or not; without arguments: none was. The
/// caller keeps the objects.
pub(crate) extern "C" fn native_watch(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    if count == 0 {
        WATCHED.clear();
        SEEN.clear();
        return flag(&python, true);
    }
    let code = argument(arguments, count, 0) as usize;
    let has = number(&python, argument(arguments, count, 1)) != 0;
    flag(&python, SEEN.add(code) && (!has || WATCHED.add(code)))
}

/// `everything(on)`: whether all events of all traced threads are handed on.
pub(crate) extern "C" fn native_everything(
    _: Object,
    arguments: Arguments,
    count: isize,
) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let on = number(&python, argument(arguments, count, 0)) != 0;
    ALL.store(on, Ordering::Release);
    flag(&python, on)
}

/// Hands an event on to `support.py`: `handler(frame, what, argument)`.
pub(crate) fn hand_on(python: &Python, frame: Object, what: c_int, value: Object) -> c_int {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        return 0;
    }
    // SAFETY: with the GIL; references are counted as CPython wants it: SetItem takes one over.
    unsafe {
        let tuple = (python.tuple)(3);
        if tuple.is_null() {
            return -1;
        }
        (python.keep)(frame);
        (python.tuple_set)(tuple, 0, frame);
        (python.tuple_set)(tuple, 1, (python.number)(u64::from(what.unsigned_abs())));
        let value = if value.is_null() { python.none } else { value };
        (python.keep)(value);
        (python.tuple_set)(tuple, 2, value);
        let result = (python.call)(handler, tuple);
        (python.drop)(tuple);
        if result.is_null() {
            return -1;
        }
        (python.drop)(result);
        0
    }
}

/// `PyTrace_LINE`.
pub(crate) const LINE: c_int = 2;
/// `PyTrace_CALL`.
pub(crate) const CALL: c_int = 0;

/// The trace function of a thread that steps: everything is handed on.
pub(crate) extern "C" fn trace_step(_: Object, frame: Object, what: c_int, value: Object) -> c_int {
    match python() {
        Some(python) => hand_on(&python, frame, what, value),
        None => 0,
    }
}

/// The trace function of a thread that runs, up to 3.11: what happens in code without a breakpoint is passed over.
pub(crate) extern "C" fn trace_run(_: Object, frame: Object, what: c_int, value: Object) -> c_int {
    let Some(python) = python() else {
        return 0;
    };
    if !ALL.load(Ordering::Relaxed) {
        if what != LINE && what != CALL {
            return 0;
        }
        // SAFETY: with the GIL; a reference of ours is given back.
        let code = unsafe {
            let code = match python.frame_code {
                Some(get) => get(frame),
                None => (python.attribute)(frame, c"f_code".as_ptr()),
            };
            if code.is_null() {
                (python.clear_error)();
                return 0;
            }
            (python.drop)(code);
            code as usize
        };
        // A function that is called for the first time may have a breakpoint in it.
        let passed_over = match what {
            // SAFETY: with the GIL; the frame is the one that runs.
            LINE => !WATCHED.has(code) || !LINES.has(unsafe { line_key((python.line)(frame)) }),
            _ => SEEN.has(code),
        };
        if passed_over {
            return 0;
        }
    }
    hand_on(&python, frame, what, value)
}

/// `trace(how, handler)`: 0 none, 1 everything is handed on, 2 what happens in watched code; of the calling thread.
pub(crate) extern "C" fn native_trace(_: Object, arguments: Arguments, count: isize) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let how = number(&python, argument(arguments, count, 0));
    set_handler(&python, argument(arguments, count, 1));
    set_trace(&python, how);
    flag(&python, true)
}

pub(crate) fn set_handler(python: &Python, handler: Object) {
    if handler.is_null() {
        return;
    }
    // SAFETY: with the GIL. The one before is not dropped: another thread may be calling it.
    unsafe { (python.keep)(handler) };
    let before = HANDLER.swap(handler, Ordering::AcqRel);
    if before == handler {
        // SAFETY: two references, one is kept.
        unsafe { (python.drop)(handler) };
    }
}

pub(crate) fn set_trace(python: &Python, how: u64) {
    let trace: Option<python::Trace> = match how {
        1 => Some(trace_step),
        2 => Some(trace_run),
        _ => None,
    };
    // SAFETY: with the GIL, or attached to the interpreter.
    unsafe { (python.set_trace)(trace, null_mut()) };
}

/// `trace_others(how)`: the same of every other thread. Up to 3.11, where the one with the GIL may do so for all: none of
/// them runs.
pub(crate) extern "C" fn native_trace_others(
    _: Object,
    arguments: Arguments,
    count: isize,
) -> Object {
    let Some(python) = python() else {
        return null_mut();
    };
    let how = number(&python, argument(arguments, count, 0));
    // SAFETY: the GIL is held throughout, so no thread state comes or goes, and each is made the current one only for a
    // call that looks at nothing but it.
    unsafe {
        let own = (python.current)();
        let mut thread = (python.first_thread)((python.interpreter)());
        while !thread.is_null() {
            let next = (python.next_thread)(thread);
            if thread != own {
                (python.swap)(thread);
                set_trace(&python, how);
                (python.swap)(own);
            }
            thread = next;
        }
    }
    flag(&python, true)
}
