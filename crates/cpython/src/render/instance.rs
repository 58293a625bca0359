//! Instances of classes: by their attributes.

use super::{Failed, Renderer};
use crate::object::TypeInfo;
use snapshot::Address;

/// Modules of the standard library whose objects are machinery: their attributes explain nothing.
const MACHINERY: [&str; 16] = [
    "_weakrefset",
    "asyncio",
    "concurrent",
    "functools",
    "http",
    "importlib",
    "logging",
    "multiprocessing",
    "queue",
    "selectors",
    "socket",
    "socketserver",
    "subprocess",
    "threading",
    "typing",
    "weakref",
];

/// Most attributes that are read of one instance.
const ATTRIBUTES_LIMIT: usize = 256;

impl Renderer<'_> {
    /// `Point(x=1, y=2)`.
    pub(super) fn instance(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let package = class.module.split('.').next().unwrap_or_default();
        if MACHINERY.contains(&package) {
            return Err(Failed);
        }
        let (name, attributes) = match self.dataclass_fields(object, class) {
            Some(fields) => (class.qualname.clone(), fields),
            None => (
                class.name.clone(),
                self.reader.attributes(object, ATTRIBUTES_LIMIT)?,
            ),
        };
        if attributes.is_empty() {
            return Err(Failed);
        }
        let total = attributes.len() as u64;
        self.nested(object, &format!("{name}("), ")", |this| {
            this.named(&attributes, total);
            Ok(())
        })
    }

    /// The fields of a dataclass that its repr shows, in their order.
    fn dataclass_fields(
        &self,
        object: Address,
        class: &TypeInfo,
    ) -> Option<Vec<(String, Address)>> {
        let reader = &self.reader;
        let fields = reader
            .class_attribute(class.address, "__dataclass_fields__")
            .ok()??;
        let mut found = Vec::new();
        for (name, field) in reader.dict_items(fields, ATTRIBUTES_LIMIT).ok()? {
            let name = reader.string(name, 256).ok()?;
            let of_field = |what| reader.attribute(field, what).ok().flatten();
            let shown = of_field("repr").is_none_or(|shown| reader.truth(shown).unwrap_or(true));
            // Pseudo-fields (ClassVar, InitVar) are no attributes of the instance.
            let kind = of_field("_field_type")
                .and_then(|kind| reader.attribute(kind, "name").ok()?)
                .and_then(|name| reader.string(name, 32).ok());
            if !shown || kind.is_some_and(|kind| kind != "_FIELD") {
                continue;
            }
            let value = match reader.attribute(object, &name).ok()? {
                Some(value) => Some(value),
                None => reader.class_attribute(class.address, &name).ok()?,
            };
            found.push((name, value?));
        }
        Some(found)
    }

    /// `<Color.RED: 1>`.
    pub(super) fn enum_member(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let attribute = |name| self.reader.attribute(object, name);
        let value = attribute("_value_")?.ok_or(Failed)?;
        let name = attribute("_name_")?.and_then(|name| self.reader.string(name, 256).ok());
        let name = name.or_else(|| self.flags_of(class, value));
        self.write(format_args!("<{}", class.name))?;
        if let Some(name) = name {
            self.write(format_args!(".{name}"))?;
        }
        self.push(": ");
        self.nested(object, "", "", |this| {
            this.value(value);
            Ok(())
        })?;
        self.push(">");
        Ok(())
    }

    /// The members that a combination of flags has in it, the greatest first: up to 3.10 it has no name.
    fn flags_of(&self, class: &TypeInfo, value: Address) -> Option<String> {
        let reader = &self.reader;
        let value = reader.int(value).ok()?;
        let map = reader
            .class_attribute(class.address, "_member_map_")
            .ok()??;
        let mut found: Vec<(i64, String)> = Vec::new();
        for (name, member) in reader.dict_items(map, ATTRIBUTES_LIMIT).ok()? {
            let part = reader.attribute(member, "_value_").ok()??;
            let part = reader.int(part).ok()?;
            if part != 0 && part & value == part {
                found.push((part, reader.string(name, 256).ok()?));
            }
        }
        found.sort_by_key(|(part, _)| std::cmp::Reverse(*part));
        let names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        (!names.is_empty()).then(|| names.join("|"))
    }

    /// `KeyError('sku')`.
    pub(super) fn exception(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let args = self.reader.get(object, self.reader.layout.exception.args)?;
        if args.is_null() {
            return Err(Failed);
        }
        let total = self.reader.length(args)?;
        let items = self.reader.items(args, self.limits.items)?;
        let named = self.import_error_names(object, class);
        self.nested(object, &format!("{}(", class.name), ")", |this| {
            this.separated(&items, total, |this, item| this.value(*item));
            if total > 0 && !named.is_empty() {
                this.push(", ");
            }
            this.named(&named, named.len() as u64);
            Ok(())
        })
    }

    /// The module and file of an ImportError, where its repr shows them.
    fn import_error_names(&self, object: Address, class: &TypeInfo) -> Vec<(String, Address)> {
        let reader = &self.reader;
        if !reader.layout.traits.import_error_names
            || !reader.is_subclass(class, "builtins", "ImportError")
        {
            return Vec::new();
        }
        let named = ["name", "path"].into_iter().filter_map(|name| {
            let value = reader.attribute(object, name).ok()??;
            (!reader.is_none(value)).then(|| (name.to_owned(), value))
        });
        named.collect()
    }

    /// `namespace(x=1)`: `types.SimpleNamespace`.
    pub(super) fn namespace(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let name = match class.is("types", "SimpleNamespace") {
            true => "namespace",
            false => &*class.name,
        };
        let attributes = self.reader.attributes(object, ATTRIBUTES_LIMIT)?;
        let total = attributes.len() as u64;
        self.nested(object, &format!("{name}("), ")", |this| {
            this.named(&attributes, total);
            Ok(())
        })
    }

    /// A class object: `<class 'shop.Basket'>`.
    pub(super) fn class(&mut self, object: Address, meta: &TypeInfo) -> Result<(), Failed> {
        let class = self.reader.type_info(object)?;
        let is_enum = ["EnumType", "EnumMeta"]
            .iter()
            .any(|name| self.reader.is_subclass(meta, "enum", name));
        if is_enum {
            return self.write(format_args!("<enum '{}'>", class.name));
        }
        match &*class.module {
            "builtins" => self.write(format_args!("<class '{}'>", class.qualname)),
            module => self.write(format_args!("<class '{module}.{}'>", class.qualname)),
        }
    }
}
