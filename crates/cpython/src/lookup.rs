//! Finding a string key of a dictionary: by its hash where that is known, else from entry to entry.

use crate::containers::{KeyTable, SplitValues};
use crate::layout::DictKeysForm;
use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

/// Most places of a table that are looked at for one key: a real table has its key or an empty place long before.
const PROBES_MAX: u32 = 1 << 12;
/// `DKIX_EMPTY`: no key was ever at this place.
const EMPTY: i64 = -1;
/// `PERTURB_SHIFT`
const PERTURB_SHIFT: u32 = 5;

impl Reader<'_> {
    /// The value of the string key `key` of a dict.
    ///
    /// # Errors
    /// When it cannot be read or is no dict.
    pub fn dict_get(&self, object: Address, key: &str) -> Result<Option<Address>, ReadError> {
        if !self.is_dict(object) {
            return Err(ReadError::Nonsense(object));
        }
        let keys = self.get(object, self.layout.dict.ma_keys)?;
        let values = self.get(object, self.layout.dict.ma_values)?;
        if !values.is_null() {
            return self.split_get(keys, self.split_values(values), key);
        }
        let table = self.key_table(keys)?;
        if let Some(entry) = self.entry_of(keys, &table, key) {
            let Some(entry) = entry else { return Ok(None) };
            let value: Address = self.scalar(table.place_of(entry).plus(table.value))?;
            return Ok(value.non_null());
        }
        let mut found = None;
        self.each_entry(object, |name, value| {
            if self.is_name(name, key) {
                found = Some(value);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// The value of the string key `key` where keys and values lie apart.
    pub(crate) fn split_get(
        &self,
        keys: Address,
        values: SplitValues,
        key: &str,
    ) -> Result<Option<Address>, ReadError> {
        let table = self.key_table(keys)?;
        if let Some(entry) = self.entry_of(keys, &table, key) {
            let Some(entry) = entry else { return Ok(None) };
            let place = match values {
                SplitValues::Plain(place) => place,
                SplitValues::Ordered(values) => {
                    self.place(values, self.layout.dict_values.values)?
                }
            };
            let value: Address = self.scalar(place.plus(entry * 8))?;
            return Ok(value.non_null());
        }
        let entries = self.split_entries(table, values)?;
        let mut found = entries
            .into_iter()
            .filter(|(name, _)| self.is_name(*name, key));
        Ok(found.next().map(|(_, value)| value))
    }

    /// The number of the entry with the string key `key`, by its hash: `Some(None)` where there is none, `None` where
    /// it cannot be told so.
    fn entry_of(&self, keys: Address, table: &KeyTable, key: &str) -> Option<Option<u64>> {
        let name_of = |entry: u64| self.scalar::<Address>(table.place_of(entry).plus(table.key));
        let hash = self.hashes.of(self, key, || name_of(0).ok())?;
        let found = IndexTable::of(self, keys).and_then(|indices| {
            indices.find(self, hash, |entry| {
                if entry >= table.count {
                    return Err(ReadError::Nonsense(keys));
                }
                Ok(self.is_name(name_of(entry)?, key))
            })
        });
        found.ok()
    }
}

impl KeyTable {
    /// Where this entry lies.
    fn place_of(&self, entry: u64) -> Address {
        self.entries.plus(entry.saturating_mul(self.stride))
    }
}

/// The index table of a `PyDictKeysObject`: from a hash to the number of an entry.
#[derive(Debug, Clone, Copy)]
struct IndexTable {
    /// Where it begins.
    place: Address,
    /// How many places it has, as a power of two.
    log2_size: u32,
}

impl IndexTable {
    /// That of the keys at `keys`.
    fn of(reader: &Reader<'_>, keys: Address) -> Result<IndexTable, ReadError> {
        let fields = &reader.layout.dict_keys;
        let log2_size = if reader.layout.traits.dict_keys == DictKeysForm::Kind {
            u32::from(reader.get(keys, fields.dk_log2_size)?)
        } else {
            let size = reader.get(keys, fields.dk_size)?.cast_unsigned();
            size.is_power_of_two()
                .then(|| size.trailing_zeros())
                .ok_or(ReadError::Nonsense(keys))?
        };
        if log2_size > 40 {
            return Err(ReadError::Nonsense(keys));
        }
        Ok(IndexTable {
            place: reader.place(keys, fields.dk_indices)?,
            log2_size,
        })
    }

    /// Bytes of one index.
    fn width(&self) -> u64 {
        match self.log2_size {
            0..8 => 1,
            8..16 => 2,
            16..32 => 4,
            _ => 8,
        }
    }

    fn index(&self, reader: &Reader<'_>, at: u64) -> Result<i64, ReadError> {
        let place = self.place.plus(at * self.width());
        Ok(match self.width() {
            1 => reader.scalar::<i8>(place)?.into(),
            2 => reader.scalar::<i16>(place)?.into(),
            4 => reader.scalar::<i32>(place)?.into(),
            _ => reader.scalar::<i64>(place)?,
        })
    }

    /// The number of the entry of which `is` says that it is the one, among those that are where a key of this hash
    /// has to be (`lookdict` in `Objects/dictobject.c`).
    fn find(
        &self,
        reader: &Reader<'_>,
        hash: i64,
        mut is: impl FnMut(u64) -> Result<bool, ReadError>,
    ) -> Result<Option<u64>, ReadError> {
        let mask = (1 << self.log2_size) - 1;
        let mut perturb = hash.cast_unsigned();
        let mut at = perturb & mask;
        for _ in 0..PROBES_MAX {
            match self.index(reader, at)? {
                EMPTY => return Ok(None),
                // Any other negative one: a key was deleted here.
                index => {
                    if let Ok(entry) = u64::try_from(index)
                        && is(entry)?
                    {
                        return Ok(Some(entry));
                    }
                }
            }
            perturb >>= PERTURB_SHIFT;
            at = at.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1) & mask;
        }
        Err(ReadError::Nonsense(self.place))
    }
}
