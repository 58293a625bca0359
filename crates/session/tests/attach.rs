//! Running programs that are entered, debugged and left again, on each interpreter.

use session::protocol::{Answer, Ask, Breakpoint, Control, Happened, Place, Reason, Resume};
use session::{Event, Session, ThreadKey};
use std::time::Duration;
use testkit::{Program, Target};

const LIMIT: Duration = Duration::from_secs(60);

const PROGRAM: &str = "
import testkit_ready

def work(number):
    result = number + 1
    return result

testkit_ready.ready()
count = 0
while True:
    count = work(count)
";

fn breakpoint(id: u32, file: &str, line: u32) -> Control {
    Control::SetBreakpoint(Breakpoint {
        id,
        place: Place::Line(file.to_owned(), line),
        condition: None,
        ignore: 0,
        temporary: false,
        enabled: true,
        thread: None,
        log: None,
    })
}

#[test]
fn a_running_program_is_debugged_and_left() {
    for interpreter in testkit::matrix() {
        let mut target =
            Target::spawn(interpreter, Program::Source(PROGRAM), &[]).expect("it starts");
        target.wait_ready(LIMIT).expect("it gets ready");
        let file = target.program().to_string_lossy().into_owned();
        for _ in 0..3 {
            let (mut session, _) = Session::attach(target.pid(), Duration::from_secs(20))
                .unwrap_or_else(|error| panic!("{interpreter}: {error}"));
            let (process, hello) = session.processes().next().expect("a process");
            assert_eq!(hello.pid, target.pid());
            let set = session.control(process, &breakpoint(1, &file, 5), LIMIT);
            assert!(
                matches!(set, Ok(Answer::Resolved(_))),
                "{interpreter}: {set:?}"
            );
            let mut counts = Vec::new();
            while counts.len() < 3 {
                match session.next(LIMIT) {
                    Some(Event::Happened(_, Happened::Stopped(stop))) => {
                        assert_eq!(stop.reason, Reason::Breakpoint, "{interpreter}");
                        let thread = ThreadKey {
                            process,
                            ident: stop.ident,
                        };
                        let ask = Ask::Evaluate {
                            frame: stop.index,
                            text: "number".into(),
                            pretty: false,
                        };
                        let value = session.ask(thread, &ask, LIMIT, &mut || true);
                        let Ok(Answer::Text { text: Some(text) }) = value else {
                            panic!("{interpreter}: {value:?}");
                        };
                        counts.push(text.parse::<u64>().expect("a number"));
                        let go = Ask::Resume {
                            how: Resume::Continue,
                            frame: 0,
                            others: true,
                        };
                        let done = session.ask(thread, &go, LIMIT, &mut || true);
                        assert!(matches!(done, Ok(Answer::Done)), "{interpreter}: {done:?}");
                    }
                    Some(Event::Started(..) | Event::Happened(_, Happened::Resumed { .. })) => {}
                    other => panic!("{interpreter}: {other:?}"),
                }
            }
            let [first, second, third] = counts[..] else {
                unreachable!()
            };
            assert_eq!((second, third), (first + 1, first + 2), "{interpreter}");
            let left = session.control(process, &Control::Detach, LIMIT);
            assert!(matches!(left, Ok(Answer::Done)), "{interpreter}: {left:?}");
        }
        assert!(target.is_alive(), "{interpreter}");
    }
}
