//! What one look keeps so that nothing is read twice.

use crate::code::CodeCache;
use crate::object::TypeCache;

/// Kept over the looks at one process; everything in it is checked again or dropped when a new look begins.
#[derive(Debug, Default)]
pub struct Caches {
    /// Code objects by address.
    pub codes: CodeCache,
    /// Types by address.
    pub types: TypeCache,
}

impl Caches {
    /// Begins a new look: what the target may have freed meanwhile is checked before it is used again.
    pub fn begin_look(&self) {
        self.codes.begin_look();
        self.types.clear();
    }
}
