# Runs first in a program that unknot launches: loads the agent, then runs the program as Python would have.
import os
import sys


def _start():
    directory = os.path.dirname(os.path.abspath(__file__))
    import _ctypes

    hand = []
    sys._unknot_hand = hand
    try:
        handle = _ctypes.dlopen(os.path.join(directory, "agent.so"), 2)
        failed = _ctypes.call_function(_ctypes.dlsym(handle, "unknot_start"), ())
    finally:
        del sys._unknot_hand
    if failed or not hand:
        sys.stderr.write("unknot: the debugger could not be loaded into the program (%s)\n" % failed)
        sys.exit(3)
    return hand[0]


_start()(sys.argv[1], sys.argv[2], sys.argv[3:])
