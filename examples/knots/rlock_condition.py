# A thread waits for a condition while it holds an outer lock that the notifier needs. wait() releases the inner lock alone.
# EXPECT: deadlock|no-waker
# EDGE: waiter=refill@w1 for=RLock name=outer holder=drink@h1
import threading

outer = threading.RLock()
filled = threading.Condition()
waiting = threading.Event()


def drink():
    with outer:  # @h1
        with filled:
            waiting.set()
            filled.wait()


def refill():
    waiting.wait()
    with outer:  # @w1
        with filled:
            filled.notify()


threads = [threading.Thread(target=drink, name="drink"), threading.Thread(target=refill, name="refill")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
