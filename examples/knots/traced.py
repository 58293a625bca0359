# A coverage tool or debugger watches every line, so the functions' code is not what it was; the locks are the same.
# EXPECT: deadlock
# EDGE: waiter=refill@w1 for=Lock name=shelf holder=take@h1
# EDGE: waiter=take@w2 for=Lock name=till holder=refill@h2
import sys
import threading

shelf = threading.Lock()
till = threading.Lock()
both_begun = threading.Barrier(2)


def trace(frame, event, argument):
    frame.f_trace_opcodes = True
    return trace


def refill():
    with till:  # @h2
        both_begun.wait()
        with shelf:  # @w1
            pass


def take():
    with shelf:  # @h1
        both_begun.wait()
        with till:  # @w2
            pass


sys.settrace(trace)
threading.settrace(trace)
thread = threading.Thread(target=refill)
thread.start()
take()
thread.join()
