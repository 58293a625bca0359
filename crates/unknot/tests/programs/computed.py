# One thread computes in C and keeps the GIL, where there is one; the other wants it.
import threading
import time

import testkit_ready


def compute():
    testkit_ready.ready()
    sum(range(10**12))  # computes


threading.Thread(target=compute, name="computer", daemon=True).start()
while True:
    time.sleep(0.001)  # wants
