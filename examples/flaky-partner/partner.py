"""The partner: an HTTP API that fails on purpose. python3 partner.py [PORT]

POST /orders is answered with 503, three times for each change, when the order's name
begins with "flaky"; and for every change, until POST /repaired, when it begins with
"down". Everything else is taken. GET /calls tells all calls so far.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

lock, calls, failures = Lock(), [], {}
repaired = False


class Partner(BaseHTTPRequestHandler):
    def do_POST(self):
        global repaired
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            if self.path == "/repaired":
                repaired = True
                return self.answer(204)
            call, key = json.loads(body), self.headers["Idempotency-Key"]
            failed = failures.get(key, 0)
            refuse = call["order"].startswith("flaky") and failed < 3 or call["order"].startswith("down") and not repaired
            if refuse:
                failures[key] = failed + 1
            calls.append(call | {"event": key, "taken": not refuse, "time": time.time()})
        self.answer(503 if refuse else 204)

    def do_GET(self):
        with lock:
            body = json.dumps(calls).encode()
        self.answer(200, body)

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9099), Partner)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
