"""A process with many threads, for tools to look at: subject.py THREADS BUSY [CLOCK_FILE]

The threads are blocked in a lock, a queue and a sleep, each some frames deep. BUSY of them compute instead.
With a CLOCK_FILE the main thread looks at the clocks without end, and BUSY others compute without the GIL. In the file's first
eight bytes it keeps for how many nanoseconds it stood still in all: the time that has passed, less the time that it had a CPU, less
the time that it waited for one (the second number of its schedstat). In the next eight it counts its looks.
"""

import hashlib
import mmap
import os
import queue
import struct
import sys
import threading
import time

import testkit_ready

DEPTH = 12
lock = threading.Lock()
jobs = queue.Queue()
begin = threading.Event()


def wait_for_lock():
    with lock:
        pass


def wait_for_job():
    jobs.get()


def sleep():
    time.sleep(3600)


def compute():
    begin.wait()
    total = 0
    while True:
        total = (total * 31 + 7) % 1000003


def compute_without_gil():
    begin.wait()
    while True:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 50_000_000)


def descend(depth, action):
    if depth == 0:
        return action()
    return descend(depth - 1, action)


def watch_clocks(path):
    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 16)
    schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    write = struct.Struct("qq").pack_into
    begin.set()
    testkit_ready.ready()
    looks = 0
    while True:
        # A CPU that is taken away between these lines makes a single look wrong, not the next one.
        passed, had = time.perf_counter_ns(), time.thread_time_ns()
        waited = int(os.pread(schedstat, 100, 0).split()[1])
        looks += 1
        write(shared, 0, passed - had - waited, looks)


def main():
    count, busy = int(sys.argv[1]), int(sys.argv[2])
    clock_file = sys.argv[3] if len(sys.argv) > 3 else None
    actions = [wait_for_lock, wait_for_job, sleep]
    lock.acquire()
    threading.stack_size(256 * 1024)
    for number in range(count - 1):
        action = actions[number % len(actions)]
        if number < busy:
            action = compute_without_gil if clock_file else compute
        threading.Thread(target=descend, args=(DEPTH, action), name=f"worker-{number}", daemon=True).start()
    if clock_file:
        watch_clocks(clock_file)
    begin.set()
    testkit_ready.ready()
    sleep()


main()
