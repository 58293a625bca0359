# A lock taken by a method that has returned: no frame shows it, and the thread that holds it waits for a second one.
# EXPECT: deadlock
# EDGE: waiter=write@w1 for=Lock name=index_lock holder=reindex@h1
# EDGE: waiter=begin@w2 for=Lock name=self._lock holder=begin@w2
import threading

index_lock = threading.Lock()
begun = threading.Barrier(2)


class Store:
    def __init__(self):
        self._lock = threading.Lock()

    def begin(self):
        self._lock.acquire()  # @w2

    def commit(self):
        self._lock.release()


def write(store):
    store.begin()
    begun.wait()
    with index_lock:  # @w1
        pass
    store.commit()


def reindex(store):
    with index_lock:  # @h1
        begun.wait()
        store.begin()
        store.commit()


store = Store()
threads = [threading.Thread(target=function, args=(store,)) for function in (write, reindex)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
