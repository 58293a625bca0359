# Two processes lock the same two files in opposite orders.
# EXPECT: deadlock
# PLACE: lock_both@w
import fcntl
import multiprocessing
import os
import tempfile

both_begun = multiprocessing.get_context("fork").Barrier(2)


def lock_both(first, second):
    with open(first, "w") as one, open(second, "w") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        both_begun.wait()
        fcntl.flock(two, fcntl.LOCK_EX)  # @w


with tempfile.TemporaryDirectory() as directory:
    a, b = os.path.join(directory, "a"), os.path.join(directory, "b")
    child = os.fork()
    if child == 0:
        lock_both(a, b)
        os._exit(0)
    lock_both(b, a)
    os.waitpid(child, 0)
print("OK")
