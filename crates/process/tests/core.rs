//! Cores of this test's own file, run again as something to take a core of, by gdb's gcore.

use process::elf::modules;
use process::{Core, CoreError, Memory, PageCache};
use snapshot::Address;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROLE: &str = "UNKNOT_TEST_ROLE";
const THREADS: usize = 7;

#[unsafe(no_mangle)]
#[used]
static mut UNKNOT_CORE_LANDMARK: [u8; 16] = *b"here is the mark";

/// Not a test: what the other process of these tests runs.
#[test]
#[ignore = "runs only as a target of the other tests"]
fn role() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(THREADS + 1));
    for _ in 0..THREADS {
        let barrier = barrier.clone();
        std::thread::spawn(move || {
            barrier.wait();
            loop {
                std::thread::park();
            }
        });
    }
    barrier.wait();
    let mut out = std::io::stdout();
    writeln!(out, "\nready")
        .and_then(|()| out.flush())
        .expect("the test reads");
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    std::process::exit(0);
}

/// A core of a process with some threads, and the process's id; `None` without gdb.
fn take_core(directory: &Path) -> Option<(PathBuf, u32)> {
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "role", "--ignored", "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs again");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let ready = output
        .lines()
        .any(|line| line.is_ok_and(|line| line == "ready"));
    assert!(ready);
    let pid = child.id();
    let gcore = Command::new("gcore")
        .arg("-o")
        .arg(directory.join("core"))
        .arg(pid.to_string())
        .output();
    let _ = child.kill();
    let _ = child.wait();
    let Ok(gcore) = gcore else {
        eprintln!("skipped: there is no gcore (gdb) here");
        return None;
    };
    let path = directory.join(format!("core.{pid}"));
    assert!(path.exists(), "{}", String::from_utf8_lossy(&gcore.stderr));
    Some((path, pid))
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("unknot-core-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("our own path");
    path
}

#[test]
fn a_core_has_memory_threads_and_symbols() {
    let directory = scratch("whole");
    if let Some((path, pid)) = take_core(&directory) {
        let core = Core::open(&path).expect("gdb wrote it");
        assert_eq!(core.pid(), pid);
        assert!(core.threads().len() > THREADS);
        if cfg!(target_arch = "x86_64") {
            let calls = core
                .threads()
                .iter()
                .filter_map(|it| it.os_thread().syscall);
            assert!(calls.filter(|call| call.name == "futex").count() >= THREADS);
        }
        let executable = std::env::current_exe().expect("it runs");
        let all = modules(core.maps());
        let module = all.iter().find(|it| it.path == executable).expect("mapped");
        let elf = core.open_module(module).expect("the file is still here");
        let found = elf.find(&["UNKNOT_CORE_LANDMARK"], &[".text"]);
        let symbol = found.symbols[0].expect("not stripped");
        let mut mark = [0; 16];
        core.read(symbol.address, &mut mark)
            .expect("data is always kept");
        assert_eq!(&mark, b"here is the mark");
        // Code is not: it comes from the file.
        let text = found.sections[0].expect("each executable has code");
        let cache = PageCache::new(&core);
        let mut code = vec![0; 10_000];
        cache.read(text.address, &mut code).expect("from the file");
        assert!(code.iter().any(|&byte| byte != 0));
        assert!(core.read(Address(8), &mut mark).is_err());
        assert!(core.read(Address(u64::MAX - 8), &mut mark).is_err());
        assert_eq!(core.remarks(), &[] as &[String]);
        hostile(&path, &directory);
    }
    std::fs::remove_dir_all(&directory).expect("our own path");
}

/// The core cut short anywhere, and with any of its bytes changed, is an error or a part, no panic.
fn hostile(path: &Path, directory: &Path) {
    let whole = std::fs::read(path).expect("our own file");
    let changed = directory.join("changed");
    let look = |bytes: &[u8]| {
        std::fs::write(&changed, bytes).expect("our own file");
        let Ok(core) = Core::open(&changed) else {
            return;
        };
        let mut buffer = [0; 64];
        for mapping in core.maps() {
            let _ = core.read(mapping.start, &mut buffer);
            let _ = core.read(mapping.end.minus(32), &mut buffer);
        }
        for module in modules(core.maps()).iter().take(3) {
            let _ = core
                .open_module(module)
                .map(|elf| elf.find_quick(&["main"], &[".text"]));
        }
    };
    let head = &whole[..whole.len().min(200_000)];
    for length in [0, 1, 63, 64, 65, 120, 1000, 5000, 20_000, 100_000] {
        look(&head[..length.min(head.len())]);
    }
    let mut random = 88_172_645_463_325_252_u64;
    for _ in 0..200 {
        let mut bytes = head.to_vec();
        for _ in 0..20 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Most of it among the headers and notes.
            let at = (random >> 8) as usize % if random & 1 == 0 { 4096 } else { bytes.len() };
            bytes[at] = random as u8;
        }
        bytes[..20].copy_from_slice(&head[..20]);
        look(&bytes);
    }
}

#[test]
fn a_file_that_is_no_core_is_refused() {
    let executable = std::env::current_exe().expect("it runs");
    assert!(matches!(
        Core::open(&executable),
        Err(CoreError::NotCore { .. })
    ));
    assert!(matches!(
        Core::open(Path::new("/dev/zero")),
        Err(CoreError::NotCore { .. })
    ));
    assert!(matches!(
        Core::open(Path::new("/nowhere")),
        Err(CoreError::Io { .. })
    ));
}
