//! What one look keeps so that nothing is read twice.

use crate::bytecode::Dialect;
use crate::code::CodeCache;
use crate::hash::Hashes;
use crate::object::TypeCache;
use snapshot::Address;

/// Kept over the looks at one process; everything in it is checked again or dropped when a new look begins.
#[derive(Debug)]
pub struct Caches {
    /// Code objects by address.
    pub codes: CodeCache,
    /// Types by address.
    pub types: TypeCache,
    /// How the process hashes strings.
    pub hashes: Hashes,
}

impl Caches {
    /// Empty ones, for a process whose bytecode is of this dialect and whose `_Py_HashSecret` is at `hash_secret`.
    pub fn new(dialect: &'static Dialect, hash_secret: Option<Address>) -> Self {
        Caches {
            hashes: Hashes::new(hash_secret),
            codes: CodeCache::new(dialect),
            types: TypeCache::default(),
        }
    }

    /// Begins a new look: what the target may have freed meanwhile is checked before it is used again.
    pub fn begin_look(&self) {
        self.codes.begin_look();
        self.types.clear();
    }
}
