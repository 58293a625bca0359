//! What to follow of an object, by its type.

use super::World;
use crate::object::{TypeInfo, flags};
use snapshot::Address;

/// `Py_TPFLAGS_HAVE_GC`: a type without it, made in C, has no references to other objects worth following.
const HAVE_GC: u64 = 1 << 14;

/// How the references of an object are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has none that could lead anywhere.
    Leaf,
    /// list, tuple.
    Sequence,
    /// dict.
    Dict,
    /// set, frozenset.
    Set,
    /// `collections.deque`.
    Deque,
    Function,
    /// A built-in function or method.
    Builtin,
    Module,
    /// A class made in Python.
    Class,
    /// Generators, coroutines, asynchronous generators.
    Generator,
    WeakRef,
    Exception,
    /// `_asyncio.Future` and `Task`.
    Future,
    /// `_queue.SimpleQueue`.
    SimpleQueue,
    /// `threading.Thread`.
    Thread,
    /// A greenlet: its stack cannot be read.
    Greenlet,
    /// An instance of a class made in Python.
    Instance,
    /// Of a type made in C that is not known: every word that looks like an object counts.
    Opaque,
}

/// Types of objects that lead nowhere, or where nothing is signalled by what they lead to.
const LEAVES: [(&str, &str); 23] = [
    ("_thread", "lock"),
    ("_thread", "LockType"),
    ("_thread", "RLock"),
    ("builtins", "slice"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("builtins", "complex"),
    ("builtins", "str"),
    ("builtins", "bytes"),
    ("builtins", "bytearray"),
    ("builtins", "code"),
    ("builtins", "frame"),
    ("builtins", "traceback"),
    // What a capsule points to is C's own, and no object even where it looks like one.
    ("builtins", "PyCapsule"),
    ("builtins", "range"),
    ("builtins", "getset_descriptor"),
    ("builtins", "member_descriptor"),
    ("builtins", "method_descriptor"),
    ("builtins", "wrapper_descriptor"),
    ("builtins", "classmethod_descriptor"),
    ("_contextvars", "Context"),
    ("_contextvars", "ContextVar"),
    ("_contextvars", "Token"),
];

impl World<'_> {
    /// The kind of the object at `object`; a leaf when it cannot be read.
    pub(super) fn kind_of(&mut self, object: Address) -> Kind {
        let Ok(ty) = self.reader.type_of(object) else {
            return Kind::Leaf;
        };
        if let Some(kind) = self.kinds.get(&ty) {
            return match kind {
                Kind::Class => self.kind_of_class(object),
                kind => *kind,
            };
        }
        let kind = self
            .reader
            .type_info(ty)
            .map_or(Kind::Leaf, |class| self.kind_of_instances(&class));
        self.kinds.insert(ty, kind);
        match kind {
            Kind::Class => self.kind_of_class(object),
            kind => kind,
        }
    }

    /// Of classes, those made in C have only methods made in C.
    fn kind_of_class(&self, class: Address) -> Kind {
        match self.reader.type_info(class) {
            Ok(class) if class.made_in_python => Kind::Class,
            _ => Kind::Leaf,
        }
    }

    fn kind_of_instances(&self, class: &TypeInfo) -> Kind {
        if class.has(flags::TYPE) {
            return Kind::Class;
        }
        for base in class.mro.iter() {
            let Ok(base) = self.reader.type_info(*base) else {
                continue;
            };
            if let Some(kind) = kind_by_name(&base.module, &base.name) {
                // A subclass of int may have attributes; the numbers themselves have none.
                return match kind {
                    Kind::Leaf if class.made_in_python => Kind::Instance,
                    kind => kind,
                };
            }
        }
        if class.has(flags::EXCEPTION) {
            Kind::Exception
        } else if class.made_in_python {
            Kind::Instance
        } else if class.flags & HAVE_GC == 0 {
            Kind::Leaf
        } else {
            Kind::Opaque
        }
    }
}

fn kind_by_name(module: &str, name: &str) -> Option<Kind> {
    if LEAVES.contains(&(module, name)) {
        return Some(Kind::Leaf);
    }
    Some(match (module, name) {
        ("builtins", "list" | "tuple") => Kind::Sequence,
        ("builtins", "dict" | "frozendict") => Kind::Dict,
        ("builtins", "set" | "frozenset") => Kind::Set,
        ("builtins", "function") => Kind::Function,
        ("builtins", "builtin_function_or_method") => Kind::Builtin,
        ("builtins", "module") => Kind::Module,
        ("builtins", "generator" | "coroutine" | "async_generator") => Kind::Generator,
        ("builtins", "weakref") | ("weakref", "ReferenceType") => Kind::WeakRef,
        ("collections", "deque") => Kind::Deque,
        ("_asyncio", "Future" | "Task") => Kind::Future,
        ("_queue", "SimpleQueue") => Kind::SimpleQueue,
        ("threading", "Thread") => Kind::Thread,
        ("greenlet", "greenlet") => Kind::Greenlet,
        _ => return None,
    })
}
