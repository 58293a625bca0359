//! What names a semaphore in every process that shares it.

use crate::opened::Opened;
use snapshot::{Process, SyncState};

/// Gives each shared semaphore its key, by the mapping that its `sem_t` lies in. The reader of the objects gives the
/// `sem_t`'s address as the semaphore's only part.
pub(crate) fn name_semaphores(process: &mut Process, opened: &Opened) {
    for object in &mut process.objects {
        if let (SyncState::SharedSemaphore { key, .. }, Some(place)) =
            (&mut object.state, object.parts.first())
        {
            *key = key.take().or_else(|| opened.maps.shared_key(*place));
        }
    }
}
