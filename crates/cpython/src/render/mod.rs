//! A short text for any object: its `repr()` where that can be told from memory alone. Never runs code of the
//! target, never fails, always ends.
//!
//! It differs from `repr()` on purpose: a class's own `__repr__` is never asked, instances show their attributes
//! (`Point(x=1, y=2)`), modules no path, arrays their shape and type; what is cut ends in `...`;
//! the rest is `<module.Type at 0x…>`.

mod callables;
mod collection;
mod files;
mod instance;
mod library;
mod moment;
mod numpy;
mod plain;
mod wrapped;

use crate::object::{TypeInfo, flags};
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;
use std::fmt::{self, Write};

pub use plain::{bytes_repr, text_repr};

/// How much of an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderLimits {
    /// Levels of containers and instances.
    pub depth: usize,
    /// Items of one container.
    pub items: usize,
    /// Characters of one string, bytes of one bytes object, digits of one number.
    pub characters: usize,
    /// Bytes of the whole text (about: a last piece is not cut).
    pub total: usize,
}

impl Default for RenderLimits {
    fn default() -> Self {
        RenderLimits {
            depth: 3,
            items: 10,
            characters: 80,
            total: 400,
        }
    }
}

impl Reader<'_> {
    /// A text for the object at `object`, within `limits`.
    pub fn render(&self, object: Address, limits: &RenderLimits) -> String {
        let mut renderer = Renderer {
            reader: *self,
            limits: *limits,
            out: String::new(),
            path: Vec::new(),
        };
        renderer.value(object);
        renderer.out
    }
}

/// What a renderer does with an object of a known type.
type Form<'a> = fn(&mut Renderer<'a>, Address, &TypeInfo) -> Result<(), Failed>;

/// One text in the making.
struct Renderer<'a> {
    reader: Reader<'a>,
    limits: RenderLimits,
    out: String,
    /// The containers that are being shown, outermost first.
    path: Vec<Address>,
}

/// Why the usual form of an object could not be shown; another is shown then.
struct Failed;

impl From<ReadError> for Failed {
    fn from(_: ReadError) -> Self {
        Failed
    }
}

impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Failed
    }
}

impl<'a> Renderer<'a> {
    /// Shows an object, whatever it is.
    fn value(&mut self, object: Address) {
        let start = self.out.len();
        let depth = self.path.len();
        if self.object(object).is_err() {
            self.out.truncate(start);
            self.path.truncate(depth);
            self.rest(object);
        }
    }

    fn object(&mut self, object: Address) -> Result<(), Failed> {
        let class = self.reader.class_of(object)?;
        if class.has(flags::TYPE) {
            return self.class(object, &class);
        }
        if self.reader.is_subclass(&class, "enum", "Enum") {
            return self.enum_member(object, &class);
        }
        for base in class.mro.iter() {
            let Ok(base) = self.reader.type_info(*base) else {
                continue;
            };
            if let Some(form) = form_of(&base.module, &base.name) {
                return form(self, object, &class);
            }
        }
        if class.has(flags::EXCEPTION) {
            return self.exception(object, &class);
        }
        if class.made_in_python {
            return self.instance(object, &class);
        }
        Err(Failed)
    }

    /// `<module.Type at 0x…>`.
    fn rest(&mut self, object: Address) {
        let name = match self.reader.class_of(object) {
            Ok(class) => full_name(&class),
            Err(_) => "unreadable object".to_owned(),
        };
        self.push(&format!("<{name} at {object}>"));
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Whether the text is long enough.
    fn is_full(&self) -> bool {
        self.out.len() >= self.limits.total
    }

    /// Shows what is inside a container, between `open` and `close`; `...` for one that is too deep or inside itself.
    fn nested(
        &mut self,
        object: Address,
        open: &str,
        close: &str,
        body: impl FnOnce(&mut Self) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        self.push(open);
        if self.path.contains(&object) || self.path.len() >= self.limits.depth {
            self.push("...");
        } else {
            self.path.push(object);
            body(self)?;
            self.path.pop();
        }
        self.push(close);
        Ok(())
    }

    /// Shows pieces with commas between them, at most as many as the limit allows of `total`.
    fn separated<T>(&mut self, pieces: &[T], total: u64, mut show: impl FnMut(&mut Self, &T)) {
        let mut shown = 0;
        for piece in pieces.iter().take(self.limits.items) {
            if self.is_full() {
                break;
            }
            if shown > 0 {
                self.push(", ");
            }
            show(self, piece);
            shown += 1;
        }
        if shown < total {
            self.push(if shown > 0 { ", ..." } else { "..." });
        }
    }

    /// `name=value, …`.
    fn named(&mut self, pieces: &[(String, Address)], total: u64) {
        self.separated(pieces, total, |this, (name, value)| {
            this.push(name);
            this.push("=");
            this.value(*value);
        });
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failed> {
        Ok(self.out.write_fmt(text)?)
    }
}

/// The name that a person would call a class by: with its module unless that says nothing.
fn full_name(class: &TypeInfo) -> String {
    match &*class.module {
        "builtins" | "__main__" => class.name.to_string(),
        module => format!("{module}.{}", class.name),
    }
}

/// How instances of a type and of its subclasses are shown.
fn form_of<'a>(module: &str, name: &str) -> Option<Form<'a>> {
    let form: Form<'a> = match module {
        "builtins" => return builtin_form(name),
        "collections" => return collections_form(name),
        "types" if name == "SimpleNamespace" => Renderer::namespace,
        "datetime" => return datetime_form(name),
        "zoneinfo" if name == "ZoneInfo" => Renderer::zoneinfo,
        "decimal" if name == "Decimal" => Renderer::decimal,
        "fractions" if name == "Fraction" => Renderer::fraction,
        "uuid" if name == "UUID" => Renderer::uuid,
        "pathlib" | "pathlib._local" if name == "PurePath" => Renderer::path,
        "_socket" if name == "socket" => Renderer::socket,
        "array" if name == "array" => Renderer::array,
        "ipaddress" => match name {
            "IPv4Interface" | "IPv6Interface" => Renderer::ip_interface,
            "IPv4Address" | "IPv6Address" => Renderer::ip_address,
            "IPv4Network" | "IPv6Network" => Renderer::ip_network,
            _ => return None,
        },
        "_io" => match name {
            "TextIOWrapper" | "BufferedReader" | "BufferedWriter" | "BufferedRandom" | "FileIO" => {
                Renderer::file
            }
            _ => return None,
        },
        "threading" => match name {
            "Event" => Renderer::event,
            "Semaphore" => Renderer::semaphore,
            "Thread" => Renderer::thread,
            _ => return None,
        },
        "os" if name == "_Environ" => Renderer::environ,
        "re" if name == "Pattern" => Renderer::pattern,
        "re" if name == "Match" => Renderer::re_match,
        "subprocess" if name == "Popen" => Renderer::popen,
        "functools" if name == "partial" => Renderer::partial,
        "_thread" => match name {
            "lock" | "LockType" => Renderer::lock,
            "RLock" => Renderer::rlock,
            _ => return None,
        },
        "weakref" if name == "ReferenceType" => Renderer::weakref,
        "numpy" => match name {
            "ndarray" => Renderer::ndarray,
            "generic" => Renderer::numpy_scalar,
            _ => return None,
        },
        _ => return None,
    };
    Some(form)
}

fn collections_form<'a>(name: &str) -> Option<Form<'a>> {
    let form: Form<'a> = match name {
        "deque" => Renderer::deque,
        "defaultdict" => Renderer::defaultdict,
        "OrderedDict" => Renderer::ordered_dict,
        "Counter" => Renderer::counter,
        "UserDict" | "UserList" | "UserString" => Renderer::user_container,
        "ChainMap" => Renderer::chain_map,
        _ => return None,
    };
    Some(form)
}

fn datetime_form<'a>(name: &str) -> Option<Form<'a>> {
    let form: Form<'a> = match name {
        "datetime" => Renderer::datetime,
        "date" => Renderer::date,
        "time" => Renderer::time,
        "timedelta" => Renderer::timedelta,
        "timezone" => Renderer::timezone,
        _ => return None,
    };
    Some(form)
}

fn builtin_form<'a>(name: &str) -> Option<Form<'a>> {
    let form: Form<'a> = match name {
        "int" => Renderer::int,
        "bool" => Renderer::bool,
        "float" => Renderer::float,
        "complex" => Renderer::complex,
        "str" => Renderer::str,
        "bytes" => Renderer::bytes,
        "bytearray" => Renderer::bytearray,
        "NoneType" => |this, _, _| {
            this.push("None");
            Ok(())
        },
        "ellipsis" => |this, _, _| {
            this.push("Ellipsis");
            Ok(())
        },
        "NotImplementedType" => |this, _, _| {
            this.push("NotImplemented");
            Ok(())
        },
        "tuple" => Renderer::tuple,
        "list" => Renderer::list,
        "dict" => Renderer::dict,
        "frozendict" => Renderer::frozendict,
        "set" => Renderer::set,
        "frozenset" => Renderer::frozenset,
        "mappingproxy" => Renderer::mapping_proxy,
        "dict_keys" | "dict_values" | "dict_items" => Renderer::dict_view,
        "memoryview" => |this, object, _| this.write(format_args!("<memory at {object}>")),
        "range" => Renderer::range,
        "slice" => Renderer::slice,
        "function" => Renderer::function,
        "builtin_function_or_method" => Renderer::builtin,
        "method" => Renderer::method,
        "module" => Renderer::module,
        "generator" | "coroutine" | "async_generator" => Renderer::generator,
        "weakref" | "ReferenceType" => Renderer::weakref,
        _ => return None,
    };
    Some(form)
}
