//! Symbols and sections of this very test's process, and of one whose executable is gone.

use process::elf::{Module, modules};
use process::{LiveMemory, Maps, Memory};
use snapshot::Address;
use std::io::Write;
use std::process::{Command, Stdio};

#[unsafe(no_mangle)]
#[used]
static UNKNOT_TEST_LANDMARK: [u8; 16] = *b"here is the mark";

fn own_module() -> Module {
    let maps = Maps::read(std::process::id()).expect("our own maps");
    let address = Address(UNKNOT_TEST_LANDMARK.as_ptr() as u64);
    let module = modules(&maps)
        .into_iter()
        .find(|module| (module.start..module.end).contains(&address));
    module.expect("the test's own file is mapped")
}

#[test]
fn a_symbol_of_the_static_table_is_found_where_it_is() {
    let pid = std::process::id();
    let memory = LiveMemory::new(pid);
    let elf = own_module().open(pid, &memory).expect("our own file");
    let names = ["UNKNOT_TEST_LANDMARK", "no such symbol", "main"];
    for _ in 0..2 {
        // The second time from the cache.
        let found = elf.find(&names, &[".text", ".no_such"]);
        let symbol = found.symbols[0].expect("not stripped");
        assert_eq!(symbol.address.0, UNKNOT_TEST_LANDMARK.as_ptr() as u64);
        assert_eq!(symbol.size, 16);
        assert_eq!(found.symbols[1], None);
        assert!(found.symbols[2].is_some());
        assert!(found.sections[0].is_some_and(|text| text.size > 1000));
        assert_eq!(found.sections[1], None);
    }
}

#[test]
fn a_dynamic_symbol_is_found_in_the_file_and_in_memory() {
    let pid = std::process::id();
    let memory = LiveMemory::new(pid);
    let maps = Maps::read(pid).expect("our own maps");
    let libc = modules(&maps)
        .into_iter()
        .find(|module| module.path.to_string_lossy().contains("libc.so"))
        .expect("linked with a shared libc");
    let names = ["stdout", "malloc", "no_such_symbol"];
    let from_file = libc.open(pid, &memory).expect("libc's file");
    let from_memory = libc.open_memory(&memory).expect("libc's memory");
    let found = from_file.find(&names, &[]);
    assert_eq!(found, from_memory.find_quick(&names, &[]));
    assert_eq!(from_file.build_id(), from_memory.build_id());
    assert!(from_file.build_id().is_some());
    let stdout = found.symbols[0].expect("libc has it");
    let mut pointer = [0; 8];
    memory.read(stdout.address, &mut pointer).expect("mapped");
    assert!(!found.symbols[1].expect("libc has it").address.is_null());
    assert_eq!(found.symbols[2], None);
}

#[test]
fn a_deleted_executable_is_read_all_the_same() {
    let path = std::env::temp_dir().join(format!("unknot-test-cat-{}", std::process::id()));
    std::fs::copy("/bin/cat", &path).expect("cat is everywhere");
    let mut child = Command::new(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    // cat's answer tells that it has been loaded.
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"x").expect("cat reads");
    let mut answer = [0];
    let mut output = child.stdout.take().expect("piped");
    std::io::Read::read_exact(&mut output, &mut answer).expect("cat answers");
    std::fs::remove_file(&path).expect("our own file");

    let pid = child.id();
    let memory = LiveMemory::new(pid);
    let maps = Maps::read(pid).expect("our own child");
    let module = modules(&maps)
        .into_iter()
        .find(|module| module.path == path)
        .expect("the executable is mapped");
    assert!(module.deleted);
    assert!(process::proc::executable(pid).expect("ours").deleted);
    let elf = module
        .open(pid, &memory)
        .expect("still there for the kernel");
    let found = elf.find(&[], &[".text"]);
    let text = found.sections[0].expect("each executable has code");
    assert!((module.start..module.end).contains(&text.address));
    let from_memory = module.open_memory(&memory).expect("mapped");
    assert_eq!(from_memory.bias(), elf.bias());
    drop(input);
    child.wait().expect("our own child");
}
