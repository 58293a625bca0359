# Two tasks take the same two asyncio locks in opposite orders.
# EXPECT: deadlock
# EDGE: waiter=transfer@w for=Lock holder=transfer@h
import asyncio


async def transfer(source, target):
    async with source:  # @h
        await asyncio.sleep(0)
        async with target:  # @w
            pass


async def main():
    checking, savings = asyncio.Lock(), asyncio.Lock()
    await asyncio.gather(transfer(checking, savings), transfer(savings, checking))
    print("OK")


asyncio.run(main())
