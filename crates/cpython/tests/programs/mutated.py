# A little of everything that is read, for a test that then spoils what was read.
import asyncio
import threading

import testkit_ready

never = threading.Event()


def waits(name):
    kept = [name]

    def inner(depth):
        if depth:
            return inner(depth - 1)
        with lock_of(name):
            kept.append(depth)
            blocked.release()
            never.wait()

    inner(5)


locks = {}


def lock_of(name):
    return locks.setdefault(name, threading.RLock())


async def leaf():
    await asyncio.get_running_loop().create_future()


async def top():
    tasks.append(asyncio.ensure_future(leaf()))
    await asyncio.sleep(0)
    blocked.release()
    await leaf()


tasks = []
blocked = threading.Semaphore(0)
for name in ("one", "two", "three"):
    threading.Thread(target=waits, args=(name,), daemon=True).start()
threading.Thread(target=lambda: asyncio.run(top()), daemon=True).start()
for _ in range(4):
    blocked.acquire()
testkit_ready.ready("blocked")
never.wait()
