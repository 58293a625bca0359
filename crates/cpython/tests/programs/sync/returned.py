# Locks taken by functions that have returned: no frame shows them. Each is waited for, or nobody would look for its holder.
import contextlib
import threading
import time

by_helper = threading.Lock()
by_argument = threading.Lock()
by_closure = threading.Lock()
by_default = threading.Lock()
by_exception = threading.Lock()
by_branch = threading.Lock()
by_stack = threading.Lock()
by_condition = threading.Condition(threading.Lock())
given_back = threading.Lock()
tried = threading.Lock()
permits = threading.Semaphore(1)
was_given_back, was_tried = threading.Event(), threading.Event()
forward = [threading.Lock(), threading.Lock()]
named = {"a": threading.Lock(), "b": threading.Lock()}


def run(function):
    threading.Thread(target=function, name=function.__name__, daemon=True).start()


def stay():
    time.sleep(1000)


def take():
    by_helper.acquire()  #: hold helper Lock - probable


def helper():
    take()
    stay()


def take_this(what, lock):
    lock.acquire()  #: hold argument Lock - probable  #: hold another Lock - probable


def argument():
    take_this("unused", lock=by_argument)
    stay()


class Store:
    shared = threading.Lock()

    def __init__(self):
        self.own = threading.Lock()

    def begin(self):
        self._begin()

    def _begin(self):
        self.own.acquire()  #: hold method Lock - probable

    @classmethod
    def begin_all(cls):
        cls.shared.acquire()  #: hold class_method Lock - probable

    @staticmethod
    def wait():
        by_condition.acquire()  #: hold static_method Lock - probable


store = Store()


def method():
    store.begin()
    stay()


def class_method():
    Store.begin_all()
    stay()


def static_method():
    store.wait()
    stay()


def make(lock):
    def taker():
        lock.acquire()  #: hold closure Lock - probable

    return taker


taker = make(by_closure)


def closure():
    taker()
    stay()


def take_default(lock=by_default):
    lock.acquire()  #: hold default Lock - probable


def default():
    take_default()
    stay()


def fail():
    by_exception.acquire()  #: hold exception Lock - probable
    raise KeyError
    by_exception.release()


def exception():
    try:
        fail()
    except KeyError:
        stay()


def take_some(number):
    by_branch.acquire()  #: hold branch Lock - probable
    if number:
        return
    by_branch.release()


def branch():
    take_some(1)
    stay()


def permit():
    take_permit()
    stay()


def take_permit():
    permits.acquire()  #: hold permit Semaphore - probable


def balanced():  #: no hold balanced
    take_and_give()
    was_given_back.set()
    stay()


def take_and_give():
    given_back.acquire()
    given_back.release()


def another():
    was_given_back.wait()
    take_this("unused", given_back)
    stay()


def try_it():
    return tried.acquire(blocking=False)  #: hold lucky Lock - probable


def lucky():
    if try_it():
        was_tried.set()
        stay()


def unlucky():  #: no hold unlucky
    was_tried.wait()
    if not try_it():
        stay()


def loop():
    for lock in forward:
        lock.acquire()  #: hold loop Lock - probable  #: hold loop Lock lock probable
    stay()


def keys():
    for key in ("a", "b"):
        named[key].acquire()  #: hold keys Lock - probable  #: hold keys Lock named[key] probable
    stay()


def stack():
    with contextlib.ExitStack() as entered:
        entered.enter_context(by_stack)  #: hold stack Lock by_stack
        stay()


for holder in (helper, argument, method, class_method, static_method, closure, default, exception, branch, permit):
    run(holder)
for holder in (balanced, another, lucky, unlucky, loop, keys, stack):
    run(holder)


def wait_for(lock):
    while lock.acquire(blocking=False):
        lock.release()
        time.sleep(0.01)
    threading.Thread(target=lambda: lock.acquire(), name="waiter", daemon=True).start()


for lock in (by_helper, by_argument, by_closure, by_default, by_exception, by_branch, by_condition, given_back, permits):
    wait_for(lock)
for lock in (store.own, Store.shared, forward[0], named["a"], by_stack, tried):
    wait_for(lock)
stay()
