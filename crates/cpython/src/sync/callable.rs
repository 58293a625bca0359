//! What an object that is being called is: its name and the object that it is bound to.

use crate::reader::Reader;
use snapshot::Address;

/// Longest name that is read, in characters or bytes.
const NAME_MAX: usize = 200;
/// Levels of `functools.partial` that are taken off.
const PARTIALS_MAX: usize = 8;

/// A callable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Callable {
    /// Its own name: `acquire`.
    pub name: String,
    /// Its module or the type of what it is bound to: `lock`, `time`.
    pub owner: String,
    /// What it is bound to, where that is an object other than a module.
    pub receiver: Option<Address>,
    /// Whether it is C code.
    pub native: bool,
    /// Whether it is a C function of a library, called through `ctypes`.
    pub foreign: bool,
    /// Whether it is of a type that is known here; otherwise `name` is that of its type.
    pub known: bool,
}

impl Callable {
    /// `lock.acquire`, `time.sleep`, `open`.
    pub(super) fn shown(&self) -> String {
        if self.owner.is_empty() || self.owner == "builtins" {
            self.name.clone()
        } else {
            format!("{}.{}", self.owner, self.name)
        }
    }
}

/// What the object at `object` calls; `receiver` is the first argument where the caller passes one apart.
pub(super) fn callable(
    reader: &Reader<'_>,
    object: Address,
    receiver: Option<Address>,
) -> Option<Callable> {
    let mut object = object;
    for _ in 0..PARTIALS_MAX {
        let class = reader.class_of(object).ok()?;
        match &*class.name {
            "builtin_function_or_method" | "builtin_method" => return builtin(reader, object),
            "method_descriptor" | "wrapper_descriptor" | "classmethod_descriptor" => {
                return descriptor(reader, object, receiver);
            }
            "method-wrapper" => {
                let layout = &reader.layout.method_wrapper;
                let descr = reader.get(object, layout.descr).ok()?;
                let bound = reader.get(object, layout.self_).ok()?;
                return descriptor(reader, descr, Some(bound));
            }
            "method" => {
                let layout = &reader.layout.method;
                let function = reader.get(object, layout.im_func).ok()?;
                let bound = reader.get(object, layout.im_self).ok()?;
                let callee = callable(reader, function, Some(bound))?;
                return Some(Callable {
                    receiver: Some(bound),
                    ..callee
                });
            }
            "function" => return function(reader, object, receiver),
            "partial" => object = reader.get(object, reader.layout.partial.func).ok()?,
            _ if is_foreign(reader, object) => return Some(foreign(reader, object)),
            _ => {
                return Some(Callable {
                    name: class.name.to_string(),
                    receiver,
                    ..Callable::default()
                });
            }
        }
    }
    None
}

fn builtin(reader: &Reader<'_>, object: Address) -> Option<Callable> {
    let layout = reader.layout;
    let definition = reader.get(object, layout.cfunction.m_ml).ok()?;
    let name = reader.get(definition, layout.method_def.ml_name).ok()?;
    let name = reader.c_string(name, NAME_MAX).ok()?;
    let bound = reader.get(object, layout.cfunction.m_self).ok()?.non_null();
    let class = bound.and_then(|bound| reader.class_of(bound).ok());
    let is_module = class.as_ref().is_none_or(|class| &*class.name == "module");
    let owner = match class {
        Some(class) if !is_module => class.name.to_string(),
        _ => module_of(reader, object).unwrap_or_default(),
    };
    Some(Callable {
        name,
        owner,
        receiver: bound.filter(|_| !is_module),
        native: true,
        foreign: false,
        known: true,
    })
}

fn module_of(reader: &Reader<'_>, function: Address) -> Option<String> {
    let module = reader
        .get(function, reader.layout.cfunction.m_module)
        .ok()?;
    let module = module.non_null()?;
    reader.string(module, NAME_MAX).ok()
}

fn descriptor(reader: &Reader<'_>, object: Address, receiver: Option<Address>) -> Option<Callable> {
    let layout = &reader.layout.method_descr;
    let name = reader
        .string(reader.get(object, layout.d_name).ok()?, NAME_MAX)
        .ok()?;
    let owner = reader
        .type_name(reader.get(object, layout.d_type).ok()?)
        .ok()?;
    Some(Callable {
        name,
        owner: owner.to_string(),
        receiver,
        native: true,
        foreign: false,
        known: true,
    })
}

fn function(reader: &Reader<'_>, object: Address, receiver: Option<Address>) -> Option<Callable> {
    let name = reader
        .get(object, reader.layout.function.func_qualname)
        .ok()?;
    Some(Callable {
        name: reader.string(name, NAME_MAX).ok()?,
        receiver,
        known: true,
        ..Callable::default()
    })
}

/// A function pointer of `ctypes`; its class has had two names.
fn is_foreign(reader: &Reader<'_>, object: Address) -> bool {
    reader.is_instance(object, "_ctypes", "CFuncPtr")
        || reader.is_instance(object, "_ctypes", "PyCFuncPtr")
}

fn foreign(reader: &Reader<'_>, object: Address) -> Callable {
    let name = reader
        .attribute(object, "__name__")
        .ok()
        .flatten()
        .and_then(|name| reader.string(name, NAME_MAX).ok());
    Callable {
        name: name.unwrap_or_else(|| "<function pointer>".to_owned()),
        owner: "ctypes".to_owned(),
        receiver: None,
        native: true,
        foreign: true,
        known: true,
    }
}
