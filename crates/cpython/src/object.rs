//! Objects and their types: what every object starts with, and what a type says about its instances.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// What a type object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    /// The type object.
    pub address: Address,
    /// `__name__`.
    pub name: Rc<str>,
    /// `__qualname__`.
    pub qualname: Rc<str>,
    /// `__module__`.
    pub module: Rc<str>,
    /// `tp_flags`.
    pub flags: u64,
    /// Bytes of an instance, without its items.
    pub basicsize: u64,
    /// Bytes of an item, for types of variable size.
    pub itemsize: u64,
    /// Where an instance's `__dict__` pointer lies; negative: from its end; 0: none.
    pub dictoffset: i64,
    /// The method resolution order, itself first.
    pub mro: Rc<[Address]>,
}

/// Types that were met, each read once. Good for one look only: a type may die and another take its place.
#[derive(Debug, Default)]
pub struct TypeCache {
    types: RefCell<HashMap<Address, Rc<TypeInfo>>>,
}

impl TypeCache {
    /// Forgets all.
    pub fn clear(&self) {
        self.types.borrow_mut().clear();
    }
}

impl Reader<'_> {
    /// The type of the object at `object`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn type_of(&self, object: Address) -> Result<Address, ReadError> {
        self.get(object, self.layout.object.ob_type)
    }

    /// What the type object at `ty` says; from the cache when it was met before.
    ///
    /// # Errors
    /// When it cannot be read or is no type.
    pub fn type_info(&self, ty: Address) -> Result<Rc<TypeInfo>, ReadError> {
        let _ = ty;
        Err(ReadError::Absent)
    }

    /// The type of the object at `object`, read.
    ///
    /// # Errors
    /// When it cannot be read or is no object.
    pub fn class_of(&self, object: Address) -> Result<Rc<TypeInfo>, ReadError> {
        self.type_info(self.type_of(object)?)
    }

    /// `__name__` of the type at `ty`.
    ///
    /// # Errors
    /// As [`Reader::type_info`].
    pub fn type_name(&self, ty: Address) -> Result<Rc<str>, ReadError> {
        Ok(self.type_info(ty)?.name.clone())
    }

    /// Whether the object's type, or one of its bases, is `module.name` (`builtins.dict`); `false` when it cannot be read.
    pub fn is_instance(&self, object: Address, module: &str, name: &str) -> bool {
        self.class_of(object)
            .is_ok_and(|class| self.is_subclass(&class, module, name))
    }

    /// Whether the type, or one of its bases, is `module.name`.
    pub fn is_subclass(&self, class: &TypeInfo, module: &str, name: &str) -> bool {
        class.mro.iter().any(|base| {
            self.type_info(*base)
                .is_ok_and(|base| &*base.name == name && &*base.module == module)
        })
    }

    /// Whether the object is `None`; `false` when it cannot be read.
    pub fn is_none(&self, object: Address) -> bool {
        self.class_of(object)
            .is_ok_and(|class| &*class.name == "NoneType")
    }
}
