# A coroutine makes a call that blocks, and with it the whole loop.
# EXPECT: blocked-event-loop
# PLACE: fetch@w
import asyncio
import socket

peer, far = socket.socketpair()


async def fetch():
    await asyncio.sleep(0)
    return peer.recv(1)  # @w


async def heartbeat():
    while True:
        await asyncio.sleep(0.01)


async def main():
    beat = asyncio.ensure_future(heartbeat())
    await fetch()
    beat.cancel()
    print("OK")


asyncio.run(main())
