# Server and client of one loop both wait for the other to write.
# EXPECT: pipe-deadlock
# EDGE: waiter=client@c
# EDGE: waiter=serve@s
import asyncio


async def serve(r, w):
    await r.readline()  # @s
    w.write(b"hi\n")


async def client(port):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    await r.readline()  # @c
    w.write(b"hello\n")


async def main():
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = s.sockets[0].getsockname()[1]
    c = asyncio.ensure_future(client(port))
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await c


asyncio.run(main())
