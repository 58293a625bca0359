//! Generators that stand at a `yield`: whoever has one could run it on, and so give back what it holds.

use super::kind::Kind;
use super::{Question, Root, World};
use crate::frame::RawFrame;
use crate::generator::{GeneratorState, generator_frame, generator_state};
use crate::reader::Reader;
use snapshot::Address;
use std::collections::{HashMap, HashSet, VecDeque};

/// How far from a frame, in references, a generator counts as its own: `self.jobs[0]` is three away.
const OWN_STEPS: usize = 3;
/// The same from a module, where nobody's variable leads to it.
const MODULE_STEPS: usize = 6;
/// Most objects that are looked into for one root.
const ROOT_OBJECTS_MAX: usize = 3000;
/// Most objects that are looked into for all modules.
const MODULE_OBJECTS_MAX: usize = 50_000;
/// Most entries of one namespace.
const NAMES_MAX: usize = 20_000;

/// A generator, coroutine or asynchronous generator that is suspended and is no task's.
#[derive(Debug, Clone)]
pub struct Suspended {
    /// The generator.
    pub generator: Address,
    /// Its frame.
    pub frame: RawFrame,
    /// Which of the roots have it in a variable, or close by.
    pub of_roots: Vec<usize>,
}

/// The suspended generators that the roots have, and those that the modules with these namespaces lead to.
pub fn suspended(
    reader: &Reader<'_>,
    roots: &[Root<'_>],
    namespaces: &[Address],
    question: &Question<'_>,
) -> Vec<Suspended> {
    let mut world = World::new(*reader, question);
    let frames = roots.iter().flat_map(|root| root.frames);
    let running: HashSet<Address> = frames.filter_map(|frame| frame.generator).collect();
    let mut found: Vec<Suspended> = Vec::new();
    let mut place: HashMap<Address, usize> = HashMap::new();
    let mut note = |generator: Address, frame: RawFrame, root: Option<usize>| {
        let at = *place.entry(generator).or_insert_with(|| {
            found.push(Suspended {
                generator,
                frame,
                of_roots: Vec::new(),
            });
            found.len() - 1
        });
        if let (Some(root), Some(found)) = (root, found.get_mut(at)) {
            found.of_roots.push(root);
        }
    };
    for (number, root) in roots.iter().enumerate() {
        let starts = root.frames.iter().flat_map(|frame| world.variables(frame));
        let starts: Vec<Address> = starts.collect();
        for (generator, frame) in world.generators(starts, OWN_STEPS, ROOT_OBJECTS_MAX) {
            if !running.contains(&generator) {
                note(generator, frame, Some(number));
            }
        }
    }
    let globals = namespaces.iter().flat_map(|namespace| {
        let entries = reader.dict_items(*namespace, NAMES_MAX).unwrap_or_default();
        entries.into_iter().map(|(_, value)| value)
    });
    let globals: Vec<Address> = globals.collect();
    for (generator, frame) in world.generators(globals, MODULE_STEPS, MODULE_OBJECTS_MAX) {
        if !running.contains(&generator) {
            note(generator, frame, None);
        }
    }
    found
}

impl World<'_> {
    /// What a frame's variables and value stack refer to, whether they will be used again or not.
    fn variables(&mut self, frame: &RawFrame) -> Vec<Address> {
        let reader = self.reader;
        let locals = frame.code.locals(&reader).unwrap_or_default();
        let slots = locals.iter().map(|local| local.slot);
        let mut found: Vec<Address> = slots.filter_map(|slot| frame.slot(&reader, slot)).collect();
        let depth = self.ahead(frame).depth.or(frame.stack_depth);
        let stack = 0..depth.unwrap_or(frame.code.stacksize);
        found.extend(stack.filter_map(|slot| frame.stack_slot(&reader, slot)));
        if let Some(namespace) = frame.namespace.non_null() {
            let entries = reader.dict_items(namespace, NAMES_MAX).unwrap_or_default();
            found.extend(entries.into_iter().map(|(_, value)| value));
        }
        found
    }

    /// The suspended generators that are at most so many references away; those that a generator has are as near as it is.
    fn generators(
        &mut self,
        starts: Vec<Address>,
        steps: usize,
        objects_max: usize,
    ) -> Vec<(Address, RawFrame)> {
        let mut found = Vec::new();
        let mut seen: HashSet<Address> = starts.iter().copied().collect();
        let mut due: VecDeque<(Address, usize)> = starts.into_iter().map(|at| (at, 1)).collect();
        let mut left = objects_max;
        while let Some((object, step)) = due.pop_front() {
            if left == 0 || self.question.actors.contains(&object) {
                continue;
            }
            let (next, step) = match self.kind_of(object) {
                Kind::Generator => {
                    let state = generator_state(&self.reader, object);
                    let frame = generator_frame(&self.reader, object);
                    match (state, frame) {
                        (Ok(GeneratorState::Suspended), Some(frame)) => {
                            let next = self.variables(&frame);
                            found.push((object, frame));
                            (next, step)
                        }
                        _ => continue,
                    }
                }
                Kind::Instance
                | Kind::Opaque
                | Kind::Sequence
                | Kind::Dict
                | Kind::Set
                | Kind::Deque
                    if step < steps =>
                {
                    let links = self.links_of(object);
                    let always = links.always.into_iter().map(|link| link.to);
                    let named = links.named.into_iter().map(|(_, to)| to);
                    (always.chain(named).collect(), step + 1)
                }
                _ => continue,
            };
            left -= 1;
            let next = next.into_iter().filter(|at| !at.is_null());
            due.extend(next.filter(|at| seen.insert(*at)).map(|at| (at, step)));
        }
        found
    }
}
