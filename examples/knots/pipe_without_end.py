# The child reads to the end of a pipe that it holds open for writing itself.
# EXPECT: pipe-deadlock|self-deadlock|deadlock
# PLACE: read_all@w
import os

reader, writer = os.pipe()


def read_all():
    with os.fdopen(reader, "rb") as stream:
        return stream.read()  # @w


child = os.fork()
if child == 0:
    os._exit(len(read_all()))
os.write(writer, b"three words here")
os.close(writer)
os.waitpid(child, 0)
print("OK")
