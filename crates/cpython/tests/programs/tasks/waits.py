# Each task says what must be seen of it.
import asyncio
import sys
import testkit_ready

Lock, Event, Queue, Semaphore = asyncio.Lock, asyncio.Event, asyncio.Queue, asyncio.Semaphore


class Store:
    def __init__(self):
        self.lock, self.full = Lock(), Queue(1)
        self.full.put_nowait(0)

    async def fill(self):
        async with self.lock:  #: hold filler Lock self.lock
            await self.full.put(1)  #: wait filler Queue put self.full forever

    async def read(self):
        async with self.lock:  #: wait reader Lock acquire self.lock forever
            pass


async def takes_permit(permits):
    async with permits:  #: hold permitted Semaphore permits
        await permits.acquire()  #: wait permitted Semaphore acquire permits forever


async def notified(condition):
    async with condition:
        await condition.wait()  #: wait notified Condition wait condition forever


async def retakes(condition):
    async with condition:
        # Notified below, while another one has the lock.
        await condition.wait()  #: wait retaking Condition acquire condition forever


async def keeps(condition, notifies):
    async with condition:  #: hold keeping Condition condition
        if notifies:
            condition.notify()
        await asyncio.sleep(3600)  #: wait keeping Timer sleep - limited


async def sets(event):
    await event.wait()  #: wait child-1 Event wait event forever
    #: wait child-2 Event wait event forever -1
    #: wait timed-child Event wait event limited -2
    #: wait shielded-child Event wait event forever -3
    #: wait grouped-child Event wait event limited -4
    #: wait first-child Event wait event forever -5


async def gathers(event):
    children = [named(sets(event), "child-1"), named(sets(event), "child-2")]
    await asyncio.gather(*children)  #: wait gathering Future await - forever
    #: awaited child-1 gathering
    #: awaited child-2 gathering


async def limits(event):
    # Up to 3.11 the task waits for a future of wait_for's own.
    child = named(sets(event), "timed-child")
    await asyncio.wait_for(child, 3600)
    #: awaited timed-child limiting


async def shields(event):
    await asyncio.wait_for(asyncio.shield(named(sets(event), "shielded-child")), 3600)


async def first_of(event):
    children = {named(sets(event), "first-child"), named(asyncio.sleep(3600), "slow-child")}
    await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)  #: wait choosing Future wait - forever


async def completes(event):
    for each in asyncio.as_completed([named(sets(event), "completing-child")]):
        await each  #: wait completing Future wait - forever
    #: awaited completing-child completing


async def fails(queue):
    raise KeyError("sku")  #: failed failing KeyError('sku')


async def awaits(task):
    await task  #: wait awaiting Task await task forever
    #: awaited choosing awaiting


async def plain():
    future = asyncio.get_running_loop().create_future()
    await future  #: wait plain Future await future forever


async def items():
    await asyncio.get_running_loop().create_future()  #: wait iterating Future await - forever
    yield


async def iterates():
    async for item in items():
        pass


class Reply:
    def __init__(self):
        self.future = asyncio.get_running_loop().create_future()

    def __await__(self):
        return (yield from self.future)  #: wait custom Future await self.future forever


async def custom():
    await Reply()


async def borrowed(queue):
    # The task's own coroutine is the library's.
    await named(queue.get(), "borrowed-child")
    #: wait borrowed-child Queue get queue forever -1


KEPT = []


def named(coroutine, name):
    task = asyncio.ensure_future(coroutine)
    task.set_name(name)
    KEPT.append(task)
    return task


GROUP = """
async def groups(event):
    async with asyncio.timeout(3600):
        async with asyncio.TaskGroup() as group:
            KEPT.append(group.create_task(sets(event), name="grouped-child"))
"""


async def main():
    event, store, condition, notifying = Event(), Store(), asyncio.Condition(), asyncio.Condition()
    named(store.fill(), "filler")
    named(store.read(), "reader")
    named(takes_permit(Semaphore(1)), "permitted")
    named(notified(condition), "notified")
    named(retakes(notifying), "retaking")
    await asyncio.sleep(0.01)
    named(keeps(notifying, True), "keeping")
    for function in (gathers, limits, shields, completes):
        named(function(event), {"gathers": "gathering", "limits": "limiting", "shields": "shielding", "completes": "completing"}[function.__name__])
    choosing = named(first_of(event), "choosing")
    named(fails(Queue()), "failing")
    named(awaits(choosing), "awaiting")
    for function in (plain, iterates, custom):
        named(function(), {"plain": "plain", "iterates": "iterating", "custom": "custom"}[function.__name__])
    named(borrowed(Queue()), "borrowing")
    if sys.version_info >= (3, 11):
        exec(GROUP, globals())
        named(groups(event), "grouping")
    else:
        named(asyncio.wait_for(named(sets(event), "grouped-child"), 3600), "grouping")
    await asyncio.sleep(0.1)
    testkit_ready.ready()
    await asyncio.sleep(3600)


asyncio.run(main())
