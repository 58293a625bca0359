//! What is used of CPython: functions of its stable interface, looked up by name. No struct of its is known here but
//! `PyMethodDef`, which has been the same since Python 1.

use crate::system::dlsym;
use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr::null_mut;

/// A `PyObject`, of which nothing is known.
pub type Object = *mut c_void;

/// `PyMethodDef`, `Include/methodobject.h`.
#[repr(C)]
pub struct MethodDef {
    pub name: *const c_char,
    pub function: *const c_void,
    pub flags: c_int,
    pub doc: *const c_char,
}

// SAFETY: it is only read, and its pointers are to constants.
unsafe impl Sync for MethodDef {}

/// `METH_FASTCALL`: the arguments come as an array.
pub const FASTCALL: c_int = 0x80;
/// `Py_file_input`.
pub const FILE_INPUT: c_int = 257;

pub type Trace = extern "C" fn(Object, Object, c_int, Object) -> c_int;

macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that were found.
        #[derive(Clone, Copy)]
        pub struct Python {
            $(pub $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            pub runtime_error: Object,
            pub none: Object,
            /// 3.9+: `PyFrame_GetCode`.
            pub frame_code: Option<unsafe extern "C" fn(Object) -> Object>,
        }

        impl Python {
            /// Looks for them in the process.
            pub fn find() -> Option<Python> {
                Some(Python {
                    $($field: {
                        let at = look(concat!($name, "\0"));
                        if at.is_null() {
                            return None;
                        }
                        // SAFETY: the name says what function it is, the same in 3.8 to 3.15.
                        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(at) }
                    },)*
                    runtime_error: {
                        let at = look("PyExc_RuntimeError\0") as *const Object;
                        if at.is_null() {
                            return None;
                        }
                        // SAFETY: a pointer to an object that lives as long as the interpreter.
                        unsafe { *at }
                    },
                    none: {
                        let at = look("_Py_NoneStruct\0");
                        if at.is_null() {
                            return None;
                        }
                        at
                    },
                    frame_code: {
                        let at = look("PyFrame_GetCode\0");
                        if at.is_null() {
                            None
                        } else {
                            // SAFETY: as above.
                            Some(unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn(Object) -> Object>(at) })
                        }
                    },
                })
            }
        }
    };
}

functions! {
    ensure = "PyGILState_Ensure": fn() -> c_int;
    release = "PyGILState_Release": fn(c_int);
    save = "PyEval_SaveThread": fn() -> *mut c_void;
    restore = "PyEval_RestoreThread": fn(*mut c_void);
    compile = "Py_CompileString": fn(*const c_char, *const c_char, c_int) -> Object;
    evaluate = "PyEval_EvalCode": fn(Object, Object, Object) -> Object;
    builtins = "PyEval_GetBuiltins": fn() -> Object;
    dict = "PyDict_New": fn() -> Object;
    dict_set = "PyDict_SetItemString": fn(Object, *const c_char, Object) -> c_int;
    dict_get = "PyDict_GetItemString": fn(Object, *const c_char) -> Object;
    function = "PyCFunction_NewEx": fn(*const MethodDef, Object, Object) -> Object;
    text = "PyUnicode_FromStringAndSize": fn(*const c_char, isize) -> Object;
    utf8 = "PyUnicode_AsUTF8AndSize": fn(Object, *mut isize) -> *const c_char;
    number = "PyLong_FromUnsignedLongLong": fn(u64) -> Object;
    as_number = "PyLong_AsUnsignedLongLongMask": fn(Object) -> u64;
    tuple = "PyTuple_New": fn(isize) -> Object;
    tuple_set = "PyTuple_SetItem": fn(Object, isize, Object) -> c_int;
    call = "PyObject_CallObject": fn(Object, Object) -> Object;
    attribute = "PyObject_GetAttrString": fn(Object, *const c_char) -> Object;
    flag = "PyBool_FromLong": fn(c_long) -> Object;
    keep = "Py_IncRef": fn(Object);
    drop = "Py_DecRef": fn(Object);
    print_error = "PyErr_Print": fn();
    clear_error = "PyErr_Clear": fn();
    occurred = "PyErr_Occurred": fn() -> Object;
    fail = "PyErr_SetString": fn(Object, *const c_char);
    line = "PyFrame_GetLineNumber": fn(Object) -> c_int;
    set_trace = "PyEval_SetTrace": fn(Option<Trace>, Object);
    current = "PyThreadState_Get": fn() -> *mut c_void;
    swap = "PyThreadState_Swap": fn(*mut c_void) -> *mut c_void;
    interpreter = "PyInterpreterState_Head": fn() -> *mut c_void;
    first_thread = "PyInterpreterState_ThreadHead": fn(*mut c_void) -> *mut c_void;
    next_thread = "PyThreadState_Next": fn(*mut c_void) -> *mut c_void;
}

/// A symbol of the whole process; null where there is none.
pub fn look(name: &'static str) -> *mut c_void {
    debug_assert!(name.ends_with('\0'));
    // SAFETY: the name ends with a zero; RTLD_DEFAULT is null.
    unsafe { dlsym(null_mut(), name.as_ptr().cast()) }
}
