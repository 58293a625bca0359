//! How the generated tables are kept and searched.

use super::tables::{COLUMNS, TABLES};
use super::{Layout, Traits, Version};

/// The layout of one build of CPython.
#[derive(Debug)]
pub struct Table {
    /// The version whose DWARF it was read from.
    pub version: Version,
    /// Where that DWARF came from, for people.
    pub source: &'static str,
    /// For each struct of [`columns`]: its size, then the offset of each of its fields.
    pub rows: &'static [&'static [u32]],
}

/// All tables, oldest version first, a free-threaded build after the default one.
pub fn tables() -> &'static [Table] {
    TABLES
}

/// What the rows of [`tables`] tell of: names of structs, and of their fields.
pub fn columns() -> &'static [(&'static str, &'static [&'static str])] {
    COLUMNS
}

impl Table {
    /// As a layout.
    pub fn layout(&self) -> Layout {
        Layout::from_rows(COLUMNS, self.rows, Traits::of(&self.version))
    }
}

impl Layout {
    /// The layout of this version: of its table, or of the one nearest to it among those of the same minor version
    /// and kind of build. `None` for a minor version that is not known.
    pub fn for_version(version: &Version) -> Option<Layout> {
        let nearest =
            variants_of(version).min_by_key(|table| table.version.micro.abs_diff(version.micro))?;
        Some(nearest.layout())
    }

    /// One layout for each minor version and kind of build, newest first, with a version that stands for it:
    /// what is tried on a process that does not tell its version.
    pub fn candidates() -> impl Iterator<Item = (Version, Layout)> {
        let mut seen = std::collections::BTreeSet::new();
        TABLES
            .iter()
            .rev()
            .filter(move |table| seen.insert((table.version.minor, table.version.free_threaded)))
            .map(|table| (table.version, table.layout()))
    }

    /// The layouts known of this minor version and kind of build, newest first.
    pub fn variants(version: &Version) -> impl Iterator<Item = (Version, Layout)> {
        variants_of(version).map(|table| (table.version, table.layout()))
    }
}

fn variants_of(version: &Version) -> impl DoubleEndedIterator<Item = &'static Table> {
    let key = |version: &Version| (version.major, version.minor, version.free_threaded);
    let wanted = key(version);
    TABLES
        .iter()
        .rev()
        .filter(move |table| key(&table.version) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_all_that_is_declared() {
        let declared = |spec: &&crate::layout::StructSpec| {
            let fields: Vec<&str> = spec.fields.iter().map(|field| field.name).collect();
            (spec.name, fields)
        };
        let declared: Vec<_> = Layout::SPECS.iter().map(declared).collect();
        let held: Vec<_> = columns()
            .iter()
            .map(|(name, fields)| (*name, fields.to_vec()))
            .collect();
        assert_eq!(held, declared, "run `cargo xtask layouts`");
    }

    #[test]
    fn each_known_kind_of_build_has_a_candidate() {
        let tags: Vec<String> = Layout::candidates()
            .map(|(version, _)| version.tag())
            .collect();
        let known = [
            "3.15t", "3.15", "3.14t", "3.14", "3.13t", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8",
        ];
        assert_eq!(tags, known);
    }

    #[test]
    fn every_row_fits_its_struct() {
        for table in tables() {
            assert_eq!(table.rows.len(), columns().len(), "{}", table.version);
            for (row, (name, _)) in table.rows.iter().zip(columns()) {
                let size = row.first().copied().unwrap_or(0);
                let inside = |offset: &u32| *offset <= size || *offset == crate::layout::ABSENT;
                assert!(row.iter().all(inside), "{} {name}", table.version);
            }
        }
    }
}
