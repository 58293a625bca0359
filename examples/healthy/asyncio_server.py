# An asyncio server and a client that is connected and silent.
# EXPECT: ok
import asyncio


async def handle(reader, writer):
    while await reader.readline():
        writer.write(b"yes\n")
        await writer.drain()


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"there?\n")
    print(await reader.readline())
    await server.serve_forever()


asyncio.run(main())
