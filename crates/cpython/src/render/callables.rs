//! Functions, methods, modules, generators, locks, weak references.

use super::{Failed, Renderer, full_name};
use crate::object::TypeInfo;
use crate::reader::Reader;
use snapshot::Address;

/// Most characters of a name.
const NAME_LIMIT: usize = 256;

impl Renderer<'_> {
    /// `<function shop.pay at 0x…>`.
    pub(super) fn function(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let name = self
            .reader
            .get(object, self.reader.layout.function.func_qualname)?;
        let name = self.reader.string(name, NAME_LIMIT)?;
        self.write(format_args!("<function {name} at {object}>"))
    }

    /// `<built-in function len>`, `<built-in method append of list object at 0x…>`.
    pub(super) fn builtin(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = self.reader.layout;
        let definition = self.reader.get(object, layout.cfunction.m_ml)?;
        let name = self.reader.get(definition, layout.method_def.ml_name)?;
        let name = self.reader.c_string(name, NAME_LIMIT)?;
        let owner = self.reader.get(object, layout.cfunction.m_self)?;
        if owner.is_null() || self.reader.is_instance(owner, "builtins", "module") {
            return self.write(format_args!("<built-in function {name}>"));
        }
        let class = self.reader.class_of(owner)?;
        // Here Python shows the name that the type was declared with: its module too, unless made by `class`.
        let shown = match class.made_in_python {
            true => class.name.to_string(),
            false => full_name(&class),
        };
        self.write(format_args!(
            "<built-in method {name} of {shown} object at {owner}>"
        ))
    }

    /// `<bound method Basket.pay of Basket(items=[])>`.
    pub(super) fn method(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.method;
        let function = self.reader.get(object, layout.im_func)?;
        let owner = self.reader.get(object, layout.im_self)?;
        let name = function_name(&self.reader, function).unwrap_or_else(|| "?".to_owned());
        let open = format!("<bound method {name} of ");
        self.nested(object, &open, ">", |this| {
            this.value(owner);
            Ok(())
        })
    }

    /// `functools.partial(<function pay at 0x…>, 1, currency='EUR')`.
    pub(super) fn partial(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.partial;
        let mut parts = vec![(String::new(), self.reader.get(object, layout.func)?)];
        let args = self.reader.get(object, layout.args)?;
        let kw = self.reader.get(object, layout.kw)?;
        let mut total = 1 + self.reader.length(args)?;
        for arg in self.reader.items(args, self.limits.items)? {
            parts.push((String::new(), arg));
        }
        if !kw.is_null() && !self.reader.is_none(kw) {
            total += self.reader.length(kw)?;
            for (name, value) in self.reader.dict_items(kw, self.limits.items)? {
                parts.push((format!("{}=", self.reader.string(name, NAME_LIMIT)?), value));
            }
        }
        self.nested(object, "functools.partial(", ")", |this| {
            this.separated(&parts, total, |this, (name, value)| {
                this.push(name);
                this.value(*value);
            });
            Ok(())
        })
    }

    /// `<module 'shop'>`.
    pub(super) fn module(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let name = self.reader.attribute(object, "__name__")?.ok_or(Failed)?;
        let name = self.reader.string(name, NAME_LIMIT)?;
        self.write(format_args!("<module '{name}'>"))
    }

    /// `<generator object walk at 0x…>`, and coroutines and asynchronous generators.
    pub(super) fn generator(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let name = self
            .reader
            .get(object, self.reader.layout.generator.gi_qualname)?;
        let name = self.reader.string(name, NAME_LIMIT)?;
        self.write(format_args!("<{} object {name} at {object}>", class.name))
    }

    /// `<locked lock at 0x…>`.
    pub(super) fn lock(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.lock;
        let locked = if layout.locked.exists() {
            self.reader.get(object, layout.locked)? != 0
        } else {
            self.reader.get(object, layout.mutex)? & 1 != 0
        };
        let state = if locked { "locked" } else { "unlocked" };
        self.write(format_args!("<{state} lock at {object}>"))
    }

    /// `<locked _thread.RLock object owner=1403 count=2 at 0x…>`.
    pub(super) fn rlock(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.rlock;
        let owner = self.reader.get(object, layout.rlock_owner)?;
        let bias = self.reader.layout.traits.rlock_count_bias;
        let count = match owner {
            0 => 0,
            _ => self
                .reader
                .get(object, layout.rlock_count)?
                .saturating_add(bias),
        };
        let state = if count > 0 { "locked" } else { "unlocked" };
        self.write(format_args!(
            "<{state} {}.{} object owner={owner} count={count} at {object}>",
            class.module, class.name
        ))
    }

    /// `<weakref at 0x…; to 'Basket' at 0x…>`.
    pub(super) fn weakref(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let referent = self
            .reader
            .get(object, self.reader.layout.weak_ref.wr_object)?;
        if referent.is_null() || self.reader.is_none(referent) {
            return self.write(format_args!("<weakref at {object}; dead>"));
        }
        let class = self.reader.class_of(referent)?;
        self.write(format_args!(
            "<weakref at {object}; to '{}' at {referent}>",
            full_name(&class)
        ))
    }
}

/// The qualified name of what a bound method calls.
fn function_name(reader: &Reader<'_>, function: Address) -> Option<String> {
    let name = if reader.is_instance(function, "builtins", "function") {
        reader
            .get(function, reader.layout.function.func_qualname)
            .ok()?
    } else {
        reader.attribute(function, "__qualname__").ok()??
    };
    reader.string(name, NAME_LIMIT).ok()
}
