# It joins the thread before it sets what the thread waits for.
# EXPECT: deadlock
# EDGE: waiter=worker@w for=Event name=stop
# EDGE: waiter=main@m for=Thread
import threading
stop = threading.Event()


def worker():
    stop.wait()  # @w


def main():
    t = threading.Thread(target=worker, name="w"); t.start()
    print("ready", flush=True)
    t.join()  # @m
    stop.set()


main()
