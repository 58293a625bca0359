//! Instructions in whose place tools have put a stand-in: `INSTRUMENTED_LINE` and `INSTRUMENTED_INSTRUCTION` (3.12+), while
//! a debugger, a tracer or a coverage tool watches. What stood there is kept beside the code.

use crate::bytecode::Dialect;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Bytes of one entry of `_PyCoLineInstrumentationData` where it is an array of pairs: opcode, difference of lines
/// (3.12, early 3.13).
const PAIR_BYTES: u8 = 2;
/// A stand-in may hide the other kind of stand-in, once each.
const LAYERS: usize = 3;

/// The opcodes that were replaced.
struct Kept {
    /// From the first entry on; a line's opcode is the first byte of its entry.
    lines: Vec<u8>,
    bytes_per_line: usize,
    instructions: Vec<u8>,
}

/// Puts the opcodes that were replaced back into `instructions`, the bytes of the code object at `code`.
/// What is not kept, or makes no sense, stays as it is.
pub(super) fn uncover(
    reader: &Reader<'_>,
    dialect: &Dialect,
    code: Address,
    instructions: &mut [u8],
) {
    let Ok(Some(data)) = reader
        .get(code, reader.layout.code.co_monitoring)
        .map(Address::non_null)
    else {
        return;
    };
    let units = instructions.len() / 2;
    let kept = Kept::read(reader, data, units);
    for (index, unit) in instructions.chunks_exact_mut(2).enumerate() {
        if let Some(opcode) = kept.original(dialect, index, unit[0]) {
            unit[0] = opcode;
        }
    }
}

impl Kept {
    fn read(reader: &Reader<'_>, data: Address, units: usize) -> Kept {
        let fields = &reader.layout.monitoring;
        let lines = reader.get(data, fields.lines).unwrap_or(Address::NULL);
        let opcodes = reader
            .get(data, fields.per_instruction_opcodes)
            .unwrap_or(Address::NULL);
        let (lines, bytes_per_line) = read_lines(reader, lines, units).unwrap_or_default();
        Kept {
            lines,
            bytes_per_line,
            instructions: read_up_to(reader, opcodes, units).unwrap_or_default(),
        }
    }

    /// What stood where `opcode` stands at the code unit `index`; `None` where that is no stand-in.
    fn original(&self, dialect: &Dialect, index: usize, opcode: u8) -> Option<u8> {
        let mut opcode = opcode;
        for layer in 0..LAYERS {
            let kept = match dialect.opcode_name(opcode) {
                "INSTRUMENTED_LINE" => self.lines.get(index * self.bytes_per_line),
                "INSTRUMENTED_INSTRUCTION" => self.instructions.get(index),
                "" => return None,
                _ => return (layer > 0).then_some(opcode),
            };
            opcode = *kept?;
        }
        None
    }
}

/// The entries of the lines, and the bytes of each. Later forms begin with that number; the pairs of the first form
/// begin with the opcode of the first unit, which is 0, as a function's first instructions begin no line.
fn read_lines(
    reader: &Reader<'_>,
    at: Address,
    units: usize,
) -> Result<(Vec<u8>, usize), ReadError> {
    let (first, bytes) = match reader.scalar::<u8>(at)? {
        0 => (at, PAIR_BYTES),
        bytes @ 1..=8 => (at.plus(1), bytes),
        _ => return Err(ReadError::Nonsense(at)),
    };
    let bytes = usize::from(bytes);
    Ok((read_up_to(reader, first, units * bytes)?, bytes))
}

fn read_up_to(reader: &Reader<'_>, at: Address, length: usize) -> Result<Vec<u8>, ReadError> {
    if at.is_null() {
        return Ok(Vec::new());
    }
    reader.bytes(at, length as u64, length)
}
