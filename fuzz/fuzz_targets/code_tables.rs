//! Line tables and exception tables of each version.
#![no_main]

use cpython::bytecode::{Analysis, CodeView, LineTable};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let dialect = input.dialect();
    let first = input.number::<4>() as i32;
    let lines = input.piece();
    let table = LineTable::new(dialect, lines, first);
    for offset in (0..600).chain([u32::MAX - 1, u32::MAX, input.number::<4>() as u32]) {
        let _ = table.line_at(offset);
        let _ = table.position_at(offset);
    }
    // Code that does nothing, under a table of handlers that may say anything.
    let code = vec![9; 200];
    let view = CodeView {
        dialect,
        code: &code,
        exception_table: input.0,
        stacksize: 10,
        nlocals: 3,
    };
    let mut analysis = Analysis::new(&view);
    for offset in 0..202 {
        let _ = analysis.at(offset, &[]);
    }
});
