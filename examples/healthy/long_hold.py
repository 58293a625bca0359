# One thread holds a lock through a long job, the others wait for it. Slow is not stuck.
# EXPECT: ok
import threading
import time

lock = threading.Lock()


def backup():
    with lock:
        time.sleep(3600)


def query():
    with lock:
        pass


threads = [threading.Thread(target=backup, name="backup")]
threads += [threading.Thread(target=query, name=f"query-{number}") for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
