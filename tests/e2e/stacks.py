"""examples/express and examples/fastapi at work: policy, web server and application as
they stand there, with the paths and ports of the test put in their place. Clients come
by HTTPS, look at the certificate, and have an address each."""

import contextlib
import http.client
import itertools
import json
import os
import pwd
import socket
import ssl
import time

import browser
import harness
import servers
from test_callers import token

HOST = "api.example.com"
SECRET = "the-secret-of-the-login-service-32"
PASSWORD = "correct <b>horse"
ORIGIN = "https://app.example.com"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def bearer(secret=SECRET, **claims):
    """A token as the originals ask for it; a claim that is None is left out."""
    claims = {"iss": HOST, "aud": HOST, "sub": "7", "role": "admin", "exp": int(time.time()) + 86400, **claims}
    return {"Authorization": "Bearer " + token(secret=secret, **claims)}


def without_algorithm():
    head, claims, _ = bearer()["Authorization"].removeprefix("Bearer ").split(".")
    return {"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{claims}."}


class Reply:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def get(self, name):
        return self.headers.get(name)

    def words(self, name):
        return {word.strip() for word in (self.get(name) or "").split(",")}

    def json(self):
        return json.loads(self.body)


class Stack:
    """An example of this name: start() its three parts from the last one to the first."""

    def __init__(self, name, folder, start_guard):
        self.name, self.folder = name, folder
        self.guard = start_guard("", start=False, name=name)
        self.certificate = browser.certificate(folder)
        self.context = ssl.create_default_context(cafile=self.certificate.chain)
        self.plain_port, self.port = harness.free_port(), harness.free_port()
        self.addresses = (f"127.1.{number // 250}.{number % 250 + 1}" for number in itertools.count())
        self.parts = []
        self.secret = folder.write("jwt.key", SECRET, 0o600)
        if harness.IS_ROOT:
            harness.shutil.chown(self.secret, harness.WEB_USER)

    def text(self, name, words):
        """A file of the example with these words replaced, each of which must occur in it."""
        text = (harness.EXAMPLES / self.name / name).read_text()
        for old, new in words.items():
            assert old in text, f"{name} does not say {old}"
            text = text.replace(old, str(new))
        return text

    def start_application(self, arguments, ready, **environment):
        log = self.folder / f"{self.name}-application.log"
        self.parts.append(harness.Process(arguments, log, user=harness.WEB_USER, cwd="/",
                                          environment=harness.clean_environment(**environment)))
        application = self.parts[-1]
        harness.wait_until(lambda: ready() or not application.running(), 30, "the application listens")
        assert application.running(), application.text()

    def start_guard(self, words):
        name = harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name
        text = self.text("policy.yaml", {
            "/run/fcgiguard/guard.sock": self.guard.address, "/etc/fcgiguard/jwt.key": self.secret, "user: www-data": f"user: {name}",
            "group: www-data": f"group: {pwd.getpwnam(name).pw_gid}",
            "/var/lib/fcgiguard/guard.db": self.folder.writable(f"{self.name}-store") / "guard.db", **words})
        self.guard.write(text)
        checked = harness.run([self.guard.program, "check", "-c", self.guard.policy_path], env=harness.clean_environment())
        assert checked.returncode == 0 and not checked.stderr, "neither error nor advice: " + checked.stderr
        self.guard.start()

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    # ---- clients

    def client(self):
        """An address that nobody has come from yet."""
        return next(self.addresses)

    def agrees(self, ciphers):
        """Whether TLS 1.2 can be spoken with one of these."""
        context = ssl.create_default_context(cafile=self.certificate.chain)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        with socket.create_connection(("127.0.0.1", self.port), 60) as plain:
            try:
                context.wrap_socket(plain, server_hostname=HOST).close()
            except ssl.SSLError as error:
                assert error.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE", error
                return False
        return True

    @contextlib.contextmanager
    def connection(self, client=None, secure=True):
        plain = socket.create_connection(("127.0.0.1", self.port if secure else self.plain_port), 60,
                                         source_address=(client or self.client(), 0))
        made = http.client.HTTPConnection("127.0.0.1")
        made.auto_open = False
        with plain:
            made.sock = self.context.wrap_socket(plain, server_hostname=HOST) if secure else plain
            with contextlib.closing(made):
                yield made

    def ask(self, connection, target, method, headers, body, host):
        if isinstance(body, (dict, list)):
            headers, body = {**JSON, **headers}, json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": host, **headers, **({} if body is None else {"Content-Length": str(len(body))})}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return Reply(connection.getresponse())

    def fetch(self, target, method="GET", headers=(), body=None, host=HOST, client=None, secure=True):
        """One request on a connection of its own, by a client of its own unless one is named."""
        with self.connection(client, secure) as connection:
            return self.ask(connection, target, method, {"Connection": "close", **dict(headers)}, body, host)

    def burst(self, count, target, method="GET", headers=(), body=None, client=None):
        """Requests of one client, one after the other on few connections."""
        client, replies = client or self.client(), []
        while len(replies) < count:
            with self.connection(client) as connection:
                while len(replies) < count and connection.sock:
                    replies.append(self.ask(connection, target, method, dict(headers), body, HOST))
        return replies

    def preflight(self, origin, method, headers="content-type", target="/api/users"):
        return self.fetch(target, "OPTIONS", {"Origin": origin, "Access-Control-Request-Method": method,
                                              "Access-Control-Request-Headers": headers})

    def logged(self, reply):
        """The line of the log for this reply."""
        return self.guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))


def express(folder, start_guard):
    stack, port = Stack("express", folder, start_guard), harness.free_port()

    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
    file = folder.write("users.mjs", stack.text("users.mjs", {"listen(3000,": f"listen({port},"}))
    try:
        stack.start_application(["/usr/bin/node", file], listens, JWT_SECRET_FILE=str(stack.secret), ADMIN_PASSWORD=PASSWORD)
        stack.start_guard({"http://127.0.0.1:3000": f"http://127.0.0.1:{port}"})
        snippet = stack.text("nginx.conf", {
            "/run/fcgiguard/guard.sock": stack.guard.address, "listen 80;": f"listen 127.0.0.1:{stack.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{stack.port} ssl;", "include fastcgi_params;": "include /etc/nginx/fastcgi_params;",
            "/etc/ssl/certs/api.example.com.pem": stack.certificate.chain, "/etc/ssl/private/api.example.com.key": stack.certificate.key})
        stack.parts.append(servers.nginx(folder, snippet, "express-nginx", stack.port))
    except BaseException:
        stack.stop()
        raise
    return stack


def fastapi(folder, start_guard):
    stack = Stack("fastapi", folder, start_guard)
    address = stack.guard.run_folder / "app.sock"
    file = folder.write("users.py", stack.text("users.py", {}), 0o755)
    try:
        stack.start_application([file, address], address.is_socket)
        stack.start_guard({"/run/users/app.sock": address})
        snippet = stack.text("lighttpd.conf", {
            "/run/fcgiguard/guard.sock": stack.guard.address, '":443"': f'"127.0.0.1:{stack.port}"',
            "/etc/ssl/certs/api.example.com.pem": stack.certificate.chain, "/etc/ssl/private/api.example.com.key": stack.certificate.key})
        stack.parts.append(servers.lighttpd(folder, snippet, "fastapi-lighttpd"))
        stack.plain_port = stack.parts[-1].port
    except BaseException:
        stack.stop()
        raise
    return stack
