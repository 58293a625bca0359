//! One object file's types.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gimli::{
    AttributeValue, DebuggingInformationEntry, EndianArcSlice, LittleEndian, Reader as _,
    UnitOffset,
};
use object::{Object as _, ObjectSection as _};

use crate::{DwarfError, Kind, Place};

type Slice = EndianArcSlice<LittleEndian>;
type Entry = DebuggingInformationEntry<Slice>;

/// How deep types are followed through typedefs and embedded members.
const DEPTH: usize = 32;

/// A struct or union that a file defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    unit: usize,
    entry: UnitOffset,
    /// `sizeof`, in bytes.
    pub size: u64,
}

/// The types that one file defines.
pub struct ObjectFile {
    path: PathBuf,
    dwarf: gimli::Dwarf<Slice>,
    units: Vec<gimli::Unit<Slice>>,
    named: HashMap<String, Vec<(usize, UnitOffset)>>,
}

impl std::fmt::Debug for ObjectFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ObjectFile {
    /// Opens a linked file (or a detached debug file) and indexes its types.
    ///
    /// # Errors
    /// When it cannot be read, or has no DWARF, or broken DWARF.
    pub fn open(path: &Path) -> Result<Self, DwarfError> {
        let data = std::fs::read(path).map_err(|source| DwarfError::File {
            path: path.to_owned(),
            source,
        })?;
        let object = object::File::parse(data.as_slice())?;
        let dwarf = gimli::Dwarf::load(|id| {
            let data = match object.section_by_name(id.name()) {
                Some(section) => section.uncompressed_data()?,
                None => Cow::Borrowed([].as_slice()),
            };
            Ok::<_, object::Error>(Slice::new(Arc::from(&*data), LittleEndian))
        })?;
        let mut units = Vec::new();
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            units.push(dwarf.unit(header)?);
        }
        if units.is_empty() {
            return Err(DwarfError::None(path.to_owned()));
        }
        let mut file = ObjectFile {
            path: path.to_owned(),
            dwarf,
            units,
            named: HashMap::new(),
        };
        for unit in 0..file.units.len() {
            file.index(unit)?;
        }
        Ok(file)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The different structs that bear this name, as a tag or as a typedef, in any of the file's units.
    ///
    /// # Errors
    /// When the DWARF is broken.
    pub fn definitions(&self, name: &str) -> Result<Vec<Definition>, DwarfError> {
        let mut found: Vec<Definition> = Vec::new();
        for (unit, entry) in self.named.get(name).into_iter().flatten() {
            if let Some(definition) = self.definition(*unit, *entry)?
                && !self.known(&found, definition)?
            {
                found.push(definition);
            }
        }
        Ok(found)
    }

    /// Where a path (`threads.head`) leads in a definition; `None` where there is no such member.
    ///
    /// # Errors
    /// When the DWARF is broken.
    pub fn place(&self, definition: Definition, path: &str) -> Result<Option<Place>, DwarfError> {
        let mut at = (definition.unit, definition.entry);
        let mut place = Place {
            offset: 0,
            size: definition.size,
            kind: Kind::Composite,
            bits: None,
        };
        for name in path.split('.') {
            let Some(composite) = self.resolved(at.0, at.1)? else {
                return Ok(None);
            };
            let Some(member) = self.member(composite, name, 0)? else {
                return Ok(None);
            };
            place = Place {
                offset: place.offset.saturating_add(member.place.offset),
                ..member.place
            };
            at = member.type_;
        }
        Ok(Some(place))
    }

    /// The names of a struct's members, in order; empty for anonymous ones.
    fn members(&self, definition: Definition) -> Result<Vec<String>, DwarfError> {
        let unit = &self.units[definition.unit];
        let mut names = Vec::new();
        let mut tree = unit.entries_tree(Some(definition.entry))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            if child.entry().tag() == gimli::DW_TAG_member {
                names.push(
                    self.name(definition.unit, child.entry())?
                        .unwrap_or_default(),
                );
            }
        }
        Ok(names)
    }

    fn index(&mut self, unit: usize) -> Result<(), DwarfError> {
        let mut found = Vec::new();
        let mut tree = self.units[unit].entries_tree(None)?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            let wanted = matches!(
                entry.tag(),
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef
            );
            if wanted
                && entry.attr(gimli::DW_AT_declaration).is_none()
                && let Some(name) = self.name(unit, entry)?
            {
                found.push((name, entry.offset()));
            }
        }
        for (name, offset) in found {
            self.named.entry(name).or_default().push((unit, offset));
        }
        Ok(())
    }

    fn name(&self, unit: usize, entry: &Entry) -> Result<Option<String>, DwarfError> {
        let Some(value) = entry.attr_value(gimli::DW_AT_name) else {
            return Ok(None);
        };
        let name = self.dwarf.attr_string(&self.units[unit], value)?;
        Ok(Some(name.to_string_lossy()?.into_owned()))
    }

    /// The struct behind a name's entry; `None` for anything else.
    fn definition(&self, unit: usize, entry: UnitOffset) -> Result<Option<Definition>, DwarfError> {
        let Some((unit, entry)) = self.resolved(unit, entry)? else {
            return Ok(None);
        };
        let die = self.units[unit].entry(entry)?;
        let composite = matches!(
            die.tag(),
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type
        );
        let size = die
            .attr_value(gimli::DW_AT_byte_size)
            .and_then(|value| value.udata_value());
        Ok(size
            .filter(|_| composite)
            .map(|size| Definition { unit, entry, size }))
    }

    /// Whether an equal struct was found in an earlier unit: every unit that includes a header defines it anew.
    fn known(&self, found: &[Definition], new: Definition) -> Result<bool, DwarfError> {
        for old in found {
            if old.size == new.size && self.members(*old)? == self.members(new)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Through typedefs and qualifiers to what they name; `None` where that is `void`.
    fn resolved(
        &self,
        mut unit: usize,
        mut entry: UnitOffset,
    ) -> Result<Option<(usize, UnitOffset)>, DwarfError> {
        for _ in 0..DEPTH {
            let die = self.units[unit].entry(entry)?;
            match die.tag() {
                gimli::DW_TAG_typedef
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type
                | gimli::DW_TAG_atomic_type
                | gimli::DW_TAG_restrict_type => {
                    let Some(next) = self.type_of(unit, &die)? else {
                        return Ok(None);
                    };
                    (unit, entry) = next;
                }
                _ => return Ok(Some((unit, entry))),
            }
        }
        Ok(None)
    }

    /// What an entry's `DW_AT_type` refers to.
    fn type_of(&self, unit: usize, die: &Entry) -> Result<Option<(usize, UnitOffset)>, DwarfError> {
        match die.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => Ok(Some((unit, offset))),
            Some(AttributeValue::DebugInfoRef(offset)) => {
                Ok(self.units.iter().enumerate().find_map(|(unit, candidate)| {
                    Some((unit, offset.to_unit_offset(&candidate.header)?))
                }))
            }
            _ => Ok(None),
        }
    }

    fn member(
        &self,
        composite: (usize, UnitOffset),
        name: &str,
        depth: usize,
    ) -> Result<Option<Member>, DwarfError> {
        if depth > DEPTH {
            return Ok(None);
        }
        let (unit, entry) = composite;
        let mut tree = self.units[unit].entries_tree(Some(entry))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let die = child.entry();
            if die.tag() != gimli::DW_TAG_member {
                continue;
            }
            let Some(type_) = self.type_of(unit, die)? else {
                continue;
            };
            match self.name(unit, die)? {
                Some(found) if found == name => return Ok(Some(self.described(die, type_)?)),
                Some(_) => {}
                None => {
                    let Some(inner) = self.resolved(type_.0, type_.1)? else {
                        continue;
                    };
                    if let Some(mut member) = self.member(inner, name, depth + 1)? {
                        let start = self.described(die, type_)?.place.offset;
                        member.place.offset = member.place.offset.saturating_add(start);
                        return Ok(Some(member));
                    }
                }
            }
        }
        Ok(None)
    }

    fn described(&self, die: &Entry, type_: (usize, UnitOffset)) -> Result<Member, DwarfError> {
        let number = |name| {
            die.attr_value(name)
                .and_then(|value: AttributeValue<_>| value.udata_value())
        };
        let (size, kind) = self.size(type_.0, type_.1, 0)?;
        let offset = number(gimli::DW_AT_data_member_location);
        let bits = number(gimli::DW_AT_bit_size);
        let (offset, bits) = match (offset, bits) {
            (offset, None) => (offset.unwrap_or(0), None),
            (offset, Some(width)) => {
                let start = match offset {
                    // DWARF 4 on: bits from the start of the struct.
                    None => number(gimli::DW_AT_data_bit_offset).unwrap_or(0),
                    // Before: bits from the most significant end of the storage unit.
                    Some(offset) => {
                        let high = number(gimli::DW_AT_bit_offset).unwrap_or(0);
                        (offset.saturating_add(size).saturating_mul(8))
                            .saturating_sub(high.saturating_add(width))
                    }
                };
                (start / 8, Some((start % 8, width)))
            }
        };
        Ok(Member {
            place: Place {
                offset,
                size,
                kind,
                bits,
            },
            type_,
        })
    }

    /// Size and kind of a type.
    fn size(
        &self,
        unit: usize,
        entry: UnitOffset,
        depth: usize,
    ) -> Result<(u64, Kind), DwarfError> {
        let Some((unit, entry)) = self.resolved(unit, entry)? else {
            return Ok((0, Kind::Scalar));
        };
        let die = self.units[unit].entry(entry)?;
        let size = die
            .attr_value(gimli::DW_AT_byte_size)
            .and_then(|value| value.udata_value());
        match die.tag() {
            gimli::DW_TAG_pointer_type => Ok((size.unwrap_or(8), Kind::Scalar)),
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                Ok((size.unwrap_or(0), Kind::Composite))
            }
            gimli::DW_TAG_array_type if depth < DEPTH => {
                let element = match self.type_of(unit, &die)? {
                    Some((unit, entry)) => self.size(unit, entry, depth + 1)?.0,
                    None => 0,
                };
                Ok((
                    element.saturating_mul(self.length(unit, entry)?),
                    Kind::Composite,
                ))
            }
            _ => Ok((size.unwrap_or(0), Kind::Scalar)),
        }
    }

    /// Number of elements of an array; 0 where it is open.
    fn length(&self, unit: usize, entry: UnitOffset) -> Result<u64, DwarfError> {
        let mut length: u64 = 1;
        let mut tree = self.units[unit].entries_tree(Some(entry))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let number = |name| {
                child
                    .entry()
                    .attr_value(name)
                    .and_then(|value: AttributeValue<_>| value.udata_value())
            };
            let count = number(gimli::DW_AT_count)
                .or_else(|| number(gimli::DW_AT_upper_bound).and_then(|last| last.checked_add(1)));
            length = length.saturating_mul(count.unwrap_or(0));
        }
        Ok(length)
    }
}

struct Member {
    place: Place,
    type_: (usize, UnitOffset),
}
