"""Real web servers on free loopback ports, in front of fcgiguard.

What makes a server talk to fcgiguard is taken from examples/, with the paths
of the test put in their place; only what a distribution's own configuration
would add (ports, modules, logs) stands here."""

import grp
import http.client
import io
import os
import socket

import harness

MODULES = "/usr/lib/apache2/modules"


class Response:
    def __init__(self, raw, method):
        reply = http.client.HTTPResponse(Replay(raw), method=method)
        reply.begin()
        self.status = reply.status
        self.reason = reply.reason
        self.headers = reply.getheaders()
        self.complete = True
        try:
            self.body = reply.read()
        except http.client.IncompleteRead as cut:
            self.body, self.complete = cut.partial, False

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Replay:
    """Bytes that were received, as http.client wants them."""

    def __init__(self, raw):
        self.raw = raw

    def makefile(self, *_, **__):
        return io.BytesIO(self.raw)


def receive_all(connection):
    received = bytearray()
    while True:
        try:
            more = connection.recv(262144)
        except ConnectionResetError:
            break
        if not more:
            break
        received += more
    return bytes(received)


def fetch_raw(port, data, method="GET", timeout=60):
    """Sends bytes as they are and reads to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        try:
            connection.sendall(data)
        except OSError:
            pass
        return Response(receive_all(connection), method)


def request(method, target, headers=(), body=None, host="localhost", close=True):
    target = target.encode() if isinstance(target, str) else target
    headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
    lines = [method.encode() + b" " + target + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    for name, value in headers:
        value = value if isinstance(value, bytes) else value.encode()
        lines.append(name.encode() + b": " + value)
    if body is not None and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        lines.append(b"Content-Length: %d" % len(body))
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def fetch(port, target="/app/h/hello", method="GET", headers=(), body=None, host="localhost", timeout=60):
    return fetch_raw(port, request(method, target, headers, body, host), method, timeout)


def chunked(body, piece=1000):
    out = bytearray()
    for at in range(0, len(body), piece):
        part = body[at:at + piece]
        out += b"%x\r\n" % len(part) + part + b"\r\n"
    return bytes(out) + b"0\r\n\r\n"


# ---- configurations

def example(name, **paths):
    """A file of examples/ with paths of the test; each must occur in it."""
    text = (harness.EXAMPLES / name).read_text()
    for old, new in paths.items():
        old = WORDS[old]
        assert old in text, f"{name} does not say {old}"
        text = text.replace(old, str(new))
    return text


def example_policy(name, **paths):
    """The same for a policy; the socket's group is one that we may give it to."""
    text = example(name, **paths)
    assert "group: www-data" in text
    return text.replace("group: www-data", "group: " + (harness.WEB_USER or grp.getgrgid(os.getgid()).gr_name))


WORDS = {
    "socket": "/run/fcgiguard/guard.sock",
    "cgi": "/srv/cgi",
    "git": "/srv/git",
    "gitweb": "/etc/gitweb.conf",
    "cgit": "/etc/cgitrc",
    "own_socket": "/run/lighttpd/fcgiguard.sock",
    "program": "/usr/bin/fcgiguard",
    "policy": "/etc/fcgiguard.yaml",
    "port": "listen 80;",
    "any_port": ":80 {",
    "params": "include fastcgi_params;",
    "store": "/var/lib/fcgiguard/guard.db",
    "jwt_key": "/etc/fcgiguard/jwt.key",
    "user": "user: www-data",
    "site": "/srv/www",
    "tcp": "127.0.0.1:9000",
    "wiki": "/usr/share/dokuwiki",
    "fpm": "unix:/run/php/php-fpm.sock",
}


class WebServer(harness.Process):
    def __init__(self, arguments, port, log, **more):
        self.port = port
        super().__init__(arguments, log, environment=harness.clean_environment(**more), cwd="/")
        try:
            harness.wait_until(self.answers, 20, f"{arguments[0]} on port {port}")
        except BaseException:
            self.stop()
            raise

    def answers(self):
        if not self.running():
            raise AssertionError(f"{self.arguments[0]} ended:\n{self.text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def fetch(self, *arguments, **words):
        return fetch(self.port, *arguments, **words)


def lighttpd(folder, snippet, name, root=None):
    port = harness.free_port()
    own = folder.writable(name)
    user = 'server.username = "www-data"\nserver.groupname = "www-data"\n' if harness.IS_ROOT else ""
    configuration = folder.write(name + ".conf", f"""
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{root or own}"
server.errorlog = "{own}/error.log"
server.upload-dirs = ( "{own}" )
server.max-connections = 1024
{user}{snippet}""")
    return WebServer(["/usr/sbin/lighttpd", "-D", "-f", configuration], port, own / "output.log")


def nginx(folder, snippet, name, port):
    own = folder.writable(name)
    user = "user www-data;" if harness.IS_ROOT else ""
    temporary = "".join(f"    {kind}_temp_path {own}/{kind};\n"
                        for kind in ("client_body", "fastcgi", "proxy", "uwsgi", "scgi"))
    configuration = folder.write(name + ".conf", f"""{user}
daemon off;
worker_processes 1;
pid {own}/pid;
error_log {own}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
{temporary}{snippet}
}}
""")
    return WebServer(["/usr/sbin/nginx", "-e", own / "error.log", "-c", configuration], port, own / "output.log")


def nginx_tls(port, certificate):
    return (f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate.chain}; "
            f"ssl_certificate_key {certificate.key};")


def apache(folder, modules, snippet, name):
    port = harness.free_port()
    own = folder.writable(name)
    loads = "".join(f"LoadModule {module}_module {MODULES}/mod_{module}.so\n"
                    for module in ["mpm_event", "authz_core", "alias", "env", *modules])
    user = "User www-data\nGroup www-data\n" if harness.IS_ROOT else ""
    fcgid = f"FcgidIPCDir {own}\nFcgidProcessTableFile {own}/shm\n" if "fcgid" in modules else ""
    cgid = f"ScriptSock {own}/cgisock\n" if "cgid" in modules else ""
    configuration = folder.write(name + ".conf", f"""{loads}
ServerRoot {own}
DefaultRuntimeDir {own}
PidFile {own}/pid
ErrorLog {own}/error.log
ServerName localhost
Listen 127.0.0.1:{port}
DocumentRoot {own}
StartServers 1
{user}{fcgid}{cgid}<Directory "/">
    Require all denied
</Directory>
{snippet}""")
    return WebServer(["/usr/sbin/apache2", "-f", configuration, "-DFOREGROUND"], port, own / "output.log",
                     LANG="C")


def caddy(folder, snippet, name, port):
    own = folder.writable(name)
    configuration = folder.write(name + ".caddy", "{\n\tadmin off\n\tauto_https off\n}\n" + snippet)
    arguments = ["/usr/bin/caddy", "run", "--config", configuration, "--adapter", "caddyfile"]
    if harness.IS_ROOT:
        arguments = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"] + arguments
    return WebServer(arguments, port, own / "output.log", HOME=str(own), XDG_DATA_HOME=str(own),
                     XDG_CONFIG_HOME=str(own))


class Front:
    """A web server with fcgiguard behind it, whoever started which."""

    def __init__(self, server, guard):
        self.server, self.guard, self.port = server, guard, server.port

    def fetch(self, *arguments, **words):
        return fetch(self.port, *arguments, **words)

    def ours(self):
        """Processes of fcgiguard that the web server has started."""
        path = str(self.guard.policy_path)
        return [pid for pid in harness.marked(path) + harness.marked(path, "cmdline") if pid != self.guard_pid]

    @property
    def guard_pid(self):
        return self.guard.pid if self.guard.process else None

    def stop(self):
        """Ends the web server; what it started ends with it."""
        alone = [] if self.guard_pid is None else [self.guard_pid, *self.guard.workers()]
        self.server.stop()
        harness.wait_until(lambda: not set(self.ours()) - set(alone), 10, "what the web server started ends with it")


KINDS = ["lighttpd", "lighttpd-bin-path", "lighttpd-interpreter", "nginx", "mod_fcgid", "mod_proxy_fcgi", "action",
         "caddy"]
# Where fcgiguard runs by itself, and where for each request.
ALONE = ("lighttpd", "nginx", "mod_proxy_fcgi", "caddy")
EACH_TIME = ("lighttpd-interpreter", "action")


def start(kind, folder, policy, name=None, unbuffered=False, certificate=None):
    """Starts a web server of a kind with fcgiguard and its policy behind it; lighttpd
    and nginx with a certificate (browser.py) by HTTPS."""
    name = name or kind
    if kind not in ALONE:
        log = folder.writable(name + "-log") / "guard.log"
        policy = f"log: file:{log}\n{policy}" if isinstance(policy, str) else {**policy, "log": f"file:{log}"}
    guard = harness.Guard(folder, policy, start=kind in ALONE, name=name)
    if kind not in ALONE:
        guard.log_path = log
    program, settings = guard.program, guard.policy_path
    if kind == "lighttpd":
        snippet = example("lighttpd/socket.conf", socket=guard.address)
        if certificate:
            snippet += ('\nserver.modules += ( "mod_openssl" )\nssl.engine = "enable"\n'
                        f'ssl.pemfile = "{certificate.both}"\n')
        if unbuffered:
            snippet += "\nserver.stream-response-body = 2\n"
        server = lighttpd(folder, snippet, name)
    elif kind == "lighttpd-bin-path":
        own = guard.run_folder / f"{name}-bin.sock"
        server = lighttpd(folder, example("lighttpd/bin-path.conf", program=program, policy=settings, own_socket=own),
                          name)
    elif kind == "lighttpd-interpreter":
        # lighttpd only starts an interpreter for files that exist.
        root = folder / (name + "-root")
        for route in policy["routes"]:
            file = root / route["path"].strip("/").replace("/**", "").replace("{id}", "7")
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.write_text("")
        server = lighttpd(folder, example("lighttpd/interpreter.conf", program=program, policy=settings), name, root)
    elif kind == "nginx":
        port = harness.free_port()
        listen = f"listen 127.0.0.1:{port};"
        if certificate:
            listen = nginx_tls(port, certificate)
        snippet = example("nginx/fcgiguard.conf", socket=guard.address, port=listen,
                          params="include /etc/nginx/fastcgi_params;")
        if unbuffered:
            snippet = snippet.replace("fastcgi_keep_conn on;", "fastcgi_keep_conn on; fastcgi_request_buffering off; "
                                                               "fastcgi_buffering off;")
        server = nginx(folder, snippet, name, port)
    elif kind == "mod_fcgid":
        server = apache(folder, ["fcgid"], example("apache/fcgid.conf", program=program, policy=settings), name)
    elif kind == "mod_proxy_fcgi":
        snippet = example("apache/proxy_fcgi.conf", socket=guard.address)
        if unbuffered:
            snippet += f'\n<Proxy "unix:{guard.address}|fcgi://localhost/" flushpackets=on>\n</Proxy>\n'
        server = apache(folder, ["proxy", "proxy_fcgi"], snippet, name)
    elif kind == "action":
        snippet = example("apache/action.conf", program=program, policy=settings)
        server = apache(folder, ["cgid", "actions"], snippet, name)
    elif kind == "caddy":
        port = harness.free_port()
        snippet = example("caddy/Caddyfile", socket=guard.address, any_port=f":{port} {{\n\tbind 127.0.0.1")
        server = caddy(folder, snippet, name, port)
    else:
        raise ValueError(kind)
    front = Front(server, guard)
    front.kind = kind
    return front
