# A thread sleeps in native code that was called with the GIL held; every other thread waits for it.
# EXPECT: gil-held
# PLACE: call@w
# WHEN: ready
# PYTHON: gil
import ctypes
import threading
import time

library = ctypes.PyDLL(None)


def call():
    print("ready", flush=True)
    library.sleep(3600)  # @w


threading.Thread(target=call, name="caller", daemon=True).start()
while True:
    time.sleep(0.001)
