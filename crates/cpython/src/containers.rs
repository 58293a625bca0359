//! Lists, tuples, dictionaries, sets, deques. What lies in them is an allegation too.

use crate::layout::DictKeysForm;
use crate::object::flags;
use crate::reader::{Reader, Scalar};
use process::ReadError;
use snapshot::Address;

/// Most entries of a dictionary or set that are gone through, whatever the caller's limit: empty places count.
const SCAN_LIMIT: u64 = 1 << 17;
/// Entries read at once.
const CHUNK: u64 = 256;
/// Items in one block of a deque (`BLOCKLEN`).
const DEQUE_BLOCK: u64 = 64;
/// Most keys that instances of a class share (`SHARED_KEYS_MAX_SIZE` and its forerunners).
const SHARED_KEYS_LIMIT: u64 = 256;

/// Where a dictionary's keys lie and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyTable {
    pub entries: Address,
    pub count: u64,
    pub stride: u64,
    pub key: u64,
    pub value: u64,
}

/// The values of a split dictionary: an array of pointers beside shared keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SplitValues {
    /// Up to 3.10: as many as keys, in their order.
    Plain(Address),
    /// From 3.11: `PyDictValues`.
    Ordered(Address),
}

impl Reader<'_> {
    /// How many elements a list, tuple, dict, set or deque (or an instance of a subclass) has.
    ///
    /// # Errors
    /// When it cannot be read or is none of them.
    pub fn length(&self, object: Address) -> Result<u64, ReadError> {
        let class = self.class_of(object)?;
        let length = if class.has(flags::LIST | flags::TUPLE) {
            self.get(object, self.layout.object.ob_size)?
        } else if class.has(flags::DICT) || class.is("builtins", "frozendict") {
            self.get(object, self.layout.dict.ma_used)?
        } else if self.is_subclass(&class, "collections", "deque") {
            self.get(object, self.layout.object.ob_size)?
        } else if self.is_subclass(&class, "builtins", "set")
            || self.is_subclass(&class, "builtins", "frozenset")
        {
            self.get(object, self.layout.set.used)?
        } else {
            return Err(ReadError::Nonsense(object));
        };
        u64::try_from(length).map_err(|_| ReadError::Nonsense(object))
    }

    /// The items of a list or tuple, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is neither.
    pub fn items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        let class = self.class_with(object, flags::LIST | flags::TUPLE)?;
        if class.has(flags::TUPLE) {
            return self.raw_tuple(object, limit);
        }
        let count = self.size_of_var(object)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        self.pointers(self.get(object, self.layout.list.ob_item)?, count, limit)
    }

    /// Keys and values of a dict in its order, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is no dict.
    pub fn dict_items(
        &self,
        object: Address,
        limit: usize,
    ) -> Result<Vec<(Address, Address)>, ReadError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.each_entry(object, |key, value| {
            found.push((key, value));
            found.len() < limit
        })?;
        Ok(found)
    }

    /// The members of a set or frozenset, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is neither.
    pub fn set_items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        let class = self.class_of(object)?;
        let is_set = |name| self.is_subclass(&class, "builtins", name);
        if !is_set("set") && !is_set("frozenset") {
            return Err(ReadError::Nonsense(object));
        }
        let layout = self.layout;
        let table = self.get(object, layout.set.table)?;
        let last = u64::try_from(self.get(object, layout.set.mask)?)
            .map_err(|_| ReadError::Nonsense(object))?;
        let used = u64::try_from(self.get(object, layout.set.used)?)
            .map_err(|_| ReadError::Nonsense(object))?;
        let entries = KeyTable {
            entries: table,
            count: last.saturating_add(1),
            stride: layout.set_entry.size,
            key: layout.set_entry.key.offset().ok_or(ReadError::Absent)?,
            value: layout.set_entry.hash.offset().ok_or(ReadError::Absent)?,
        };
        let wanted = limit.min(usize::try_from(used).unwrap_or(limit));
        let mut found = Vec::new();
        if wanted == 0 {
            return Ok(found);
        }
        self.each_pair(entries, |key, hash| {
            // A removed member leaves a dummy behind, whose hash is -1, which no real one has.
            if !key.is_null() && hash.0 != u64::MAX {
                found.push(key);
            }
            found.len() < wanted
        })?;
        Ok(found)
    }

    /// The items of a `collections.deque`, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is no deque.
    pub fn deque_items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        if !self.is_instance(object, "collections", "deque") {
            return Err(ReadError::Nonsense(object));
        }
        let layout = self.layout;
        let mut left = self.size_of_var(object)?.min(limit as u64);
        let mut block = self.get(object, layout.deque.leftblock)?;
        let mut index = u64::try_from(self.get(object, layout.deque.leftindex)?)
            .ok()
            .filter(|index| *index <= DEQUE_BLOCK)
            .ok_or(ReadError::Nonsense(object))?;
        let mut found = Vec::new();
        while left > 0 {
            let here = left.min(DEQUE_BLOCK - index);
            let data = self.place(block, layout.deque_block.data)?;
            found.extend(self.pointers(data.plus(index * 8), here, limit)?);
            left -= here;
            index = 0;
            if left > 0 {
                block = self.get(block, layout.deque_block.rightlink)?;
            }
        }
        Ok(found)
    }

    /// As [`Reader::items`], of what is known to be a tuple.
    pub(crate) fn raw_tuple(
        &self,
        object: Address,
        limit: usize,
    ) -> Result<Vec<Address>, ReadError> {
        let count = self.size_of_var(object)?;
        self.pointers(self.place(object, self.layout.tuple.ob_item)?, count, limit)
    }

    /// An array of `count` pointers, at most `limit` of them.
    pub(crate) fn pointers(
        &self,
        place: Address,
        count: u64,
        limit: usize,
    ) -> Result<Vec<Address>, ReadError> {
        let count = count.min(limit as u64);
        let mut found = Vec::new();
        // In pieces, so that a senseless count fails where the memory ends.
        let mut done = 0;
        while done < count {
            let piece = (count - done).min(4096);
            let bytes = self.bytes(place.plus(done.saturating_mul(8)), piece * 8, 1 << 16)?;
            found.extend(bytes.chunks_exact(8).map(Address::from_bytes));
            done += piece;
        }
        Ok(found)
    }

    /// Whether the string at `string` is `name`.
    pub(crate) fn is_name(&self, string: Address, name: &str) -> bool {
        match self.known_name(string) {
            Some(known) => *known == *name,
            None => {
                self.class_with_flag(string, flags::UNICODE)
                    && self.name(string).is_ok_and(|text| *text == *name)
            }
        }
    }

    /// As [`Reader::class_with`], but needs nothing of the type but its flags: reading a type asks it.
    fn class_with_flag(&self, object: Address, flag: u64) -> bool {
        self.type_of(object)
            .and_then(|ty| self.get(ty, self.layout.type_object.tp_flags))
            .is_ok_and(|bits| bits & flag != 0)
    }

    /// Whether it is a dict, or 3.15's frozendict, which is no subclass of it.
    pub(crate) fn is_dict(&self, object: Address) -> bool {
        self.class_with_flag(object, flags::DICT)
            || self
                .type_of(object)
                .and_then(|ty| self.get(ty, self.layout.type_object.tp_name))
                .and_then(|name| self.c_string(name, 16))
                .is_ok_and(|name| name == "frozendict")
    }

    /// Goes through keys and values of a dict in its order, until `step` says that it has enough.
    pub(crate) fn each_entry(
        &self,
        object: Address,
        mut step: impl FnMut(Address, Address) -> bool,
    ) -> Result<(), ReadError> {
        let layout = self.layout;
        if !self.is_dict(object) {
            return Err(ReadError::Nonsense(object));
        }
        let keys = self.key_table(self.get(object, layout.dict.ma_keys)?)?;
        let values = self.get(object, layout.dict.ma_values)?;
        if values.is_null() {
            return self.each_pair(keys, |key, value| {
                key.is_null() || value.is_null() || step(key, value)
            });
        }
        for (key, value) in self.split_entries(keys, self.split_values(values))? {
            if !step(key, value) {
                break;
            }
        }
        Ok(())
    }

    /// The values at `values` of a split dictionary.
    pub(crate) fn split_values(&self, values: Address) -> SplitValues {
        match self.layout.traits.dict_keys {
            DictKeysForm::Size => SplitValues::Plain(values),
            DictKeysForm::Kind => SplitValues::Ordered(values),
        }
    }

    /// Keys that have a value, with it, in the order in which they were set (up to 3.10: in the keys' order).
    pub(crate) fn split_entries(
        &self,
        keys: KeyTable,
        values: SplitValues,
    ) -> Result<Vec<(Address, Address)>, ReadError> {
        let count = keys.count.min(SHARED_KEYS_LIMIT);
        let layout = &self.layout.dict_values;
        let (place, order): (Address, Vec<u64>) = match values {
            SplitValues::Plain(place) => (place, (0..count).collect()),
            SplitValues::Ordered(values) => (
                self.place(values, layout.values)?,
                self.insertion_order(values)?,
            ),
        };
        let mut names = Vec::new();
        self.each_pair(KeyTable { count, ..keys }, |key, _| {
            names.push(key);
            true
        })?;
        let values = self.pointers(place, count, SHARED_KEYS_LIMIT as usize)?;
        let pair = |index: u64| {
            let index = usize::try_from(index).ok()?;
            Some((
                names.get(index)?.non_null()?,
                values.get(index)?.non_null()?,
            ))
        };
        Ok(order.into_iter().filter_map(pair).collect())
    }

    /// Indices of the values that were set, in that order.
    fn insertion_order(&self, values: Address) -> Result<Vec<u64>, ReadError> {
        let layout = &self.layout.dict_values;
        let bytes = if layout.capacity.exists() {
            let capacity = self.get(values, layout.capacity)?;
            let size = self.get(values, layout.values_size)?.min(capacity);
            let array = self
                .place(values, layout.values)?
                .plus(u64::from(capacity) * 8);
            self.bytes(array, size.into(), 256)?
        } else {
            // 3.11 and 3.12: bytes before the values: their room, the count, then the order, all backwards.
            let size: u8 = self.scalar(values.minus(2))?;
            let size = u64::from(size);
            let mut bytes = self.bytes(values.minus(2 + size), size, 256)?;
            bytes.reverse();
            bytes
        };
        Ok(bytes.into_iter().map(u64::from).collect())
    }

    /// Where the entries of a `PyDictKeysObject` lie.
    pub(crate) fn key_table(&self, keys: Address) -> Result<KeyTable, ReadError> {
        let layout = self.layout;
        let nonsense = ReadError::Nonsense(keys);
        let indices = self.place(keys, layout.dict_keys.dk_indices)?;
        let count =
            u64::try_from(self.get(keys, layout.dict_keys.dk_nentries)?).map_err(|_| nonsense)?;
        let (index_bytes, general) = if layout.traits.dict_keys == DictKeysForm::Kind {
            let log2 = self.get(keys, layout.dict_keys.dk_log2_index_bytes)?;
            let bytes = 1u64.checked_shl(log2.into()).ok_or(nonsense)?;
            (bytes, self.get(keys, layout.dict_keys.dk_kind)? == 0)
        } else {
            let size =
                u64::try_from(self.get(keys, layout.dict_keys.dk_size)?).map_err(|_| nonsense)?;
            let width = match size {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                0x1_0000..=0xffff_ffff => 4,
                _ => 8,
            };
            (size.checked_mul(width).ok_or(nonsense)?, true)
        };
        let (stride, key, value) = if general {
            let entry = &layout.dict_entry;
            (entry.size, entry.me_key, entry.me_value)
        } else {
            let entry = &layout.dict_unicode_entry;
            (entry.size, entry.me_key, entry.me_value)
        };
        Ok(KeyTable {
            entries: indices.checked_add(index_bytes).ok_or(nonsense)?,
            count,
            stride,
            key: key.offset().ok_or(ReadError::Absent)?,
            value: value.offset().ok_or(ReadError::Absent)?,
        })
    }

    /// Goes through two words of each entry of a table, until `step` says that it has enough.
    fn each_pair(
        &self,
        table: KeyTable,
        mut step: impl FnMut(Address, Address) -> bool,
    ) -> Result<(), ReadError> {
        let KeyTable {
            entries, stride, ..
        } = table;
        let count = table.count.min(SCAN_LIMIT);
        let word = |entry: &[u8], offset: u64| {
            let start = usize::try_from(offset).ok()?;
            Some(Address::from_bytes(entry.get(start..start + 8)?))
        };
        if stride == 0 {
            return Err(ReadError::Absent);
        }
        let mut done = 0;
        while done < count {
            let piece = (count - done).min(CHUNK);
            let place = entries.plus(done.saturating_mul(stride));
            let bytes = self.bytes(place, piece * stride, 1 << 16)?;
            for entry in bytes.chunks_exact(stride as usize) {
                let (Some(key), Some(value)) = (word(entry, table.key), word(entry, table.value))
                else {
                    return Err(ReadError::Absent);
                };
                if !step(key, value) {
                    return Ok(());
                }
            }
            done += piece;
        }
        Ok(())
    }
}
