//! The objects and names met, as numbers: many walks go over the same ones.

use super::code::CodeUse;
use super::kind::Kind;
use super::path::Label;
use super::{Links, World};
use rustc_hash::FxHashMap;
use snapshot::Address;
use std::rc::Rc;

/// An object, numbered in the order in which they are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// A name, numbered likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NameId(u32);

impl Id {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NameId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All that were met.
#[derive(Debug, Default)]
pub(super) struct Graph {
    ids: FxHashMap<Address, Id>,
    objects: Vec<Object>,
    name_ids: FxHashMap<Rc<str>, NameId>,
    names: Vec<Rc<str>>,
}

#[derive(Debug)]
struct Object {
    address: Address,
    /// Found out when it is first reached.
    role: Option<Role>,
    /// Found out when it is first looked into.
    edges: Option<Rc<Edges>>,
}

/// What a walk does with an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// It is looked for.
    pub target: bool,
    /// It may be looked into: it is neither a leaf nor somebody who acts for itself.
    pub inner: bool,
}

/// Where one object or frame leads, in numbers: see [`Links`].
#[derive(Debug)]
pub(super) struct Edges {
    pub always: Vec<(Label, Id)>,
    pub named: Vec<(NameId, Id)>,
    pub code: Option<Rc<CodeUse>>,
    /// The names of `code`.
    pub names: Vec<NameId>,
    pub partial: bool,
    pub releases: Option<Id>,
    pub foreign: bool,
}

impl Graph {
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// How many names there are.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// The number of the object at `address`.
    pub fn id(&mut self, address: Address) -> Id {
        let next = Id(self.objects.len() as u32);
        *self.ids.entry(address).or_insert_with(|| {
            self.objects.push(Object {
                address,
                role: None,
                edges: None,
            });
            next
        })
    }

    /// Where the object is.
    pub fn address(&self, id: Id) -> Address {
        let object = self.objects.get(id.index());
        object.map_or(Address::NULL, |object| object.address)
    }

    /// The number of a name.
    pub fn name_id(&mut self, name: &Rc<str>) -> NameId {
        if let Some(known) = self.name_ids.get(name) {
            return *known;
        }
        let id = NameId(self.names.len() as u32);
        self.names.push(name.clone());
        self.name_ids.insert(name.clone(), id);
        id
    }

    /// The number of a name, if it was met.
    pub fn known_name(&self, name: &str) -> Option<NameId> {
        self.name_ids.get(name).copied()
    }

    /// The name of this number.
    pub fn name(&self, id: NameId) -> Rc<str> {
        self.names.get(id.index()).cloned().unwrap_or_default()
    }

    /// Where the object leads, if it was looked into.
    pub fn known_edges(&self, id: Id) -> Option<&Rc<Edges>> {
        self.objects.get(id.index())?.edges.as_ref()
    }
}

impl World<'_> {
    /// What a walk does with the object.
    pub(super) fn role(&mut self, id: Id) -> Role {
        let object = self.graph.objects.get(id.index());
        if let Some(role) = object.and_then(|object| object.role) {
            return role;
        }
        let address = self.graph.address(id);
        let actor = self.question.actors.contains(&address);
        let role = Role {
            target: self.question.targets.contains(&address),
            inner: !actor && self.kind_of(address) != Kind::Leaf,
        };
        if let Some(object) = self.graph.objects.get_mut(id.index()) {
            object.role = Some(role);
        }
        role
    }

    /// Where the object leads.
    pub(super) fn edges(&mut self, id: Id) -> Rc<Edges> {
        if let Some(known) = self.graph.known_edges(id) {
            return known.clone();
        }
        let links = self.links_of(self.graph.address(id));
        let edges = Rc::new(self.numbered(links));
        if let Some(object) = self.graph.objects.get_mut(id.index()) {
            object.edges = Some(edges.clone());
        }
        edges
    }

    /// The same in numbers.
    pub(super) fn numbered(&mut self, links: Links) -> Edges {
        let graph = &mut self.graph;
        let always = links.always.into_iter().filter(|link| !link.to.is_null());
        let always = always.map(|link| (link.label, graph.id(link.to))).collect();
        let named = links.named.iter().filter(|(_, to)| !to.is_null());
        let named = named
            .map(|(name, to)| (graph.name_id(name), graph.id(*to)))
            .collect();
        let names = links.code.iter().flat_map(|code| &code.names);
        Edges {
            always,
            named,
            names: names.map(|name| graph.name_id(name)).collect(),
            code: links.code,
            partial: links.partial,
            releases: links.releases.map(|lock| graph.id(lock)),
            foreign: links.foreign,
        }
    }
}
