# A coroutine makes a call that blocks, and with it the whole loop.
# EXPECT: blocked-event-loop
# PLACE: fetch@w
import asyncio
import subprocess

server = subprocess.Popen(["sleep", "3600"], stdout=subprocess.PIPE)


async def fetch():
    await asyncio.sleep(0)
    return server.stdout.read(1)  # @w


async def heartbeat():
    while True:
        await asyncio.sleep(0.01)


async def main():
    beat = asyncio.ensure_future(heartbeat())
    await fetch()
    beat.cancel()
    print("OK")


asyncio.run(main())
