//! The tree that a flame graph draws: processes, threads and tasks, below them functions, with what each weighs.

use crate::text::{process_label, task_label, thread_label};
use crate::tree::{Cost, frame_ids};
use crate::{FrameKind, FunctionId, Profile, State, Track};
use std::collections::HashMap;

/// Of more threads (or tasks of a thread) than that, those whose names differ in numbers alone are drawn as one.
const APART_MAX: usize = 12;

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The root.
    All,
    /// Processes, threads, tasks: an index into [`Flame::groups`].
    Group(u32),
    /// A function.
    Function(FunctionId),
    /// Waiting for the GIL, below the function that does.
    Gil,
    /// Nothing is known.
    Outside,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it stands for.
    pub key: Key,
    /// With all below it.
    pub cost: Cost,
    /// Without.
    pub own: Cost,
    /// The nodes below, the heaviest first.
    pub children: Vec<u32>,
}

/// The tree. Node 0 is the root; a node comes after the one above it.
#[derive(Debug)]
pub struct Flame {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The texts of groups.
    pub groups: Vec<String>,
}

impl Flame {
    /// Of a profile.
    pub fn of(profile: &Profile) -> Flame {
        let mut builder = Builder {
            flame: Flame {
                nodes: vec![Node::new(Key::All)],
                groups: Vec::new(),
            },
            index: HashMap::new(),
            group_index: HashMap::new(),
        };
        let paths = group_paths(profile);
        for total in &profile.totals {
            let cost = Cost {
                samples: total.samples,
                ns: profile.weight_ns(total),
            };
            let mut path = vec![0];
            let mut at = 0;
            for label in paths.get(total.track as usize).into_iter().flatten() {
                let group = builder.group(label);
                at = builder.child(at, Key::Group(group));
                path.push(at);
            }
            let frames = frame_ids(profile, total.stack);
            let mut innermost = None;
            for frame in frames {
                let Some(frame) = profile.frames.get(frame as usize) else {
                    continue;
                };
                innermost = profile.function_of(frame).map(|function| function.kind);
                at = builder.child(at, Key::Function(frame.function));
                path.push(at);
            }
            let leaf = match (innermost, total.state) {
                (None, _) => Some(Key::Outside),
                (Some(FrameKind::Wait), _) => None,
                (Some(_), State::Gil) => Some(Key::Gil),
                (Some(_), _) => None,
            };
            if let Some(leaf) = leaf {
                at = builder.child(at, leaf);
                path.push(at);
            }
            for node in path {
                builder.flame.nodes[node as usize].cost.add(cost);
            }
            builder.flame.nodes[at as usize].own.add(cost);
        }
        let mut flame = builder.flame;
        flame.sort(profile);
        flame
    }

    /// The heaviest first; of equal ones, by name, so that the same recording is always drawn the same.
    fn sort(&mut self, profile: &Profile) {
        for index in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[index].children);
            children.sort_by(|a, b| {
                let (a, b) = (&self.nodes[*a as usize], &self.nodes[*b as usize]);
                (b.cost.ns, b.cost.samples)
                    .cmp(&(a.cost.ns, a.cost.samples))
                    .then_with(|| self.name(profile, a.key).cmp(self.name(profile, b.key)))
            });
            self.nodes[index].children = children;
        }
    }

    /// A node's name.
    pub fn name<'a>(&'a self, profile: &'a Profile, key: Key) -> &'a str {
        match key {
            Key::All => "all",
            Key::Group(group) => self.groups.get(group as usize).map_or("", String::as_str),
            Key::Function(function) => profile
                .functions
                .get(function as usize)
                .map_or("", |function| profile.text(function.name)),
            Key::Gil => "waits for the GIL",
            Key::Outside => "no frame known",
        }
    }
}

impl Node {
    fn new(key: Key) -> Node {
        Node {
            key,
            cost: Cost::default(),
            own: Cost::default(),
            children: Vec::new(),
        }
    }
}

struct Builder {
    flame: Flame,
    index: HashMap<(u32, Key), u32>,
    group_index: HashMap<String, u32>,
}

impl Builder {
    fn group(&mut self, label: &str) -> u32 {
        if let Some(group) = self.group_index.get(label) {
            return *group;
        }
        let group = self.flame.groups.len() as u32;
        self.flame.groups.push(label.to_owned());
        self.group_index.insert(label.to_owned(), group);
        group
    }

    fn child(&mut self, parent: u32, key: Key) -> u32 {
        let nodes = &mut self.flame.nodes;
        *self.index.entry((parent, key)).or_insert_with(|| {
            let id = nodes.len() as u32;
            nodes.push(Node::new(key));
            nodes[parent as usize].children.push(id);
            id
        })
    }
}

/// For each track the labels of the groups that it is in, from the outermost.
fn group_paths(profile: &Profile) -> Vec<Vec<String>> {
    let mut threads: HashMap<u32, Vec<String>> = HashMap::new();
    let mut tasks: HashMap<(u32, u32), Vec<String>> = HashMap::new();
    for track in &profile.tracks {
        match task_label(profile, track) {
            None => threads
                .entry(track.process)
                .or_default()
                .push(thread_label(profile, track)),
            Some(task) => tasks
                .entry((track.process, track.tid))
                .or_default()
                .push(task),
        }
    }
    let path = |track: &Track| {
        let mut path = Vec::new();
        if profile.processes.len() > 1 {
            path.push(process_label(profile, track.process));
        }
        let thread = thread_label(profile, track);
        let anonymous = track.tid == 0 && profile.text(track.thread).is_empty();
        if !anonymous {
            let all = threads.get(&track.process).map_or(&[][..], Vec::as_slice);
            path.push(together(&thread, all));
        }
        if let Some(task) = task_label(profile, track) {
            let all = tasks
                .get(&(track.process, track.tid))
                .map_or(&[][..], Vec::as_slice);
            path.push(together(&task, all));
        }
        path
    };
    profile.tracks.iter().map(path).collect()
}

/// A name, with stars for its numbers where there are many that differ in them alone.
fn together(name: &str, all: &[String]) -> String {
    if all.len() <= APART_MAX {
        return name.to_owned();
    }
    let pattern = starred(name);
    let alike = all.iter().filter(|other| starred(other) == pattern).count();
    if alike > 2 { pattern } else { name.to_owned() }
}

fn starred(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_digit() => {
                if !out.ends_with('*') {
                    out.push('*');
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn a_node_weighs_what_is_below_it() {
        let profile = synthetic::server();
        let flame = Flame::of(&profile);
        assert_eq!(flame.nodes[0].cost.samples, profile.about.samples);
        for node in &flame.nodes {
            let below: u64 = node
                .children
                .iter()
                .map(|child| flame.nodes[*child as usize].cost.ns)
                .sum();
            assert_eq!(node.cost.ns, below + node.own.ns);
        }
    }

    #[test]
    fn many_threads_alike_are_one() {
        let names: Vec<String> = (0..40)
            .map(|n| format!("thread Thread-{n} (work) (9{n})"))
            .collect();
        assert_eq!(together(&names[3], &names), "thread Thread-* (work) (*)");
        assert_eq!(together(&names[3], &names[..5]), names[3]);
        assert_eq!(together("thread main", &names), "thread main");
    }
}
