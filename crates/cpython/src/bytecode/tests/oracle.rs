//! The code of large modules of the standard library, against the interpreter's own word.

use super::{Code, dialect, parse, run};
use crate::bytecode::op::Op;
use crate::bytecode::*;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const MODULES: &[&str] = &[
    "threading",
    "queue",
    "asyncio.locks",
    "asyncio.streams",
    "concurrent.futures.process",
    "subprocess",
    "contextlib",
    "tempfile",
];

/// The code objects of these modules, asked once of each interpreter.
fn dump(python: &'static testkit::Interpreter) -> &'static [Code] {
    static ASKED: Mutex<BTreeMap<&str, &[Code]>> = Mutex::new(BTreeMap::new());
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    asked.entry(&python.tag).or_insert_with(|| {
        let codes = parse(&run(python, include_str!("oracle.py"), MODULES));
        assert!(
            codes.len() > 300,
            "{}: only {} code objects",
            python.tag,
            codes.len()
        );
        codes.leak()
    })
}

#[test]
fn lines_and_columns_are_the_interpreters() {
    for python in testkit::matrix() {
        let dialect = dialect(python);
        for code in dump(python) {
            let table = LineTable::new(dialect, &code.linetable, code.firstline);
            for (offset, line) in &code.lines {
                assert_eq!(
                    table.line_at(*offset).unwrap_or(0),
                    *line,
                    "{} {} at {offset}",
                    python.tag,
                    code.name
                );
            }
            for (offset, expected) in &code.positions {
                let part = |part: Option<u32>| part.map_or(-1, i64::from);
                let found = table.position_at(*offset).map_or([-1; 4], |position| {
                    [
                        i64::from(position.line),
                        i64::from(position.end_line),
                        part(position.column),
                        part(position.end_column),
                    ]
                });
                assert_eq!(found, *expected, "{} {} at {offset}", python.tag, code.name);
            }
        }
    }
}

/// Opcodes whose effect `dis.stack_effect` gives in another way: the greatest of several, or as the compiler's own
/// bookkeeping has it.
const TOLD_OTHERWISE: &[&str] = &[
    "PRECALL",
    "CALL",
    "SETUP_FINALLY",
    "SETUP_WITH",
    "SETUP_ASYNC_WITH",
    "END_ASYNC_FOR",
    "END_FINALLY",
    "BEGIN_FINALLY",
    "POP_FINALLY",
    "CALL_FINALLY",
    "WITH_CLEANUP_START",
    "WITH_CLEANUP_FINISH",
    "RETURN_GENERATOR",
    "RAISE_VARARGS",
    "RERAISE",
    "RETURN_VALUE",
    "RETURN_CONST",
    "SEND",
    "FOR_ITER",
];

#[test]
fn every_instruction_moves_the_stack_as_told() {
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let mut wrong: BTreeMap<String, (i32, i32, i32, String)> = BTreeMap::new();
        for code in dump(python) {
            let mut analysis = Analysis::new(&code.view(dialect));
            assert!(
                analysis.is_complete(),
                "{} {}: not understood",
                python.tag,
                code.name
            );
            let effects: BTreeMap<u32, _> = code.effects.iter().map(|e| (e.0, e)).collect();
            for index in 0..analysis.instructions.len() {
                let instruction = *analysis.instructions.get(index).unwrap();
                let Some((_, fall, jump, name)) = effects.get(&instruction.offset) else {
                    continue;
                };
                if TOLD_OTHERWISE.contains(&name.as_str()) {
                    continue;
                }
                for state in analysis.states_at(index) {
                    let before = state.stack.len() as i32;
                    let mut after = state.clone();
                    let mut edges = Vec::new();
                    let falls = analysis.machine().step(&mut after, index, &mut edges);
                    let moved = after.stack.len() as i32 - before;
                    let handles = matches!(instruction.op, Op::Jump(_));
                    if falls == Some(true) && moved != *fall {
                        wrong.insert(name.clone(), (before, moved, *fall, code.name.clone()));
                    }
                    for (_, edge) in edges.iter().filter(|_| !handles) {
                        let moved = edge.stack.len() as i32 - before;
                        if moved != *jump {
                            wrong.insert(name.clone(), (before, moved, *jump, code.name.clone()));
                        }
                    }
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{}: (depth, ours, told, where) {wrong:#?}",
            python.tag
        );
    }
}

#[test]
fn depth_stays_within_stacksize_and_is_one() {
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let (mut codes, mut full) = (0u32, 0u32);
        for code in dump(python) {
            let mut analysis = Analysis::new(&code.view(dialect));
            let mut deepest = 0;
            for index in 0..analysis.instructions.len() {
                let states = analysis.states_at(index);
                let depths: Vec<usize> = states.iter().map(|state| state.stack.len()).collect();
                deepest = deepest.max(depths.iter().copied().max().unwrap_or(0));
                // Only in 3.8 a `finally` body is entered with different depths.
                assert!(
                    depths.len() <= 1 || !dialect.has_exception_table() && python.version.1 == 8,
                    "{} {} at {}: {depths:?}",
                    python.tag,
                    code.name,
                    analysis.instructions.get(index).unwrap().offset
                );
            }
            assert!(
                deepest <= code.stacksize as usize,
                "{} {}: {deepest}",
                python.tag,
                code.name
            );
            codes += 1;
            full += u32::from(deepest + 2 >= code.stacksize as usize);
        }
        // The compiler's bound is seldom far off: what is missed would show here.
        assert!(full * 10 > codes * 8, "{}: {full} of {codes}", python.tag);
    }
}

#[test]
fn calls_run_inside_the_with_blocks_of_the_source() {
    for python in testkit::matrix() {
        let dialect = dialect(python);
        let (mut checked, mut nested) = (0u32, 0u32);
        for code in dump(python) {
            let mut analysis = Analysis::new(&code.view(dialect));
            let table = LineTable::new(dialect, &code.linetable, code.firstline);
            for index in 0..analysis.instructions.len() {
                let instruction = *analysis.instructions.get(index).unwrap();
                if !matches!(instruction.op, Op::Call(_)) {
                    continue;
                }
                let Some(position) = table.position_at(instruction.offset) else {
                    continue;
                };
                let Some(expected) = expected(code, &position) else {
                    continue;
                };
                let Some(moment) = analysis.at(instruction.offset, &[]) else {
                    continue;
                };
                if let Some(InFlight::Call { callable, .. }) = analysis.in_flight(&moment)
                    && matches!(
                        analysis.value(callable),
                        Value::Exit { .. } | Value::Enter { .. }
                    )
                {
                    continue;
                }
                let blocks = analysis.with_blocks(&moment);
                let held = blocks
                    .iter()
                    .filter(|block| block.phase == Phase::Held)
                    .count();
                assert_eq!(
                    held as i64, expected,
                    "{} {} at {}, line {}: {blocks:?}",
                    python.tag, code.name, instruction.offset, position.line
                );
                assert_eq!(
                    held,
                    blocks.len(),
                    "{} {}: {blocks:?}",
                    python.tag,
                    code.name
                );
                checked += 1;
                nested += u32::from(held > 0);
            }
        }
        assert!(
            checked > 500 && nested > 50,
            "{}: {checked} checked, {nested} nested",
            python.tag
        );
    }
}

/// The number of `with` items around the call at a position; `None` where the source has no such call or
/// more than one that could be meant.
fn expected(code: &Code, position: &Position) -> Option<i64> {
    let matching = |call: &&[i64; 5]| match (position.column, position.end_column) {
        (Some(column), Some(end)) => {
            call[..4]
                == [
                    i64::from(position.line),
                    i64::from(position.end_line),
                    i64::from(column),
                    i64::from(end),
                ]
        }
        _ => call[0] <= i64::from(position.line) && i64::from(position.line) <= call[1],
    };
    let mut depths = code.calls.iter().filter(matching).map(|call| call[4]);
    let depth = depths.next()?;
    depths.all(|other| other == depth).then_some(depth)
}
