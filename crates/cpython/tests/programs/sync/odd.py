# Waits and holds that the code does not show at once.
import contextlib
import functools
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

lock = threading.Lock()
simple = queue.SimpleQueue()
rlock = threading.RLock()
semaphore = threading.Semaphore(2)
stays = threading.Event()
tried = threading.Lock()
taken_later = threading.Lock()
pair = [threading.Lock(), threading.Lock()]
table = {"a": threading.Lock()}


def run(function, name=None):
    threading.Thread(target=function, name=name or function.__name__, daemon=True).start()


def stay():
    time.sleep(1000)


def stack_enter():
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock)  #: wait stack_enter Lock acquire lock forever


def unbound():
    type(lock).acquire(lock)  #: wait unbound Lock acquire lock forever


def iterated():
    for _ in iter(simple.get, None):  #: wait iterated SimpleQueue get simple forever
        pass


def partially():
    functools.partial(lock.acquire, True)()  #: wait partially Lock acquire lock forever


def mapped():
    list(map(lambda x: x.acquire(), [lock]))  #: wait mapped Lock acquire x forever


def recursive(depth=3):
    with rlock:
        if depth:
            recursive(depth - 1)
        stays.set()
        stay()


def rlock_taken():
    rlock.acquire()  #: wait rlock_taken RLock acquire rlock forever


def semaphore_taken():
    semaphore.acquire()  #: hold semaphore_taken Semaphore semaphore probable
    stay()


def tries():
    if tried.acquire(blocking=False):
        stay()


def tries_in_vain():  #: no hold tries_in_vain
    while not tried.acquire(timeout=1000):  #: wait tries_in_vain Lock acquire tried limited
        stay()
    with taken_later:
        pass


def released():  #: no hold released
    taken_later.acquire()
    taken_later.release()
    stay()


def both():
    for one in pair:
        one.acquire()
    with pair[0]:  #: wait both Lock acquire pair[0] forever
        pass


def items():
    table["a"].acquire()  #: hold items Lock table['a'] probable
    try:
        stay()
    finally:
        table["a"].release()


def exception():
    taken = threading.Lock()
    with taken:  #: hold exception Lock taken
        try:
            raise ValueError
        except ValueError:
            stay()


def returned():
    def inner():
        taken = threading.Lock()
        with taken:  #: hold returned Lock taken
            return (yield stay())

    next(inner())


def generator():
    taken = threading.Lock()
    with taken:
        yield 1
        yield 2


def stack_waits():  #: no hold stack_enter
    pass


def suspended():
    for _ in generator():
        stay()


class Base:
    lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()
        return self

    def __exit__(self, *exception):
        self.lock.release()

    @classmethod
    def on_class(cls):
        with cls.lock:  #: wait on_class Lock acquire cls.lock forever
            pass

    def on_self(self):
        with self:
            stay()


def loops():
    while True:
        with contextlib.suppress(ValueError), lock:  #: hold loops Lock lock
            loops_holds.set()
            stay()


loops_holds = threading.Event()
run(loops)
loops_holds.wait()
run(recursive)
stays.wait()
base = Base()
run(base.on_self, "on_self")
run(tries)
while not (Base.lock.locked() and tried.locked()):
    time.sleep(0.01)
for function in [
    stack_enter, unbound, iterated, partially, mapped, rlock_taken, semaphore_taken, tries_in_vain, released, both, items,
    exception, returned, suspended,
]:
    run(function)
run(Base.on_class, "on_class")
with ThreadPoolExecutor(1, "pool") as pool:
    pool.submit(pool.submit(stay).result)
