"""Small bodies that come slowly: those that are handed on as they come are begun where the
web server means it, while half of the threads are free; all others take no thread until they are whole."""

import contextlib
import json
import socket
import time

import pytest

import harness
import servers
from records import PARAMS, STDIN, Connection, ask, begin, environment, pairs, record, stream

PROGRAM = """#!/usr/bin/perl
open my $seen, '>>', '%s' or die;
while (my $got = sysread(STDIN, my $piece, 1000)) { syswrite $seen, $piece; }
print "Content-Type: text/plain\\n\\nread\\n";
"""
THREADS = 4


class Slow:
    """A guard, and what its program has read so far."""

    def __init__(self, folder, start_guard):
        self.seen = folder.writable("seen") / "body"
        program = str(folder.write("read.pl", PROGRAM % self.seen, 0o755))
        taken = str(folder.write("taken.json", '{"type": "object", "properties": {"a": {"type": "integer"}}}'))
        self.guard = start_guard({"threads": THREADS, "defaults": {"auth": "none"}, "timeouts": {"read": "10m"}, "routes": [
            {"path": "/stream", "methods": ["POST"], "body": "1mb", "exec": program},
            {"path": "/spool", "methods": ["POST"], "body": "1mb", "exec": {"program": program, "input": "spool"}},
            {"path": "/judged", "methods": ["POST"], "body": {"max": "1mb", "schema": taken}, "exec": program},
            {"path": "/hello", "methods": ["GET"], "respond": {"status": 200, "body": "hello\n"}},
        ]}, name="slow")

    def read(self):
        return self.seen.read_bytes() if self.seen.exists() else b""

    def busy(self):
        ran = harness.run([self.guard.program, "status", "-c", self.guard.policy_path, "--json"])
        assert ran.returncode == 0, ran
        return json.loads(ran.stdout)["busy"]

    def begin(self, path, body, first, server="nginx/1.22.1"):
        """A request of which so much of the body has been sent."""
        connection = Connection(self.guard.address)
        params = environment("POST", path, {"Content-Type": "application/json"}, body, {"SERVER_SOFTWARE": server})
        connection.send(begin() + stream(PARAMS, pairs(params)) + (record(STDIN, body[:first]) if first else b""))
        return connection


@pytest.fixture(scope="module")
def slow(folder, start_guard):
    return Slow(folder, start_guard)


@pytest.fixture(autouse=True)
def nothing_seen(slow):
    slow.seen.unlink(missing_ok=True)


@pytest.mark.parametrize("first", [0, 1, 5])
def test_handed_on_as_it_comes(slow, first):
    with slow.begin("/stream", b'{"a": 123}', first) as connection:
        harness.wait_until(lambda: slow.busy() == 1, what="the program")
        harness.wait_until(lambda: slow.read() == b'{"a": 123}'[:first], what="the first of the body")
        connection.send(record(STDIN, b'{"a": 123}'[first:9]))
        harness.wait_until(lambda: slow.read() == b'{"a": 123', what="more of it")
        connection.send(record(STDIN, b"}") + record(STDIN))
        assert connection.reply().body == b"read\n"
    assert slow.read() == b'{"a": 123}'


@pytest.mark.parametrize("path, server", [
    ("/spool", "nginx/1.22.1"), ("/judged", "nginx/1.22.1"), ("/unknown", "nginx/1.22.1"), ("/stream", "Apache/2.4"), ("/stream", "Caddy")])
def test_takes_no_thread(slow, path, server):
    with slow.begin(path, b'{"a": 123}', 5, server) as connection, slow.begin("/stream", b"{}", 1, "lighttpd/1.4") as other:
        harness.wait_until(lambda: slow.read() == b"{", what="the other one, which came later")
        time.sleep(1)
        assert slow.busy() == 1
        connection.send(record(STDIN, b" 123}") + record(STDIN))
        assert connection.reply().status == (404 if path == "/unknown" else 200)
        other.send(record(STDIN, b"}") + record(STDIN))
        assert other.reply().status == 200


def test_half_of_the_threads_stay_free(slow):
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(slow.begin("/stream", b"1234567890", 3)) for _ in range(3 * THREADS)]
        harness.wait_until(lambda: slow.busy() == THREADS // 2, what="half of the threads")
        for _ in range(10):
            assert ask(slow.guard.address, uri="/hello").body == b"hello\n"
            assert slow.busy() <= THREADS // 2
            time.sleep(0.1)
        for connection in opened:
            connection.send(record(STDIN, b"4567890") + record(STDIN))
        assert [connection.reply().body for connection in opened] == [b"read\n"] * len(opened)
    assert sorted(slow.read()) == sorted(b"1234567890" * len(opened))


def test_client_leaves(slow):
    with slow.begin("/stream", b"1234567890", 3):
        harness.wait_until(lambda: slow.read() == b"123", what="the first of the body")
    harness.wait_until(lambda: slow.busy() == 0, what="an end")
    slow.guard.wait_entry(event="request", path="/stream", status=400, code="client_gone")


def test_through_nginx(slow, folder):
    port = harness.free_port()
    nginx = servers.nginx(folder, f"""
    server {{
        listen 127.0.0.1:{port};
        include /etc/nginx/fastcgi_params;
        location / {{ fastcgi_request_buffering off; fastcgi_pass unix:{slow.guard.address}; }}
    }}""", "slow-nginx", port)
    try:
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            whole = servers.request("POST", "/stream", {"Content-Type": "text/plain"}, b"0123456789")
            connection.sendall(whole[:-10])
            harness.wait_until(lambda: slow.busy() == 1, what="the program")
            connection.sendall(b"01234")
            harness.wait_until(lambda: slow.read() == b"01234", what="the first of the body")
            connection.sendall(b"56789")
            reply = servers.Response(servers.receive_all(connection), "POST")
    finally:
        nginx.stop()
    assert (reply.status, reply.body, slow.read()) == (200, b"read\n", b"0123456789")
