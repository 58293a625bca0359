# A task awaits while it holds a thread's lock; another task of the same loop blocks on that lock.
# EXPECT: deadlock|self-deadlock
# EDGE: waiter=save@h for=Lock name=lock holder=save@h
import asyncio
import threading

lock = threading.Lock()


async def save(record):
    with lock:  # @h
        await asyncio.sleep(0.001)


async def main():
    await asyncio.gather(save(1), save(2))
    print("OK")


asyncio.run(main())
