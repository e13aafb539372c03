"""A FastCGI application that can say anything, right or wrong: the other side of
records.py. What it does for a request is a function of the test, by the last
segment of the request's path."""

import contextlib
import os
import socket
import struct
import threading

import records
from records import END, PARAMS, STDERR, STDIN, STDOUT, record


def ending(status=0, protocol=0, request=1, padding=0):
    return record(END, struct.pack(">IB3x", status, protocol), request, padding=padding)


def head(more=b"", kind=b"text/plain"):
    return b"Content-Type: " + kind + b"\r\n" + more + b"\r\n"


def answer(body, request=1, piece=65535, more=b""):
    return records.stream(STDOUT, head(more) + body, request, piece) + ending(request=request)


class Gone(Exception):
    pass


class Request:
    """One request, read to its end unless the script wants to read the body itself."""

    def __init__(self, peer, number):
        self.peer, self.number = peer, number
        self.params, self.body, self.raw_params = {}, b"", []
        self.id, self.role, self.flags = None, None, None

    def send(self, data):
        self.peer.sendall(data)

    def take(self, size):
        taken = b""
        while len(taken) < size:
            more = self.peer.recv(size - len(taken))
            if not more:
                raise Gone
            taken += more
        return taken

    def record(self):
        version, kind, number, length, padding = struct.unpack(">BBHHBx", self.take(8))
        assert version == 1
        content = self.take(length)
        self.take(padding)
        return kind, number, content

    def read_head(self):
        kind, self.id, content = self.record()
        assert kind == records.BEGIN and len(content) == 8
        self.role, self.flags = struct.unpack(">HB5x", content)
        stream = b""
        while True:
            kind, number, content = self.record()
            assert kind == PARAMS and number == self.id
            if not content:
                break
            stream += content
        while stream:
            lengths = []
            for _ in range(2):
                size = 4 if stream[0] & 0x80 else 1
                lengths.append(int.from_bytes(stream[:size], "big") & 0x7fffffff if size == 4 else stream[0])
                stream = stream[size:]
            name, value = stream[:lengths[0]], stream[lengths[0]:sum(lengths)]
            assert len(value) == lengths[1]
            stream = stream[sum(lengths):]
            self.raw_params.append((name.decode(), value))
        self.params = dict(self.raw_params)

    def piece(self):
        kind, number, content = self.record()
        assert kind == STDIN and number == self.id
        return content

    def read_body(self):
        while True:
            content = self.piece()
            if not content:
                return
            self.body += content

    @property
    def canary(self):
        return self.params.get("HTTP_X_CANARY", b"none")

    def reply(self, body=None, **words):
        self.send(answer(b"canary " + self.canary if body is None else body, **words))


def good(request):
    request.reply()


class Scripted:
    """Listens at `path`, or a (host, port); `scripts` by name. `streaming` names scripts that read the body themselves."""

    def __init__(self, path, scripts, streaming=(), backlog=64):
        self.path, self.scripts, self.streaming = path, {"good": good, **scripts}, streaming
        self.lock = threading.Lock()
        self.connections, self.requests, self.open = 0, [], 0
        self.failures = []
        self.listener, self.backlog, self.peers = None, backlog, []
        self.listen()

    def listen(self):
        if isinstance(self.path, tuple):
            self.listener = socket.create_server(
                self.path, family=socket.AF_INET6 if ":" in self.path[0] else socket.AF_INET)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(self.path)
            os.chmod(self.path, 0o666)
        self.listener.listen(self.backlog)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open += 1
                self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            count = 0
            while True:
                request = Request(peer, count)
                request.read_head()
                name = request.params["REQUEST_URI"].decode().partition("?")[0].rpartition("/")[2]
                if name not in self.streaming:
                    request.read_body()
                with self.lock:
                    self.requests.append((name, count, request))
                if self.scripts[name](request) == "close" or not request.flags & records.KEEP:
                    return
                count += 1
        except (Gone, OSError):
            pass
        except Exception as failure:  # pylint: disable=broad-except
            self.failures.append(failure)
        finally:
            with self.lock:
                self.open -= 1
                self.peers.remove(peer)
            peer.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def drop(self):
        """Closes every connection, as an application that ends."""
        with self.lock:
            peers = list(self.peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.close()
        self.drop()
        assert not self.failures, self.failures
