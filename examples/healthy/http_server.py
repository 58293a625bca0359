# A server that nobody asks anything.
# EXPECT: ok
import http.server

with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
    server.serve_forever(poll_interval=3600)
