//! Symbolic values: what a stack slot holds, told as the program's own expression.

use super::op::{Unary, operator_text};
use super::{Names, PairOrder};
use std::collections::HashMap;
use std::fmt::Write as _;

/// A value of one [`super::Analysis`]. Two equal ids are the same expression, evaluated maybe at different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(super) u32);

/// What a symbolic value is. Numbers of locals are indices into the frame's locals-and-cells array
/// (`localsplus`: locals, then cells, then free variables), numbers of names and constants are indices into
/// `co_names` and `co_consts`, offsets are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the fields are what the text above says
pub enum Value {
    /// Nothing is known of it, or it differs with the path that led here.
    Unknown,
    /// A NULL pointer.
    Null,
    /// A local variable's value.
    Local(u32),
    /// The contents of a cell in a local slot.
    Cell(u32),
    /// A global or builtin.
    Global(u32),
    /// A name in a class body or module (locals, then globals, then builtins).
    Name(u32),
    /// A constant.
    Const(u32),
    /// A constant that the interpreter itself keeps (3.14+), as its `repr` or name.
    Common(&'static str),
    /// A small integer from the instruction itself.
    Integer(i64),
    /// `object.name`
    Attr { object: ValueId, name: u32 },
    /// Lower half of the method pair for `object.name`.
    Method { object: ValueId, name: u32 },
    /// Upper half of that pair.
    MethodSelf { object: ValueId, name: u32 },
    /// `object[index]`
    Item { object: ValueId, index: ValueId },
    /// `left operator right`; the operator's number among CPython's own.
    Binary {
        operator: u8,
        left: ValueId,
        right: ValueId,
    },
    /// A unary operator.
    Unary { operator: Unary, operand: ValueId },
    /// Result of the call at this offset.
    Call { offset: u32, callable: ValueId },
    /// What `await` got from this.
    Awaited { offset: u32, awaited: ValueId },
    /// The awaitable or iterator made of this.
    Awaitable(ValueId),
    /// An imported module.
    Import(u32),
    /// A name imported from a module.
    ImportFrom { module: ValueId, name: u32 },
    /// `__exit__` or `__aexit__` of a `with` item whose instruction is at `site`.
    Exit {
        site: u32,
        manager: ValueId,
        is_async: bool,
        entered: bool,
    },
    /// From 3.14: the receiver of that `__exit__`.
    ExitSelf { site: u32, manager: ValueId },
    /// From 3.14: `__enter__` or `__aenter__`, about to be called.
    Enter { manager: ValueId, is_async: bool },
    /// From 3.14: its receiver.
    EnterSelf { manager: ValueId },
    /// What `__aenter__()` gave, to be awaited.
    Entering { site: u32, manager: ValueId },
    /// What the `as` of a `with` gets.
    Entered { site: u32, manager: ValueId },
    /// What `__aexit__()` gave, to be awaited.
    Exiting { site: u32, manager: ValueId },
    /// An exception that is being handled.
    Exception,
    /// 3.8: a `finally` body was called as a subroutine; its first offset, and whether it may also have been entered
    /// from above, so that it goes on below.
    Finally { body: u32, falls: bool },
}

/// Expressions deeper than this are cut short with an ellipsis.
const RENDER_DEPTH_MAX: u32 = 12;
/// A rendered expression is at most about so long (bytes).
const RENDER_BYTES_MAX: usize = 200;

/// The values of one analysis, each kept once.
#[derive(Debug)]
pub(super) struct Values {
    list: Vec<Value>,
    known: HashMap<Value, ValueId>,
}

impl Values {
    pub(super) const UNKNOWN: ValueId = ValueId(0);
    pub(super) const NULL: ValueId = ValueId(1);
    pub(super) const EXCEPTION: ValueId = ValueId(2);

    pub(super) fn new() -> Values {
        let mut values = Values {
            list: Vec::new(),
            known: HashMap::new(),
        };
        for value in [Value::Unknown, Value::Null, Value::Exception] {
            values.id(value);
        }
        values
    }

    pub(super) fn id(&mut self, value: Value) -> ValueId {
        if let Some(id) = self.known.get(&value) {
            return *id;
        }
        let id = ValueId(u32::try_from(self.list.len()).unwrap_or(0));
        self.list.push(value);
        self.known.insert(value, id);
        id
    }

    /// The id of a value that was met before.
    pub(super) fn find(&self, value: Value) -> Option<ValueId> {
        self.known.get(&value).copied()
    }

    pub(super) fn get(&self, id: ValueId) -> Value {
        self.list
            .get(id.0 as usize)
            .copied()
            .unwrap_or(Value::Unknown)
    }

    /// One value for two that meet where paths join.
    pub(super) fn join(&mut self, one: ValueId, other: ValueId) -> ValueId {
        if one == other {
            return one;
        }
        match (self.get(one), self.get(other)) {
            (
                Value::Exit {
                    site,
                    manager,
                    is_async,
                    entered,
                },
                Value::Exit {
                    site: other_site,
                    manager: other_manager,
                    entered: other_entered,
                    ..
                },
            ) if site == other_site => {
                let manager = if manager == other_manager {
                    manager
                } else {
                    Values::UNKNOWN
                };
                self.id(Value::Exit {
                    site,
                    manager,
                    is_async,
                    entered: entered || other_entered,
                })
            }
            (
                Value::ExitSelf { site, .. },
                Value::ExitSelf {
                    site: other_site, ..
                },
            ) if site == other_site => self.id(Value::ExitSelf {
                site,
                manager: Values::UNKNOWN,
            }),
            (Value::Finally { body, .. }, Value::Null)
            | (Value::Null, Value::Finally { body, .. }) => {
                self.id(Value::Finally { body, falls: true })
            }
            (
                Value::Finally { body, .. },
                Value::Finally {
                    body: other_body, ..
                },
            ) if body == other_body => self.id(Value::Finally { body, falls: true }),
            _ => Values::UNKNOWN,
        }
    }

    /// The expression, or `None` where nothing is known.
    pub(super) fn render(&self, id: ValueId, names: &dyn Names) -> Option<String> {
        let mut text = String::new();
        self.write(&mut text, id, names, 0);
        (!text.is_empty() && text != "…").then_some(text)
    }

    fn write(&self, out: &mut String, id: ValueId, names: &dyn Names, depth: u32) {
        if depth > RENDER_DEPTH_MAX || out.len() > RENDER_BYTES_MAX {
            out.push('…');
            return;
        }
        let deeper = depth + 1;
        match self.get(id) {
            Value::Local(index) | Value::Cell(index) => {
                out.push_str(&names.local(index).unwrap_or_else(unnamed))
            }
            Value::Global(index) | Value::Name(index) | Value::Import(index) => {
                out.push_str(&names.name(index).unwrap_or_else(unnamed));
            }
            Value::Const(index) => out.push_str(&names.constant(index).unwrap_or_else(unnamed)),
            Value::Common(text) => out.push_str(text),
            Value::Integer(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Attr { object, name }
            | Value::Method { object, name }
            | Value::MethodSelf { object, name }
            | Value::ImportFrom {
                module: object,
                name,
            } => {
                self.write_operand(out, object, names, deeper);
                out.push('.');
                out.push_str(&names.name(name).unwrap_or_else(unnamed));
            }
            Value::Item { object, index } => {
                self.write_operand(out, object, names, deeper);
                out.push('[');
                self.write(out, index, names, deeper);
                out.push(']');
            }
            Value::Binary {
                operator,
                left,
                right,
            } => {
                self.write_operand(out, left, names, deeper);
                let _ = write!(out, " {} ", operator_text(operator));
                self.write_operand(out, right, names, deeper);
            }
            Value::Unary { operator, operand } => {
                out.push_str(match operator {
                    Unary::Positive => "+",
                    Unary::Negative => "-",
                    Unary::Not => "not ",
                    Unary::Invert => "~",
                });
                self.write_operand(out, operand, names, deeper);
            }
            Value::Call { callable, .. } => {
                self.write_operand(out, callable, names, deeper);
                out.push_str("(…)");
            }
            Value::Awaited { awaited, .. } => {
                out.push_str("await ");
                self.write(out, awaited, names, deeper);
            }
            Value::Awaitable(inner) => self.write(out, inner, names, deeper),
            Value::Exit {
                manager, is_async, ..
            } => {
                self.write_special(
                    out,
                    manager,
                    names,
                    deeper,
                    if is_async { "__aexit__" } else { "__exit__" },
                );
            }
            Value::Enter { manager, is_async } => {
                self.write_special(
                    out,
                    manager,
                    names,
                    deeper,
                    if is_async { "__aenter__" } else { "__enter__" },
                );
            }
            Value::Entering { manager, .. } => {
                self.write_special(out, manager, names, deeper, "__aenter__")
            }
            Value::Exiting { manager, .. } => {
                self.write_special(out, manager, names, deeper, "__aexit__")
            }
            Value::ExitSelf { manager, .. }
            | Value::EnterSelf { manager }
            | Value::Entered { manager, .. } => {
                self.write(out, manager, names, deeper);
            }
            Value::Unknown | Value::Null | Value::Exception | Value::Finally { .. } => {
                out.push('…')
            }
        }
    }

    fn write_special(
        &self,
        out: &mut String,
        manager: ValueId,
        names: &dyn Names,
        depth: u32,
        method: &str,
    ) {
        self.write_operand(out, manager, names, depth);
        out.push('.');
        out.push_str(method);
    }

    /// An operand, in parentheses where it is an operation itself.
    fn write_operand(&self, out: &mut String, id: ValueId, names: &dyn Names, depth: u32) {
        let compound = matches!(
            self.get(id),
            Value::Binary { .. } | Value::Unary { .. } | Value::Awaited { .. }
        );
        if compound {
            out.push('(');
        }
        self.write(out, id, names, depth);
        if compound {
            out.push(')');
        }
    }

    /// The callable's value of a pair or plain callable on the stack: the lower half unless it is NULL.
    pub(super) fn callable_of(&self, lower: ValueId, upper: ValueId, order: PairOrder) -> ValueId {
        match (order, self.get(lower)) {
            (PairOrder::MethodOrNull, Value::Null) => upper,
            _ => lower,
        }
    }
}

fn unnamed() -> String {
    "…".to_owned()
}
