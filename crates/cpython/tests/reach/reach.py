# Who could ever get hold of what. Each case: a name, the object that somebody starts from, the object looked for, and
# whether code that goes on from there can reach it.
import collections, concurrent.futures, contextlib, dataclasses, enum, functools, itertools, queue, sys, threading, types, weakref
import testkit_ready

CASES = []
Event = threading.Event


def case(name, root, target, expected):
    CASES.append((name, root, target, expected))


# Globals.
alone, used, used_deeply, in_lambda, in_other, by_eval, by_default, by_comprehension = [Event() for _ in range(8)]


def plain_worker():
    return 1


def helper():
    used_deeply.set()


def worker():
    used.set()
    helper()
    return lambda: in_lambda.set()


def other():
    in_other.set()


def evaluates(text):
    eval(text)


def with_default(event=by_default):
    event.set()


def comprehends():
    return [by_comprehension.set() for _ in range(3)]


case("nobody's", plain_worker, alone, False)
case("a global", worker, used, True)
case("a global of what it calls", worker, used_deeply, True)
case("a global of a lambda inside", worker, in_lambda, True)
case("a global of another function", worker, in_other, False)
case("by eval", evaluates, by_eval, True)
case("a default value", with_default, by_default, True)
case("in a comprehension", comprehends, by_comprehension, True)


# Closures and wrappers.
def closure():
    mine, yours = Event(), Event()

    def uses():
        mine.set()

    def uses_not():
        return yours

    case("a closure", uses, mine, True)
    case("another closure", uses, yours, False)


def wrapper(function):
    @functools.wraps(function)
    def wrapped(*args):
        return function(*args)

    return wrapped


def inner():
    wrapped_event.set()


wrapped_event, cached_event, partial_event, reduced_event = Event(), Event(), Event(), Event()
closure()
case("a decorated function", wrapper(inner), wrapped_event, True)


@functools.lru_cache(maxsize=None)
def cached():
    cached_event.set()


@contextlib.contextmanager
def manager():
    reduced_event.set()
    yield


case("a cached function", cached, cached_event, True)
case("a partial", functools.partial(print, partial_event), partial_event, True)
case("a context manager's function", manager, reduced_event, True)


# Instances and classes.
class Service:
    shared, hidden = Event(), Event()

    def __init__(self):
        self.own = Event()
        self.loose = [{"deep": (Event(),)}]

    def run(self):
        return self.shared, self.step()

    def step(self):
        step_event.set()

    def never_named(self):
        never_event.set()

    @property
    def value(self):
        property_event.set()

    @staticmethod
    def static():
        static_event.set()

    @classmethod
    def made(cls):
        class_event.set()

    def __call__(self):
        call_event.set()

    def do_stop(self):
        stop_event.set()

    def dispatch(self, command):
        return getattr(self, "do_" + command)()


step_event, never_event, property_event, static_event, class_event, call_event, stop_event = [Event() for _ in range(7)]
service = Service()


class Derived(Service):
    def run(self):
        return super().run()


def uses_properties():
    return service.value, Service.static(), Service.made()


case("an attribute", service.run, service.own, True)
case("deep in an attribute", service.run, service.loose[0]["deep"][0], True)
case("a class's attribute that is named", service.run, Service.shared, True)
case("a class's attribute that is not", service.run, Service.hidden, False)
case("a method's global", service.run, step_event, True)
case("an unnamed method's global", service.run, never_event, False)
case("a special method's global", service.run, call_event, True)
case("an inherited method's global", Derived().run, step_event, True)
case("a property", uses_properties, property_event, True)
case("a static method", uses_properties, static_event, True)
case("a class method", uses_properties, class_event, True)
case("a method by a made-up name", service.dispatch, stop_event, True)
case("a method by a name nobody makes", service.run, stop_event, False)


class Slotted:
    __slots__ = ("event",)


@dataclasses.dataclass
class Data:
    event: object


class Choice(enum.Enum):
    ONE = Event()


class Failure(Exception):
    pass


class Items(list):
    pass


slotted = Slotted()
slotted.event = Event()
case("a slot", slotted, slotted.event, True)
data = Data(Event())
case("a dataclass", data, data.event, True)
case("an enum member", Choice.ONE, Choice.ONE.value, True)
failure = Failure(Event())
failure.extra = Event()
case("an exception's argument", failure, failure.args[0], True)
case("an exception's attribute", failure, failure.extra, True)
items = Items([Event()])
items.extra = Event()
case("an item of a list's subclass", items, items[0], True)
case("an attribute of a list's subclass", items, items.extra, True)

# Containers and objects made in C.
for make in (
    lambda e: [e], lambda e: (e,), lambda e: {e}, lambda e: frozenset([e]), lambda e: {"k": e}, lambda e: {e: 1},
    lambda e: collections.deque([e]), lambda e: collections.OrderedDict(k=e), lambda e: collections.defaultdict(e.set),
    lambda e: collections.ChainMap({"k": e}), lambda e: types.SimpleNamespace(k=e), lambda e: types.MappingProxyType({"k": e}),
    lambda e: iter([e]), lambda e: itertools.chain([[e]]), lambda e: map(print, [e]), lambda e: itertools.cycle([e]),
    lambda e: {"k": e}.values(), lambda e: e.set, lambda e: [e].append, lambda e: weakref.ref(e), lambda e: weakref.WeakMethod(e.set),
    lambda e: weakref.WeakValueDictionary({1: e}), lambda e: functools.partial(e.wait, timeout=1), lambda e: property(e.set),
    lambda e: staticmethod(e.set), lambda e: (lambda: e), lambda e: types.MethodType(print, e), lambda e: enumerate([e]),
):
    event = Event()
    import inspect
    case("in C: " + inspect.getsource(make).strip()[:1] + str(len(CASES)), make(event), event, True)


def filled(made, event):
    made.put(event)
    return made


event = Event()
case("an item of a queue", filled(queue.Queue(), event), event, True)
event = Event()
simple = filled(queue.SimpleQueue(), 1)
simple.get()
case("an item of a simple queue", filled(simple, event), event, True)
event = Event()
future = concurrent.futures.Future()
future.add_done_callback(lambda _: event.set())
case("a future's callback", future, event, True)


# Threads.
class Stoppable(threading.Thread):
    def __init__(self, given):
        super().__init__(daemon=True, target=self.body, args=(given,))
        self.stopping = Event()

    def body(self, given):
        started.set()
        forever.wait()


started, forever = Event(), Event()
given = Event()
unstarted = threading.Thread(target=print, args=(given,))
case("an argument of a thread not started", unstarted, given, True)
given_too = Event()
running = Stoppable(given_too)
running.start()
started.wait()


def sees_threads():
    return threading.enumerate(), threading.current_thread(), threading.main_thread()


case("an attribute of a running thread", running, running.stopping, True)
case("an argument of a running thread", running, given_too, False)
case("an argument of any thread", sees_threads, given_too, False)

# Modules.
shop = types.ModuleType("shop_module")
shop.opened, shop.closed = Event(), Event()
sys.modules["shop_module"] = shop


def imports():
    import shop_module

    shop_module.opened.set()


case("of a module imported inside", imports, shop.opened, True)
case("of that module, but unnamed", imports, shop.closed, False)
case("of a module not imported", worker, shop.opened, False)


def cleanup():
    try:
        pass
    finally:
        alone_in_finally.set()


alone_in_finally = Event()
case("in a finally block", cleanup, alone_in_finally, True)


def walk(event):
    yield 1
    event.set()


walked, in_coroutine = Event(), Event()
generator = walk(walked)
next(generator)


async def sets(event):
    event.set()


case("a suspended generator's variable", generator, walked, True)
case("a coroutine's argument", sets(in_coroutine), in_coroutine, True)

testkit_ready.ready(id(CASES), id(sys.modules))
forever.wait()
