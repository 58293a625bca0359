# A coroutine waits, blocking, for a coroutine that only its own loop could run.
# EXPECT: self-deadlock|deadlock|blocked-event-loop
# PLACE: handler@w
import asyncio


async def lookup():
    return 7


async def handler():
    loop = asyncio.get_running_loop()
    future = asyncio.run_coroutine_threadsafe(lookup(), loop)
    return future.result()  # @w


print(asyncio.run(handler()))
