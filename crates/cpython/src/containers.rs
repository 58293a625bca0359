//! Lists, tuples, dictionaries, sets, deques. What lies in them is an allegation too.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

impl Reader<'_> {
    /// How many elements a list, tuple, dict, set or deque (or an instance of a subclass) has.
    ///
    /// # Errors
    /// When it cannot be read or is none of them.
    pub fn length(&self, object: Address) -> Result<u64, ReadError> {
        let _ = object;
        Err(ReadError::Absent)
    }

    /// The items of a list or tuple, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is neither.
    pub fn items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
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
        let _ = (object, limit);
        Err(ReadError::Absent)
    }

    /// The value of the string key `key` of a dict.
    ///
    /// # Errors
    /// When it cannot be read or is no dict.
    pub fn dict_get(&self, object: Address, key: &str) -> Result<Option<Address>, ReadError> {
        let _ = (object, key);
        Err(ReadError::Absent)
    }

    /// The members of a set or frozenset, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is neither.
    pub fn set_items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
    }

    /// The items of a `collections.deque`, at most `limit` of them.
    ///
    /// # Errors
    /// When it cannot be read or is no deque.
    pub fn deque_items(&self, object: Address, limit: usize) -> Result<Vec<Address>, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
    }
}
