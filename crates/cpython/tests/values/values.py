# Builds values of many types. VALUES holds those whose rendering must equal their repr(), SHOWN those that are shown
# in a form of unknot's own, with that form. The test is told where both lists lie, and gets the texts by a file.
import array, collections, dataclasses, datetime, decimal, enum, fractions, functools, ipaddress, json, os, pathlib, re, socket
import subprocess, sys, threading, time, types, uuid, weakref
import testkit_ready

utc = datetime.timezone.utc
zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
NaN = float("nan")


class MyStr(str):
    pass


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyInt(int):
    pass


class MySet(set):
    pass


class MyDeque(collections.deque):
    pass


class MyError(ValueError):
    pass


class Init(ValueError):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Color(enum.Enum):
    RED = 1
    GREEN = "g"


class Number(enum.IntEnum):
    ONE = 1


class Bits(enum.Flag):
    A = 1
    B = 2


class IntBits(enum.IntFlag):
    A = 1
    B = 2


class Word(str, enum.Enum):
    X = "x"


def no_module():
    try:
        import no_such_module
    except ImportError as error:
        return error


FILE = open(__file__)
rlock, held_rlock = threading.RLock(), threading.RLock()
held_rlock.acquire()
held_rlock.acquire()


def function(a, b=2):
    yield a


async def coroutine():
    pass


class Methods:
    def method(self):
        def inner():
            pass
        return inner


@dataclasses.dataclass
class Point:
    x: int
    y: int
    hidden: int = dataclasses.field(default=0, repr=False)


@dataclasses.dataclass
class Deep(Point):
    inner: object = None
    tags: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Wide:
    a0: int = 0
    a1: int = 1
    a2: int = 2
    a3: int = 3
    a4: int = 4
    a5: int = 5
    a6: int = 6
    a7: int = 7


Pair = collections.namedtuple("Pair", "left right")


def split_with_gap():
    d = Wide()
    del d.a3
    d.a3 = "again"
    return d.__dict__


def grown_and_emptied():
    d = {i: str(i) for i in range(5000)}
    for i in range(4990):
        del d[i]
    return d


def emptied_set():
    s = set(range(300))
    for i in range(295):
        s.remove(i)
    return s


def moved():
    d = collections.OrderedDict.fromkeys("abcd", 1)
    d.move_to_end("a")
    d.move_to_end("c", last=False)
    del d["b"]
    return d


def rotated():
    d = collections.deque(range(200))
    d.rotate(77)
    for _ in range(190):
        d.popleft()
    return d


def recursive_list():
    l = [1]
    l.append(l)
    return l


def recursive_dict():
    d = {}
    d["self"] = d
    return d


def path_shown():
    p = pathlib.Path("/srv/a//b/./c")
    str(p)
    return p


D = decimal.Decimal
generator = function(1)
waiting = coroutine()
VALUES = [
    None, True, False, Ellipsis, NotImplemented,
    0, 1, -1, 255, 256, 2**29, 2**30 - 1, 2**30, -(2**30), 2**31, 2**60 - 1, 2**60, 2**63 - 1, -(2**63), 2**64, 10**40,
    -(10**60) + 7, MyInt(5), MyInt(-(2**70)),
    0.0, -0.0, 0.1, 1.0, -2.5, 1e16, 1e15, 9999999999999998.0, 1e22, 1e-4, 1e-5, 123456.789, 1.7976931348623157e308, 5e-324,
    float("inf"), float("-inf"), NaN,
    1j, -1j, 1 + 2j, 1.5 - 0.5j, complex(-0.0, 2), complex(0, NaN), complex(float("inf"), -3),
    "", "a", "it's", 'say "x"', "both ' and \"", "back\\slash", "tab\tnl\ncr\r", "\x00\x1f\x7f", "é", "caf\xe9\xa0\xad", "Ω≈ç", "日本",
    "\U0001f600 smile", "\u200b\u2028\ufeff", "\ud800 lone", "\U0010ffff", "a\u0301", "x" * 80, "é" * 80, MyStr("sub"), MyStr("süb"),
    MyStr("日本"), sys.intern("interned"),
    b"", b"abc", b"it's", b"\x00\xff\n\\", bytearray(b""), bytearray(b"ab\x00"), bytearray(b"cut")[1:],
    (), (1,), (1, 2), ((1, (2, ())),), [], [1], [1, "a", None], [[], [[]]], MyList([1, 2]), [True, [False]],
    {}, {"a": 1}, {1: "a", (1, 2): [3]}, {"a": 1, 2: "b"}, {"k": {"n": {}}}, MyDict(a=1), grown_and_emptied(),
    {str(i): i for i in range(12)}, Point(1, 2).__dict__, split_with_gap(), dict.fromkeys(["x", "y"]),
    set(), {1}, {1, 2, 3}, {"a"}, frozenset(), frozenset({1}), frozenset(range(5)), MySet({7}), emptied_set(), {None}, {(1, "x")},
    range(5), range(1, 5), range(0, 10, 2), range(5, 0, -1), range(2**70), slice(None), slice(1, 2), slice(1, 2, -1),
    slice("a", None, 2.5),
    Pair(1, "r"), Pair(Pair(1, 2), None), Point(1, 2), Deep(1, 2, 3, None, [4]), Deep(1, 2, inner=Point(3, 4)), Wide(),
    datetime.date(2024, 2, 29), datetime.date(1, 1, 1), datetime.datetime(2024, 2, 29, 0, 0),
    datetime.datetime(2024, 2, 29, 12, 30, 5), datetime.datetime(2024, 2, 29, 12, 30, 0, 7),
    datetime.datetime(2024, 10, 27, 2, 30, fold=1), datetime.datetime(2024, 1, 1, tzinfo=utc),
    datetime.datetime(2024, 1, 1, 1, 2, 3, 999999, tzinfo=zone),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=-1), "X")),
    datetime.time(1, 2), datetime.time(0, 0), datetime.time(1, 2, 3), datetime.time(1, 2, 3, 4), datetime.time(1, 2, tzinfo=utc),
    datetime.time(1, 2, fold=1), datetime.timedelta(0), datetime.timedelta(days=1), datetime.timedelta(seconds=-1),
    datetime.timedelta(days=3, seconds=4, microseconds=5), datetime.timedelta(microseconds=1), utc, zone,
    D("0"), D("-0"), D("1.50"), D("0.000"), D("1E+3"), D("1E-7"), D("-123.456"), D("Infinity"), D("-Infinity"), D("NaN"),
    D("-sNaN12"), D("0.00001"), D("1234567890123456789012345678901234567890.5"), D(10) ** 19, D(10) ** 38, D("1E-8"), D("12E+5"), D("0E+2"),
    fractions.Fraction(1, 3), fractions.Fraction(-5), uuid.UUID(int=0), uuid.UUID("12345678-1234-5678-1234-567812345678"),
    uuid.UUID(int=2**128 - 1),
    pathlib.Path("/"), pathlib.Path("."), pathlib.Path("a/b"), pathlib.PurePosixPath("/etc") / "hosts", pathlib.Path("a", "/b", "c"),
    pathlib.Path("//srv/x"), pathlib.Path("///srv//x/."), path_shown(), pathlib.Path("it's"), path_shown().parent,
    ValueError(), ValueError("x"), KeyError("sku"), MyError("a", 1), Init(3), FileNotFoundError(2, "No such file"), StopIteration(None),
    OSError("plain"), SystemExit(1), KeyboardInterrupt(),
    collections.deque(), collections.deque([1, 2, 3]), collections.deque([1], maxlen=5), rotated(), MyDeque([1]),
    collections.deque(range(5), 3), collections.defaultdict(int), collections.defaultdict(None, a=1), collections.defaultdict(list, {1: [2]}),
    collections.OrderedDict(), collections.OrderedDict(a=1), collections.OrderedDict([(2, "x"), (1, "y")]), moved(),
    collections.Counter(), collections.Counter("abracadabra"), collections.Counter({"a": 1, "b": 5}),
    types.SimpleNamespace(), types.SimpleNamespace(a=1, b="x"),
    int, str, object, type(None), ValueError, MyError, Methods, collections.deque, datetime.datetime, Methods().method().__class__, enum.Enum.__bases__[0],
    function, Methods.method, Methods().method(), (lambda: 0), generator, waiting, len, [].append, json.dumps, os.getpid, os.path.join,
    functools.partial(function, 1, b=3), functools.partial(int, base=2), functools.partial(len),
    recursive_list(), recursive_dict(), Color.RED, [Color.GREEN], Number.ONE, Bits.A, Bits.A | Bits.B, IntBits.A | IntBits.B, Word.X,
    array.array("i", [1, -2]), array.array("d", [0.1]), array.array("f", [0.1]), array.array("b"), array.array("Q", [2**64 - 1]),
    array.array("u", "süß"), types.MappingProxyType({"a": 1}), {"a": 1}.keys(), {"a": 1}.values(), {"a": 1}.items(), {}.keys(),
    collections.OrderedDict(a=1).keys(), time.gmtime(0), os.stat("/"), sys.version_info, os.times(), os.terminal_size((80, 24)),
    collections.ChainMap({"a": 1}, {}), collections.UserDict(a=1), collections.UserList([1]), collections.UserString("abc"),
    re.compile("a+b"), re.compile(b"x", re.I | re.M), re.compile("x", re.A | re.X), re.compile("(?u)x", re.S),
    re.match("a", "ab"), re.match(b"(a)b", b"ab"), re.search("ü+", "xüü"), re.match("", ""), FILE, FILE.buffer, sys.stderr,
    ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("fe80::1"), ipaddress.ip_address("::"),
    ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_network("2001:db8::/32"),
    ipaddress.ip_interface("::1/128"), memoryview(b"abc"), pathlib.PureWindowsPath("c:/x/y"), rlock, held_rlock,
    ImportError("x"), ImportError("x", name="n", path="p"), ImportError(name="n"), ModuleNotFoundError("x", name="n"), no_module(),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "reason"), SyntaxError("bad", ("f", 1, 2, "text")), 10**95, -(10**95),
]


class Plain:
    def __init__(self):
        self.name = "n"
        self.items = [1]


class Slotted:
    __slots__ = ("a", "b", "__hidden")

    def __init__(self):
        self.a = 1
        self.__hidden = 2


class SlottedAndDict(Slotted):
    def __init__(self):
        super().__init__()
        self.extra = 3


class Empty:
    pass


class TupleWithDict(tuple):
    pass


class IntWithDict(int):
    pass


def materialised():
    p = Plain()
    p.__dict__
    p.more = None
    return p


def replaced():
    p = Plain()
    p.__dict__ = {"only": 1}
    return p


def many():
    p = Plain()
    for i in range(40):
        setattr(p, "attribute%d" % i, i)
    for i in range(40):
        delattr(p, "attribute%d" % i)
    return p


def deleted():
    p = Plain()
    del p.name
    p.other = True
    p.name = "last"
    return p


class Cyclic:
    def __init__(self):
        self.me = self


class Fields(ValueError):
    pass


lock, held, empty, cyclic = threading.Lock(), threading.Lock(), Empty(), Cyclic()
held.acquire()
event = threading.Event()
weak = weakref.ref(empty)
dead = weakref.ref(Empty())
plain = Plain()
semaphore, thread = threading.Semaphore(3), threading.Thread(name="w")
pipe, closed = socket.socketpair()
pipe.setblocking(False)
closed.close()
child = subprocess.Popen(["true"])
child.wait()
SHOWN = [
    (Color, "<enum 'Color'>"), (Bits(0), "<Bits: 0>"),
    (plain, "Plain(name='n', items=[1])"), (Slotted(), "Slotted(_Slotted__hidden=2, a=1)"),
    (SlottedAndDict(), "SlottedAndDict(extra=3, _Slotted__hidden=2, a=1)"), (materialised(), "Plain(name='n', items=[1], more=None)"),
    (replaced(), "Plain(only=1)"), (many(), "Plain(name='n', items=[1])"), (cyclic, "Cyclic(me=Cyclic(...))"),
    (empty, "<Empty at 0x%x>" % id(empty)), (TupleWithDict((1, 2)), "(1, 2)"), (IntWithDict(7), "7"),
    (lock, "<unlocked lock at 0x%x>" % id(lock)), (held, "<locked lock at 0x%x>" % id(held)),
    (event, "<threading.Event at 0x%x: unset>" % id(event)), (weak, "<weakref at 0x%x; to 'Empty' at 0x%x>" % (id(weak), id(empty))),
    (dead, "<weakref at 0x%x; dead>" % id(dead)), (sys, "<module 'sys'>"), (os.path, "<module 'posixpath'>"),
    (plain.__init__, "<bound method Plain.__init__ of Plain(name='n', items=[1])>"),
    ("x" * 200, "'" + "x" * 100 + "'..."), (b"x" * 200, "b'" + "x" * 100 + "'..."), (list(range(100)), str(list(range(20)))[:-1] + ", ...]"),
    (1 << 50000, "<int of 50001 bits, about 3.16070e15051>"),
    (-(1 << 400000), "<int of 400001 bits, about -9.96014e120411>"), (10**121, "1" + "0" * 99 + "... (122 digits)"),
    (-(10**4000) - 7, "-1" + "0" * 99 + "... (4001 digits)"),
    (semaphore, "<threading.Semaphore at 0x%x: value=3>" % id(semaphore)), (thread, "<Thread('w') at 0x%x>" % id(thread)),
    (pipe, "<socket.socket fd=%d, family=1, type=1, proto=0>" % pipe.fileno()), (closed, "<socket.socket [closed] fd=-1, family=1, type=1, proto=0>"),
    (child, "<Popen: pid: %d returncode: 0 args: ['true']>" % child.pid),
    (re.compile("y" * 200), "re.compile('" + "y" * 100 + "'...)"), (array.array("i", range(50)), "array('i', " + str(list(range(20)))[:-1] + ", ...])"), ({1: {2: {3: {4: {5: 6}}}}}, "{1: {2: {3: {4: {...}}}}}"),
    ((deleted(), "Plain(items=[1], other=True, name='last')") if sys.version_info >= (3, 11) else (deleted(), None)),
]

# NumPy is tried where it is installed, or found in a directory of UNKNOT_NUMPY.
sys.path.extend(filter(None, os.environ.get("UNKNOT_NUMPY", "").split(":")))
try:
    import numpy as np
except Exception as error:
    print("no numpy:", error)
else:
    SHOWN += [
        (np.zeros((3, 4)), "array(shape=(3, 4), dtype=float64)"), (np.array(7, dtype="i2"), "array(shape=(), dtype=int16)"),
        (np.arange(5, dtype=np.uint8)[1:], "array(shape=(4,), dtype=uint8)"), (np.array(["ab"]), "array(shape=(1,), dtype=str)"),
        (np.array([None]), "array(shape=(1,), dtype=object)"), (np.array([True]), "array(shape=(1,), dtype=bool)"),
        (np.ma.masked_array([1.5]), "MaskedArray(shape=(1,), dtype=float64)"), (np.float64(0.1), "np.float64(0.1)"),
        (np.float32(0.1), "np.float32(0.1)"), (np.int64(-5), "np.int64(-5)"), (np.uint8(200), "np.uint8(200)"), (np.bool_(True), "np.True"),
        (np.complex128(1 + 2j), "np.complex128((1+2j))"), (np.float32(1e-10), "np.float32(1e-10)"), (np.str_("s"), "'s'"),
        (np.dtype("f8"), None), (np.datetime64("2024-01-01"), None), (np.float16(1), None),
    ]

ATTRIBUTES = [plain, SlottedAndDict(), materialised(), replaced(), many()]
for value in (TupleWithDict("ab"), IntWithDict(2**90), IntWithDict(-5), Fields("f"), function):
    value.name = "n"
    ATTRIBUTES.append(value)
# What attribute("name") of each must be.
NAMES = ["n", None, "n", None, "n"] + ["n"] * 5

with open(sys.argv[1], "w", encoding="utf-8", errors="surrogatepass") as out:
    texts = [repr(value) for value in VALUES], [text for _, text in SHOWN], NAMES
    json.dump(texts, out)
shown = [value for value, _ in SHOWN]
testkit_ready.ready(id(VALUES), id(shown), id(ATTRIBUTES))
event.wait()
