# Tasks and futures of asyncio's that are made in Python, as a program has them that replaces the C ones.
import asyncio
import asyncio.futures
import asyncio.tasks
import testkit_ready

Task, Future = asyncio.tasks._PyTask, asyncio.futures._PyFuture
asyncio.Task = asyncio.tasks.Task = Task
asyncio.Future = asyncio.futures.Future = Future


async def move(source, target):
    async with source:  #: hold one Lock source
        #: hold two Lock source -1
        await asyncio.sleep(0.01)
        async with target:  #: wait one Lock acquire target forever
            #: wait two Lock acquire target forever -1
            pass


async def fails():
    raise ValueError(7)  #: failed failing ValueError(7)


async def main():
    loop = asyncio.get_running_loop()
    loop.create_future = lambda: Future(loop=loop)
    a, b = asyncio.Lock(), asyncio.Lock()
    kept = [
        Task(move(a, b), loop=loop, name="one"),
        Task(move(b, a), loop=loop, name="two"),
        Task(fails(), loop=loop, name="failing"),
    ]
    await asyncio.sleep(0.1)
    testkit_ready.ready()
    await asyncio.wait(kept)


asyncio.run(main())
