# A worker process is killed while it holds a lock that processes share.
# EXPECT: orphaned-lock
# EDGE: waiter=main@w for=Lock name=lock
import multiprocessing
import os
import signal
import time


def work(lock, held):
    with lock:
        held.set()
        time.sleep(3600)


def main():
    context = multiprocessing.get_context("fork")
    lock, held = context.Lock(), context.Event()
    worker = context.Process(target=work, args=(lock, held))
    worker.start()
    held.wait()
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with lock:  # @w
        print("OK")


if __name__ == "__main__":
    main()
