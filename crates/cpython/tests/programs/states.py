# Variables of every kind, a subinterpreter and a busy thread.
import os
import sys
import threading
import time

import testkit_ready

never = threading.Event()
blocked = threading.Semaphore(0)


def outer(argument, shared, *rest, keyword=4, **more):
    plain = 5
    cell = 6
    unbound = 0
    del unbound

    def inner():
        own = 7
        squares = [one * cell for one in range(2)]
        blocked.release()
        never.wait()
        return shared, cell, own, squares, unbound

    unbound = 8
    del unbound
    inner()
    return plain


def class_body():
    class Body:
        attribute = 9
        blocked.release()
        never.wait()


def busy():
    count = 0
    while True:
        count += 1


SUB = """
import threading
hidden = 10
def in_sub():
    inside = 11
    {ready}
    threading.Event().wait()
in_sub()
"""


def subinterpreter():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    fifo = os.environ["UNKNOT_READY"]
    ready = "import os; os.write(os.open({!r}, os.O_WRONLY), b'sub\\n')".format(fifo)
    interpreters.run_string(interpreters.create(), SUB.format(ready=ready))


which = sys.argv[1]
if which == "locals":
    threading.Thread(target=outer, args=(1, 2, 3), kwargs={"other": 1}, daemon=True, name="outer").start()
    threading.Thread(target=class_body, daemon=True, name="class").start()
    blocked.acquire()
    blocked.acquire()
    testkit_ready.ready("locals")
elif which == "busy":
    threading.Thread(target=busy, daemon=True, name="busy").start()
    testkit_ready.ready("busy")
elif which == "sub":
    threading.Thread(target=subinterpreter, daemon=True, name="sub").start()
never.wait()
