"""A Redis server as the store of several guards: keys, revocations and limits are
one for all of them, from within the sandbox, and come back when the server does."""

import os
import shutil
import signal
import subprocess
import time

import pytest

import harness
from records import ask
from test_callers import new_key

PASSWORD = "secret-of-redis"

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")


class Server:
    """A redis-server in a folder of its own, on a unix socket, a port, and a port with TLS."""

    def __init__(self, folder):
        self.folder, self.port, self.tls = folder, harness.free_port(), harness.free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", "key.pem", "-out", "ca.pem"], cwd=folder, check=True, capture_output=True)
        os.chmod(folder / "ca.pem", 0o644)
        self.set_password(PASSWORD)
        self.process = None
        self.start()

    def set_password(self, password):
        """That of the policy, which its user and nobody else may read."""
        file = self.folder / "password"
        file.write_text(password + "\n")
        os.chmod(file, 0o600)
        if harness.WEB_USER:
            shutil.chown(file, harness.WEB_USER)

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", "s", "--unixsocketperm",
             "777", "--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
             "--tls-port", str(self.tls), "--tls-cert-file", "ca.pem", "--tls-key-file", "key.pem",
             "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no", "--logfile", "log"],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        harness.wait_until(lambda: b"PONG" in self.ask("PING"), 10, "redis-server answers")

    def ask(self, *words):
        return subprocess.run(["redis-cli", "-s", self.folder / "s", "-a", PASSWORD, "--no-auth-warning", *words],
                              capture_output=True, check=False).stdout

    def kill(self):
        self.process.kill()
        self.process.wait()

    def url(self, kind):
        return {"unix": f"redis+unix://{self.folder}/s?db=1", "tcp": f"redis://127.0.0.1:{self.port}/1",
                "name": f"redis://localhost:{self.port}/1",
                "tls": f"rediss://localhost:{self.tls}/1?ca={self.folder}/ca.pem"}[kind]


@pytest.fixture
def server(folder, request):
    started = Server(folder.writable("redis-" + request.node.name.replace("[", "-").strip("]")))
    yield started
    started.kill()


def policy(helper, server, kind):
    return {
        "store": {"url": server.url(kind), "password": f"file:{server.folder}/password", "timeout": "2s"},
        "auth": {"keys": {"api_key": {}}},
        "defaults": {"exec": helper},
        "routes": [
            {"path": "/keys/**", "auth": "keys"},
            {"path": "/deny/**", "auth": "none", "limits": {"use": [{"rate": "1000000/1h"}]}},
            {"path": "/ten/**", "auth": "none", "limits": {"use": [{"rate": "10/1h"}]}},
            {"path": "/local/**", "auth": "none", "limits": {"use": [{"rate": "4/1h"}]}, "on_store_failure": "local"},
        ],
    }


@pytest.fixture
def guards(start_guard, folder, helper, server, request):
    kind = getattr(request, "param", "unix")
    return [start_guard(policy(helper, server, kind), name=f"{server.folder.name}-{i}") for i in range(2)]


def command(guard, *arguments, status=0):
    who = {"user": guard.user, "group": guard.user, "extra_groups": []} if guard.user else {}
    done = subprocess.run([guard.program, *arguments, "-c", guard.policy_path], capture_output=True, text=True,
                          check=False, env=guard.environment, **who)
    assert done.returncode == status, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout


def command_error(guard, *arguments):
    return subprocess.run([guard.program, *arguments, "-c", guard.policy_path], capture_output=True, text=True, check=False,
                          env=guard.environment).stderr


def with_key(guard, key):
    return ask(guard.address, uri="/keys/hello", headers={"X-API-Key": key}).status


def status(guard, path):
    return ask(guard.address, uri=path).status


@pytest.mark.parametrize("guards", ["unix", "tcp", "name", "tls"], indirect=True)
def test_guards_share_it(guards):
    one, other = guards
    key = new_key(one)
    assert [with_key(guard, key) for guard in guards] == [200, 200]
    command(one, "key", "revoke", key.split("_")[1])
    assert [with_key(guard, key) for guard in guards] == [401, 401], "from the next request on"
    found = [status(guards[i % 2], "/ten/hello") for i in range(20)]
    assert found == [200] * 10 + [429] * 10
    assert key.split("_")[1] in command(other, "key", "list")
    for guard in guards:
        assert PASSWORD not in guard.text()


@pytest.mark.parametrize("guards", ["tcp", "name", "tls"], indirect=True)
def test_resolver_threads_end(guards):
    """Which end a second after they were asked last, in a sandbox where no library can be loaded."""
    assert [status(guard, "/deny/hello") for guard in guards] == [200, 200]
    time.sleep(2.5)
    assert [status(guard, "/deny/hello") for guard in guards] == [200, 200]
    assert not any(guard.entries(event="worker_died") for guard in guards)


def test_it_goes_and_comes_back(guards, server):
    one = guards[0]
    key = new_key(one)
    assert [status(one, "/ten/hello") for _ in range(8)] == [200] * 8
    server.kill()
    harness.wait_until(lambda: status(one, "/deny/hello") == 503, 10, "the store is out")
    assert with_key(one, key) == 503
    assert [status(one, "/local/hello") for _ in range(3)] == [200, 200, 429], "half of four"
    assert "cannot connect" in command_error(one, "key", "list")
    server.start()
    harness.wait_until(lambda: status(one, "/deny/hello") == 200, 15, "the store is back", 0.1)
    harness.wait_until(lambda: with_key(one, key) == 200, 5, "keys are back", 0.1)
    assert [status(one, "/ten/hello") for _ in range(3)] == [200, 200, 429], "what was counted is still there"
    assert one.entries(event="store_failed") and one.entries(event="store_back")


def test_it_hangs(guards, server):
    one = guards[0]
    assert status(one, "/deny/hello") == 200
    server.process.send_signal(signal.SIGSTOP)
    harness.wait_until(lambda: status(one, "/deny/hello") == 503, 10, "the store is out")
    server.process.send_signal(signal.SIGCONT)
    harness.wait_until(lambda: status(one, "/deny/hello") == 200, 15, "the store is back", 0.1)


def test_another_password(guards, server):
    """A server that wants another one is told by name, and neither password is shown."""
    one = guards[0]
    server.set_password("secret-of-nobody")
    error = command_error(one, "key", "list")
    assert "does not accept the user or password" in error and "secret-of" not in error
