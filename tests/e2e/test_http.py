"""The handler http with real applications behind it, through real web servers:
Starlette under uvicorn by TCP, unix socket and TLS, nginx by HTTP/2; what becomes
of an application that is killed, stopped or started again."""

import hashlib
import json
import os
import signal
import socket
import ssl
import threading
import time

import pytest

import harness
import servers
from harness import wait_until
from records import PARAMS, STDIN, STDOUT, Connection, ask, begin, environment, pairs, stream
from test_callers import SECRET, token
from test_jwks import authority  # noqa: F401 (a fixture)

KINDS = ["lighttpd", "nginx", "mod_proxy_fcgi", "mod_fcgid", "action", "caddy"]


class App:
    """uvicorn with the application of tests/programs."""

    def __init__(self, folder, name, *options, address=None):
        self.folder, self.name, self.options = folder, name, options
        self.address = address or ("127.0.0.1", harness.free_port())
        folder.write("app/http_app.py", (harness.SOURCE / "tests/programs/http_app.py").read_bytes())
        self.process = None
        self.start()

    def start(self):
        where = ["--uds", self.address] if isinstance(self.address, str) else ["--port", self.address[1]]
        self.process = harness.Process(
            ["/usr/bin/python3", "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--app-dir", self.folder / "app",
             *where, *self.options, "http_app:app"], self.folder / (self.name + ".log"),
            environment=harness.clean_environment(PYTHONDONTWRITEBYTECODE="1"))
        wait_until(self.answers, 20, "uvicorn")
        if isinstance(self.address, str):
            os.chmod(self.address, 0o666)

    def answers(self):
        assert self.process.running(), self.process.text()
        with socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET) as probe:
            return probe.connect_ex(self.address) == 0

    def kill(self):
        self.process.process.kill()
        self.process.process.wait()

    def stop(self):
        self.process.notify(signal.SIGCONT)
        self.kill()

    @property
    def url(self):
        return f"unix:{self.address}" if isinstance(self.address, str) else f"http://127.0.0.1:{self.address[1]}"


@pytest.fixture(scope="module")
def app(folder):
    made = App(folder, "app")
    yield made
    made.stop()


METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def policy(app):
    return {"defaults": {"auth": "none", "methods": METHODS, "body": "200mb"},
            "routes": [{"path": "/app/**", "http": {"url": app.url, "strip_prefix": "/app"}}]}


@pytest.fixture(scope="module", params=KINDS)
def front(request, folder, app):
    made = servers.start(request.param, folder, policy(app), "http-" + request.param,
                         unbuffered=request.param in ("lighttpd", "nginx", "mod_proxy_fcgi"))
    yield made
    made.stop()
    made.guard.stop()


def test_get(front):
    reply = front.fetch("/app/a%20b?c=d&e=%2F", headers=[("X-Forwarded-For", "6.6.6.6"), ("Remote-User", "root")])
    assert reply.status == 200, reply.body
    said = json.loads(reply.body)
    headers = dict(map(tuple, said["headers"]))
    assert (said["method"], said["path"], said["query"]) == ("GET", "/a b", "c=d&e=%2F")
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1" and "remote-user" not in headers
    assert headers["x-request-id"] == reply.get("X-Request-ID") and headers["host"] == headers["x-forwarded-host"] == "localhost"
    assert reply.get("X-Content-Type-Options") == "nosniff"


def test_post_json(front):
    reply = front.fetch("/app/things", "POST", [("Content-Type", "application/json")], b'{"name": "x"}')
    assert (reply.status, reply.get("Location"), json.loads(reply.body)) == (201, "/app/api/things/1", {"got": {"name": "x"}})


def test_upload(front):
    body = os.urandom(100000 if front.kind == "mod_fcgid" else 3000000)
    said = json.loads(front.fetch("/app/upload", "PUT", body=body).body)
    assert (said["length"], said["digest"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_chunked_upload(front):
    body = os.urandom(100000 if front.kind == "mod_fcgid" else 300000)
    reply = front.fetch("/app/upload", "POST", [("Transfer-Encoding", "chunked")], servers.chunked(body))
    if reply.status == 411:
        pytest.skip("this web server takes no chunked body as it is configured here")
    said = json.loads(reply.body)
    assert (said["length"], said["digest"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert dict(map(tuple, said["headers"]))["content-length"] == str(len(body))


def test_head_redirect_cookies(front):
    reply = front.fetch("/app/things/7", "HEAD")
    assert (reply.status, reply.body) in ((200, b""), (405, b""))
    reply = front.fetch("/app/moved")
    assert (reply.status, reply.get("Location")) == (307, "https://other.example/x?y=z")
    reply = front.fetch("/app/cookies")
    assert reply.body == b"ok" and len(reply.all("Set-Cookie")) == 2 and reply.get("ETag") == '"1"'
    assert not reply.get("X-Powered-By") and not reply.get("X-Accel-Redirect")


def test_errors_are_masked(front):
    reply = front.fetch("/app/wrong")
    assert reply.status == 500 and b"secret" not in reply.body and json.loads(reply.body)["error"] == "internal_error"


def test_large_download(front):
    """In bounded memory of the worker."""
    worker = front.guard.worker() if front.guard.process else None
    size = 100 if front.kind == "nginx" and harness.SCALE == 1 else 8
    before = harness.memory(worker, "VmHWM") if worker else 0
    reply = front.fetch(f"/app/big?mb={size}")
    assert reply.status == 200 and reply.complete and len(reply.body) == size << 20
    if worker and not harness.SANITIZED:
        assert harness.memory(worker, "VmHWM") - before < 20000


def test_events_come_one_by_one(front):
    """The second is sent only after the client, who has seen the first, says so."""
    if front.kind not in ("lighttpd", "nginx", "mod_proxy_fcgi", "caddy"):
        pytest.skip("it buffers replies as it is configured here")
    with socket.create_connection(("127.0.0.1", front.port), 60) as connection:
        connection.sendall(servers.request("GET", "/app/events"))
        received = b""
        while b"data: first" not in received:
            more = connection.recv(65536)
            assert more, received
            received += more
        assert b"second" not in received
        assert front.fetch("/app/confirm", "POST", body=b"").status == 204
        received += servers.receive_all(connection)
    assert b"data: second" in received


# ---- without a web server

@pytest.fixture(scope="module")
def secure(folder, authority):  # noqa: F811
    made = App(folder, "secure", "--ssl-certfile", folder / "localhost.pem", "--ssl-keyfile", folder / "localhost.key")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def second(folder, authority):  # noqa: F811
    """nginx, which offers HTTP/2 by ALPN."""
    port = harness.free_port()
    deaf = socket.create_server(("127.0.0.1", 0))  # takes connections, and reads nothing
    both = f"ssl_certificate {folder}/localhost.pem; ssl_certificate_key {folder}/localhost.key;"
    made = servers.nginx(folder, f"""    server {{
        listen 127.0.0.1:{port} ssl http2;
        {both}
        client_max_body_size 10m;
        location / {{ default_type text/plain; return 200 "$server_protocol $request_method $request_uri $host $http_x_real_ip"; }}
        location /stalled {{ proxy_request_buffering off; proxy_pass http://127.0.0.1:{deaf.getsockname()[1]}; }}
    }}""", "second", port)
    yield made
    made.stop()
    deaf.close()


@pytest.fixture(scope="module")
def guard(folder, start_guard, app, secure, second):
    port = secure.address[1]

    def route(name, url, **more):
        return {"path": f"/app/{name}/**", "http": {"url": url, "strip_prefix": f"/app/{name}", **more}}
    return start_guard({
        "log": "stderr", "defaults": {"auth": "none", "methods": METHODS, "body": "200mb"},
        "routes": [
            route("plain", app.url),
            route("hurried", app.url, first_byte="500ms"),
            route("name", f"http://localhost:{app.address[1]}"),
            route("nowhere", "http://nothing.invalid"),
            route("tls", f"https://localhost:{port}", ca_file="ca.pem"),
            route("other", f"https://localhost:{port}", ca_file="other.pem"),
            route("system", f"https://localhost:{port}"),
            route("wrong-name", f"https://127.0.0.1:{port}", ca_file="ca.pem"),
            route("no-tls", f"https://127.0.0.1:{app.address[1]}", ca_file="ca.pem"),
            route("tls-as-plain", f"http://localhost:{port}"),
            route("second", f"https://localhost:{second.port}", ca_file="ca.pem"),
            route("first", f"https://localhost:{second.port}", ca_file="ca.pem", http2=False),
        ]}, name="apps")


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


def logged(guard, reply):
    return guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))


def test_names_are_found_in_the_sandbox(guard):
    for _ in range(3):
        assert ask(guard.address, uri="/app/name/x").status == 200
    reply = ask(guard.address, uri="/app/nowhere/x")
    assert error(reply) == (502, "backend_unavailable") and "cannot look up" in logged(guard, reply)["detail"]


def test_certificates(guard):
    for _ in range(2):
        reply = ask(guard.address, "POST", "/app/tls/x", body=b"{}")
        assert reply.status == 200 and json.loads(reply.body)["length"] == 2
    for where in ("other", "system", "wrong-name", "no-tls"):
        reply = ask(guard.address, "POST", f"/app/{where}/x", body=b"{}")
        assert error(reply) == (502, "backend_unavailable"), where
        assert logged(guard, reply)["detail"]
    assert error(ask(guard.address, uri="/app/tls-as-plain/x"))[0] == 502


def test_http2(guard):
    for _ in range(3):
        reply = ask(guard.address, uri="/app/second/a%20b?c", replace={"REMOTE_ADDR": "192.0.2.7"})
        assert (reply.status, reply.body) == (200, b"HTTP/2.0 GET /a%20b?c localhost 192.0.2.7")
        assert ask(guard.address, "HEAD", "/app/second/x").body == b""
        reply = ask(guard.address, "POST", "/app/second/x", body=b"x" * 100000)
        assert (reply.status, reply.body[:14]) == (200, b"HTTP/2.0 POST ")
    assert ask(guard.address, uri="/app/first/x").body.startswith(b"HTTP/1.1 GET /x ")


def time_of_processor(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_http2_without_room(guard):
    """A backend that takes no more of a body is waited for at rest."""
    def is_at_rest():
        before = time_of_processor(guard.worker())
        time.sleep(1)
        return time_of_processor(guard.worker()) - before < 0.1
    body = b"x" * (9 << 20)
    with Connection(guard.address) as client:
        client.send(begin() + stream(PARAMS, pairs(environment("POST", "/app/second/stalled", body=body))))
        sender = threading.Thread(target=client.try_send, args=(stream(STDIN, body),))
        sender.start()
        wait_until(is_at_rest, 30, "rest")
        assert sender.is_alive()
        client.socket.shutdown(socket.SHUT_RDWR)
        sender.join()


def test_a_body_that_the_backend_refuses(guard):
    """nginx answers by the length that is stated, before it has read."""
    for name in ("first", "second"):
        for _ in range(5):
            reply = ask(guard.address, "POST", f"/app/{name}/x", body=b"x" * (11 << 20))
            assert (reply.status, reply.complete) == (413, True), name
            assert ask(guard.address, uri=f"/app/{name}/x").body.endswith(b"GET /x localhost 127.0.0.1")


def test_unix_socket_without_network(folder, start_guard):
    """In a sandbox that has no network at all."""
    app = App(folder, "unix", address=str(folder.writable("sockets") / "app.sock"))
    try:
        guard = start_guard({"log": "stderr", "defaults": {"auth": "none", "methods": METHODS, "body": "1mb"},
                             "routes": [{"path": "/app/**", "http": {"url": app.url, "host": "backend"}}]}, name="socket")
        for _ in range(3):
            reply = ask(guard.address, "POST", "/app/x", body=b"body")
            said = json.loads(reply.body)
            assert (said["path"], said["length"]) == ("/app/x", 4) and ["host", "localhost"] in said["headers"]
        app.kill()
        assert error(ask(guard.address, uri="/app/x")) == (502, "backend_unavailable")
        os.unlink(app.address)
        app.start()
        assert ask(guard.address, uri="/app/x").status == 200
    finally:
        app.stop()


def test_killed_and_started_again(guard, app):
    """Kept connections of the application that was are not in the way of the one that is."""
    assert ask(guard.address, uri="/app/plain/x").status == 200
    app.kill()
    for method, body in (("GET", None), ("POST", b"{}")):
        assert error(ask(guard.address, method, "/app/plain/x", body=body)) == (502, "backend_unavailable")
    app.start()
    for method, body in (("POST", b"{}"), ("GET", None)):
        assert ask(guard.address, method, "/app/plain/x", body=body).status == 200


def test_killed_in_the_middle(guard, app):
    with Connection(guard.address) as connection:
        connection.send(begin() + stream(PARAMS, pairs(environment(uri="/app/name/events"))) + stream(STDIN, b""))
        assert connection.record()[0] == STDOUT
        app.kill()
        reply = connection.reply()
        assert not reply.complete
    app.start()
    assert ask(guard.address, uri="/app/name/x").status == 200


def test_stopped(guard, app):
    """It is there and does nothing: SIGSTOP."""
    assert ask(guard.address, uri="/app/plain/x").status == 200
    app.process.notify(signal.SIGSTOP)
    try:
        for method, body in (("GET", None), ("POST", b"x" * 5000000)):
            assert error(ask(guard.address, method, "/app/hurried/x", body=body)) == (504, "backend_timeout")
    finally:
        app.process.notify(signal.SIGCONT)
    wait_until(lambda: ask(guard.address, uri="/app/plain/x").status == 200, what="it answers again")


def test_nothing_is_left(guard):
    def each():
        for where in ("plain", "tls", "other", "second", "nowhere"):
            ask(guard.address, uri=f"/app/{where}/x")
    each()  # what is kept is there already
    with guard.leaves_nothing():
        each()


# ---- the example

def test_example(folder, app, start_guard):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    text = servers.example_policy("proxy.yaml", socket=folder.writable("run") / "proxy.sock", jwt_key=folder / "jwt.key")
    text = text.replace("http://127.0.0.1:3000", app.url).replace("issuer: example", "issuer: tests")
    guard = start_guard(text, name="proxy")
    known = {"Authorization": "Bearer " + token(sub="alice")}
    assert error(ask(guard.address, uri="/app/api/things")) == (401, "unauthorized")
    assert error(ask(guard.address, uri="/app/api/things", headers={**known, "Host": "evil.example"})) == (400, "host_not_allowed")
    said = json.loads(ask(guard.address, uri="/app/api/things/7", headers=known).body)
    assert said["path"] == "/things/7" and ["remote-user", "alice"] in said["headers"]
    assert json.loads(ask(guard.address, uri="/app/users/7", headers=known).body)["path"] == "/v2/users/7"
    assert json.loads(ask(guard.address, uri="/app/health").body)["path"] == "/health"
    result = harness.run([guard.program, "explain", "-c", guard.policy_path, "-H", "Host: localhost", "GET", "/app/health"])
    assert f"asks {app.url} for /health" in result.stdout, result.stdout + result.stderr
