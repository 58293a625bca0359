# A task that ticks does not help one that waits for an event.
# EXPECT: no-waker
# EDGE: waiter=main@w for=Event
import asyncio


async def tick():
    while True: await asyncio.sleep(1)


async def main():
    ev = asyncio.Event()
    t = asyncio.ensure_future(tick())
    print("ready", flush=True)
    await ev.wait()  # @w
    t.cancel()


asyncio.run(main())
