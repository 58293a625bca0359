# A task waits for an event that the task which should set it did not live to set.
# EXPECT: no-waker
# PLACE: serve@w
import asyncio


async def connect(ready):
    raise ConnectionError("refused")
    ready.set()


async def serve(ready):
    await ready.wait()  # @w
    print("serving")


async def main():
    ready = asyncio.Event()
    connecting = asyncio.ensure_future(connect(ready))
    await serve(ready)
    await connecting


asyncio.run(main())
