//! Forms of objects that differ between versions and are no offsets. Each is told from which fields the layout
//! has, so that it holds for builds that the tables do not know.

use super::Layout;

/// Where an instance's attributes lie when its type has `Py_TPFLAGS_MANAGED_DICT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedDict {
    /// Up to 3.10 there is none.
    None,
    /// 3.11: two pointers before the object, the values' before the dictionary's; one of them is null.
    Pair,
    /// 3.12: one pointer before the object; to values when its lowest bit is set, else to a dictionary.
    Tagged,
    /// 3.13 and later: a pointer to a dictionary before the object; where it is null and the type has
    /// `Py_TPFLAGS_INLINE_VALUES`, the values follow the object's basic size.
    Inline,
}

impl Layout {
    /// How managed dictionaries are kept.
    pub fn managed_dict(&self) -> ManagedDict {
        if self.dict_values.capacity.exists() {
            ManagedDict::Inline
        } else if self.long.lv_tag.exists() {
            ManagedDict::Tagged
        } else if self.dict_keys.dk_kind.exists() {
            ManagedDict::Pair
        } else {
            ManagedDict::None
        }
    }

    /// Bytes from the dictionary pointer of a managed dictionary to the object. Before an object stand the
    /// collector's header (two words, not in free-threaded builds), the pointer or pointers of the dictionary, and the list of
    /// weak references.
    pub fn managed_dict_before(&self) -> u64 {
        if self.object.ob_tid.exists() { 8 } else { 24 }
    }

    /// How many bits of a string's `state` lie below its three bits of `kind`. From 3.14 on, free-threaded
    /// builds give `interned` a byte of its own.
    pub fn string_kind_shift(&self) -> u32 {
        if self.code.co_tlbc.exists() { 8 } else { 2 }
    }

    /// Whether the values of a split dictionary stand behind a pointer array alone (up to 3.10), in the order of the keys.
    pub fn values_are_plain(&self) -> bool {
        !self.dict_keys.dk_kind.exists()
    }
}
