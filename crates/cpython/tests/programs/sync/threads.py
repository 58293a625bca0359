# Threads blocked in each of threading's, queue's and concurrent.futures' ways.
# `#: wait THREAD KIND OPERATION NAME TIMEOUT` and `#: hold THREAD KIND NAME [probable]` tell what must be seen at a line.
import concurrent.futures
import contextlib
import queue
import select
import signal
import threading
import time

lock = threading.Lock()
rlock = threading.RLock()
slow = threading.Lock()
condition = threading.Condition()
plain_condition = threading.Condition(threading.Lock())
event = threading.Event()
semaphore = threading.Semaphore(1)
bounded = threading.BoundedSemaphore(2)
barrier = threading.Barrier(3)
empty = queue.Queue()
full = queue.Queue(maxsize=1)
full.put(1)
simple = queue.SimpleQueue()
future = concurrent.futures.Future()
held_by_generator = threading.Lock()
held_by_stack = threading.Lock()
held_by_class = threading.Lock()
held_by_acquire = threading.Lock()
started = []


def run(function):
    thread = threading.Thread(target=function, name=function.__name__, daemon=True)
    thread.start()
    started.append(thread)
    return thread


def stay():
    while True:
        time.sleep(1000)


def holder():
    ready = holder_ready
    with lock:  #: hold holder Lock lock
        with rlock, semaphore:  #: hold holder RLock rlock  #: hold holder Semaphore semaphore
            ready.set()
            stay()


def with_lock():
    with lock:  #: wait with_lock Lock acquire lock forever
        pass


def acquire_lock():
    lock.acquire()  #: wait acquire_lock Lock acquire lock forever


def acquire_timeout():
    lock.acquire(timeout=500)  #: wait acquire_timeout Lock acquire lock limited


def with_rlock():
    with rlock:  #: wait with_rlock RLock acquire rlock forever
        pass


def wait_condition():
    with condition:
        condition.wait()  #: wait wait_condition Condition wait condition forever


def wait_plain_condition():
    with plain_condition:
        plain_condition.wait_for(lambda: False, timeout=300)  #: wait wait_plain_condition Condition wait plain_condition limited


def holds_condition():
    with condition:  #: hold holds_condition Condition condition
        condition_held.set()
        stay()


def enter_condition():
    with condition:  #: wait enter_condition Condition acquire condition forever
        pass


def wait_event():
    event.wait()  #: wait wait_event Event wait event forever


def wait_event_timeout():
    event.wait(300)  #: wait wait_event_timeout Event wait event limited


def with_semaphore():
    with semaphore:  #: wait with_semaphore Semaphore acquire semaphore forever
        pass


def acquire_bounded():
    bounded.acquire()
    bounded.acquire()
    bounded.acquire()  #: wait acquire_bounded BoundedSemaphore acquire bounded forever


def wait_barrier():
    barrier.wait()  #: wait wait_barrier Barrier wait barrier forever


def get_queue():
    empty.get()  #: wait get_queue Queue get empty forever


def put_queue():
    full.put(2)  #: wait put_queue Queue put full forever


def join_queue():
    full.join()  #: wait join_queue Queue join full forever


def get_simple():
    simple.get()  #: wait get_simple SimpleQueue get simple forever


def join_thread():
    stayer.join()  #: wait join_thread Thread join stayer forever


def join_thread_timeout():
    stayer.join(400)  #: wait join_thread_timeout Thread join stayer limited


def result():
    future.result()  #: wait result Future result future forever


def wait_futures():
    concurrent.futures.wait([future])  #: wait wait_futures Future wait future forever


def as_completed():
    for done in concurrent.futures.as_completed([future]):  #: wait as_completed Future wait future forever
        pass


def shutdown():
    pool = concurrent.futures.ThreadPoolExecutor(1, "worker")
    pool.submit(work)
    pool.shutdown()  #: wait shutdown Executor join pool forever


def work():
    event.wait()  #: wait worker_0 Event wait event forever  #: hold worker_0 Future -


def idle_pool():
    pool = concurrent.futures.ThreadPoolExecutor(1, "idle")
    pool.submit(int).result()  #: idle idle_0
    started.append(pool)
    stay()


@contextlib.contextmanager
def guard():
    with held_by_generator:  #: hold generator Lock held_by_generator
        yield


def generator():
    with guard():
        stay()


def with_generator():
    with held_by_generator:  #: wait with_generator Lock acquire held_by_generator forever
        pass


def stack():
    with contextlib.ExitStack() as locks:
        locks.enter_context(held_by_stack)  #: hold stack Lock held_by_stack
        stay()


class Guard:
    def __init__(self):
        self.inner = held_by_class

    def __enter__(self):
        self.inner.acquire()

    def __exit__(self, *exception):
        self.inner.release()


def own_class():
    own = Guard()
    with own:  #: hold own_class Lock own.inner probable
        stay()


def by_acquire():
    held_by_acquire.acquire()  #: hold by_acquire Lock held_by_acquire probable
    try:
        stay()
    finally:
        held_by_acquire.release()


class Service:
    def __init__(self):
        self.lock = threading.Lock()

    def method(self):
        with self.lock:  #: hold method Lock self.lock
            self.again()

    def again(self):
        self.lock.acquire()  #: wait method Lock acquire self.lock forever


def sleep():
    time.sleep(1000)  #: wait sleep Timer sleep - limited


def poll():
    select.select([read_end], [], [])  #: wait poll Descriptors select - forever


def sigwait():
    signal.sigwait([signal.SIGUSR1])  #: wait sigwait Signal wait - forever


holder_ready = threading.Event()
condition_held = threading.Event()
read_end, write_end = __import__("os").pipe()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
run(holder)
holder_ready.wait()
stayer = threading.Thread(target=stay, name="stayer", daemon=True)
stayer.start()
run(wait_condition)
while not condition._waiters:
    time.sleep(0.01)
run(holds_condition)
condition_held.wait()
service = Service()
method = service.method
for function in [
    with_lock, acquire_lock, acquire_timeout, with_rlock, wait_plain_condition, enter_condition, wait_event,
    wait_event_timeout, with_semaphore, acquire_bounded, get_queue, put_queue, join_queue,
    get_simple, join_thread, join_thread_timeout, result, wait_futures, as_completed, shutdown, idle_pool,
    generator, stack, own_class, by_acquire, method, sleep, poll, sigwait, wait_barrier,
]:
    run(function)
while not held_by_generator.locked():
    time.sleep(0.01)
run(with_generator)
event.wait()  #: wait MainThread Event wait event forever
