# A task is waited for, but not for ever.
# EXPECT: ok
import asyncio


async def main():
    ev = asyncio.Event()
    t = asyncio.ensure_future(ev.wait())
    print("ready", flush=True)
    await asyncio.wait([t], timeout=30)


asyncio.run(main())
