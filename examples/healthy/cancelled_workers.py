# Workers without work, until they are cancelled.
# EXPECT: ok
import asyncio


async def worker(q):
    while True:
        await q.get()


async def main():
    q = asyncio.Queue()
    ws = [asyncio.ensure_future(worker(q)) for _ in range(3)]
    print("ready", flush=True)
    await asyncio.sleep(3600)
    for w in ws: w.cancel()


asyncio.run(main())
