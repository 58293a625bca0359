//! No bytes may make it panic or run for long.

use crate::bytecode::*;

/// A small generator of pseudo-random numbers (xorshift), so that a failure can be seen again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..self.next() % (length + 1))
            .map(|_| self.next() as u8)
            .collect()
    }
}

struct Nameless;

impl Names for Nameless {
    fn name(&self, index: u32) -> Option<String> {
        let name = ["acquire", "release", "flock", "LOCK_UN"].get(index as usize % 5)?;
        (index < 40).then(|| (*name).to_owned())
    }
    fn local(&self, _: u32) -> Option<String> {
        None
    }
    fn constant(&self, _: u32) -> Option<String> {
        None
    }
}

fn look_at_everything(view: &CodeView<'_>, blocks: &[FrameBlock]) {
    let mut analysis = Analysis::new(view);
    for offset in 0..view.code.len() as u32 + 2 {
        let Some(moment) = analysis.at(offset, blocks) else {
            continue;
        };
        if offset.is_multiple_of(8) {
            analysis.held_by_acquire(&moment, &Nameless);
            analysis.held_by_calls(&moment, &Nameless, &NoCallees);
            analysis.left_behind(&Nameless, &NoCallees);
            analysis.uses_from(offset, blocks);
        }
        for block in analysis.with_blocks(&moment) {
            analysis.render(block.manager, &Nameless);
        }
        for value in moment.stack.clone() {
            analysis.path(value);
            analysis.render(value, &Nameless);
        }
        if let Some(InFlight::Call { callee, .. }) = analysis.in_flight(&moment) {
            callee.resolve(|slot| Some(u64::from(slot)));
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..4000 {
        let dialect = Dialect::for_version(0x0300_0000 | ((8 + round % 8) << 16)).unwrap();
        let code = random.bytes(200);
        let exception_table = random.bytes(40);
        let lines = random.bytes(60);
        let view = CodeView {
            dialect,
            code: &code,
            exception_table: &exception_table,
            stacksize: (random.next() % 70_000) as u32,
            nlocals: random.next() as u32,
        };
        let block = FrameBlock {
            kind: 122,
            handler: random.next() as i32,
            level: random.next() as i32,
        };
        look_at_everything(&view, &[block]);
        let table = LineTable::new(dialect, &lines, random.next() as i32);
        for offset in 0..300 {
            table.position_at(offset);
        }
    }
}

#[test]
fn a_long_loop_of_branches_ends() {
    // Every instruction may jump to every other place, and each carries another stack.
    for minor in 8..=15u32 {
        let dialect = Dialect::for_version(0x0300_0000 | (minor << 16)).unwrap();
        let number = |name: &str| (0..=255u8).find(|number| dialect.opcode_name(*number) == name);
        let jumps = [
            "POP_JUMP_IF_TRUE",
            "POP_JUMP_FORWARD_IF_TRUE",
            "SETUP_FINALLY",
            "JUMP_FORWARD",
            "DUP_TOP",
            "COPY",
        ];
        let jumps: Vec<u8> = jumps
            .into_iter()
            .chain(["LOAD_FAST", "FOR_ITER"])
            .filter_map(number)
            .collect();
        let mut random = Random(u64::from(minor) + 1);
        let code: Vec<u8> = (0..60_000)
            .flat_map(|_| {
                [
                    jumps[random.next() as usize % jumps.len()],
                    random.next() as u8,
                ]
            })
            .collect();
        let exception_table = random.bytes(40_000);
        let view = CodeView {
            dialect,
            code: &code,
            exception_table: &exception_table,
            stacksize: 5000,
            nlocals: 10,
        };
        let mut analysis = Analysis::new(&view);
        analysis.at(50_000, &[]);
        analysis.uses_from(1000, &[]);
    }
}
