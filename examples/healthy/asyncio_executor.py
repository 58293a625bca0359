# A coroutine waits for a job in a thread, which waits for what another program says.
# EXPECT: ok
import asyncio
import subprocess

server = subprocess.Popen(["sleep", "3600"], stdout=subprocess.PIPE)


async def main():
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, server.stdout.read, 1))


asyncio.run(main())
