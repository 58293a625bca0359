//! Sizes of objects, as Python code sees them, on every interpreter: also those that have no DWARF.

use std::process::Command;
use std::time::Duration;

use cpython::layout::Layout;
use testkit::run_limited;

use crate::{interpreters, layout};

/// Python's name of a type, and the struct whose size is its `__basicsize__`.
type Named = (&'static str, fn(&Layout) -> u64);

/// Types whose instances are the whole struct.
const TYPES: [Named; 24] = [
    ("_thread.LockType", |l| l.lock.size),
    ("_thread.RLock", |l| l.rlock.size),
    ("_asyncio.Future", |l| l.async_future.size),
    ("_asyncio.Task", |l| l.async_task.size),
    ("_queue.SimpleQueue", |l| l.simple_queue.size),
    ("_multiprocessing.SemLock", |l| l.sem_lock.size),
    ("_decimal.Decimal", |l| l.decimal.size),
    ("datetime.date", |l| l.date.size),
    ("datetime.datetime", |l| l.datetime.size),
    ("datetime.time", |l| l.time.size),
    ("datetime.timedelta", |l| l.timedelta.size),
    ("collections.deque", |l| l.deque.size),
    ("collections.defaultdict", |l| l.default_dict.size),
    ("collections.OrderedDict", |l| l.ordered_dict.size),
    ("functools.partial", |l| l.partial.size),
    ("weakref.ref", |l| l.weak_ref.size),
    ("builtins.dict", |l| l.dict.size),
    ("builtins.set", |l| l.set.size),
    ("builtins.list", |l| l.list.size),
    ("builtins.BaseException", |l| l.exception.size),
    ("builtins.type", |l| l.type_object.size),
    ("builtins.slice", |l| l.slice.size),
    ("types.FunctionType", |l| l.function.size),
    ("types.MethodType", |l| l.method.size),
];

const PROGRAM: &str = "
import importlib, sys
for name in sys.argv[1:]:
    module, name = name.rsplit('.', 1)
    print(getattr(importlib.import_module(module), name).__basicsize__)
";

#[test]
fn structs_have_the_size_of_their_objects() {
    let mut wrong = Vec::new();
    for interpreter in interpreters() {
        let layout = layout(interpreter);
        let mut command = Command::new(&interpreter.path);
        command
            .args(["-I", "-c", PROGRAM])
            .args(TYPES.map(|(name, _)| name));
        let output = run_limited(&mut command, Duration::from_secs(60)).expect("it runs");
        assert!(
            output.status.success(),
            "{interpreter}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("numbers");
        for (line, (name, size)) in text.lines().zip(TYPES) {
            if line != size(&layout).to_string() {
                wrong.push(format!(
                    "{interpreter}: {name} has {line} bytes, not {}",
                    size(&layout)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
