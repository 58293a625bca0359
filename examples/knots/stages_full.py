# Two stages each fill the queue that only the other one empties.
# EXPECT: deadlock
# EDGE: waiter=stage1@a for=Queue
# EDGE: waiter=stage2@b for=Queue
import queue, threading
q1, q2 = queue.Queue(1), queue.Queue(1)


def stage1():
    while True:
        q2.put(1)
        q2.put(2)  # @a
        q1.get()


def stage2():
    while True:
        q1.put(1)
        q1.put(2)  # @b
        q2.get()


ts = [threading.Thread(target=stage1), threading.Thread(target=stage2)]
[t.start() for t in ts]
print("ready", flush=True)
[t.join() for t in ts]
