# Threads and tasks in every state but two, for a test that reads the dump.
import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import testkit_ready


class Worker:
    def __init__(self):
        self.lock = threading.Lock()

    def run(self, job):
        with self.lock:  # taken
            held.set()
            time.sleep(3600)  # sleeps

    def second(self):
        with self.lock:  # waits
            pass


async def fetch(number):
    await asyncio.sleep(3600)  # fetches


async def gather():
    await asyncio.gather(fetch(1), fetch(2))  # gathers


def spin():
    while True:
        pass


held = threading.Event()
worker = Worker()
pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
pool.submit(int).result()
threading.Thread(target=worker.run, args=({"id": 7},), name="holder").start()
held.wait()
threading.Thread(target=worker.second, name="waiter").start()
threading.Thread(target=asyncio.run, args=(gather(),), name="loop").start()
threading.Thread(target=spin, name="\x1b[31mspin\nner", daemon=True).start()
testkit_ready.ready()
time.sleep(3600)
