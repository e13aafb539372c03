"""Programs with faults: each request ends as described, and no process,
descriptor or file is left over."""

import json
import os
import select
import signal
import threading
import time
import zlib

import pytest

import harness
import records
from records import Connection, ask, environment, raw

TEN_GIGABYTES = 10 << 30


@pytest.fixture(scope="module")
def guard(start_guard, helper, programs):
    many = ["GET", "POST"]
    guard = start_guard({
        "threads": 8,
        "timeouts": {"read": "20s", "write": "5s", "idle": "20s"},
        "reply_spool": "1mb",
        "defaults": {"auth": "none", "body": "64mb"},
        "routes": [
            {"path": "/app/h/**", "methods": many, "exec": {"program": helper, "timeout": "20s"}},
            {"path": "/app/spool/**", "methods": many, "exec": {"program": helper, "input": "spool"}},
            {"path": "/app/short/**", "methods": many, "exec": {"program": helper, "timeout": "3s"}},
            {"path": "/app/silent/**", "methods": many, "exec": {"program": helper, "silence": "2s"}},
            {"path": "/app/capped/**", "methods": many, "exec": {"program": helper, "max_output": "1mb"}},
            {"path": "/app/own/**", "methods": many, "pass_errors": True, "exec": helper},
            {"path": "/app/steer/**", "methods": many, "exec": {"program": helper, "steering": ["X-Accel-Redirect"]}},
            {"path": "/app/missing", "exec": str(programs / "plain.sh")},
            {"path": "/app/scripts/**", "exec": {"root": str(programs), "index": "plain.sh"}},
        ]}, name="programs")
    assert ask(guard.address).status == 200  # what is opened once is open
    return guard


def error(reply):
    return json.loads(reply.body)["error"]


def logged(guard, reply):
    return guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))


# ---- input and output

@pytest.mark.parametrize("where", ["/app/h", "/app/spool"])
def test_writes_a_megabyte_before_it_reads_one(guard, where):
    body = os.urandom(1 << 20)
    with guard.leaves_nothing():
        reply = ask(guard.address, "POST", f"{where}/write-first", body)
    assert reply.complete and len(reply.body) > 1 << 20
    assert reply.body[1 << 20:].split() == [b"%d" % len(body), b"%d" % zlib.crc32(body)]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 5000000])
@pytest.mark.parametrize("where", ["/app/h", "/app/spool"])
def test_body_arrives_whole(guard, where, size):
    body = os.urandom(size)
    with guard.leaves_nothing():
        reply = ask(guard.address, "POST", f"{where}/count", body)
    assert reply.body.split() == [b"%d" % size, b"%d" % zlib.crc32(body)]


def test_spooled_body_has_its_length(guard):
    """With `input: spool` a program learns the length of a body that had none."""
    params = environment(method="POST", uri="/app/spool/inspect")
    with Connection(guard.address) as connection:
        connection.send(records.request(params, b"z" * 100000))
        seen = json.loads(connection.reply().body)
    assert "CONTENT_LENGTH=100000" in seen["environment"] and seen["body"] == 100000


def test_body_is_streamed(guard):
    """With `input: stream` the program runs while a large body is still coming;
    its reply is held back until the body is in, for nginx's sake."""
    first = b"f" * 100000
    with guard.leaves_nothing(), Connection(guard.address) as connection:
        connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(
            environment(method="POST", uri="/app/h/echo"))) + records.stream(records.STDIN, first, end=False))
        harness.wait_until(guard.programs, 5, "the program runs")
        readable, _, _ = select.select([connection.socket], [], [], 0.2)
        assert not readable, "the reply began before the body was in"
        connection.send(records.stream(records.STDIN, b"second"))
        assert records.parse(connection.reply().raw)[2] == first + b"second"


def test_reply_is_streamed(guard):
    with guard.leaves_nothing(), Connection(guard.address) as connection:
        connection.send(records.request(environment(uri="/app/h/drip?100")))
        got = b""
        while not got.endswith(b"."):
            got += connection.record()[2]
        assert got.count(b".") < 100, "the first byte waited for the last"
        reply = connection.reply()
        assert reply.complete and reply.raw.count(b".") + got.count(b".") >= 100


def test_never_reads_its_input(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, "POST", "/app/h/read-nothing", b"z" * 3000000)
        assert (reply.status, reply.body) == (200, b"hello\n")


def test_many_at_once(guard):
    """Eight threads, forty programs, each with its own body and answer."""
    failures = []

    def one(number):
        body = bytes([number]) * (number * 20000 + 1)
        reply = ask(guard.address, "POST", "/app/h/echo", body, timeout=60)
        if reply.body != body:
            failures.append(number)
    with guard.leaves_nothing():
        threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


# ---- programs that do not end

def test_sleeps_for_ever_with_grandchildren(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/short/sleep")
        assert (reply.status, error(reply)) == (504, "program_timeout")
    assert logged(guard, reply)["code"] == "program_timeout"


def test_silence(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/silent/sleep")
        assert (reply.status, error(reply)) == (504, "program_timeout")
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/silent/drip?30")
        assert reply.complete and reply.status == 200, "it spoke every 50 ms"


def test_silence_after_the_head(guard):
    """The head is out: the web server must learn that the reply is not whole."""
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/silent/sleep-after-head")
        assert reply.body == b"begin\n"
        assert not reply.complete or reply.application_status != 0
    entry = logged(guard, reply)
    assert entry["code"] == "reply_cut" and entry["level"] == "warning"


def test_leaves_children_behind(guard):
    """Its answer is whole; what it left in its process group goes with it."""
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/leave-children")
        assert (reply.status, reply.body) == (200, b"hello\n")


def test_leaves_children_in_their_own_session(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/leave-escaped")
        assert (reply.status, reply.body) == (200, b"hello\n")


def test_closes_its_output_and_stays(guard):
    with guard.leaves_nothing(30):
        reply = ask(guard.address, uri="/app/short/close-output")
        assert reply.body == b"hello\n"


def test_client_disconnects_while_the_program_sleeps(guard):
    for uri in ("/app/h/sleep", "/app/h/sleep-after-head"):
        with guard.leaves_nothing():
            with Connection(guard.address) as connection:
                connection.send(records.request(environment(uri=uri)))
                harness.wait_until(guard.programs, 5, "the program runs")
            guard.wait_no_programs(5)


def test_client_disconnects_while_it_uploads(guard):
    for uri in ("/app/h/count", "/app/spool/count", "/app/h/sleep"):
        with guard.leaves_nothing():
            with Connection(guard.address) as connection:
                params = environment(method="POST", uri=uri, replace={"CONTENT_LENGTH": "9000000"})
                connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                                + records.stream(records.STDIN, b"x" * 100000, end=False))
                time.sleep(0.2)


def test_client_disconnects_while_it_downloads(guard):
    with guard.leaves_nothing():
        with Connection(guard.address) as connection:
            connection.send(records.request(environment(uri=f"/app/h/big?{TEN_GIGABYTES}")))
            assert len(connection.take(100000)) == 100000


def test_client_that_does_not_read(guard):
    """After `timeouts.write` without a byte taken it is given up."""
    with guard.leaves_nothing(20):
        with Connection(guard.address) as connection:
            connection.send(records.request(environment(uri=f"/app/h/big?{TEN_GIGABYTES}")))
            harness.wait_until(guard.programs, 5, "the program runs")
            guard.wait_no_programs(15)


def test_slow_client_does_not_hold_the_program(guard):
    """What fits in reply_spool is kept aside, and the program ends."""
    with Connection(guard.address) as connection:
        connection.send(records.request(environment(uri="/app/h/big?900000")))
        guard.wait_no_programs(5)
        reply = connection.reply()
        assert reply.complete and len(reply.body) == 900000
    harness.wait_until(lambda: not guard.spool_files(), 5, "no file is left")


# ---- too much

def test_ten_gigabytes(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri=f"/app/capped/big?{TEN_GIGABYTES}", timeout=60)
        assert len(reply.body) <= 1 << 20
        assert not reply.complete or reply.application_status != 0
    assert logged(guard, reply)["code"] == "reply_cut"


def test_ten_gigabytes_stated(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri=raw(f"Content-Type: text/plain\nContent-Length: {TEN_GIGABYTES}\n\nx", "/app/capped"))
        assert reply.status == 502 or not reply.complete or reply.application_status != 0


@pytest.mark.parametrize("header", ["X-Long: " + "v" * 200000, "\n".join(f"X-{n}: v" for n in range(20000))],
                         ids=["one long", "many"])
def test_head_without_end(guard, header, folder):
    script = folder.write("cgi/head.sh", "#!/bin/sh\ncat\n", 0o755)
    assert script
    with guard.leaves_nothing():
        with Connection(guard.address) as connection:
            body = ("Content-Type: text/plain\n" + header + "\n\nbody").encode()
            params = environment(method="POST", uri="/app/scripts/head.sh", body=body)
            connection.send(records.request(params, body))
            reply = connection.reply()
        assert (reply.status, error(reply)) == (502, "bad_reply")


# ---- broken replies

@pytest.mark.parametrize("text", [
    "", "\n\nbody", "just text", "just text\n\nmore", "Content-Type: text/pl", "Content-Type: text/plain\n",
    "Status: 200 OK\nStatus: 404 Not Found\n\nx", "Status: 200 OK\nStatus: 200 OK\n\nx", "Status: 42\n\nx",
    "Status: 101 Switching\n\n", "Status: 1000 X\n\n", "Status: abc\n\n", "Status: 600 X\n\n", "Status:\n\n",
    "Content-Type: a/b\nX-A: b\rSet-Cookie: c=d\n\nx", "Content-Type: a/b\nX-A: b\0c\n\nx", "Content-Type: a/b\nX A: b\n\nx",
    "Content-Type: a/b\n: b\n\nx", "Content-Type: a/b\nX-A : b\n\nx", "Content-Type: a/b\n folded\n\nx",
    "Content-Type: a/b\nContent-Type: c/d\n\nx", "Content-Type: a/b\nContent-Length: 1\nContent-Length: 2\n\nx",
    "Content-Type: a/b\nContent-Length: -1\n\nx", "Content-Type: a/b\nContent-Length: 1x\n\nx",
    "Content-Type: a/b\nLocation: http://a/\nLocation: http://b/\n\nx", "HTTP/1.1 200 OK\nContent-Type: a/b\n\nx",
    "Content-Type: a/b\nX-\xe9: b\n\nx", "Content-Type: a/b\nX-A: b\x7f\n\nx"])
def test_broken_head(guard, text):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri=raw(text))
        assert (reply.status, error(reply)) == (502, "bad_reply"), reply.raw
        assert "Set-Cookie" not in dict(reply.headers)
    entry = logged(guard, reply)
    assert entry["code"] == "bad_reply" and entry["detail"], "the log says what was wrong"


def test_length_is_longer_than_the_body(guard):
    """The body is cut, and whoever waits for the rest must learn it."""
    with guard.leaves_nothing():
        reply = ask(guard.address, uri=raw("Content-Type: text/plain\nContent-Length: 100\n\nshort"))
        assert reply.body == b"short"
        assert not reply.complete or reply.application_status != 0
    assert logged(guard, reply)["code"] == "reply_cut"


def test_body_is_longer_than_the_length(guard):
    with guard.leaves_nothing(), Connection(guard.address) as connection:
        reply = connection.ask(environment(uri=raw("Content-Type: text/plain\nContent-Length: 5\n\nshort and more")))
        assert (reply.body, reply.get("Content-Length")) == (b"short", "5")
        assert connection.ask().body == b"hello\n"


def test_kills_itself(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/kill-self")
        assert (reply.status, error(reply)) == (502, "bad_reply")
    assert "signal" in json.dumps(logged(guard, reply)) or guard.wait_text(r"signal")


def test_kills_itself_in_the_middle(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/kill-self-later")
        assert reply.body == b"only this"
        assert not reply.complete or reply.application_status != 0


def test_exit_status_is_told_to_the_log(guard):
    with guard.leaves_nothing():
        before = len(guard.text())
        reply = ask(guard.address, uri="/app/h/end-with?3")
        assert (reply.status, reply.body) == (200, b"hello\n")
    guard.wait_text(r"\b3\b", since=before)


def test_own_errors(guard):
    text = "Status: 503 Down\nContent-Type: text/html\nRetry-After: 5\nX-Secret: 1\n\nstack trace"
    reply = ask(guard.address, uri=raw(text))
    assert (reply.status, error(reply)) == (503, "internal_error")
    assert b"stack" not in reply.raw
    reply = ask(guard.address, uri=raw(text, "/app/own"))
    assert (reply.status, reply.body, reply.get("Retry-After")) == (503, b"stack trace", "5")


# ---- replies that are right

@pytest.mark.parametrize("text, status, body", [
    ("Content-Type: text/plain\n\nx", 200, b"x"), ("Content-Type: text/plain\r\n\r\nx", 200, b"x"),
    ("Status: 404\nContent-Type: text/plain\n\nx", 404, b"x"), ("status: 201 Made\ncontent-type: text/plain\n\nx", 201, b"x"),
    ("Status: 204 No Content\n\n", 204, b""), ("Status: 304 Not Modified\n\n", 304, b""),
    ("Status: 204 No Content\n\nbody", 204, b""), ("Location: https://a.example/b\n\n", 302, b""),
    ("Status: 303 See Other\nLocation: https://a.example/b\n\n", 303, b""),
    ("Status: 301 Moved\nLocation: https://a.example/b\nContent-Type: text/plain\n\nhere", 301, b"here"),
    ("Content-Type: text/plain\n\n", 200, b""), ("Content-Type: text/plain\n\n\n\n", 200, b"\n\n"),
])
def test_heads(guard, text, status, body):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri=raw(text))
    assert (reply.status, reply.body, reply.complete) == (status, body, True), reply.raw
    assert reply.raw.startswith(b"Status: %d" % status)
    assert reply.all("Status") == []


def test_head_request(guard):
    with Connection(guard.address) as connection:
        reply = connection.ask(environment(method="HEAD", uri=raw("Content-Type: text/plain\nContent-Length: 5\n\nfive!")))
        assert (reply.status, reply.body, reply.get("Content-Length")) == (200, b"", "5")
        reply = connection.ask(environment(method="HEAD", uri="/app/none"))
        assert (reply.status, reply.body) == (404, b"")
        assert connection.ask().body == b"hello\n"


def test_local_redirect(guard):
    """RFC 3875, 6.2.2: the client is sent there; it is not served from within."""
    reply = ask(guard.address, uri=raw("Location: /app/h/hello?x=1\n\n"))
    assert reply.status in (302, 303, 307) and reply.get("Location") == "/app/h/hello?x=1"


def test_steering(guard):
    text = "Content-Type: text/plain\nX-Sendfile: /etc/passwd\nX-Accel-Redirect: /inner\nX-LIGHTTPD-send-file: /x\n\nx"
    names = [name.lower() for name, _ in ask(guard.address, uri=raw(text)).headers]
    assert not {"x-sendfile", "x-accel-redirect", "x-lighttpd-send-file"} & set(names)
    reply = ask(guard.address, uri=raw(text, "/app/steer"))
    assert reply.get("X-Accel-Redirect") == "/inner" and reply.get("X-Sendfile") is None


def test_hop_by_hop_headers(guard):
    text = "Content-Type: text/plain\nConnection: close\nTransfer-Encoding: chunked\nKeep-Alive: 5\nUpgrade: x\n\nx"
    names = {name.lower() for name, _ in ask(guard.address, uri=raw(text)).headers}
    assert not {"connection", "transfer-encoding", "keep-alive", "upgrade"} & names


# ---- scripts

def test_scripts_beneath_a_root(guard, folder, programs):
    folder.write("cgi/sub/inner.sh", (programs / "plain.sh").read_bytes(), 0o755)
    (folder / "cgi/sub").chmod(0o755)
    assert ask(guard.address, uri="/app/scripts/plain.sh").body == b"<p>GET </p>\n"
    assert ask(guard.address, uri="/app/scripts/plain.sh/a/b").body == b"<p>GET /a/b</p>\n"
    assert ask(guard.address, uri="/app/scripts/sub/inner.sh/c").body == b"<p>GET /c</p>\n"
    assert ask(guard.address, uri="/app/scripts/").body == b"<p>GET </p>\n"
    seen = json.loads(ask(guard.address, uri="/app/scripts/helper/inspect").body)
    variables = dict(entry.split("=", 1) for entry in seen["environment"])
    assert variables["SCRIPT_NAME"] == "/app/scripts/helper"
    assert variables["SCRIPT_FILENAME"] == str(programs / "helper")
    assert variables["PATH_INFO"] == "/inspect" and seen["folder"] == str(programs)


def test_scripts_that_are_refused(guard, folder, programs):
    plain = (programs / "plain.sh").read_bytes()
    folder.write("outside.sh", plain, 0o755)
    folder.write("cgi/open.sh", plain, 0o777)
    folder.write("cgi/group.sh", plain, 0o775)
    folder.write("cgi/data.sh", plain, 0o644)
    folder.write("cgi/setuid.sh", plain, 0o4755)
    folder.write("cgi/wide/inner.sh", plain, 0o755)
    (folder / "cgi/wide").chmod(0o777)
    os.symlink(folder / "outside.sh", programs / "link.sh")
    os.symlink("plain.sh", programs / "near.sh")
    os.symlink("/etc", programs / "etc")
    os.mkfifo(programs / "pipe.sh")
    (programs / "pipe.sh").chmod(0o755)
    for name in ("none.sh", "link.sh", "etc/passwd", "open.sh", "group.sh", "data.sh", "setuid.sh", "wide/inner.sh",
                 "pipe.sh", "sub", "../outside.sh", "x" * 300):
        reply = ask(guard.address, uri=f"/app/scripts/{name}")
        assert reply.status in (403, 404, 502), (name, reply.status, reply.body)
        assert error(reply) in ("script_not_found", "program_failed", "route_not_found", "path_above_root"), (name, reply.body)
        assert b"<p>" not in reply.body
    assert str(folder).encode() not in ask(guard.address, uri="/app/scripts/open.sh").raw
    assert error(ask(guard.address, uri="/app/scripts/none.sh")) == "script_not_found"
    guard.wait_text(r"can be written")


def test_program_that_has_gone(guard, programs):
    plain = programs / "plain.sh"
    content = plain.read_bytes()
    plain.unlink()
    try:
        with guard.leaves_nothing():
            reply = ask(guard.address, uri="/app/missing")
            assert (reply.status, error(reply)) == (502, "program_failed")
    finally:
        plain.write_bytes(content)
        plain.chmod(0o755)
    assert ask(guard.address, uri="/app/missing").status == 200


def test_program_that_cannot_be_run(guard, folder):
    folder.write("cgi/interpreter.sh", "#!/no/such/interpreter\n", 0o755)
    folder.write("cgi/rubbish.sh", "\x7fELFrubbish", 0o755)
    for name in ("interpreter.sh", "rubbish.sh"):
        with guard.leaves_nothing():
            reply = ask(guard.address, uri=f"/app/scripts/{name}")
            assert (reply.status, error(reply)) == (502, "program_failed"), reply.body


def test_environment_of_a_large_request(guard):
    """A query of 8 kB and sixty kilobytes of headers fit, or are refused; nothing breaks."""
    headers = {f"X-Header-{n}": "v" * 7000 for n in range(8)}
    reply = ask(guard.address, uri="/app/h/inspect?" + "q" * 7000, headers=headers)
    assert reply.status in (200, 431)
    if reply.status == 200:
        assert sum(entry.startswith("HTTP_X_HEADER_") for entry in json.loads(reply.body)["environment"]) == 8


# ---- standard error

def test_standard_error_goes_to_the_log(guard):
    reply = ask(guard.address, uri="/app/h/errors")
    assert (reply.status, reply.body, reply.errors) == (200, b"hello\n", b"")
    request_id = reply.get("X-Request-ID")
    logged(guard, reply)
    lines = [entry for entry in guard.log() if entry.get("requestId") == request_id and entry["event"] != "request"]
    text = json.dumps(lines)
    assert len(lines) >= 5, lines
    assert "first line" in text and "quotes" in text
    assert "last without end" in text
    assert max(len(json.dumps(entry)) for entry in lines) < 25000
    assert b"\x1b" not in guard.log_path.read_bytes()


def test_flood_of_standard_error(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/flood-errors", timeout=60)
        assert (reply.status, reply.body) == (200, b"hello\n")
    guard.log()


# ---- who started it

def test_worker_is_killed_programs_go_too(guard, start_guard, helper):
    own = start_guard({"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": helper}]}, name="victim")
    with Connection(own.address) as connection:
        connection.send(records.request(environment(uri="/app/h/sleep")))
        harness.wait_until(lambda: len(own.programs()) >= 5, 5, "the program and its family run")
        os.kill(own.worker(), signal.SIGKILL)
        assert connection.reply().status == 0
    own.wait_no_programs(5)
    assert ask(own.address).status == 200


def test_sockets_of_clients_are_not_inherited(guard):
    """A program that lives on does not keep the client's connection open."""
    with Connection(guard.address) as sleeping:
        sleeping.send(records.request(environment(uri="/app/h/sleep")))
        harness.wait_until(guard.programs, 5, "the program runs")
        for pid in guard.programs():  # while one loads its libraries, one of them is open
            harness.wait_until(lambda pid=pid: len(harness.descriptors(pid)) == 3, 5, "a program has nothing but its own")
        with Connection(guard.address) as connection:
            assert connection.ask(keep=False).status == 200
            connection.socket.settimeout(30)
            assert connection.closed()
    guard.wait_no_programs(5)
