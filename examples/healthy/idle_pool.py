# Pool workers with nothing to do, while the main thread listens for a connection.
# EXPECT: ok
import socket
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(max_workers=3) as pool, socket.socket() as listener:
    print(list(pool.map(abs, range(-3, 0))))
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.accept()
