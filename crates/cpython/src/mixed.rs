//! Native and Python frames of one thread, put together.
//!
//! Python code runs in the interpreter's loop, `_PyEval_EvalFrameDefault`. Up to 3.10 each Python frame has a run of the
//! loop of its own. From 3.11 on a call from Python to Python stays in the loop; a mark ([`Mark`]) says where each run
//! begins, and from 3.12 on it stands on the C stack, in the loop's own frame, so that which is which need not be counted.
//! In place of each loop come the Python frames that run in it.
//!
//! What lies between them in the interpreter's own file and only hands a call on ([`is_glue`]: `_PyObject_MakeTpCall`,
//! `cfunction_call`, …, `Py_RunMain`) is left out, as the Python frames say the same. Functions that do something
//! (`time_sleep`, `list_sort`, `gc_collect_main`), extensions, libc and the start of the thread stay.
//!
//! Absent: how native frames are found; this is arithmetic on two lists.

use crate::frame::Mark;
use std::ops::Range;

/// A native frame.
#[derive(Debug, Clone, Copy)]
pub struct Native<'a> {
    /// Its function's name.
    pub name: &'a str,
    /// The file that it is in.
    pub file: &'a str,
    /// Where its part of the stack starts,
    pub sp: u64,
    /// and ends.
    pub end: u64,
}

/// A piece of the mixed stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The native frame of this index.
    Native(usize),
    /// The Python frames of these indices, from the innermost outwards.
    Python(Range<usize>),
    /// Native frames that are not known: those further out were not found.
    Lost,
}

/// Frames that run in one loop.
#[derive(Debug, Clone)]
struct Run {
    frames: Range<usize>,
    on_stack: Option<u64>,
}

/// Puts `native` and a thread's `frames` Python frames together, all from the innermost outwards. `whole`: the native ones
/// lead to the start of the thread.
pub fn merge(native: &[Native<'_>], whole: bool, marks: &[Mark], frames: usize) -> Vec<Piece> {
    let runs = runs(native, marks, frames);
    let loops: Vec<bool> = native.iter().map(|frame| is_loop(frame.name)).collect();
    let mut run_of: Vec<Option<usize>> = vec![None; native.len()];
    let placed = place(native, &runs, &mut run_of);
    if !placed {
        count(&loops, whole, runs.len(), &mut run_of);
    }
    let mut interpreter: Vec<&str> = Vec::new();
    for ((frame, is_loop), run) in native.iter().zip(&loops).zip(&run_of) {
        if (*is_loop || run.is_some()) && !interpreter.contains(&frame.file) {
            interpreter.push(frame.file);
        }
    }
    let mut pieces = Vec::with_capacity(native.len() + runs.len());
    let mut due = runs.iter().map(|run| run.frames.clone()).enumerate();
    for (index, frame) in native.iter().enumerate() {
        if let Some(run) = run_of.get(index).copied().flatten() {
            let count = (run + 1).saturating_sub(runs.len() - due.len());
            pieces.extend(due.by_ref().take(count).map(|(_, run)| Piece::Python(run)));
            continue;
        }
        let is_loop = loops.get(index).is_some_and(|is_loop| *is_loop);
        let hidden = is_loop || is_glue(frame.name) && interpreter.contains(&frame.file);
        if !hidden {
            pieces.push(Piece::Native(index));
        }
    }
    if !whole && !native.is_empty() {
        pieces.push(Piece::Lost);
    }
    pieces.extend(due.map(|(_, run)| Piece::Python(run)));
    pieces.retain(|piece| !matches!(piece, Piece::Python(run) if run.is_empty()));
    pieces
}

/// The runs that the marks tell of.
fn runs(native: &[Native<'_>], marks: &[Mark], frames: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::with_capacity(marks.len() + 1);
    let mut start = 0;
    for mark in marks {
        let end = mark.frames.clamp(start, frames);
        runs.push(Run {
            frames: start..end,
            on_stack: mark.on_stack.map(|at| at.0),
        });
        start = end;
    }
    if start < frames {
        runs.push(Run {
            frames: start..frames,
            on_stack: None,
        });
    }
    // From 3.14 on each thread has a mark below all others, which is no run's.
    let base = |run: &Run| {
        let inside = run.on_stack.and_then(|at| around(native, at));
        run.frames.is_empty() && inside.is_none()
    };
    if runs.last().is_some_and(base) {
        runs.pop();
    }
    runs
}

/// The native frame whose part of the stack has `at` in it.
fn around(native: &[Native<'_>], at: u64) -> Option<usize> {
    let index = native
        .partition_point(|frame| frame.sp <= at)
        .checked_sub(1)?;
    (at < native.get(index)?.end).then_some(index)
}

/// Finds each run's loop by its mark; whether there was any.
fn place(native: &[Native<'_>], runs: &[Run], run_of: &mut [Option<usize>]) -> bool {
    let mut any = false;
    for (number, run) in runs.iter().enumerate() {
        let index = run.on_stack.and_then(|at| around(native, at));
        if let Some(slot) = index.and_then(|index| run_of.get_mut(index)) {
            *slot = Some(number);
            any = true;
        }
    }
    any
}

/// Finds each run's loop by counting: from the start of the thread, where the native frames lead there, as at the other
/// end a loop may have begun whose Python frame is not there yet.
fn count(loops: &[bool], whole: bool, runs: usize, run_of: &mut [Option<usize>]) {
    let total = loops.iter().filter(|is_loop| **is_loop).count();
    let slots = run_of.iter_mut().zip(loops);
    let slots = slots.filter_map(|(slot, is_loop)| is_loop.then_some(slot));
    for (number, slot) in slots.enumerate() {
        let run = match whole {
            true => (number + runs).checked_sub(total),
            false => Some(number),
        };
        *slot = run.filter(|run| *run < runs);
    }
}

/// Whether a function is the interpreter's loop.
fn is_loop(name: &str) -> bool {
    name == "_PyEval_EvalFrameDefault"
}

/// Whether a function of the interpreter's only hands a call on, or gets a program going: its names in CPython 3.8 to 3.15.
pub fn is_glue(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "builtin_exec",
        "builtin_exec_impl",
        "call_attribute",
        "call_function",
        "call_method",
        "call_trampoline",
        "call_unbound",
        "call_unbound_noarg",
        "callmethod",
        "classmethod_get",
        "clear_thread_frame",
        "do_call_core",
        "function_code_fastcall",
        "gen_iternext",
        "gen_send",
        "method_call",
        "object_vacall",
        "run_eval_code_obj",
        "run_mod",
        "type_call",
        "type_vectorcall",
        "wrap_call",
        "wrapper_call",
        "wrapperdescr_call",
        "wrapperdescr_raw_call",
    ];
    const BEGINNINGS: &[&str] = &[
        "PyCFunction_Call",
        "PyEval_EvalCode",
        "PyEval_EvalFrame",
        "PyImport_ImportModule",
        "PyObject_Call",
        "PyObject_Vectorcall",
        "PyRun_",
        "PyVectorcall_",
        "Py_BytesMain",
        "Py_Main",
        "Py_RunMain",
        "_PyCFunction_",
        "_PyEval_",
        "_PyFunction_",
        "_PyGen_Send",
        "_PyMethodDef_",
        "_PyMethodDescr_",
        "_PyObject_Call",
        "_PyObject_FastCall",
        "_PyObject_MakeTpCall",
        "_PyObject_Vectorcall",
        "_PyRun_",
        "_PyStack_",
        "_PyVectorcall_",
        "_TAIL_CALL_",
        "cfunction_call",
        "cfunction_vectorcall",
        "gen_send_ex",
        "import_find_and_load",
        "method_vectorcall",
        "object_vectorcall",
        "pymain_",
        "pyrun_",
        "slot_tp_",
        "vectorcall_",
    ];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::Address;

    const LOOP: &str = "_PyEval_EvalFrameDefault";

    fn frames(names: &[&'static str]) -> Vec<Native<'static>> {
        let frame = |(index, name): (usize, &&'static str)| Native {
            name,
            file: if name.starts_with("ext_") {
                "ext.so"
            } else {
                "python"
            },
            sp: 0x1000 + index as u64 * 0x100,
            end: 0x1100 + index as u64 * 0x100,
        };
        names.iter().enumerate().map(frame).collect()
    }

    fn mark(frames: usize, on_stack: Option<u64>) -> Mark {
        Mark {
            frames,
            on_stack: on_stack.map(Address),
        }
    }

    fn shown(native: &[Native<'_>], whole: bool, marks: &[Mark], count: usize) -> String {
        let merged = merge(native, whole, marks, count);
        let words = merged.into_iter().map(|piece| match piece {
            Piece::Native(index) => native[index].name.to_owned(),
            Piece::Python(run) => format!("{run:?}"),
            Piece::Lost => "?".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_loop_becomes_what_runs_in_it() {
        let native = frames(&[
            "nanosleep",
            "time_sleep",
            "cfunction_vectorcall_O",
            LOOP,
            "_PyFunction_Vectorcall",
            "ext_call",
            LOOP,
            "Py_RunMain",
            "_start",
        ]);
        let marks = [mark(2, Some(0x1310)), mark(3, Some(0x1620))];
        let expected = "nanosleep time_sleep 0..2 ext_call 2..3 _start";
        assert_eq!(shown(&native, true, &marks, 3), expected);
        // Without places, by counting.
        let marks = [mark(2, None), mark(3, None)];
        assert_eq!(shown(&native, true, &marks, 3), expected);
        assert_eq!(shown(&native, false, &marks, 3), format!("{expected} ?"));
        // The mark below all.
        let marks = [
            mark(2, Some(0x1310)),
            mark(3, Some(0x1620)),
            mark(3, Some(0x9999_9999)),
        ];
        assert_eq!(shown(&native, true, &marks, 3), expected);
    }

    #[test]
    fn a_loop_that_has_just_begun_has_no_frame_yet() {
        let native = frames(&[LOOP, "ext_call", LOOP, "_start"]);
        let marks = [mark(1, None)];
        assert_eq!(shown(&native, true, &marks, 1), "ext_call 0..1 _start");
    }

    #[test]
    fn no_python_frame_is_lost_where_native_ones_are() {
        let native = frames(&["read", LOOP]);
        let marks = [mark(1, None), mark(4, None)];
        assert_eq!(shown(&native, false, &marks, 6), "read 0..1 ? 1..4 4..6");
        assert_eq!(shown(&[], false, &marks, 6), "0..1 1..4 4..6");
        assert_eq!(shown(&native, true, &[], 0), "read");
        // Marks that make no sense.
        let marks = [mark(9, Some(0)), mark(2, Some(u64::MAX))];
        assert_eq!(shown(&native, true, &marks, 3), "read 0..3");
    }
}
