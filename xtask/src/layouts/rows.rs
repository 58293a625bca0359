//! One build's rows, from its DWARF.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use cpython::layout::{ABSENT, FieldSpec, Layout, StructSpec, Version};
use dwarfstruct::{Located, ObjectFile};

use super::sources::Source;

/// The rows of one build, as in the tables.
pub struct Rows {
    /// Its version.
    pub version: Version,
    /// Where the debugging information came from.
    pub origin: String,
    /// For each of [`Layout::SPECS`]: the size, then each field's offset.
    pub rows: Vec<Vec<u32>>,
    /// By the name of each struct that was found, whether it begins with an object's header.
    pub objects: BTreeMap<&'static str, bool>,
}

/// Paths to an object's header at the start of a struct.
const HEADER: &[&str] = &["ob_base", "dict.ob_base", "od_dict.ob_base"];

impl Rows {
    /// Reads a source. Fields whose size is not the declared one are an error: the declaration is wrong.
    pub fn read(source: &Source) -> Result<Self> {
        let mut files = Vec::new();
        for path in &source.files {
            match ObjectFile::open(path) {
                Ok(file) => files.push(file),
                Err(dwarfstruct::DwarfError::None(_)) => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        ensure!(
            !files.is_empty(),
            "no debugging information in any of its files"
        );
        let mut wrong = Vec::new();
        let mut rows = Vec::new();
        let mut objects = BTreeMap::new();
        for spec in Layout::SPECS {
            let paths: Vec<&[&str]> = spec
                .fields
                .iter()
                .map(|field| field.paths)
                .chain([HEADER])
                .collect();
            let located = dwarfstruct::locate(&files, spec.dwarf, &paths)?;
            rows.push(row(spec, located.as_ref(), &mut wrong)?);
            if let Some(header) = located.as_ref().and_then(|located| located.places.last()) {
                objects.insert(spec.name, header.is_some());
            }
        }
        ensure!(
            wrong.is_empty(),
            "the declarations do not fit:\n  {}",
            wrong.join("\n  ")
        );
        Ok(Rows {
            version: source.version,
            origin: source.origin.clone(),
            rows,
            objects,
        })
    }

    /// Prints what this build lacks.
    pub fn tell_absent(&self) {
        for (spec, row) in Layout::SPECS.iter().zip(&self.rows) {
            if row.first() == Some(&ABSENT) {
                eprintln!("    no {}", spec.name);
                continue;
            }
            let absent: Vec<&str> = spec
                .fields
                .iter()
                .zip(row.iter().skip(1))
                .filter(|(_, offset)| **offset == ABSENT)
                .map(|(field, _)| field.name)
                .collect();
            if !absent.is_empty() {
                eprintln!("    {} without {}", spec.name, absent.join(", "));
            }
        }
    }
}

fn row(spec: &StructSpec, located: Option<&Located>, wrong: &mut Vec<String>) -> Result<Vec<u32>> {
    let Some(located) = located else {
        return Ok(vec![ABSENT; spec.fields.len() + 1]);
    };
    let mut row = vec![u32::try_from(located.size)?];
    for (field, found) in spec.fields.iter().zip(&located.places) {
        row.push(match found {
            None => ABSENT,
            Some((path, place)) => {
                if let Some(why) = misfit(field, place) {
                    wrong.push(format!("{}.{} ({path}) {why}", spec.name, field.name));
                }
                u32::try_from(place.offset)?
            }
        });
    }
    Ok(row)
}

/// Why a field cannot be read as it is declared.
fn misfit(field: &FieldSpec, place: &dwarfstruct::Place) -> Option<String> {
    if let Some((bit, width)) = place.bits
        && bit != 0
    {
        return Some(format!(
            "is a bit field: bit {bit} of byte {}, {width} wide",
            place.offset
        ));
    }
    (field.size != 0 && field.size as u64 != place.size)
        .then(|| format!("has {} bytes, not {}", place.size, field.size))
}
