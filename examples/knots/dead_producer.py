# The producer ends by an exception; the consumer waits for its next item.
# EXPECT: no-waker
# EDGE: waiter=consume@w for=Queue name=orders
import queue
import threading

orders = queue.Queue()


def produce():
    for order in ({"sku": 1}, {"sku": 2}, {}):
        orders.put(order["sku"])
    orders.put(None)


def consume():
    while True:
        order = orders.get()  # @w
        if order is None:
            return


threading.excepthook = lambda failure: None
producer = threading.Thread(target=produce, name="producer")
producer.start()
consume()
print("OK")
