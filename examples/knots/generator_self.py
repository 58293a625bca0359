# The loop asks for the lock that its own generator holds.
# EXPECT: self-deadlock
# EDGE: waiter=main@w for=Lock name=lock holder=rows@h
import threading
lock = threading.Lock()


def rows():
    with lock:  # @h
        yield 1
        yield 2


def main():
    print("ready", flush=True)
    for r in rows():
        with lock:  # @w
            print(r)


main()
