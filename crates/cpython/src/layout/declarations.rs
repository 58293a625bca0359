//! Every struct of CPython's that is read, declared once. Names are CPython's; each field lists its paths in
//! DWARF, oldest or newest first, whichever exists counts. `()` marks an embedded array or struct, of which
//! only the place matters. Offsets come from `tables` and `debug_offsets`.

use super::field::foreign;
use snapshot::Address;

foreign! {
    /// `_PyRuntimeState` (Include/internal/pycore_runtime.h).
    Runtime / runtime = "_PyRuntimeState" | "pyruntimestate" {
        interpreters_head: Address = "interpreters.head",
        interpreters_main: Address = "interpreters.main",
        /// Up to 3.11: the thread state that holds the GIL.
        tstate_current: Address = "gilstate.tstate_current._value" | "gilstate.tstate_current",
        /// Up to 3.11: the GIL itself, embedded.
        gil: () = "ceval.gil",
        main_thread: u64 = "main_thread",
        finalizing: Address = "_finalizing._value" | "_finalizing" | "finalizing._value" | "finalizing",
        gc: () = "gc",
        /// Signals to handle, per interpreter from 3.9; embedded.
        signals: () = "signals.handlers",
        /// The ring of calls that only the main thread runs: 3.8, and from 3.12 on; embedded.
        pending: () = "ceval.pending_mainthread" | "ceval.pending",
        /// 3.8: whether the evaluation loop has anything else to do.
        eval_breaker: i32 = "ceval.eval_breaker._value" | "ceval.eval_breaker",
    }
    /// `PyInterpreterState`.
    Interpreter / interpreter = "PyInterpreterState" | "_is" {
        next: Address = "next",
        id: i64 = "id",
        threads_head: Address = "threads.head" | "tstate_head",
        threads_main: Address = "threads.main",
        /// From 3.12: points at this interpreter's GIL.
        gil: Address = "ceval.gil",
        modules: Address = "imports.modules" | "modules",
        sysdict: Address = "sysdict",
        builtins: Address = "builtins",
        importlib: Address = "imports.importlib" | "importlib",
        gc: () = "gc",
        code_object_generation: u64 = "_code_object_generation",
        asyncio_tasks_head: () = "asyncio_tasks_head",
        /// The ring of calls that any thread of it runs (up to 3.11: the main thread); embedded.
        pending: () = "ceval.pending",
        /// 3.9–3.12: whether the evaluation loop has anything else to do.
        eval_breaker: i32 = "ceval.eval_breaker._value" | "ceval.eval_breaker",
        /// From 3.14: 0 where remote debugging was switched off.
        remote_debug: i32 = "config.remote_debug",
    }
    /// `struct _pending_calls` (pycore_ceval_state.h, pycore_interp.h, pycore_pystate.h).
    PendingCalls / pending_calls = "_pending_calls" {
        /// Up to 3.12: a lock of its own; null while there is none.
        lock: Address = "lock",
        /// From 3.13.
        mutex: u8 = "mutex._bits" | "mutex.v" | "mutex",
        /// Up to 3.12 a flag, from 3.13 the number of calls.
        calls_to_do: i32 = "calls_to_do._value" | "calls_to_do" | "npending",
        /// From 3.13: most calls at a time.
        max: i32 = "max",
        calls: () = "calls",
        first: i32 = "first",
        /// Where the next call is put.
        last: i32 = "last" | "next",
    }
    /// `struct _pending_call` (3.12+; without a name before: a function and its argument).
    PendingCall / pending_call = "_pending_call" {
        func: Address = "func",
        arg: Address = "arg",
        flags: i32 = "flags",
    }
    /// `_PyRemoteDebuggerSupport` (3.14+, PEP 768).
    RemoteDebugger / remote_debugger = "_PyRemoteDebuggerSupport" {
        debugger_pending_call: i32 = "debugger_pending_call",
        debugger_script_path: () = "debugger_script_path",
    }
    /// `struct _gil_runtime_state` (pycore_gil.h).
    Gil / gil = "_gil_runtime_state" {
        locked: i32 = "locked._value" | "locked",
        last_holder: Address = "last_holder._value" | "last_holder",
        switch_number: u64 = "switch_number",
        interval: u64 = "interval",
        mutex: () = "mutex",
        cond: () = "cond",
        /// Free-threaded builds: 0 while the GIL is off.
        enabled: i32 = "enabled",
    }
    /// `struct _gc_runtime_state` (pycore_interp_structs.h; pycore_gc.h, pycore_pymem.h before).
    GcState / gc_state = "_gc_runtime_state" {
        /// Whether a collection is going on.
        collecting: i32 = "collecting",
    }
    /// `PyThreadState`.
    ThreadState / thread_state = "PyThreadState" | "_ts" {
        prev: Address = "prev",
        next: Address = "next",
        interp: Address = "interp",
        thread_id: u64 = "thread_id",
        native_thread_id: u64 = "native_thread_id",
        /// Up to 3.10.
        frame: Address = "frame",
        /// 3.11 and 3.12 (`_PyCFrame`).
        cframe: Address = "cframe",
        /// From 3.13.
        current_frame: Address = "current_frame",
        base_frame: Address = "base_frame",
        datastack_chunk: Address = "datastack_chunk",
        /// 3.11+: the end of what is in use of the chunk.
        datastack_top: Address = "datastack_top",
        status: u32 = "_status",
        /// 3.13+: detached, attached, suspended (pycore_pystate.h).
        state: i32 = "state",
        exc_info: Address = "exc_info",
        dict: Address = "dict",
        current_exception: Address = "current_exception" | "curexc_value",
        /// Changes whenever a `Context.run` begins or ends.
        context_ver: u64 = "context_ver",
        /// 3.13t+: the critical section that the thread is in.
        critical_section: u64 = "critical_section",
        gc: () = "gc",
        /// From 3.13: what else the thread has to do, a bit each.
        eval_breaker: u64 = "eval_breaker",
        /// From 3.14.
        remote_debugger_support: () = "remote_debugger_support",
    }
    /// `_PyThreadStateImpl` (3.13+), of which `base` is the thread state.
    ThreadStateImpl / thread_state_impl = "_PyThreadStateImpl" {
        base: () = "base",
        asyncio_running_loop: Address = "asyncio_running_loop",
        asyncio_running_task: Address = "asyncio_running_task",
        asyncio_tasks_head: () = "asyncio_tasks_head",
    }
    /// `_PyCFrame` (3.11, 3.12).
    CFrame / cframe = "_PyCFrame" | "CFrame" {
        current_frame: Address = "current_frame",
    }
    /// `_PyErr_StackItem`: an exception being handled.
    ExcInfo / exc_info = "_PyErr_StackItem" | "_err_stackitem" {
        exc_value: Address = "exc_value",
        previous_item: Address = "previous_item",
    }
    /// `PyFrameObject`.
    FrameObject / frame_object = "PyFrameObject" | "_frame" {
        f_back: Address = "f_back",
        f_code: Address = "f_code",
        f_globals: Address = "f_globals",
        f_builtins: Address = "f_builtins",
        f_locals: Address = "f_locals",
        f_valuestack: Address = "f_valuestack",
        /// 3.8, 3.9: first free slot; null while the frame runs.
        f_stacktop: Address = "f_stacktop",
        /// 3.10: -1 while the frame runs.
        f_stackdepth: i32 = "f_stackdepth",
        f_lasti: i32 = "f_lasti",
        f_lineno: i32 = "f_lineno",
        f_iblock: i32 = "f_iblock",
        f_blockstack: () = "f_blockstack",
        f_localsplus: () = "f_localsplus",
        f_executing: i8 = "f_executing" | "f_state",
        f_gen: Address = "f_gen",
        /// From 3.11.
        f_frame: Address = "f_frame",
        frame_data: () = "_f_frame_data",
    }
    /// `PyTryBlock` (up to 3.10).
    TryBlock / try_block = "PyTryBlock" {
        b_type: i32 = "b_type",
        b_handler: i32 = "b_handler",
        b_level: i32 = "b_level",
    }
    /// `_PyInterpreterFrame` (3.11+).
    InterpreterFrame / interpreter_frame = "_PyInterpreterFrame" {
        previous: Address = "previous",
        /// A code object; from 3.13 any executable, from 3.14 a tagged reference.
        executable: Address = "f_executable.bits" | "f_executable" | "f_code",
        funcobj: Address = "f_funcobj.bits" | "f_funcobj" | "f_func",
        f_globals: Address = "f_globals",
        f_builtins: Address = "f_builtins",
        f_locals: Address = "f_locals",
        frame_obj: Address = "frame_obj",
        /// 3.11, 3.12: the last instruction started.
        prev_instr: Address = "prev_instr",
        /// 3.13+: the current instruction.
        instr_ptr: Address = "instr_ptr",
        /// 3.11–3.13: in slots from `localsplus`.
        stacktop: i32 = "stacktop",
        /// 3.14+.
        stackpointer: Address = "stackpointer",
        return_offset: u16 = "return_offset",
        tlbc_index: i32 = "tlbc_index",
        owner: i8 = "owner",
        is_entry: i8 = "is_entry",
        localsplus: () = "localsplus",
    }
    /// `PyCodeObject`.
    Code / code = "PyCodeObject" {
        ob_size: i64 = "ob_base.ob_size",
        co_argcount: i32 = "co_argcount",
        co_posonlyargcount: i32 = "co_posonlyargcount",
        co_kwonlyargcount: i32 = "co_kwonlyargcount",
        co_nlocals: i32 = "co_nlocals",
        co_nlocalsplus: i32 = "co_nlocalsplus",
        co_ncellvars: i32 = "co_ncellvars",
        co_nfreevars: i32 = "co_nfreevars",
        co_stacksize: i32 = "co_stacksize",
        co_flags: i32 = "co_flags",
        co_firstlineno: i32 = "co_firstlineno",
        co_consts: Address = "co_consts",
        co_names: Address = "co_names",
        /// Up to 3.10: a bytes object.
        co_code: Address = "co_code",
        /// From 3.11: the instructions themselves.
        co_code_adaptive: () = "co_code_adaptive",
        /// `co_lnotab` in 3.8 and 3.9.
        co_linetable: Address = "co_linetable" | "co_lnotab",
        co_exceptiontable: Address = "co_exceptiontable",
        co_varnames: Address = "co_varnames",
        co_cellvars: Address = "co_cellvars",
        co_freevars: Address = "co_freevars",
        co_cell2arg: Address = "co_cell2arg",
        co_localsplusnames: Address = "co_localsplusnames",
        co_localspluskinds: Address = "co_localspluskinds",
        co_filename: Address = "co_filename",
        co_name: Address = "co_name",
        co_qualname: Address = "co_qualname",
        co_monitoring: Address = "_co_monitoring",
        co_tlbc: Address = "co_tlbc",
        /// From 3.11: code units before the instruction with which the function begins.
        co_firsttraceable: i32 = "_co_firsttraceable",
    }
    /// `_PyCoMonitoringData` (3.12+).
    Monitoring / monitoring = "_PyCoMonitoringData" {
        lines: Address = "lines",
        per_instruction_opcodes: Address = "per_instruction_opcodes",
    }
    /// `_PyCodeArray` (3.14t+): thread-local copies of the instructions.
    CodeArray / code_array = "_PyCodeArray" {
        size_entries: i64 = "size",
        entries: () = "entries",
    }
    /// `_PyStackChunk` (3.11+).
    StackChunk / stack_chunk = "_PyStackChunk" | "_stack_chunk" {
        previous: Address = "previous",
        size_bytes: u64 = "size",
        top: u64 = "top",
        data: () = "data",
    }
    /// `PyObject` and `PyVarObject`.
    Object / object = "PyVarObject" {
        /// From 3.14 the count is its low 32 bits; flags lie above. Absent in free-threaded builds.
        ob_refcnt: i64 = "ob_base.ob_refcnt_full" | "ob_base.ob_refcnt",
        /// Free-threaded builds: the owning thread.
        ob_tid: u64 = "ob_base.ob_tid",
        ob_mutex: u8 = "ob_base.ob_mutex._bits" | "ob_base.ob_mutex.bits" | "ob_base.ob_mutex.v",
        ob_type: Address = "ob_base.ob_type",
        ob_size: i64 = "ob_size",
    }
    /// `PyTypeObject` and `PyHeapTypeObject`.
    Type / type_object = "PyHeapTypeObject" | "_heaptypeobject" {
        tp_name: Address = "ht_type.tp_name",
        tp_basicsize: i64 = "ht_type.tp_basicsize",
        tp_itemsize: i64 = "ht_type.tp_itemsize",
        tp_flags: u64 = "ht_type.tp_flags",
        tp_weaklistoffset: i64 = "ht_type.tp_weaklistoffset",
        tp_dictoffset: i64 = "ht_type.tp_dictoffset",
        tp_members: Address = "ht_type.tp_members",
        tp_base: Address = "ht_type.tp_base",
        tp_dict: Address = "ht_type.tp_dict",
        tp_mro: Address = "ht_type.tp_mro",
        ht_name: Address = "ht_name",
        ht_qualname: Address = "ht_qualname",
        ht_slots: Address = "ht_slots",
        ht_cached_keys: Address = "ht_cached_keys",
        ht_module: Address = "ht_module",
    }
    /// `PyMemberDef`.
    MemberDef / member_def = "PyMemberDef" {
        name: Address = "name",
        kind: i32 = "type",
        offset: i64 = "offset",
        flags: i32 = "flags",
    }
    /// `PyLongObject`.
    Long / long = "PyLongObject" | "_longobject" {
        /// 3.12+: sign and number of digits.
        lv_tag: u64 = "long_value.lv_tag",
        ob_digit: () = "long_value.ob_digit" | "ob_digit",
    }
    /// `PyFloatObject`.
    Float / float = "PyFloatObject" {
        ob_fval: u64 = "ob_fval",
    }
    /// `PyComplexObject`.
    Complex / complex = "PyComplexObject" {
        real: u64 = "cval.real",
        imag: u64 = "cval.imag",
    }
    /// `PyASCIIObject`; the data of a compact ASCII string follow its end.
    Ascii / ascii = "PyASCIIObject" {
        length: i64 = "length",
        /// -1 until it is asked for.
        hash: i64 = "hash",
        state: u32 = "state",
    }
    /// `PyCompactUnicodeObject`; the data of a compact string follow its end.
    CompactUnicode / compact_unicode = "PyCompactUnicodeObject" {
        utf8_length: i64 = "utf8_length",
        utf8: Address = "utf8",
    }
    /// `PyUnicodeObject`: a string that is not compact.
    Unicode / unicode = "PyUnicodeObject" {
        data: Address = "data.any" | "data",
    }
    /// `PyBytesObject`.
    Bytes / bytes = "PyBytesObject" {
        ob_sval: () = "ob_sval",
    }
    /// `PyByteArrayObject`.
    ByteArray / bytearray = "PyByteArrayObject" {
        ob_start: Address = "ob_start",
    }
    /// `PyTupleObject`.
    Tuple / tuple = "PyTupleObject" {
        ob_item: () = "ob_item",
    }
    /// `PyListObject`.
    List / list = "PyListObject" {
        ob_item: Address = "ob_item",
        allocated: i64 = "allocated",
    }
    /// `PyDictObject`.
    Dict / dict = "PyDictObject" {
        ma_used: i64 = "ma_used",
        ma_keys: Address = "ma_keys",
        ma_values: Address = "ma_values",
    }
    /// `PyDictKeysObject`.
    DictKeys / dict_keys = "PyDictKeysObject" | "_dictkeysobject" {
        /// Up to 3.10: number of index slots.
        dk_size: i64 = "dk_size",
        /// 3.11+.
        dk_log2_size: u8 = "dk_log2_size",
        dk_log2_index_bytes: u8 = "dk_log2_index_bytes",
        /// 3.11+: 0 general, 1 unicode, 2 split.
        dk_kind: u8 = "dk_kind",
        dk_lookup: Address = "dk_lookup",
        dk_nentries: i64 = "dk_nentries",
        dk_usable: i64 = "dk_usable",
        dk_indices: () = "dk_indices",
    }
    /// `PyDictKeyEntry`.
    DictEntry / dict_entry = "PyDictKeyEntry" {
        me_key: Address = "me_key",
        me_value: Address = "me_value",
    }
    /// `PyDictUnicodeEntry` (3.11+).
    DictUnicodeEntry / dict_unicode_entry = "PyDictUnicodeEntry" {
        me_key: Address = "me_key",
        me_value: Address = "me_value",
    }
    /// `PyDictValues` (3.11+).
    DictValues / dict_values = "PyDictValues" | "_dictvalues" {
        capacity: u8 = "capacity",
        values_size: u8 = "size",
        embedded: u8 = "embedded",
        valid: u8 = "valid",
        values: () = "values",
    }
    /// `PySetObject`.
    Set / set = "PySetObject" {
        fill: i64 = "fill",
        used: i64 = "used",
        mask: i64 = "mask",
        table: Address = "table",
    }
    /// `setentry`.
    SetEntry / set_entry = "setentry" {
        key: Address = "key",
        hash: i64 = "hash",
    }
    /// `PyCellObject`.
    Cell / cell = "PyCellObject" {
        ob_ref: Address = "ob_ref",
    }
    /// `PyFunctionObject`.
    Function / function = "PyFunctionObject" {
        func_code: Address = "func_code",
        func_globals: Address = "func_globals",
        func_defaults: Address = "func_defaults",
        func_kwdefaults: Address = "func_kwdefaults",
        func_closure: Address = "func_closure",
        func_dict: Address = "func_dict",
        func_name: Address = "func_name",
        func_qualname: Address = "func_qualname",
        func_module: Address = "func_module",
    }
    /// `PyMethodObject`: a bound method.
    Method / method = "PyMethodObject" {
        im_func: Address = "im_func",
        im_self: Address = "im_self",
    }
    /// `PyCFunctionObject`: a built-in function or bound built-in method.
    CFunction / cfunction = "PyCFunctionObject" {
        m_ml: Address = "m_ml",
        m_self: Address = "m_self",
        m_module: Address = "m_module",
    }
    /// `PyMethodDef`.
    MethodDef / method_def = "PyMethodDef" {
        ml_name: Address = "ml_name",
    }
    /// `PyMethodDescrObject` (and the common start of all descriptors).
    MethodDescr / method_descr = "PyMethodDescrObject" {
        d_type: Address = "d_common.d_type",
        d_name: Address = "d_common.d_name",
        d_method: Address = "d_method",
    }
    /// `wrapperobject`: a bound slot wrapper.
    MethodWrapper / method_wrapper = "wrapperobject" {
        descr: Address = "descr",
        self_: Address = "self",
    }
    /// `PyModuleObject`.
    Module / module = "PyModuleObject" {
        md_dict: Address = "md_dict",
        md_state: Address = "md_state",
        md_name: Address = "md_name",
    }
    /// `PyGenObject`; coroutines and asynchronous generators start alike.
    Generator / generator = "PyGenObject" {
        /// Up to 3.10.
        gi_frame: Address = "gi_frame",
        gi_running: i8 = "gi_running",
        gi_code: Address = "gi_code",
        gi_name: Address = "gi_name",
        gi_qualname: Address = "gi_qualname",
        /// From 3.11.
        gi_frame_state: i8 = "gi_frame_state",
        gi_iframe: () = "gi_iframe",
    }
    /// `PyCoroWrapper`: what `coroutine.__await__()` gives.
    CoroWrapper / coro_wrapper = "PyCoroWrapper" {
        cw_coroutine: Address = "cw_coroutine",
    }
    /// `PyAsyncGenASend`.
    AsyncGenASend / async_gen_asend = "PyAsyncGenASend" {
        ags_gen: Address = "ags_gen",
    }
    /// `PyAsyncGenAThrow`.
    AsyncGenAThrow / async_gen_athrow = "PyAsyncGenAThrow" {
        agt_gen: Address = "agt_gen",
    }
    /// `dequeobject`.
    Deque / deque = "dequeobject" {
        leftblock: Address = "leftblock",
        rightblock: Address = "rightblock",
        leftindex: i64 = "leftindex",
        rightindex: i64 = "rightindex",
        maxlen: i64 = "maxlen",
    }
    /// A block of a deque.
    DequeBlock / deque_block = "BLOCK" {
        leftlink: Address = "leftlink",
        data: () = "data",
        rightlink: Address = "rightlink",
    }
    /// `defdictobject`.
    DefaultDict / default_dict = "defdictobject" {
        default_factory: Address = "default_factory",
    }
    /// `PyODictObject`.
    OrderedDict / ordered_dict = "PyODictObject" | "_odictobject" {
        od_first: Address = "od_first",
        od_last: Address = "od_last",
    }
    /// `_ODictNode`.
    OrderedDictNode / ordered_dict_node = "_ODictNode" | "_odictnode" {
        key: Address = "key",
        next: Address = "next",
    }
    /// `PyBaseExceptionObject`.
    Exception / exception = "PyBaseExceptionObject" {
        dict: Address = "dict",
        args: Address = "args",
        traceback: Address = "traceback",
        context: Address = "context",
        cause: Address = "cause",
    }
    /// `PyTracebackObject`.
    Traceback / traceback = "PyTracebackObject" | "_traceback" {
        tb_next: Address = "tb_next",
        tb_frame: Address = "tb_frame",
        tb_lasti: i32 = "tb_lasti",
        tb_lineno: i32 = "tb_lineno",
    }
    /// `PyWeakReference`.
    WeakRef / weak_ref = "PyWeakReference" | "_PyWeakReference" {
        wr_object: Address = "wr_object",
        wr_callback: Address = "wr_callback",
    }
    /// `partialobject` (functools).
    Partial / partial = "partialobject" {
        func: Address = "fn",
        args: Address = "args",
        kw: Address = "kw",
    }
    /// `PySliceObject`.
    Slice / slice = "PySliceObject" {
        start: Address = "start",
        stop: Address = "stop",
        step: Address = "step",
    }
    /// `rangeobject`.
    RangeObject / range = "rangeobject" {
        start: Address = "start",
        stop: Address = "stop",
        step: Address = "step",
    }
    /// `PyDateTime_Date` (Include/datetime.h).
    Date / date = "PyDateTime_Date" {
        data: () = "data",
    }
    /// `PyDateTime_DateTime`.
    DateTime / datetime = "PyDateTime_DateTime" {
        hastzinfo: i8 = "hastzinfo",
        data: () = "data",
        tzinfo: Address = "tzinfo",
    }
    /// `PyDateTime_Time`.
    Time / time = "PyDateTime_Time" {
        hastzinfo: i8 = "hastzinfo",
        data: () = "data",
        tzinfo: Address = "tzinfo",
    }
    /// `PyDateTime_Delta`.
    TimeDelta / timedelta = "PyDateTime_Delta" {
        days: i32 = "days",
        seconds: i32 = "seconds",
        microseconds: i32 = "microseconds",
    }
    /// `PyDecObject` (Modules/_decimal).
    Decimal / decimal = "PyDecObject" {
        flags: u8 = "dec.flags",
        exp: i64 = "dec.exp",
        digits: i64 = "dec.digits",
        len: i64 = "dec.len",
        data: Address = "dec.data",
    }
    /// `lockobject` (Modules/_threadmodule.c): a `sem_t` behind a pointer up to 3.12, a `PyMutex` from 3.13.
    Lock / lock = "lockobject" {
        lock_lock: Address = "lock_lock",
        locked: i8 = "locked",
        mutex: u8 = "lock._bits" | "lock.v" | "lock",
    }
    /// `rlockobject`.
    RLock / rlock = "rlockobject" {
        rlock_lock: Address = "rlock_lock",
        rlock_owner: u64 = "lock.thread" | "rlock_owner",
        /// From 3.14 one less than the times it was taken.
        rlock_count: u64 = "lock.level" | "rlock_count",
        mutex: u8 = "lock.mutex._bits" | "lock.mutex.v" | "lock.mutex",
    }
    /// `struct wait_entry` (Python/parking_lot.c, 3.13+): a thread parked on an address.
    WaitEntry / wait_entry = "wait_entry" {
        park_arg: Address = "park_arg",
        addr: Address = "addr",
        sema: () = "sema",
    }
    /// `simplequeueobject` (Modules/_queuemodule.c).
    SimpleQueue / simple_queue = "simplequeueobject" {
        lock: Address = "lock",
        locked: i32 = "locked",
        lst: Address = "lst",
        lst_pos: i64 = "lst_pos",
        /// 3.13+: a ring buffer.
        buf_items: Address = "buf.items",
        buf_capacity: i64 = "buf.items_cap",
        buf_get: i64 = "buf.get_idx",
        buf_num: i64 = "buf.num_items",
    }
    /// `SemLockObject` (Modules/_multiprocessing/semaphore.c).
    SemLock / sem_lock = "SemLockObject" {
        handle: Address = "handle",
        last_tid: u64 = "last_tid",
        count: i32 = "count",
        maxvalue: i32 = "maxvalue",
        kind: i32 = "kind",
        name: Address = "name",
    }
    /// `PyThreadHandleObject` and its handle (3.13+).
    ThreadHandle / thread_handle = "PyThreadHandleObject" {
        handle: Address = "handle",
    }
    /// `ThreadHandle` (3.13+).
    ThreadHandleData / thread_handle_data = "ThreadHandle" {
        ident: u64 = "ident",
        state: i32 = "state",
        /// `PyEvent`: 1 when the thread is about to end.
        thread_is_exiting: u8 = "thread_is_exiting.v" | "thread_is_exiting",
    }
    /// `FutureObj` (Modules/_asynciomodule.c).
    AsyncFuture / async_future = "FutureObj" {
        fut_loop: Address = "fut_loop",
        fut_callback0: Address = "fut_callback0",
        fut_callbacks: Address = "fut_callbacks",
        fut_exception: Address = "fut_exception",
        fut_result: Address = "fut_result",
        fut_state: i32 = "fut_state",
        /// Bit 0: an exception nobody has asked for.
        fut_log_tb: i32 = "fut_log_tb",
        dict: Address = "dict",
        fut_awaited_by: Address = "fut_awaited_by",
        fut_awaited_by_is_set: i8 = "fut_awaited_by_is_set",
    }
    /// `TaskObj`.
    AsyncTask / async_task = "TaskObj" {
        fut_loop: Address = "task_loop",
        fut_callback0: Address = "task_callback0",
        fut_callbacks: Address = "task_callbacks",
        fut_exception: Address = "task_exception",
        fut_result: Address = "task_result",
        fut_state: i32 = "task_state",
        /// Bit 0: an exception nobody has asked for.
        fut_log_tb: i32 = "task_log_tb",
        fut_awaited_by: Address = "task_awaited_by",
        fut_awaited_by_is_set: i8 = "task_awaited_by_is_set",
        dict: Address = "dict",
        task_fut_waiter: Address = "task_fut_waiter",
        task_coro: Address = "task_coro",
        task_name: Address = "task_name",
        task_node: () = "task_node",
    }
    /// `futureiterobject`: what `future.__await__()` gives.
    FutureIter / future_iter = "futureiterobject" {
        future: Address = "future",
    }
    /// `TaskStepMethWrapper` (and `TaskWakeupMethWrapper` up to 3.9): a callback that runs a step of a task.
    TaskStep / task_step = "TaskStepMethWrapper" {
        sw_task: Address = "sw_task",
    }
    /// `TaskWakeupMethWrapper` (3.8).
    TaskWakeup / task_wakeup = "TaskWakeupMethWrapper" {
        ww_task: Address = "ww_task",
    }
    /// `struct llist_node` (pycore_llist.h).
    ListNode / list_node = "llist_node" {
        next: Address = "next",
        prev: Address = "prev",
    }
    /// The collector's header before an object (GIL builds).
    GcHead / gc_head = "PyGC_Head" {
        gc_next: u64 = "_gc_next",
        gc_prev: u64 = "_gc_prev",
    }
    /// `anextawaitableobject`: what `anext()` with a default gives.
    AnextAwaitable / anext_awaitable = "anextawaitableobject" {
        wrapped: Address = "wrapped",
    }
}
