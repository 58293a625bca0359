"""Threads that stand in native code, called from Python and calling Python. With an argument: a library that calls back."""

import ctypes
import hashlib
import sys
import threading
import time

import testkit_ready


def inner():
    time.sleep(1000)


def outer():
    inner()


def key(number):
    if number == 3:
        outer()
    return number


def sorts():
    sorted(range(9), key=key)


def numbers():
    yield 1
    outer()


class Made:
    def __init__(self):
        for _ in numbers():
            pass


def makes():
    Made()


def computes():
    while True:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 200_000)


def called(depth):
    if depth:
        through(depth - 1)
    else:
        outer()
    return depth


def through(depth):
    return LIBRARY.through_c(CALLBACK, depth)


def calls_back():
    through(1)


def waits():
    door = threading.Lock()
    door.acquire()
    door.acquire()


BODIES = [sorts, makes, computes, waits]
if len(sys.argv) > 1:
    LIBRARY = ctypes.CDLL(sys.argv[1])
    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(called)
    BODIES.append(calls_back)
for body in BODIES:
    threading.Thread(target=body, name=body.__name__, daemon=True).start()
testkit_ready.ready()
outer()
