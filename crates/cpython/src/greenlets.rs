//! Greenlets (`greenlet`, and gevent and eventlet upon it): stacks that a thread has put aside where nobody else can
//! read them, in copies of its C stack. Whatever they hold or could do is not seen.

use crate::interpreter::Interp;
use crate::reader::Reader;
use crate::threads::thread_objects;

/// Libraries that run all of their work in greenlets.
const BUILT_UPON: [&str; 2] = ["gevent", "eventlet"];
/// Names of the functions in which a thread's Python begins: `threading`'s, a script's, `python -m`'s.
const FIRST_FUNCTIONS: [&str; 3] = ["_bootstrap", "<module>", "_run_module_as_main"];

/// Whether this interpreter seems to have stacks put aside: it uses a library that does so, or a thread's frames
/// begin where no thread begins.
pub fn in_use(reader: &Reader<'_>, interpreter: &Interp) -> bool {
    let imported = |name| matches!(reader.module(interpreter.address, name), Ok(Some(_)));
    if !imported("greenlet") {
        return false;
    }
    if BUILT_UPON.into_iter().any(imported) {
        return true;
    }
    let objects = thread_objects(reader, interpreter);
    interpreter.threads.iter().any(|thread| {
        let first = thread.frames.last().map(|frame| &frame.code.name);
        objects.contains_key(&thread.ident)
            && first.is_some_and(|name| !FIRST_FUNCTIONS.contains(&&**name))
    })
}
