"""A backend that answers before it has read the body of a request, by TCP, unix
socket and TLS, and closes its connection in each way there is. What came before a
connection was reset is the answer; what is not whole by then is none, and nor is
what came behind another one."""

import ctypes
import hashlib
import itertools
import os
import random
import socket
import ssl
import threading

import pytest

from http_backend import Request
from records import PARAMS, STDIN, Connection, ask, begin, environment, pairs, stream
from test_jwks import authority  # noqa: F401 (a fixture)

SIZE = 5 << 20  # more than sockets hold on the way, and MOST
MOST = 300000  # of it is read before an answer
TEXT = b"0123456789" * 2000
HEAD = b"HTTP/1.1 413 Too Much\r\nX-A: early\r\n"
FRAMED = {
    "length": HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(TEXT), TEXT),
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(TEXT), TEXT),
    "nothing": b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "behind 100": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(TEXT), TEXT),
}
CUT = {
    "length": (FRAMED["length"][:-1], 413),
    "chunks": (FRAMED["chunks"][:-5], 413),
    "to the end": (HEAD + b"\r\n" + TEXT, 413),
    "head": (HEAD, 502),
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n", 502),
    "nothing": (b"", 502),
}
CLOSE, END, LINGER, HANG = "close", "end, and close", "end, and read on", "read on"
SIZES = [1, 30000, 40000, 200000, SIZE]  # in a record, in a piece, in several, more than sockets hold


class Backend:
    """Reads so many bytes of a body, answers, and ends, all as `play` says. Of what ends in /whole/X, it reads the
    body, and answers X and the body's digest; of what ends in /longer, it says TEXT, and another answer."""

    def __init__(self, address, context=None):
        self.listener = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # does not grow then
        self.listener.bind(address)
        self.listener.listen(64)
        self.context, self.play, self.served, self.connections = context, None, 0, 0
        self.on = None  # which connection the last request came, by number
        if isinstance(address, str):
            os.chmod(address, 0o666)
            self.url = f"unix:{address}"
        else:
            self.url = f"{'https' if context else 'http'}://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if connection.family == socket.AF_INET:  # else what is small may wait, and be lost by the reset
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection, self.connections), daemon=True).start()

    def serve(self, connection, number):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                while self.answer(connection, number):
                    pass
        except OSError:
            pass

    def answer(self, connection, number):
        held = b""
        while b"\r\n\r\n" not in held:
            more = connection.recv(65536)
            if not more:
                return False
            held += more
        head, _, held = held.partition(b"\r\n\r\n")
        asked = Request(number, head, b"")
        self.on = number
        path, size = asked.line.split(" ")[1], int(asked.get("Content-Length", "0"))
        if "/whole/" in path:
            digest = hashlib.sha256(held)
            size -= len(held)
            while size > 0:
                more = connection.recv(min(size, 65536))
                digest.update(more)
                size -= len(more) or size
            text = f"{path.rpartition('/')[2]} {digest.hexdigest()}".encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            return True
        if path.endswith("/longer"):
            connection.sendall(FRAMED["length"] + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
            return True
        wanted, reply, end = self.play
        self.served += 1
        left = wanted - len(held)
        while left > 0:
            left -= len(connection.recv(min(left, 65536))) or left
        socket.socket.recv(connection, 1, socket.MSG_PEEK)  # closing resets the connection with that unread
        connection.sendall(reply)
        if end in (END, LINGER):
            connection.shutdown(socket.SHUT_WR)
        if end in (LINGER, HANG):
            while connection.recv(65536):
                pass
        return False

    def stop(self):
        self.listener.close()


@pytest.fixture(scope="module")
def backends(folder, authority):  # noqa: F811
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "localhost.pem", folder / "localhost.key")
    made = {"tcp": Backend(("127.0.0.1", 0)), "unix": Backend(str(folder / "early.sock")),
            "tls": Backend(("127.0.0.1", 0), context)}
    yield made
    for backend in made.values():
        backend.stop()


@pytest.fixture(scope="module")
def guard(folder, start_guard, backends):
    def route(kind, put):
        return {"path": f"/app/{kind}-{put}/**", "methods": ["GET", "POST"],
                "http": {"url": backends[kind].url, "input": put, "idle": "1h", **({"ca_file": "ca.pem"} if kind == "tls" else {})}}
    return start_guard({
        "log": "stderr", "defaults": {"auth": "none", "body": "20mb"},
        "routes": [route(kind, put) for kind in backends for put in ("stream", "spool")]}, name="early")


WAYS = [f"{kind}-{put}" for kind in ("tcp", "unix", "tls") for put in ("stream", "spool")]
counter = iter(range(10 ** 6))


def may_lose(way, end):
    """Over TLS, libcurl 8 sends on the connection itself, and a send that fails is the end of the request."""
    libcurl = ctypes.CDLL("libcurl.so.4")
    libcurl.curl_version.restype = ctypes.c_char_p
    return way.startswith("tls") and end in (CLOSE, END) and not libcurl.curl_version().startswith(b"libcurl/7.")


def check_whole(guard, backend, way, sizes):
    """A new connection serves them all, and each has its own answer."""
    before, used = backend.on, set()
    for size in sizes:
        name = f"canary-{next(counter)}"
        body = bytes(size) if size < 2 else random.Random(size).randbytes(size)
        reply = ask(guard.address, "POST", f"/app/{way}/whole/{name}", body=body)
        assert (reply.status, reply.body) == (200, f"{name} {hashlib.sha256(body).hexdigest()}".encode()), size
        used.add(backend.on)
    assert len(used) == 1 and before not in used


def early(guard, backend, way, wanted, reply, end):
    backend.play = wanted, reply, end
    before = backend.served
    got = ask(guard.address, "POST", f"/app/{way}/x", body=b"x" * SIZE)
    assert backend.served == before + 1
    check_whole(guard, backend, way, (0, 1))
    return got


@pytest.mark.parametrize("end", [CLOSE, END, LINGER, HANG])
@pytest.mark.parametrize("way", WAYS)
def test_an_early_answer_arrives(guard, backends, way, end):
    for wanted, name in zip((0, 1, 100000, MOST, 0), FRAMED):
        reply = FRAMED[name]
        got = early(guard, backends[way.partition("-")[0]], way, wanted, reply, end)
        status = int(reply.rpartition(b"HTTP/1.1 ")[2][:3])
        if (got.status == 502 or not got.complete) and may_lose(way, end):
            continue
        assert (got.status, got.body, got.complete) == (status, TEXT if status == 413 else b"", True), (wanted, name)


@pytest.mark.parametrize("end", [END, LINGER])
@pytest.mark.parametrize("way", ["tcp-stream", "tcp-spool"])
def test_an_early_answer_ends_with_the_connection(guard, backends, way, end):
    for wanted in (0, MOST):
        got = early(guard, backends["tcp"], way, wanted, HEAD + b"\r\n" + TEXT, end)
        assert (got.status, got.body, got.complete) == (413, TEXT, True), wanted


@pytest.mark.parametrize("way", WAYS)
def test_an_early_answer_is_cut(guard, backends, way):
    """By a reset; one that has no length of its own may be, too."""
    for wanted, name in zip(itertools.cycle((0, MOST)), CUT):
        reply, status = CUT[name]
        got = early(guard, backends[way.partition("-")[0]], way, wanted, reply, CLOSE)
        entry = guard.wait_entry(event="request", requestId=got.get("X-Request-ID"))
        assert (got.status, entry.get("code")) in ((status, "reply_cut"), (502, "bad_reply"), (502, "backend_unavailable")), (wanted, name)


@pytest.mark.parametrize("way", WAYS)
def test_whole_bodies_arrive_on_a_kept_connection(guard, backends, way):
    backends[way.partition("-")[0]].play = 0, FRAMED["length"], CLOSE
    ask(guard.address, "POST", f"/app/{way}/x", body=b"x" * SIZE)
    check_whole(guard, backends[way.partition("-")[0]], way, [0, *SIZES, 0])


@pytest.mark.parametrize("way", WAYS)
def test_what_is_behind_an_answer_is_no_other(guard, backends, way):
    got = ask(guard.address, uri=f"/app/{way}/longer")
    assert (got.status, got.body, got.complete) == (413, TEXT, True)
    check_whole(guard, backends[way.partition("-")[0]], way, (0, 1))


def half_sent(guard, way):
    params = environment("POST", f"/app/{way}/x", replace={"CONTENT_LENGTH": "200000"})
    with Connection(guard.address) as client:
        client.send(begin() + stream(PARAMS, pairs(params)) + stream(STDIN, b"x" * 100000, end=False))
        return client.reply()


@pytest.mark.parametrize("way", ["tcp-stream", "unix-stream", "tls-stream"])
def test_the_client_has_not_sent_the_body(guard, backends, way):
    """It has the answer before it sends the rest."""
    kind = way.partition("-")[0]
    for end, name in itertools.product((CLOSE, END, LINGER, HANG), FRAMED):
        backends[kind].play = 50000, FRAMED[name], end
        got = half_sent(guard, way)
        lost = (got.status == 502 or not got.complete) and may_lose(way, end)
        assert lost or ((got.status in (204, 302) or got.body == TEXT) and got.complete), (end, name)
    for end in (END, LINGER) if kind == "tcp" else ():
        backends[kind].play = 50000, HEAD + b"\r\n" + TEXT, end
        got = half_sent(guard, way)
        assert (got.status, got.body, got.complete) == (413, TEXT, True), end
    backends[kind].play = 50000, b"", CLOSE
    assert half_sent(guard, way).status == 502


def test_no_descriptor_is_left(guard, backends):
    before = guard.descriptors()
    for _ in range(3):
        for way in WAYS:
            backends[way.partition("-")[0]].play = 0, FRAMED["length"], CLOSE
            status = ask(guard.address, "POST", f"/app/{way}/x", body=b"x" * SIZE).status
            assert status == 413 or (status == 502 and may_lose(way, CLOSE))
    guard.wait_descriptors(before)
