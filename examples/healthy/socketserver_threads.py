# A server with a thread for each connection, and a client that is silent.
# EXPECT: ok
# WHEN: ready
import socket
import socketserver
import threading
import time


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Echo) as server:
    threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    with socket.create_connection(server.server_address) as client:
        client.sendall(b"hello\n")
        client.recv(6)
        print("ready", flush=True)
        time.sleep(1000)
