# Never run, only compiled: each `here` names what is held by an earlier acquire(), `?` for may be.
def simple(self, a):
    here('')
    self.lock.acquire()
    here('self.lock')
    a.acquire(True)
    here('a, self.lock')
    self.lock.release()
    here('a')
    a.release()
    here('')

def guarded(self):
    self.lock.acquire()
    try:
        here('self.lock')
        if self.x:
            return here('self.lock')
    except KeyError:
        here('self.lock')
    finally:
        here('self.lock')
        self.lock.release()
    here('')

def inside(lock):
    try:
        lock.acquire()
        here('lock')
    except KeyError:
        here('lock?')
    here('lock?')

def tried(lock):
    if lock.acquire(False):
        here('lock')
        lock.release()
    else:
        here('')
    here('')

def negated(lock):
    if not lock.acquire(blocking=False):
        here('')
        return
    here('lock')

def stored(lock):
    got = lock.acquire(timeout=5)
    here('lock?')
    if not got:
        here('')
        return
    here('lock')

def untested(lock):
    lock.acquire(timeout=1)
    here('lock?')

def spinning(lock):
    while not lock.acquire(False):
        here('')
    here('lock')

def indexed(forks, i):
    forks[i].acquire()
    forks[(i + 1) % 5].acquire()
    here('!forks[(i + 1) % 5], forks[i]')
    forks[i].release()
    here('!forks[(i + 1) % 5]')
    i = 7
    here('!forks[(i + 1) % 5]')

def rebound(lock, other):
    lock.acquire()
    lock = other
    here('!lock')

def branches(a, b, c):
    if c:
        a.acquire()
    else:
        b.acquire()
    here('a?, b?')

def looped(locks):
    for lock in locks:
        here('!lock?')
        lock.acquire()
        here('lock')
    here('lock?')

async def awaited(lock, q):
    await lock.acquire()
    here('lock')
    await q.put(1)
    lock.release()
    here('')

async def waited(asyncio, lock):
    await asyncio.wait_for(lock.acquire(), 5)
    here('')

def filed(fcntl, f):
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    here('f')
    fcntl.flock(f, fcntl.LOCK_UN)
    here('')

def cells(lock):
    def inner():
        lock.acquire()
        here('lock')
    return inner

def other(lock, a):
    a.acquire()
    with lock:
        here('a')
    lock.acquire()
    a.release()
    return here('lock')

GLOBAL.acquire()
here('GLOBAL')
GLOBAL.release()
