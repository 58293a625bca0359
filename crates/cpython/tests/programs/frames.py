# Threads blocked in known places. It writes down how Python itself sees their frames, then waits.
import asyncio
import itertools
import sys
import threading
import time
import types

import testkit_ready

REPORT, MODE = sys.argv[1:]
DEEP = 5000
never = threading.Event()
begun = []


def block():
    begun.append(threading.get_ident())
    never.wait()


def deep(n):
    if n == 0:
        block()
    else:
        deep(n - 1)


def generator():
    yield 1
    yield from inner_generator()


def inner_generator():
    x = 2
    block()
    yield x


def use_generator():
    for _ in generator():
        pass


def comprehension():
    return [
        (block(), i)
        for i in range(3)
    ]


def generator_expression():
    return sum(block() or 1 for i in range(3))


def key(item):
    if item == 3:
        block()
    return item


def called_back():
    return sorted(
        [1, 2, 3],
        key=key,
    )


def executed():
    namespace = {"block": block}
    code = "\n\n\ndef f():\n    try:\n        block(\n        )\n    finally:\n        pass\n\nf()\n"
    exec(compile(code, "<made>", "exec"), namespace)


class Meta(type):
    def __call__(cls, *args):
        return super().__call__(*args)


class Thing(metaclass=Meta):
    def __init__(self, shared):
        def closure():
            with self as held:
                shared.append(
                    lambda: (
                        block(),
                        held,
                    ))
                shared[0]()
        closure()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def constructed():
    Thing([])


def class_body():
    class Inner:
        attribute = 1
        block()


def handling():
    try:
        raise KeyError("sku")
    except KeyError:
        try:
            1 / 0
        except ZeroDivisionError:
            block()


async def inner_coroutine():
    block()


async def asynchronous():
    async with Both() as both:
        async for item in both.items():
            await inner_coroutine()


class Both:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error):
        pass

    async def items(self):
        yield 1
        await asyncio.sleep(0)
        yield 2


def in_loop():
    asyncio.run(asynchronous())


class Descriptor:
    def __get__(self, instance, owner):
        return instance.method(1, *[2], b=3)


class WithProperty:
    attribute = Descriptor()

    def method(self, a, *args, b, **more):
        block()

    def __del__(self):
        pass

    def __lt__(self, other):
        return self.attribute


def property_call():
    WithProperty() < 3


def many_times():
    # Long enough for the specialising interpreter to do its work.
    total = 0
    for i in range(200_000 if MODE == "plain" else 2_000):
        total += added(i)
    block()
    return total


def added(i):
    return i + 1


class Plain:
    def __init__(self, hook):
        hook()


def initialised():
    for hook in [lambda: None] * 1000 + [block]:
        Plain(hook)


def long_lines(
    a=1,

    b=2,
):
    x = (
        a
        + b

        + (block() or 0)
    )
    return x


def locked():
    with threading.Lock() as first, threading.Lock():
        for _ in range(2):
            if first:
                block()


FUNCTIONS = [
    use_generator, comprehension, generator_expression, called_back, executed, constructed, class_body, handling,
    in_loop, property_call, many_times, initialised, long_lines, locked,
]


def see(frame):
    seen = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        seen.append((name, code.co_filename, frame.f_lineno, frame.f_lasti, column(frame), code.co_code.hex()))
        frame = frame.f_back
    return seen


def column(frame):
    if not hasattr(frame.f_code, "co_positions"):
        return None
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    return next(positions, (None, None, None))[2]


def watch():
    # As debuggers, profilers and coverage tools do; each puts other instructions in place of a function's own.
    def trace(frame, *_):
        frame.f_trace_opcodes = True
        return trace

    if MODE == "opcodes":
        threading.settrace(trace)
    elif MODE == "profile":
        threading.setprofile(lambda *_: None)
    elif MODE == "monitor" and sys.version_info >= (3, 12):
        events = sys.monitoring.events
        sys.monitoring.use_tool_id(0, "test")
        wanted = 0
        for name, event in vars(events).items():
            # Those two events are one group, and the old BRANCH has gone into BRANCH_LEFT and BRANCH_RIGHT.
            if not name.startswith("__") and event.bit_count() == 1 and name not in ("C_RAISE", "C_RETURN"):
                if not (name == "BRANCH" and hasattr(events, "BRANCH_LEFT")):
                    sys.monitoring.register_callback(0, event, lambda *_: None)
                    wanted |= event
        sys.monitoring.set_events(0, wanted)


def main():
    sys.setrecursionlimit(20_000)
    threading.stack_size(64 << 20)
    watch()
    threads = [threading.Thread(target=f, name=f.__name__, daemon=True) for f in FUNCTIONS]
    threads.append(threading.Thread(target=deep, args=(DEEP,), name="deep", daemon=True))
    for thread in threads:
        thread.start()
    while len(begun) < len(threads):
        time.sleep(0.01)
    # Each of them is in never.wait now, or will be at once.
    condition = never._cond
    while len(condition._waiters) < len(threads):
        time.sleep(0.01)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    last = None
    while True:
        frames = {ident: see(frame) for ident, frame in sys._current_frames().items() if ident != threading.get_ident()}
        if frames == last:
            break
        last = frames
        time.sleep(0.05)
    with open(REPORT, "w") as report:
        for ident, seen in frames.items():
            print("thread", ident, getattr(threading._active[ident], "native_id", 0), names[ident], file=report)
            for name, file, line, lasti, column, code in seen:
                print("frame", name, line, lasti, -1 if column is None else column + 1, code, file, sep="\t", file=report)
        print("main", threading.get_ident(), file=report)
    testkit_ready.ready("written")
    never.wait()


main()
