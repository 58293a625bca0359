# Every holder of a connection needs a second one.
# EXPECT: pool-starvation
# PLACE: audit@w
import asyncio


async def audit(connections):
    async with connections:  # @w
        await asyncio.sleep(0)


async def request(connections):
    async with connections:
        await asyncio.sleep(0)
        await audit(connections)


async def main():
    connections = asyncio.Semaphore(2)
    await asyncio.gather(*(request(connections) for _ in range(4)))
    print("OK")


asyncio.run(main())
