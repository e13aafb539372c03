"""An HTTP backend that says, byte by byte, what a test has scripted; and that
keeps every request as it came. It knows nothing of fcgiguard."""

import contextlib
import os
import socket
import threading
import time

import harness


class Request:
    def __init__(self, serial, head, body):
        self.connection, self.head, self.body = serial, head, body
        lines = head.split(b"\r\n")
        self.line = lines[0].decode("latin-1")
        self.headers = [tuple(part.strip() for part in line.decode("latin-1").split(":", 1)) for line in lines[1:] if line]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name, default=None):
        return (self.all(name) or [default])[0]


HANG, CLOSE, RESET, END = object(), object(), object(), object()


class Backend:
    """Answers GET /NAME?... by scripts[NAME]: a list of bytes to send, and of HANG (until the client
    closes), CLOSE, RESET, END (of what is sent: it still could be read from), numbers (seconds to wait) and
    events (to wait for). /canary/X answers X."""

    def __init__(self, address=None, scripts=None):
        address = address or ("127.0.0.1", harness.free_port())
        self.scripts = scripts or {}
        self.requests, self.connections, self.lock = [], 0, threading.Lock()
        self.open = {}
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.listener = socket.socket(socket.AF_UNIX if isinstance(address, str) else family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        if isinstance(address, str):
            os.chmod(address, 0o666)
        self.listener.listen(64)
        self.address = self.listener.getsockname()
        self.url = f"unix:{address}" if isinstance(address, str) else f"http://127.0.0.1:{self.address[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if connection.family == socket.AF_INET:  # what is sent is there before the next request
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                serial = self.connections
                self.open[serial] = connection
            threading.Thread(target=self.serve, args=(serial, connection), daemon=True).start()

    def serve(self, serial, connection):
        held = b""
        try:
            while True:
                while b"\r\n\r\n" not in held:
                    more = connection.recv(65536)
                    if not more:
                        return
                    held += more
                head, _, held = held.partition(b"\r\n\r\n")
                name = head.split(b" ")[1].decode("latin-1").lstrip("/").partition("?")[0]
                request = Request(serial, head, b"")
                script = self.scripts.get(name)
                if not name.startswith("unread"):
                    length = int(request.get("Content-Length", "0"))
                    while len(held) < length:
                        more = connection.recv(65536)
                        if not more:
                            return
                        held += more
                    request.body, held = held[:length], held[length:]
                with self.lock:
                    self.requests.append(request)
                if name.startswith("canary/"):
                    text = name.partition("/")[2].encode()
                    script = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)]
                if not self.play(connection, script or [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]):
                    return
        except OSError:
            pass
        finally:
            with self.lock:  # who does not find it there knows that it is closed
                connection.close()
                self.open.pop(serial, None)

    def play(self, connection, script):
        for step in script:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif step is HANG:
                while connection.recv(65536):
                    pass
                return False
            elif step is CLOSE:
                return False
            elif step is END:
                connection.shutdown(socket.SHUT_WR)
            elif step is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return False
            elif isinstance(step, threading.Event):
                step.wait(60)
            elif callable(step):
                step()
            else:
                time.sleep(step)
        return True

    def close_connections(self):
        """What a backend does with kept connections when it has had enough of them."""
        with self.lock:
            for connection in self.open.values():
                with contextlib.suppress(OSError):  # the other side was quicker
                    connection.shutdown(socket.SHUT_RDWR)

    def last(self):
        return self.requests[-1]

    def stop(self):
        self.listener.close()
        self.close_connections()
