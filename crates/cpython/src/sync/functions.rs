//! The functions of the program itself, as far as its modules and classes lead to them.

use super::origin::Origins;
use crate::code::CodeInfo;
use crate::object::flags;
use crate::reader::Reader;
use snapshot::{Address, Origin};
use std::collections::HashSet;
use std::rc::Rc;

/// Most modules that are looked into.
const MODULES_MAX: usize = 5000;
/// Most names of a module or class.
const NAMES_MAX: usize = 5000;
/// Most functions that are listed.
const FUNCTIONS_MAX: usize = 20_000;
/// Functions within functions.
const NESTED_MAX: usize = 4;
/// Most constants of a function that are looked at.
const CONSTANTS_MAX: usize = 1000;
/// Longest path that is read, in characters.
const PATH_CHARS: usize = 4096;

/// A function of the program's.
#[derive(Debug, Clone)]
pub(super) struct Function {
    /// The function object; `None` for one inside another, of which only the code is there.
    pub address: Option<Address>,
    /// Its code.
    pub code: Rc<CodeInfo>,
    /// Its module's namespace.
    pub globals: Address,
}

/// All functions of the modules in `modules` (`sys.modules`) that are the program's own, methods and inner functions included.
pub(super) fn of_program(
    reader: &Reader<'_>,
    origins: &Origins,
    modules: Address,
) -> Vec<Function> {
    let mut list = List {
        reader,
        origins,
        found: Vec::new(),
        seen: HashSet::new(),
    };
    for namespace in namespaces_of_program(reader, origins, modules) {
        list.namespace(namespace, true);
    }
    list.found
}

/// The namespaces of the modules in `modules` (`sys.modules`) that are the program's own.
pub fn namespaces_of_program(
    reader: &Reader<'_>,
    origins: &Origins,
    modules: Address,
) -> Vec<Address> {
    let modules = reader.dict_items(modules, MODULES_MAX).unwrap_or_default();
    modules
        .into_iter()
        .filter_map(|(_, module)| reader.module_dict(module).ok())
        .filter(|namespace| is_program(reader, origins, *namespace))
        .collect()
}

fn is_program(reader: &Reader<'_>, origins: &Origins, namespace: Address) -> bool {
    let text = |name: &str| {
        let value = reader.dict_get(namespace, name).ok()??;
        reader.string(value, PATH_CHARS).ok()
    };
    match text("__file__") {
        Some(file) => origins.origin_of(&file) == Origin::Program,
        None => text("__name__").is_some_and(|name| name == "__main__"),
    }
}

struct List<'a, 'm> {
    reader: &'a Reader<'m>,
    origins: &'a Origins,
    found: Vec<Function>,
    /// Classes and code objects that were met.
    seen: HashSet<Address>,
}

impl List<'_, '_> {
    /// The functions in a module's or class's namespace.
    fn namespace(&mut self, namespace: Address, is_module: bool) {
        let reader = self.reader;
        for (_, value) in reader.dict_items(namespace, NAMES_MAX).unwrap_or_default() {
            if self.found.len() >= FUNCTIONS_MAX {
                return;
            }
            let Ok(class) = reader.class_of(value) else {
                continue;
            };
            if class.is("builtins", "function") {
                self.function(value);
            } else if class.is("builtins", "classmethod") || class.is("builtins", "staticmethod") {
                // `cm_callable` and `sm_callable` are the first field of each.
                let head = reader.layout.object.ob_size.offset().unwrap_or(0);
                if let Ok(inner) = reader.scalar(value.plus(head)) {
                    self.function(inner);
                }
            } else if is_module && class.has(flags::TYPE) && self.seen.insert(value) {
                let dict = reader.get(value, reader.layout.type_object.tp_dict);
                let made_here = reader
                    .type_info(value)
                    .is_ok_and(|class| class.made_in_python);
                if let (Ok(dict), true) = (dict, made_here) {
                    self.namespace(dict, false);
                }
            }
        }
    }

    fn function(&mut self, function: Address) {
        let reader = self.reader;
        if !reader.is_instance(function, "builtins", "function") {
            return;
        }
        let layout = &reader.layout.function;
        let (Ok(code), Ok(globals)) = (
            reader.get(function, layout.func_code),
            reader.get(function, layout.func_globals),
        ) else {
            return;
        };
        self.code(code, globals, Some(function), 0);
    }

    fn code(&mut self, code: Address, globals: Address, function: Option<Address>, depth: usize) {
        if depth > NESTED_MAX || self.found.len() >= FUNCTIONS_MAX {
            return;
        }
        let Ok(code) = CodeInfo::read(self.reader, code) else {
            return;
        };
        if self.origins.origin_of(&code.file) != Origin::Program || !self.seen.insert(code.address)
        {
            return;
        }
        let constants = self
            .reader
            .items(code.consts, CONSTANTS_MAX)
            .unwrap_or_default();
        self.found.push(Function {
            address: function,
            code,
            globals,
        });
        for constant in constants {
            if self.reader.is_instance(constant, "builtins", "code") {
                self.code(constant, globals, None, depth + 1);
            }
        }
    }
}
