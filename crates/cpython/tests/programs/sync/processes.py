# Threads blocked in multiprocessing's and subprocess's ways.
import multiprocessing
import os
import subprocess
import sys
import threading
import time


def child():
    time.sleep(1000)


def take(lock, ready):
    lock.acquire()
    ready.set()
    time.sleep(1000)


def run(function):
    threading.Thread(target=function, name=function.__name__, daemon=True).start()


def main():
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    lock = context.Lock()
    rlock = context.RLock()
    semaphore = context.Semaphore(0)
    condition = context.Condition()
    event = context.Event()
    empty = context.Queue()
    simple = context.SimpleQueue()
    joinable = context.JoinableQueue()
    full = context.Queue(1)
    receiver, sender = context.Pipe()
    pool = context.Pool(1)
    process = context.Process(target=child, daemon=True)
    process.start()
    holder = context.Process(target=take, args=(lock, ready), daemon=True)
    holder.start()
    ready.wait()
    joinable.put(1)
    full.put(1)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE)
    piped = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    read_end, write_end = os.pipe()

    def lock_with():
        with lock:  #: wait lock_with Lock acquire lock forever
            pass

    def lock_acquire():
        lock.acquire()  #: wait lock_acquire Lock acquire lock forever

    def lock_timeout():
        lock.acquire(timeout=500)  #: wait lock_timeout Lock acquire lock limited

    def rlock_held():
        with rlock:  #: hold rlock_held RLock rlock
            time.sleep(1000)

    def rlock_with():
        time.sleep(0.2)
        with rlock:  #: wait rlock_with RLock acquire rlock forever
            pass

    def semaphore_with():
        with semaphore:  #: wait semaphore_with Semaphore acquire semaphore forever
            pass

    def condition_wait():
        with condition:
            condition.wait()  #: wait condition_wait Condition wait condition forever

    def event_wait():
        event.wait()  #: wait event_wait Event wait event forever

    def queue_get():
        empty.get()  #: wait queue_get Queue get empty forever

    def queue_put():
        full.put(2)  #: wait queue_put Queue put full forever

    def simple_get():
        simple.get()  #: wait simple_get Queue get simple forever

    def joinable_join():
        joinable.join()  #: wait joinable_join Queue join joinable forever

    def process_join():
        process.join()  #: wait process_join Process join process forever

    def process_join_timeout():
        process.join(500)  #: wait process_join_timeout Process join process limited

    def receive():
        receiver.recv()  #: wait receive Pipe read receiver forever

    def receive_poll():
        receiver.poll(300)  #: wait receive_poll Pipe read receiver limited

    def pool_map():
        pool.map(time.sleep, [1000])  #: wait pool_map Future result - forever

    def popen_wait():
        popen.wait()  #: wait popen_wait Child reap popen forever

    def popen_communicate():
        piped.stdout.read()  #: wait popen_communicate File read - forever

    def wait_any():
        os.waitpid(holder.pid, 0)  #: wait wait_any Child reap - forever

    def read_pipe():
        os.read(read_end, 1)  #: wait read_pipe File read - forever

    functions = list(locals().items())
    for name, function in functions:
        if getattr(function, "__module__", None) == "__main__" and callable(function):
            run(function)
    threading.Event().wait()  #: wait MainThread Event wait - forever


if __name__ == "__main__":
    main()
