# A hand-made loop waits for its sockets.
# EXPECT: ok
import selectors
import socket

selector = selectors.DefaultSelector()
near, far = socket.socketpair()
selector.register(near, selectors.EVENT_READ)
while True:
    for key, events in selector.select():
        key.fileobj.recv(1)
