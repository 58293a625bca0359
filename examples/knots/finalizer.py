# The last reference to an object goes away under a lock, and its __del__ takes the same lock.
# EXPECT: self-deadlock
# EDGE: waiter=__del__@w for=Lock name=cache_lock holder=evict@h
import threading

cache_lock = threading.Lock()
cache = {}
closed = 0


class Connection:
    def __del__(self):
        global closed
        with cache_lock:  # @w
            closed += 1


def evict(key):
    with cache_lock:  # @h
        del cache[key]


cache["a"] = Connection()
evict("a")
print("OK")
