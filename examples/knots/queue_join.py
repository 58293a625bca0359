# The worker never says task_done(), so join() waits for ever, and the worker for the next job.
# EXPECT: no-waker|deadlock
# PLACE: <module>@w
import queue
import threading

jobs = queue.Queue()


def work():
    while True:
        job = jobs.get()
        job()


threading.Thread(target=work, name="worker", daemon=True).start()
for _ in range(3):
    jobs.put(lambda: None)
jobs.join()  # @w
print("OK")
