//! Method calls that took something and that nothing has undone on the way to the current instruction.

use super::exception_table;
use super::op::{CallForm, Condition, Op, Unary};
use super::value::{Value, ValueId};
use super::{Analysis, Moment};
use std::collections::HashSet;

/// Most such calls that are followed in one function.
const SITES_MAX: usize = 200;
/// Levels of an expression that are looked into.
const DEPTH_MAX: usize = 12;

/// What a method of a certain name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It takes: `acquire`.
    Takes,
    /// It gives back: `release`.
    Gives,
}

/// A call that took something, and that the frame has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Offset of the call, in bytes.
    pub offset: u32,
    /// The expression of what was taken: `self.lock` of `self.lock.acquire()`.
    pub receiver: ValueId,
}

/// A variable, wherever it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Variable {
    Local(u32),
    Named(u32),
}

struct Site {
    index: usize,
    receiver: ValueId,
    effect: Effect,
}

impl Analysis {
    /// The calls of methods that take, from which a path leads to the current instruction without a call that gives
    /// the same thing back, and without an assignment to a variable in its expression. Where the result of the
    /// call is tested, only the path on which it is true counts. `effect` tells by index into `co_names`.
    pub fn taken(&mut self, moment: &Moment, effect: &dyn Fn(u32) -> Option<Effect>) -> Vec<Taken> {
        let sites = self.sites(effect);
        let takes = sites.iter().filter(|site| site.effect == Effect::Takes);
        takes
            .filter(|site| self.leads_to(site, &sites, moment.index))
            .filter_map(|site| {
                Some(Taken {
                    offset: self.instructions.get(site.index)?.offset,
                    receiver: site.receiver,
                })
            })
            .collect()
    }

    fn sites(&mut self, effect: &dyn Fn(u32) -> Option<Effect>) -> Vec<Site> {
        let mut sites = Vec::new();
        for index in 0..self.instructions.len() {
            let Some(Op::Call(form)) = self.instructions.get(index).map(|at| at.op) else {
                continue;
            };
            if matches!(form, CallForm::Pre | CallForm::Intrinsic(_)) || sites.len() >= SITES_MAX {
                continue;
            }
            let Some(method) = self.method_called(index) else {
                continue;
            };
            if let Some(effect) = effect(method.1) {
                sites.push(Site {
                    index,
                    receiver: method.0,
                    effect,
                });
            }
        }
        sites
    }

    /// Receiver and name of the method that the call at `index` calls.
    fn method_called(&mut self, index: usize) -> Option<(ValueId, u32)> {
        let state = self.states_at(index).into_iter().next()?;
        let moment = Moment {
            index,
            offset: self.instructions.get(index)?.offset,
            stack: state.stack,
            exact: true,
        };
        let callee = self.callee(&moment)?;
        let value = |slot: u32| moment.stack.get(slot as usize).copied();
        let callable = match callee.upper {
            Some(upper) => {
                self.values
                    .callable_of(value(callee.lower)?, value(upper)?, callee.order)
            }
            None => value(callee.lower)?,
        };
        match self.values.get(callable) {
            Value::Attr { object, name } | Value::Method { object, name } => Some((object, name)),
            _ => None,
        }
    }

    /// Whether a path leads from after the call to `end`, past nothing that undoes it.
    fn leads_to(&self, site: &Site, sites: &[Site], end: usize) -> bool {
        let mut variables = HashSet::new();
        self.variables(site.receiver, 0, &mut variables);
        let undone: HashSet<usize> = sites
            .iter()
            .filter(|other| other.effect == Effect::Gives && other.receiver == site.receiver)
            .map(|other| other.index)
            .collect();
        let mut seen = HashSet::new();
        let mut work = vec![self.after_success(site.index)];
        while let Some(index) = work.pop() {
            if index == end {
                return true;
            }
            if !seen.insert(index) || undone.contains(&index) || self.assigns(index, &variables) {
                continue;
            }
            self.successors(index, &mut work);
        }
        false
    }

    /// Where control goes when the call at `index` gives something true.
    fn after_success(&self, index: usize) -> usize {
        let mut negated = false;
        for next in index + 1..index + 4 {
            match self.instructions.get(next).map(|at| at.op) {
                Some(Op::Bool) => {}
                Some(Op::Unary(Unary::Not)) => negated = !negated,
                Some(Op::PopJump(_, condition @ (Condition::True | Condition::False))) => {
                    let jumps_when_true = (condition == Condition::True) != negated;
                    return if jumps_when_true {
                        self.instructions.jump_target(next).unwrap_or(next + 1)
                    } else {
                        next + 1
                    };
                }
                _ => break,
            }
        }
        index + 1
    }

    fn successors(&self, index: usize, work: &mut Vec<usize>) {
        let Some(instruction) = self.instructions.get(index) else {
            return;
        };
        let ends = matches!(
            instruction.op,
            Op::Jump(_) | Op::Return | Op::ReturnConst | Op::Raise | Op::Invalid
        );
        if !ends {
            work.push(index + 1);
        }
        work.extend(self.instructions.jump_target(index));
        let handler = exception_table::find(&self.entries, instruction.start);
        work.extend(handler.and_then(|entry| self.instructions.index_at(entry.target)));
    }

    /// The variables in an expression.
    fn variables(&self, value: ValueId, depth: usize, found: &mut HashSet<Variable>) {
        if depth > DEPTH_MAX {
            return;
        }
        match self.values.get(value) {
            Value::Local(index) | Value::Cell(index) => {
                found.insert(Variable::Local(index));
            }
            Value::Global(index) | Value::Name(index) => {
                found.insert(Variable::Named(index));
            }
            Value::Attr { object, .. } => self.variables(object, depth + 1, found),
            Value::Item { object, index } => {
                self.variables(object, depth + 1, found);
                self.variables(index, depth + 1, found);
            }
            Value::Binary { left, right, .. } => {
                self.variables(left, depth + 1, found);
                self.variables(right, depth + 1, found);
            }
            _ => {}
        }
    }

    /// Whether the instruction assigns to one of the variables.
    fn assigns(&self, index: usize, variables: &HashSet<Variable>) -> bool {
        self.stores(index)
            .into_iter()
            .flatten()
            .any(|variable| variables.contains(&variable))
    }

    /// The variables that an instruction assigns to or deletes.
    fn stores(&self, index: usize) -> [Option<Variable>; 2] {
        let Some(instruction) = self.instructions.get(index) else {
            return [None; 2];
        };
        let arg = instruction.arg;
        match instruction.op {
            Op::StoreFast | Op::DeleteFast => [Some(Variable::Local(arg)), None],
            Op::StoreDeref | Op::DeleteDeref => {
                // Cells have a numbering of their own where there is no exception table (up to 3.10).
                let first = if self.dialect.has_exception_table() {
                    0
                } else {
                    self.nlocals
                };
                [first.checked_add(arg).map(Variable::Local), None]
            }
            Op::StoreFastLoadFast => [Some(Variable::Local(arg >> 4)), None],
            Op::StoreFastTwo => [
                Some(Variable::Local(arg >> 4)),
                Some(Variable::Local(arg & 15)),
            ],
            Op::StoreName | Op::StoreGlobal => [Some(Variable::Named(arg)), None],
            _ => [None; 2],
        }
    }
}
