# Both ends read, and a third task writes.
# EXPECT: ok
import asyncio


async def serve(r, w):
    await r.readline()


async def client(r, w):
    await r.readline()


async def beat(w):
    while True:
        await asyncio.sleep(60); w.write(b"x\n")


async def main():
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
    t = asyncio.ensure_future(client(r, w))
    b = asyncio.ensure_future(beat(w))
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await t


asyncio.run(main())
