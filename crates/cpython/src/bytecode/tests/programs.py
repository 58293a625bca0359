# Runs after oracle.py: frames seen at work, each with what must be found out about it:
# `with` items (entering, held, exiting), then after a bar what the frame is in the middle of.
import asyncio, functools, types

warm = True


def report(frame, text):
    if not warm:
        dump(frame.f_code, {}, inner=False)
        print('at', frame.f_lasti, text)


def probe(text):
    report(sys._getframe(1), text)
    return text


class Manager:
    def __init__(self, name, outer=''):
        self.name, self.outer = name, outer

    def __enter__(self):
        report(sys._getframe(1), '%sentering %s | calls %s.__enter__' % (self.outer, self.name, self.name))
        return self

    def __exit__(self, *exception):
        report(sys._getframe(1), '%sexiting %s | calls %s.__exit__' % (self.outer, self.name, self.name))
        return True

    async def __aenter__(self):
        await pause()
        return self

    async def __aexit__(self, *exception):
        await pause()
        return True

    def __getitem__(self, index):
        report(sys._getframe(1), 'held %s | operates %s' % (self.name, self.name))
        return self

    @property
    def property(self):
        report(sys._getframe(1), 'held %s | reads %s.property' % (self.name, self.name))
        return self


class Bank:
    def __init__(self):
        self.lock, self.forks = Manager('self.lock'), [Manager('self.forks[i]', 'held self.lock; ')] * 5

    def method(self, i):
        with self.lock:
            probe('held self.lock | calls probe')
            with self.forks[i] as fork:
                list(map(probe, ['held self.lock; held self.forks[i] | calls list']))
                self.work('held self.lock; held self.forks[i] | calls self.work', key=1)
                self.work(*['held self.lock; held self.forks[i] | calls self.work'])
                functools.partial(probe, 'held self.lock; held self.forks[i] | calls functools.partial(…)')()
                [probe('held self.lock; held self.forks[i] | calls probe') for _ in ()]
            sorted(['held self.lock | calls sorted'], key=probe)

    def work(self, text, key=None):
        report(sys._getframe(1), text)


def both(a, b):
    with a, b:
        probe('held a; held b | calls probe')
        try:
            probe('held a; held b | calls probe')
            raise KeyError
        except KeyError:
            probe('held a; held b | calls probe')
        finally:
            probe('held a; held b | calls probe')
    probe(' | calls probe')
    with a:
        raise ValueError


def loops(m):
    while True:
        with m:
            probe('held m | calls probe')
            if not warm:
                break
            return probe('held m | calls probe')
    for number in steps('| iterates steps(…)'):
        with m:
            m[0]
            m.property
            if number:
                continue
    return probe(' | calls probe')


def steps(text):
    report(sys._getframe(1), text)
    yield 0
    report(sys._getframe(1), text)
    yield 1


def generator(m):
    with m:
        yield 'held m | yields'
        yield from inner_generator('held m | awaits inner_generator(…)')


def inner_generator(text):
    report(sys._getframe(1), text)
    yield text


@types.coroutine
def pause():
    yield


async def task(m, queue):
    async with m:
        await pause()
        await queue.get('held m | awaits queue.get(…)')
        async with m as again:
            await again.name.wait()


class Queue:
    async def get(self, text):
        report(sys._getframe(1), text)
        await pause()


class Waits:
    async def wait(self):
        await pause()

    def __str__(self):
        return 'm'


SUSPENDED = [
    'entering m | awaits m.__aenter__',
    'held m | awaits pause(…)',
    'held m | awaits queue.get(…)',
    'held m; entering m | awaits m.__aenter__',
    'held m; held m | awaits again.name.wait(…)',
    'held m; exiting m | awaits m.__aexit__',
    'exiting m | awaits m.__aexit__',
]


def round():
    Bank().method(2)
    both(Manager('a'), Quiet('b'))
    loops(Manager('m'))
    for text in (running := generator(Manager('m'))):
        report(running.gi_frame, text)
    coroutine = task(Manager(Waits()), Queue())
    for text in SUSPENDED:
        coroutine.send(None)
        report(coroutine.cr_frame, text)
    coroutine.close()


class Quiet(Manager):
    def __enter__(self):
        report(sys._getframe(1), 'held a; entering b | calls b.__enter__')

    def __exit__(self, *exception):
        report(sys._getframe(1), 'held a; exiting b | calls b.__exit__')


for _ in range(100):
    round()
warm = False
round()
