//! How to find an expression's object in a frame, without running anything.

use super::value::{Value, ValueId};
use super::{Analysis, Names};

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The object in this slot of the locals, cells and free variables.
    Local(u32),
    /// The contents of the cell in this slot.
    Cell(u32),
    /// The global or builtin of this name (`co_names`).
    Global(u32),
    /// The name in the frame's namespace, else global, else builtin (`co_names`).
    Name(u32),
}

/// One step from an object to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The attribute of this name (`co_names`).
    Attribute(u32),
    /// The item of this key.
    Item(Key),
}

/// A key or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `co_consts[index]`
    Const(u32),
    /// A small integer.
    Integer(i64),
    /// The object at the end of another path.
    Path(Box<Path>),
}

/// A way from a variable to an object. It leads to the object that the expression *now* means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The variable.
    pub root: Root,
    /// From there on.
    pub steps: Vec<Step>,
}

/// Steps and nested keys together.
const STEPS_MAX: usize = 16;

impl Analysis {
    /// The way to an expression's object; `None` for anything but variables, attributes and items.
    pub fn path(&self, id: ValueId) -> Option<Path> {
        self.path_within(id, &mut STEPS_MAX.clone())
    }

    fn path_within(&self, id: ValueId, budget: &mut usize) -> Option<Path> {
        let mut steps = Vec::new();
        let mut at = id;
        let root = loop {
            *budget = budget.checked_sub(1)?;
            match self.value(at) {
                Value::Local(index) => break Root::Local(index),
                Value::Cell(index) => break Root::Cell(index),
                Value::Global(index) => break Root::Global(index),
                Value::Name(index) => break Root::Name(index),
                Value::Attr { object, name } => {
                    steps.push(Step::Attribute(name));
                    at = object;
                }
                Value::Item { object, index } => {
                    let key = match self.value(index) {
                        Value::Const(constant) => Key::Const(constant),
                        Value::Integer(number) => Key::Integer(number),
                        _ => Key::Path(Box::new(self.path_within(index, budget)?)),
                    };
                    steps.push(Step::Item(key));
                    at = object;
                }
                // What `as` binds is as a rule the manager itself, but not always: no path.
                _ => return None,
            }
        };
        steps.reverse();
        Some(Path { root, steps })
    }

    /// Whether evaluating the expression reads what `reads` says, anywhere in it.
    pub(super) fn mentions(&self, id: ValueId, reads: &dyn Fn(Value) -> bool) -> bool {
        let mut open = vec![id];
        let mut budget = 4 * STEPS_MAX;
        while let Some(id) = open.pop() {
            let value = self.value(id);
            if reads(value) {
                return true;
            }
            match value {
                Value::Attr { object, .. } | Value::Method { object, .. } => open.push(object),
                Value::Item { object, index } => open.extend([object, index]),
                Value::Binary { left, right, .. } => open.extend([left, right]),
                Value::Unary { operand, .. } => open.push(operand),
                _ => {}
            }
            budget -= 1;
            if budget == 0 {
                return true;
            }
        }
        false
    }
}

/// The indices of some names in `co_names`.
pub(super) fn indices_of(names: &dyn Names, wanted: &[&str]) -> Vec<u32> {
    /// `co_names` is not read further.
    const NAMES_MAX: u32 = 1 << 14;
    (0..NAMES_MAX)
        .map_while(|index| Some((index, names.name(index)?)))
        .filter(|(_, name)| wanted.contains(&name.as_str()))
        .map(|(index, _)| index)
        .collect()
}
