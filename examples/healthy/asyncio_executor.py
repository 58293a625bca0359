# A coroutine waits for a job in a thread, which waits for its peer.
# EXPECT: ok
import asyncio
import socket

near, far = socket.socketpair()


async def main():
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, near.recv, 1))


asyncio.run(main())
