"""The handler http over a backend that is scripted: every head that servers read
in different ways, silence at each step, replies that are longer and shorter than
said. After each, a canary shows that nothing of it gets into the next reply."""

import contextlib
import json
import os
import socket
import threading
import time

import pytest

import harness
from harness import wait_until
from http_backend import CLOSE, END, HANG, RESET, Backend
from records import PARAMS, STDIN, STDOUT, Connection, ask, begin, environment, pairs, stream
from test_callers import SECRET, token

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"


def whole(*lines, body=b"ok", status=OK):
    return [status + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body]


BAD = {
    "length and coding": whole(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "coding and length": whole(b"Transfer-Encoding: chunked", b"Content-Length: 2", body=b"2\r\nok\r\n0\r\n\r\n"),
    "two lengths": whole(b"Content-Length: 2", b"Content-Length: 3"),
    "the same length twice": whole(b"Content-Length: 2", b"Content-Length: 2"),
    "a list of lengths": whole(b"Content-Length: 2, 2"),
    "a negative length": whole(b"Content-Length: -2"),
    "a signed length": whole(b"Content-Length: +2"),
    "a length in hexadecimal": whole(b"Content-Length: 0x2"),
    "a length past all": whole(b"Content-Length: 99999999999999999999"),
    "a length of nothing": whole(b"Content-Length:"),
    "a folded line": whole(LENGTH.strip(), b"X-A: 1", b" folded"),
    "a folded line with a tab": whole(LENGTH.strip(), b"X-A: 1", b"\tContent-Length: 9"),
    "a folded line at once": whole(b" X-A: 1", LENGTH.strip()),
    "a blank before the colon": whole(b"Content-Length : 2"),
    "a coding with a blank": whole(b"Transfer-Encoding : chunked", LENGTH.strip()),
    "no colon": whole(LENGTH.strip(), b"what is this"),
    "no name": whole(LENGTH.strip(), b": value"),
    "NUL in a value": whole(LENGTH.strip(), b"X-A: a\0b"),
    "NUL in a name": whole(LENGTH.strip(), b"X-\0A: b"),
    "CR in a value": whole(LENGTH.strip(), b"X-A: a\rX-B: b"),
    "a control character": whole(LENGTH.strip(), b"X-A: a\x1b[2Jb"),
    "a name with a bracket": whole(LENGTH.strip(), b"X(A): b"),
    "two types": whole(LENGTH.strip(), b"Content-Type: a/b", b"Content-Type: text/html"),
    "two locations": whole(LENGTH.strip(), b"Location: /a", b"Location: /b", status=b"HTTP/1.1 302 Found\r\n"),
    "coding gzip": whole(b"Transfer-Encoding: gzip"),
    "coding gzip, chunked": whole(b"Transfer-Encoding: gzip, chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "coding twice": whole(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "coding identity": whole(b"Transfer-Encoding: identity"),
    "coding in HTTP/1.0": whole(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n", status=b"HTTP/1.0 200 OK\r\n"),
    "coding with 204": whole(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", status=b"HTTP/1.1 204 No Content\r\n"),
    "a header of 70 KB": whole(LENGTH.strip(), b"X-A: " + b"a" * 70000),
    "a header of 300 KB": whole(LENGTH.strip(), b"X-A: " + b"a" * 300000),
    "a thousand headers": whole(LENGTH.strip(), *[b"X-%d: 1" % i for i in range(1000)]),
    "headers of 400 KB": whole(LENGTH.strip(), *[b"X-%d: %s" % (i, b"a" * 4000) for i in range(100)]),
    "no status line": [b"hello, I am HTTP/0.9\r\n", CLOSE],
    "status 99": whole(LENGTH.strip(), status=b"HTTP/1.1 99 What\r\n"),
    "status 600": whole(LENGTH.strip(), status=b"HTTP/1.1 600 What\r\n"),
    "status 20": whole(LENGTH.strip(), status=b"HTTP/1.1 20 OK\r\n"),
    "status 2000": whole(LENGTH.strip(), status=b"HTTP/1.1 2000 OK\r\n"),
    "no status": whole(LENGTH.strip(), status=b"HTTP/1.1 OK\r\n"),
    "HTTP/1.2": whole(LENGTH.strip(), status=b"HTTP/1.2 200 OK\r\n"),
    "HTTP/2 in clear": whole(LENGTH.strip(), status=b"HTTP/2 2 OK\r\n"),
    "HTTP/3": whole(LENGTH.strip(), status=b"HTTP/3 200 OK\r\n"),
    "CR in the status line": whole(LENGTH.strip(), status=b"HTTP/1.1 200 O\rK\r\n"),
    "another protocol": whole(b"Upgrade: websocket", b"Connection: upgrade", status=b"HTTP/1.1 101 Switching Protocols\r\n"),
    "100000 times 100": [b"HTTP/1.1 100 Continue\r\n\r\n" * 100000, *whole(LENGTH.strip())],
    "a bomb of 103": [b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>; rel=preload\r\n" * 300 + b"\r\n"] * 10 + whole(LENGTH.strip()),
    "the end inside the head": [OK + b"Content-Le", CLOSE],
    "the end behind a line": [OK + b"X-A: b\r\n", CLOSE],
}

GONE = {
    "the end before a byte": [CLOSE],
    "a reset before a byte": [RESET],
}

# The head is good, and the client has it: the reply is cut. With what the client gets of it.
CUT = {
    "shorter than said": ([OK + b"Content-Length: 10\r\n\r\nshort", CLOSE], b"short"),
    "reset in the body": ([OK + b"Content-Length: 10\r\n\r\n", CLOSE], b""),
    "a chunk without an end": ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", CLOSE], b"short"),
    "a chunk that is short": ([OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nshort", CLOSE], b"short"),
    "a chunk without a size": ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n", HANG], b"short"),
    "a chunk of all": ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nfffffffffffffffff\r\n", HANG], b"short"),
}

# Good ones, with what the client gets, and whether the connection may serve again.
GOOD = {
    "length": (whole(LENGTH.strip()), b"ok", True),
    "chunks": (whole(b"Transfer-Encoding: chunked", body=b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"), b"ok", True),
    "chunks and trailers": (whole(b"Transfer-Encoding: Chunked", b"Trailer: X-A",
                                  body=b"2\r\nok\r\n0\r\nX-A: b\r\nSet-Cookie: trailer=1\r\n\r\n"), b"ok", True),
    "to the end": ([OK + b"\r\nok", CLOSE], b"ok", False),
    "HTTP/1.0": ([b"HTTP/1.0 200 OK\r\n\r\nok", CLOSE], b"ok", False),
    "LF alone": ([b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], b"ok", True),
    "no reason": ([b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"], b"ok", True),
    "100 first": ([b"HTTP/1.1 100 Continue\r\n\r\n", *whole(LENGTH.strip())], b"ok", True),
    "103 first": ([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: early=1\r\n\r\n", *whole(LENGTH.strip())], b"ok", True),
    "says that it closes": (whole(LENGTH.strip(), b"Connection: close"), b"ok", False),
    "longer than said": (whole(LENGTH.strip(), body=b"okEVIL"), b"ok", False),
    "a reply behind it": (whole(LENGTH.strip(), body=b"ok" + whole(b"Content-Length: 4", body=b"EVIL")[0]), b"ok", False),
    "garbage behind chunks": (whole(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\nEVIL"), b"ok", None),
    "204 with a body": ([b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\nEVIL"], b"", False),
    "304 with a body": ([b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nEVIL"], b"", False),
    "one byte at a time": ([bytes([byte]) for byte in whole(LENGTH.strip())[0]], b"ok", True),
}

# What libcurl reads with the head, what it leaves unread, and what it closes the connection behind.
LONGER = {
    "longer than said": whole(LENGTH.strip(), body=b"okEVIL"),
    "longer in a piece of its own": [OK + LENGTH + b"\r\n", b"okEVIL"],
    "longer in HTTP-1.0": [*whole(LENGTH.strip(), body=b"okEVIL", status=b"HTTP/1.0 200 OK\r\n"), CLOSE],
    "longer and closes": [*whole(LENGTH.strip(), b"Connection: close", body=b"okEVIL"), CLOSE],
}

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MILLION = 10 ** 6

# With what the client gets, and whether the reply is whole; None: a 502.
FLOODS = {
    "a million extensions": ([CHUNKED + b"1;x=y\r\no\r\n" * MILLION + b"0\r\n\r\n"], b"o" * MILLION, True),
    "an extension of 4 MB": ([CHUNKED + b"2" + b";x=y" * MILLION + b"\r\nok\r\n0\r\n\r\n"], b"ok", True),
    "a million empty chunks": ([CHUNKED + b"2\r\nok\r\n" + b"\r\n" * MILLION], b"ok", False),
    "a million noughts": ([CHUNKED + b"2\r\nok\r\n" + b"0" * MILLION], b"ok", False),
    "a million trailers": ([CHUNKED + b"2\r\nok\r\n0\r\n" + b"X: y\r\n" * MILLION + b"\r\n"], b"ok", False),
    "a trailer of 1 MB": ([CHUNKED + b"2\r\nok\r\n0\r\nX: " + b"y" * MILLION + b"\r\n\r\n"], b"ok", False),
    "a million empty lines": ([b"\r\n" * MILLION], None, False),
}

SILENT = {
    "silence at once": [HANG],
    "silence in the status line": [b"HTTP/1.1 2", HANG],
    "silence in a header": [OK + b"Content-Le", HANG],
    "silence before the empty line": [OK + LENGTH, HANG],
    "silence behind 100": [b"HTTP/1.1 100 Continue\r\n\r\n", HANG],
}


def name_of(text):
    return text.replace(" ", "-").replace(",", "").replace("/", "-")


SCRIPTS = {name_of(name): script for name, script in
           [*BAD.items(), *GONE.items(), *SILENT.items(), *LONGER.items(),
            *((name, case[0]) for name, case in [*CUT.items(), *GOOD.items(), *FLOODS.items()])]}


@pytest.fixture(scope="module")
def backend():
    made = Backend(scripts=dict(SCRIPTS))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def full():
    """The address of a socket whose queue of connections is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def guard(folder, start_guard, backend, full):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    dead = f"http://127.0.0.1:{harness.free_port()}"
    common = {"strip_prefix": "/app/h", "url": backend.url, "idle": "1h"}
    route = {"methods": ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]}
    return start_guard({
        "log": "stderr", "proxies": ["10.0.0.1"],
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests",
                                  "environment": {"EMAIL": "email", "X_TENANT": "tenant", "HOST": "host"}}}},
        "versions": {"header": "API-Version", "default": "2", "list": {"1": {}, "2": {}}},
        "defaults": {"auth": "none", "version": "none", "body": "20mb"},
        "timeouts": {"read": "20s"},
        "routes": [
            {"path": "/app/h/**", **route, "http": common},
            {"path": "/app/user/**", **route, "auth": "user", "http": {**common, "strip_prefix": "/app/user"}},
            {"path": "/app/version/**", **route, "version": ["1", "2"], "http": {**common, "strip_prefix": "/app/version"}},
            {"path": "/app/silent/**", **route, "http": {**common, "strip_prefix": "/app/silent", "silence": "2s", "first_byte": "3s"}},
            {"path": "/app/short/**", **route, "http": {**common, "strip_prefix": "/app/short", "timeout": "3s"}},
            {"path": "/app/small/**", **route, "http": {**common, "strip_prefix": "/app/small", "max_output": "100b"}},
            {"path": "/app/one/**", **route, "http": {**common, "strip_prefix": "/app/one", "connections": 1}},
            {"path": "/app/plain/**", **route, "http": {"url": backend.url + "/base"}},
            {"path": "/app/fixed/{id}/**", **route, "http": {
                "url": backend.url, "host": "app.example.com", "rewrite": "/v2/{id}/x/**",
                "headers": {"Authorization": "Bearer of-ours", "X-Empty": "", "X-Tenant": "seven"}}},
            {"path": "/app/own/**", **route, "http": {**common, "strip_prefix": "/app/own", "host": "backend", "input": "spool"}},
            {"path": "/app/dead/**", **route, "http": dead},
            {"path": "/app/full/**", **route, "http": {"url": full, "connect_timeout": "200ms"}},
        ]}, name="hostile")


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


def logged(guard, reply):
    return guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))


counter = iter(range(10 ** 6))


def check_canary(guard, backend, reused=None):
    """The next request gets its own answer; tells on which connection."""
    before = backend.last().connection if backend.requests else 0
    text = f"canary-{next(counter)}"
    reply = ask(guard.address, uri=f"/app/h/canary/{text}")
    assert (reply.status, reply.body) == (200, text.encode()), reply.raw
    assert b"EVIL" not in reply.raw
    if reused is not None:
        assert (backend.last().connection == before) == reused


@pytest.mark.parametrize("name", BAD)
def test_bad_heads(guard, backend, name):
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    assert error(reply) == (502, "bad_reply"), logged(guard, reply)
    entry = logged(guard, reply)
    assert entry["guard"] == "http" and entry["detail"], entry
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("name", GONE)
def test_gone_before_a_byte(guard, backend, name):
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    assert error(reply) == (502, "backend_unavailable")
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("name", CUT)
def test_cut_bodies(guard, backend, name):
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    if reply.status == 502:  # it was known before the head went out
        assert error(reply) == (502, "bad_reply")
    else:
        assert reply.status == 200 and reply.body == CUT[name][1] and not reply.complete
        assert logged(guard, reply)["code"] == "reply_cut"
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("name", GOOD)
def test_good_replies(guard, backend, name):
    _, body, reused = GOOD[name]
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    assert reply.body == body and reply.complete and reply.status in (200, 204, 304), reply.raw
    assert b"EVIL" not in reply.raw and not reply.all("Set-Cookie") and not reply.get("Link") and not reply.get("Trailer")
    check_canary(guard, backend, reused)


@pytest.mark.parametrize("name", LONGER)
def test_what_is_longer_than_said_is_logged(guard, backend, name):
    plain = ask(guard.address, uri="/app/h/length")
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    assert reply.body == b"ok" and reply.complete and b"EVIL" not in reply.raw
    said = "request {}: the application wrote more than its Content-Length of 2"
    guard.wait_text(said.format(reply.get("X-Request-ID")))
    assert said.format(plain.get("X-Request-ID")) not in guard.text()
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("name", FLOODS)
def test_floods(guard, backend, name):
    _, body, complete = FLOODS[name]
    reply = ask(guard.address, uri=f"/app/h/{name_of(name)}")
    if complete:
        assert (reply.status, reply.body, reply.complete) == (200, body, True)
    elif reply.status == 502:  # it was known before the head went out
        assert error(reply) == (502, "bad_reply")
    else:
        assert (reply.status, reply.body, reply.complete) == (200, body, False)
        assert logged(guard, reply)["code"] == "reply_cut"
    check_canary(guard, backend, reused=None if complete else False)


@pytest.mark.parametrize("how", [CLOSE, RESET], ids=["closed", "reset"])
def test_heads_cut_at_every_byte(guard, backend, how):
    head = OK + b"X-A: b\r\n" + LENGTH + b"\r\n"
    for length in range(len(head)):
        backend.scripts["cut-head"] = [head[:length], how]
        # What came before a reset may be lost with it.
        wanted = ["backend_unavailable"] if length < len(OK) else ["bad_reply"] if how is CLOSE else ["bad_reply", "backend_unavailable"]
        reply = ask(guard.address, uri="/app/h/cut-head")
        assert reply.status == 502 and error(reply)[1] in wanted, (length, reply.body)
        backend.scripts["cut-head"] = [head[:length], 0.001, head[length:] + b"ok"]
        assert ask(guard.address, uri="/app/h/cut-head").body == b"ok", length
    check_canary(guard, backend)


def test_garbage_that_comes_late(guard, backend):
    """Behind a whole reply, while nobody asks."""
    late = threading.Event()
    backend.scripts["late"] = [*whole(LENGTH.strip()), late, whole(b"Content-Length: 4", body=b"EVIL")[0], lambda: sent.set()]
    sent = threading.Event()
    assert ask(guard.address, uri="/app/h/late").body == b"ok"
    late.set()
    assert sent.wait(60)
    check_canary(guard, backend, reused=False)


def test_head_and_its_body(guard, backend):
    backend.scripts["head"] = whole(b"Content-Length: 4", b"X-A: b", body=b"EVIL")
    reply = ask(guard.address, "HEAD", "/app/h/head")
    assert (reply.status, reply.body, reply.get("Content-Length"), reply.get("X-A")) == (200, b"", "4", "b")
    check_canary(guard, backend, reused=False)


def test_head_with_a_body(guard, backend):
    backend.scripts["head"] = whole(b"Content-Length: 4", body=b"")
    reply = ask(guard.address, "HEAD", "/app/h/head", body=b"x" * 100000)
    assert (reply.status, reply.body, reply.get("Content-Length")) == (200, b"", "4")
    assert not backend.last().all("Content-Length")
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("name", SILENT)
def test_silence(guard, backend, name):
    reply = ask(guard.address, uri=f"/app/silent/{name_of(name)}")
    assert error(reply) == (504, "backend_timeout")
    assert ("3000 ms" if name in ("silence at once", "silence in the status line") else "2000 ms") in logged(guard, reply)["detail"]
    check_canary(guard, backend, reused=False)


def test_silence_in_the_body(guard, backend):
    backend.scripts["half"] = [OK + b"Content-Length: 10\r\n\r\nhalf", HANG]
    reply = ask(guard.address, uri="/app/silent/half")
    assert (reply.status, reply.body, reply.complete) == (200, b"half", False)
    assert logged(guard, reply)["code"] == "reply_cut"
    check_canary(guard, backend, reused=False)


def test_the_whole_takes_too_long(guard, backend):
    backend.scripts["drip"] = [OK + b"Content-Length: 1000\r\n\r\n", *([b".", 0.05] * 1000)]
    reply = ask(guard.address, uri="/app/short/drip")
    assert reply.status == 200 and not reply.complete and 0 < len(reply.body) < 1000
    backend.scripts["drip-head"] = [OK, *([b"X: y\r\n", 0.05] * 150)]
    assert error(ask(guard.address, uri="/app/short/drip-head")) == (504, "backend_timeout")
    check_canary(guard, backend)


def test_reads_no_body(guard, backend):
    """Neither read nor answered."""
    backend.scripts["unread"] = [60]
    reply = ask(guard.address, "POST", "/app/silent/unread", body=b"x" * (16 << 20))
    assert error(reply) == (504, "backend_timeout")
    check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"413 Too Large", b"500 Wrong"])
def test_answers_before_the_body_is_read(guard, backend, status):
    backend.scripts["unread-early"] = [b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok", HANG]
    reply = ask(guard.address, "POST", "/app/h/unread-early", body=b"x" * (16 << 20))
    assert reply.complete and reply.status == int(status.split()[0])
    check_canary(guard, backend, reused=False)


def test_answers_by_chunks_before_the_body_is_read(guard, backend):
    """Where nothing but the last chunk says that it is all."""
    over = threading.Event()
    for name, script in (("unread-all", [CHUNKED + b"2\r\nok\r\n0\r\n\r\n"]),
                         ("unread-parts", [CHUNKED, b"1\r\no\r\n", 0.05, b"1\r\nk\r\n", 0.05, b"0\r\n\r\n"])):
        backend.scripts[name] = [*script, over, CLOSE]
        reply = ask(guard.address, "POST", f"/app/silent/{name}", body=b"x" * (16 << 20))
        assert (reply.status, reply.body, reply.complete) == (200, b"ok", True), name
        check_canary(guard, backend, reused=False)
    over.set()


WHOLE = {
    "length": (whole(LENGTH.strip()), b"ok"),
    "length of 30000": (whole(b"Content-Length: 30000", body=b"o" * 30000), b"o" * 30000),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
    "chunks": ([CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], b"ok"),
}


@contextlib.contextmanager
def half_sent(guard, uri, size=100000):
    """A request whose body lacks its second half."""
    params = environment("POST", uri, replace={"CONTENT_LENGTH": str(size + 20000)})
    with Connection(guard.address) as client:
        client.send(begin() + stream(PARAMS, pairs(params)) + stream(STDIN, b"x" * size, end=False))
        yield client


@pytest.mark.parametrize("name", WHOLE)
def test_answers_before_the_client_has_sent_the_body(guard, backend, name):
    """The client sends the rest, if at all, when it has the answer."""
    script, body = WHOLE[name]
    for end in (HANG, END):
        backend.scripts["unread-half"] = [*script, end, HANG]
        with half_sent(guard, "/app/h/unread-half") as client:
            reply = client.reply()
        assert (reply.body, reply.complete) == (body, True), (reply.raw, end)
        check_canary(guard, backend, reused=False)


@pytest.mark.parametrize("script", [[CHUNKED + b"2\r\nok\r\n", END], [OK + b"Content-Length: 3\r\n\r\nok", END]], ids=["chunks", "length"])
def test_ends_inside_its_reply_before_the_body_is_read(guard, backend, script):
    over = threading.Event()
    backend.scripts["unread-cut"] = [*script, over, CLOSE]
    reply = ask(guard.address, "POST", "/app/silent/unread-cut", body=b"x" * (16 << 20))
    over.set()
    assert (reply.status, reply.body, reply.complete) == (200, b"ok", False)
    assert logged(guard, reply)["code"] == "reply_cut"
    check_canary(guard, backend, reused=False)


def test_asks_for_credentials_as_a_proxy(guard, backend):
    backend.scripts["407"] = [b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"]
    assert error(ask(guard.address, uri="/app/h/407")) == (502, "bad_reply")
    backend.scripts["proxy"] = [OK + b"Proxy-Authenticate: a\r\nProxy-Authentication-Info: b\r\nContent-Length: 2\r\n\r\nok"]
    reply = ask(guard.address, uri="/app/h/proxy")
    assert reply.body == b"ok" and not [name for name, _ in reply.headers if name.startswith("Proxy-")]


def test_larger_than_max_output(guard, backend):
    backend.scripts["large"] = whole(b"Content-Length: 101", body=b"x" * 101)
    assert error(ask(guard.address, uri="/app/small/large")) == (502, "bad_reply")
    backend.scripts["large-chunks"] = whole(b"Transfer-Encoding: chunked", body=b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
    reply = ask(guard.address, uri="/app/small/large-chunks")
    assert not reply.complete and logged(guard, reply)["code"] == "reply_cut"
    check_canary(guard, backend)


# ---- what the backend is told

FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X-Forwarded-Port": "1",
          "X-Forwarded-Prefix": "/evil", "X-Forwarded-Server": "evil", "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6",
          "X-Client-IP": "6.6.6.6", "True-Client-IP": "6.6.6.6", "X-Original-URL": "/admin", "X-Rewrite-URL": "/admin",
          "X-HTTP-Method-Override": "DELETE", "X-Request-ID": "forged", "Remote-User": "root", "X-Remote-User": "root",
          "X-Auth-User": "root", "X-Forwarded-User": "root", "Auth-Type": "forged", "Auth-Method": "forged",
          "Auth-Roles": "admin", "Auth-Scopes": "all", "CSP-Nonce": "forged", "Proxy": "http://evil", "Email": "root@evil",
          "X-Tenant": "forged", "X-SSL-Client-Verify": "SUCCESS"}
OURS = {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded", "X-Real-IP",
        "X-Request-ID"}


def asked(guard, backend, where="/app/h", method="GET", **words):
    text = f"canary-{next(counter)}"
    reply = ask(guard.address, method, f"{where}/canary/{text}", **words)
    return reply, backend.last()


def test_forged_headers_never_arrive(guard, backend):
    reply, request = asked(guard, backend, headers=FORGED, replace={"REMOTE_ADDR": "192.0.2.7"})
    assert reply.status == 200
    for name, value in FORGED.items():
        if name in ("Email", "X-Tenant"):  # of a route that asks nobody they mean nothing
            assert request.all(name) == [value]
        elif name in OURS:
            assert len(request.all(name)) == 1 and value not in request.get(name), (name, request.get(name))
        else:
            assert not request.all(name), name
    assert request.get("X-Forwarded-For") == request.get("X-Real-IP") == "192.0.2.7"
    assert (request.get("X-Forwarded-Proto"), request.get("X-Forwarded-Host")) == ("http", "localhost")
    assert request.get("X-Forwarded-Prefix") == "/app/h"
    assert request.get("Forwarded") == 'for=192.0.2.7;proto=http;host="localhost"'
    assert request.get("X-Request-ID") == reply.get("X-Request-ID")


def test_trusted_proxies_are_believed(guard, backend):
    _, request = asked(guard, backend, replace={"REMOTE_ADDR": "10.0.0.1"},
                       headers={"X-Forwarded-For": "6.6.6.6, 2001:db8::7", "X-Forwarded-Proto": "https", "True-Client-IP": "1.1.1.1"})
    assert request.get("X-Forwarded-For") == request.get("X-Real-IP") == "2001:db8::7"
    assert request.get("Forwarded") == 'for="[2001:db8::7]";proto=https;host="localhost"'
    assert request.get("X-Forwarded-Proto") == "https" and not request.all("True-Client-IP")


def test_the_caller_is_told(guard, backend):
    headers = {**FORGED, "Authorization": "Bearer " + token(sub="alice", roles=["admin", "dev"], scope="read", email="a@b.example",
                                                            host="evil.example")}
    reply, request = asked(guard, backend, "/app/user", headers=headers)
    assert reply.status == 200
    assert [request.all(name) for name in ("Remote-User", "Auth-Type", "Auth-Method", "Auth-Roles", "Auth-Scopes", "Email")] == [
        ["alice"], ["Bearer"], ["user"], ["admin dev"], ["read"], ["a@b.example"]]
    assert request.all("X-Tenant") == [] and request.all("Authorization") == [] and request.all("Host") == ["localhost"]


def test_hop_by_hop_headers_stay_here(guard, backend):
    hops = {"Connection": "close, X-Named", "X-Named": "1", "Keep-Alive": "timeout=5", "Proxy-Connection": "close", "TE": "trailers",
            "Trailer": "X-A", "Upgrade": "websocket", "Proxy-Authorization": "Basic eDp5", "Expect": "100-continue",
            "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    _, request = asked(guard, backend, headers={**hops, "X-Kept": "1", "Accept-Encoding": "br", "Cookie": "a=1", "X-Empty": "",
                                                "Via": "1.0 before", "Authorization": "Basic eDp5"})
    assert not [name for name in hops if request.all(name)]
    assert (request.get("X-Kept"), request.get("Accept-Encoding"), request.get("Cookie"), request.get("X-Empty")) == ("1", "br", "a=1", "")
    assert request.get("Via") == "1.0 before, 1.1 fcgiguard" and request.get("Authorization") == "Basic eDp5"
    assert not request.all("Accept") and not request.all("User-Agent"), "libcurl has headers of its own"


def test_the_version_is_told(guard, backend):
    _, request = asked(guard, backend, "/app/version", headers={"API-Version": "1"})
    assert request.all("API-Version") == ["1"]
    _, request = asked(guard, backend, "/app/version")
    assert request.all("API-Version") == ["2"]


TARGETS = {
    "/app/h/canary/a//b/../c/./d": "/canary/a/c/d",
    "/app/h/canary/%61%20b%25": "/canary/a%20b%25",
    "/app/h/canary/%c3%a9?q=%20+%zz&a[]=1": "/canary/%C3%A9?q=%20+%zz&a[]=1",
    "/app/h/canary/x?": "/canary/x?",
    "/app/h/canary/a;b=1,c@d:e?f;g": "/canary/a%3Bb=1,c@d:e?f;g",
    "/app/h/canary/admin;x/users%3b": "/canary/admin%3Bx/users%3B",
    "/app/h": "/", "/app/h/": "/",
    "/app/plain/a": "/base/app/plain/a",
    "/app/fixed/a%20b/c/d?e=f": "/v2/a%20b/x/c/d?e=f",
    "/app/fixed/7": "/v2/7/x",
}


@pytest.mark.parametrize("sent", TARGETS)
def test_targets(guard, backend, sent):
    ask(guard.address, uri=sent)
    assert backend.last().line == f"GET {TARGETS[sent]} HTTP/1.1"


def test_a_blank_in_the_query_ends_nothing(guard, backend):
    ask(guard.address, uri="/app/h/canary/a?b HTTP/1.1 \xe9")
    assert backend.last().line == "GET /canary/a?b%20HTTP/1.1%20%C3%A9 HTTP/1.1"


def test_host_and_headers_of_the_policy(guard, backend):
    ask(guard.address, uri="/app/fixed/7", headers={"Authorization": "Basic eDp5", "X-Tenant": "forged"})
    request = backend.last()
    assert request.all("Host") == ["app.example.com"] and request.all("Authorization") == ["Bearer of-ours"]
    assert request.all("X-Tenant") == ["seven"] and request.all("X-Empty") == [""]
    ask(guard.address, uri="/app/own/x", headers={"Host": "evil.example"})
    assert backend.last().all("Host") == [backend.url[len("http://"):]]
    ask(guard.address, uri="/app/h/x", headers={"Host": "Client.Example:8080"})
    assert backend.last().all("Host") == ["client.example:8080"]


def test_trace_is_not_forwarded(guard, backend):
    before = len(backend.requests)
    assert error(ask(guard.address, "TRACE", "/app/h/canary/a")) == (405, "method_not_allowed")
    assert len(backend.requests) == before


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_methods_and_bodies(guard, backend, method):
    for body in (None, b"", b"{}", os.urandom(100000)):
        for where in ("/app/h", "/app/own"):
            _, request = asked(guard, backend, where, method, body=body)
            assert request.line.startswith(method + " ") and request.body == (body or b"")
            stated = request.all("Content-Length")
            assert stated == ([str(len(body))] if body else ["0"] if method in ("POST", "PUT") else []), (method, body, stated)
            assert not request.all("Transfer-Encoding") and not request.all("Expect")


@pytest.mark.parametrize("where", ["/app/h", "/app/own"])
def test_a_body_without_a_length_gets_one(guard, backend, where):
    body = os.urandom(300000)
    params = [pair for pair in environment("POST", where + "/canary/x", body=body) if pair[0] != "CONTENT_LENGTH"]
    reply = ask(guard.address, params=params, body=body)
    assert reply.status == 200 and backend.last().body == body
    assert backend.last().all("Content-Length") == [str(len(body))]


def test_a_body_is_handed_on_as_it_comes(guard, backend):
    """The backend has its first part before the client sends the second."""
    came, told = threading.Event(), threading.Event()
    backend.scripts["unread-first"] = [came.set, *whole(LENGTH.strip()), told, CLOSE]
    params = environment("POST", "/app/h/unread-first", replace={"CONTENT_LENGTH": "200000"})
    with Connection(guard.address) as connection:
        connection.send(begin() + stream(PARAMS, pairs(params)) + stream(STDIN, b"x" * 100000, end=False))
        assert came.wait(60), "the backend was not asked"
        connection.send(stream(STDIN, b"x" * 100000))
        assert connection.reply().status == 200
    told.set()


# ---- connections

def test_a_kept_connection_that_was_closed(guard, backend):
    """Seen before it is used, so that any method goes on."""
    for method in ("GET", "POST", "PUT"):
        check_canary(guard, backend)
        serial = backend.last().connection
        backend.close_connections()
        wait_until(lambda serial=serial: serial not in backend.open, what="it is closed")
        reply, request = asked(guard, backend, method=method, body=b"{}")
        assert reply.status == 200 and request.body == b"{}"


@pytest.mark.parametrize("method, tries, status", [("GET", 2, 200), ("PUT", 2, 200), ("DELETE", 2, 200), ("POST", 1, 502)])
def test_a_kept_connection_that_closes_when_it_is_asked(guard, backend, method, tries, status):
    """What may have been carried out is not sent again, but where that does no harm (RFC 9110, 9.2.2)."""
    check_canary(guard, backend)
    answers = [[CLOSE], whole(LENGTH.strip())]
    name = f"once-{method}"

    class Next(list):
        def __iter__(self):
            return iter(answers.pop(0))
    backend.scripts[name] = Next([1])
    before = len(backend.requests)
    reply = ask(guard.address, method, f"/app/own/{name}", body=b"" if method == "POST" else None)
    assert (reply.status, len(backend.requests) - before) == (status, tries)
    if status == 502:
        assert "not sent twice" in logged(guard, reply)["detail"]
    check_canary(guard, backend)


def test_a_spooled_body_is_sent_again(guard, backend):
    asked(guard, backend, "/app/own")
    ask(guard.address, uri="/app/own/x")
    answers = [[CLOSE], whole(LENGTH.strip())]

    class Next(list):
        def __iter__(self):
            return iter(answers.pop(0))
    backend.scripts["again"] = Next([1])
    before = len(backend.requests)
    reply = ask(guard.address, "PUT", "/app/own/again", body=b"body" * 50000)
    assert reply.status == 200 and [request.body for request in backend.requests[before:]] == [b"body" * 50000] * 2


def test_nobody_listens(guard):
    reply = ask(guard.address, uri="/app/dead/x")
    assert error(reply) == (502, "backend_unavailable")
    assert "connect" in logged(guard, reply)["detail"]


def test_a_connection_that_is_not_taken(guard, full):
    reply = ask(guard.address, uri="/app/full/x")
    assert error(reply) == (504, "backend_timeout")


def test_more_than_connections(guard, backend):
    go, asked_first = threading.Event(), threading.Event()
    backend.scripts["wait"] = [lambda: asked_first.set(), go, *whole(LENGTH.strip())]
    replies = []
    first = threading.Thread(target=lambda: replies.append(ask(guard.address, uri="/app/one/wait")))
    first.start()
    try:
        assert asked_first.wait(60)
        reply = ask(guard.address, uri="/app/one/canary/x")
        assert error(reply) == (503, "backend_busy") and int(reply.get("Retry-After")) >= 1
    finally:
        go.set()
        first.join()
    assert replies[0].body == b"ok"
    assert ask(guard.address, uri="/app/one/canary/x").body == b"x"


def test_the_client_leaves(guard, backend):
    """The backend is not kept at work for nobody: its connection is closed at once."""
    asked_first = threading.Event()
    for part in (b"", b"".join(whole(b"Content-Length: 10", body=b"half"))):
        asked_first.clear()

        class Say(list):
            def __iter__(self, part=part):
                if part:
                    yield part
                asked_first.set()
                yield HANG
        backend.scripts["leave"] = Say([1])
        with Connection(guard.address) as connection:
            connection.send(begin() + stream(PARAMS, pairs(environment(uri="/app/h/leave"))) + stream(STDIN, b""))
            assert asked_first.wait(60)
            serial = backend.last().connection
            assert serial in backend.open
        wait_until(lambda serial=serial: serial not in backend.open, what="the backend's connection is closed")
    check_canary(guard, backend)


def test_a_client_that_does_not_read(guard, backend):
    """The backend is not read from either: what is under way stays bounded."""
    sent = [0]
    piece = b"x" * 65536

    class Much(list):
        def __iter__(self):
            yield OK + b"Content-Length: %d\r\n\r\n" % (4000 * len(piece))
            for _ in range(4000):
                sent[0] += len(piece)
                yield piece
    backend.scripts["much"] = Much([1])
    with Connection(guard.address) as connection:
        connection.send(begin() + stream(PARAMS, pairs(environment(uri="/app/h/much"))) + stream(STDIN, b""))
        wait_until(lambda: sent[0] > 0)
        previous = -1
        while previous != sent[0]:  # until it is stuck
            previous = sent[0]
            time.sleep(1)
        assert sent[0] < 100 << 20, "all of it was taken"
        assert connection.record()[0] == STDOUT
    check_canary(guard, backend)


def test_nothing_is_left(guard):
    with guard.leaves_nothing():
        for uri in ("/app/h/canary/x", "/app/dead/x", "/app/h/" + name_of("the end inside the head"), "/app/silent/" + name_of("silence at once")):
            ask(guard.address, uri=uri)
