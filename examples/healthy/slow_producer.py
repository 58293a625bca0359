# A producer with a slow timer; the consumers wait.
# EXPECT: ok
import queue
import threading
import time

items = queue.Queue()


def produce():
    while True:
        time.sleep(3600)
        items.put("tick")


def consume():
    while True:
        items.get()


threading.Thread(target=produce, name="producer", daemon=True).start()
for number in range(2):
    threading.Thread(target=consume, name=f"consumer-{number}", daemon=True).start()
consume()
