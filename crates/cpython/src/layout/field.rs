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

                /// From a row of the tables: the size, then each field's offset in the order of the declaration.
                /// What a short row lacks is absent.
                pub fn from_row(row: &[u32]) -> Self {
                    let mut values = row.iter().copied();
                    $name {
                        size: values.next().filter(|size| *size != $crate::layout::ABSENT).map_or(0, u64::from),
                        $( $field: $crate::layout::Field::at(values.next().unwrap_or($crate::layout::ABSENT)), )*
                    }
                }
            }
        )*

        /// Where everything lies in one build of CPython.
        #[derive(Debug, Clone)]
        pub struct Layout {
            $( $(#[$doc])* pub $member: $name, )*
        }

        impl Layout {
            /// All declarations, in the order of the tables.
            pub const SPECS: &'static [&'static $crate::layout::StructSpec] = &[$(&$name::SPEC),*];

            /// From the tables' rows, one for each struct in the order of [`Layout::SPECS`].
            pub fn from_rows(rows: &[&[u32]]) -> Self {
                let mut rows = rows.iter().copied();
                Layout { $( $member: $name::from_row(rows.next().unwrap_or(&[])), )* }
            }
        }
    };
}
pub(crate) use foreign;
