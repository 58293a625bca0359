//! Abstract interpretation: which value stacks an instruction can be reached with.

use super::decode::Instructions;
use super::exception_table::{self, Entry};
use super::op::Op;
use super::step::Machine;
use super::value::{Value, ValueId, Values};
use super::{CodeView, Dialect, FrameBlock, Names};
use std::collections::{HashSet, VecDeque};

/// Different stacks kept for one place. More than one happens only in the `finally` bodies of 3.8, which are entered
/// with one marker or with an exception's six values.
const STATES_PER_PLACE_MAX: usize = 8;
/// Stack slots kept for all places together.
const SLOTS_KEPT_MAX: usize = 2 << 20;
/// How many times over the code is interpreted at most.
const PASSES_MAX: usize = 64;
/// A greater `co_stacksize` is not believed.
const STACK_MAX: usize = 1 << 16;

/// What is still to be interpreted: places and numbers of the states kept there, each once.
#[derive(Default)]
struct Work {
    queue: VecDeque<(usize, usize)>,
    queued: HashSet<(usize, usize)>,
}

impl Work {
    fn push(&mut self, item: (usize, usize)) {
        if self.queued.insert(item) {
            self.queue.push_back(item);
        }
    }

    fn pop(&mut self) -> Option<(usize, usize)> {
        let item = self.queue.pop_front()?;
        self.queued.remove(&item);
        Some(item)
    }
}

/// An entry of the block stack (up to 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Offset of the handler in bytes; `None` for the block of a handler that runs.
    pub handler: Option<u32>,
    /// Depth of the value stack at its start.
    pub level: usize,
}

/// What is known before an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub stack: Vec<ValueId>,
    pub blocks: Vec<Block>,
}

impl State {
    /// Whether two states are the same place in the program, so that they can be joined.
    fn same_shape(&self, other: &State) -> bool {
        self.stack.len() == other.stack.len() && self.blocks == other.blocks
    }
}

/// A code object, understood. Independent of any frame; worth keeping with the code object.
#[derive(Debug)]
pub struct Analysis {
    pub(super) dialect: &'static Dialect,
    pub(super) instructions: Instructions,
    pub(super) entries: Vec<Entry>,
    pub(super) values: Values,
    pub(super) nlocals: u32,
    /// Calls of `finally` bodies (3.8): body's index, depth of the stack in it, index to return to.
    pub(super) finally_calls: Vec<(usize, usize, usize)>,
    /// States before each instruction that flow can reach otherwise than from the one before it.
    states: Vec<Option<Vec<State>>>,
    stack_max: usize,
    complete: bool,
}

/// A frame's state: the value stack before its current instruction.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Index of the current instruction.
    pub(super) index: usize,
    /// Offset of its opcode, in bytes.
    pub offset: u32,
    /// The value stack, from the bottom.
    pub stack: Vec<ValueId>,
    /// False when the instruction can be reached with other depths too and the frame's block stack did
    /// not tell them apart.
    pub exact: bool,
}

impl Analysis {
    /// Interprets the code. Work is linear in its length.
    pub fn new(view: &CodeView<'_>) -> Analysis {
        let instructions = Instructions::decode(view);
        let entries = exception_table::parse(view.exception_table);
        let mut analysis = Analysis {
            dialect: view.dialect,
            states: leaders(&instructions, &entries),
            instructions,
            entries,
            values: Values::new(),
            nlocals: view.nlocals,
            finally_calls: Vec::new(),
            stack_max: (view.stacksize as usize).min(STACK_MAX),
            complete: true,
        };
        analysis.find_fixpoint();
        analysis
    }

    /// False when something in the code could not be followed: an unknown or hidden instruction, a stack that
    /// does not fit, a limit reached.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The frame's state before the instruction at `offset`, see the module's documentation. `blocks` is the
    /// frame's block stack, from the outermost, up to 3.10; where it cannot be read, and later, empty.
    /// `None` when the offset is outside the code or no known path leads there.
    pub fn at(&mut self, offset: u32, blocks: &[FrameBlock]) -> Option<Moment> {
        let mut index = self.instructions.index_at(offset)?;
        // Up to 3.10 a suspended `await` is kept one instruction back, to be executed again.
        if self
            .instructions
            .get(index + 1)
            .is_some_and(|next| next.op == Op::YieldFrom)
        {
            index += 1;
        }
        let offset = self.instructions.get(index)?.offset;
        let mut states = self.states_at(index);
        if !blocks.is_empty() {
            let unit = self.dialect.unit();
            let told: Vec<Block> = blocks.iter().map(|block| from_frame(block, unit)).collect();
            if states.iter().any(|state| state.blocks == told) {
                states.retain(|state| state.blocks == told);
            }
        }
        let exact = states.len() == 1;
        let state = states.into_iter().next()?;
        Some(Moment {
            index,
            offset,
            stack: state.stack,
            exact,
        })
    }

    /// What a value is.
    pub fn value(&self, id: ValueId) -> Value {
        self.values.get(id)
    }

    /// The program's expression for a value: `self.accounts[0].lock`. `None` where nothing is known of it.
    pub fn render(&self, id: ValueId, names: &dyn Names) -> Option<String> {
        self.values.render(id, names)
    }

    /// All states before the instruction, carried forward from the last place where states are kept.
    pub(super) fn states_at(&mut self, index: usize) -> Vec<State> {
        let Some(leader) = (0..=index)
            .rev()
            .find(|at| self.states.get(*at).is_some_and(Option::is_some))
        else {
            return Vec::new();
        };
        let mut states = self
            .states
            .get(leader)
            .cloned()
            .flatten()
            .unwrap_or_default();
        let mut edges = Vec::new();
        for at in leader..index {
            let mut machine = self.machine();
            states.retain_mut(|state| machine.step(state, at, &mut edges).unwrap_or(false));
            edges.clear();
        }
        states
    }

    /// Whether flow can reach the instruction otherwise than from the one before it.
    pub(super) fn is_leader(&self, index: usize) -> bool {
        self.states.get(index).is_some_and(Option::is_some)
    }

    /// The states kept for a leader.
    pub(super) fn kept_states(&self, leader: usize) -> Vec<State> {
        self.states
            .get(leader)
            .cloned()
            .flatten()
            .unwrap_or_default()
    }

    /// Keeps a state before each leader until nothing new is learned.
    fn find_fixpoint(&mut self) {
        // A generator of 3.10 begins by taking the None that starts it.
        let starts_with_none = self
            .instructions
            .get(0)
            .is_some_and(|first| first.name == "GEN_START");
        let stack = if starts_with_none {
            vec![Values::UNKNOWN]
        } else {
            Vec::new()
        };
        let mut work = Work::default();
        let mut kept = 0;
        self.merge(
            0,
            State {
                stack,
                blocks: Vec::new(),
            },
            &mut work,
            &mut kept,
        );
        let mut budget = self
            .instructions
            .len()
            .saturating_mul(PASSES_MAX)
            .saturating_add(1000);
        let mut edges = Vec::new();
        let mut finally_calls = 0;
        loop {
            let Some((leader, number)) = work.pop() else {
                // A call of a `finally` body found after the body was interpreted: its end has one more way to go on.
                if self.finally_calls.len() == finally_calls {
                    break;
                }
                finally_calls = self.finally_calls.len();
                self.ask_again(&mut work);
                continue;
            };
            let state = self
                .states
                .get(leader)
                .and_then(Option::as_ref)
                .and_then(|states| states.get(number));
            let Some(mut state) = state.cloned() else {
                continue;
            };
            self.exception_edge(leader, &state, &mut edges);
            let mut at = leader;
            loop {
                let falls = self.machine().step(&mut state, at, &mut edges);
                at += 1;
                match falls {
                    Some(true) => {}
                    Some(false) => break,
                    None => {
                        self.complete = false;
                        break;
                    }
                }
                if self.states.get(at).is_none_or(Option::is_some) {
                    edges.push((at, state));
                    break;
                }
                budget = budget.saturating_sub(1);
            }
            budget = budget.saturating_sub(1 + edges.len());
            for (target, state) in edges.drain(..) {
                self.merge(target, state, &mut work, &mut kept);
            }
            if budget == 0 || kept > SLOTS_KEPT_MAX {
                self.complete = false;
                break;
            }
        }
    }

    fn ask_again(&self, work: &mut Work) {
        for (index, states) in self.states.iter().enumerate() {
            for number in 0..states.as_ref().map_or(0, Vec::len) {
                work.push((index, number));
            }
        }
    }

    pub(super) fn machine(&mut self) -> Machine<'_> {
        Machine {
            dialect: self.dialect,
            nlocals: self.nlocals,
            instructions: &self.instructions,
            values: &mut self.values,
            finally_calls: &mut self.finally_calls,
        }
    }

    /// Where an exception in the stretch from `leader` on goes, by the exception table.
    fn exception_edge(&mut self, leader: usize, state: &State, edges: &mut Vec<(usize, State)>) {
        let Some(instruction) = self.instructions.get(leader) else {
            return;
        };
        let Some(entry) = exception_table::find(&self.entries, instruction.start) else {
            return;
        };
        let Some(target) = self.instructions.index_at(entry.target) else {
            return;
        };
        let Some(below) = state.stack.get(..entry.depth as usize) else {
            return;
        };
        let mut stack = below.to_vec();
        if entry.lasti {
            stack.push(Values::UNKNOWN);
        }
        stack.push(Values::EXCEPTION);
        edges.push((
            target,
            State {
                stack,
                blocks: Vec::new(),
            },
        ));
    }

    /// Joins a state with those kept for the place, and asks for another pass where that changed something.
    fn merge(&mut self, index: usize, state: State, work: &mut Work, kept: &mut usize) {
        if state.stack.len() > self.stack_max {
            self.complete = false;
            return;
        }
        let Some(Some(states)) = self.states.get_mut(index) else {
            self.complete = false;
            return;
        };
        if let Some((number, known)) = states
            .iter_mut()
            .enumerate()
            .find(|(_, known)| known.same_shape(&state))
        {
            let mut changed = false;
            for (one, other) in known.stack.iter_mut().zip(state.stack) {
                let joined = self.values.join(*one, other);
                changed |= joined != *one;
                *one = joined;
            }
            if changed {
                work.push((index, number));
            }
        } else if states.len() < STATES_PER_PLACE_MAX {
            *kept += state.stack.len() + state.blocks.len() + 1;
            work.push((index, states.len()));
            states.push(state);
        } else {
            self.complete = false;
        }
    }
}

/// A frame's own block in the form that the interpretation has.
fn from_frame(block: &FrameBlock, unit: u32) -> Block {
    let handler = u32::try_from(block.handler)
        .ok()
        .and_then(|handler| handler.checked_mul(unit));
    Block {
        handler,
        level: usize::try_from(block.level).unwrap_or(usize::MAX),
    }
}

/// An empty list for each place that flow can reach otherwise than from the instruction before it.
fn leaders(instructions: &Instructions, entries: &[Entry]) -> Vec<Option<Vec<State>>> {
    let mut states: Vec<Option<Vec<State>>> = vec![None; instructions.len()];
    let mut mark = |index: Option<usize>| {
        if let Some(state) = index.and_then(|index| states.get_mut(index)) {
            *state = Some(Vec::new());
        }
    };
    mark(Some(0));
    for (index, instruction) in instructions.iter().enumerate() {
        mark(instructions.jump_target(index));
        if matches!(instruction.op, Op::CallFinally | Op::WithCleanupFinish) {
            mark(Some(index + 1));
        }
    }
    for entry in entries {
        mark(instructions.index_at(entry.start));
        mark(instructions.index_at(entry.end));
        mark(instructions.index_at(entry.target));
    }
    states
}
