"""A process with many threads, for tools to look at: subject.py THREADS GAP_FILE

A tenth of the threads compute; the others are blocked in a lock, a queue and a sleep, each some frames deep.
With a GAP_FILE nothing computes but the main thread, which looks at the clock without end and keeps in the file's
first eight bytes the longest time, in nanoseconds, between two looks: how long the process stood still.
"""

import mmap
import queue
import struct
import sys
import threading
import time

import testkit_ready

DEPTH = 12
lock = threading.Lock()
jobs = queue.Queue()


def wait_for_lock():
    with lock:
        pass


def wait_for_job():
    jobs.get()


def sleep():
    time.sleep(3600)


def compute():
    total = 0
    while True:
        total = (total * 31 + 7) % 1000003


def descend(depth, action):
    if depth == 0:
        return action()
    return descend(depth - 1, action)


def watch_clock(path):
    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    clock, read, write = time.perf_counter_ns, struct.Struct("q").unpack_from, struct.Struct("q").pack_into
    testkit_ready.ready()
    last = clock()
    while True:
        now = clock()
        if now - last > read(shared)[0]:
            write(shared, 0, now - last)
        last = now


def main():
    count, gap_file = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    actions = [wait_for_lock, wait_for_job, sleep]
    lock.acquire()
    threading.stack_size(256 * 1024)
    for number in range(count - 1):
        computes = gap_file is None and number % 10 == 9
        action = compute if computes else actions[number % len(actions)]
        threading.Thread(target=descend, args=(DEPTH, action), name=f"worker-{number}", daemon=True).start()
    if gap_file:
        watch_clock(gap_file)
    testkit_ready.ready()
    sleep()


main()
