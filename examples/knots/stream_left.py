# A generator was left at its yield, inside its lock.
# EXPECT: self-deadlock
# EDGE: waiter=main@w for=Lock name=lock holder=rows@h
import asyncio
lock = None


async def rows():
    async with lock:  # @h
        for i in range(3):
            yield i


async def main():
    global lock
    lock = asyncio.Lock()
    gen = rows()
    async for row in gen:
        break
    print("ready", flush=True)
    async with lock:  # @w
        print(row)


asyncio.run(main())
