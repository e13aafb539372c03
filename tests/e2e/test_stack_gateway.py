"""examples/nginx-gateway, feature by feature, under the names that the nginx configuration it takes the
place of gives them (tests/data/nginx-gateway/original.conf); and that one beside it, where it goes wrong."""

import contextlib
import http.client
import itertools
import json
import os
import pwd
import re
import socket
import ssl
import threading

import pytest

import browser
import harness
import http_backend
import servers

EXAMPLE = "nginx-gateway"
HOST = "api.example.com"
PAGE = "https://app.example.com"
SECURITY = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "X-XSS-Protection": "1; mode=block",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains", "Content-Security-Policy": "default-src 'self'"}
PREFLIGHT = [("Origin", PAGE), ("Access-Control-Request-Method", "DELETE"), ("Access-Control-Request-Headers", "authorization")]
PASSWORD = json.dumps({"user": "ann", "password": "correct horse battery staple"}).encode()
addresses = (f"127.0.{a}.{b}" for a, b in itertools.product(range(1, 255), range(1, 255)))


def replaced(text, **words):
    for old, new in words.values():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


class Front:
    """An nginx that speaks TLS. Each request comes from another address, unless it says from which, so that no
    test has its limits drawn on by another."""

    def __init__(self, folder, name, certificate, snippet, port):
        self.port, self.certificate = port, certificate
        self.context = ssl.create_default_context(cafile=str(certificate.chain))
        self.nginx = servers.nginx(folder, snippet, name, port)
        self.errors = folder / name / "error.log"

    @contextlib.contextmanager
    def connect(self, address=None, timeout=60, port=None):
        with socket.create_connection(("127.0.0.1", port or self.port), timeout, (address or next(addresses), 0)) as plain:
            if port:
                yield plain
            else:
                with self.context.wrap_socket(plain, server_hostname=HOST) as connection:
                    yield connection

    def exchange(self, data, **words):
        with self.connect(**words) as connection:
            with contextlib.suppress(OSError):  # what is too large is answered before it is sent
                connection.sendall(data)
            return servers.receive_all(connection)

    def fetch(self, target="/api/things", method="GET", headers=(), body=None, host=HOST, **words):
        return servers.Response(self.exchange(servers.request(method, target, headers, body, host), **words), method)

    def told(self, *arguments, **words):
        """What the application was told, its headers in lower case."""
        reply = self.fetch(*arguments, **words)
        assert reply.status == 200, reply.body
        said = json.loads(reply.body)
        return {**said, "headers": {name.lower(): value for name, value in said["headers"]}}

    def until_refused(self, target):
        """How many come through on one connection before one is refused; the refusal; and the address."""
        address = next(addresses)
        line = http.client.HTTPSConnection(HOST, self.port, context=self.context, timeout=60)
        with self.connect(address) as connection:
            line.sock = connection
            for count in range(1000):
                line.request("POST", target, PASSWORD, {"Host": HOST})
                reply = line.getresponse()
                reply.read()
                if reply.status != 200:
                    return count, reply, address
        raise AssertionError("a thousand came through, without one that was refused")

    def handshake(self, *options):
        return harness.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-servername", HOST, *options], input="")

    def stop(self):
        self.nginx.stop()


class Gateway(Front):
    """The example's nginx and fcgiguard, in front of the application at `url`."""

    def __init__(self, folder, name, certificate, url, nginx=(), policy=()):
        user = harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name
        self.guard = harness.Guard(folder, "", start=False, name=name)
        text = servers.example_policy(f"{EXAMPLE}/policy.yaml", socket=self.guard.address, user=f"user: {user}",
                                      store=folder.writable(name + "-store") / "guard.db")
        self.guard.write(replaced(text, url=("http://127.0.0.1:3000", url), **dict(policy)))
        self.guard.start()
        try:
            port, self.plain = harness.free_port(), harness.free_port()
            snippet = replaced(
                servers.example(f"{EXAMPLE}/nginx.conf", socket=self.guard.address, params="include /etc/nginx/fastcgi_params;",
                                port=f"listen 127.0.0.1:{self.plain};"),
                listen=("listen 443", f"listen 127.0.0.1:{port}"), chain=("/etc/ssl/certs/api.example.com.crt", certificate.chain),
                key=("/etc/ssl/private/api.example.com.key", certificate.key), **dict(nginx))
            super().__init__(folder, name + "-nginx", certificate, snippet, port)
        except BaseException:
            self.guard.kill()
            raise

    def stop(self):
        super().stop()
        try:
            self.guard.stop()
        finally:
            self.guard.kill()


@pytest.fixture(scope="module")
def certificate(folder):
    return browser.certificate(folder)


@pytest.fixture(scope="module")
def application(folder):
    """The example's own, as an address."""
    port = harness.free_port()
    process = harness.Process(["/usr/bin/python3", harness.EXAMPLES / EXAMPLE / "backend.py", port], folder / "backend.log",
                              environment=harness.clean_environment(PYTHONDONTWRITEBYTECODE="1"))

    def answers():
        assert process.running(), process.text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    harness.wait_until(answers, 20, "the application")
    yield f"http://127.0.0.1:{port}"
    process.stop()


@pytest.fixture(scope="module")
def gateway(folder, certificate, application):
    started = Gateway(folder, "gateway", certificate, application)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def original(folder, certificate, application):
    """What the example takes the place of."""
    port = harness.free_port()
    text = (harness.SOURCE / "tests/data/nginx-gateway/original.conf").read_text()
    inside = text[text.index("http {") + len("http {"):text.rindex("}")]
    snippet = replaced(inside, listen=("listen 443", f"listen 127.0.0.1:{port}"), backend=("http://backend:3000", application),
                       chain=("/etc/ssl/certs/api.example.com.crt", certificate.chain),
                       key=("/etc/ssl/private/api.example.com.key", certificate.key))
    started = Front(folder, "original", certificate, snippet, port)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def slow(folder, certificate):
    """A gateway that loses patience after four seconds, and an application that waits for `free`."""
    free = threading.Event()
    large = b"x" * (16 << 20)
    backend = http_backend.Backend(scripts={
        "api/wait": [free, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        "api/large": [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large), large]})
    started = Gateway(folder, "slow", certificate, backend.url,
                      nginx={name: (f"{name} {seconds}s", f"{name} 4s") for name, seconds in
                             (("client_header_timeout", 12), ("client_body_timeout", 12), ("send_timeout", 10))})
    started.backend, started.free, started.large = backend, free, large
    yield started
    free.set()
    started.stop()
    backend.stop()


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


# ---- add_header

@pytest.mark.parametrize("name", SECURITY)
def test_add_header(gateway, name):
    """On all replies: of the application, its faults, refusals, preflights."""
    for target, method, headers, status in (("/api/things", "GET", [], 200), ("/api/auth/login", "POST", [], 500), ("/api/fault", "GET", [], 500),
                                            ("/nowhere", "GET", [], 404), ("/api/things", "PATCH", [], 405), ("/api/things", "OPTIONS", PREFLIGHT, 204)):
        reply = gateway.fetch(target, method, headers)
        assert (reply.status, reply.all(name)) == (status, [SECURITY[name]]), target


@pytest.mark.parametrize("name", SECURITY)
def test_original_loses_add_header(original, name):
    """A location that has an add_header of its own has none of those outside."""
    assert original.fetch("/api/things").status == 200 and not original.fetch("/api/things").get(name)
    assert original.fetch("/api/auth/login", "POST", body=PASSWORD).all(name) == [SECURITY[name]]


CORS = {"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Content-Type"}


@pytest.mark.parametrize("name", CORS)
def test_add_header_cors(gateway, name):
    """A browser that asks is answered, on both paths; a page of another origin is told nothing."""
    for target in ("/api/things", "/api/auth/login"):
        assert gateway.fetch(target, "OPTIONS", PREFLIGHT).all(name) == [CORS[name]]
        assert not gateway.fetch(target, "OPTIONS", [("Origin", "https://evil.example"), *PREFLIGHT[1:]]).get(name)


def test_add_header_cors_on_replies(gateway):
    """The application's own `*` is taken off, and refusals can be read by the page."""
    for target, method, status in (("/api/things", "GET", 200), ("/api/auth/login", "POST", 500), ("/api/things", "PATCH", 405)):
        reply = gateway.fetch(target, method, [("Origin", PAGE)])
        assert (reply.status, reply.all("Access-Control-Allow-Origin")) == (status, [PAGE])
        assert gateway.fetch(target, method, [("Origin", "https://evil.example")]).all("Access-Control-Allow-Origin") == []


def test_original_cors(original):
    """Preflights are dropped, so no page gets to send Authorization; an application that says something is said twice;
    and where passwords are checked there is no CORS at all."""
    assert original.exchange(servers.request("OPTIONS", "/api/things", PREFLIGHT, host=HOST)) == b""
    assert original.fetch("/api/things", headers=[("Origin", PAGE)]).all("Access-Control-Allow-Origin") == ["*", PAGE]
    assert original.fetch("/api/auth/login", "POST", [("Origin", PAGE)], PASSWORD).all("Access-Control-Allow-Origin") == ["*"]


# ---- limits

LIMITS = {"api_limit": ("/api/health", 21, "/api/auth/login"), "auth_limit": ("/api/auth/login", 6, "/api/health")}


@pytest.mark.parametrize("zone", LIMITS)
def test_limit_req(gateway, zone):
    """The burst comes through at once, then one after another; who is refused is told when to come back. Exactly
    how many is told by policy.test.yaml, where no time goes by."""
    target, burst, other = LIMITS[zone]
    count, reply, address = gateway.until_refused(target)
    assert count >= burst and (reply.status, reply.headers["Retry-After"]) == (429, "1")
    assert gateway.fetch(other, "POST", body=PASSWORD, address=address).status == 200, "the other limit is another"
    assert gateway.fetch(target, "POST", body=PASSWORD).status == 200, "another address has its own"


@pytest.mark.parametrize("zone", LIMITS)
def test_original_limit_req(original, zone):
    """It says that the server is out of order, and not when to come back."""
    target, burst, _ = LIMITS[zone]
    count, reply, _ = original.until_refused(target)
    assert count >= burst and (reply.status, reply.headers["Retry-After"]) == (503, None)


def test_limit_conn(slow):
    """Ten at once of one address; for others there is room."""
    address = next(addresses)
    held, seen = [], len(slow.backend.requests)
    threads = [threading.Thread(target=lambda: held.append(slow.fetch("/api/wait", address=address).status)) for _ in range(10)]
    try:
        for thread in threads:
            thread.start()
        harness.wait_until(lambda: len(slow.backend.requests) == seen + 10, 20, "ten are under way")
        assert error(slow.fetch("/api/canary", address=address)) == (429, "rate_limit_exceeded")
        assert slow.fetch("/api/canary").status == 404, "it is of each address"
    finally:
        slow.free.set()
        for thread in threads:
            thread.join()
    assert held == [200] * 10
    assert slow.fetch("/api/wait", address=address).status == 200


# ---- sizes and times of clients

def test_client_max_body_size(gateway):
    """10 MB reach the application; what is larger does not."""
    assert gateway.told(method="POST", body=b"x" * (10 << 20))["length"] == 10 << 20
    assert error(gateway.fetch(method="POST", body=b"x" * ((10 << 20) + 1))) == (413, "body_too_large")
    assert gateway.fetch(method="POST", body=b"x" * (13 << 20)).status == 413
    chunked = servers.chunked(b"x" * ((10 << 20) + 1), 100000)
    assert error(gateway.fetch(method="POST", headers=[("Transfer-Encoding", "chunked")], body=chunked)) == (413, "body_too_large")


def test_client_body_buffer_size(gateway):
    """Up to 128 KB nginx keeps in memory; of a file it makes a line in its log."""
    def files():
        return gateway.errors.read_text().count("is buffered to a temporary file")
    before = files()
    assert gateway.told(method="POST", body=b"x" * 120000)["length"] == 120000 and files() == before
    assert gateway.told(method="POST", body=b"x" * 200000)["length"] == 200000 and files() > before, "a quarter more is still taken"


IMPATIENT = 10 * harness.PATIENCE  # seconds; without the directive it would be 60


@pytest.mark.parametrize("name, begun", [("client_header_timeout", "POST /api/things HTTP/1.1\r\nHost: "),
                                         ("client_body_timeout", f"POST /api/things HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n{{")])
def test_client_timeouts(slow, name, begun):
    """Who does not go on is let go, and nobody behind has heard of him."""
    seen = len(slow.backend.requests)
    received = slow.exchange(begun.encode(), timeout=IMPATIENT)
    assert received == b"" or received.startswith(b"HTTP/1.1 408 "), (name, received)
    assert len(slow.backend.requests) == seen


def test_send_timeout(slow):
    """Who does not read is let go."""
    worker = harness.children(slow.nginx.pid)[0]

    def sockets():
        return sum(name.startswith("socket:") for name in harness.descriptors(worker))
    assert len(slow.fetch("/api/large").body) == len(slow.large)
    before = sockets()
    with slow.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(servers.request("GET", "/api/large", host=HOST))
        connection.recv(1)
        harness.wait_until(lambda: sockets() <= before, 20, "nginx closes the connection")
        assert len(servers.receive_all(connection)) < len(slow.large)


# ---- TLS

def test_listen_443_ssl(gateway):
    """The certificate is looked at in all tests here. What comes in the clear at the same port is refused by nginx."""
    data = servers.request("GET", "/api/health", host=HOST)
    assert servers.Response(gateway.exchange(data, port=gateway.port), "GET").status == 400


def test_listen_80(gateway):
    """Not a part of the original: who comes in the clear is sent on, and nothing he sends is taken."""
    data = servers.request("GET", "/api/health?a=b", host=HOST)
    reply = servers.Response(gateway.exchange(data, port=gateway.plain), "GET")
    assert (reply.status, reply.get("Location")) == (308, f"https://{HOST}/api/health?a=b")
    assert not reply.get("Strict-Transport-Security"), "it means nothing there (RFC 6797, 7.2)"
    data = servers.request("POST", "/api/auth/login", body=PASSWORD, host=HOST)
    assert error(servers.Response(gateway.exchange(data, port=gateway.plain), "POST")) == (403, "https_required")


def test_listen_http2(gateway):
    done = harness.run(["curl", "-s", "-i", "--http2", "--cacert", gateway.certificate.chain, "--resolve", f"{HOST}:{gateway.port}:127.0.0.1",
                        f"https://{HOST}:{gateway.port}/api/health"])
    assert re.match(r"HTTP/2 200 ", done.stdout) and '"healthy"' in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ssl_certificate", "ssl_certificate_key"])
def test_ssl_certificate(gateway, name):
    """The one that is named, and the key that belongs to it."""
    done = gateway.handshake("-CAfile", gateway.certificate.chain, "-verify_return_error", "-verify_hostname", HOST)
    assert done.returncode == 0 and "Verify return code: 0 (ok)" in done.stdout, (name, done.stdout + done.stderr)


@pytest.mark.parametrize("version, spoken", [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)])
def test_ssl_protocols(gateway, version, spoken):
    done = gateway.handshake("-" + version, "-cipher", "DEFAULT@SECLEVEL=0")
    assert (done.returncode == 0) == spoken, done.stdout + done.stderr


WEAK = ["AECDH-AES128-SHA", "ECDHE-ECDSA-AES128-SHA"]


@pytest.mark.parametrize("cipher", WEAK)
def test_ssl_ciphers(gateway, cipher):
    """Neither without a certificate nor with CBC and SHA-1."""
    done = gateway.handshake("-tls1_2", "-cipher", cipher + "@SECLEVEL=0")
    assert done.returncode != 0 and "handshake failure" in done.stderr, done.stderr


def test_original_ssl_ciphers(original):
    assert original.handshake("-tls1_2", "-cipher", WEAK[1] + "@SECLEVEL=0").returncode == 0


def test_ssl_prefer_server_ciphers(gateway):
    one, two = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
    for offered in (f"{one}:{two}", f"{two}:{one}"):
        assert f"Cipher is {one}" in gateway.handshake("-tls1_2", "-cipher", offered).stdout


@pytest.mark.parametrize("name", ["ssl_session_cache", "ssl_session_timeout"])
def test_ssl_session(gateway, folder, name):
    """A session is found again without a ticket; a ticket says how long it is kept."""
    file = folder / "session"
    if name == "ssl_session_cache":
        gateway.handshake("-tls1_2", "-no_ticket", "-sess_out", file)
        assert "Reused, TLSv1.2" in gateway.handshake("-tls1_2", "-no_ticket", "-sess_in", file).stdout
    else:
        assert "ticket lifetime hint: 600 (seconds)" in gateway.handshake("-tls1_2").stdout


# ---- hosts and locations

def test_server_name(gateway):
    for target in ("/api/things", "/api/auth/login"):
        assert error(gateway.fetch(target, host="evil.example")) == (400, "host_not_allowed")


def test_original_server_name(original):
    """The only server is that of all names, and the application believes them."""
    assert original.told(host="evil.example")["headers"]["host"] == "evil.example"


def test_location_api(gateway):
    """Each method and its body reach the application as they were sent; nothing else is there."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        told = gateway.told("/api/a%20b/c?d=%2F", method, body=b"abc" if method != "GET" else None)
        assert (told["method"], told["target"], told["length"]) == (method, "/api/a%20b/c?d=%2F", 0 if method == "GET" else 3)
    for target in ("/", "/index.html", "/apis", "/API/things"):
        assert error(gateway.fetch(target)) == (404, "route_not_found")


def test_location_api_auth(gateway):
    assert gateway.fetch("/api/auth/login", "POST", body=PASSWORD).status == 200
    reply = gateway.fetch("/api/auth/login", "POST", body=b'{"user": "ann", "password": "guess"}')
    assert (reply.status, json.loads(reply.body)) == (401, {"error": "unknown user or password"})


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "PROPFIND", "TRACE", "X"])
def test_request_method(gateway, method):
    """Others are told which there are, on both paths; HEAD is one of them. TRACE is refused by nginx."""
    for target in ("/api/things", "/api/auth/login"):
        reply = gateway.fetch(target, method)
        assert reply.status == 405 and reply.get("Allow") == (None if method == "TRACE" else "GET, HEAD, POST, PUT, DELETE")
    assert gateway.fetch("/api/things", "HEAD").status == 200


def test_request_method_return_444(folder, certificate, application):
    """With the line that is a comment in the example, nobody is told anything."""
    line = "fastcgi_intercept_errors on; error_page 405 = @silence;"
    silent = Gateway(folder, "silent", certificate, application, nginx={"line": ("# " + line, line)})
    try:
        assert silent.exchange(servers.request("PATCH", "/api/things", host=HOST)) == b""
        assert silent.fetch("/api/things").status == 200 and error(silent.fetch("/nowhere")) == (404, "route_not_found")
        assert silent.fetch("/api/things", "OPTIONS", PREFLIGHT).status == 204
    finally:
        silent.stop()


def test_original_request_method(original):
    """Where passwords are checked, any method reaches the application."""
    assert original.exchange(servers.request("PATCH", "/api/things", host=HOST)) == b""
    assert original.fetch("/api/auth/login", "PATCH").status == 501, "says the application"


@pytest.mark.parametrize("target", ["/.env", "/.git/config", "/api/.git/config", "/api/%2egit/config", "/api/auth/.htpasswd", "/api/x/..%2f.env"])
def test_location_sensitive_files(gateway, target):
    reply = gateway.fetch(target)
    assert reply.status == (400 if "%2f" in target else 404) and reply.get("X-Frame-Options") == "DENY" and b"nginx" not in reply.body


def test_original_tells_its_version(original):
    assert re.search(rb"nginx/[0-9]", original.fetch("/.env").body)


def test_version_is_hidden(gateway):
    for target in ("/.env", "/api/things", "/api/fault"):
        assert gateway.fetch(target).get("Server") == "nginx"


# ---- proxy

def test_proxy_pass(gateway):
    """Authorization is the application's affair; its answer comes back."""
    told = gateway.told(headers=[("Authorization", "Bearer x.y.z"), ("Content-Type", "application/json")], method="POST", body=b"{}")
    assert told["headers"]["authorization"] == "Bearer x.y.z" and told["headers"]["content-type"] == "application/json"


FORGED = [("X-Real-IP", "6.6.6.6"), ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http"), ("Forwarded", "for=6.6.6.6")]


@pytest.mark.parametrize("name", ["Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto"])
def test_proxy_set_header(gateway, name):
    """On both paths, and whatever the client says."""
    for target in ("/api/things", "/api/auth/whoami"):
        address = next(addresses)
        said = gateway.told(target, headers=FORGED, address=address)["headers"]
        assert said[name.lower()] == {"Host": HOST, "X-Forwarded-Proto": "https"}.get(name, address)


def test_original_proxy_set_header(original):
    """A client puts an address of his choice in front of his own; and where passwords are checked, the application
    is told another host, and whatever the client says."""
    address = next(addresses)
    assert original.told(headers=FORGED, address=address)["headers"]["x-forwarded-for"] == f"6.6.6.6, {address}"
    said = original.told("/api/auth/whoami", headers=FORGED)["headers"]
    assert said["host"] != HOST and said["x-real-ip"] == said["x-forwarded-for"] == "6.6.6.6" and said["x-forwarded-proto"] == "http"


PATIENCE_WITH_IT = {"proxy_connect_timeout": ("connect_timeout", "Failed to connect|Connection timed out"),
                    "proxy_send_timeout": ("first_byte", "silent for 1000 ms"), "proxy_read_timeout": ("first_byte", "silent for 1000 ms")}


@pytest.mark.parametrize("name", PATIENCE_WITH_IT)
def test_proxy_timeouts(folder, certificate, name):
    """An application that takes no connection, reads nothing, says nothing has a second here, and in the example 60."""
    key, detail = PATIENCE_WITH_IT[name]
    with socket.socket() as listener, contextlib.ExitStack() as queued:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the kernel does not read in its place
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        if name == "proxy_connect_timeout":  # its queue is full
            for _ in range(2):
                connection = queued.enter_context(socket.socket())
                connection.setblocking(False)
                connection.connect_ex(listener.getsockname())
        front = Gateway(folder, name, certificate, f"http://127.0.0.1:{listener.getsockname()[1]}",
                        policy={key: (f"{key}: 60s", f"{key}: 1s")})
        try:
            body = b"x" * (8 << 20) if name == "proxy_send_timeout" else b"x"
            assert error(front.fetch(method="POST", body=body)) == (504, "backend_timeout")
            assert re.search(detail, front.guard.wait_entry(status=504)["detail"])
        finally:
            front.stop()


# ---- beyond the original

def test_faults_stay_inside(gateway, original):
    assert b"hunter2" in original.fetch("/api/fault").body
    reply = gateway.fetch("/api/fault")
    assert error(reply) == (500, "internal_error") and b"hunter2" not in reply.body


def test_request_is_in_the_log(gateway):
    address = next(addresses)
    reply = gateway.fetch("/api/things", "PATCH", address=address)
    line = gateway.guard.wait_entry(requestId=reply.get("X-Request-ID"))
    assert (line["address"], line["guard"], line["code"]) == (address, "methods", "method_not_allowed")


def test_policy_is_good(gateway):
    result = harness.run([gateway.guard.program, "check", "-c", gateway.guard.policy_path], env=harness.clean_environment())
    assert (result.returncode, result.stderr) == (0, "") and "no errors" in result.stdout, "neither error nor advice"


def test_policy_test():
    result = harness.run([harness.BUILD / "fcgiguard", "test", "-u", harness.EXAMPLES / EXAMPLE / "policy.test.yaml"])
    assert result.returncode == 0, result.stdout + result.stderr
