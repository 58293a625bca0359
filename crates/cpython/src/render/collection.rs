//! Containers.

use super::{Failed, Renderer};
use crate::object::TypeInfo;
use process::ReadError;
use snapshot::Address;
use std::collections::HashMap;

/// Most entries of a dictionary that are put in order.
const ORDER_LIMIT: usize = 4096;

impl Renderer<'_> {
    pub(super) fn list(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        let items = self.reader.items(object, self.limits.items)?;
        self.sequence(object, "[", "]", &items, total)
    }

    pub(super) fn tuple(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        let items = self.reader.items(object, self.limits.items)?;
        if class.made_in_python
            && let Some(names) = self.field_names(class)
            && names.len() as u64 == total
        {
            let pieces: Vec<_> = names.into_iter().zip(items).collect();
            let open = format!("{}(", class.name);
            return self.nested(object, &open, ")", |this| {
                this.named(&pieces, total);
                Ok(())
            });
        }
        if !class.made_in_python && total > 0 && class.slots.len() as u64 >= total {
            return self.struct_sequence(object, class, &items, total);
        }
        let close = if total == 1 { ",)" } else { ")" };
        self.sequence(object, "(", close, &items, total)
    }

    /// The names of a named tuple's fields.
    fn field_names(&self, class: &TypeInfo) -> Option<Vec<String>> {
        let fields = self
            .reader
            .class_attribute(class.address, "_fields")
            .ok()??;
        let names = self.reader.items(fields, 256).ok()?;
        names
            .into_iter()
            .map(|name| self.reader.string(name, 256).ok())
            .collect()
    }

    pub(super) fn set(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        let items = self.reader.set_items(object, self.limits.items)?;
        match (total, class.is("builtins", "set")) {
            (0, _) => self.write(format_args!("{}()", class.name)),
            (_, true) => self.sequence(object, "{", "}", &items, total),
            (_, false) => {
                let open = format!("{}({{", class.name);
                self.sequence(object, &open, "})", &items, total)
            }
        }
    }

    pub(super) fn frozenset(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        self.set(object, class)
    }

    pub(super) fn deque(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        let items = self.reader.deque_items(object, self.limits.items)?;
        let open = format!("{}([", class.name);
        let close = match self.reader.get(object, self.reader.layout.deque.maxlen)? {
            maxlen @ 0.. => format!("], maxlen={maxlen})"),
            _ => "])".to_owned(),
        };
        self.sequence(object, &open, &close, &items, total)
    }

    fn sequence(
        &mut self,
        object: Address,
        open: &str,
        close: &str,
        items: &[Address],
        total: u64,
    ) -> Result<(), Failed> {
        if total == 0 {
            self.push(open);
            self.push(close);
            return Ok(());
        }
        self.nested(object, open, close, |this| {
            this.separated(items, total, |this, item| this.value(*item));
            Ok(())
        })
    }

    pub(super) fn dict(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        self.plain_dict(object, "{", "}")
    }

    pub(super) fn frozendict(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        if self.reader.length(object)? == 0 {
            return self.write(format_args!("{}()", class.name));
        }
        let open = format!("{}({{", class.name);
        self.plain_dict(object, &open, "})")
    }

    fn plain_dict(&mut self, object: Address, open: &str, close: &str) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        let entries = self.reader.dict_items(object, self.limits.items)?;
        self.mapping(object, open, close, &entries, total)
    }

    fn mapping(
        &mut self,
        object: Address,
        open: &str,
        close: &str,
        entries: &[(Address, Address)],
        total: u64,
    ) -> Result<(), Failed> {
        if total == 0 {
            self.push(open);
            self.push(close);
            return Ok(());
        }
        self.nested(object, open, close, |this| {
            this.separated(entries, total, |this, (key, value)| {
                this.value(*key);
                this.push(": ");
                this.value(*value);
            });
            Ok(())
        })
    }

    pub(super) fn defaultdict(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let factory = self
            .reader
            .get(object, self.reader.layout.default_dict.default_factory)?;
        self.write(format_args!("{}(", class.name))?;
        match factory.non_null() {
            Some(factory) => self.value(factory),
            None => self.push("None"),
        }
        self.plain_dict(object, ", {", "})")
    }

    pub(super) fn ordered_dict(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        if total == 0 {
            return self.write(format_args!("{}()", class.name));
        }
        let entries = match self.ordered_entries(object) {
            Ok(entries) => entries,
            Err(_) => self.reader.dict_items(object, self.limits.items)?,
        };
        // Since 3.12 it is shown as a dict, before as a list of pairs.
        if self.reader.layout.traits.ordered_dict_as_dict {
            let open = format!("{}({{", class.name);
            return self.mapping(object, &open, "})", &entries, total);
        }
        let open = format!("{}([", class.name);
        self.nested(object, &open, "])", |this| {
            this.separated(&entries, total, |this, (key, value)| {
                this.push("(");
                this.value(*key);
                this.push(", ");
                this.value(*value);
                this.push(")");
            });
            Ok(())
        })
    }

    /// An OrderedDict keeps its order in a list of nodes beside the dictionary.
    fn ordered_entries(&self, object: Address) -> Result<Vec<(Address, Address)>, ReadError> {
        let layout = self.reader.layout;
        let values: HashMap<Address, Address> = self
            .reader
            .dict_items(object, ORDER_LIMIT)?
            .into_iter()
            .collect();
        let mut entries = Vec::new();
        let mut node = self.reader.get(object, layout.ordered_dict.od_first)?;
        while !node.is_null() && entries.len() < self.limits.items {
            let key = self.reader.get(node, layout.ordered_dict_node.key)?;
            let value = values.get(&key).ok_or(ReadError::Nonsense(object))?;
            entries.push((key, *value));
            node = self.reader.get(node, layout.ordered_dict_node.next)?;
        }
        Ok(entries)
    }

    pub(super) fn counter(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let total = self.reader.length(object)?;
        if total == 0 {
            return self.write(format_args!("{}()", class.name));
        }
        let mut entries = self.reader.dict_items(object, ORDER_LIMIT)?;
        // The most common first, as its own repr does; counts that cannot be compared stay as they are.
        let counts: Option<Vec<i64>> = entries
            .iter()
            .map(|(_, count)| self.reader.int(*count).ok())
            .collect();
        if let Some(counts) = counts {
            let mut ranked: Vec<_> = counts.into_iter().zip(entries).collect();
            ranked.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
            entries = ranked.into_iter().map(|(_, entry)| entry).collect();
        }
        let open = format!("{}({{", class.name);
        self.mapping(object, &open, "})", &entries, total)
    }

    pub(super) fn range(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.range;
        let start = self.reader.get(object, layout.start)?;
        let stop = self.reader.get(object, layout.stop)?;
        let step = self.reader.get(object, layout.step)?;
        let mut parts = vec![start, stop];
        if !self.reader.int(step).is_ok_and(|step| step == 1) {
            parts.push(step);
        }
        self.call("range(", &parts)
    }

    pub(super) fn slice(&mut self, object: Address, _: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.slice;
        let parts = [
            self.reader.get(object, layout.start)?,
            self.reader.get(object, layout.stop)?,
            self.reader.get(object, layout.step)?,
        ];
        self.call("slice(", &parts)
    }

    /// `open`, then all of the parts, however many a container may show.
    fn call(&mut self, open: &str, parts: &[Address]) -> Result<(), Failed> {
        self.push(open);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.value(*part);
        }
        self.push(")");
        Ok(())
    }
}
