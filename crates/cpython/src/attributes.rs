//! Attributes of instances, classes and modules, without running any of their code.

use crate::reader::Reader;
use process::ReadError;
use snapshot::Address;

impl Reader<'_> {
    /// The instance's own attribute `name`: from its `__dict__`, its inline values or its `__slots__`.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attribute(&self, object: Address, name: &str) -> Result<Option<Address>, ReadError> {
        let _ = (object, name);
        Err(ReadError::Absent)
    }

    /// The instance's own attributes, at most `limit` of them: `__dict__` or inline values first, then slots.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn attributes(
        &self,
        object: Address,
        limit: usize,
    ) -> Result<Vec<(String, Address)>, ReadError> {
        let _ = (object, limit);
        Err(ReadError::Absent)
    }

    /// What `name` is in the dictionaries of the type at `ty` and its bases.
    ///
    /// # Errors
    /// When the type cannot be read.
    pub fn class_attribute(&self, ty: Address, name: &str) -> Result<Option<Address>, ReadError> {
        let _ = (ty, name);
        Err(ReadError::Absent)
    }

    /// The dictionary of the module object at `module`.
    ///
    /// # Errors
    /// When it cannot be read or is no module.
    pub fn module_dict(&self, module: Address) -> Result<Address, ReadError> {
        let _ = module;
        Err(ReadError::Absent)
    }

    /// The dictionary of the imported module `name` of the interpreter state at `interpreter`.
    ///
    /// # Errors
    /// When `sys.modules` cannot be read.
    pub fn module(&self, interpreter: Address, name: &str) -> Result<Option<Address>, ReadError> {
        let _ = (interpreter, name);
        Err(ReadError::Absent)
    }
}
