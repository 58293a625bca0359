//! Locks taken by `acquire()` and not by `with`: found by walking the function from the call to where it is now.

use super::insight::{CodeNames, Insight};
use crate::bytecode::{Taken, Value, ValueId, operator_text};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use snapshot::Address;

/// Levels of an expression that are evaluated.
const DEPTH_MAX: usize = 12;
/// Most names of a function that are looked at.
const NAMES_MAX: usize = 2000;
/// Most entries of a dictionary that are searched.
const ENTRIES_MAX: usize = 1000;

/// A lock that a function has taken by calling its `acquire`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Acquired {
    /// The object.
    pub object: Address,
    /// Its expression.
    pub name: Option<String>,
    /// Line of the call.
    pub line: u32,
}

impl Insight<'_> {
    /// What the frame has taken and, as far as its code tells, not given back.
    pub(super) fn acquired(&self, frame: &RawFrame) -> Vec<Acquired> {
        let code = &frame.code;
        if !frame.complete || !self.may_acquire(code) {
            return Vec::new();
        }
        let Some((analysis, moment)) = self.moment(frame) else {
            return Vec::new();
        };
        let names = CodeNames {
            reader: &self.reader,
            code,
        };
        let taken = analysis.borrow_mut().held_by_acquire(&moment, &names);
        let analysis = analysis.borrow();
        let value = |id| analysis.value(id);
        taken
            .into_iter()
            .filter(|taken| taken.taken != Taken::FileLock && !taken.rebound)
            .filter_map(|taken| {
                Some(Acquired {
                    object: self.evaluate(frame, &value, taken.object, 0)?,
                    name: self.name_of(frame, &analysis, taken.object),
                    line: code.line_at(taken.offset as usize).unwrap_or(0),
                })
            })
            .collect()
    }

    /// A quick look that spares most functions the interpretation.
    fn may_acquire(&self, code: &CodeInfo) -> bool {
        *code.understood.may_acquire.get_or_init(|| {
            (0..NAMES_MAX)
                .map_while(|index| code.name_at(&self.reader, index).ok())
                .any(|name| matches!(&*name, "acquire" | "acquire_lock" | "__enter__"))
        })
    }

    /// The object that an expression of names, attributes and items is now.
    fn evaluate(
        &self,
        frame: &RawFrame,
        value: &dyn Fn(ValueId) -> Value,
        id: ValueId,
        depth: usize,
    ) -> Option<Address> {
        if depth > DEPTH_MAX {
            return None;
        }
        let reader = &self.reader;
        let name = |index: u32| frame.code.name_at(reader, index as usize).ok();
        match value(id) {
            Value::Local(slot) | Value::Cell(slot) => frame.slot(reader, slot as usize),
            Value::Global(index) => reader.dict_get(frame.globals, &name(index)?).ok()?,
            Value::Name(index) => {
                let name = name(index)?;
                let local = frame
                    .namespace
                    .non_null()
                    .and_then(|namespace| reader.dict_get(namespace, &name).ok()?);
                local.or_else(|| reader.dict_get(frame.globals, &name).ok()?)
            }
            Value::Const(index) => frame.code.const_at(reader, index as usize).ok(),
            Value::Attr { object, name: attr } => {
                let object = self.evaluate(frame, value, object, depth + 1)?;
                self.attribute_of(object, &name(attr)?)
            }
            Value::Item { object, index } => {
                let object = self.evaluate(frame, value, object, depth + 1)?;
                match self.number(frame, value, index, depth + 1) {
                    Some(number) => self.item(object, number),
                    None => {
                        let index = self.evaluate(frame, value, index, depth + 1)?;
                        self.item_by(object, index)
                    }
                }
            }
            _ => None,
        }
    }

    /// The value of an index such as `(i + 1) % 5`, where it is a number.
    fn number(
        &self,
        frame: &RawFrame,
        value: &dyn Fn(ValueId) -> Value,
        id: ValueId,
        depth: usize,
    ) -> Option<i64> {
        match value(id) {
            Value::Integer(number) => Some(number),
            Value::Binary {
                operator,
                left,
                right,
            } if depth <= DEPTH_MAX => {
                let left = self.number(frame, value, left, depth + 1)?;
                let right = self.number(frame, value, right, depth + 1)?;
                match operator_text(operator) {
                    "+" => left.checked_add(right),
                    "-" => left.checked_sub(right),
                    "*" => left.checked_mul(right),
                    // As Python has it: towards the divisor's sign.
                    "%" if right > 0 => left.checked_rem_euclid(right),
                    _ => None,
                }
            }
            Value::Binary { .. } => None,
            _ => {
                let object = self.evaluate(frame, value, id, depth + 1)?;
                self.reader.int(object).ok()
            }
        }
    }

    /// An attribute of an instance, a module or a class.
    fn attribute_of(&self, object: Address, name: &str) -> Option<Address> {
        let reader = &self.reader;
        if let Ok(dict) = reader.module_dict(object) {
            return reader.dict_get(dict, name).ok()?;
        }
        if let Ok(Some(value)) = reader.attribute(object, name) {
            return Some(value);
        }
        if let Ok(Some(value)) = reader.class_attribute(object, name) {
            return Some(value);
        }
        reader
            .class_attribute(reader.type_of(object).ok()?, name)
            .ok()?
    }

    fn item_by(&self, object: Address, index: Address) -> Option<Address> {
        let reader = &self.reader;
        if let Ok(number) = reader.int(index)
            && let Some(item) = self.item(object, number)
        {
            return Some(item);
        }
        let key = reader.string(index, super::objects::NAME_CHARS).ok()?;
        reader.dict_get(object, &key).ok()?
    }

    /// An item of a list or tuple, or of a dictionary with numbers for keys.
    fn item(&self, object: Address, number: i64) -> Option<Address> {
        let reader = &self.reader;
        if let Ok(items) = reader.items(object, ENTRIES_MAX) {
            let length = i64::try_from(items.len()).ok()?;
            let at = if number < 0 {
                number.checked_add(length)?
            } else {
                number
            };
            return items.get(usize::try_from(at).ok()?).copied();
        }
        let entries = reader.dict_items(object, ENTRIES_MAX).ok()?;
        entries
            .into_iter()
            .find(|(key, _)| reader.int(*key).is_ok_and(|key| key == number))
            .map(|(_, value)| value)
    }
}
