//! What the functions that a frame has called do to locks: one that takes a lock and returns leaves no frame behind
//! that would show it.

use super::forms::form_of;
use super::holds::lock_of;
use super::insight::{CodeNames, Insight};
use super::objects::NAME_CHARS;
use super::origin::Origins;
use super::scope::{Activation, Scope};
use crate::bytecode::{
    AcquireSite, Analysis, CallEffect, CallSite, Callees, Subject, Taken, Value, ValueId,
};
use crate::code::{CodeInfo, LocalKind, LocalName};
use crate::object::flags;
use crate::reader::Reader;
use snapshot::{Address, Origin, Place};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Calls within calls that are looked into.
const DEPTH_MAX: usize = 4;
/// Most arguments of a call, names of them, and variables of outer functions.
const ARGUMENTS_MAX: usize = 255;
/// `co_flags` of generators, coroutines and asynchronous generators: the call alone runs none of their code.
const SUSPENDED: u32 = 0x20 | 0x80 | 0x200;

/// The functions called from one place, as far as they can be told from the objects.
pub(super) struct Called<'a> {
    insight: &'a Insight<'a>,
    origins: &'a Origins,
    scope: Scope<'a>,
    depth: usize,
    /// How many calls may still be looked into.
    budget: &'a Cell<usize>,
    effects: RefCell<HashMap<u32, Vec<CallEffect>>>,
    objects: RefCell<HashMap<ValueId, Option<Address>>>,
    /// Where a call has taken a lock: by the call's offset and the lock.
    places: RefCell<HashMap<(u32, u64), Place>>,
}

/// A function with what it is bound to.
struct Bound {
    function: Address,
    receiver: Option<Address>,
}

impl<'a> Called<'a> {
    /// The functions that the code in `scope` calls.
    pub(super) fn of(
        insight: &'a Insight<'a>,
        origins: &'a Origins,
        scope: Scope<'a>,
        budget: &'a Cell<usize>,
    ) -> Called<'a> {
        Called {
            insight,
            origins,
            scope,
            depth: 0,
            budget,
            effects: RefCell::default(),
            objects: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// The lock of a site, and where it was really taken; in a call, that is further in.
    pub(super) fn told(&self, analysis: &Analysis, site: &AcquireSite) -> Option<(Address, Place)> {
        match site.subject {
            Subject::Expression(id) => {
                let code = self.scope.code();
                let place = Place {
                    file: code.file.to_string(),
                    line: code.line_at(site.offset as usize).unwrap_or(0),
                    function: code.qualname.to_string(),
                };
                Some((self.lock(analysis, id)?, place))
            }
            Subject::Object(object) => {
                let places = self.places.borrow();
                Some((Address(object), places.get(&(site.offset, object))?.clone()))
            }
        }
    }

    /// The lock that an expression means now.
    fn lock(&self, analysis: &Analysis, id: ValueId) -> Option<Address> {
        if let Some(known) = self.objects.borrow().get(&id) {
            return *known;
        }
        let reader = &self.insight.reader;
        let lock = || {
            let object = self
                .insight
                .evaluate(self.scope, &|id| analysis.value(id), id, 0)?;
            Some(lock_of(reader, object, form_of(reader, object)?)?.0)
        };
        let lock = lock();
        self.objects.borrow_mut().insert(id, lock);
        lock
    }

    fn look(&self, analysis: &Analysis, call: &CallSite) -> Option<Vec<CallEffect>> {
        let left = self.budget.get().checked_sub(1)?;
        if self.depth >= DEPTH_MAX {
            return None;
        }
        let bound = self.callee(analysis, call.callable)?;
        let reader = &self.insight.reader;
        let code = reader
            .get(bound.function, reader.layout.function.func_code)
            .ok()?;
        let code = CodeInfo::read(reader, code).ok()?;
        let library = self.origins.origin_of(&code.file) == Origin::Stdlib;
        if library || code.flags & SUSPENDED != 0 {
            return None;
        }
        self.budget.set(left);
        let activation = Activation {
            locals: self.arguments(analysis, call, &bound, &code),
            globals: reader
                .get(bound.function, reader.layout.function.func_globals)
                .ok()?,
            code,
        };
        let inner = Called {
            insight: self.insight,
            origins: self.origins,
            scope: Scope::Call(&activation),
            depth: self.depth + 1,
            budget: self.budget,
            effects: RefCell::default(),
            objects: RefCell::default(),
            places: RefCell::default(),
        };
        inner
            .left_behind(&activation.code)
            .map(|(effects, places)| {
                let mut all = self.places.borrow_mut();
                for (object, place) in places {
                    all.insert((call.offset, object), place);
                }
                effects
            })
    }

    /// What this call leaves behind when it is over, and where it was taken.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn left_behind(&self, code: &Rc<CodeInfo>) -> Option<(Vec<CallEffect>, Vec<(u64, Place)>)> {
        let shared = self.insight.analysis(code)?;
        let names = CodeNames {
            reader: &self.insight.reader,
            code,
        };
        // A function that calls itself is being looked at further out.
        let left = shared.try_borrow_mut().ok()?.left_behind(&names, self);
        let analysis = shared.borrow();
        let mut effects = Vec::new();
        let mut places = Vec::new();
        let arguments = u32::try_from(code.argcount + code.kwonlyargcount).unwrap_or(u32::MAX);
        for (sites, raised) in [(&left.taken, false), (&left.raised, true)] {
            for site in sites
                .iter()
                .filter(|site| site.taken == Taken::Lock && !site.rebound)
            {
                let Some((lock, place)) = self.told(&analysis, site) else {
                    continue;
                };
                effects.push(CallEffect {
                    object: lock.0,
                    takes: true,
                    certain: site.on_every_path,
                    raised,
                    by_arguments: site
                        .from
                        .iter()
                        .any(|id| analysis.reads_arguments(*id, arguments)),
                });
                places.push((lock.0, place));
            }
        }
        for given in left.given {
            let lock = match given {
                Subject::Expression(id) => self.lock(&analysis, id),
                Subject::Object(object) => Some(Address(object)),
            };
            effects.extend(lock.map(|lock| CallEffect {
                object: lock.0,
                takes: false,
                certain: false,
                raised: false,
                by_arguments: false,
            }));
        }
        Some((effects, places))
    }

    /// The function that an expression means, with what it is bound to.
    fn callee(&self, analysis: &Analysis, callable: ValueId) -> Option<Bound> {
        let value = |id| analysis.value(id);
        match analysis.value(callable) {
            Value::Method { object, name } | Value::Attr { object, name } => {
                let object = self.insight.evaluate(self.scope, &value, object, 0)?;
                let name = self
                    .scope
                    .code()
                    .name_at(&self.insight.reader, name as usize)
                    .ok()?;
                self.method(object, &name)
            }
            _ => {
                let object = self.insight.evaluate(self.scope, &value, callable, 0)?;
                self.bound(object, None)
            }
        }
    }

    fn method(&self, object: Address, name: &str) -> Option<Bound> {
        let reader = &self.insight.reader;
        let is_class_method = |found| reader.is_instance(found, "builtins", "classmethod");
        let class = reader.class_of(object).ok()?;
        if class.has(flags::TYPE)
            && let Ok(Some(found)) = reader.class_attribute(object, name)
        {
            // A function taken from its class takes its object as an ordinary argument.
            return self.bound(found, is_class_method(found).then_some(object));
        }
        let own = match reader.module_dict(object) {
            Ok(dict) => Some(reader.dict_get(dict, name).ok()??),
            Err(_) => reader.attribute(object, name).ok().flatten(),
        };
        if let Some(own) = own {
            return self.bound(own, None);
        }
        let found = reader.class_attribute(class.address, name).ok()??;
        let receiver = if is_class_method(found) {
            class.address
        } else {
            object
        };
        self.bound(found, Some(receiver))
    }

    /// The function inside bound methods and the wrappers for methods of classes.
    fn bound(&self, object: Address, receiver: Option<Address>) -> Option<Bound> {
        let reader = &self.insight.reader;
        let is = |name| reader.is_instance(object, "builtins", name);
        if is("function") {
            return Some(Bound {
                function: object,
                receiver,
            });
        }
        if is("method") {
            let layout = &reader.layout.method;
            let function = reader.get(object, layout.im_func).ok()?;
            let receiver = reader.get(object, layout.im_self).ok()?;
            return reader
                .is_instance(function, "builtins", "function")
                .then_some(Bound {
                    function,
                    receiver: Some(receiver),
                });
        }
        let (class_method, static_method) = (is("classmethod"), is("staticmethod"));
        if !class_method && !static_method {
            return None;
        }
        // `cm_callable` and `sm_callable` are the first field of each.
        let head = reader.layout.object.ob_size.offset()?;
        let function: Address = reader.scalar(object.plus(head)).ok()?;
        reader
            .is_instance(function, "builtins", "function")
            .then_some(Bound {
                function,
                receiver: receiver.filter(|_| class_method),
            })
    }

    /// What is known of the variables that the call begins with.
    fn arguments(
        &self,
        analysis: &Analysis,
        call: &CallSite,
        bound: &Bound,
        code: &CodeInfo,
    ) -> HashMap<u32, Address> {
        let reader = &self.insight.reader;
        let value = |id: &ValueId| {
            self.insight
                .evaluate(self.scope, &|id| analysis.value(id), *id, 0)
        };
        let keywords = self.keywords(analysis, call);
        let positional = call.arguments.len().saturating_sub(keywords.len());
        let mut locals: HashMap<u32, Address> = HashMap::new();
        let first = usize::from(bound.receiver.is_some());
        let own = call.arguments.iter().take(positional).map(value);
        let all = bound.receiver.map(Some).into_iter().chain(own);
        for (slot, argument) in (0..).zip(all).take(code.argcount) {
            locals.extend(argument.map(|argument| (slot, argument)));
        }
        let names = code.locals(reader).unwrap_or_default();
        let named = keywords.iter().zip(call.arguments.iter().skip(positional));
        for (name, id) in named {
            let local = names.iter().find(|local| *local.name == **name);
            if let (Some(local), Some(argument)) = (local, value(id)) {
                locals.extend(u32::try_from(local.slot).ok().map(|slot| (slot, argument)));
            }
        }
        self.defaults(bound, code, first + positional, &mut locals);
        locals.extend(Called::closure(reader, Some(bound.function), code));
        locals
    }

    /// The names of the arguments given by keyword.
    fn keywords(&self, analysis: &Analysis, call: &CallSite) -> Vec<String> {
        let reader = &self.insight.reader;
        let Some(Value::Const(index)) = call.names.map(|id| analysis.value(id)) else {
            return Vec::new();
        };
        let names = self.scope.code().const_at(reader, index as usize);
        let names = names.and_then(|names| reader.items(names, ARGUMENTS_MAX));
        let names = names.unwrap_or_default().into_iter();
        names
            .map(|name| reader.string(name, NAME_CHARS).unwrap_or_default())
            .collect()
    }

    fn defaults(
        &self,
        bound: &Bound,
        code: &CodeInfo,
        given: usize,
        locals: &mut HashMap<u32, Address>,
    ) {
        let reader = &self.insight.reader;
        let defaults = reader
            .get(bound.function, reader.layout.function.func_defaults)
            .and_then(|defaults| reader.items(defaults, ARGUMENTS_MAX))
            .unwrap_or_default();
        let first = code.argcount.saturating_sub(defaults.len());
        for (slot, default) in (first..code.argcount).zip(defaults) {
            if let (true, Ok(slot)) = (slot >= given, u32::try_from(slot)) {
                locals.entry(slot).or_insert(default);
            }
        }
    }

    /// The outer functions' variables that a function has, by slot.
    pub(super) fn closure(
        reader: &Reader<'_>,
        function: Option<Address>,
        code: &CodeInfo,
    ) -> HashMap<u32, Address> {
        let cells = function
            .and_then(|function| {
                let closure = reader.get(function, reader.layout.function.func_closure);
                reader.items(closure.ok()?, ARGUMENTS_MAX).ok()
            })
            .unwrap_or_default();
        let names = code.locals(reader).unwrap_or_default().iter();
        let free = names.filter(|local| local.kind == LocalKind::Free);
        let content = |(local, cell): (&LocalName, Address)| {
            let content: Address = reader.get(cell, reader.layout.cell.ob_ref).ok()?;
            Some((u32::try_from(local.slot).ok()?, content.non_null()?))
        };
        free.zip(cells).filter_map(content).collect()
    }
}

impl Callees for Called<'_> {
    fn effects(&self, analysis: &Analysis, call: &CallSite) -> Vec<CallEffect> {
        if let Some(known) = self.effects.borrow().get(&call.offset) {
            return known.clone();
        }
        let effects = self.look(analysis, call).unwrap_or_default();
        let mut known = self.effects.borrow_mut();
        known.insert(call.offset, effects.clone());
        effects
    }

    fn object(&self, analysis: &Analysis, expression: ValueId) -> Option<u64> {
        self.lock(analysis, expression).map(|lock| lock.0)
    }
}
