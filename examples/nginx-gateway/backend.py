#!/usr/bin/python3
"""An application to try the gateway with, at 127.0.0.1:3000 or the port that is
named: it checks a password, has a fault, and else answers what it was told."""

import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USERS = {"ann": "correct horse battery staple"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def judge(self, path, body):
        """The status and what is said with it."""
        if path == "/api/health":
            return 200, {"status": "healthy"}
        if path == "/api/auth/login":
            wish = json.loads(body)
            known = wish.get("password") == USERS.get(wish.get("user"), wish)
            return (200, {"user": wish["user"]}) if known else (401, {"error": "unknown user or password"})
        if path == "/api/fault":
            raise RuntimeError("the database at db.internal does not know the password hunter2")
        return 200, {"method": self.command, "target": self.path, "headers": self.headers.items(), "length": len(body)}

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, said = self.judge(self.path.partition("?")[0], body)
        except Exception:  # pylint: disable=broad-except
            status, said = 500, {"error": traceback.format_exc()}
        said = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Access-Control-Allow-Origin", "*")  # which the policy knows better
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        """The gateway has a log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3000), Handler).serve_forever()
