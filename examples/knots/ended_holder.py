# A thread takes a lock, and returns early without releasing it.
# EXPECT: orphaned-lock
# EDGE: waiter=second@w for=Lock name=lock holder=ended
import threading

lock = threading.Lock()


def first(valid):
    lock.acquire()
    if not valid:
        return
    lock.release()


def second():
    with lock:  # @w
        print("OK")


thread = threading.Thread(target=first, args=(False,), name="first")
thread.start()
thread.join()
thread = threading.Thread(target=second, name="second")
thread.start()
thread.join()
