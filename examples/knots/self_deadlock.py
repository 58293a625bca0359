# A method that holds a lock calls another that takes the same lock.
# EXPECT: self-deadlock
# EDGE: waiter=total@w for=Lock name=self.lock holder=report@h
import threading


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.entries = [3, 4]

    def total(self):
        with self.lock:  # @w
            return sum(self.entries)

    def report(self):
        with self.lock:  # @h
            return f"{len(self.entries)} entries, {self.total()} in all"


print(Ledger().report())
