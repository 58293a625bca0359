//! Where each kind of object leads.

use super::code::is_foreign;
use super::graph::Graph;
use super::kind::Kind;
use super::path::Label;
use super::{Link, Links, Question, World};
use crate::generator::{GeneratorState, generator_frame, generator_state};
use crate::object::flags;
use crate::reader::Reader;
use process::ReadError;
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::rc::Rc;

/// Most elements of one container; of a longer one the rest is not followed.
const ITEMS_MAX: usize = 20_000;
/// Most words of an object of unknown type that are looked at.
const WORDS_MAX: u64 = 256;
/// Attributes of a started thread that only it uses itself.
const OF_THREAD: [&str; 3] = ["_target", "_args", "_kwargs"];

impl<'a> World<'a> {
    pub(super) fn new(reader: Reader<'a>, question: &Question<'a>) -> Self {
        World {
            reader,
            question: *question,
            kinds: FxHashMap::default(),
            graph: Graph::default(),
            codes: FxHashMap::default(),
            ahead: FxHashMap::default(),
            namespaces: FxHashMap::default(),
        }
    }

    /// Where the object at `object` leads.
    pub(super) fn links_of(&mut self, object: Address) -> Links {
        let mut links = Links::default();
        if self.expand(object, &mut links).is_err() {
            links.partial = true;
        }
        links
    }

    fn expand(&mut self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let kind = self.kind_of(object);
        match kind {
            Kind::Leaf => {}
            Kind::Sequence => self.items(links, |reader| reader.items(object, ITEMS_MAX))?,
            Kind::Set => self.items(links, |reader| reader.set_items(object, ITEMS_MAX))?,
            Kind::Deque => self.items(links, |reader| reader.deque_items(object, ITEMS_MAX))?,
            Kind::Dict => self.dict(object, links)?,
            Kind::Function => self.function(object, links)?,
            Kind::Builtin => {
                let owner = self
                    .reader
                    .get(object, self.reader.layout.cfunction.m_self)?;
                links.releases = self.is_release(object).then_some(owner);
                links.code = self.native_code(object);
                links.foreign = self.is_foreign_function(object);
                // A module's own function does not bring the module into play.
                if !owner.is_null() && self.kind_of(owner) != Kind::Module {
                    other(links, owner);
                }
            }
            Kind::Module => {
                let dict = self.reader.module_dict(object)?;
                let namespace = self.namespace(dict);
                links.partial |= namespace.partial;
                let entries = &namespace.entries;
                links
                    .named
                    .extend(entries.iter().map(|(name, value)| (name.clone(), *value)));
            }
            Kind::Class => self.class(object, links)?,
            Kind::Generator => match generator_frame(&self.reader, object) {
                Some(frame) => *links = self.frame_links(&frame, None),
                None => {
                    let state = generator_state(&self.reader, object);
                    links.partial = state != Ok(GeneratorState::Cleared);
                }
            },
            Kind::WeakRef => {
                let layout = &self.reader.layout.weak_ref;
                other(links, self.reader.get(object, layout.wr_object)?);
                other(links, self.reader.get(object, layout.wr_callback)?);
            }
            Kind::Exception => {
                let layout = &self.reader.layout.exception;
                for field in [layout.args, layout.cause, layout.context] {
                    other(links, self.reader.get(object, field)?);
                }
            }
            Kind::Future => self.future(object, links)?,
            Kind::SimpleQueue => self.simple_queue(object, links)?,
            Kind::Greenlet => links.partial = true,
            Kind::Thread | Kind::Instance => {}
            Kind::Opaque => {
                let class = self.reader.class_of(object)?;
                links.foreign = is_foreign(&class.module);
                self.words(object, links)?;
            }
        }
        if !matches!(
            kind,
            Kind::Leaf | Kind::Function | Kind::Module | Kind::Class | Kind::Generator
        ) {
            self.instance(object, kind, links)?;
        }
        Ok(())
    }

    /// Whether a built-in method is called `release`.
    fn is_release(&self, method: Address) -> bool {
        let name = || {
            let layout = self.reader.layout;
            let definition = self.reader.get(method, layout.cfunction.m_ml)?;
            let name = self.reader.get(definition, layout.method_def.ml_name)?;
            self.reader.c_string(name, 16)
        };
        name().is_ok_and(|name| name == "release")
    }

    fn items(
        &self,
        links: &mut Links,
        read: impl Fn(&Reader<'_>) -> Result<Vec<Address>, ReadError>,
    ) -> Result<(), ReadError> {
        let items = read(&self.reader)?;
        links.partial |= items.len() >= ITEMS_MAX;
        links.always.extend(items.into_iter().map(item));
        Ok(())
    }

    fn dict(&self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let entries = self.reader.dict_items(object, ITEMS_MAX)?;
        links.partial |= entries.len() >= ITEMS_MAX;
        for (key, value) in entries {
            links.always.push(item(key));
            links.always.push(item(value));
        }
        if self
            .reader
            .is_instance(object, "collections", "defaultdict")
        {
            let factory = self.reader.layout.default_dict.default_factory;
            other(links, self.reader.get(object, factory)?);
        }
        Ok(())
    }

    fn function(&mut self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let reader = self.reader;
        let layout = &reader.layout.function;
        let code = reader.get(object, layout.func_code)?;
        let name = reader.get(object, layout.func_qualname)?;
        let name: Rc<str> = reader.string(name, 256)?.into();
        let used = self.code_use(code);
        let globals = reader.get(object, layout.func_globals)?;
        self.global_links(globals, &used, &name, links);
        links.code = Some(used);
        for field in [
            layout.func_defaults,
            layout.func_kwdefaults,
            layout.func_dict,
        ] {
            other(links, reader.get(object, field)?);
        }
        let closure = reader.get(object, layout.func_closure)?;
        if closure.is_null() {
            return Ok(());
        }
        let names = crate::code::CodeInfo::read(&reader, code)?;
        let free = names.locals(&reader)?.iter();
        let free = free.filter(|local| local.kind == crate::code::LocalKind::Free);
        for (local, cell) in free.zip(reader.items(closure, 1 << 16)?) {
            let to = reader.get(cell, reader.layout.cell.ob_ref)?;
            let label = Label::Variable(local.name.clone(), name.clone());
            links.always.push(Link { label, to });
        }
        Ok(())
    }

    fn class(&mut self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let class = self.reader.type_info(object)?;
        let dict = self
            .reader
            .get(object, self.reader.layout.type_object.tp_dict)?;
        let namespace = self.namespace(dict);
        links.partial |= namespace.partial;
        for (name, value) in &namespace.entries {
            // Special methods are called without being named.
            if name.starts_with("__") && name.ends_with("__") {
                other(links, *value);
            } else {
                links.named.push((name.clone(), *value));
            }
        }
        for base in class.mro.iter().skip(1) {
            other(links, *base);
        }
        other(links, self.reader.type_of(object)?);
        Ok(())
    }

    /// The attributes of an instance, and its class.
    fn instance(
        &mut self,
        object: Address,
        kind: Kind,
        links: &mut Links,
    ) -> Result<(), ReadError> {
        let class = self.reader.class_of(object)?;
        if class.made_in_python {
            other(links, class.address);
        } else if class.dictoffset == 0 && !class.has(flags::MANAGED_DICT) {
            return Ok(());
        }
        let attributes = self.reader.attributes(object, ITEMS_MAX)?;
        links.partial |= attributes.len() >= ITEMS_MAX;
        // A started thread's own work is that thread's to do.
        let started = kind == Kind::Thread && self.is_started(object);
        // A registry (3.13+) by which a server only closes what its handlers write to.
        let serves = class.is("asyncio.base_events", "Server");
        for (name, to) in attributes {
            let left_out =
                (started && OF_THREAD.contains(&&*name)) || (serves && name == "_clients");
            if !left_out {
                let label = Label::Attribute(name.into());
                links.always.push(Link { label, to });
            }
        }
        Ok(())
    }

    fn is_started(&self, thread: Address) -> bool {
        let flag = || {
            let event = self.reader.attribute(thread, "_started").ok()??;
            let flag = self.reader.attribute(event, "_flag").ok()??;
            self.reader.truth(flag).ok()
        };
        flag().unwrap_or(false)
    }

    fn future(&self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let reader = &self.reader;
        let is_task = reader.is_instance(object, "_asyncio", "Task");
        let (future, task) = (&reader.layout.async_future, &reader.layout.async_task);
        let fields = match is_task {
            true => vec![
                task.fut_callback0,
                task.fut_callbacks,
                task.fut_exception,
                task.fut_result,
                task.task_coro,
                task.task_fut_waiter,
            ],
            false => vec![
                future.fut_callback0,
                future.fut_callbacks,
                future.fut_exception,
                future.fut_result,
            ],
        };
        for field in fields {
            other(links, reader.get(object, field)?);
        }
        Ok(())
    }

    fn simple_queue(&self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let reader = &self.reader;
        let layout = &reader.layout.simple_queue;
        if layout.lst.exists() {
            other(links, reader.get(object, layout.lst)?);
            return Ok(());
        }
        let capacity = u64::try_from(reader.get(object, layout.buf_capacity)?).unwrap_or(0);
        let first = u64::try_from(reader.get(object, layout.buf_get)?).unwrap_or(0);
        let count = u64::try_from(reader.get(object, layout.buf_num)?).unwrap_or(0);
        let start = reader.get(object, layout.buf_items)?;
        links.partial |= count > ITEMS_MAX as u64;
        for index in 0..count.min(ITEMS_MAX as u64) {
            let index = (first.saturating_add(index))
                .checked_rem(capacity)
                .unwrap_or(0);
            let to = reader.scalar(start.plus(index.saturating_mul(8)))?;
            links.always.push(item(to));
        }
        Ok(())
    }

    /// Every word of an object that may be a reference.
    fn words(&self, object: Address, links: &mut Links) -> Result<(), ReadError> {
        let reader = &self.reader;
        let class = reader.class_of(object)?;
        let head = reader
            .layout
            .object
            .ob_size
            .offset()
            .ok_or(ReadError::Absent)?;
        let mut end = class.basicsize;
        if class.itemsize == 8 {
            end = end.saturating_add(reader.size_of_var(object)?.saturating_mul(8));
        }
        let words = end.saturating_sub(head) / 8;
        links.partial |= words > WORDS_MAX;
        let bytes = reader.bytes(object.plus(head), words.min(WORDS_MAX) * 8, 1 << 12)?;
        let weak = reader.get(class.address, reader.layout.type_object.tp_weaklistoffset)?;
        for (index, word) in bytes.chunks_exact(8).enumerate() {
            let word = Address(
                word.iter()
                    .rev()
                    .fold(0, |value, byte| value << 8 | u64::from(*byte)),
            );
            let offset = head + index as u64 * 8;
            let is_weak_list = u64::try_from(weak).is_ok_and(|weak| weak == offset);
            if !is_weak_list && self.is_object(word) {
                other(links, word);
            }
        }
        Ok(())
    }

    /// Whether an object seems to stand there.
    fn is_object(&self, place: Address) -> bool {
        if place.0 < 0x1_0000 || !place.0.is_multiple_of(8) {
            return false;
        }
        // An object whose count is zero has died.
        let count = self.reader.get(place, self.reader.layout.object.ob_refcnt);
        count.unwrap_or(1) & 0xffff_ffff != 0 && self.reader.class_of(place).is_ok()
    }
}

fn item(to: Address) -> Link {
    Link {
        label: Label::Item,
        to,
    }
}

fn other(links: &mut Links, to: Address) {
    links.always.push(Link {
        label: Label::Other,
        to,
    });
}
