# A thread needs the lock of a generator whose reader waits for the thread.
# EXPECT: deadlock
# EDGE: waiter=other@w for=Lock name=lock holder=rows@h
import threading
lock = threading.Lock()


def rows():
    with lock:  # @h
        yield 1
        yield 2


def other():
    with lock:  # @w
        pass


def main():
    print("ready", flush=True)
    for r in rows():
        t = threading.Thread(target=other); t.start()
        t.join()


main()
