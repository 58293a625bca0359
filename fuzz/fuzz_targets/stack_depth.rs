//! Bytecode that may be anything: the value stack, `with` blocks, calls and acquires in it.
#![no_main]

use cpython::bytecode::{Analysis, CodeView, FrameBlock, InFlight, Names, NoCallees};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// Names that matter to what is found out.
struct Known;

impl Names for Known {
    fn name(&self, index: u32) -> Option<String> {
        let names = ["acquire", "release", "flock", "LOCK_UN", "enter_context", "wait"];
        let name = names.get(index as usize % 7)?;
        (index < 40).then(|| (*name).to_owned())
    }
    fn local(&self, index: u32) -> Option<String> {
        (index < 5).then(|| format!("v{index}"))
    }
    fn constant(&self, _: u32) -> Option<String> {
        None
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let dialect = input.dialect();
    let blocks: Vec<FrameBlock> = (0..input.number::<1>() % 4)
        .map(|_| FrameBlock {
            kind: if input.number::<1>() % 2 == 0 { 122 } else { 257 },
            handler: input.number::<2>() as u16 as i16 as i32,
            level: input.number::<1>() as u8 as i8 as i32,
        })
        .collect();
    let stacksize = input.number::<2>() as u32;
    let exception_table = input.piece();
    let view = CodeView {
        dialect,
        code: input.0,
        exception_table,
        stacksize,
        nlocals: 5,
    };
    let mut analysis = Analysis::new(&view);
    // Long inputs are looked at here and there: the work of each look is bounded, and their number is ours.
    let step = (view.code.len() / 100).max(1);
    for offset in (0..view.code.len() + 2).step_by(step) {
        let offset = offset as u32;
        let Some(moment) = analysis.at(offset, &blocks) else {
            continue;
        };
        if offset % 8 == 0 {
            analysis.held_by_acquire(&moment, &Known);
            analysis.held_by_calls(&moment, &Known, &NoCallees);
            analysis.uses_from(offset, &blocks);
        }
        for block in analysis.with_blocks(&moment) {
            analysis.render(block.manager, &Known);
        }
        for value in moment.stack.clone() {
            analysis.path(value);
            analysis.render(value, &Known);
        }
        if let Some(InFlight::Call { callee, .. }) = analysis.in_flight(&moment) {
            callee.resolve(|slot| Some(u64::from(slot)));
        }
    }
    analysis.left_behind(&Known, &NoCallees);
});
