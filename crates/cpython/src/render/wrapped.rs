//! Objects that show another one inside: views of dictionaries, the containers of `collections` that are made in
//! Python; arrays of numbers; results of the operating system with named fields.

use super::{Failed, Renderer, full_name, text_repr};
use crate::number::float_repr;
use crate::object::TypeInfo;
use snapshot::Address;

/// `arrayobject`, from the end of the object's head: items, allocated, description.
const ARRAY_ITEMS: u64 = 8;
const ARRAY_DESCRIPTION: u64 = 24;
/// In `arraydescr`: the size of an item, behind the letters of its type.
const DESCRIPTION_ITEMSIZE: u64 = 4;

impl Renderer<'_> {
    /// `mappingproxy({'a': 1})`: the mapping stands behind the object's head.
    pub(super) fn mapping_proxy(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let mapping: Address = self.reader.scalar(self.head(object)?)?;
        self.reader.class_of(mapping)?;
        self.nested(object, "mappingproxy(", ")", |this| {
            this.value(mapping);
            Ok(())
        })
    }

    /// `dict_keys(['a'])`: the dictionary stands behind the object's head.
    pub(super) fn dict_view(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let dict: Address = self.reader.scalar(self.head(object)?)?;
        let total = self.reader.length(dict)?;
        let entries = self.reader.dict_items(dict, self.limits.items)?;
        let (keys, values) = (class.name.ends_with("keys"), class.name.ends_with("values"));
        self.nested(object, &format!("{}([", class.name), "])", |this| {
            this.separated(&entries, total, |this, (key, value)| {
                if keys || values {
                    return this.value(if keys { *key } else { *value });
                }
                this.push("(");
                this.value(*key);
                this.push(", ");
                this.value(*value);
                this.push(")");
            });
            Ok(())
        })
    }

    /// `UserDict`, `UserList`, `UserString`: as what they wrap, like their own repr.
    pub(super) fn user_container(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let data = self.reader.attribute(object, "data")?.ok_or(Failed)?;
        self.nested(object, "", "", |this| {
            this.value(data);
            Ok(())
        })
    }

    /// `ChainMap({'a': 1}, {})`.
    pub(super) fn chain_map(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let maps = self.reader.attribute(object, "maps")?.ok_or(Failed)?;
        let total = self.reader.length(maps)?;
        let items = self.reader.items(maps, self.limits.items)?;
        self.nested(object, &format!("{}(", class.name), ")", |this| {
            this.separated(&items, total, |this, item| this.value(*item));
            Ok(())
        })
    }

    /// `os.stat_result(st_mode=33188, …)`: a tuple made in C whose type names its fields, in their order.
    pub(super) fn struct_sequence(
        &mut self,
        object: Address,
        class: &TypeInfo,
        items: &[Address],
        total: u64,
    ) -> Result<(), Failed> {
        let names = class.slots.iter().map(|slot| slot.name.to_string());
        let pieces: Vec<_> = names.zip(items.iter().copied()).collect();
        let open = format!("{}(", full_name(class));
        self.nested(object, &open, ")", |this| {
            this.named(&pieces, total);
            Ok(())
        })
    }

    /// `array('i', [1, 2])`.
    pub(super) fn array(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let head = self.head(object)?;
        let total = self.reader.size_of_var(object)?;
        let start: Address = self.reader.scalar(head.plus(ARRAY_ITEMS))?;
        let description: Address = self.reader.scalar(head.plus(ARRAY_DESCRIPTION))?;
        let letter = char::from(self.reader.scalar::<u8>(description)?);
        let size: i32 = self.reader.scalar(description.plus(DESCRIPTION_ITEMSIZE))?;
        let size = u64::try_from(size).map_err(|_| Failed)?;
        let is_text = matches!(letter, 'u' | 'w');
        let limit = match is_text {
            true => self.limits.characters,
            false => self.limits.items,
        };
        let mut items = Vec::new();
        for index in 0..total.min(limit as u64) {
            items.push(start.plus(index * size));
        }
        let name = &class.name;
        if total == 0 {
            return self.write(format_args!("{name}('{letter}')"));
        }
        if is_text {
            let characters: Result<Vec<u32>, _> = items
                .iter()
                .map(|place| self.reader.scalar(*place))
                .collect();
            let cut = if (items.len() as u64) < total {
                "..."
            } else {
                ""
            };
            let text = text_repr(&characters?);
            return self.write(format_args!("{name}('{letter}', {text}{cut})"));
        }
        let texts: Result<Vec<String>, Failed> = items
            .iter()
            .map(|place| self.array_item(letter, size, *place))
            .collect();
        let texts = texts?;
        self.write(format_args!("{name}('{letter}', ["))?;
        self.separated(&texts, total, |this, text| this.push(text));
        self.push("])");
        Ok(())
    }

    fn array_item(&self, letter: char, size: u64, place: Address) -> Result<String, Failed> {
        let reader = &self.reader;
        Ok(match (letter, size) {
            ('b', 1) => reader.scalar::<i8>(place)?.to_string(),
            ('B', 1) => reader.scalar::<u8>(place)?.to_string(),
            ('h', 2) => reader.scalar::<i16>(place)?.to_string(),
            ('H', 2) => reader.scalar::<u16>(place)?.to_string(),
            ('i' | 'l', 4) => reader.scalar::<i32>(place)?.to_string(),
            ('I' | 'L', 4) => reader.scalar::<u32>(place)?.to_string(),
            ('l' | 'q', 8) => reader.scalar::<i64>(place)?.to_string(),
            ('L' | 'Q', 8) => reader.scalar::<u64>(place)?.to_string(),
            // Python makes a double of it.
            ('f', 4) => float_repr(f64::from(f32::from_bits(reader.scalar(place)?))),
            ('d', 8) => float_repr(f64::from_bits(reader.scalar(place)?)),
            _ => return Err(Failed),
        })
    }

    /// `<threading.Event at 0x…: set>`.
    pub(super) fn event(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let flag = self.reader.attribute(object, "_flag")?.ok_or(Failed)?;
        let state = match self.reader.truth(flag)? {
            true => "set",
            false => "unset",
        };
        self.write(format_args!("<{} at {object}: {state}>", full_name(class)))
    }

    /// `<threading.Semaphore at 0x…: value=3>`.
    pub(super) fn semaphore(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let value = self.reader.attribute(object, "_value")?.ok_or(Failed)?;
        let value = self.reader.int(value)?;
        self.write(format_args!(
            "<{} at {object}: value={value}>",
            full_name(class)
        ))
    }

    /// `<Thread('Thread-1 (work)') at 0x…>`.
    pub(super) fn thread(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let name = self.reader.attribute(object, "_name")?.ok_or(Failed)?;
        self.write(format_args!("<{}(", class.name))?;
        self.value(name);
        self.write(format_args!(") at {object}>"))
    }

    /// `environ({b'HOME': b'/root'})`: as it is kept, encoded.
    pub(super) fn environ(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let data = self.reader.attribute(object, "_data")?.ok_or(Failed)?;
        self.nested(object, "environ(", ")", |this| {
            this.value(data);
            Ok(())
        })
    }
}
