//! Objects and their types: what every object starts with, and what a type says about its instances.

use crate::reader::Reader;
use process::ReadError;
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::cell::RefCell;
use std::rc::Rc;

/// Most classes that a method resolution order is followed through.
const MRO_LIMIT: usize = 128;
/// Most metaclasses of metaclasses.
const META_LIMIT: usize = 8;
/// Most members that are read of one class.
const MEMBERS_LIMIT: u64 = 256;
/// Most bytes of a name in C.
const NAME_LIMIT: usize = 256;
/// `Py_T_OBJECT` and `Py_T_OBJECT_EX`: members that are object pointers.
const OBJECT_MEMBERS: [i32; 2] = [6, 16];

pub use crate::layout::type_flags as flags;

/// A member that a class keeps at a fixed place of its instances: one of `__slots__`, or of a C type's `tp_members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The attribute's name.
    pub name: Rc<str>,
    /// Bytes from the start of the instance to the pointer.
    pub offset: u64,
}

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
    /// Members at fixed places, of this class and its bases.
    pub slots: Rc<[Slot]>,
    /// Made by a `class` statement (or by calling `type`), not in C.
    pub made_in_python: bool,
}

impl TypeInfo {
    /// Whether `tp_flags` has the bit (one of [`flags`]).
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// Whether this very type is `module.name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        &*self.name == name && &*self.module == module
    }
}

/// Types and names that were met, each read once. Good for one look only: an object may die and another take
/// its place.
#[derive(Debug, Default)]
pub struct TypeCache {
    /// `None`: no type stands there.
    types: RefCell<FxHashMap<Address, Option<Rc<TypeInfo>>>>,
    names: RefCell<FxHashMap<Address, Rc<str>>>,
}

impl TypeCache {
    /// Forgets all.
    pub fn clear(&self) {
        self.types.borrow_mut().clear();
        self.names.borrow_mut().clear();
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
        if let Some(known) = self.types.types.borrow().get(&ty) {
            return known.clone().ok_or(ReadError::Nonsense(ty));
        }
        let info = self.read_type(ty).map(Rc::new);
        let known = info.as_ref().ok().cloned();
        self.types.types.borrow_mut().insert(ty, known);
        info
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

    /// Whether the object's type, or one of its bases, is `module.name` (`builtins.dict`); `false` when it
    /// cannot be read.
    pub fn is_instance(&self, object: Address, module: &str, name: &str) -> bool {
        self.class_of(object)
            .is_ok_and(|class| self.is_subclass(&class, module, name))
    }

    /// Whether the type, or one of its bases, is `module.name`.
    pub fn is_subclass(&self, class: &TypeInfo, module: &str, name: &str) -> bool {
        class.is(module, name)
            || class.mro.iter().any(|base| {
                self.type_info(*base)
                    .is_ok_and(|base| base.is(module, name))
            })
    }

    /// Whether the object is `None`; `false` when it cannot be read.
    pub fn is_none(&self, object: Address) -> bool {
        self.class_of(object)
            .is_ok_and(|class| class.is("builtins", "NoneType"))
    }

    /// The object's class, when that has one of the bits of [`flags`].
    pub(crate) fn class_with(&self, object: Address, flag: u64) -> Result<Rc<TypeInfo>, ReadError> {
        let class = self.class_of(object)?;
        if class.has(flag) {
            Ok(class)
        } else {
            Err(ReadError::Nonsense(object))
        }
    }

    fn read_type(&self, ty: Address) -> Result<TypeInfo, ReadError> {
        let layout = &self.layout.type_object;
        let meta = self.type_of(ty)?;
        if self.get(meta, layout.tp_flags)? & flags::TYPE == 0 || !self.ends_in_type(meta)? {
            return Err(ReadError::Nonsense(ty));
        }
        let type_flags = self.get(ty, layout.tp_flags)?;
        let basicsize = self.get(ty, layout.tp_basicsize)?;
        let itemsize = self.get(ty, layout.tp_itemsize)?;
        let full = self.c_string(self.get(ty, layout.tp_name)?, NAME_LIMIT)?;
        let heap = type_flags & flags::HEAPTYPE != 0;
        // A type made in C is declared with its module's name before its own.
        let made_in_python = heap && !full.contains('.');
        let (mut module, short) = match full.rsplit_once('.') {
            Some((module, short)) => (module.to_owned(), short.to_owned()),
            None => ("builtins".to_owned(), full),
        };
        let (mut name, mut qualname) = (short.clone(), short);
        if heap {
            name = self.name_at(ty, layout.ht_name).unwrap_or(name);
            qualname = self.name_at(ty, layout.ht_qualname).unwrap_or(qualname);
            let own = self
                .get(ty, layout.tp_dict)
                .and_then(|dict| self.dict_get(dict, "__module__"));
            if let Ok(Some(own)) = own {
                module = self.raw_string(own, NAME_LIMIT).unwrap_or(module);
            }
        }
        let mro = self.read_mro(ty)?;
        Ok(TypeInfo {
            address: ty,
            name: name.into(),
            qualname: qualname.into(),
            module: module.into(),
            flags: type_flags,
            basicsize: u64::try_from(basicsize).map_err(|_| ReadError::Nonsense(ty))?,
            itemsize: u64::try_from(itemsize).unwrap_or(0),
            dictoffset: self.get(ty, layout.tp_dictoffset)?,
            slots: self.read_slots(&mro),
            mro,
            made_in_python,
        })
    }

    /// Whether the types of types from `meta` on end in `type`, the one that is its own type: no other memory
    /// looks so by chance.
    fn ends_in_type(&self, meta: Address) -> Result<bool, ReadError> {
        let mut at = meta;
        for _ in 0..META_LIMIT {
            let next = self.type_of(at)?;
            if next == at {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    fn name_at(&self, ty: Address, field: crate::layout::Field<Address>) -> Option<String> {
        let name = self.get(ty, field).ok()?.non_null()?;
        self.raw_string(name, NAME_LIMIT).ok()
    }

    /// `tp_mro`; the type alone while it is being made.
    fn read_mro(&self, ty: Address) -> Result<Rc<[Address]>, ReadError> {
        let mro = self.get(ty, self.layout.type_object.tp_mro)?;
        if mro.is_null() {
            return Ok(Rc::from([ty]));
        }
        Ok(self.raw_tuple(mro, MRO_LIMIT)?.into())
    }

    fn read_slots(&self, mro: &[Address]) -> Rc<[Slot]> {
        let layout = &self.layout.member_def;
        let mut slots: Vec<Slot> = Vec::new();
        for base in mro {
            let Ok(members) = self.get(*base, self.layout.type_object.tp_members) else {
                continue;
            };
            if members.is_null() || layout.size == 0 {
                continue;
            }
            for index in 0..MEMBERS_LIMIT {
                let member = members.plus(index * layout.size);
                let Ok(name) = self.get(member, layout.name) else {
                    break;
                };
                if name.is_null() {
                    break;
                }
                let is_object = self
                    .get(member, layout.kind)
                    .is_ok_and(|kind| OBJECT_MEMBERS.contains(&kind));
                let offset = self.get(member, layout.offset);
                let (true, Ok(offset), Ok(name)) =
                    (is_object, offset, self.c_string(name, NAME_LIMIT))
                else {
                    continue;
                };
                if let Ok(offset) = u64::try_from(offset)
                    && !slots.iter().any(|slot| *slot.name == *name)
                {
                    slots.push(Slot {
                        name: name.into(),
                        offset,
                    });
                }
            }
        }
        slots.into()
    }

    /// The text of a dictionary key or attribute name; kept, for the same few names come again and again.
    pub(crate) fn name(&self, string: Address) -> Result<Rc<str>, ReadError> {
        if let Some(known) = self.known_name(string) {
            return Ok(known);
        }
        let name: Rc<str> = self.raw_string(string, NAME_LIMIT)?.into();
        self.types.names.borrow_mut().insert(string, name.clone());
        Ok(name)
    }

    /// The text of a name that was read before.
    pub(crate) fn known_name(&self, string: Address) -> Option<Rc<str>> {
        self.types.names.borrow().get(&string).cloned()
    }
}
