//! The layout of a process whose patch release no table is of: what is in doubt is asked of the process.

use crate::layout::{Layout, Version};
use crate::reader::Reader;
use snapshot::Address;

/// The reader's layout with the private structs as this process has them; `None` where there is nothing to change.
/// `interpreter` is the state of an interpreter that has imported what it uses.
pub fn refined(reader: &Reader<'_>, version: &Version, interpreter: Address) -> Option<Layout> {
    let basicsize = |module: &str, name: &str| {
        let module = reader.module(interpreter, module).ok()??;
        let ty = reader.dict_get(module, name).ok()??;
        let size = reader.get(ty, reader.layout.type_object.tp_basicsize);
        u64::try_from(size.ok()?).ok()
    };
    let mut layout = reader.layout.clone();
    let changed = layout.refine(version, &basicsize);
    (!changed.is_empty()).then_some(layout)
}
