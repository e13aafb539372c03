"""A FastCGI client that can say anything, right or wrong (FastCGI 1.0, 3 and 8).

It knows the wire format and nothing of fcgiguard. Every piece of a request can
be built alone, cut, or sent in another order.
"""

import socket
import struct
import time
from dataclasses import dataclass, field

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP = 1
COMPLETE, CANT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)


def record(kind, content=b"", request=1, version=1, padding=0, length=None):
    stated = len(content) if length is None else length
    return struct.pack(">BBHHBx", version, kind, request, stated, padding) + content + b"\0" * padding


def begin(request=1, role=RESPONDER, keep=False, version=1):
    return record(BEGIN, struct.pack(">HB5x", role, KEEP if keep else 0), request, version)


def number(value):
    return bytes([value]) if value < 128 else struct.pack(">I", value | 0x80000000)


def octets(value):
    return value if isinstance(value, bytes) else str(value).encode()


def pairs(items):
    out = bytearray()
    for name, value in items:
        name, value = octets(name), octets(value)
        out += number(len(name)) + number(len(value)) + name + value
    return bytes(out)


def stream(kind, content, request=1, piece=65535, end=True):
    out = bytearray()
    for at in range(0, len(content), piece):
        out += record(kind, content[at:at + piece], request)
    if end:
        out += record(kind, b"", request)
    return bytes(out)


def raw(text, where="/app/h"):
    """The target at which the helper program writes exactly this."""
    return f"{where}/raw?" + (text if isinstance(text, bytes) else text.encode()).hex()


def environment(method="GET", uri="/app/h/hello", headers=None, body=None, replace=None, more=()):
    """The parameters a web server sends, as a list of pairs. `replace` changes
    or (None) removes single ones, `more` is appended as it is."""
    path, _, query = uri.partition("?") if isinstance(uri, str) else uri.partition(b"?")
    values = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "test", "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost", "SERVER_ADDR": "127.0.0.1", "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "REQUEST_METHOD": method, "REQUEST_URI": uri,
        "SCRIPT_NAME": path, "QUERY_STRING": query, "DOCUMENT_ROOT": "/var/www",
    }
    if body is not None:
        values["CONTENT_LENGTH"] = str(len(body))
    given = {"Host": "localhost"}
    given.update(headers or {})
    for name, value in given.items():
        if value is None:
            continue
        key = name.upper().replace("-", "_")
        values[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    for name, value in (replace or {}).items():
        values.pop(name, None)
        if value is not None:
            values[name] = value
    return list(values.items()) + list(more)


def request(params, body=b"", number=1, keep=False, role=RESPONDER):
    return (begin(number, role, keep) + stream(PARAMS, pairs(params), number) + stream(STDIN, body, number))


@dataclass
class Reply:
    status: int = 0
    headers: list = field(default_factory=list)
    body: bytes = b""
    errors: bytes = b""
    raw: bytes = b""
    application_status: int = None
    protocol_status: int = None
    complete: bool = False

    def get(self, name, default=None):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


def parse(raw):
    """Status, headers and body of what came on STDOUT (RFC 3875, 6)."""
    head, mark, body = raw.partition(b"\r\n\r\n")
    if not mark:
        head, mark, body = raw.partition(b"\n\n")
    status, headers = 200, []
    for line in head.split(b"\n"):
        name, colon, value = line.rstrip(b"\r").decode("latin-1").partition(":")
        if not colon:
            continue
        if name.lower() == "status":
            status = int(value.strip().split(" ")[0])
        else:
            headers.append((name, value.strip()))
    return status, headers, body


class Connection:
    def __init__(self, address, timeout=60):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(address)
                break
            except BlockingIOError:  # a unix socket's queue is full
                if time.monotonic() > end:
                    raise
                time.sleep(0.002)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """False when the other side closed or does not read any more."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def take(self, size):
        while len(self.held) < size:
            try:
                more = self.socket.recv(262144)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.held += more
        taken, self.held = self.held[:size], self.held[size:]
        return taken

    def record(self):
        """(type, request id, content), or None at the end of the connection."""
        head = self.take(8)
        if head is None:
            return None
        _, kind, number_, length, padding = struct.unpack(">BBHHBx", head)
        content = self.take(length + padding)
        return None if content is None else (kind, number_, content[:length])

    def closed(self):
        """Waits for the other side to close; False when it says something instead."""
        return self.record() is None

    def reply(self, number=1):
        """The reply to one request: to its END_REQUEST, or to the connection's end."""
        reply, out, errors = Reply(), bytearray(), bytearray()
        while True:
            got = self.record()
            if got is None:
                break
            kind, which, content = got
            assert kind in (STDOUT, STDERR, END), f"unexpected record of type {kind}"
            assert which == number, f"a record of request {which}, expected {number}"
            if kind == STDOUT:
                out += content
            elif kind == STDERR:
                errors += content
            else:
                reply.application_status, reply.protocol_status = struct.unpack(">IB3x", content)
                reply.complete = True
                break
        reply.raw, reply.errors = bytes(out), bytes(errors)
        if reply.raw:
            reply.status, reply.headers, reply.body = parse(reply.raw)
        return reply

    def ask(self, params=None, body=b"", number=1, keep=True, **words):
        self.send(request(environment(**words) if params is None else params, body, number, keep))
        return self.reply(number)


def ask(address, method="GET", uri="/app/h/hello", body=None, params=None, timeout=60, **words):
    """One request on a connection of its own."""
    if params is None:
        params = environment(method, uri, body=body, **words)
    with Connection(address, timeout) as connection:
        connection.try_send(request(params, body or b""))
        return connection.reply()
