//! Where the fields of a C struct lie, by the DWARF of object files.
//!
//! An [`ObjectFile`] indexes the structs, unions and typedefs that one linked file or detached debug file defines;
//! a [`Definition`] is one of them, and [`ObjectFile::place`] follows a path such as `threads.head` in it, through
//! typedefs, embedded structs and anonymous members, never through a pointer.
//!
//! For chores and tests: files are taken to be honest, yet a broken one is an error and not a panic.

mod file;

pub use file::{Definition, ObjectFile};

/// Where something lies in a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Bytes that it takes; for a bit field those of its declared type. 0 for an array of unknown length.
    pub size: u64,
    /// What stands there.
    pub kind: Kind,
    /// For a bit field, its lowest bit within the byte at `offset` (0 to 7), and its width.
    pub bits: Option<(u64, u64)>,
}

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number, an enumeration, a pointer.
    Scalar,
    /// A struct, a union, an array.
    Composite,
}

/// Why a file's DWARF cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DwarfError {
    /// The file itself.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not an object file, or a broken one.
    #[error(transparent)]
    Object(#[from] object::Error),
    /// Its debugging information.
    #[error(transparent)]
    Dwarf(#[from] gimli::Error),
    /// No debugging information at all.
    #[error("{} has no DWARF", .0.display())]
    None(std::path::PathBuf),
}

/// A struct and the places asked for in it.
#[derive(Debug, Clone)]
pub struct Located {
    /// The file that defines it.
    pub file: std::path::PathBuf,
    /// `sizeof`, in bytes.
    pub size: u64,
    /// For each field asked for: the first of its paths that exists, and where that leads.
    pub places: Vec<Option<(String, Place)>>,
}

/// Finds a struct by its names, the first name that any file knows counts, and in it the fields, each by its paths.
/// Of different structs of one name (files have private ones) the one with most of the fields counts.
///
/// # Errors
/// When the DWARF is broken.
pub fn locate(
    files: &[ObjectFile],
    names: &[&str],
    fields: &[&[&str]],
) -> Result<Option<Located>, DwarfError> {
    for name in names {
        let mut best: Option<(usize, Located)> = None;
        for file in files {
            for definition in file.definitions(name)? {
                let places = fields
                    .iter()
                    .map(|paths| first(file, definition, paths))
                    .collect::<Result<Vec<_>, _>>()?;
                let count = places.iter().flatten().count();
                if best.as_ref().is_none_or(|(most, _)| count > *most) {
                    let located = Located {
                        file: file.path().to_owned(),
                        size: definition.size,
                        places,
                    };
                    best = Some((count, located));
                }
            }
        }
        if let Some((_, located)) = best {
            return Ok(Some(located));
        }
    }
    Ok(None)
}

fn first(
    file: &ObjectFile,
    definition: Definition,
    paths: &[&str],
) -> Result<Option<(String, Place)>, DwarfError> {
    for path in paths {
        if let Some(place) = file.place(definition, path)? {
            return Ok(Some(((*path).to_owned(), place)));
        }
    }
    Ok(None)
}
