# stop() joins a thread while it holds the lock that the thread needs to come to its end.
# EXPECT: deadlock
# EDGE: waiter=loop@w1 for=Lock name=self.lock holder=stop@h1
# EDGE: waiter=stop@w2 for=Thread
import threading


class Service:
    def __init__(self):
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.loop, name="service")
        self.thread.start()

    def loop(self):
        self.stopping.wait()
        with self.lock:  # @w1
            return

    def stop(self):
        with self.lock:  # @h1
            self.stopping.set()
            self.thread.join()  # @w2


Service().stop()
print("OK")
