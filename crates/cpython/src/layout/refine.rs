//! Telling patch releases apart by the sizes of objects: the private structs of extension modules are in no debug
//! offsets, and `_thread.lock` has changed within 3.13.

use super::{
    AsyncFuture, AsyncTask, Decimal, Deque, Layout, Lock, Partial, RLock, SemLock, SimpleQueue,
    Version,
};

macro_rules! refinable {
    ($($module:literal $type:literal is $struct:ident in $member:ident;)*) => {
        impl Layout {
            /// Takes each of these structs whose size in the process, as `basicsize` tells it by module and name of the type,
            /// is not the one here from another table of the same minor version. A struct that no table has with
            /// that size becomes absent: what is not known is not read. `None` from `basicsize` (the module
            /// is not imported) leaves a struct as it is.
            ///
            /// Asked is only what is in doubt: nothing when there is a table of this very version, else the structs
            /// of which the minor version's tables have more than one size.
            ///
            /// Returns the names of the structs that were changed.
            pub fn refine(
                &mut self,
                version: &Version,
                basicsize: &dyn Fn(&str, &str) -> Option<u64>,
            ) -> Vec<&'static str> {
                let variants: Vec<(Version, Layout)> = Layout::variants(version).collect();
                let mut changed = Vec::new();
                if variants.len() < 2 || variants.iter().any(|(known, _)| known == version) {
                    return changed;
                }
                $(
                    let have = self.$member.size;
                    if variants.iter().any(|(_, other)| other.$member.size != have)
                        && let Some(size) = basicsize($module, $type).filter(|size| *size != have)
                    {
                        let mut others = variants.iter().map(|(_, other)| other.$member);
                        self.$member = others
                            .find(|other| other.size == size)
                            .unwrap_or_else(|| $struct::from_row(&[], &[]));
                        changed.push(stringify!($struct));
                    }
                )*
                changed
            }
        }
    };
}

refinable! {
    "_thread" "LockType" is Lock in lock;
    "_thread" "RLock" is RLock in rlock;
    "_queue" "SimpleQueue" is SimpleQueue in simple_queue;
    "_asyncio" "Future" is AsyncFuture in async_future;
    "_asyncio" "Task" is AsyncTask in async_task;
    "_multiprocessing" "SemLock" is SemLock in sem_lock;
    "_collections" "deque" is Deque in deque;
    "_functools" "partial" is Partial in partial;
    "_decimal" "Decimal" is Decimal in decimal;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_by_its_size() {
        let version = Version::new(3, 13, 2);
        let mut layout = Layout::for_version(&version).unwrap();
        assert!(layout.lock.lock_lock.exists());
        assert!(layout.refine(&version, &|_, _| None).is_empty());
        let lock = |size| move |_: &str, name: &str| (name == "LockType").then_some(size);
        assert_eq!(layout.refine(&version, &lock(24)), ["Lock"]);
        assert!(layout.lock.mutex.exists() && !layout.lock.lock_lock.exists());
        assert_eq!(layout.refine(&version, &lock(96)), ["Lock"]);
        assert!(!layout.lock.mutex.exists() && layout.lock.size == 0);
    }

    #[test]
    fn nobody_is_asked_where_nothing_is_in_doubt() {
        let never = |_: &str, _: &str| -> Option<u64> { panic!("not in doubt") };
        for version in [Version::new(3, 13, 0), Version::new(3, 12, 9)] {
            let mut layout = Layout::for_version(&version).unwrap();
            assert!(layout.refine(&version, &never).is_empty());
        }
    }
}
