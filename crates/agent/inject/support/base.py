# The agent's part in Python, for 3.8 and later: what a stopped thread does when it is asked something, where
# breakpoints are, and how far a step goes. The bodies that it reads and writes are declared in session::protocol.
#
# Its law: it imports nothing of the program's, names nothing in the program's modules, keeps no lock while a thread
# waits, and never lets an exception of its own out into the program.

import _thread
import linecache
import os
import sys

MONITORING = getattr(sys, "monitoring", None)
CALL, EXCEPTION, LINE, RETURN = 0, 1, 2, 3
GENERATOR = 0x20 | 0x80 | 0x200
OWN_FILES = ("<unknot>", os.path.join(DIRECTORY, "boot.py"))
REPR_MAX = 1 << 20
AGENT_THREADS = 2
FORK_WARNING = r"This process \(pid=\d+\) is multi-threaded"
WITH_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


# JSON: the program may have a module of that name.
def to_json(value):
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return '"' + "".join(map(escape, value)) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(to_json(str(k)) + ":" + to_json(v) for k, v in value.items()) + "}"
    return "[" + ",".join(map(to_json, value)) + "]"


def escape(letter):
    if letter == '"' or letter == "\\":
        return "\\" + letter
    if letter < " " or "\ud800" <= letter <= "\udfff":
        # What no text can have that is read as UTF-8.
        return "\\u%04x" % ord(letter) if letter < " " else "?"
    return letter


def from_json(text):
    # JSON of our own making is an expression of Python's but for these three.
    return eval(text, {"__builtins__": {}, "null": None, "true": True, "false": False})


class Quit(BaseException):
    """Ends the program, or the code of `debug`, where it stands, so that its `finally` blocks run."""


class State:
    """What the debugger knows of one thread."""

    def __init__(self, ident):
        self.ident = ident
        self.stepping = False
        self.stop_frame = None
        self.return_frame = None
        self.stop_line = 0
        self.entry = None
        self.stopped = False
        self.reason = None
        self.stack = []
        self.index = 0
        self.base = None
        self.locals = {}
        self.exceptions = []
        self.exception = None
        self.quitting = False
        self.interacting = None
        self.depth = 0
        self.convenience = {}
        self.traced = 0


states = {}
breakpoints = {}
by_file = {}
codes = {}
canonical = {}
launched = {"script": None, "main": None, "ended": False}
settings = {"all-stop": True, "parking": False, "live": True, "paused": set(), "pause-all": False, "tool": None, "everything": False}
exceptions_at = {"raised": False, "uncaught": False, "types": ()}
hits = {}
# Threads of the agent's own, which never stop.
own_threads = set()


def state_of(ident):
    state = states.get(ident)
    if state is None:
        state = states[ident] = State(ident)
    return state


def say(event, thread=0, **fields):
    fields["event"] = event
    return native_send(2, 0, thread, to_json(fields))


def canonic(file):
    known = canonical.get(file)
    if known is None:
        if file.startswith("<") and file.endswith(">"):
            known = file
        else:
            known = os.path.normcase(os.path.abspath(file))
        canonical[file] = known
    return known


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def told(error):
    """An exception's last line, as Python prints it."""
    import traceback

    try:
        return traceback.format_exception_only(type(error), error)[-1].strip()
    except BaseException:
        return type(error).__name__


def rendered(value):
    try:
        text = repr(value)
    except BaseException as error:
        return "*** repr failed: " + told(error) + " ***"
    return text if len(text) <= REPR_MAX else text[:REPR_MAX] + "..."
