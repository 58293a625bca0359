//! An address in another process: an allegation until something is read there.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A virtual address in the target. Written as `0x…` in JSON and text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub u64);

impl Address {
    /// The null pointer.
    pub const NULL: Address = Address(0);

    /// Whether this is the null pointer.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// This address if it is not null.
    pub fn non_null(self) -> Option<Address> {
        (self.0 != 0).then_some(self)
    }

    /// `self + bytes`; `None` on overflow.
    pub fn checked_add(self, bytes: u64) -> Option<Address> {
        self.0.checked_add(bytes).map(Address)
    }

    /// `self + bytes`, clamped to the top of the address space, where no read succeeds.
    pub fn plus(self, bytes: u64) -> Address {
        Address(self.0.saturating_add(bytes))
    }

    /// `self - bytes`, clamped to 0, where no read succeeds.
    pub fn minus(self, bytes: u64) -> Address {
        Address(self.0.saturating_sub(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| serde::de::Error::custom("an address starts with 0x"))?;
        u64::from_str_radix(digits, 16)
            .map(Address)
            .map_err(serde::de::Error::custom)
    }
}
