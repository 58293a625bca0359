# It waits for a signal.
# EXPECT: ok
import signal

signal.signal(signal.SIGUSR1, lambda number, frame: None)
signal.pause()
