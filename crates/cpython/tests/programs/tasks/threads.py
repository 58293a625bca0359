# Another thread has given the loop two coroutines: one that it has begun, and one that it cannot begin.
import asyncio
import threading
import time
import testkit_ready


async def begun():
    task = asyncio.current_task() if hasattr(asyncio, "current_task") else None
    task.set_name("begun")
    await asyncio.get_running_loop().create_future()


async def waiting():
    pass


def gives(loop):
    KEPT.append(asyncio.run_coroutine_threadsafe(begun(), loop))
    time.sleep(0.1)
    loop.call_soon_threadsafe(blocks, loop)


def blocks(loop):
    KEPT.append(asyncio.run_coroutine_threadsafe(waiting(), loop))
    testkit_ready.ready()
    time.sleep(3600)


KEPT = []


async def main():
    threading.Thread(target=gives, args=(asyncio.get_running_loop(),), daemon=True).start()
    await asyncio.sleep(3600)


asyncio.run(main())
