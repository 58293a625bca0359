//! What a person reads.

use diagnose::Role;
use serde_json::json;
use snapshot::Snapshot;

fn bank() -> Snapshot {
    let frame = |function: &str, line: u32| json!({ "function": function, "file": "/app/bank.py", "line": line });
    let thread = |tid: u32, name: &str, holds: &str, wants: &str, thing: &str| {
        json!({ "tid": tid, "name": name, "daemon": false, "interpreter": 0, "state": "waiting",
            "waits_for": { "kind": "Lock", "operation": "acquire", "address": wants, "timeout": "forever", "name": thing,
                "file": "/app/bank.py", "line": 12, "function": "transfer" },
            "holds": [{ "kind": "Lock", "address": holds, "file": "/app/bank.py", "line": 9, "function": "transfer",
                "evidence": "__exit__ of this lock on the value stack of transfer(), slot 1" }],
            "frames": [frame("transfer", 12), frame("worker\u{1b}[2J", 20)] })
    };
    serde_json::from_value(json!({ "held_still_us": 400, "processes": [{ "pid": 7, "python": "3.13.0",
        "threads": [thread(8, "a2b", "0xa", "0xb", "dst.lock"), thread(9, "b2a", "0xb", "0xa", "dst.lock")] }] }))
    .unwrap()
}

#[test]
fn a_deadlock_in_words() {
    let snapshot = bank();
    let report = diagnose::diagnose(&snapshot, None);
    let source = |_: &str, line: u32| (line == 12).then(|| "        with dst.lock:\n".to_owned());
    let text = diagnose::explain(&report, &snapshot, &source);
    let expected = "\
deadlock: a2b and b2a wait for each other's lock.
Why: a2b waits for dst.lock, which b2a holds, and b2a waits for dst.lock, which a2b holds: none of them can go on first.

  who  waits for      held by
  a2b  Lock dst.lock  b2a
      waits at bank.py:12 in transfer()
      b2a took it at bank.py:9 in transfer()
      evidence: __exit__ of this lock on the value stack of transfer(), slot 1
  b2a  Lock dst.lock  a2b
      waits at bank.py:12 in transfer()
      a2b took it at bank.py:9 in transfer()
      evidence: __exit__ of this lock on the value stack of transfer(), slot 1

a2b (thread 8), b2a (thread 9):
  bank.py:12 in transfer()
      with dst.lock:
  bank.py:20 in worker\u{fffd}[2J()
";
    assert_eq!(text.to_plain(), expected);
    assert!(
        text.lines
            .iter()
            .any(|l| l.role == Role::Source && l.text == "with dst.lock:")
    );
}

#[test]
fn a_partial_answer_says_so() {
    let thread = |tid: u32| json!({ "tid": tid, "name": format!("T{tid}"), "interpreter": 0, "state": "waiting", "frames_cut": tid > 8 });
    let snapshot: Snapshot = serde_json::from_value(json!({ "processes": [{ "pid": 7, "python": "3.13.0",
        "notes": ["its children could not be read"], "threads": [thread(8), thread(9), thread(10), thread(11)] }] }))
    .unwrap();
    let report = diagnose::diagnose(&snapshot, None);
    let text = diagnose::explain(&report, &snapshot, &|_, _| None).to_plain();
    assert!(
        text.contains("Note: its children could not be read\n"),
        "{text}"
    );
    assert!(
        text.contains("Note: the stacks of T9 and 2 more threads could not be read whole\n"),
        "{text}"
    );
}

/// A thread that holds a lock on and on, or (with `wants`) waits for it behind a frame of the library.
fn crowd_thread(tid: u32, wants: bool) -> serde_json::Value {
    let frame = |file: &str, function: &str, line: u32, origin: &str| json!({ "function": function, "file": file, "line": line, "origin": origin });
    let own = |function: &str, line| frame("/app/crowd.py", function, line, "program");
    let library = |function: &str, line| frame("/lib/threading.py", function, line, "stdlib");
    let wait = json!({ "kind": "Lock", "operation": "acquire", "address": "0xa", "timeout": "forever", "name": "lock",
        "file": "/app/crowd.py", "line": 5, "function": "work" });
    let own_wait = json!({ "kind": "Lock", "operation": "acquire", "address": "0xa", "timeout": "forever", "name": "lock",
        "file": "/app/crowd.py", "line": 9, "function": "keep" });
    let holds = json!([{ "kind": "Lock", "address": "0xa", "file": "/app/crowd.py", "line": 8, "function": "keep" }]);
    json!({ "tid": tid, "name": format!("T{tid}"), "daemon": false, "interpreter": 0, "state": "waiting",
        "waits_for": if wants { wait } else { own_wait },
        "holds": if wants { json!([]) } else { holds },
        "frames": if wants { vec![library("enter", 1), own("work", 5), library("run", 2), library("boot", 3), own("top", 1)] }
            else { vec![own("keep", 9)] } })
}

#[test]
fn a_crowd_is_told_of_once() {
    let threads: Vec<_> = (7..600).map(|tid| crowd_thread(tid, tid > 7)).collect();
    let snapshot: Snapshot = serde_json::from_value(
        json!({ "processes": [{ "pid": 7, "python": "3.13.0", "threads": threads }] }),
    )
    .unwrap();
    let report = diagnose::diagnose(&snapshot, None);
    let text = diagnose::explain(&report, &snapshot, &|_, _| None).to_plain();
    let (_, table) = text.split_once("behind them:\n").unwrap();
    assert_eq!(
        table,
        "  T8 and 591 more  Lock lock  T7
      waits at crowd.py:5 in work()
      T7 took it at crowd.py:8 in keep()

T7 (thread 7):
  crowd.py:9 in keep()

T8 (thread 8), T9 (thread 9), T10 (thread 10) and 589 more:
  (innermost: threading.py:1 in enter())
  crowd.py:5 in work()
  (2 frames in threading.py)
  crowd.py:1 in top()
"
    );
}

#[test]
fn a_healthy_crowd() {
    let thread = |tid: u32| {
        json!({ "tid": tid, "name": format!("T{tid}"), "interpreter": 0, "state": "waiting",
            "waits_for": { "kind": "timer", "operation": "sleep", "timeout": "limited", "file": "/app/a.py",
                "line": if tid.is_multiple_of(3) { 3 } else { 4 }, "function": "main" } })
    };
    let threads: Vec<_> = (7..14).map(thread).collect();
    let snapshot: Snapshot = serde_json::from_value(
        json!({ "processes": [{ "pid": 7, "python": "3.13.0", "threads": threads }] }),
    )
    .unwrap();
    let report = diagnose::diagnose(&snapshot, None);
    let text = diagnose::explain(&report, &snapshot, &|_, _| None).to_plain();
    assert_eq!(
        text,
        "ok: all that waits can still go on.
  T7 and 4 more threads wait for a timer, a.py:4 in main()
  T9 and one more thread wait for a timer, a.py:3 in main()
"
    );
}

#[test]
fn a_healthy_program_in_words() {
    let snapshot: Snapshot = serde_json::from_value(json!({ "processes": [{ "pid": 7, "python": "3.13.0", "threads": [
        { "tid": 7, "name": "MainThread", "main": true, "interpreter": 0, "state": "waiting",
          "waits_for": { "kind": "timer", "operation": "sleep", "timeout": "limited", "file": "/app/a.py", "line": 3, "function": "main" } }] }] }))
    .unwrap();
    let report = diagnose::diagnose(&snapshot, None);
    assert_eq!(report.exit_code(), 0);
    let text = diagnose::explain(&report, &snapshot, &|_, _| None).to_plain();
    assert_eq!(
        text,
        "ok: all that waits can still go on.\n  main waits for a timer, a.py:3 in main()\n"
    );
}
