//! Where every field of CPython's structs lies: one declaration per struct, filled from the tables and from
//! the process's own `_Py_DebugOffsets`. The only place that tells one version from another.

pub mod debug_offsets;
mod declarations;
mod field;
mod refine;
mod table;
#[rustfmt::skip]
mod tables;
mod traits;
mod version;

pub use debug_offsets::{Correction, DebugInfo, DebugOffsetsError};
pub use declarations::*;
pub use field::{ABSENT, Field, FieldSpec, StructSpec};
pub use table::{Table, columns, tables};
pub use traits::*;
pub use version::{FINAL, Version};
