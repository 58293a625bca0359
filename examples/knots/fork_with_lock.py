# The child is forked while another thread holds a lock; in the child nobody is left to release it.
# EXPECT: orphaned-lock
# EDGE: waiter=emit@w for=Lock name=lock holder=ended
import os
import sys
import threading
import time
import warnings

warnings.simplefilter("ignore")
lock = threading.Lock()
held = threading.Event()


def flush():
    with lock:
        held.set()
        time.sleep(3600)


def emit(message):
    with lock:  # @w
        sys.stderr.write(message)


threading.Thread(target=flush, name="flusher", daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    emit("from the child\n")
    os._exit(0)
os.waitpid(child, 0)
print("OK")
