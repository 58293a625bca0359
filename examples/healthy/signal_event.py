# The main thread waits for an event that a signal handler sets: alive as long as the handler is.
# EXPECT: ok
import signal
import threading

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
stop.wait()
