# A signal handler takes the lock that the code it interrupted holds.
# EXPECT: self-deadlock
# EDGE: waiter=on_alarm@w for=Lock name=lock holder=update@h
import signal
import threading

lock = threading.Lock()
count = 0


def on_alarm(number, frame):
    with lock:  # @w
        print(count)


def update():
    global count
    with lock:  # @h
        count += 1
        signal.raise_signal(signal.SIGALRM)


signal.signal(signal.SIGALRM, on_alarm)
update()
print("OK")
