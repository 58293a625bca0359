# Each thread holds a permit and asks for a second one; nobody has any left to give.
# EXPECT: pool-starvation
# EDGE: waiter=audit@w for=Semaphore name=connections holder=request@h
import threading

connections = threading.Semaphore(2)
all_in = threading.Barrier(2)


def audit():
    with connections:  # @w
        pass


def request():
    with connections:  # @h
        all_in.wait()
        audit()


threads = [threading.Thread(target=request) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
