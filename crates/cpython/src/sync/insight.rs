//! What a frame is in the middle of: the call in flight, the `with` blocks in force, told by its bytecode.

use super::acquires::Calls;
use super::callable::{Callable, callable};
use crate::bytecode::{
    Analysis, Arguments, Callee, CodeView, ExitSlot, FrameBlock, InFlight, Moment, Names, Phase,
    ValueId, WithBlock,
};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use crate::reader::Reader;
use crate::render::RenderLimits;
use snapshot::{Address, Place};
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// What a function with a `with` statement has in every version, one or the other.
const WITH_OPCODES: &[&str] = &[
    "SETUP_WITH",
    "SETUP_ASYNC_WITH",
    "BEFORE_WITH",
    "BEFORE_ASYNC_WITH",
    "LOAD_SPECIAL",
    "WITH_EXCEPT_START",
];

/// Reads frames with what their bytecode says.
pub(super) struct Insight<'a> {
    pub(super) reader: Reader<'a>,
}

/// What the bytecode of a code object says, kept with it: independent of any frame.
#[derive(Debug, Default)]
pub struct Understood {
    analysis: OnceCell<Option<Rc<RefCell<Analysis>>>>,
    has_with: OnceCell<bool>,
    pub(super) calls: OnceCell<Calls>,
}

/// A call that a frame is in the middle of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    /// What is called.
    pub callable: Callable,
    /// The expression before the method's name: `self.lock` of `self.lock.acquire()`; the manager of a `with`.
    pub receiver_name: Option<String>,
}

/// A `with` block that a frame is in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    /// The manager.
    pub manager: Address,
    /// Its expression.
    pub name: Option<String>,
    /// Slot of the value stack that names it.
    pub slot: u32,
    /// Line of the `with`.
    pub line: u32,
    /// Whether its body runs, or still runs its exit.
    pub held: bool,
    /// Whether it is an `async with`.
    pub is_async: bool,
}

/// A code object's names and constants, read from the target.
pub(super) struct CodeNames<'a, 'm> {
    pub(super) reader: &'a Reader<'m>,
    pub(super) code: &'a CodeInfo,
}

impl Names for CodeNames<'_, '_> {
    fn name(&self, index: u32) -> Option<String> {
        let name = self.code.name_at(self.reader, index as usize).ok()?;
        Some(name.to_string())
    }

    fn local(&self, index: u32) -> Option<String> {
        let locals = self.code.locals(self.reader).ok()?;
        let local = locals.iter().find(|local| local.slot == index as usize)?;
        Some(local.name.to_string())
    }

    fn constant(&self, index: u32) -> Option<String> {
        let constant = self.code.const_at(self.reader, index as usize).ok()?;
        let limits = RenderLimits {
            depth: 1,
            items: 3,
            characters: 40,
            total: 60,
        };
        Some(self.reader.render(constant, &limits))
    }
}

impl<'a> Insight<'a> {
    /// For the process that this reader reads.
    pub(super) fn new(reader: Reader<'a>) -> Insight<'a> {
        Insight { reader }
    }

    /// The call that the frame's current instruction makes, with its callable read from the value stack.
    pub(super) fn call(&self, frame: &RawFrame) -> Option<Call> {
        let (analysis, moment) = self.moment(frame)?;
        let analysis = analysis.borrow();
        match analysis.in_flight(&moment)? {
            InFlight::Call {
                callee,
                callable,
                arguments,
            } => self.plain_call(frame, &analysis, &callee, arguments, callable),
            InFlight::Iterate { slot, .. } => self.iteration(frame, slot),
            InFlight::Enter(block) | InFlight::Exit(block) => {
                let manager = self.manager(frame, &block)?;
                Some(Call {
                    callable: self.special(manager, block.phase),
                    receiver_name: self.name_of(frame, &analysis, block.manager),
                })
            }
            _ => None,
        }
    }

    fn plain_call(
        &self,
        frame: &RawFrame,
        analysis: &Analysis,
        callee: &Callee,
        arguments: Arguments,
        value: ValueId,
    ) -> Option<Call> {
        use crate::bytecode::Value;
        let resolved = callee.resolve(|slot| {
            frame
                .stack_slot(&self.reader, slot as usize)
                .map(|address| address.0)
        })?;
        let first = match arguments {
            Arguments::Slots { first, count, .. } if count > 0 => {
                frame.stack_slot(&self.reader, first as usize)
            }
            _ => None,
        };
        // `Lock.acquire(lock)`: a method that is not bound takes its object as the first argument.
        let receiver = resolved.receiver.map(Address).or(first);
        let mut callable = callable(&self.reader, Address(resolved.callable), receiver)?;
        if !callable.known
            && let Value::Attr { name, .. } = analysis.value(value)
            && let Ok(name) = frame.code.name_at(&self.reader, name as usize)
        {
            // A bound method that calls its function puts its receiver over itself for the time of the call.
            callable.name = name.to_string();
            callable.receiver = Some(Address(resolved.callable));
        }
        let named = match analysis.value(value) {
            Value::Attr { object, .. }
            | Value::Method { object, .. }
            | Value::MethodSelf { object, .. } => Some(object),
            Value::Exit { manager, .. } | Value::Enter { manager, .. } => Some(manager),
            _ => None,
        };
        Some(Call {
            callable,
            receiver_name: named.and_then(|object| self.name_of(frame, analysis, object)),
        })
    }

    /// The call that `iter(callable, sentinel)` makes for its next item (`calliterobject`: the callable is its first
    /// field).
    fn iteration(&self, frame: &RawFrame, slot: u32) -> Option<Call> {
        let reader = &self.reader;
        let iterator = frame.stack_slot(reader, slot as usize)?;
        if &*reader.class_of(iterator).ok()?.name != "callable_iterator" {
            return None;
        }
        let head = reader.layout.object.ob_size.offset()?;
        let object: Address = reader.scalar(iterator.plus(head)).ok()?;
        Some(Call {
            callable: callable(reader, object.non_null()?, None)?,
            receiver_name: None,
        })
    }

    /// `__enter__` or `__exit__` of a manager.
    fn special(&self, manager: Address, phase: Phase) -> Callable {
        let class = self.reader.class_of(manager);
        let name = match phase {
            Phase::Entering => "__enter__",
            _ => "__exit__",
        };
        Callable {
            name: name.to_owned(),
            owner: class
                .map(|class| class.name.to_string())
                .unwrap_or_default(),
            receiver: Some(manager),
            native: true,
            foreign: false,
            known: true,
        }
    }

    /// The `with` blocks that the frame is in, the outermost first.
    pub(super) fn blocks(&self, frame: &RawFrame) -> Vec<Block> {
        if !frame.complete || !self.may_be_in_with(frame) {
            return Vec::new();
        }
        let Some((analysis, moment)) = self.moment(frame) else {
            return Vec::new();
        };
        let analysis = analysis.borrow();
        let blocks = analysis.with_blocks(&moment);
        blocks
            .iter()
            .filter_map(|block| {
                Some(Block {
                    manager: self.manager(frame, block)?,
                    name: self.name_of(frame, &analysis, block.manager),
                    slot: block.slot,
                    line: frame.code.line_at(block.site as usize).unwrap_or(0),
                    held: block.phase != Phase::Entering,
                    is_async: block.is_async,
                })
            })
            .collect()
    }

    /// The innermost `with` item that the frame is entering.
    pub(super) fn entering(&self, frame: &RawFrame) -> Option<Block> {
        self.blocks(frame)
            .into_iter()
            .rev()
            .find(|block| !block.held)
    }

    /// The object whose `with` block this is.
    fn manager(&self, frame: &RawFrame, block: &WithBlock) -> Option<Address> {
        let slot = |number: u32| frame.stack_slot(&self.reader, number as usize);
        let lower = slot(block.slot)?;
        let bound_to = |object| callable(&self.reader, object, None)?.receiver;
        match block.holds {
            ExitSlot::Bound => bound_to(lower),
            ExitSlot::FunctionAndSelf => {
                let upper = block.slot.checked_add(1)?;
                slot(upper).or_else(|| bound_to(lower))
            }
            ExitSlot::Manager => Some(lower),
            ExitSlot::ManagerOrBound => bound_to(lower).or(Some(lower)),
            ExitSlot::Awaitable | ExitSlot::Gone => None,
        }
    }

    /// The frame's place; `line` where it is not the current one.
    pub(super) fn place(&self, frame: &RawFrame, line: Option<u32>) -> Place {
        Place {
            file: frame.code.file.to_string(),
            line: line.or_else(|| frame.line()).unwrap_or(0),
            function: frame.code.qualname.to_string(),
        }
    }

    /// The line of the `with` whose exit runs. CPython up to 3.9 counts that as the last line of the block, later as the `with`.
    pub(super) fn line_of_exit(&self, frame: &RawFrame) -> Option<u32> {
        use crate::bytecode::Value;
        let (analysis, moment) = self.moment(frame)?;
        let analysis = analysis.borrow();
        let site = match analysis.in_flight(&moment)? {
            InFlight::Exit(block) => block.site,
            InFlight::Call { callable, .. } => match analysis.value(callable) {
                Value::Exit { site, .. } => site,
                _ => return None,
            },
            _ => return None,
        };
        frame.code.line_at(site as usize)
    }

    /// An expression that is a name or a path of names; what a call gave has none.
    pub(super) fn name_of(
        &self,
        frame: &RawFrame,
        analysis: &Analysis,
        value: ValueId,
    ) -> Option<String> {
        let names = CodeNames {
            reader: &self.reader,
            code: &frame.code,
        };
        analysis
            .render(value, &names)
            .filter(|name| !name.contains("(…)") && !name.contains('…'))
    }

    pub(super) fn moment(&self, frame: &RawFrame) -> Option<(Rc<RefCell<Analysis>>, Moment)> {
        let analysis = self.analysis(&frame.code)?;
        let blocks: Vec<FrameBlock> = frame
            .blocks
            .iter()
            .map(|block| FrameBlock {
                kind: block.kind,
                handler: block.handler,
                level: block.level,
            })
            .collect();
        let offset = u32::try_from(frame.offset).ok()?;
        let moment = analysis.borrow_mut().at(offset, &blocks)?;
        Some((analysis, moment))
    }

    pub(super) fn analysis(&self, code: &CodeInfo) -> Option<Rc<RefCell<Analysis>>> {
        let known = &code.understood.analysis;
        known.get_or_init(|| self.interpret(code)).clone()
    }

    fn interpret(&self, code: &CodeInfo) -> Option<Rc<RefCell<Analysis>>> {
        let reader = &self.reader;
        let nlocals: i32 = reader
            .get(code.address, reader.layout.code.co_nlocals)
            .unwrap_or(0);
        let view = CodeView {
            dialect: code.dialect,
            code: code.instructions(reader).ok()?,
            exception_table: code.exception_table(reader).unwrap_or_default(),
            stacksize: u32::try_from(code.stacksize).ok()?,
            nlocals: u32::try_from(nlocals).unwrap_or(0),
        };
        Some(Rc::new(RefCell::new(Analysis::new(&view))))
    }

    /// A quick look that spares most functions the interpretation: is there a `with` in the code at all?
    fn may_be_in_with(&self, frame: &RawFrame) -> bool {
        let code = &frame.code;
        *code.understood.has_with.get_or_init(|| {
            let instructions = code.instructions(&self.reader).unwrap_or_default();
            instructions.iter().step_by(2).any(|opcode| {
                let name = code.dialect.opcode_name(*opcode);
                WITH_OPCODES.contains(&name)
            })
        })
    }
}
