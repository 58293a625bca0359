//! What code can get hold of by name.

use super::path::Label;
use super::{Link, Links, World};
use crate::bytecode::{
    Analysis, Callee, CodeView, FrameBlock, InFlight, Moment, Uses, nothing_hidden,
};
use crate::code::CodeInfo;
use crate::frame::RawFrame;
use crate::object::flags;
use process::ReadError;
use snapshot::Address;
use std::collections::HashMap;
use std::rc::Rc;

/// Most names or constants of one code object, and most entries of one namespace.
const TUPLE_MAX: usize = 1 << 16;
/// Most code objects inside one another.
const NESTED_MAX: usize = 16;
/// Longest constant that may be a name.
const NAME_MAX: usize = 64;

/// Names of functions by which code can use a global without naming it.
const BY_ANY_NAME: [&str; 4] = ["eval", "exec", "globals", "vars"];
/// Names of functions by which code can get at any object or task there is.
const EVERYTHING: [&str; 3] = ["get_objects", "get_referrers", "all_tasks"];

/// Globals that are registries of all there is, and functions that sweep them: by module.
const REGISTRIES: [(&str, &[&str]); 6] = [
    (
        "threading",
        &[
            "_active",
            "_limbo",
            "_dangling",
            "_shutdown_locks",
            "_shutdown_locks_lock",
        ],
    ),
    (
        "sys",
        &["modules", "_current_frames", "_current_exceptions"],
    ),
    ("gc", &["get_objects", "get_referrers", "garbage"]),
    (
        "asyncio.tasks",
        &[
            "_all_tasks",
            "_scheduled_tasks",
            "_eager_tasks",
            "_current_tasks",
            "all_tasks",
        ],
    ),
    ("asyncio.runners", &["_cancel_all_tasks"]),
    ("concurrent.futures.thread", &["_threads_queues"]),
];

/// The names that a code object and those inside it use.
#[derive(Debug, Default)]
pub(super) struct CodeUse {
    /// Of globals, attributes, modules; and constants that may be names.
    pub names: Vec<Rc<str>>,
    /// Constants that may be the start of a name.
    pub prefixes: Vec<Rc<str>>,
    /// It could not be read whole, or it can get at everything.
    pub partial: bool,
}

/// A module's globals, without the registries.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub entries: HashMap<Rc<str>, Address>,
    /// Not all entries were read.
    pub partial: bool,
}

/// What lies ahead of a frame.
struct Ahead {
    uses: Uses,
    /// Slots of its value stack in use.
    depth: Option<usize>,
}

impl World<'_> {
    /// What the code at `code` names.
    pub(super) fn code_use(&mut self, code: Address) -> Rc<CodeUse> {
        if let Some(known) = self.codes.get(&code) {
            return known.clone();
        }
        let mut found = CodeUse::default();
        if self.gather(code, &mut found, 0).is_err() {
            found.partial = true;
        }
        found.names.sort();
        found.names.dedup();
        let found = Rc::new(found);
        self.codes.insert(code, found.clone());
        found
    }

    fn gather(&self, code: Address, found: &mut CodeUse, depth: usize) -> Result<(), ReadError> {
        let reader = &self.reader;
        let info = CodeInfo::read(reader, code)?;
        for name in reader.items(info.names, TUPLE_MAX)? {
            found.add(reader.name(name)?, &info.file);
        }
        for constant in reader.items(info.consts, TUPLE_MAX)? {
            self.gather_constant(constant, found, depth)?;
        }
        Ok(())
    }

    /// What a frame's code names from its current instruction on; all that it names where that is not known.
    /// And the state of its value stack and variables there.
    fn frame_use(
        &mut self,
        frame: &RawFrame,
        inner: Option<&RawFrame>,
    ) -> (Rc<CodeUse>, Option<Ahead>) {
        let Some(ahead) = self.ahead(frame, inner) else {
            return (self.code_use(frame.code.address), None);
        };
        let mut found = CodeUse::default();
        if self
            .gather_ahead(&frame.code, &ahead.uses, &mut found)
            .is_err()
        {
            found.partial = true;
        }
        (Rc::new(found), Some(ahead))
    }

    fn gather_ahead(
        &self,
        code: &CodeInfo,
        uses: &Uses,
        found: &mut CodeUse,
    ) -> Result<(), ReadError> {
        let reader = &self.reader;
        for index in &uses.names {
            found.add(code.name_at(reader, *index as usize)?, &code.file);
        }
        for index in &uses.constants {
            let constant = code.const_at(reader, *index as usize)?;
            self.gather_constant(constant, found, 0)?;
        }
        Ok(())
    }

    fn ahead(&self, frame: &RawFrame, inner: Option<&RawFrame>) -> Option<Ahead> {
        let reader = &self.reader;
        let code = &frame.code;
        let nlocals = reader.get(code.address, reader.layout.code.co_nlocals);
        let view = CodeView {
            dialect: code.dialect,
            code: code.instructions(reader).ok()?,
            exception_table: code.exception_table(reader).ok()?,
            stacksize: u32::try_from(code.stacksize).ok()?,
            nlocals: u32::try_from(nlocals.unwrap_or(0)).ok()?,
            original: &nothing_hidden,
        };
        let blocks: Vec<FrameBlock> = frame
            .blocks
            .iter()
            .map(|block| FrameBlock {
                kind: block.kind,
                handler: block.handler,
                level: block.level,
            })
            .collect();
        let mut analysis = Analysis::new(&view);
        let offset = u32::try_from(frame.offset).ok()?;
        let moment = analysis.at(offset, &blocks).filter(|moment| moment.exact);
        let in_use = |moment: Moment| match (analysis.in_flight(&moment), inner) {
            // The arguments of the call that the inner frame runs are that frame's.
            (Some(InFlight::Call { callee, .. }), Some(inner))
                if self.calls(frame, &callee, inner) =>
            {
                callee.lower as usize
            }
            _ => moment.stack.len(),
        };
        Some(Ahead {
            uses: analysis.uses_from(offset, &blocks)?,
            depth: moment.map(in_use),
        })
    }

    fn gather_constant(
        &self,
        constant: Address,
        found: &mut CodeUse,
        depth: usize,
    ) -> Result<(), ReadError> {
        let reader = &self.reader;
        let class = reader.class_of(constant)?;
        if class.has(flags::UNICODE) {
            let text = reader.text(constant, NAME_MAX)?;
            let name = text.to_text();
            if text.length <= NAME_MAX as u64 && is_identifier(&name) {
                let name: Rc<str> = name.into();
                if name.ends_with('_') && name.len() > 2 && !name.starts_with("__") {
                    found.prefixes.push(name.clone());
                }
                found.names.push(name);
            }
        } else if class.has(flags::TUPLE) && depth < NESTED_MAX {
            for item in reader.items(constant, 256)? {
                self.gather_constant(item, found, NESTED_MAX)?;
            }
        } else if class.is("builtins", "code") {
            if depth >= NESTED_MAX {
                found.partial = true;
                return Ok(());
            }
            self.gather(constant, found, depth + 1)?;
        }
        Ok(())
    }

    /// The globals in the dictionary at `dict`.
    pub(super) fn namespace(&mut self, dict: Address) -> Rc<Namespace> {
        if let Some(known) = self.namespaces.get(&dict) {
            return known.clone();
        }
        let mut found = Namespace::default();
        match self.reader.dict_items(dict, TUPLE_MAX) {
            Ok(entries) => {
                found.partial = entries.len() >= TUPLE_MAX;
                for (key, value) in entries {
                    if let Ok(name) = self.reader.name(key) {
                        found.entries.insert(name, value);
                    }
                }
            }
            Err(_) => found.partial = true,
        }
        let module = found
            .entries
            .get("__name__")
            .and_then(|name| self.reader.string(*name, 256).ok());
        for (of, names) in REGISTRIES {
            if module.as_deref() == Some(of) {
                found.entries.retain(|name, _| !names.contains(&&**name));
            }
        }
        let found = Rc::new(found);
        self.namespaces.insert(dict, found.clone());
        found
    }

    /// The globals that `names` are for code in the namespace `globals`.
    pub(super) fn global_links(
        &mut self,
        globals: Address,
        used: &CodeUse,
        function: &Rc<str>,
        links: &mut Links,
    ) {
        let namespace = self.namespace(globals);
        links.partial |= namespace.partial;
        let modules = self.modules();
        let builtins = modules
            .as_ref()
            .and_then(|modules| modules.entries.get("builtins").copied())
            .and_then(|module| self.reader.module_dict(module).ok());
        let builtins = builtins.map(|dict| self.namespace(dict));
        let in_modules = |name: &Rc<str>| modules.as_ref()?.entries.get(name).copied();
        let in_builtins = |name: &Rc<str>| builtins.as_ref()?.entries.get(name).copied();
        if BY_ANY_NAME
            .iter()
            .any(|any| used.names.iter().any(|name| **name == **any))
        {
            for (name, value) in &namespace.entries {
                let label = Label::Global(name.clone(), function.clone());
                links.always.push(Link { label, to: *value });
            }
        }
        for name in &used.names {
            let global = namespace.entries.get(name).copied();
            // A name that is no global may be that of a module imported inside the function.
            for to in [global.or_else(|| in_builtins(name)), in_modules(name)]
                .into_iter()
                .flatten()
            {
                let label = Label::Global(name.clone(), function.clone());
                links.always.push(Link { label, to });
            }
        }
    }

    /// All modules by name.
    fn modules(&mut self) -> Option<Rc<Namespace>> {
        let dict = self.question.modules.non_null()?;
        Some(self.namespace(dict))
    }

    /// Whether the Python function that the frame calls is the one that `inner` runs.
    fn calls(&self, frame: &RawFrame, callee: &Callee, inner: &RawFrame) -> bool {
        let reader = &self.reader;
        let slot = |slot: u32| {
            frame
                .stack_slot(reader, slot as usize)
                .map(|object| object.0)
        };
        let Some(resolved) = callee.resolve(slot) else {
            return false;
        };
        let mut function = Address(resolved.callable);
        if reader.is_instance(function, "builtins", "method") {
            function = reader
                .get(function, reader.layout.method.im_func)
                .unwrap_or(Address::NULL);
        }
        reader.is_instance(function, "builtins", "function")
            && reader.get(function, reader.layout.function.func_code) == Ok(inner.code.address)
    }

    /// Where a frame leads that goes on; `inner` is the frame that it has called, if any.
    pub(super) fn frame_links(&mut self, frame: &RawFrame, inner: Option<&RawFrame>) -> Links {
        let mut links = Links::default();
        let (used, ahead) = self.frame_use(frame, inner);
        let function = frame.code.qualname.clone();
        self.global_links(frame.globals, &used, &function, &mut links);
        let reader = self.reader;
        let any = ["locals", "eval", "exec", "vars"];
        let any = used.names.iter().any(|name| any.contains(&&**name));
        let is_used = |slot: usize| match &ahead {
            Some(ahead) => {
                any || u32::try_from(slot).is_ok_and(|slot| ahead.uses.locals.contains(&slot))
            }
            None => true,
        };
        match frame.code.locals(&reader) {
            Ok(locals) => {
                for local in locals.iter().filter(|local| is_used(local.slot)) {
                    if let Some(to) = frame.slot(&reader, local.slot) {
                        let label = Label::Variable(local.name.clone(), function.clone());
                        links.always.push(Link { label, to });
                    }
                }
            }
            Err(_) => links.partial = true,
        }
        let depth = ahead.and_then(|ahead| ahead.depth).or(frame.stack_depth);
        for slot in 0..depth.unwrap_or(frame.code.stacksize) {
            if let Some(to) = frame.stack_slot(&reader, slot) {
                let label = Label::Stack(function.clone());
                links.always.push(Link { label, to });
            }
        }
        if !frame.namespace.is_null() && frame.namespace != frame.globals {
            let namespace = self.namespace(frame.namespace);
            for (name, to) in &namespace.entries {
                let label = Label::Variable(name.clone(), function.clone());
                links.always.push(Link { label, to: *to });
            }
        }
        links.code = Some(used);
        links
    }
}

impl CodeUse {
    /// One more name, used by code of this file.
    fn add(&mut self, name: Rc<str>, file: &str) {
        if EVERYTHING.contains(&&*name) && !is_library(file) {
            self.partial = true;
        }
        self.names.push(name);
    }
}

fn is_identifier(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Whether a file belongs to the standard library.
fn is_library(file: &str) -> bool {
    file.starts_with("<frozen ") || (file.contains("/lib/python3") && !file.contains("-packages/"))
}
