# Threads that failed kept their permits.
# EXPECT: no-waker
# PLACE: download@w
import threading

permits = threading.Semaphore(2)


def download(name):
    permits.acquire()  # @w
    if name != "good":
        return
    permits.release()


for name in ("bad", "worse", "good"):
    thread = threading.Thread(target=download, args=(name,), name=name)
    thread.start()
    thread.join()
print("OK")
