//! Python's signal handlers.

use crate::code::CodeInfo;
use crate::reader::Reader;
use crate::runtime::Runtime;
use snapshot::Address;

/// Signals are numbered below this (`Py_NSIG` on Linux).
const SIGNALS: u64 = 65;
/// Bytes of an entry of `handlers`: a flag, then the function (Include/internal/pycore_signal.h).
const ENTRY_BYTES: u64 = 16;
const FUNCTION_AT: u64 = 8;
/// Most methods and partials around a function that are taken off.
const WRAPPERS_MAX: usize = 8;

/// A signal and the function that handles it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// The signal's number.
    pub signal: i32,
    /// The function.
    pub function: Address,
    /// Its name.
    pub name: String,
}

/// Names of the handlers of SIGINT that the library sets of its own accord: no program relies on them.
const OWN: [&str; 2] = ["default_int_handler", "Runner._on_sigint"];

impl Handler {
    /// Whether the library has set it of its own accord.
    pub fn is_own(&self) -> bool {
        OWN.contains(&self.name.as_str())
    }
}

/// The handlers that are Python code; `None` where this version's runtime does not hold them (up to 3.10).
pub fn handlers(reader: &Reader<'_>, runtime: &Runtime) -> Option<Vec<Handler>> {
    let table = reader
        .place(runtime.address, reader.layout.runtime.signals)
        .ok()?;
    let mut found = Vec::new();
    for signal in 1..SIGNALS {
        let entry = table.plus(signal * ENTRY_BYTES + FUNCTION_AT);
        let Ok(function) = reader.scalar::<Address>(entry) else {
            continue;
        };
        // SIG_DFL and SIG_IGN are numbers or members of an enumeration, SIGINT's own handler is built in.
        let Ok(class) = reader.class_of(function) else {
            continue;
        };
        if matches!(
            &*class.name,
            "int" | "Handlers" | "NoneType" | "builtin_function_or_method"
        ) {
            continue;
        }
        found.push(Handler {
            signal: signal as i32,
            function,
            name: name_of(reader, function),
        });
    }
    Some(found)
}

/// The name of a function, of a bound method's, or of what a `functools.partial` calls; of anything else, its type's.
fn name_of(reader: &Reader<'_>, callable: Address) -> String {
    let mut at = callable;
    for _ in 0..WRAPPERS_MAX {
        let Ok(class) = reader.class_of(at) else {
            break;
        };
        let inner = match &*class.name {
            "function" => return function_name(reader, at),
            "method" => reader.get(at, reader.layout.method.im_func),
            "partial" => reader.get(at, reader.layout.partial.func),
            other => return other.to_owned(),
        };
        match inner {
            Ok(inner) => at = inner,
            Err(_) => break,
        }
    }
    String::new()
}

fn function_name(reader: &Reader<'_>, function: Address) -> String {
    let code = reader.get(function, reader.layout.function.func_code);
    code.and_then(|code| CodeInfo::read(reader, code))
        .map(|code| code.qualname.to_string())
        .unwrap_or_default()
}
