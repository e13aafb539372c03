"""The command `init`: what it writes for each server and each kind of caller
starts, serves and refuses, with the commands that it prints; and it writes all
of it or nothing."""

import json
import os
import pathlib
import pty
import re
import shlex
import signal
import stat
import subprocess

import pytest

import harness
import http_backend
import php_fpm
import servers
from conftest import needs_root
from test_jwks import ONE, Provider, authority  # noqa: F401, a fixture

SERVERS = ["lighttpd", "nginx", "apache", "caddy"]
FILES = {"lighttpd": "lighttpd.conf", "nginx": "nginx.conf", "apache": "apache.conf", "caddy": "Caddyfile"}
KINDS = ["none", "api_key", "jwt", "jwks"]
HOST = "localhost"


@pytest.fixture(scope="module")
def program(folder):
    return harness.installed("fcgiguard", folder)


@pytest.fixture(scope="module")
def script(folder):
    return folder.write("cgi/api.sh", (harness.EXAMPLES / "openapi/notes-api.sh").read_bytes(), 0o755)


def init(program, *arguments, **more):
    done = harness.run([program, "init", *arguments], env=harness.clean_environment(), stdin=subprocess.DEVNULL, **more)
    assert not harness.REPORTS.search(done.stderr), done.stderr
    return done


def shell(command):
    done = harness.run(["sh", "-c", command], env=harness.clean_environment())
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.strip()


# ---- sites that serve

class Site:
    """A web server and fcgiguard, as init wrote them, started as it said."""

    def __init__(self, folder, program, handler, server, kind, provider, name=None, probe="/api/x"):
        self.server, self.kind, self.name, self.probe = server, kind, name or f"{server}-{kind}", probe
        self.port = harness.free_port()
        self.directory = folder / self.name
        options = ["--server", server, *handler, "--host", HOST, "--auth", kind, "--directory", self.directory,
                   "--listen", f"127.0.0.1:{self.port}", *self.own_options(folder, provider)]
        done = init(program, *options)
        assert done.returncode == 0, done.stderr
        assert done.stderr == f"{self.directory}/policy.yaml: 2 routes, no errors\n", "neither error nor advice"
        self.commands = done.stdout.splitlines()
        self.processes = []
        try:
            self.start(folder, provider)
        except BaseException:
            self.stop()
            raise

    def own_options(self, folder, provider):
        options = []
        if self.kind in ("jwt", "jwks"):
            options += ["--issuer", "https://login.example.com", "--audience", "notes"]
        if self.kind == "jwks":
            options += ["--jwks-url", provider.url()]
        if harness.IS_ROOT:
            options += ["--group", harness.WEB_USER]  # as tests start Caddy, too
        if self.server == "caddy":  # it would ask the world for a certificate
            self.certificate = folder / (self.name + ".pem")
            key = folder / (self.name + ".key")
            shell(f'openssl req -x509 -newkey rsa:2048 -noenc -subj "/CN={HOST}" -addext "subjectAltName=DNS:{HOST}" '
                  f'-keyout {key} -out {self.certificate}')
            if harness.IS_ROOT:
                harness.shutil.chown(key, harness.WEB_USER)
            options += ["--certificate", self.certificate, "--key", key]
        else:
            self.certificate = self.directory / "certificate.pem"
        return options

    def command(self, *words):
        """The printed command with these words, which must be one."""
        found = [line for line in self.commands if all(word in line for word in words)]
        assert len(found) == 1, self.commands
        return found[0]

    def start(self, folder, provider):
        if self.server != "caddy":
            shell(self.command("openssl req"))
        if self.kind == "jwks":  # the tests' provider is no public one
            file = self.directory / "policy.yaml"
            url = f'"{provider.url()}"'
            text = file.read_text()
            assert url in text
            file.write_text(text.replace(url, f"{{url: {url}, private: true, ca: {folder}/ca.pem}}"))
        if self.kind == "api_key":
            self.credential = ["X-API-Key: " + shell(self.command("key create"))]
        elif self.kind == "jwt":
            self.credential = ["Authorization: Bearer " + shell(self.command("token sign"))]
        elif self.kind == "jwks":
            self.credential = ["Authorization: Bearer " + ONE.token(iss="https://login.example.com", aud="notes")]
        else:
            self.credential = []
        assert self.commands[-1] == self.command(" serve ")
        self.log = folder / (self.name + "-guard.log")
        self.processes.append(harness.Process(shlex.split(self.commands[-1]), self.log, environment=harness.clean_environment(),
                                              cwd="/"))
        self.start_server(folder)
        harness.wait_until(lambda: self.fetch(self.probe)[0] not in (0, 502, 503), 30, f"{self.name} serves")

    def start_server(self, folder):
        file = self.directory / FILES[self.server]
        name = self.name + "-web"
        if self.server == "lighttpd":
            self.processes.append(servers.lighttpd(folder, f'include "{file}"\n', name))
        elif self.server == "nginx":
            folder.write("fastcgi_params", pathlib.Path("/etc/nginx/fastcgi_params").read_bytes())
            self.processes.append(servers.nginx(folder, f"include {file};", name, self.port))
        elif self.server == "apache":
            run = folder.writable(name + "-run")
            modules = ["proxy", "proxy_fcgi", "reqtimeout", "socache_shmcb", "ssl"]
            self.processes.append(servers.apache(folder, modules, f"Define APACHE_RUN_DIR {run}\nInclude {file}\n", name))
        else:
            own = folder.writable(name)
            arguments = ["/usr/bin/caddy", "run", "--config", file, "--adapter", "caddyfile"]
            if harness.IS_ROOT:
                arguments = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"] + arguments
            self.processes.append(servers.WebServer(arguments, self.port, own / "output.log", HOME=str(own), XDG_DATA_HOME=str(own),
                                                    XDG_CONFIG_HOME=str(own), CADDY_ADMIN=f"unix/{own}/admin.sock"))

    def fetch(self, path, *options, credential=True):
        """Status, headers and body, by HTTPS with the certificate looked at."""
        words = ["curl", "-s", "-i", "--http1.1", "--cacert", self.certificate, "--resolve", f"{HOST}:{self.port}:127.0.0.1"]
        for line in self.credential if credential else []:
            words += ["-H", line]
        done = harness.run([*words, "-H", "Expect:", *options, f"https://{HOST}:{self.port}{path}"])
        head, _, body = done.stdout.partition("\n\n")
        status = int(head.split()[1]) if head.startswith("HTTP/") else 0
        return status, head.lower(), body

    def handshake(self, *options):
        return harness.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-servername", HOST, *options], input="")

    def stop(self):
        for process in reversed(self.processes):
            process.stop()


@pytest.fixture(scope="module")
def provider(authority):  # noqa: F811
    started = Provider(authority)
    yield started
    started.die()


@pytest.fixture(scope="module", params=[f"{server}-{kind}" for server in SERVERS for kind in KINDS])
def site(request, folder, program, script, provider):
    started = Site(folder, program, ["--exec", script], *request.param.split("-"), provider)
    yield started
    started.stop()
    assert not harness.REPORTS.search(started.processes[0].text()), started.processes[0].text()


def error(reply):
    return reply[0], json.loads(reply[2])["error"]


JSON = ("-H", "Content-Type: application/json", "--data-binary")


def test_serves(site):
    status, head, body = site.fetch("/api/notes")
    who = {"none": "nobody", "jwks": "alice"}.get(site.kind, "me")
    assert (status, body) == (200, f"GET /notes for {who}\n")
    assert "strict-transport-security: " in head and "x-request-id: " in head and "nosniff" in head
    status, _, body = site.fetch("/api/notes", *JSON, '{"title": "milk"}')
    assert (status, body) == (201, f"POST /notes for {who}\n")


def test_refuses(site):
    assert error(site.fetch("/api/notes", *JSON, '{"title": 1}')) == (400, "validation_error")
    assert error(site.fetch("/api/notes", "-X", "PUT")) == (405, "method_not_allowed")
    assert error(site.fetch("/api/notes?a=1&a=2")) == (400, "validation_error")
    assert error(site.fetch("/api/notes", *JSON, "x" * (64 * 1024 + 1))) == (413, "body_too_large")
    assert site.fetch("/other")[0] in (403, 404)
    assert site.fetch("/")[0] in (403, 404)
    if site.kind != "none":
        assert error(site.fetch("/api/notes", credential=False)) == (401, "unauthorized")
        header = "X-API-Key: x" if site.kind == "api_key" else "Authorization: Bearer x.y.z"
        assert error(site.fetch("/api/notes", "-H", header, credential=False)) == (401, "invalid_token")


def test_large_bodies(site, folder):
    """What the server takes is refused by the policy, and soon; more is refused by the server."""
    large = folder.write("large", b"x" * 900000)
    assert error(site.fetch("/api/notes", *JSON, f"@{large}", "--max-time", "20")) == (413, "body_too_large")
    huge = folder.write("huge", b"x" * (2 << 20))
    status, head, _ = site.fetch("/api/notes", *JSON, f"@{huge}")
    if status == 0 and site.server == "lighttpd":  # it has closed the connection, and curl was still sending
        return
    assert status == 413 and ("x-request-id" not in head or site.server == "apache")  # which hands it on as it comes


def test_client_is_not_believed(site):
    status, head, _ = site.fetch("/api/seen", "-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: http")
    assert status == 200
    name = re.search(r"^x-request-id: (\S+)", head, re.M)[1]
    line = harness.wait_until(lambda: [line for line in site.processes[0].text().splitlines() if name in line], 10, "the log line")
    assert json.loads(line[0])["address"] == "127.0.0.1"


def test_version_of_the_server_is_hidden(site):
    for path in ("/api/notes", "/other"):
        server = re.search(r"^server: *(.*)", site.fetch(path)[1], re.M)
        assert not server or not re.search(r"[0-9]", server[1]), server[0]


@pytest.mark.parametrize("version, protocol", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_tls_is_spoken(site, version, protocol):
    done = site.handshake(version)
    assert done.returncode == 0 and re.search(rf"New, {re.escape(protocol)}", done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_tls_is_refused(site, version):
    done = site.handshake(version, "-cipher", "DEFAULT@SECLEVEL=0")
    assert done.returncode != 0 and "alert protocol version" in done.stderr, done.stderr


def test_weak_cipher_is_refused(site):
    done = site.handshake("-tls1_2", "-cipher", "AES128-SHA@SECLEVEL=0")
    assert done.returncode != 0 and "alert handshake failure" in done.stderr, done.stderr


def test_session_is_resumed(site, folder):
    file = folder / "session"
    site.handshake("-tls1_2", "-sess_out", file)
    assert "Reused, TLSv1.2" in site.handshake("-tls1_2", "-sess_in", file).stdout


def test_files_are_for_whom_they_should_be(site):
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in site.directory.iterdir()}
    assert modes["policy.yaml"] == modes["request.json"] == modes[FILES[site.server]] == 0o644
    assert modes["store"] == 0o700
    assert modes.get("jwt.key") == (0o600 if site.kind == "jwt" else None)
    assert modes["guard.sock"] == 0o660
    if harness.IS_ROOT:
        assert (site.directory / "store").owner() == harness.WEB_USER and (site.directory / "policy.yaml").owner() == "root"


def test_policy_is_short_and_explained(site):
    lines = (site.directory / "policy.yaml").read_text().splitlines()
    assert len(lines) < 60 and len([line for line in lines if "#" in line]) > 10
    for file in site.directory.iterdir():
        if file.is_file() and "certificate" not in file.name:
            assert "@" not in file.read_text().replace("@ -", ""), file


# ---- applications that listen by themselves

@pytest.fixture(scope="module")
def fpm(folder):
    started = php_fpm.Fpm(folder)
    yield started
    started.stop()


def site_of(request, folder, program, handler, name, **more):
    started = Site(folder, program, handler, request.param, "none", None, name=f"{request.param}-{name}", **more)
    request.addfinalizer(started.stop)
    return started


@pytest.fixture(scope="module", params=SERVERS)
def php_site(request, folder, program, fpm):
    return site_of(request, folder, program, ["--fastcgi", fpm.address, "--root", fpm.root], "php")


@pytest.fixture(scope="module", params=SERVERS)
def front_site(request, folder, program, fpm):
    return site_of(request, folder, program, ["--fastcgi", fpm.address, "--root", fpm.root, "--script", "index.php"], "front")


@pytest.fixture(scope="module", params=SERVERS)
def http_site(request, folder, program):
    backend = http_backend.Backend()
    request.addfinalizer(backend.stop)
    started = site_of(request, folder, program, ["--http", backend.url, "--path", "/canary/"], "http", probe="/canary/x")
    started.backend = backend
    return started


def test_php_is_served(php_site):
    status, head, body = php_site.fetch("/api/hello.php")
    assert (status, body) == (200, "hello") and "strict-transport-security: " in head and "x-request-id: " in head
    assert php_site.fetch("/api/sub/")[2] == "sub"
    status, _, body = php_site.fetch("/api/told.php", *JSON, '{"title": "milk"}')
    told = json.loads(body)["server"]
    assert status == 200 and (told["SCRIPT_NAME"], told["REMOTE_ADDR"], told["HTTPS"]) == ("/api/told.php", "127.0.0.1", "on")


def test_php_is_guarded(php_site):
    assert error(php_site.fetch("/api/told.php", *JSON, '{"title": 1}')) == (400, "validation_error")
    assert error(php_site.fetch("/api/hello.php", "-X", "PUT")) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/api/secret.txt", "/api/upload.jpg", "/api/upload.jpg/x.php", "/api/none.php"])
def test_only_scripts_are_served(php_site, path):
    """Neither their text nor any other file, by fcgiguard or by the web server."""
    status, _, body = php_site.fetch(path)
    assert status == 404 and "EXECUTED" not in body and "<?php" not in body


@pytest.mark.parametrize("path", ["/hello.php", "/secret.txt", "/"])
def test_files_are_not_the_web_servers(php_site, path):
    status, _, body = php_site.fetch(path)
    assert status in (403, 404) and "<?php" not in body


def test_front_controller_gets_all(front_site):
    for path in ("/api/", "/api/notes/7", "/api/hello.php"):
        assert front_site.fetch(path)[::2] == (200, "index -"), path
    assert front_site.fetch("/other")[0] in (403, 404)


def test_http_application_is_served(http_site):
    status, head, body = http_site.fetch("/canary/hello")
    assert (status, body) == (200, "hello") and "strict-transport-security: " in head
    request = http_site.backend.requests[-1]
    assert request.line == "GET /canary/hello HTTP/1.1" and request.get("X-Forwarded-For") == "127.0.0.1"
    before = len(http_site.backend.requests)
    assert error(http_site.fetch("/canary/hello", *JSON, '{"title": 1}')) == (400, "validation_error")
    assert http_site.fetch("/other")[0] in (403, 404) and len(http_site.backend.requests) == before
    http_site.fetch("/canary/milk", *JSON, '{"title": "milk"}')
    assert json.loads(http_site.backend.requests[-1].body) == {"title": "milk"}


# ---- what is written, without a server

def left(directory):
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else None


@pytest.fixture
def directory(folder, request):
    """A folder that is not there yet."""
    return folder / re.sub(r"\W", "-", request.node.name)[:60]


def options(script, **changed):
    chosen = {"server": "nginx", "exec": script, "host": "api.example.com", "auth": "api_key", **changed}
    return [word for name, value in chosen.items() if value is not None for word in ("--" + name, value)]


def test_defaults(program, script, directory):
    done = init(program, "--server", "nginx", "--exec", script, "--defaults", "--directory", directory)
    assert done.returncode == 0, done.stderr
    text = (directory / "policy.yaml").read_text()
    assert "hosts: [localhost]" in text and "api_key" in text and "path: /api/**" in text


def judge(server, file, folder, directory):
    """The command by which a server judges a configuration with the file in it."""
    if server == "lighttpd":
        return ["lighttpd", "-tt", "-f", folder.write("try.conf", f'server.document-root = "/"\nserver.port = 8080\ninclude "{file}"\n')]
    if server == "nginx":  # which also tries to listen
        text = re.sub(r"listen \S+ ssl;", f"listen unix:{directory}/try.sock ssl;", file.read_text(), count=1).replace("listen [::]", "# ")
        folder.write("fastcgi_params", pathlib.Path("/etc/nginx/fastcgi_params").read_bytes())
        return ["nginx", "-t", "-e", "stderr", "-c",
                folder.write("try.conf", f"pid {directory}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n")]
    if server == "apache":
        modules = ("mpm_event", "authz_core", "alias", "env", "proxy", "proxy_fcgi", "reqtimeout", "socache_shmcb", "ssl")
        loads = "".join(f"LoadModule {name}_module {servers.MODULES}/mod_{name}.so\n" for name in modules)
        return ["apache2", "-t", "-f", folder.write("try.conf", f"{loads}ServerRoot {folder}\nServerName x\nErrorLog {folder}/try.log\n"
                                                                f"Define APACHE_RUN_DIR {folder}\nInclude {file}\n")]
    return ["caddy", "validate", "--adapter", "caddyfile", "--config", file]


LISTENS = {"lighttpd": ['== ":{}"', '== "{}"'], "nginx": ["listen {} ssl;", "listen {} ssl;"], "apache": ["<VirtualHost *:{}>", "Listen {}\n"],
           "caddy": [":{} {{\n\t#", "bind ::1\n"]}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("more", [{}, {"listen": "8443"}, {"listen": "[::1]:8443"}, {"path": "/"}, {"path": "/v1.2/a-b_c~d/"},
                                  {"auth": "none"}, {"host": "192.0.2.7"}], ids=["plain", "port", "ipv6", "root", "path", "none", "address"])
def test_check_and_the_server_agree(program, script, folder, directory, server, more):
    """What options change is still in the language of the policy and of the server."""
    done = init(program, *options(script, server=server, **more), "--directory", directory)
    assert done.returncode == 0, done.stderr
    assert ("admits every path" in done.stderr) == (more.get("path") == "/"), done.stderr
    for line in done.stdout.splitlines():
        if line.startswith("openssl"):
            shell(line)
    file = directory / FILES[server]
    listen = more.get("listen", "443")
    assert LISTENS[server][listen.startswith("[")].format(listen) in file.read_text()
    done = harness.run(judge(server, file, folder, directory), env=harness.clean_environment(HOME=str(directory), XDG_DATA_HOME=str(directory)))
    assert done.returncode == 0 and not re.search(r"DEPRECATED|\[warn\]|not formatted|AH[0-9]", done.stdout + done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["server", "exec", "host", "auth"])
def test_missing_option_is_named(program, script, directory, name):
    done = init(program, *options(script, **{name: None}), "--directory", directory)
    assert done.returncode == 2 and done.stderr.startswith(f"fcgiguard: init: --{name}: this is needed"), done.stderr
    assert not directory.exists() and not done.stdout


@pytest.mark.parametrize("name", ["jwks-url", "issuer", "audience"])
def test_missing_option_of_tokens_is_named(program, script, directory, name):
    more = {"auth": "jwks", "jwks-url": "https://login.example.com/keys", "issuer": "x", "audience": "y", name: None}
    done = init(program, *options(script, **more), "--directory", directory)
    assert done.returncode == 2 and f"--{name}: this is needed" in done.stderr, done.stderr
    done = init(program, *options(script, **more), "--defaults", "--directory", directory)
    assert done.returncode == (2 if name == "jwks-url" else 0), done.stderr
    if name == "issuer":
        assert 'issuer: "https://login.example.com"\n' in (directory / "policy.yaml").read_text()


@pytest.mark.parametrize("name, value", [
    ("server", "iis"), ("auth", "basic"), ("auth", "none|jwt"), ("exec", "/nowhere/at/all"), ("exec", "/tmp/a'b"), ("exec", "-x"), ("exec", "/dev/null"),
    ("host", 'a"b'), ("host", "a.example.com:443"), ("host", "a b"), ("host", "a.example.com."), ("host", ""), ("host", "a;b"), ("host", "[::1]"),
    ("host", "-a"), ("host", "x" * 300), ("host", "1.2.3"), ("host", "a\nb"),
    ("path", "api/"), ("path", "/api"), ("path", "/a//b/"), ("path", '/a"b/'), ("path", "/.git/"), ("path", "/a/../b/"), ("path", "/a b/"), ("path", "/a{b}/"),
    ("path", "/a$b/"), ("path", ""), ("path", "//"), ("path", "/a*/"),
    ("listen", "0"), ("listen", "65536"), ("listen", "x"), ("listen", "127.0.0.1"), ("listen", "localhost:80"), ("listen", "127.0.0.1:0"), ("listen", "443 ssl"),
    ("certificate", "/nowhere"), ("key", '/a"b'), ("socket", "guard.sock"), ("socket", "/" + "x" * 120), ("socket", "/a;b"), ("socket", "/x/"),
    ("user", "no-such-user"), ("user", "root"), ("group", "no such group"), ("group", "no-such-group"),
    ("jwks-url", "http://a.example.com/x"), ("jwks-url", "https://a.example.com"), ("jwks-url", "https:///x"), ("jwks-url", 'https://a.example.com/"'),
    ("jwks-url", "https://a'b/x"), ("jwks-url", "https://u@a.example.com/x"),
    ("issuer", 'a"b'), ("issuer", "a'b"), ("issuer", "a b"), ("audience", "a\\b"), ("audience", ""), ("directory", 'a"b'), ("directory", "-d"), ("directory", "a b"),
], ids=str)
def test_bad_value_is_refused(program, script, directory, name, value):
    more = {"directory": directory, "auth": "jwks", "jwks-url": "https://login.example.com/keys", "issuer": "x", "audience": "y", name: value}
    done = init(program, *options(script, **more), cwd=str(script.parent))
    assert done.returncode == 2 and not done.stdout, done.stderr
    assert re.match(rf"fcgiguard: init: --{name}: (expected [^\n]+|only root can [^\n]+)\nusage: ", done.stderr), done.stderr
    assert not directory.exists() and left(script.parent) == ["api.sh"]


@pytest.mark.parametrize("arguments, said", [
    (["--fastcgi", "unix:x.sock", "--root", "/srv"], "--fastcgi: expected an address"), (["--fastcgi", "localhost"], "--fastcgi: expected"),
    (["--fastcgi", "unix:/a b"], "--fastcgi: expected"), (["--fastcgi", 'unix:/a"b'], "--fastcgi: expected"), (["--fastcgi", ""], "--fastcgi: expected"),
    (["--fastcgi", "127.0.0.1:9000"], "--root: this is needed"), (["--root", "/tmp"], "--fastcgi: this is needed"),
    (["--fastcgi", "127.0.0.1:9000", "--root", "/nowhere"], "--root: expected a folder that is there"),
    (["--fastcgi", "127.0.0.1:9000", "--root", "/etc/passwd"], "--root: expected a folder that is there"),
    (["--fastcgi", "127.0.0.1:9000", "--root", "/tmp", "--script", "../x.php"], "--script: expected"),
    (["--fastcgi", "127.0.0.1:9000", "--root", "/tmp", "--script", "/x.php"], "--script: expected"),
    (["--fastcgi", "127.0.0.1:9000", "--root", "/tmp", "--script", "x.txt"], "--script: expected"),
    (["--http", "127.0.0.1:3000"], "--http: expected"), (["--http", "http://"], "--http: expected"), (["--http", "http://a/b"], "--http: expected"),
    (["--http", "ftp://a"], "--http: expected"), (["--http", 'http://a"b'], "--http: expected"),
    (["--http", "http://a", "--root", "/tmp"], "does not go with --"), (["--http", "http://a", "--exec", "/bin/true"], "--http: this does not go with --exec"),
    (["--handler", "http"], '"--handler" is not known'),
], ids=str)
def test_bad_handlers_are_refused(program, directory, arguments, said):
    done = init(program, "--server", "nginx", "--host", "a.example", "--auth", "none", *arguments, "--directory", directory)
    assert done.returncode == 2 and said in done.stderr and not done.stdout, done.stderr
    assert not directory.exists()


def test_options_that_do_not_go_together(program, script, directory):
    done = init(program, *options(script, issuer="x"), "--directory", directory)
    assert done.returncode == 2 and "--issuer: this does not go with" in done.stderr, done.stderr
    done = init(program, *options(script, certificate=script), "--directory", directory)
    assert done.returncode == 2 and "go together" in done.stderr, done.stderr
    done = init(program, *options(script), "--directory", directory, "more")
    assert done.returncode == 2 and '"more" is too much' in done.stderr, done.stderr
    done = init(program, *options(script), "--nonsense")
    assert done.returncode == 2 and '"--nonsense" is not known' in done.stderr, done.stderr
    assert not directory.exists()


@pytest.mark.parametrize("name", ["policy.yaml", "request.json", "nginx.conf", "jwt.key", "store"])
def test_what_is_there_is_kept(program, script, directory, name):
    directory.mkdir()
    (directory / name).write_text("mine")
    more = {"auth": "jwt", "issuer": "x", "audience": "y"}
    done = init(program, *options(script, **more), "--directory", directory)
    assert done.returncode == 1 and f"{directory}/{name} is there already" in done.stderr, done.stderr
    assert left(directory) == [name] and (directory / name).read_text() == "mine" and not done.stdout


@pytest.mark.parametrize("target", ["nowhere", "/etc/passwd"])
def test_link_is_not_followed(program, script, directory, target):
    directory.mkdir()
    (directory / "policy.yaml").symlink_to(directory / target)
    done = init(program, *options(script), "--directory", directory)
    assert done.returncode == 1 and "policy.yaml is there already" in done.stderr, done.stderr
    assert left(directory) == ["policy.yaml"]


def test_folder_above_must_be_there(program, script, directory):
    done = init(program, *options(script), "--directory", directory / "x/y")
    assert done.returncode == 1 and "cannot use the folder" in done.stderr and not directory.exists(), done.stderr


def test_current_folder_by_a_relative_name(program, script, directory):
    directory.mkdir()
    (directory / "programs").mkdir()
    (directory / "programs/x.sh").write_bytes(script.read_bytes())
    (directory / "programs/x.sh").chmod(0o755)
    done = init(program, *options("programs"), cwd=str(directory))
    assert done.returncode == 0, done.stderr
    assert f"exec: {{root: {directory}/programs}}" in (directory / "policy.yaml").read_text()
    assert left(directory) == ["nginx.conf", "policy.yaml", "programs", "request.json", "store"]


def test_current_folder_with_an_odd_name(program, script, directory):
    odd = directory / "a 'b"
    odd.mkdir(parents=True)
    done = init(program, *options(script), cwd=str(odd))
    assert done.returncode == 1 and "does not fit, expected a path of letters" in done.stderr, done.stderr
    (odd / "x.sh").write_bytes(script.read_bytes())
    (odd / "x.sh").chmod(0o755)
    done = init(program, *options("x.sh"), "--directory", directory / "new", cwd=str(odd))
    assert done.returncode == 1 and "the current folder" in done.stderr and left(directory) == ["a 'b"], done.stderr


def test_folder_of_everybody_is_refused(program, script, directory):
    directory.mkdir()
    directory.chmod(0o1777)
    done = init(program, *options(script), "--directory", directory)
    assert done.returncode == 1 and "can be written by its group or by others" in done.stderr, done.stderr
    assert left(directory) == []


@needs_root
def test_folder_of_others_is_refused_to_root(program, script, directory):
    directory.mkdir()
    harness.shutil.chown(directory, harness.WEB_USER)
    done = init(program, *options(script), "--directory", directory)
    assert done.returncode == 1 and "is owned by user" in done.stderr and left(directory) == [], done.stderr


@needs_root
def test_folder_that_the_worker_cannot_enter(program, script, directory):
    directory.mkdir()
    directory.chmod(0o700)
    for name in (directory, directory / "new"):
        done = init(program, *options(script), "--directory", name)
        assert done.returncode == 1 and f'the user "{harness.WEB_USER}" cannot enter' in done.stderr, done.stderr
    assert left(directory) == []


def as_nobody():
    return {"user": harness.WEB_USER, "group": harness.WEB_USER, "extra_groups": []} if harness.IS_ROOT else {}


def test_unwritable_folder(program, script, directory):
    directory.mkdir()
    if not harness.IS_ROOT:
        directory.chmod(0o555)
    for name in (directory, directory / "new"):
        done = init(program, *options(script), "--directory", name, **as_nobody())
        assert done.returncode == 1 and "Permission denied" in done.stderr, done.stderr
    assert left(directory) == []


def test_without_root(program, script, folder, directory):
    """Nobody else is named, and the same user serves it."""
    folder.writable(directory.name)
    done = init(program, *options(script, server="lighttpd"), "--directory", directory, **as_nobody())
    assert done.returncode == 0 and done.stderr == f"{directory}/policy.yaml: 2 routes, no errors\n", done.stderr
    assert not re.search(r"^(user| *group):", (directory / "policy.yaml").read_text(), re.M)
    assert "sudo systemctl" in done.stdout
    guard = harness.Process(shlex.split(done.stdout.splitlines()[-1]), directory / "log", user=harness.WEB_USER,
                            environment=harness.clean_environment(), cwd="/")
    try:
        harness.wait_until(lambda: "worker_started" in guard.text() or not guard.running(), 20, "the worker")
    finally:
        assert guard.end() == 0, guard.text()


@needs_root
def test_full_disk(program, script, folder, directory):
    """Whichever file finds no room, none is left."""
    directory.mkdir()
    done = harness.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0755", "tmpfs", directory])
    if done.returncode:
        pytest.skip("no file system can be mounted: " + done.stderr.strip())
    try:
        seen = set()
        for pages in range(5):
            (directory / "filler").write_bytes(b"x" * (16384 - 4096 * pages))
            for place in (directory, directory / "new"):
                done = init(program, *options(script), "--directory", place)
                if done.returncode:
                    seen.add(re.search(r"cannot make \S+/(\S+): No space left on device", done.stderr)[1])
                    assert left(directory) == ["filler"], pages
                else:
                    harness.shutil.rmtree(place / "store")
                    for name in ("policy.yaml", "request.json", "nginx.conf"):
                        (place / name).unlink()
                    if place != directory:
                        place.rmdir()
        assert seen == {"policy.yaml", "request.json", "nginx.conf"}
    finally:
        assert harness.run(["umount", "-l", directory]).returncode == 0


def test_interrupted_while_it_writes(program, script, directory):
    """The signal is there before the first file is."""
    def interrupt():
        heed_signals()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        os.kill(os.getpid(), signal.SIGINT)
    done = init(program, *options(script), "--directory", directory, preexec_fn=interrupt)
    assert done.returncode == 1 and "interrupted" in done.stderr and not directory.exists(), done.stderr


def test_program_that_would_be_refused(program, folder, directory):
    broken = folder.write("broken.sh", "#!/bin/sh\n", 0o644)
    done = init(program, *options(broken), "--directory", directory)
    assert done.returncode == 1 and f"--exec: {broken} is not executable" in done.stderr and not done.stdout, done.stderr
    assert not directory.exists()


def test_policy_with_an_error(program, script, directory):
    """What only the whole policy shows: it is written and judged, and no command tells to start it."""
    done = init(program, *options(script, **{"auth": "jwks", "jwks-url": "https://login.example.com:x/keys"}), "--defaults", "--directory", directory)
    assert done.returncode == 1 and f"{directory}/policy.yaml:" in done.stderr and not done.stdout, done.stderr
    assert done.stderr.endswith("the files are written; mend them and say \"check\", or remove them and begin anew\n")
    assert "policy.yaml" in left(directory)


def test_output_that_cannot_be_written(program, script, directory):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([program, "init", *map(str, options(script)), "--directory", directory], stdout=full, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, env=harness.clean_environment(), text=True, check=False)
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr


def test_secrets_differ(program, script, directory):
    directory.mkdir()
    for name in ("a", "b"):
        assert init(program, *options(script, auth="jwt"), "--defaults", "--directory", directory / name).returncode == 0
    secrets = {(directory / name / "jwt.key").read_text() for name in ("a", "b")}
    assert len(secrets) == 2 and all(re.fullmatch(r"[A-Za-z0-9_-]{43}\n", secret) for secret in secrets)


# ---- the dialogue

def heed_signals():
    """Who starts the tests in the background of a shell has them ignore SIGINT, and all that they start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Dialogue:
    """init on a terminal; its standard output is a pipe."""

    def __init__(self, program, *arguments):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen([program, "init", *map(str, arguments)], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
                                        env=harness.clean_environment(), start_new_session=True, preexec_fn=heed_signals)
        os.close(theirs)
        self.seen = ""

    def read(self):
        try:
            more = os.read(self.terminal, 4096).decode()
        except OSError:
            more = ""
        self.seen += more
        return more

    def wait(self, text):
        while text not in self.seen:
            assert self.read(), f"never said {text!r}: {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def answer(self, question, line):
        self.wait(question)
        self.wait(": ")
        os.write(self.terminal, line.encode() + b"\n")

    def end(self, which=None):
        if which is not None:
            self.process.send_signal(which)
        output = self.process.stdout.read().decode()
        while self.read():
            pass
        os.close(self.terminal)
        return self.process.wait(20), output, self.seen.replace("\r\n", "\n")


def test_dialogue(program, script, directory):
    talk = Dialogue(program, "--directory", directory)
    talk.answer("Web server (lighttpd, nginx, apache, caddy) [lighttpd]", "iis")
    talk.wait("This does not fit: expected lighttpd, nginx, apache or caddy.")
    talk.answer("Web server", " nginx ")
    talk.answer("What answers requests (exec, fastcgi, http) [exec]", "")
    talk.answer("CGI program", "/nowhere")
    talk.wait("expected a program or a folder that is there")
    talk.answer("CGI program", str(script))
    talk.answer("Host that clients ask for [localhost]", "api.example.com")
    talk.answer("How callers say who they are (none, api_key, jwt, jwks) [api_key]", "jwks")
    talk.answer("Address of the issuer's keys", "")
    talk.wait("expected the address of a key set")
    talk.answer("Address of the issuer's keys", "https://login.example.com/keys")
    talk.answer("Issuer of tokens (iss) [https://login.example.com]", "")
    talk.answer("For whom tokens are (aud) [https://api.example.com]", "notes")
    status, output, seen = talk.end()
    assert status == 0 and seen.endswith("2 routes, no errors\n"), seen
    lines = output.splitlines()
    assert lines[0].startswith("openssl req ") and lines[-1] == f"{program} serve -c {directory}/policy.yaml"
    text = (directory / "policy.yaml").read_text()
    assert 'jwks_url: "https://login.example.com/keys"' in text and 'audience: "notes"' in text and "hosts: [api.example.com]" in text


def test_dialogue_of_php(program, directory):
    directory.mkdir()
    talk = Dialogue(program, "--directory", directory)
    talk.answer("Web server", "nginx")
    talk.answer("What answers requests", "php")
    talk.wait("This does not fit: expected exec, fastcgi or http.")
    talk.answer("What answers requests", "fastcgi")
    talk.answer("Where php-fpm or another application listens", "unix:/run/php/php-fpm.sock")
    talk.answer("Folder of its scripts", str(directory))
    talk.answer("Host that clients ask for", "api.example.com")
    talk.answer("How callers say who they are", "none")
    status, _, seen = talk.end()
    assert status == 0 and seen.endswith("2 routes, no errors\n"), seen
    assert f'fastcgi: {{address: "unix:/run/php/php-fpm.sock", root: {directory}}}' in (directory / "policy.yaml").read_text()


def test_dialogue_of_http(program, directory):
    talk = Dialogue(program, "--directory", directory, "--server", "nginx", "--host", "a.example", "--auth", "none")
    talk.answer("What answers requests", "http")
    talk.answer("Address of the HTTP application [http://127.0.0.1:3000]", "")
    status, _, seen = talk.end()
    assert status == 0 and seen.endswith("2 routes, no errors\n"), seen
    assert 'http: "http://127.0.0.1:3000"' in (directory / "policy.yaml").read_text()


def test_dialogue_asks_only_what_no_option_says(program, script, directory):
    talk = Dialogue(program, "--directory", directory, *options(script, host=None))
    talk.answer("Host that clients ask for [localhost]", "")
    status, _, seen = talk.end()
    assert status == 0 and ")" not in seen and "hosts: [localhost]" in (directory / "policy.yaml").read_text(), seen


def test_dialogue_ends_after_three_answers(program, directory):
    talk = Dialogue(program, "--directory", directory)
    for _ in range(3):
        talk.answer("Web server", "iis")
    status, output, seen = talk.end()
    assert status == 1 and '3 answers to the question for "server" did not fit' in seen and not output
    assert not directory.exists()


@pytest.mark.parametrize("typed", [b"\x04", b"cad\x04\x04"], ids=["at once", "within a line"])
def test_dialogue_without_an_end(program, script, directory, typed):
    talk = Dialogue(program, "--directory", directory, *options(script, server=None, auth=None))
    talk.answer("Web server", "caddy")
    talk.wait("How callers")
    os.write(talk.terminal, typed)
    status, output, seen = talk.end()
    assert status == 1 and 'the input ended at the question for "auth", so nothing is written' in seen and not output
    assert not directory.exists()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda which: which.name)
def test_dialogue_interrupted(program, directory, which):
    talk = Dialogue(program, "--directory", directory)
    talk.answer("Web server", "caddy")
    talk.wait("What answers requests")
    status, output, _ = talk.end(which)
    assert status == -which and not output and not directory.exists()
