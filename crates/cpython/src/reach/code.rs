//! What code can get hold of by name.

use super::kind::Kind;
use super::path::Label;
use super::{Link, Links, World};
use crate::code::CodeInfo;
use crate::object::flags;
use process::ReadError;
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::rc::Rc;

/// Most names or constants of one code object, and most entries of one namespace.
const TUPLE_MAX: usize = 1 << 16;
/// Most code objects inside one another.
const NESTED_MAX: usize = 16;
/// Longest constant that may be a name.
const NAME_MAX: usize = 64;

/// What code compares a module's name with, and seldom the name by which it gets at that module.
const MAIN: &str = "__main__";

/// Names of functions by which code can use a global without naming it.
const BY_ANY_NAME: [&str; 4] = ["eval", "exec", "globals", "vars"];
/// Names of functions by which code can get at any object or task there is.
const EVERYTHING: [&str; 3] = ["get_objects", "get_referrers", "all_tasks"];

/// Globals that are registries of all there is, and functions that sweep them: by module.
const REGISTRIES: [(&str, &[&str]); 6] = [
    (
        "threading",
        &[
            "_active",
            "_limbo",
            "_dangling",
            "_shutdown_locks",
            "_shutdown_locks_lock",
        ],
    ),
    (
        "sys",
        &["modules", "_current_frames", "_current_exceptions"],
    ),
    ("gc", &["get_objects", "get_referrers", "garbage"]),
    (
        "asyncio.tasks",
        &[
            "_all_tasks",
            "_scheduled_tasks",
            "_eager_tasks",
            "_current_tasks",
            "all_tasks",
        ],
    ),
    ("asyncio.runners", &["_cancel_all_tasks"]),
    ("concurrent.futures.thread", &["_threads_queues"]),
];

/// The names that a code object and those inside it use.
#[derive(Debug, Default)]
pub(super) struct CodeUse {
    /// Of globals, attributes, modules; and constants that may be names.
    pub names: Vec<Rc<str>>,
    /// Constants that may be the start of a name.
    pub prefixes: Vec<Rc<str>>,
    /// It could not be read whole, or it can get at everything.
    pub partial: bool,
    /// A function of the program's among it calls a `release` and no `acquire`.
    pub releases: bool,
}

/// A module's globals, without the registries.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub entries: FxHashMap<Rc<str>, Address>,
    /// Not all entries were read.
    pub partial: bool,
    /// It is of a module whose functions and classes lead to nothing but the library itself.
    pub closed: bool,
}

/// Packages and modules of the library that keep none of a program's objects in their globals but where those are data: what
/// their code names there is not followed into functions, classes and other modules. Their methods are, by the objects
/// that have them.
const CLOSED: [&str; 31] = [
    "_collections_abc",
    "_weakrefset",
    "abc",
    "ast",
    "asyncio",
    "collections",
    "concurrent",
    "contextlib",
    "dis",
    "enum",
    "functools",
    "heapq",
    "importlib",
    "inspect",
    "linecache",
    "opcode",
    "os",
    "posixpath",
    "queue",
    "re",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "weakref",
    "zipimport",
];

impl World<'_> {
    /// What the code at `code` names.
    pub(super) fn code_use(&mut self, code: Address) -> Rc<CodeUse> {
        if let Some(known) = self.codes.get(&code) {
            return known.clone();
        }
        let mut found = CodeUse::default();
        if self.gather(code, &mut found, 0).is_err() {
            found.partial = true;
        }
        found.names.sort();
        found.names.dedup();
        let found = Rc::new(found);
        self.codes.insert(code, found.clone());
        found
    }

    fn gather(&self, code: Address, found: &mut CodeUse, depth: usize) -> Result<(), ReadError> {
        let reader = &self.reader;
        let info = CodeInfo::read(reader, code)?;
        // Who has a function can call it without knowing its name.
        found.add(info.name.clone(), &info.file);
        let first = found.names.len();
        for name in reader.items(info.names, TUPLE_MAX)? {
            found.add(reader.name(name)?, &info.file);
        }
        found.note_release(first, &info.file);
        for constant in reader.items(info.consts, TUPLE_MAX)? {
            self.gather_constant(constant, found, depth)?;
        }
        Ok(())
    }

    pub(super) fn gather_constant(
        &self,
        constant: Address,
        found: &mut CodeUse,
        depth: usize,
    ) -> Result<(), ReadError> {
        let reader = &self.reader;
        let class = reader.class_of(constant)?;
        if class.has(flags::UNICODE) {
            let text = reader.text(constant, NAME_MAX)?;
            let name = text.to_text();
            if text.length <= NAME_MAX as u64 && is_identifier(&name) && name != MAIN {
                let name: Rc<str> = name.into();
                if name.ends_with('_') && name.len() > 2 && !name.starts_with("__") {
                    found.prefixes.push(name.clone());
                }
                found.names.push(name);
            }
        } else if class.has(flags::TUPLE) && depth < NESTED_MAX {
            for item in reader.items(constant, 256)? {
                self.gather_constant(item, found, NESTED_MAX)?;
            }
        } else if class.is("builtins", "code") {
            if depth >= NESTED_MAX {
                found.partial = true;
                return Ok(());
            }
            self.gather(constant, found, depth + 1)?;
        }
        Ok(())
    }

    /// What a built-in function or method names: itself.
    pub(super) fn native_code(&self, function: Address) -> Option<Rc<CodeUse>> {
        let reader = &self.reader;
        let definition = reader.get(function, reader.layout.cfunction.m_ml).ok()?;
        let name = reader
            .get(definition, reader.layout.method_def.ml_name)
            .ok()?;
        let name: Rc<str> = reader.c_string(name, NAME_MAX).ok()?.into();
        Some(Rc::new(CodeUse {
            names: vec![name],
            ..CodeUse::default()
        }))
    }

    /// Whether a built-in function is of an extension from outside the standard library.
    pub(super) fn is_foreign_function(&self, function: Address) -> bool {
        let reader = &self.reader;
        let module = reader.get(function, reader.layout.cfunction.m_module);
        let module = module.ok().and_then(|module| module.non_null());
        let name = module.and_then(|module| reader.string(module, NAME_MAX).ok());
        name.is_some_and(|name| is_foreign(&name))
    }

    /// The globals in the dictionary at `dict`.
    pub(super) fn namespace(&mut self, dict: Address) -> Rc<Namespace> {
        if let Some(known) = self.namespaces.get(&dict) {
            return known.clone();
        }
        let mut found = Namespace::default();
        match self.reader.dict_items(dict, TUPLE_MAX) {
            Ok(entries) => {
                found.partial = entries.len() >= TUPLE_MAX;
                for (key, value) in entries {
                    if let Ok(name) = self.reader.name(key) {
                        found.entries.insert(name, value);
                    }
                }
            }
            Err(_) => found.partial = true,
        }
        let module = found
            .entries
            .get("__name__")
            .and_then(|name| self.reader.string(*name, 256).ok());
        let top = module.as_deref().and_then(|name| name.split('.').next());
        found.closed = top.is_some_and(|top| CLOSED.contains(&top));
        for (of, names) in REGISTRIES {
            if module.as_deref() == Some(of) {
                found.entries.retain(|name, _| !names.contains(&&**name));
            }
        }
        let found = Rc::new(found);
        self.namespaces.insert(dict, found.clone());
        found
    }

    /// The globals that `names` are for code in the namespace `globals`.
    pub(super) fn global_links(
        &mut self,
        globals: Address,
        used: &CodeUse,
        function: &Rc<str>,
        links: &mut Links,
    ) {
        let namespace = self.namespace(globals);
        links.partial |= namespace.partial;
        if namespace.closed {
            return self.data_links(&namespace, used, function, links);
        }
        let modules = self.modules();
        let builtins = modules
            .as_ref()
            .and_then(|modules| modules.entries.get("builtins").copied())
            .and_then(|module| self.reader.module_dict(module).ok());
        let builtins = builtins.map(|dict| self.namespace(dict));
        let in_modules = |name: &Rc<str>| modules.as_ref()?.entries.get(name).copied();
        let in_builtins = |name: &Rc<str>| builtins.as_ref()?.entries.get(name).copied();
        if BY_ANY_NAME
            .iter()
            .any(|any| used.names.iter().any(|name| **name == **any))
        {
            for (name, value) in &namespace.entries {
                let label = Label::Global(name.clone(), function.clone());
                links.always.push(Link { label, to: *value });
            }
        }
        for name in &used.names {
            let global = namespace.entries.get(name).copied();
            // A name that is no global may be that of a module imported inside the function.
            for to in [global.or_else(|| in_builtins(name)), in_modules(name)]
                .into_iter()
                .flatten()
            {
                let label = Label::Global(name.clone(), function.clone());
                links.always.push(Link { label, to });
            }
        }
    }

    /// Of the globals of a closed module, those that are data.
    fn data_links(
        &mut self,
        namespace: &Namespace,
        used: &CodeUse,
        function: &Rc<str>,
        links: &mut Links,
    ) {
        for name in &used.names {
            let Some(&to) = namespace.entries.get(name) else {
                continue;
            };
            let code = matches!(
                self.kind_of(to),
                Kind::Module | Kind::Function | Kind::Class | Kind::Builtin
            );
            // That of asyncio, say: its handlers lead through all of logging, and to nothing that anybody waits for.
            if !code && &**name != "logger" {
                let label = Label::Global(name.clone(), function.clone());
                links.always.push(Link { label, to });
            }
        }
    }

    /// All modules by name.
    fn modules(&mut self) -> Option<Rc<Namespace>> {
        let dict = self.question.modules.non_null()?;
        Some(self.namespace(dict))
    }
}

impl CodeUse {
    /// The names from the one numbered `first` on are those of one function in this file.
    pub(super) fn note_release(&mut self, first: usize, file: &str) {
        let names = self.names.get(first..).unwrap_or_default();
        let has = |wanted: &str| names.iter().any(|name| **name == *wanted);
        self.releases |= has("release") && !has("acquire") && !is_library(file);
    }

    /// One more name, used by code of this file.
    pub(super) fn add(&mut self, name: Rc<str>, file: &str) {
        if EVERYTHING.contains(&&*name) && !is_library(file) {
            self.partial = true;
        }
        self.names.push(name);
    }
}

fn is_identifier(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Whether a file belongs to the standard library.
fn is_library(file: &str) -> bool {
    file.starts_with("<frozen ") || (file.contains("/lib/python3") && !file.contains("-packages/"))
}

/// Modules of the standard library made in C whose names do not begin with an underscore.
const OWN_MODULES: [&str; 52] = [
    "array",
    "ast",
    "asyncio",
    "atexit",
    "binascii",
    "builtins",
    "cmath",
    "collections",
    "concurrent",
    "contextvars",
    "curses",
    "datetime",
    "dbm",
    "decimal",
    "errno",
    "faulthandler",
    "fcntl",
    "functools",
    "gc",
    "grp",
    "io",
    "itertools",
    "marshal",
    "math",
    "mmap",
    "operator",
    "os",
    "posix",
    "pwd",
    "pyexpat",
    "re",
    "readline",
    "resource",
    "select",
    "signal",
    "sqlite3",
    "ssl",
    "string",
    "symtable",
    "sys",
    "syslog",
    "termios",
    "time",
    "tracemalloc",
    "types",
    "typing",
    "unicodedata",
    "uuid",
    "weakref",
    "xml",
    "zipimport",
    "zlib",
];

/// Whether a module made in C comes from outside the standard library, whose own have names that begin with an underscore or
/// are listed.
pub(super) fn is_foreign(module: &str) -> bool {
    let top = module.split('.').next().unwrap_or_default();
    let own = top.starts_with('_') && !module.contains('.') || OWN_MODULES.contains(&top);
    !own && !top.is_empty()
}
