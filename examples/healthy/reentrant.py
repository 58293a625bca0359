# The same RLock many times over, and then a sleep under it.
# EXPECT: ok
import threading
import time

lock = threading.RLock()


def descend(depth):
    with lock:
        if depth:
            descend(depth - 1)
        else:
            time.sleep(3600)


descend(5)
