# Every worker of a pool waits for a job that only a worker of the same pool could do.
# EXPECT: pool-starvation
# EDGE: waiter=page@w for=Future
import threading
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(max_workers=2)
all_busy = threading.Barrier(2)


def image(number):
    return f"image {number}"


def page(number):
    all_busy.wait()
    return pool.submit(image, number).result()  # @w


print(list(pool.map(page, range(2))))
