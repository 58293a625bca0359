def _enter():
    import sys
    import os
    import _ctypes

    handle = _ctypes.dlopen(os.path.join(DIRECTORY, "agent.so"), 2)
    _ctypes.call_function(_ctypes.dlsym(handle, "unknot_start"), ())


_enter()
