# A timer will cancel the task.
# EXPECT: ok
import asyncio


class Scope:
    def __init__(self, delay): self.delay = delay
    def __enter__(self):
        self.task = asyncio.current_task()
        loop = asyncio.get_event_loop()
        self.handle = loop.call_at(loop.time() + self.delay, self._timeout)
        return self
    def _timeout(self):
        self.cancelled = True
        self._deliver()
    def _deliver(self):
        if not self.task.done():
            self.task.cancel()
            self.handle = asyncio.get_event_loop().call_soon(self._deliver)
    def __exit__(self, *a):
        self.handle.cancel()
        return True


async def main():
    print("ready", flush=True)
    with Scope(30):
        await asyncio.get_event_loop().create_future()


asyncio.run(main())
