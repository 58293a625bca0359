//! Where a frame leads: by its variables, value stack and names, as far as the code ahead of it uses them.

use super::code::CodeUse;
use super::path::Label;
use super::{Link, Links, World};
use crate::bytecode::{Analysis, Callee, CodeView, FrameBlock, InFlight, Uses};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use process::ReadError;
use snapshot::Address;
use std::rc::Rc;

/// Names by which code can use any local variable.
const ANY_LOCAL: [&str; 4] = ["locals", "eval", "exec", "vars"];

/// What lies ahead at one instruction of a code object.
#[derive(Debug)]
pub(super) struct Ahead {
    /// The names that are used.
    used: Rc<CodeUse>,
    /// The variables; `None`: any.
    uses: Option<Uses>,
    /// Slots of the value stack in use, where that is known.
    pub depth: Option<usize>,
    /// The callable, where the instruction is a call.
    callee: Option<Callee>,
}

/// Where a frame stands: its code, the offset there, and its block stack.
pub(super) type Standing = (Address, usize, Vec<(i32, i32, i32)>);

impl World<'_> {
    /// What lies ahead of a frame; many frames stand at the same place.
    pub(super) fn ahead(&mut self, frame: &RawFrame) -> Rc<Ahead> {
        let blocks = frame.blocks.iter();
        let blocks = blocks.map(|block| (block.kind, block.handler, block.level));
        let standing = (frame.code.address, frame.offset, blocks.collect());
        if let Some(known) = self.ahead.get(&standing) {
            return known.clone();
        }
        let ahead = self.interpret(frame).unwrap_or_else(|| Ahead {
            used: self.code_use(frame.code.address),
            uses: None,
            depth: None,
            callee: None,
        });
        let ahead = Rc::new(ahead);
        self.ahead.insert(standing, ahead.clone());
        ahead
    }

    /// `None` where the bytecode does not tell.
    fn interpret(&self, frame: &RawFrame) -> Option<Ahead> {
        let reader = &self.reader;
        let code = &frame.code;
        let nlocals = reader.get(code.address, reader.layout.code.co_nlocals);
        let view = CodeView {
            dialect: code.dialect,
            code: code.instructions(reader).ok()?,
            exception_table: code.exception_table(reader).ok()?,
            stacksize: u32::try_from(code.stacksize).ok()?,
            nlocals: u32::try_from(nlocals.unwrap_or(0)).ok()?,
        };
        let blocks: Vec<FrameBlock> = frame
            .blocks
            .iter()
            .map(|block| FrameBlock {
                kind: block.kind,
                handler: block.handler,
                level: block.level,
            })
            .collect();
        let mut analysis = Analysis::new(&view);
        let offset = u32::try_from(frame.offset).ok()?;
        let uses = analysis.uses_from(offset, &blocks)?;
        let mut used = CodeUse::default();
        if self.gather_ahead(code, &uses, &mut used).is_err() {
            used.partial = true;
        }
        let any = used.names.iter().any(|name| ANY_LOCAL.contains(&&**name));
        let moment = analysis.at(offset, &blocks).filter(|moment| moment.exact);
        let in_flight = moment
            .as_ref()
            .and_then(|moment| analysis.in_flight(moment));
        Some(Ahead {
            used: Rc::new(used),
            uses: (!any).then_some(uses),
            depth: moment.map(|moment| moment.stack.len()),
            callee: match in_flight {
                Some(InFlight::Call { callee, .. }) => Some(callee),
                _ => None,
            },
        })
    }

    fn gather_ahead(
        &self,
        code: &CodeInfo,
        uses: &Uses,
        found: &mut CodeUse,
    ) -> Result<(), ReadError> {
        let reader = &self.reader;
        for index in &uses.names {
            found.add(code.name_at(reader, *index as usize)?, &code.file);
        }
        found.note_release(0, &code.file);
        for index in &uses.constants {
            let constant = code.const_at(reader, *index as usize)?;
            self.gather_constant(constant, found, 0)?;
        }
        Ok(())
    }

    /// Whether the Python function that the frame calls is the one that `inner` runs.
    fn calls(&self, frame: &RawFrame, callee: &Callee, inner: &RawFrame) -> bool {
        let reader = &self.reader;
        let slot = |slot: u32| {
            frame
                .stack_slot(reader, slot as usize)
                .map(|object| object.0)
        };
        let Some(resolved) = callee.resolve(slot) else {
            return false;
        };
        let mut function = Address(resolved.callable);
        if reader.is_instance(function, "builtins", "method") {
            function = reader
                .get(function, reader.layout.method.im_func)
                .unwrap_or(Address::NULL);
        }
        reader.is_instance(function, "builtins", "function")
            && reader.get(function, reader.layout.function.func_code) == Ok(inner.code.address)
    }

    /// Where a frame leads that goes on; `inner` is the frame that it has called, if any.
    pub(super) fn frame_links(&mut self, frame: &RawFrame, inner: Option<&RawFrame>) -> Links {
        let mut links = Links::default();
        let ahead = self.ahead(frame);
        let function = frame.code.qualname.clone();
        self.global_links(frame.globals, &ahead.used, &function, &mut links);
        let reader = self.reader;
        let is_used = |slot: usize| {
            let slot = u32::try_from(slot).unwrap_or(u32::MAX);
            ahead
                .uses
                .as_ref()
                .is_none_or(|uses| uses.locals.contains(&slot))
        };
        match frame.code.locals(&reader) {
            Ok(locals) => {
                for local in locals.iter().filter(|local| is_used(local.slot)) {
                    if let Some(to) = frame.slot(&reader, local.slot) {
                        let label = Label::Variable(local.name.clone(), function.clone());
                        links.always.push(Link { label, to });
                    }
                }
            }
            Err(_) => links.partial = true,
        }
        let depth = match (&ahead.callee, inner) {
            // The arguments of the call that the inner frame runs are that frame's.
            (Some(callee), Some(inner)) if self.calls(frame, callee, inner) => {
                Some(callee.lower as usize)
            }
            _ => ahead.depth.or(frame.stack_depth),
        };
        for slot in 0..depth.unwrap_or(frame.code.stacksize) {
            if let Some(to) = frame.stack_slot(&reader, slot) {
                let label = Label::Stack(function.clone());
                links.always.push(Link { label, to });
            }
        }
        if !frame.namespace.is_null() && frame.namespace != frame.globals {
            let namespace = self.namespace(frame.namespace);
            for (name, to) in &namespace.entries {
                let label = Label::Variable(name.clone(), function.clone());
                links.always.push(Link { label, to: *to });
            }
        }
        links.code = Some(ahead.used.clone());
        links
    }
}
