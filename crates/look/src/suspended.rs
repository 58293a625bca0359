//! Locks that a suspended generator holds: those who have the generator could run it on, and hold the lock by it.

use cpython::generator::frames_of_generator;
use cpython::interpreter::Interp;
use cpython::reach::{Question, Root, Suspended, reach, suspended};
use cpython::reader::Reader;
use cpython::sync::{Origins, holds_of_frames, namespaces_of_program};
use snapshot::{Address, Certainty, Hold, Kind, Left, Task, Thread, Timeout, Wait};
use std::collections::HashSet;

/// What is known of a lock's holder when nobody can run it on.
const ABANDONED: &str = "suspended, and nobody runs it any more";

/// Where the holder of a lock that is waited for is a suspended generator, gives the hold to the threads and tasks that
/// have the generator. `roots` are the threads' and then the tasks'. Returned are the locks of generators that nobody has.
pub(crate) fn fill(
    reader: &Reader<'_>,
    interpreter: &Interp,
    roots: &[Root<'_>],
    question: &Question<'_>,
    actors: &mut Actors<'_>,
) -> Vec<Left> {
    let wanted = actors.unheld();
    if wanted.is_empty() {
        return Vec::new();
    }
    let origins = Origins::of(reader, interpreter.address);
    let namespaces = namespaces_of_program(reader, &origins, interpreter.modules);
    let mut holding: Vec<(Suspended, Vec<Hold>)> = suspended(reader, roots, &namespaces, question)
        .into_iter()
        .filter_map(|found| {
            let frames = frames_of_generator(reader, found.generator);
            let mut holds = holds_of_frames(reader, &frames, &origins);
            holds.retain(|hold| !hold.given_up && wanted.contains(&hold.address));
            (!holds.is_empty()).then_some((found, holds))
        })
        .collect();
    find_owners(reader, roots, question, &mut holding);
    let mut left = Vec::new();
    for (found, holds) in holding {
        for hold in holds {
            left.extend(actors.give(&found, hold));
        }
    }
    left
}

/// Who can get hold of the generators that nobody has close by.
fn find_owners(
    reader: &Reader<'_>,
    roots: &[Root<'_>],
    question: &Question<'_>,
    holding: &mut [(Suspended, Vec<Hold>)],
) {
    let far = holding
        .iter()
        .filter(|(found, _)| found.of_roots.is_empty());
    let targets: HashSet<Address> = far.map(|(found, _)| found.generator).collect();
    if targets.is_empty() {
        return;
    }
    let question = Question {
        targets: &targets,
        ..*question
    };
    for (number, reached) in reach(reader, roots, &question).into_iter().enumerate() {
        let reaches = |generator| {
            reached
                .found
                .iter()
                .any(|effect| effect.object == generator)
        };
        for (found, _) in holding.iter_mut() {
            if targets.contains(&found.generator) && reaches(found.generator) {
                found.of_roots.push(number);
            }
        }
    }
}

/// The threads and tasks of a process.
pub(crate) struct Actors<'a> {
    pub threads: &'a mut [Thread],
    pub tasks: &'a mut [Task],
}

impl Actors<'_> {
    /// Gives a hold to those who have its generator; returned is what nobody has.
    fn give(&mut self, found: &Suspended, hold: Hold) -> Option<Left> {
        let name = &found.frame.code.name;
        if found.of_roots.is_empty() {
            return Some(Left {
                lock: hold.address,
                place: hold.place,
                how: ABANDONED.to_owned(),
                thread_object: None,
                evidence: format!("{}, and {name}() is suspended", hold.evidence),
                certainty: hold.certainty,
            });
        }
        let hold = Hold {
            evidence: format!("{}; it has {name}(), which is suspended", hold.evidence),
            certainty: match found.of_roots.len() {
                1 => hold.certainty,
                _ => Certainty::Probable,
            },
            ..hold
        };
        let threads = self.threads.len();
        for &root in &found.of_roots {
            if let Some(thread) = self.threads.get_mut(root) {
                thread.holds.push(hold.clone());
            } else if let Some(task) = self.tasks.get_mut(root - threads) {
                task.holds.push(hold.clone());
            }
        }
        None
    }

    /// The locks and semaphores that are waited for without an end, and that nobody is known to hold.
    fn unheld(&self) -> HashSet<Address> {
        let is_lock = |wait: &&Wait| {
            wait.timeout != Timeout::Limited
                && matches!(
                    wait.kind,
                    Kind::Lock | Kind::Condition | Kind::Semaphore | Kind::BoundedSemaphore
                )
        };
        let threads = self.threads.iter().map(|thread| &thread.waits_for);
        let tasks = self.tasks.iter().map(|task| &task.waits_for);
        let waits = threads.chain(tasks).flatten().filter(is_lock);
        let mut wanted: HashSet<Address> = waits
            .flat_map(|wait| [wait.address, wait.inner_address])
            .flatten()
            .collect();
        let threads = self.threads.iter().flat_map(|thread| &thread.holds);
        let tasks = self.tasks.iter().flat_map(|task| &task.holds);
        for hold in threads.chain(tasks).filter(|hold| !hold.given_up) {
            wanted.remove(&hold.address);
        }
        wanted
    }
}
