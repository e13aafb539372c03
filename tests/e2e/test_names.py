"""Backends that have names: looked up in DNS for as long as the answer says, and
asked again then; name servers that are silent, wrong or away; /etc/hosts.

The name server is a thread of the test, and known by a resolv.conf that only the
guard sees, in a mount namespace of its own."""

import contextlib
import ipaddress
import itertools
import random
import socket
import struct
import subprocess
import threading

import pytest

import harness
import scripted
from http_backend import Backend
from conftest import needs_root
from records import ask


def can_mount():
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


pytestmark = [needs_root, pytest.mark.skipif(harness.IS_ROOT and not can_mount(), reason="needs mount namespaces")]


class NameServer:
    """Answers from `names`: {name: (ttl, [addresses])}. What is not there does not exist."""

    def __init__(self):
        self.names, self.asked, self.silent = {}, [], False
        self.truncates, self.more, self.streams = False, lambda answer: answer, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            self.address = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(2, 254)}"
            with contextlib.suppress(OSError):
                self.socket.bind((self.address, 53))
                break
        self.listener = socket.create_server((self.address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        threading.Thread(target=self.serve_streams, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                return
            answer = self.answer(query)
            if self.truncates and answer:
                answer = query[:2] + b"\x83\x80" + query[4:6] + bytes(6) + query[12:query.index(0, 12) + 5]
            if answer:
                self.socket.sendto(self.more(answer), peer)

    def serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                with peer, peer.makefile("rb") as data:
                    while length := data.read(2):
                        answer = self.answer(data.read(*struct.unpack(">H", length)))
                        self.streams += 1
                        peer.sendall(struct.pack(">H", len(answer)) + answer)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind, = struct.unpack(">H", query[at + 1:at + 3])
        name = ".".join(labels)
        self.asked.append((name, kind))
        if self.silent:
            return b""
        ttl, addresses = self.names.get(name, (0, None))
        records = [ipaddress.ip_address(one).packed for one in addresses or ()
                   if (ipaddress.ip_address(one).version == 4) == (kind == 1) and kind in (1, 28)]
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | (3 if addresses is None else 0), 1, len(records), 0, 0)
        answers = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(one)) + one for one in records)
        return head + query[12:at + 5] + answers

    def count(self, name):
        return sum(asked == (name, 1) for asked in self.asked)

    def stop(self):
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


counter = itertools.count()  # a log of its own for each guard


class Named(harness.Guard):
    """A guard to which other files are /etc/resolv.conf and /etc/hosts."""

    def command(self):
        script = ('mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && '
                  'shift 2 && exec "$@"')
        return ["unshare", "--mount", "sh", "-c", script, "sh", self.folder / "resolv.conf", self.folder / "hosts",
                *super().command()]


@pytest.fixture(name="names")
def fixture_names():
    server = NameServer()
    yield server
    server.stop()


@pytest.fixture(name="handler", params=["fastcgi", "http"])
def fixture_handler(request):
    return request.param


@pytest.fixture(name="start")
def fixture_start(folder, names, handler):
    """Starts a guard for a backend of this name and port."""
    started = []

    def start(host, port, keep=False, **settings):
        folder.write("resolv.conf", f"nameserver {names.address}\noptions timeout:4 attempts:1\n")
        folder.write("hosts", "127.0.0.1 localhost\n127.0.0.1 in-hosts.test\n")
        settings = {"connect_timeout": "6s", "idle": "1h" if keep else "100ms", **settings}
        if handler == "fastcgi":
            settings = {"address": f"{host}:{port}", "keep": keep, **settings}
        else:
            settings = {"url": f"http://{host}:{port}", **settings}
        guard = Named(folder, {"user": harness.WEB_USER, "routes": [{"path": "/**", "auth": "none", handler: settings}]},
                      user=None, name=f"guard-{next(counter)}")
        started.append(guard)
        return guard
    yield start
    for guard in started:
        guard.stop()
        guard.check_reports()


@pytest.fixture(name="applications")
def fixture_applications(handler):
    """Applications on one port of several addresses, each of which says its own."""
    def make(address, port):
        name = address.encode()
        if handler == "fastcgi":
            return scripted.Scripted((address, port), {"who": lambda request: request.send(scripted.answer(name))})
        return Backend((address, port), {"who": [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name)]})

    @contextlib.contextmanager
    def applications(*addresses):
        port, made = harness.free_port(), []
        try:
            for address in addresses:
                made.append(make(address, port))
            yield port
        finally:
            for one in made:
                one.stop()
    return applications


def who(guard):
    reply = ask(guard.address, uri="/who")
    return reply.body.decode() if reply.status == 200 else reply.status


def test_time_to_live(names, start, applications):
    names.names["app.test"] = (3600, ["127.0.0.2"])
    with applications("127.0.0.2", "127.0.0.3") as port:
        guard = start("app.test", port)
        assert [who(guard) for _ in range(20)] == ["127.0.0.2"] * 20
        assert names.count("app.test") == 1
        names.names["app.test"] = (3600, ["127.0.0.3"])
        assert who(guard) == "127.0.0.2"
        assert names.count("app.test") == 1


def test_other_address_after_its_time(names, start, applications):
    names.names["app.test"] = (1, ["127.0.0.2"])
    with applications("127.0.0.2", "127.0.0.3") as port:
        guard = start("app.test", port, keep=True)
        assert who(guard) == "127.0.0.2"
        names.names["app.test"] = (1, ["127.0.0.3"])
        harness.wait_until(lambda: who(guard) == "127.0.0.3", what="the new address")
        assert {who(guard) for _ in range(5)} == {"127.0.0.3"}  # no kept connection leads to the old one


def test_addresses_are_tried_in_turn(names, start, applications):
    names.names["app.test"] = (60, ["127.0.0.4", "127.0.0.3"])
    with applications("127.0.0.3") as port:
        assert who(start("app.test", port)) == "127.0.0.3"


def test_answer_that_is_too_long_for_a_packet(names, start, applications):
    names.truncates = True
    names.names["app.test"] = (0xffffffff, ["127.0.0.4"] + [f"127.0.9.{number}" for number in range(40)])
    with applications("127.0.0.4") as port:
        assert who(start("app.test", port)) == "127.0.0.4"
        assert names.streams > 0


@pytest.mark.parametrize("more", [
    lambda answer: answer[:2] + b"\xff" * 200,  # nonsense
    lambda answer: answer[:14],
    lambda answer: answer[:6] + b"\0\1" + answer[8:len(answer) - 16] +  # an alias of itself
        b"\xc0\x0c\0\5\0\1\0\0\0\1\0\2\xc0\x0c",
])
def test_answer_that_is_none(names, start, applications, more):
    names.names["app.test"] = (1, ["127.0.0.4"])
    names.more = more
    with applications("127.0.0.4") as port:
        guard = start("app.test", port)
        assert who(guard) in (502, 504)
        names.more = lambda answer: answer
        harness.wait_until(lambda: who(guard) == "127.0.0.4", what="an answer that is one")


def test_address_of_ip_6(names, start, applications):
    names.names["app.test"] = (60, ["::1"])
    with applications("::1") as port:
        assert who(start("app.test", port)) == "::1"


def test_name_that_does_not_exist(start):
    guard = start("nowhere.test", 9)
    reply = ask(guard.address, uri="/who")
    assert (reply.status, b"nowhere" in reply.body) == (502, False)
    entry = guard.wait_entry(code="backend_unavailable")
    assert "cannot look up nowhere.test" in entry["detail"]


def test_name_server_is_silent(names, start):
    names.silent = True
    guard = start("app.test", 9)
    assert who(guard) == 504
    assert "app.test" in guard.wait_entry(code="backend_timeout")["detail"]


def test_old_addresses_serve_on(names, start, applications):
    names.names["app.test"] = (1, ["127.0.0.2"])
    with applications("127.0.0.2") as port:
        guard = start("app.test", port)
        assert who(guard) == "127.0.0.2"
        names.silent = True

        def told():
            assert who(guard) == "127.0.0.2"
            return guard.entries(event="name_not_found")
        harness.wait_until(told, what="a question without an answer")
        del names.names["app.test"]
        names.silent = False
        assert [who(guard) for _ in range(20)] == ["127.0.0.2"] * 20
        names.names["app.test"] = (1, ["127.0.0.2"])

        def found():
            assert who(guard) == "127.0.0.2"
            return guard.entries(event="name_found")
        harness.wait_until(found, what="an answer")
        assert len(guard.entries(event="name_not_found")) == 1


@pytest.mark.parametrize("host", ["in-hosts.test", "localhost"])
def test_hosts_file(names, start, host, applications):
    with applications("127.0.0.1") as port:
        assert who(start(host, port)) == "127.0.0.1"
    assert not names.asked
