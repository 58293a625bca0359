# Threads that stand somewhere, and what each could still get hold of from there. Cases: a thread's name, the object looked for,
# and whether it is within reach.
import threading, queue, sys
import testkit_ready

CASES = []
Event = threading.Event
forever = Event()
arrived = threading.Semaphore(0)


def start(name, target, *args):
    threading.Thread(target=target, name=name, args=args, daemon=True).start()


def case(name, target, expected):
    CASES.append((name, target, expected))


before, after, in_branch, in_loop, given, kept, dropped, in_with, in_except, called_later = [Event() for _ in range(10)]


def straight():
    before.set()
    arrived.release()
    forever.wait()
    after.set()


def branches():
    while True:
        if in_loop.is_set():
            in_branch.set()
        arrived.release()
        forever.wait()


def with_argument(event):
    arrived.release()
    forever.wait()
    event.set()


def with_locals(unused):
    local = kept
    arrived.release()
    forever.wait()
    local.set()


def calls():
    nested()
    called_later.set()


def nested():
    arrived.release()
    forever.wait()


class Manager:
    def __enter__(self):
        pass

    def __exit__(self, *exc):
        in_with.set()


def managed():
    with Manager():
        arrived.release()
        forever.wait()


def handles():
    try:
        arrived.release()
        forever.wait()
    except ValueError:
        in_except.set()


class Worker:
    def __init__(self):
        self.jobs = queue.Queue()
        self.done = Event()

    def run(self):
        while True:
            job = self.jobs.get()
            job()
            self.done.set()


worker = Worker()
queued = Event()


def shut():
    queued.set()


def closure(before_event, event):
    mine = Event()
    case("closure", mine, True)

    def run(argument):
        inner = lambda: argument
        before_event.set()
        arrived.release()
        forever.wait()
        return event, mine.set(), inner

    return run


start("straight", straight)
in_closure, in_cell, past = Event(), Event(), Event()
start("closure", closure(past, in_closure), in_cell)
case("closure", in_closure, True)
case("closure", in_cell, True)
case("closure", past, False)
start("branches", branches)
start("with_argument", with_argument, given)
start("with_locals", with_locals, dropped)
start("calls", calls)
start("managed", managed)
start("handles", handles)
start("worker", worker.run)
for _ in range(8):
    arrived.acquire()

case("straight", after, True)
case("straight", before, False)
case("straight", in_loop, False)
case("branches", in_loop, True)
case("branches", in_branch, True)
case("branches", after, False)
case("with_argument", given, True)
case("straight", given, False)
case("with_locals", kept, True)
case("with_locals", dropped, False)
case("calls", called_later, True)
case("managed", in_with, True)
case("handles", in_except, True)
case("worker", worker.done, True)
case("worker", queued, False)
case("straight", worker.done, False)

idents = {thread.name: thread.ident for thread in threading.enumerate()}
CASES = [(idents[name], name, target, expected) for name, target, expected in CASES]
main_only = Event()
CASES.append((idents["MainThread"], "main, of what comes after", main_only, True))
CASES.append((idents["MainThread"], "main, of what came before", given, False))
testkit_ready.ready(id(CASES), id(sys.modules))
forever.wait()
main_only.set()
