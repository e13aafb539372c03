"""The command `init`: what it writes for each server and each kind of caller
starts, serves and refuses, with the commands that it prints; and it writes all
of it or nothing."""

import contextlib
import json
import os
import pathlib
import pty
import re
import shlex
import signal
import stat
import subprocess
import time

import pytest

import harness
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

    def __init__(self, folder, program, script, server, kind, provider):
        self.server, self.kind, self.name = server, kind, f"{server}-{kind}"
        self.port = harness.free_port()
        self.directory = folder / self.name
        options = ["--server", server, "--exec", script, "--host", HOST, "--auth", kind, "--directory", self.directory,
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
        harness.wait_until(lambda: self.fetch("/api/x")[0] not in (0, 502, 503), 30, f"{self.name} serves")

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
    started = Site(folder, program, script, *request.param.split("-"), provider)
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


def test_server_refuses_what_is_far_too_large(site, folder):
    big = folder.write("big", b"x" * (2 << 20))
    assert site.fetch("/api/notes", "-H", "Content-Type: application/json", "--data-binary", f"@{big}")[0] == 413


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
