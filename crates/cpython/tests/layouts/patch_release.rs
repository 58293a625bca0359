//! A process of a patch release that no table is of: made of one that there is, by a wrong version and a wrong layout.

use cpython::layout::{Layout, Version};
use cpython::reader::Reader;
use cpython::refined::refined;
use cpython::runtime::Runtime;
use process::LiveMemory;
use snapshot::Address;
use std::time::Duration;
use testkit::{Program, Target};

use crate::common::symbols;
use crate::{interpreters, version};

const PROGRAM: &str = "
import threading, time, testkit_ready
testkit_ready.ready()
time.sleep(1000)
";

#[test]
fn the_lock_of_an_unknown_patch_release_is_told_by_its_size() {
    for interpreter in interpreters().filter(|interpreter| interpreter.tag == "3.13") {
        let mut target =
            Target::spawn(interpreter, Program::Source(PROGRAM), &[]).expect("it starts");
        target
            .wait_ready(Duration::from_secs(60))
            .expect("it gets ready");
        let memory = LiveMemory::new(target.pid());
        let runtime =
            Runtime::find(&memory, &symbols(target.pid(), &memory)).expect("it is Python");
        assert_eq!(runtime.version, version(interpreter));
        let lock = runtime.layout.lock;
        for (other, layout) in Layout::variants(&runtime.version) {
            let reader = Reader::new(&memory, &layout, &runtime.caches);
            let head: Address = reader
                .get(runtime.address, reader.layout.runtime.interpreters_head)
                .expect("there is an interpreter");
            let unknown = Version {
                micro: 255,
                ..runtime.version
            };
            let found = refined(&reader, &unknown, head)
                .unwrap_or(layout.clone())
                .lock;
            assert_eq!(found.size, lock.size, "{interpreter} as {other}");
            assert_eq!(found.mutex.offset(), lock.mutex.offset());
            assert_eq!(found.lock_lock.offset(), lock.lock_lock.offset());
        }
    }
}
