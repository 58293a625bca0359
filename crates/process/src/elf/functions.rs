//! Which function an address belongs to: all functions of a file's symbol tables, by address.

use super::dynamic::{self, SYMBOL_BYTES};
use super::image::{Headers, Image, u16_at, u32_at, u64_at};
use super::symtab::{Sections, whole_table};
use super::{Elf, ElfError};

/// Most bytes of one symbol table, and of its names: those of the largest libraries have some 100 MB.
const TABLE_BYTES_MAX: u64 = 256 << 20;
/// The same of what is read from a target's memory.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
/// Longest name that is kept.
const NAME_BYTES_MAX: usize = 8192;
const SHN_UNDEF: u16 = 0;
/// Types of symbols (elf(5)): none given, as hand-written assembly has it; a function; one chosen at run time.
const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;

/// A function, at addresses as the file has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Function {
    start: u64,
    /// 0 where the file does not say how long it is.
    size: u64,
    name: u32,
}

/// The functions of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Functions {
    /// By address, one for each.
    all: Vec<Function>,
    /// Each ends with a NUL.
    names: Vec<u8>,
}

/// A function that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its symbol, not demangled.
    pub name: &'a [u8],
    /// Where it starts, as the file has it.
    pub start: u64,
}

impl Functions {
    /// Those of a file's static and dynamic symbol tables; empty where it has none.
    pub(super) fn read(image: &Image<'_>, headers: &Headers) -> Functions {
        let mut functions = Functions::default();
        match Sections::read(image, headers) {
            Some(sections) => {
                for dynamic in [false, true] {
                    if let Some((symbols, names)) =
                        whole_table(image, &sections, dynamic, TABLE_BYTES_MAX)
                    {
                        functions.take(&symbols, &names);
                    }
                }
            }
            None => {
                let table = dynamic::Table::open(image, headers);
                if let Some((symbols, names)) = table.and_then(|t| t.whole(MEMORY_BYTES_MAX)) {
                    functions.take(&symbols, &names);
                }
            }
        }
        functions.sort();
        functions
    }

    /// Takes the functions of one table over.
    fn take(&mut self, symbols: &[u8], names: &[u8]) {
        for symbol in symbols.chunks_exact(SYMBOL_BYTES) {
            let kind = symbol.get(4).map_or(u8::MAX, |info| info & 0xf);
            let function = Function {
                start: u64_at(symbol, 8),
                size: u64_at(symbol, 16),
                name: u32::try_from(self.names.len()).unwrap_or(u32::MAX),
            };
            let wanted = matches!(kind, STT_FUNC | STT_GNU_IFUNC | STT_NOTYPE);
            if !wanted || u16_at(symbol, 6) == SHN_UNDEF || function.start == 0 {
                continue;
            }
            let name = names.get(u32_at(symbol, 0) as usize..).unwrap_or_default();
            let end = name.iter().take(NAME_BYTES_MAX).position(|&byte| byte == 0);
            let name = end.and_then(|end| name.get(..end)).unwrap_or_default();
            // Marks of the assembler (`.L4`, `$x`) are no functions.
            if name.is_empty() || name.starts_with(b".L") || name.starts_with(b"$") {
                continue;
            }
            self.names.extend_from_slice(name);
            self.names.push(0);
            self.all.push(function);
        }
    }

    /// By address; of several names for one place, the one that knows its length, then the plainest.
    fn sort(&mut self) {
        let names = &self.names;
        let underscores = |function: &Function| {
            let name = names.get(function.name as usize..).unwrap_or_default();
            name.iter().take_while(|&&byte| byte == b'_').count()
        };
        self.all
            .sort_by_cached_key(|f| (f.start, f.size == 0, underscores(f), f.name));
        self.all.dedup_by_key(|function| function.start);
        self.all.shrink_to_fit();
    }

    /// The function that `address`, as the file has it, lies in: one that says how long it is, or else the last one
    /// before, if that does not say.
    pub fn find(&self, address: u64) -> Option<Named<'_>> {
        /// Functions inside of others are rare, and never many.
        const NESTED_MAX: usize = 8;
        let behind = self.all.partition_point(|f| f.start <= address);
        let before = self.all.get(..behind)?;
        let last = before.last()?;
        let inside = |f: &&Function| address - f.start < f.size;
        let found = before.iter().rev().take(NESTED_MAX).find(inside);
        let found = found.or_else(|| (last.size == 0).then_some(last))?;
        let name = self.names.get(found.name as usize..)?;
        let end = name.iter().position(|&byte| byte == 0)?;
        Some(Named {
            name: name.get(..end)?,
            start: found.start,
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Elf<'_> {
    /// All functions that it names.
    pub fn functions(&self) -> Functions {
        Functions::read(&self.image, &self.headers)
    }

    /// Reads bytes at an address as the file has it.
    ///
    /// # Errors
    /// Where the file has nothing there.
    pub fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<(), ElfError> {
        self.image.read_virtual(&self.headers, address, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: u32, kind: u8, start: u64, size: u64) -> Vec<u8> {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([kind, 0, 1, 0]);
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    }

    #[test]
    fn an_address_belongs_to_the_function_that_covers_it() {
        let names = b"\0main\0__inner\0inner\0_start\0data\0";
        let symbols = [
            symbol(1, STT_FUNC, 0x100, 0x40),
            symbol(6, STT_FUNC, 0x110, 8),
            symbol(14, STT_FUNC, 0x110, 8),
            symbol(20, STT_NOTYPE, 0x200, 0),
            symbol(27, 1, 0x300, 8),
            symbol(u32::MAX, STT_FUNC, 0x400, u64::MAX),
        ];
        let mut functions = Functions::default();
        functions.take(&symbols.concat(), names);
        functions.sort();
        let name = |address| {
            let found = functions.find(address)?;
            std::str::from_utf8(found.name).ok()
        };
        assert_eq!(name(0x100), Some("main"));
        assert_eq!(name(0x112), Some("inner"));
        assert_eq!(name(0x118), Some("main"));
        assert_eq!(name(0x140), None);
        assert_eq!(name(0x900), Some("_start"));
        assert_eq!(name(0), None);
    }
}
