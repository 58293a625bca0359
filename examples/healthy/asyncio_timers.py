# Tasks wait for an event and a queue that a timer of the loop will feed.
# EXPECT: ok
import asyncio


async def wait_event(event):
    await event.wait()


async def wait_queue(queue):
    return await queue.get()


async def main():
    event, queue = asyncio.Event(), asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.call_later(3600, event.set)
    loop.call_later(3600, queue.put_nowait, 1)
    await asyncio.gather(wait_event(event), wait_queue(queue))


asyncio.run(main())
