# Two locks in opposite orders, but each thread gives up after a while: slow, and never for ever.
# EXPECT: ok
import threading

first, second = threading.Lock(), threading.Lock()
both_begun = threading.Barrier(2)


def work(mine, other):
    with mine:
        both_begun.wait()
        if other.acquire(timeout=3600):
            other.release()


threads = [threading.Thread(target=work, args=pair) for pair in ((first, second), (second, first))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
