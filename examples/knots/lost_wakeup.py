# The condition was notified before anybody waited, and the waiter does not look whether there is anything to wait for.
# EXPECT: no-waker
# PLACE: consume@w
import threading

items = []
changed = threading.Condition()


def produce():
    with changed:
        items.append("loaf")
        changed.notify()


def consume():
    with changed:
        changed.wait()  # @w
        return items.pop()


producer = threading.Thread(target=produce, name="producer")
producer.start()
producer.join()
consumer = threading.Thread(target=consume, name="consumer")
consumer.start()
consumer.join()
print("OK")
