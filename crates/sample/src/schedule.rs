//! When to sweep.

use std::time::{Duration, Instant};

/// Times with a mean interval, each shifted at random, so that a program with a rhythm of its own is not always met at
/// the same beat.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    /// When the next beat is, without its shift.
    beat: Instant,
    random: u64,
    late: u64,
}

impl Schedule {
    /// Beginning now. `seed`: any number.
    pub fn new(interval: Duration, seed: u64) -> Schedule {
        Schedule {
            interval,
            beat: Instant::now(),
            random: seed | 1,
            late: 0,
        }
    }

    /// When to sweep next; at once with an interval of zero. Beats that were missed are left out and counted.
    pub fn next_sweep(&mut self) -> Instant {
        if self.interval.is_zero() {
            return Instant::now();
        }
        let now = Instant::now();
        self.beat += self.interval;
        // The shift leaves a beat at most half an interval early or late.
        while self.beat + self.interval / 2 < now {
            self.beat += self.interval;
            self.late += 1;
        }
        self.beat - self.interval / 2 + self.interval.mul_f64(self.fraction())
    }

    /// Beats that were missed.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// From 0 to 1 (xorshift64, Marsaglia 2003).
    fn fraction(&mut self) -> f64 {
        let mut x = self.random;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_keep_their_mean_and_are_not_regular() {
        let interval = Duration::from_secs(1000);
        let mut schedule = Schedule::new(interval, 7);
        let began = schedule.beat;
        let times: Vec<f64> = (0..1000)
            .map(|_| (schedule.next_sweep() - began).as_secs_f64())
            .collect();
        for (number, time) in times.iter().enumerate() {
            let beat = (number + 1) as f64 * 1000.0;
            assert!((time - beat).abs() <= 500.0);
        }
        let shifts: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(shifts.iter().any(|shift| *shift < 800.0));
        assert!(shifts.iter().any(|shift| *shift > 1200.0));
        assert_eq!(schedule.late(), 0);
    }

    #[test]
    fn what_cannot_be_kept_is_counted() {
        let mut schedule = Schedule::new(Duration::from_nanos(1), 7);
        let before = schedule.beat;
        while Instant::now() < before + Duration::from_micros(50) {}
        schedule.next_sweep();
        assert!(schedule.late() > 10_000);
    }
}
