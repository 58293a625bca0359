//! What expressions of a program's code mean: in a frame, or in a call whose arguments are known.

use super::insight::Insight;
use super::objects::NAME_CHARS;
use crate::bytecode::{Value, ValueId, operator_text};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use crate::reader::Reader;
use snapshot::Address;
use std::collections::HashMap;
use std::rc::Rc;

/// Levels of an expression that are evaluated.
const DEPTH_MAX: usize = 12;
/// Most entries of a dictionary that are searched.
const ENTRIES_MAX: usize = 1000;

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) enum Scope<'f> {
    /// In a frame.
    Frame(&'f RawFrame),
    /// In a call that is over.
    Call(&'f Activation),
}

/// A call of a function as far as it can be told without a frame: what its arguments are.
pub(super) struct Activation {
    /// The function's code.
    pub code: Rc<CodeInfo>,
    /// Its module's namespace.
    pub globals: Address,
    /// What is known of its variables, by slot.
    pub locals: HashMap<u32, Address>,
}

impl Scope<'_> {
    pub(super) fn code(&self) -> &CodeInfo {
        match self {
            Scope::Frame(frame) => &frame.code,
            Scope::Call(call) => &call.code,
        }
    }

    fn slot(&self, reader: &Reader<'_>, slot: u32) -> Option<Address> {
        match self {
            Scope::Frame(frame) => frame.slot(reader, slot as usize),
            Scope::Call(call) => call.locals.get(&slot).copied(),
        }
    }

    fn globals(&self) -> Address {
        match self {
            Scope::Frame(frame) => frame.globals,
            Scope::Call(call) => call.globals,
        }
    }

    fn namespace(&self) -> Address {
        match self {
            Scope::Frame(frame) => frame.namespace,
            Scope::Call(_) => Address::NULL,
        }
    }
}

impl Insight<'_> {
    /// The object that an expression of names, attributes and items is now.
    pub(super) fn evaluate(
        &self,
        scope: Scope<'_>,
        value: &dyn Fn(ValueId) -> Value,
        id: ValueId,
        depth: usize,
    ) -> Option<Address> {
        if depth > DEPTH_MAX {
            return None;
        }
        let reader = &self.reader;
        let name = |index: u32| scope.code().name_at(reader, index as usize).ok();
        match value(id) {
            Value::Local(slot) | Value::Cell(slot) => scope.slot(reader, slot),
            Value::Global(index) => reader.dict_get(scope.globals(), &name(index)?).ok()?,
            Value::Name(index) => {
                let name = name(index)?;
                let local = scope
                    .namespace()
                    .non_null()
                    .and_then(|namespace| reader.dict_get(namespace, &name).ok()?);
                local.or_else(|| reader.dict_get(scope.globals(), &name).ok()?)
            }
            Value::Const(index) => scope.code().const_at(reader, index as usize).ok(),
            Value::Attr { object, name: attr } => {
                let object = self.evaluate(scope, value, object, depth + 1)?;
                self.attribute_of(object, &name(attr)?)
            }
            Value::Item { object, index } => {
                let object = self.evaluate(scope, value, object, depth + 1)?;
                match self.number(scope, value, index, depth + 1) {
                    Some(number) => self.item(object, number),
                    None => {
                        let index = self.evaluate(scope, value, index, depth + 1)?;
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
        scope: Scope<'_>,
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
                let left = self.number(scope, value, left, depth + 1)?;
                let right = self.number(scope, value, right, depth + 1)?;
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
                let object = self.evaluate(scope, value, id, depth + 1)?;
                self.reader.int(object).ok()
            }
        }
    }

    /// An attribute of an instance, a module or a class.
    pub(super) fn attribute_of(&self, object: Address, name: &str) -> Option<Address> {
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
        let key = reader.string(index, NAME_CHARS).ok()?;
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
