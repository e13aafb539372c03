#!/usr/bin/python3
"""The application behind policy.yaml: HTTP on a unix socket, by the standard library
alone, and not a line about headers, origins, limits or tokens. What gets here was
judged; who is calling stands in Remote-User, which no client can send."""

import http.server
import json
import os
import socketserver
import sys
import traceback
import uuid


def health(_):
    return 200, {"status": "healthy"}


def create_user(request):
    user = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
    return 201, {"message": "User created successfully", "user_id": str(uuid.uuid4()), "email": user["email"]}


def protected(request):
    return 200, {"message": "Access granted", "user_id": request.headers["Remote-User"]}


def report(_):
    raise FileNotFoundError("no report in /srv/users/reports")  # as programs do


ENDPOINTS = {"GET /api/health": health, "POST /api/users": create_user, "GET /api/protected": protected,
             "GET /api/report": report}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        try:
            endpoint = ENDPOINTS.get(f"{self.command} {self.path.partition('?')[0]}")
            status, content = endpoint(self) if endpoint else (404, {"detail": "Not Found"})
        except Exception:  # nobody but the log gets to see it
            status, content = 500, {"detail": traceback.format_exc()}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass  # the guard logs


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "/run/users/app.sock"
    if os.path.exists(address):
        os.unlink(address)
    Server(address, Handler).serve_forever()
