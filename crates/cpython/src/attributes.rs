//! Attributes of instances, classes and modules, without running any of their code.

use crate::containers::SplitValues;
use crate::layout::ManagedForm;
use crate::object::{TypeInfo, flags};
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Where an instance's attributes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// Nowhere: it has none, or none yet.
    None,
    /// In a dictionary.
    Dict(Address),
    /// In values beside the keys of its class (`PyDictValues`).
    Values(Address),
}

impl Reader<'_> {
    /// The instance's own attribute `name`: from its `__dict__`, its inline values or its `__slots__`.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attribute(&self, object: Address, name: &str) -> Result<Option<Address>, ReadError> {
        let class = self.class_of(object)?;
        let found = match self.attributes_of(object, &class)? {
            Attributes::None => None,
            Attributes::Dict(dict) => self.dict_get(dict, name)?,
            Attributes::Values(values) => self.inline_value(&class, values, name)?,
        };
        if found.is_some() {
            return Ok(found);
        }
        match class.slots.iter().find(|slot| *slot.name == *name) {
            Some(slot) => Ok(self.scalar::<Address>(object.plus(slot.offset))?.non_null()),
            None => Ok(None),
        }
    }

    /// The instance's own attributes, at most `limit` of them: `__dict__` or inline values first, then slots
    /// (for types made in C, their members that are objects).
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attributes(
        &self,
        object: Address,
        limit: usize,
    ) -> Result<Vec<(String, Address)>, ReadError> {
        let class = self.class_of(object)?;
        let entries = match self.attributes_of(object, &class)? {
            Attributes::None => Vec::new(),
            Attributes::Dict(dict) => self.dict_items(dict, limit)?,
            Attributes::Values(values) => self.inline_entries(&class, values)?,
        };
        let mut found: Vec<(String, Address)> = Vec::new();
        for (key, value) in entries {
            if let Ok(name) = self.string(key, 256) {
                found.push((name, value));
            }
        }
        for slot in class.slots.iter() {
            if let Ok(value) = self.scalar::<Address>(object.plus(slot.offset))
                && !value.is_null()
                && !matches!(&*slot.name, "__weakref__" | "__dict__")
            {
                found.push((slot.name.to_string(), value));
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The instance's `__dict__`, where it has one as an object.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn instance_dict(&self, object: Address) -> Result<Option<Address>, ReadError> {
        let class = self.class_of(object)?;
        Ok(match self.attributes_of(object, &class)? {
            Attributes::Dict(dict) => Some(dict),
            Attributes::None | Attributes::Values(_) => None,
        })
    }

    /// What `name` is in the dictionaries of the type at `ty` and its bases. Built-in static types have none
    /// to look into from 3.12 on.
    ///
    /// # Errors
    /// When the type cannot be read.
    pub fn class_attribute(&self, ty: Address, name: &str) -> Result<Option<Address>, ReadError> {
        for base in self.type_info(ty)?.mro.iter() {
            let dict = self.get(*base, self.layout.type_object.tp_dict)?;
            if dict.is_null() {
                continue;
            }
            if let Some(found) = self.dict_get(dict, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The dictionary of the module object at `module`.
    ///
    /// # Errors
    /// When it cannot be read or is no module.
    pub fn module_dict(&self, module: Address) -> Result<Address, ReadError> {
        if !self.is_instance(module, "builtins", "module") {
            return Err(ReadError::Nonsense(module));
        }
        self.get(module, self.layout.module.md_dict)
    }

    /// The dictionary of the imported module `name` of the interpreter state at `interpreter`.
    ///
    /// # Errors
    /// When `sys.modules` cannot be read.
    pub fn module(&self, interpreter: Address, name: &str) -> Result<Option<Address>, ReadError> {
        let modules = self.get(interpreter, self.layout.interpreter.modules)?;
        match self.dict_get(modules, name)? {
            // Anything may be put into `sys.modules`; most of what is no module there has attributes all the same.
            Some(module) if self.is_instance(module, "builtins", "module") => {
                self.module_dict(module).map(Address::non_null)
            }
            Some(module) => self.instance_dict(module),
            None => Ok(None),
        }
    }

    /// Where the attributes of an instance of `class` lie.
    pub(crate) fn attributes_of(
        &self,
        object: Address,
        class: &TypeInfo,
    ) -> Result<Attributes, ReadError> {
        if self.layout.traits.managed != ManagedForm::None && class.has(flags::MANAGED_DICT) {
            return self.managed_attributes(object, class);
        }
        let place = match class.dictoffset {
            0 => return Ok(Attributes::None),
            1.. => object.plus(class.dictoffset.unsigned_abs()),
            _ => {
                // From the end of an object of variable size; an int's size has its sign.
                let items = self.get(object, self.layout.object.ob_size)?.unsigned_abs();
                let size = items
                    .checked_mul(class.itemsize)
                    .and_then(|bytes| {
                        bytes
                            .checked_add(class.basicsize)?
                            .checked_next_multiple_of(8)
                    })
                    .ok_or(ReadError::Nonsense(object))?;
                object.plus(size).minus(class.dictoffset.unsigned_abs())
            }
        };
        let dict: Address = self.scalar(place)?;
        Ok(dict.non_null().map_or(Attributes::None, Attributes::Dict))
    }

    fn managed_attributes(
        &self,
        object: Address,
        class: &TypeInfo,
    ) -> Result<Attributes, ReadError> {
        let word = |before: u64| self.scalar::<Address>(object.minus(before));
        let of_dict = |dict: Address| dict.non_null().map_or(Attributes::None, Attributes::Dict);
        Ok(match self.layout.traits.managed {
            ManagedForm::None => Attributes::None,
            ManagedForm::Words { dict, values } => match word(values)?.non_null() {
                Some(values) => Attributes::Values(values),
                None => of_dict(word(dict)?),
            },
            ManagedForm::Tagged { word: before } => {
                let dict_or_values = word(before)?;
                match dict_or_values.0 & 1 {
                    1 => Attributes::Values(dict_or_values.plus(1)),
                    _ => of_dict(dict_or_values),
                }
            }
            ManagedForm::Inline { dict } => {
                let dict = word(dict)?;
                if !dict.is_null() || !class.has(flags::INLINE_VALUES) {
                    return Ok(of_dict(dict));
                }
                let values = object.plus(class.basicsize);
                match self.get(values, self.layout.dict_values.valid)? {
                    0 => Attributes::None,
                    _ => Attributes::Values(values),
                }
            }
        })
    }

    /// The value of an attribute that lies beside the keys of its class.
    fn inline_value(
        &self,
        class: &TypeInfo,
        values: Address,
        name: &str,
    ) -> Result<Option<Address>, ReadError> {
        let keys = self.get(class.address, self.layout.type_object.ht_cached_keys)?;
        self.split_get(keys, SplitValues::Ordered(values), name)
    }

    /// Names and values of attributes that lie beside the keys of their class.
    pub(crate) fn inline_entries(
        &self,
        class: &TypeInfo,
        values: Address,
    ) -> Result<Vec<(Address, Address)>, ReadError> {
        let keys = self.get(class.address, self.layout.type_object.ht_cached_keys)?;
        self.split_entries(self.key_table(keys)?, SplitValues::Ordered(values))
    }
}
