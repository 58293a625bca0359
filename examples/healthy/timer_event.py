# The main thread waits for an event that a timer thread will set.
# EXPECT: ok
import threading

done = threading.Event()
timer = threading.Timer(3600, done.set)
timer.daemon = True
timer.start()
done.wait()
