"""Run as a program: a local stack with one small process in place of ours, until told to stop."""

import sys
from pathlib import Path

from deploy.local import process
from deploy.local.addresses import Addresses
from deploy.local.kafka import Profile
from deploy.local.processes import Row
from deploy.local.stack import Stack

SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def small(root: Path, *, prepare: str = "print('prepared')") -> Stack:
    """Both servers, one process."""
    return Stack(root, name="small", profile=Profile.TEST, table=rows, prepare=(sys.executable, "-c", prepare))


def rows(addresses: Addresses) -> list[Row]:
    port = addresses.gateway_port
    return [Row("server", (sys.executable, "-c", SERVER, str(port)), process.answers(port))]


if __name__ == "__main__":
    stack = small(Path(sys.argv[1]))
    with stack.supervisor.obeying_signals():
        stack.start()
        stack.supervisor.run()
    stack.stop()
