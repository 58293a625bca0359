//! Which words the debug offsets of a version consist of.

use crate::layout::{Layout, Version};

/// The words of one struct.
pub struct Group {
    /// Its name in `_Py_DebugOffsets`.
    pub name: &'static str,
    /// Its first word.
    pub size: Size,
    /// Most bytes that the struct can have.
    pub limit: u64,
    /// The other words.
    pub slots: &'static [Slot],
}

/// The size with which a group begins.
pub enum Size {
    /// It does not.
    Unsaid,
    /// Of a struct that is declared otherwise: it bounds the offsets, and that is all.
    Bound,
    /// Of a declared struct.
    Struct(fn(&mut Layout) -> &mut u64),
}

/// One word.
pub enum Slot {
    /// Of no interest.
    Skip,
    /// An offset.
    At(fn(&mut Layout) -> Place<'_>),
    /// The offset of the GIL, which is embedded in the interpreter.
    Base,
    /// An offset of the interpreter's that leads into the GIL.
    FromBase(fn(&mut Layout) -> Place<'_>),
    /// The size of a struct.
    Size(&'static str, fn(&mut Layout) -> &mut u64),
}

/// A field of a layout.
pub struct Place<'a> {
    /// `thread_state.next`.
    pub what: &'static str,
    /// Where the layout has it.
    pub offset: &'a mut u32,
    /// Bytes of what stands there; 0 for an embedded array or struct.
    pub width: u64,
}

macro_rules! place {
    ($struct:ident . $field:ident) => {
        |layout| {
            let field = &mut layout.$struct.$field;
            Place {
                what: concat!(stringify!($struct), ".", stringify!($field)),
                width: field.width(),
                offset: field.raw_mut(),
            }
        }
    };
}

macro_rules! group {
    ($name:ident, $size:expr, $limit:expr, [$($slot:expr),* $(,)?]) => {
        Group { name: stringify!($name), size: $size, limit: $limit, slots: &[$($slot),*] }
    };
}

macro_rules! at {
    ($struct:ident . $field:ident) => {
        Slot::At(place!($struct.$field))
    };
}

macro_rules! from_base {
    ($struct:ident . $field:ident) => {
        Slot::FromBase(place!($struct.$field))
    };
}

macro_rules! size_of_struct {
    ($struct:ident) => {
        Size::Struct(|layout| &mut layout.$struct.size)
    };
}

use Slot::{Base, Skip};

/// Most bytes of the runtime's and an interpreter's state.
const LARGE: u64 = 1 << 24;
/// Most bytes of a thread's state.
const MIDDLE: u64 = 1 << 20;
/// Most bytes of an object's fixed part.
const SMALL: u64 = 1 << 12;

const RUNTIME: Group = group!(
    runtime_state,
    size_of_struct!(runtime),
    LARGE,
    [at!(runtime.finalizing), at!(runtime.interpreters_head)]
);
const INTERPRETER_3_13: Group = group!(
    interpreter_state,
    size_of_struct!(interpreter),
    LARGE,
    [
        at!(interpreter.id),
        at!(interpreter.next),
        at!(interpreter.threads_head),
        at!(interpreter.gc),
        at!(interpreter.modules),
        at!(interpreter.sysdict),
        at!(interpreter.builtins),
        at!(interpreter.gil),
        Base,
        at!(gil.enabled),
        from_base!(gil.locked),
        from_base!(gil.last_holder),
    ]
);
const INTERPRETER_3_14: Group = group!(
    interpreter_state,
    size_of_struct!(interpreter),
    LARGE,
    [
        at!(interpreter.id),
        at!(interpreter.next),
        at!(interpreter.threads_head),
        at!(interpreter.threads_main),
        at!(interpreter.gc),
        at!(interpreter.modules),
        at!(interpreter.sysdict),
        at!(interpreter.builtins),
        at!(interpreter.gil),
        Base,
        at!(gil.enabled),
        from_base!(gil.locked),
        from_base!(gil.last_holder),
        at!(interpreter.code_object_generation),
        Skip, // tlbc_generation
    ]
);
const THREAD_3_13: Group = group!(
    thread_state,
    size_of_struct!(thread_state),
    MIDDLE,
    [
        at!(thread_state.prev),
        at!(thread_state.next),
        at!(thread_state.interp),
        at!(thread_state.current_frame),
        at!(thread_state.thread_id),
        at!(thread_state.native_thread_id),
        at!(thread_state.datastack_chunk),
        at!(thread_state.status),
    ]
);
const THREAD_3_15: Group = group!(
    thread_state,
    size_of_struct!(thread_state),
    MIDDLE,
    [
        at!(thread_state.prev),
        at!(thread_state.next),
        at!(thread_state.interp),
        at!(thread_state.current_frame),
        at!(thread_state.base_frame),
        Skip, // last_profiled_frame
        Skip, // last_profiled_frame_seq
        at!(thread_state.thread_id),
        at!(thread_state.native_thread_id),
        at!(thread_state.datastack_chunk),
        at!(thread_state.status),
        Skip, // holds_gil
        Skip, // gil_requested
        at!(thread_state.current_exception),
        Skip, // exc_state
    ]
);
const EXC_INFO: Group = group!(err_stackitem, Size::Unsaid, 64, [at!(exc_info.exc_value)]);
const FRAME_3_13: Group = group!(
    interpreter_frame,
    size_of_struct!(interpreter_frame),
    SMALL,
    [
        at!(interpreter_frame.previous),
        at!(interpreter_frame.executable),
        at!(interpreter_frame.instr_ptr),
        at!(interpreter_frame.localsplus),
        at!(interpreter_frame.owner),
    ]
);
const FRAME_3_14: Group = group!(
    interpreter_frame,
    size_of_struct!(interpreter_frame),
    SMALL,
    [
        at!(interpreter_frame.previous),
        at!(interpreter_frame.executable),
        at!(interpreter_frame.instr_ptr),
        at!(interpreter_frame.localsplus),
        at!(interpreter_frame.owner),
        at!(interpreter_frame.stackpointer),
        at!(interpreter_frame.tlbc_index),
    ]
);
const CODE_3_13: Group = group!(
    code_object,
    size_of_struct!(code),
    SMALL,
    [
        at!(code.co_filename),
        at!(code.co_name),
        at!(code.co_qualname),
        at!(code.co_linetable),
        at!(code.co_firstlineno),
        at!(code.co_argcount),
        at!(code.co_localsplusnames),
        at!(code.co_localspluskinds),
        at!(code.co_code_adaptive),
    ]
);
const CODE_3_14: Group = group!(
    code_object,
    size_of_struct!(code),
    SMALL,
    [
        at!(code.co_filename),
        at!(code.co_name),
        at!(code.co_qualname),
        at!(code.co_linetable),
        at!(code.co_firstlineno),
        at!(code.co_argcount),
        at!(code.co_localsplusnames),
        at!(code.co_localspluskinds),
        at!(code.co_code_adaptive),
        at!(code.co_tlbc),
    ]
);
const OBJECT: Group = group!(pyobject, Size::Bound, SMALL, [at!(object.ob_type)]);
const TYPE_3_13: Group = group!(
    type_object,
    Size::Bound,
    SMALL,
    // The second is tp_repr.
    [at!(type_object.tp_name), Skip, at!(type_object.tp_flags)]
);
const TYPE_3_15: Group = group!(
    type_object,
    Size::Bound,
    SMALL,
    [
        at!(type_object.tp_name),
        Skip, // tp_repr
        at!(type_object.tp_flags),
        at!(type_object.tp_basicsize),
        at!(type_object.tp_dictoffset),
    ]
);
const HEAP_TYPE: Group = group!(
    heap_type_object,
    size_of_struct!(type_object),
    SMALL,
    [at!(type_object.ht_cached_keys)]
);
const TUPLE: Group = group!(
    tuple_object,
    size_of_struct!(tuple),
    SMALL,
    [at!(tuple.ob_item), at!(object.ob_size)]
);
const LIST: Group = group!(
    list_object,
    size_of_struct!(list),
    SMALL,
    [at!(list.ob_item), at!(object.ob_size)]
);
const SET: Group = group!(
    set_object,
    size_of_struct!(set),
    SMALL,
    [at!(set.used), at!(set.table), at!(set.mask)]
);
const DICT: Group = group!(
    dict_object,
    size_of_struct!(dict),
    SMALL,
    [at!(dict.ma_keys), at!(dict.ma_values)]
);
const FLOAT: Group = group!(
    float_object,
    size_of_struct!(float),
    SMALL,
    [at!(float.ob_fval)]
);
const LONG: Group = group!(
    long_object,
    size_of_struct!(long),
    SMALL,
    [at!(long.lv_tag), at!(long.ob_digit)]
);
const BYTES: Group = group!(
    bytes_object,
    size_of_struct!(bytes),
    SMALL,
    [at!(object.ob_size), at!(bytes.ob_sval)]
);
const UNICODE_3_13: Group = group!(
    unicode_object,
    size_of_struct!(unicode),
    SMALL,
    [
        at!(ascii.state),
        at!(ascii.length),
        Slot::Size("asciiobject_size", |layout| &mut layout.ascii.size),
    ]
);
const UNICODE_3_15: Group = group!(
    unicode_object,
    size_of_struct!(unicode),
    SMALL,
    [
        at!(ascii.state),
        at!(ascii.length),
        Slot::Size("asciiobject_size", |layout| &mut layout.ascii.size),
        Slot::Size("compactunicodeobject_size", |layout| &mut layout
            .compact_unicode
            .size),
    ]
);
const GC_3_13: Group = group!(gc, Size::Bound, LARGE, [at!(gc_state.collecting)]);
const GC_3_15: Group = group!(
    gc,
    Size::Bound,
    LARGE,
    [at!(gc_state.collecting), Skip, Skip, Skip]
);
const GENERATOR: Group = group!(
    gen_object,
    size_of_struct!(generator),
    SMALL,
    [
        at!(generator.gi_name),
        at!(generator.gi_iframe),
        at!(generator.gi_frame_state),
    ]
);
const LIST_NODE: Group = group!(
    llist_node,
    Size::Unsaid,
    64,
    [at!(list_node.next), at!(list_node.prev)]
);

const DEBUGGER_SUPPORT: Group = group!(
    debugger_support,
    Size::Unsaid,
    LARGE,
    [
        at!(thread_state.eval_breaker),
        at!(thread_state.remote_debugger_support),
        at!(interpreter.remote_debug),
        at!(remote_debugger.debugger_pending_call),
        at!(remote_debugger.debugger_script_path),
        Skip, // debugger_script_path_size
    ]
);

const FORM_3_13: &[Group] = &[
    RUNTIME,
    INTERPRETER_3_13,
    THREAD_3_13,
    FRAME_3_13,
    CODE_3_13,
    OBJECT,
    TYPE_3_13,
    TUPLE,
    LIST,
    DICT,
    FLOAT,
    LONG,
    BYTES,
    UNICODE_3_13,
    GC_3_13,
];
const FORM_3_14: &[Group] = &[
    RUNTIME,
    INTERPRETER_3_14,
    THREAD_3_13,
    FRAME_3_14,
    CODE_3_14,
    OBJECT,
    TYPE_3_13,
    TUPLE,
    LIST,
    SET,
    DICT,
    FLOAT,
    LONG,
    BYTES,
    UNICODE_3_13,
    GC_3_13,
    GENERATOR,
    LIST_NODE,
    DEBUGGER_SUPPORT,
];
const FORM_3_15: &[Group] = &[
    RUNTIME,
    INTERPRETER_3_14,
    THREAD_3_15,
    EXC_INFO,
    FRAME_3_14,
    CODE_3_14,
    OBJECT,
    TYPE_3_15,
    HEAP_TYPE,
    TUPLE,
    LIST,
    SET,
    DICT,
    FLOAT,
    LONG,
    BYTES,
    UNICODE_3_15,
    GC_3_15,
    GENERATOR,
    LIST_NODE,
    DEBUGGER_SUPPORT,
];

/// The words of a version's debug offsets after the head, in their order.
pub fn groups(version: &Version) -> Option<&'static [Group]> {
    match (version.major, version.minor) {
        (3, 13) => Some(FORM_3_13),
        (3, 14) => Some(FORM_3_14),
        (3, 15) => Some(FORM_3_15),
        _ => None,
    }
}
