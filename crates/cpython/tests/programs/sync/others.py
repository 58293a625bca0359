# Import locks, logging's locks, file locks, contexts, and what runs on top of a function that holds a lock.
import fcntl
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time

started = threading.Event()
directory = tempfile.mkdtemp()
with open(os.path.join(directory, "slow_module.py"), "w") as source:
    source.write("import __main__\n__main__.importing()\n")
sys.path.insert(0, directory)


def importing():
    started.set()
    time.sleep(1000)


def run(function):
    thread = threading.Thread(target=function, name=function.__name__, daemon=True)
    thread.start()
    return thread


def importer():
    import slow_module  #: hold importer ModuleLock slow_module


def second_importer():
    started.wait()
    import slow_module  #: wait second_importer ModuleLock import slow_module forever


class Slow(logging.Handler):
    def emit(self, record):
        emitting.set()
        time.sleep(1000)


emitting = threading.Event()
log = logging.getLogger("log")
log.addHandler(Slow())
log.propagate = False


def logs():
    log.error("first")  #: hold logs RLock Slow.lock


def logs_too():
    emitting.wait()
    log.error("second")  #: wait logs_too RLock acquire Slow.lock forever


first = open(os.path.join(directory, "file"), "w")
second = open(os.path.join(directory, "file"), "w")
fcntl.flock(first, fcntl.LOCK_EX)  #: hold MainThread FileLock first probable


def file_lock():
    fcntl.flock(second, fcntl.LOCK_EX)  #: wait file_lock FileLock acquire - forever


listener = socket.create_server(("127.0.0.1", 0))
left, right = socket.socketpair()


def accept():
    listener.accept()  #: wait accept Socket accept listener forever


def receive():
    left.recv(10)  #: wait receive Socket read left forever


def receive_limited():
    other, _ = socket.socketpair()
    other.settimeout(500)
    other.recv(10)  #: wait receive_limited Socket read other limited


def read_file():
    right.makefile("rb").readline()  #: wait read_file Socket read right forever


finalized = threading.Lock()


class Finalizer:
    def __del__(self):
        with finalized:  #: wait finalize Lock acquire finalized forever
            pass


def finalize():
    with finalized:  #: hold finalize Lock finalized
        thing = Finalizer()
        del thing


in_handler = threading.Lock()


def handler(*_):
    with in_handler:  #: wait MainThread Lock acquire in_handler forever
        pass


def fifo():
    path = os.path.join(directory, "fifo")
    os.mkfifo(path)
    open(path)  #: wait fifo Pipe open - forever


def timer():
    threading.Timer(1000, int).start()


for function in [
    importer, second_importer, logs, logs_too, file_lock, accept, receive, receive_limited, read_file, finalize, fifo,
    timer,
]:
    run(function)
signal.signal(signal.SIGUSR1, handler)
with in_handler:  #: hold MainThread Lock in_handler
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(1000)
