//! Which of the objects that threads wait for an object is, by its class.

use crate::reader::Reader;
use snapshot::{Address, Kind};

/// What an object is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `_thread.lock`.
    Lock,
    /// `_thread.RLock`.
    RLock,
    /// `threading._RLock`, in Python.
    PythonRLock,
    /// `threading.Condition`.
    Condition,
    /// `threading.Semaphore` and `BoundedSemaphore`.
    Semaphore,
    /// `threading.Event`.
    Event,
    /// `threading.Barrier`, also `multiprocessing`'s, which is derived from it.
    Barrier,
    /// `threading.Thread`.
    Thread,
    /// `_thread._ThreadHandle`.
    ThreadHandle,
    /// `queue.Queue`.
    Queue,
    /// `_queue.SimpleQueue`.
    SimpleQueue,
    /// `concurrent.futures.Future`.
    Future,
    /// `ThreadPoolExecutor`.
    ThreadPool,
    /// `ProcessPoolExecutor`.
    ProcessPool,
    /// `concurrent.futures.thread._WorkItem` and `process._WorkItem`.
    WorkItem,
    /// `importlib._bootstrap._ModuleLock`.
    ModuleLock,
    /// Its context manager.
    ModuleLockManager,
    /// `_multiprocessing.SemLock`.
    SemLock,
    /// What `multiprocessing.synchronize` wraps around it.
    SharedLock,
    /// `multiprocessing.synchronize.Condition`.
    SharedCondition,
    /// `multiprocessing.synchronize.Event`.
    SharedEvent,
    /// `multiprocessing.queues.Queue`, `JoinableQueue`.
    SharedQueue,
    /// `multiprocessing.queues.SimpleQueue`.
    SharedSimpleQueue,
    /// `multiprocessing.Process`.
    Process,
    /// `multiprocessing.Pool`.
    Pool,
    /// `multiprocessing.pool.ApplyResult` and its like.
    PoolResult,
    /// `subprocess.Popen`.
    Popen,
    /// What `@contextlib.contextmanager` makes.
    GeneratorManager,
    /// `contextlib.ExitStack`.
    ExitStack,
    /// `contextlib.closing`, `nullcontext` and others that hold nothing.
    Harmless,
    /// `asyncio.Lock`.
    AsyncLock,
    /// `asyncio.Semaphore`.
    AsyncSemaphore,
    /// `asyncio.Condition`.
    AsyncCondition,
    /// `logging.Handler`.
    LogHandler,
}

/// Class by class, in CPython's names.
#[rustfmt::skip]
const CLASSES: &[(&str, &str, Form)] = &[
    ("_thread", "lock", Form::Lock),
    ("_thread", "RLock", Form::RLock),
    ("_thread", "_ThreadHandle", Form::ThreadHandle),
    ("threading", "_RLock", Form::PythonRLock),
    ("threading", "Condition", Form::Condition),
    ("threading", "Semaphore", Form::Semaphore),
    ("threading", "Event", Form::Event),
    ("threading", "Barrier", Form::Barrier),
    ("threading", "Thread", Form::Thread),
    ("queue", "Queue", Form::Queue),
    ("_queue", "SimpleQueue", Form::SimpleQueue),
    ("concurrent.futures._base", "Future", Form::Future),
    ("concurrent.futures.thread", "ThreadPoolExecutor", Form::ThreadPool),
    ("concurrent.futures.process", "ProcessPoolExecutor", Form::ProcessPool),
    ("concurrent.futures.thread", "_WorkItem", Form::WorkItem),
    ("concurrent.futures.process", "_WorkItem", Form::WorkItem),
    ("importlib._bootstrap", "_ModuleLock", Form::ModuleLock),
    ("_frozen_importlib", "_ModuleLock", Form::ModuleLock),
    ("importlib._bootstrap", "_ModuleLockManager", Form::ModuleLockManager),
    ("_frozen_importlib", "_ModuleLockManager", Form::ModuleLockManager),
    ("_multiprocessing", "SemLock", Form::SemLock),
    ("multiprocessing.synchronize", "SemLock", Form::SharedLock),
    ("multiprocessing.synchronize", "Condition", Form::SharedCondition),
    ("multiprocessing.synchronize", "Event", Form::SharedEvent),
    ("multiprocessing.queues", "Queue", Form::SharedQueue),
    ("multiprocessing.queues", "SimpleQueue", Form::SharedSimpleQueue),
    ("multiprocessing.process", "BaseProcess", Form::Process),
    ("multiprocessing.pool", "Pool", Form::Pool),
    ("multiprocessing.pool", "ApplyResult", Form::PoolResult),
    ("multiprocessing.pool", "IMapIterator", Form::PoolResult),
    ("subprocess", "Popen", Form::Popen),
    ("contextlib", "_GeneratorContextManagerBase", Form::GeneratorManager),
    ("contextlib", "_BaseExitStack", Form::ExitStack),
    ("contextlib", "closing", Form::Harmless),
    ("contextlib", "nullcontext", Form::Harmless),
    ("contextlib", "suppress", Form::Harmless),
    ("_io", "_IOBase", Form::Harmless),
    ("asyncio.locks", "Lock", Form::AsyncLock),
    ("asyncio.locks", "Semaphore", Form::AsyncSemaphore),
    ("asyncio.locks", "Condition", Form::AsyncCondition),
    ("logging", "Handler", Form::LogHandler),
];

/// What the object is; `None`: something else, or not readable.
pub(super) fn form_of(reader: &Reader<'_>, object: Address) -> Option<Form> {
    let class = reader.class_of(object).ok()?;
    class.mro.iter().find_map(|base| {
        let base = reader.type_info(*base).ok()?;
        CLASSES
            .iter()
            .find(|(module, name, _)| *name == &*base.name && *module == &*base.module)
            .map(|(_, _, form)| *form)
    })
}

/// Its kind, as the program names it.
pub(super) fn kind_of(reader: &Reader<'_>, object: Address, form: Form) -> Kind {
    let bounded = |module| reader.is_instance(object, module, "BoundedSemaphore");
    match form {
        Form::Lock | Form::AsyncLock => Kind::Lock,
        Form::RLock | Form::PythonRLock | Form::LogHandler => Kind::RLock,
        Form::Condition | Form::SharedCondition | Form::AsyncCondition => Kind::Condition,
        Form::Semaphore if bounded("threading") => Kind::BoundedSemaphore,
        Form::AsyncSemaphore if bounded("asyncio.locks") => Kind::BoundedSemaphore,
        Form::Semaphore | Form::AsyncSemaphore => Kind::Semaphore,
        Form::Event | Form::SharedEvent => Kind::Event,
        Form::Barrier => Kind::Barrier,
        Form::Thread | Form::ThreadHandle => Kind::Thread,
        Form::Queue | Form::SharedQueue | Form::SharedSimpleQueue => Kind::Queue,
        Form::SimpleQueue => Kind::SimpleQueue,
        Form::Future | Form::PoolResult | Form::WorkItem => Kind::Future,
        Form::ThreadPool | Form::ProcessPool | Form::Pool => Kind::Executor,
        Form::ModuleLock | Form::ModuleLockManager => Kind::ModuleLock,
        Form::SharedLock => {
            let is = |name| reader.is_instance(object, "multiprocessing.synchronize", name);
            match () {
                () if is("BoundedSemaphore") => Kind::BoundedSemaphore,
                () if is("Semaphore") => Kind::Semaphore,
                () if is("RLock") => Kind::RLock,
                () => Kind::Lock,
            }
        }
        Form::SemLock => semlock_kind(reader, object),
        Form::Process => Kind::Process,
        Form::Popen => Kind::Child,
        Form::GeneratorManager | Form::ExitStack | Form::Harmless => Kind::Unknown,
    }
}

/// `multiprocessing`'s C object tells re-entrant ones and semaphores apart, and a lock by its one permit.
fn semlock_kind(reader: &Reader<'_>, object: Address) -> Kind {
    const RECURSIVE_MUTEX: i32 = 0;
    let layout = &reader.layout.sem_lock;
    match (
        reader.get(object, layout.kind),
        reader.get(object, layout.maxvalue),
    ) {
        (Ok(RECURSIVE_MUTEX), _) => Kind::RLock,
        (_, Ok(1)) => Kind::Lock,
        _ => Kind::Semaphore,
    }
}
