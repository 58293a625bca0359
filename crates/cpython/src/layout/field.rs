//! One field of a foreign struct: where it lies and what stands there.

use std::marker::PhantomData;

/// A field of type `T` at a fixed offset of a foreign struct, or absent in this layout.
pub struct Field<T> {
    offset: u32,
    value: PhantomData<fn() -> T>,
}

/// The offset that says "this layout has no such field".
pub const ABSENT: u32 = u32::MAX;

impl<T> Field<T> {
    /// A field at `offset` bytes from the start of its struct; [`ABSENT`] for none.
    pub const fn at(offset: u32) -> Self {
        Field {
            offset,
            value: PhantomData,
        }
    }

    /// Bytes from the start of the struct; `None` where this layout has no such field.
    pub fn offset(self) -> Option<u64> {
        (self.offset != ABSENT).then_some(u64::from(self.offset))
    }

    /// As the tables write it: the offset or [`ABSENT`].
    pub(super) fn raw(self) -> u32 {
        self.offset
    }

    /// The same, to be changed.
    pub(super) fn raw_mut(&mut self) -> &mut u32 {
        &mut self.offset
    }

    /// Bytes of what stands there; 0 for an embedded array or struct.
    pub(super) fn width(self) -> u64 {
        size_of::<T>() as u64
    }

    /// Whether this layout has the field.
    pub fn exists(self) -> bool {
        self.offset != ABSENT
    }
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> std::fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.offset() {
            Some(offset) => write!(f, "+{offset}"),
            None => f.write_str("absent"),
        }
    }
}

/// What a struct's declaration says, for the generator and the tests.
#[derive(Debug)]
pub struct StructSpec {
    /// Our name of it.
    pub name: &'static str,
    /// The struct's names in DWARF (typedef, tag), the first one found counts.
    pub dwarf: &'static [&'static str],
    /// Its fields, in order.
    pub fields: &'static [FieldSpec],
}

/// What a field's declaration says, for the generator and the tests.
#[derive(Debug)]
pub struct FieldSpec {
    /// Our name of it.
    pub name: &'static str,
    /// Paths in DWARF (`threads.head`), the first one found counts.
    pub paths: &'static [&'static str],
    /// Size in bytes of what is read there; 0 for an embedded array or struct, of which only the place matters.
    pub size: usize,
}

/// Where the element is: at the place where it is expected, as a rule.
pub(super) fn position<T>(
    elements: &[T],
    expected: usize,
    is_it: impl Fn(&T) -> bool,
) -> Option<usize> {
    if elements.get(expected).is_some_and(&is_it) {
        return Some(expected);
    }
    elements.iter().position(is_it)
}

/// Declares foreign structs: typed fields, each with its paths in DWARF.
macro_rules! foreign {
    ($( $(#[$doc:meta])* $name:ident / $member:ident = $($dwarf:literal)|+ {
        $( $(#[$fdoc:meta])* $field:ident : $ty:ty = $($path:literal)|+ , )*
    } )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            #[allow(missing_docs)] // the fields bear CPython's own names
            pub struct $name {
                /// `sizeof`, in bytes; 0 when this layout has no such struct.
                pub size: u64,
                $( $(#[$fdoc])* pub $field: $crate::layout::Field<$ty>, )*
            }

            impl $name {
                /// The declaration, for the generator and the tests.
                pub const SPEC: $crate::layout::StructSpec = $crate::layout::StructSpec {
                    name: stringify!($name),
                    dwarf: &[$($dwarf),+],
                    fields: &[$( $crate::layout::FieldSpec {
                        name: stringify!($field), paths: &[$($path),+], size: std::mem::size_of::<$ty>(),
                    } ),*],
                };

                /// From a row of the tables: the size, then the offset of each field of `columns`.
                /// What the row lacks is absent.
                pub(super) fn from_row(columns: &[&str], row: &[u32]) -> Self {
                    let size = row.first().copied().filter(|size| *size != $crate::layout::ABSENT);
                    let mut next = 0;
                    let mut offset = |name: &str| {
                        let column = $crate::layout::field::position(columns, next, |column| *column == name)?;
                        next = column + 1;
                        row.get(next).copied()
                    };
                    $name {
                        size: size.map_or(0, u64::from),
                        $( $field: $crate::layout::Field::at(
                            offset(stringify!($field)).unwrap_or($crate::layout::ABSENT)
                        ), )*
                    }
                }

                /// The size, then each field's offset, in the order of the declaration; [`ABSENT`] for what is absent.
                ///
                /// [`ABSENT`]: $crate::layout::ABSENT
                fn to_row(self) -> Vec<u32> {
                    let size = u32::try_from(self.size).ok().filter(|size| *size != 0);
                    vec![size.unwrap_or($crate::layout::ABSENT), $( self.$field.raw() ),*]
                }
            }
        )*

        /// Where everything lies in one build of CPython.
        #[derive(Debug, Clone)]
        pub struct Layout {
            $( $(#[$doc])* pub $member: $name, )*
            /// What is no offset and yet differs between versions.
            pub traits: $crate::layout::Traits,
        }

        impl Layout {
            /// All declarations, in the order of the tables.
            pub const SPECS: &'static [&'static $crate::layout::StructSpec] = &[$(&$name::SPEC),*];

            /// From the tables' rows, one for each struct of `columns`. Both go by name, so that a field declared
            /// since the tables were made is absent, and every other one in its place.
            pub(super) fn from_rows(columns: &[(&str, &[&str])], rows: &[&[u32]], traits: $crate::layout::Traits) -> Self {
                let mut next = 0;
                let mut row = |name: &str| {
                    let at = $crate::layout::field::position(columns, next, |(struct_, _)| *struct_ == name)?;
                    next = at + 1;
                    Some((columns.get(at)?.1, rows.get(at).copied()?))
                };
                Layout {
                    $( $member: {
                        let (columns, row) = row(stringify!($name)).unwrap_or_default();
                        $name::from_row(columns, row)
                    }, )*
                    traits,
                }
            }

            /// As rows of the tables, in the order of [`Layout::SPECS`].
            pub fn to_rows(&self) -> Vec<Vec<u32>> {
                vec![$( self.$member.to_row() ),*]
            }
        }
    };
}
pub(crate) use foreign;
