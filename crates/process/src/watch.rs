//! Which threads of a process have not run for a while: those need not be held still to be read at one moment.
//!
//! The kernel counts how often each thread got a CPU and for how long it ran (`schedstat`). A thread that was seen
//! off the CPU after these were read, and whose counts are the same later, has executed nothing in between: no
//! memory was changed by it. So a process whose threads all sleep is seen at one moment without being disturbed
//! at all, and of another one only the threads that do run have to be stopped ([`crate::Hold::take_awake`]).

use crate::proc::{ProcError, thread_ids};
use crate::syscalls::ends_half_way;
use crate::threads::{SleepingPlace, ThreadReader};
use nix::sys::resource::{Resource, getrlimit};
use snapshot::OsThread;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most `schedstat` files kept open.
const FILES_MAX: u64 = 16_384;
/// How many are kept open, by all watches.
static FILES: AtomicU64 = AtomicU64::new(0);

/// The threads of one process, watched.
#[derive(Debug)]
pub struct Watch {
    reader: ThreadReader,
    threads: HashMap<u32, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// Its `schedstat`; opened anew for each question where too many are open.
    schedstat: Option<Kept>,
    /// Whether the kernel counts in `schedstat`; else the context switches in `status` are what is known.
    counted: bool,
    /// What it had run when it was seen to sleep; `None`: it was awake, or that cannot be told.
    asleep: Option<Run>,
}

/// A thread as it was just seen.
struct Seen {
    schedstat: Option<Kept>,
    counted: bool,
    run: Run,
    /// Where it sleeps; `None`: it does not.
    place: Option<SleepingPlace>,
}

/// How much a thread has run so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Nanoseconds on a CPU, as of when it last left one or a clock tick came.
    pub run_ns: u64,
    /// How often it got a CPU; 0 where the kernel does not count.
    pub runs: u64,
}

/// A file that is kept open.
#[derive(Debug)]
struct Kept(OwnedFd);

impl Kept {
    /// Keeps it, unless too many are kept.
    fn new(file: OwnedFd) -> Option<Kept> {
        static ALLOWED: OnceLock<u64> = OnceLock::new();
        let allowed = ALLOWED.get_or_init(|| {
            let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
            // Half of them are left for others.
            FILES_MAX.min(files / 2)
        });
        let before = FILES.fetch_add(1, Ordering::Relaxed);
        let kept = Kept(file);
        (before < *allowed).then_some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        FILES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// For process `pid`; nothing is watched yet.
    pub fn open(pid: u32) -> Result<Watch, ProcError> {
        Ok(Watch {
            reader: ThreadReader::open(pid)?,
            threads: HashMap::new(),
        })
    }

    /// Reads what the kernel says of all threads, as [`ThreadReader::read_all`] does, and begins to watch them.
    /// Without `states`, which cost as much as the rest, a thread in a system call has no name and the state `S`, which
    /// then may stand for `D` too.
    pub fn begin(&mut self, states: bool) -> Result<Vec<(u32, OsThread)>, ProcError> {
        let tids = thread_ids(self.reader.pid())?;
        self.threads.clear();
        let mut found = Vec::with_capacity(tids.len());
        for tid in tids {
            let Some(seen) = self.see(tid) else { continue };
            let in_call = seen.place.as_ref().is_some_and(|p| p.syscall.is_some());
            let state = if in_call && !states {
                Some(OsThread {
                    state: 'S',
                    ..OsThread::default()
                })
            } else {
                self.reader.read_state(tid)
            };
            let Some(mut thread) = state else { continue };
            let off_cpu = match thread.state {
                'Z' | 'X' => true,
                'R' => false,
                _ => seen.place.is_some(),
            };
            if seen.counted {
                thread.cpu_us = seen.run.run_ns / 1000;
            }
            thread.switches = Some(seen.run.runs);
            if let Some(place) = seen.place {
                thread.syscall = place.syscall;
                thread.sp = Some(place.sp);
                thread.pc = Some(place.pc);
            }
            let watched = Watched {
                schedstat: seen.schedstat,
                counted: seen.counted,
                asleep: Some(seen.run).filter(|_| off_cpu),
            };
            self.threads.insert(tid, watched);
            found.push((tid, thread));
        }
        Ok(found)
    }

    /// Watches on a thread that sleeps in a call which a stop would end half-way ([`crate::ends_half_way`]), so that it
    /// need not be stopped, although it has run since it was last seen asleep; `false` where it does not.
    pub(crate) fn spare(&mut self, tid: u32) -> bool {
        let half_way = |place: Option<SleepingPlace>| {
            let call = place.and_then(|place| place.syscall);
            call.is_some_and(|call| ends_half_way(&call))
        };
        if !half_way(self.reader.place(tid)) {
            return false;
        }
        let Some(seen) = self.see(tid) else {
            return false;
        };
        let spared = half_way(seen.place);
        if spared {
            let watched = Watched {
                schedstat: seen.schedstat,
                counted: seen.counted,
                asleep: Some(seen.run),
            };
            self.threads.insert(tid, watched);
        }
        spared
    }

    /// How much a thread has run, and then where it sleeps: in this order, so that what it runs in between counts as run.
    fn see(&mut self, tid: u32) -> Option<Seen> {
        let schedstat = self.reader.open_file(tid, "schedstat");
        let run = schedstat.as_ref().and_then(|file| self.reader.run(file));
        let run = run.filter(|run| run.runs > 0);
        let counted = run.is_some();
        let run = match run {
            Some(run) => run,
            None => Run {
                run_ns: 0,
                runs: self.reader.switches(tid)?,
            },
        };
        Some(Seen {
            schedstat: schedstat.filter(|_| counted).and_then(Kept::new),
            counted,
            run,
            place: self.reader.place(tid),
        })
    }

    /// Whether no thread has run and none has been made since [`Watch::begin`].
    pub fn all_asleep(&mut self) -> bool {
        self.thread_count() == Some(self.threads.len()) && self.woken(|_| false).is_empty()
    }

    /// Whether this thread was asleep when it was last asked for.
    pub fn is_asleep(&self, tid: u32) -> bool {
        self.threads
            .get(&tid)
            .is_some_and(|watched| watched.asleep.is_some())
    }

    /// Whether this thread has not run since it was seen asleep.
    pub fn slept_on(&mut self, tid: u32) -> bool {
        let Some(watched) = self.threads.get(&tid) else {
            return false;
        };
        watched.asleep.is_some() && now(&mut self.reader, tid, watched) == watched.asleep
    }

    /// How many threads are seen asleep.
    pub(crate) fn asleep(&self) -> usize {
        let asleep = self
            .threads
            .values()
            .filter(|watched| watched.asleep.is_some());
        asleep.count()
    }

    /// How many threads the process has; `None` when it has ended.
    pub(crate) fn thread_count(&self) -> Option<usize> {
        self.reader.thread_count()
    }

    /// The threads that may have run since [`Watch::begin`], but for those of which `held` says that they are held.
    pub(crate) fn woken(&mut self, held: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut woken = Vec::new();
        for (&tid, watched) in &mut self.threads {
            if held(tid) {
                continue;
            }
            let now = watched
                .asleep
                .and_then(|_| now(&mut self.reader, tid, watched));
            if now.is_none() || now != watched.asleep {
                watched.asleep = None;
                woken.push(tid);
            }
        }
        woken
    }
}

/// How much a thread has run, if it sleeps; `None` also when it has ended.
fn now(reader: &mut ThreadReader, tid: u32, watched: &Watched) -> Option<Run> {
    match &watched.schedstat {
        Some(Kept(file)) => reader.run(file),
        None if watched.counted => {
            let file = reader.open_file(tid, "schedstat")?;
            reader.run(&file)
        }
        // Here only a thread that has left its CPU has been counted: first whether it has.
        None => {
            reader.place(tid)?;
            let runs = reader.switches(tid)?;
            Some(Run { run_ns: 0, runs })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_is_not_asleep_and_who_sleeps_is() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            let tid = nix::unistd::gettid().as_raw().unsigned_abs();
            let _ = receive.recv();
            tid
        });
        let own = nix::unistd::gettid().as_raw().unsigned_abs();
        let mut watch = Watch::open(std::process::id()).expect("our own");
        // The other needs a moment to fall asleep.
        loop {
            watch.begin(true).expect("our own");
            assert!(!watch.is_asleep(own) && !watch.all_asleep());
            if watch.asleep() > 0 {
                break;
            }
            std::thread::yield_now();
        }
        send.send(()).expect("it waits");
        let tid = sleeper.join().expect("it ends well");
        assert!(watch.woken(|_| false).contains(&tid) || !watch.is_asleep(tid));
    }
}
