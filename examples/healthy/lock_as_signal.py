# A lock used as a signal: taken twice by the thread that waits, released by another one.
# EXPECT: ok
import threading
import time


class Gate:
    def __init__(self):
        self._closed = threading.Lock()
        self._closed.acquire()

    def open(self):
        self._closed.release()

    def pass_through(self):
        self._closed.acquire()
        self._closed.release()


def open_later(gate):
    time.sleep(3600)
    gate.open()


gate = Gate()
threading.Thread(target=open_later, args=(gate,), daemon=True).start()
gate.pass_through()
