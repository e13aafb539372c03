"""A gigabyte each way, by php-fpm and by http:, through web servers and straight,
in memory that stays what it was; also where the client is in no hurry."""

import os
import socket
import threading

import pytest

import harness
import php_fpm
import servers
from records import STDIN, STDOUT, Connection, PARAMS, begin, environment, pairs, record, stream

SERVERS = ["lighttpd", "nginx", "mod_proxy_fcgi"]
MEGABYTE = 1 << 20
SIZE = (1024 if harness.SCALE == 1 else 64) * MEGABYTE
GROWTH = 16 * 1024  # kilobytes
ASIDE = 8 * MEGABYTE
BLOCK = bytes(range(256)) * 4096  # a megabyte

PAGES = {
    "read.php": "<?php header('Content-Type: application/octet-stream'); header('Content-Length: ' . filesize($_GET['f']));\n"
                "while (ob_get_level()) ob_end_clean(); readfile($_GET['f']);",
    "echo.php": "<?php header('Content-Type: application/octet-stream'); $b = str_repeat(implode(array_map('chr', range(0, 255))), 4096);\n"
                "for ($i = 0; $i < (int)$_GET['mb']; $i++) { echo $b; flush(); }",
    "take.php": "<?php $in = fopen('php://input', 'rb'); $n = 0; while (($p = fread($in, 1 << 20)) !== false && $p !== '') $n += strlen($p);\n"
                "echo $n;",
}


class Application:
    """By HTTP: GET /MB sends so many blocks, POST counts what comes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.sent = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as head:
            try:
                while line := head.readline():
                    length = 0
                    while (header := head.readline().strip()):
                        name, _, value = header.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    if line.startswith(b"POST"):
                        body, count, block = b"", length, bytearray(MEGABYTE)
                        while count > 0 and (more := head.readinto(memoryview(block)[:min(count, MEGABYTE)])):
                            count -= more
                        body = b"%d" % (length - count)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                        continue
                    blocks = int(line.split(b" ")[1].rpartition(b"/")[2])
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (blocks * MEGABYTE))
                    self.sent = 0
                    for _ in range(blocks):
                        connection.sendall(BLOCK)
                        self.sent += MEGABYTE
            except OSError:
                pass

    def stop(self):
        self.listener.close()


@pytest.fixture(scope="module")
def fpm(folder):
    made = php_fpm.Fpm(folder, "large-fpm", settings="php_admin_value[post_max_size] = 2G\nphp_admin_value[output_buffering] = 0\n")
    for name, text in PAGES.items():
        folder.write(f"large-fpm-site/{name}", text)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def application():
    made = Application()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def sparse(folder):
    """A file that takes no room, but for its first and last bytes."""
    file = folder.write("large-fpm-site/sparse.bin", b"first")
    with open(file, "r+b") as opened:
        opened.seek(SIZE - 4)
        opened.write(b"last")
    return file


@pytest.fixture(scope="module")
def policy(fpm, application):
    php = {"address": fpm.address, "connections": fpm.children, "root": str(fpm.root)}
    both = {"auth": "none", "methods": ["GET", "POST"], "body": "1gb"}
    return {"reply_spool": f"{ASIDE}b", "defaults": both,
            "routes": [{"path": "/app/php/**", "fastcgi": php},
                       {"path": "/app/collected/**", "fastcgi": {**php, "input": "spool"}},
                       {"path": "/app/http/**", "http": application.url}]}


@pytest.fixture(scope="module", params=SERVERS)
def front(request, folder, policy):
    made = servers.start(request.param, folder, policy, "large-" + request.param, unbuffered=True)
    yield made
    made.stop()
    made.guard.stop()


@pytest.fixture(scope="module")
def guard(start_guard, policy):
    return start_guard(policy, name="straight")


class Memory:
    """The most that the worker took while something went on."""

    def __init__(self, guard, what):
        self.worker, self.what = guard.worker(), what

    def __enter__(self):
        try:
            with open(f"/proc/{self.worker}/clear_refs", "w") as peak:
                peak.write("5")  # the peak begins anew
        except OSError:
            pass
        self.before = harness.memory(self.worker, "VmHWM")
        return self

    def __exit__(self, kind, *_):
        grown = harness.memory(self.worker, "VmHWM") - self.before
        harness.NOTES.append(f"{self.what}: {SIZE >> 20} MB, and the worker's memory grew by {grown} kB")
        # Freed memory is kept from use for a while by sanitizers.
        if kind is None and not harness.SANITIZED:
            assert grown < GROWTH, f"{grown} kB more"


def head_of(connection):
    """The head of a reply, and what came behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(4096)
        assert more, received
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def download(port, target):
    """Counts what comes, chunks undone; its beginning and its end."""
    with socket.create_connection(("127.0.0.1", port), 120) as client:
        client.sendall(servers.request("GET", target))
        head, rest = head_of(client)
        assert b" 200 " in head.split(b"\r\n")[0], head
        source = client.makefile("rb", MEGABYTE)
        block = bytearray(MEGABYTE)
        if b"chunked" not in head.lower():
            first, last, count = rest[:5], rest[-4:], len(rest)
            while more := source.readinto(block):
                first = first or bytes(block[:5])
                last = (last + bytes(block[max(0, more - 4):more]))[-4:]
                count += more
            return count, first, last
        held = servers.io.BufferedReader(Joined(rest, client), MEGABYTE)
        count, first, last = 0, b"", b""
        while size := int(held.readline(), 16):
            count += size
            while size and (more := held.readinto(memoryview(block)[:min(size, MEGABYTE)])):
                first = first or bytes(block[:5])
                last = (last + bytes(block[max(0, more - 4):more]))[-4:]
                size -= more
            assert held.readline() == b"\r\n"
        return count, first, last


class Joined(servers.io.RawIOBase):
    """What was received already, then what is still to come."""

    def __init__(self, rest, connection):
        super().__init__()
        self.rest, self.connection = rest, connection

    def readable(self):
        return True

    def readinto(self, target):
        if self.rest:
            count = min(len(target), len(self.rest))
            target[:count], self.rest = self.rest[:count], self.rest[count:]
            return count
        return self.connection.recv_into(target)


def upload(port, target):
    with socket.create_connection(("127.0.0.1", port), 120) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n"
                       b"Content-Length: %d\r\n\r\n" % (target.encode(), SIZE))
        for _ in range(SIZE // MEGABYTE):
            client.sendall(BLOCK)
        return servers.Response(servers.receive_all(client), "POST")


def test_readfile(front, sparse):
    with Memory(front.guard, f"readfile through {front.kind}"):
        assert download(front.port, f"/app/php/read.php?f={sparse}") == (SIZE, b"first", b"last")


def test_by_http(front):
    with Memory(front.guard, f"http: through {front.kind}"):
        assert download(front.port, f"/app/http/{SIZE // MEGABYTE}") == (SIZE, BLOCK[:5], BLOCK[-4:])


def test_upload(front):
    """To php by one web server, to HTTP by the others: to read a body takes php as long as all the rest."""
    target = "/app/php/take.php" if front.kind == "nginx" else "/app/http/take"
    with Memory(front.guard, f"upload to {target} through {front.kind}"):
        reply = upload(front.port, target)
        assert (reply.status, reply.body) == (200, str(SIZE).encode())
    harness.wait_until(lambda: not front.guard.spool_files(), 10, "nothing is left in the spool")


def straight(guard, uri):
    """Records of the reply's body, as they come."""
    connection = Connection(guard.address, 120)
    connection.send(begin() + stream(PARAMS, pairs(environment(uri=uri))) + stream(STDIN, b""))
    return connection


def take(connection, least):
    """Takes records until at least so many bytes came, or all."""
    count = 0
    while count < least:
        kind, *_, content = connection.record()
        if kind != STDOUT:
            break
        count += len(content)
    return count


def test_echo_straight(guard):
    with Memory(guard, "echo and flush"), straight(guard, f"/app/php/echo.php?mb={SIZE // MEGABYTE}") as connection:
        assert take(connection, 2 * SIZE) > SIZE


def test_upload_collected(guard):
    """All of it first lies in the spool, and nowhere in memory."""
    with Memory(guard, "upload by the spool"), Connection(guard.address, 120) as connection:
        params = dict(environment("POST", "/app/collected/take.php"), CONTENT_LENGTH=str(SIZE), CONTENT_TYPE="application/octet-stream")
        connection.send(begin() + stream(PARAMS, pairs(params.items())))
        piece = record(STDIN, BLOCK[:32768]) * 32
        for _ in range(SIZE // MEGABYTE):
            connection.send(piece)
        connection.send(record(STDIN, b""))
        assert connection.reply().body == str(SIZE).encode()
    harness.wait_until(lambda: not guard.spool_files(), 10, "nothing is left in the spool")


def aside(guard):
    """Bytes that the worker keeps in files of its spool."""
    found, worker = 0, guard.worker()
    for name in os.listdir(f"/proc/{worker}/fd"):
        try:
            if os.readlink(f"/proc/{worker}/fd/{name}").startswith(str(guard.spool)):
                found += os.stat(f"/proc/{worker}/fd/{name}").st_size
        except OSError:
            pass
    return found


def test_slow_client(guard, application):
    """What a client leaves lying is kept aside up to reply_spool; then the application waits."""
    with Memory(guard, "a slow client"), straight(guard, f"/app/http/{SIZE // MEGABYTE}") as connection:
        taken, seen = take(connection, MEGABYTE), []

        def stands_still():
            seen.append(application.sent)
            return len(seen) > 10 and len(set(seen[-10:])) == 1 and aside(guard) > 0
        harness.wait_until(stands_still, 30, "the application waits", pause=0.1)
        assert application.sent < taken + ASIDE + 16 * MEGABYTE < SIZE
        assert 0 < aside(guard) <= ASIDE + MEGABYTE
        assert taken + take(connection, 2 * SIZE) > SIZE
    harness.wait_until(lambda: not aside(guard), 10, "nothing is kept aside")
