//! What a frame has close at hand: what a lock taken in a loop may have been found in.

use super::insight::Insight;
use crate::frame::RawFrame;
use crate::object::flags;
use snapshot::Address;
use std::collections::HashSet;

/// Steps from a variable on.
const DEPTH_MAX: usize = 3;
/// Most objects that are met.
const OBJECTS_MAX: usize = 5000;
/// Most items and attributes of one of them.
const ITEMS_MAX: usize = 1000;
/// Most names of the code that are looked up.
const NAMES_MAX: usize = 200;
/// Types of iterators, whose first words are what they go through.
const ITERATORS: [&str; 12] = [
    "list_iterator",
    "list_reverseiterator",
    "tuple_iterator",
    "set_iterator",
    "dict_keyiterator",
    "dict_valueiterator",
    "dict_itemiterator",
    "enumerate",
    "reversed",
    "zip",
    "map",
    "filter",
];
/// Words of an iterator that are looked at.
const ITERATOR_WORDS: u64 = 4;

/// The objects that the frame's variables, `depth` slots of its value stack, and `more` lead to in a few steps through containers
/// and attributes.
pub(super) fn of_frame(
    insight: &Insight<'_>,
    frame: &RawFrame,
    depth: usize,
    more: impl IntoIterator<Item = Address>,
) -> HashSet<Address> {
    let reader = &insight.reader;
    let locals = frame.code.locals(reader).unwrap_or_default().iter();
    let locals = locals.filter_map(|local| frame.slot(reader, local.slot));
    let stack = (0..depth).filter_map(|slot| frame.stack_slot(reader, slot));
    let mut level: Vec<Address> = locals.chain(stack).chain(more).collect();
    level.extend(named_containers(insight, frame));
    let mut met: HashSet<Address> = level.iter().copied().collect();
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for object in level {
            for to in links(insight, object) {
                if met.len() < OBJECTS_MAX && met.insert(to) {
                    next.push(to);
                }
            }
        }
        level = next;
    }
    met
}

/// The lists, tuples, dictionaries and sets that are globals and that the code names.
fn named_containers(insight: &Insight<'_>, frame: &RawFrame) -> Vec<Address> {
    let reader = &insight.reader;
    let names = (0..NAMES_MAX).map_while(|index| frame.code.name_at(reader, index).ok());
    let globals = names.filter_map(|name| reader.dict_get(frame.globals, &name).ok()?);
    let is_container = |object: &Address| {
        reader.class_of(*object).is_ok_and(|class| {
            let built_in = [flags::LIST, flags::TUPLE, flags::DICT];
            built_in.iter().any(|flag| class.has(*flag))
                || matches!(&*class.name, "set" | "frozenset")
        })
    };
    globals.filter(is_container).collect()
}

fn links(insight: &Insight<'_>, object: Address) -> Vec<Address> {
    let reader = &insight.reader;
    let Ok(class) = reader.class_of(object) else {
        return Vec::new();
    };
    if class.has(flags::LIST) || class.has(flags::TUPLE) {
        return reader.items(object, ITEMS_MAX).unwrap_or_default();
    }
    if class.has(flags::DICT) {
        let items = reader.dict_items(object, ITEMS_MAX).unwrap_or_default();
        return items
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect();
    }
    if matches!(&*class.name, "set" | "frozenset") {
        return reader.set_items(object, ITEMS_MAX).unwrap_or_default();
    }
    if ITERATORS.contains(&&*class.name) && !class.made_in_python {
        let head = reader.layout.object.ob_size.offset().unwrap_or(16);
        let words = (0..ITERATOR_WORDS).map(|word| object.plus(head + word * 8));
        return words
            .filter_map(|place| reader.scalar::<Address>(place).ok()?.non_null())
            .filter(|to| reader.class_of(*to).is_ok())
            .collect();
    }
    if class.made_in_python {
        let attributes = reader.attributes(object, ITEMS_MAX).unwrap_or_default();
        return attributes.into_iter().map(|(_, value)| value).collect();
    }
    Vec::new()
}
