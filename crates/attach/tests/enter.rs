//! Entering programs that run and that block, on every interpreter; and what they were doing goes on.

mod common;

use attach::Options;
use common::Subject;
use std::time::Duration;

/// What each program begins with.
const HEAD: &str = "
import os, sys, time, threading
from testkit_ready import ready
def check(what):
    if not what:
        raise SystemExit('wrong')
    print('fine')
";

struct Case {
    name: &'static str,
    program: &'static str,
    /// The system calls in which its main thread sleeps; none: it runs.
    calls: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "computing",
        program: "
import select
def work(n):
    total = 0
    for i in range(n):
        total += i * i % 7
    return total
expected = work(1000)
ready('')
while not select.select([0], [], [], 0)[0]:
    if work(1000) != expected:
        raise SystemExit('wrong sum')
check(True)
",
        calls: &[],
    },
    Case {
        name: "time.sleep",
        program: "
ready('')
began = time.monotonic()
time.sleep(1.5)
check(1.5 <= time.monotonic() - began)
",
        calls: &["clock_nanosleep", "select", "pselect6"],
    },
    Case {
        name: "lock.acquire",
        program: "
lock = threading.Lock()
lock.acquire()
def release():
    os.read(0, 3)
    lock.release()
threading.Thread(target=release).start()
ready('')
check(lock.acquire())
",
        calls: &["futex"],
    },
    Case {
        name: "with lock, a time limit before",
        program: "
lock = threading.RLock()
taken = threading.Event()
def hold():
    with lock:
        taken.set()
        os.read(0, 3)
threading.Thread(target=hold).start()
taken.wait()
ready('')
check(lock.acquire(timeout=30))
",
        calls: &["futex"],
    },
    Case {
        name: "Event.wait",
        program: "
event = threading.Event()
def release():
    os.read(0, 3)
    event.set()
threading.Thread(target=release).start()
ready('')
check(event.wait())
",
        calls: &["futex"],
    },
    Case {
        name: "queue.get",
        program: "
import queue
q = queue.SimpleQueue()
def release():
    os.read(0, 3)
    q.put(17)
threading.Thread(target=release).start()
ready('')
check(q.get() == 17)
",
        calls: &["futex"],
    },
    Case {
        name: "Thread.join",
        program: "
done = []
def run():
    os.read(0, 3)
    done.append(1)
thread = threading.Thread(target=run)
thread.start()
ready('')
thread.join()
check(done == [1])
",
        calls: &["futex"],
    },
    Case {
        name: "socket.recv",
        program: "
import socket
s = socket.socket(fileno=0)
ready('')
check(s.recv(10) == b'go\\n')
",
        calls: &["recvfrom"],
    },
    Case {
        name: "socket.recv with a time limit",
        program: "
import socket
s = socket.socket(fileno=0)
s.settimeout(30)
ready('')
check(s.recv(10) == b'go\\n')
",
        calls: &["poll", "restart_syscall"],
    },
    Case {
        name: "os.read",
        program: "
ready('')
check(os.read(0, 10) == b'go\\n')
",
        calls: &["read"],
    },
    Case {
        name: "input()",
        program: "
ready('')
check(input() == 'go')
",
        calls: &["read"],
    },
    Case {
        name: "for line in sys.stdin",
        program: "
ready('')
for line in sys.stdin:
    break
check(line == 'go\\n')
",
        calls: &["read"],
    },
    Case {
        name: "select.select",
        program: "
import select
ready('')
check(select.select([0], [], [], 30) == ([0], [], []))
",
        calls: &["select", "pselect6"],
    },
    Case {
        name: "epoll.poll",
        program: "
import select
e = select.epoll()
e.register(0, select.EPOLLIN)
ready('')
check(e.poll() == [(0, select.EPOLLIN)])
",
        calls: &["epoll_wait", "epoll_pwait"],
    },
    Case {
        name: "asyncio",
        program: "
import asyncio
async def main():
    reader = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, reader.set)
    ready('')
    await reader.wait()
asyncio.run(main())
check(True)
",
        calls: &["epoll_wait", "epoll_pwait"],
    },
    Case {
        name: "os.waitpid",
        program: "
child = os.fork()
if child == 0:
    os.read(0, 3)
    os._exit(7)
ready('')
check(os.waitpid(child, 0) == (child, 7 << 8))
",
        calls: &["wait4"],
    },
    Case {
        name: "fcntl.flock",
        program: "
import fcntl
r, w = os.pipe()
if os.fork() == 0:
    f = open(__file__)
    fcntl.flock(f, fcntl.LOCK_EX)
    os.write(w, b'.')
    os.read(0, 3)
    os._exit(0)
os.read(r, 1)
f = open(__file__)
ready('')
fcntl.flock(f, fcntl.LOCK_EX)
check(True)
",
        calls: &["flock"],
    },
    Case {
        name: "os.waitpid, with others that compute",
        program: "
child = os.fork()
if child == 0:
    os.read(0, 3)
    os._exit(7)
stop = False
def work():
    n = 0
    while not stop:
        n += 1
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
ready('')
result = os.waitpid(child, 0)
stop = True
check(result == (child, 7 << 8))
",
        calls: &["wait4"],
    },
    Case {
        name: "many threads asleep",
        program: "
lock = threading.Lock()
lock.acquire()
def sleep():
    with lock:
        pass
threads = [threading.Thread(target=sleep) for _ in range(40)]
for thread in threads:
    thread.start()
ready('')
os.read(0, 3)
lock.release()
for thread in threads:
    thread.join()
check(True)
",
        calls: &["read"],
    },
    Case {
        name: "read by ctypes",
        program: "
import ctypes
buffer = ctypes.create_string_buffer(10)
ready('')
check(ctypes.CDLL(None).read(0, buffer, 10) == 3 and buffer.value == b'go\\n')
",
        calls: &["read"],
    },
    Case {
        name: "sleep by ctypes",
        program: "
import ctypes
ready('')
began = time.monotonic()
check(ctypes.CDLL(None).sleep(2) == 0 and time.monotonic() - began >= 1.99)
",
        calls: &["clock_nanosleep", "nanosleep", "restart_syscall"],
    },
];

/// How often each is entered.
const TIMES: u32 = 3;

#[test]
fn programs_that_run_and_that_block() {
    let only = std::env::var("UNKNOT_TEST_ONLY").unwrap_or_default();
    let (mut running, mut blocked) = (Vec::new(), Vec::new());
    for interpreter in testkit::matrix() {
        for case in CASES.iter().filter(|case| case.name.contains(&only)) {
            let context = format!("{interpreter}: {}", case.name);
            let program = format!("{HEAD}{}", case.program);
            let subject = Subject::start(interpreter, &program);
            if !case.calls.is_empty() {
                subject.wait_in(case.calls);
            }
            for _ in 0..TIMES {
                let entered = subject.enter(Options::default());
                let entered = entered.unwrap_or_else(|error| panic!("{context}: {error}"));
                if case.calls.is_empty() {
                    running.push(entered.took);
                } else {
                    blocked.push(entered.took);
                }
            }
            subject.finish(&context);
        }
    }
    tell("running", running);
    tell("blocked", blocked);
}

/// How long it took, for people.
fn tell(what: &str, mut took: Vec<Duration>) {
    took.sort();
    if let (Some(middle), Some(longest)) = (took.get(took.len() / 2), took.last()) {
        let number = took.len();
        eprintln!("{what}: {number} times, median {middle:?}, longest {longest:?}");
    }
}
