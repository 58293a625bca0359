//! A look at a core file: the same reading as of a live process, without what only a live kernel can tell
//! (descriptors, children, file locks).

use crate::{LookError, Options, facts, natives, reaching};
use cpython::locate::{Located, locate};
use cpython::read::{KernelThread, Wanted, read};
use process::elf::{Module, modules};
use process::{Core, PageCache};
use snapshot::{Process, ProcessState, Snapshot};
use std::path::Path;

/// Looks at a core file.
///
/// # Errors
/// When it is none, is damaged, or is of a process without a Python that can be read.
pub(crate) fn look(path: &Path, options: Options) -> Result<Snapshot, LookError> {
    let core = Core::open(path).map_err(LookError::Core)?;
    let memory = PageCache::new(&core);
    let open = |module: &Module| core.open_module(module);
    let runtime = match locate(&mut modules(core.maps()), None, &memory, &open) {
        Located::Python(runtime) => *runtime,
        Located::PyPy => return Err(LookError::PyPy(core.pid())),
        Located::Nothing(error) => {
            return Err(LookError::NotPythonCore {
                path: path.to_owned(),
                error,
                remarks: core.remarks().to_vec(),
            });
        }
    };
    let kernel: Vec<KernelThread> = core
        .threads()
        .iter()
        .map(|thread| KernelThread {
            tid: thread.tid,
            ns_tid: thread.tid,
            os: thread.os_thread(),
        })
        .collect();
    let mut process = Process {
        pid: core.pid(),
        parent: core.parent(),
        python: Some(runtime.version.to_string()),
        free_threaded: runtime.version.free_threaded,
        command: core
            .command()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        process_state: ProcessState::Core,
        notes: core.remarks().to_vec(),
        ..Process::default()
    };
    let wanted = Wanted {
        locals: options.locals,
    };
    match read(&memory, &runtime, core.pid(), &kernel, wanted) {
        Ok(mut reading) => {
            if options.reach {
                // Whether it caught signals is not in the core: where its handlers cannot be read, it may have.
                reaching::fill(&mut process, &runtime, &memory, || true, &mut reading);
            }
            if options.native {
                natives::of_core(&core, &mut reading);
            }
            facts::take_reading(&mut process, reading);
        }
        Err(error) => {
            facts::take_native(&mut process, kernel);
            let note = format!("its interpreter could not be read: {error}");
            process.notes.push(note);
        }
    }
    Ok(Snapshot {
        schema: snapshot::SCHEMA,
        processes: vec![process],
        ..Snapshot::default()
    })
}
