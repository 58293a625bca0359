//! Runs a program under the debugger and prints what happens: `events PYTHON SCRIPT LINE`.

use session::protocol::{Answer, Ask, Breakpoint, Control, Happened, Place, Resume};
use session::{Event, Launch, Program, Session, ThreadKey};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [python, script, line] = &words[..] else {
        eprintln!("events PYTHON SCRIPT LINE");
        return;
    };
    let launch = Launch {
        python: python.into(),
        program: Program::Script(script.into()),
        arguments: Vec::new(),
    };
    let limit = Duration::from_secs(20);
    let mut session = Session::launch(&launch).expect("it starts");
    let (first, _) = session.processes().next().expect("a process");
    let place = Place::Line(script.clone(), line.parse().expect("a number"));
    let set = Control::SetBreakpoint(Breakpoint {
        id: 1,
        place,
        condition: None,
        ignore: 0,
        temporary: false,
        enabled: true,
        thread: None,
        log: None,
    });
    eprintln!("{:?}", session.control(first, &set, limit));
    eprintln!("{:?}", session.control(first, &Control::Go, limit));
    while let Some(event) = session.next(limit) {
        eprintln!("{event:?}");
        match event {
            Event::Happened(process, Happened::Stopped(stop)) => {
                let thread = ThreadKey {
                    process,
                    ident: stop.ident,
                };
                let go = Ask::Resume {
                    how: Resume::Continue,
                    frame: 0,
                    others: true,
                };
                let done = session.ask(thread, &go, limit, &mut || true);
                assert!(matches!(done, Ok(Answer::Done)), "{done:?}");
            }
            Event::Happened(process, Happened::Finished { .. }) => {
                eprintln!("{:?}", session.control(process, &Control::Leave, limit));
            }
            Event::Exited(_) => break,
            _ => {}
        }
    }
}
