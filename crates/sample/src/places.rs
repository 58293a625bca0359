//! From code objects and offsets to a profile's frames.

use crate::Grain;
use cpython::sweep::{CodeId, CodeTable, Entry};
use profile::{Builder, Frame, FrameId, FrameKind, Function, FunctionId};
use rustc_hash::FxHashMap;

/// The frames of one process's code, each found out once.
#[derive(Debug, Default)]
pub(crate) struct Places {
    frames: FxHashMap<(CodeId, u32), FrameId>,
    functions: FxHashMap<CodeId, FunctionId>,
}

impl Places {
    /// The frame of an entry; `None` for one that Python itself does not show.
    #[inline]
    pub fn frame(
        &mut self,
        entry: &Entry,
        codes: &CodeTable,
        grain: Grain,
        builder: &mut Builder,
    ) -> Option<FrameId> {
        let key = (entry.code?, entry.offset);
        if let Some(frame) = self.frames.get(&key) {
            return Some(*frame);
        }
        let code = codes.code(key.0)?;
        let function = *self.functions.entry(key.0).or_insert_with(|| {
            let name = builder.string(&code.qualname);
            let file = builder.string(&code.file);
            builder.function(Function {
                name,
                file,
                first_line: u32::try_from(code.first_line).unwrap_or(0),
                kind: FrameKind::Python,
            })
        });
        let line = match grain {
            Grain::Function => 0,
            Grain::Line | Grain::Instruction => code.line_at(entry.offset as usize).unwrap_or(0),
        };
        let frame = builder.frame(Frame {
            function,
            line,
            instruction: (grain == Grain::Instruction).then_some(entry.offset),
        });
        self.frames.insert(key, frame);
        Some(frame)
    }
}
