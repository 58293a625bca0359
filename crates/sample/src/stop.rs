//! Stopping a thread for the copy of a stack that cannot be believed otherwise, for no longer than is allowed.

use crate::Options;
use crate::member::Counts;
use crate::python::{AGAIN_MAX, Python, way};
use cpython::sweep::Outcome;
use process::ReadError;
use process::hold::Hold;
use profile::Builder;
use std::time::{Duration, Instant};

/// How long a thread may take until it stands still, which it does when it gets a CPU; it is not held before that.
pub(crate) const STOP_LIMIT: Duration = Duration::from_millis(50);
/// After so many stops in succession that took too long, no thread of the process is stopped for as long as the last one
/// was, and for twice as long after each further one, up to so many times. A single one is chance: unknot lost its CPU.
const CHANCE_MAX: u32 = 4;
const REST_MAX: u32 = 16;

/// When the process's threads may be stopped.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    not_before: Option<Instant>,
    /// Stops in succession that took too long.
    in_succession: u32,
}

impl Stops {
    pub fn may_begin(&self) -> bool {
        self.not_before.is_none_or(|time| Instant::now() >= time)
    }

    /// Takes note of a stop: how long it was, and whether it was cut short.
    pub fn note(&mut self, held: Duration, cut: bool, options: &Options, counts: &mut Counts) {
        counts.stops += 1;
        counts.stopped += held;
        counts.stop_max = counts.stop_max.max(held);
        let over = cut || held > options.pause_max;
        counts.stops_over += u64::from(over);
        self.in_succession = match over {
            true => self.in_succession.saturating_add(1),
            false => 0,
        };
        let beyond = self.in_succession.checked_sub(CHANCE_MAX);
        let rest = beyond.map_or(0, |beyond| (1 << beyond.min(16)).min(REST_MAX));
        self.not_before = (rest > 0).then(|| Instant::now() + held * rest);
    }
}

impl Python {
    /// Reads a thread's stack while the thread is stopped, where that may be. `false`: its stack is not known.
    pub fn stop_and_read(
        &mut self,
        index: usize,
        options: &Options,
        builder: &mut Builder,
        counts: &mut Counts,
    ) -> bool {
        let is_gil = |futex| self.sweeper.is_gil(futex);
        let Some(thread) = self.threads.get_mut(index) else {
            return false;
        };
        thread.ask(is_gil);
        let tid = thread.tid;
        // One that sleeps need not be stopped, and may be in a call that a stop would end half-way.
        if options.pause_max.is_zero() || thread.is_asleep() {
            return self.read_twice(index, options, builder);
        }
        if !self.stops.may_begin() {
            return false;
        }
        let Ok(hold) = Hold::take_thread(self.opened.pid, tid, STOP_LIMIT) else {
            return false;
        };
        let mut cut = false;
        let copied = self.copy_one_while(index, || {
            cut = hold.held() > options.pause_max;
            !cut
        });
        self.stops.note(hold.release(), cut, options, counts);
        if copied.is_err() || self.resolve(index, options, builder) != Outcome::Read {
            return false;
        }
        if let Some(thread) = self.threads.get(index) {
            self.known.insert(way(thread, &self.sweeper, index));
        }
        true
    }

    pub fn copy_one_while(
        &mut self,
        index: usize,
        may_go_on: impl FnMut() -> bool,
    ) -> Result<(), ReadError> {
        let memory = self.opened.memory.memory();
        self.sweeper.expect_calm(index, false);
        self.sweeper.copy_while(memory, &[index], may_go_on)
    }

    /// Where no thread may be stopped: two readings that are the same.
    fn read_twice(&mut self, index: usize, options: &Options, builder: &mut Builder) -> bool {
        for _ in 0..AGAIN_MAX {
            if self.copy_one(index).is_err() {
                return false;
            }
            if self.resolve(index, options, builder) == Outcome::Read
                && let Some(swept) = self.sweeper.threads().get(index)
                && swept.unchanged() == swept.entries().len()
            {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_stops_that_take_too_long_there_is_a_rest() {
        let options = Options::default();
        let (mut stops, mut counts) = (Stops::default(), Counts::default());
        let long = Duration::from_secs(1000);
        assert!(stops.may_begin());
        for _ in 1..CHANCE_MAX {
            stops.note(long, false, &options, &mut counts);
            assert!(stops.may_begin(), "some are chance");
        }
        stops.note(long, true, &options, &mut counts);
        assert!(!stops.may_begin());
        stops.note(options.pause_max, false, &options, &mut counts);
        assert!(stops.may_begin());
        // One that was cut is over, however short it was.
        stops.note(Duration::ZERO, true, &options, &mut counts);
        assert_eq!((counts.stops, counts.stops_over), (6, 5));
        assert_eq!(
            (counts.stop_max, counts.stopped),
            (long, long * 4 + options.pause_max)
        );
    }
}
