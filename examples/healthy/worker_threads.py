# Daemon workers wait for jobs that the main thread will have when its timer is up.
# EXPECT: ok
import queue
import threading
import time

jobs = queue.Queue()


def work():
    while True:
        jobs.get()()
        jobs.task_done()


for number in range(3):
    threading.Thread(target=work, name=f"worker-{number}", daemon=True).start()
while True:
    jobs.put(lambda: None)
    jobs.join()
    time.sleep(3600)
