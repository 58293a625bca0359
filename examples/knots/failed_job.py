# A job of a pool fails before it sets the event that main waits for; its exception lies in a future that nobody asks.
# EXPECT: no-waker
# EDGE: waiter=main@w for=Event name=loaded holder=ended
import threading
from concurrent.futures import ThreadPoolExecutor


def load(settings, loaded):
    settings["path"]
    loaded.set()


def main():
    loaded = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(load, {}, loaded)
        loaded.wait()  # @w
        job.result()


main()
print("OK")
