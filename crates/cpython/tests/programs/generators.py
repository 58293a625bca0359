# Suspended generators and coroutines. It says where they are by their addresses and what Python says they await.
import sys

import testkit_ready

REPORT = sys.argv[1]


class Future:
    def __iter__(self):
        return self

    __await__ = __iter__

    def __next__(self):
        return 1

    def __repr__(self):
        return "<future>"


async def leaf(future):
    await future


async def middle(future):
    one = 1
    await leaf(future)
    return one


async def top(future):
    seen = []
    await middle(future)
    return seen


class Iterates:
    def __init__(self, inner):
        self.inner = inner

    def __await__(self):
        return (yield from self.inner.__await__())


async def through_class(future):
    await Iterates(leaf(future))


async def items(future):
    await future
    yield 1


async def over_items(future):
    async for _ in items(future):
        pass


def plain():
    x = 5
    yield x


def delegating(future):
    yield from delegated(future)


def delegated(future):
    yield from future


def fresh():
    yield


def failing(depth):
    if depth:
        failing(depth - 1)
    raise KeyError("sku")


def started(generator):
    if hasattr(generator, "__next__"):
        next(generator)
    else:
        generator.send(None)
    return generator


def failure():
    try:
        failing(3)
    except KeyError as error:
        return error


def ended():
    generator = fresh()
    list(generator)
    return generator


future = Future()
alive = {
    "top": (started(top(future)), "suspended", "top middle leaf", future),
    "through_class": (started(through_class(future)), "suspended", "through_class __await__ leaf", future),
    "over_items": (started(over_items(future)), "suspended", "over_items items", future),
    "plain": (started(plain()), "suspended", "plain", None),
    "delegating": (started(delegating(future)), "suspended", "delegating delegated", future),
    "fresh": (fresh(), "created", "fresh", None),
    "ended": (ended(), "finished", "", None),
}
error = failure()
with open(REPORT, "w") as report:
    for name, (generator, state, chain, awaited) in alive.items():
        print(name, hex(id(generator)), state, hex(id(awaited)) if awaited else "-", chain, file=report)
    print("error", hex(id(error)), file=report)
testkit_ready.ready("written")
sys.stdin.close()
import threading

threading.Event().wait()
