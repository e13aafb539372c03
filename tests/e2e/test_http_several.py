"""Several HTTP backends of one route: whom requests go to, and what they notice
when some of these are killed, stopped, refuse, come and go, or are full."""

import collections
import contextlib
import itertools
import json
import signal
import socket
import threading

import pytest

import harness
import servers
from harness import wait_until
from http_backend import CLOSE, HANG, Backend
from records import ask
from test_http import App
from test_jwks import authority  # noqa: F401 (a fixture)


def says(name, more=b"", status=b"200 OK"):
    return [b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(name), more, name)]


class Application(Backend):
    """Says its name; what ends in -b only the one called b does otherwise."""

    def __init__(self, name, address):
        self.name, self.release = name.encode(), threading.Event()
        good = says(self.name)
        bad = {"drop-b": [CLOSE], "bad-b": says(b"", status=b"503 Busy"), "garbage-b": [b"no HTTP\r\n\r\n"],
               "hang-b": [HANG], "half-b": [b"HTTP/1.1 200 OK\r\nContent-Len", CLOSE], "health-b": good}
        super().__init__(address, {
            "who": good, "x/who": good, "drop": [CLOSE], "hold": [self.release, *good],
            **{key: script if name == "b" else good for key, script in bad.items()}})
        self.scripts["end-b"] = [self.leave, CLOSE] if name == "b" else good

    def asked(self, name=""):
        with self.lock:
            return len([one for one in self.requests if one.line.split(" ")[1].lstrip("/").startswith(name)])

    def leave(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.stop()

    def come_back(self):
        again = Application(self.name.decode(), self.address)
        self.listener = again.listener
        self.open, self.requests, self.lock = again.open, again.requests, again.lock


@pytest.fixture
def group(folder, start_guard, request):
    """Starts applications with these names, and fcgiguard before them; upper case is by unix sockets."""
    with contextlib.ExitStack() as ends:
        count = itertools.count()

        def start(names, backups="", **settings):
            made = {}
            for name in names + backups:
                path = str(folder.writable("run") / f"{request.node.name[:30]}-{name}.sock")
                made[name] = Application(name, path if name.isupper() else None)
                ends.callback(made[name].leave)
                ends.callback(made[name].release.set)
            settings["url"] = [made[name].url for name in names]
            if backups:
                settings["backup"] = [made[name].url for name in backups]
            guard = start_guard({"threads": 12, "defaults": {"auth": "none", "body": "1mb"}, "routes": [
                {"path": "/app/**", "methods": ["GET", "POST"], "http": {"strip_prefix": "/app", **settings}}]},
                name=f"{request.node.name[:30]}-{next(count)}")
            ends.callback(guard.stop)
            guard.apps = made
            return guard
        yield start


def who(guard, method="GET", path="who", **words):
    reply = ask(guard.address, method, f"/app/{path}", **words)
    assert reply.status == 200, (reply.status, reply.body, guard.text()[-2000:])
    return reply.body.decode()


def spread(guard, count, **words):
    return collections.Counter(who(guard, **words) for _ in range(count))


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


def told(guard, event, url):
    return [entry["message"] for entry in guard.entries(event=event) if url in entry["message"]]


def told_of(guard, event, name="b"):
    return told(guard, event, guard.apps[name].url)


# ---- whom a request goes to

def test_each_in_turn(group):
    guard = group("abC")
    assert spread(guard, 30) == {"a": 10, "b": 10, "C": 10}
    told = [entry.get("backend") for entry in guard.entries(event="request", status=200)]
    assert {application.url for application in guard.apps.values()} >= set(told) and len(set(told)) == 3


def test_the_same_for_the_same_key(group):
    guard = group("abcd", balance="hash:header:x-key", health={"failures": 1})

    def keys():
        return {key: who(guard, headers={"X-Key": f"key {key}"}) for key in range(100)}
    before = keys()
    assert keys() == before and set(before.values()) == set("abcd")
    guard.apps["b"].leave()
    after = keys()
    assert all(before[key] == "b" for key in before if after[key] != before[key]) and "b" not in after.values()


@contextlib.contextmanager
def holding(guard, count):
    """So many requests that are not answered yet; afterwards, their replies."""
    replies, threads, before = [], [], sum(one.asked("hold") for one in guard.apps.values())
    for _ in range(count):
        threads.append(threading.Thread(target=lambda: replies.append(ask(guard.address, uri="/app/hold"))))
        threads[-1].start()
    wait_until(lambda: sum(one.asked("hold") for one in guard.apps.values()) == before + count, what="held requests")
    try:
        yield replies
    finally:
        for application in guard.apps.values():
            application.release.set()
        for thread in threads:
            thread.join(60)


def test_the_least_busy(group):
    guard = group("ab", balance="least_connections")
    with holding(guard, 1):
        busy = next(name for name, one in guard.apps.items() if one.asked("hold"))
        assert busy not in spread(guard, 10)
    assert set(spread(guard, 4)) == {"a", "b"}


def test_full_ones_are_waited_for(group):
    guard = group("ab", connections=1)
    with holding(guard, 2):
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(ask(guard.address, uri="/app/who")))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and not waiting
        guard.apps["b"].release.set()  # whichever is free first serves it
        thread.join(60)
        assert (waiting[0].status, waiting[0].body) == (200, b"b")


def test_nobody_becomes_free(group):
    guard = group("ab", connections=1, queue_timeout="300ms")
    with holding(guard, 2):
        assert error(ask(guard.address, uri="/app/who")) == (503, "backend_busy")
    assert not guard.entries(event="backend_out")


def test_prefix_and_host_of_each(group, folder, start_guard):
    first = group("ab")
    guard = start_guard({"routes": [{"path": "/app/**", "auth": "none", "http": {
        "url": [first.apps["a"].url, first.apps["b"].url + "/x"], "strip_prefix": "/app", "host": "backend"}}]}, name="prefixes")
    assert spread(guard, 4) == {"a": 2, "b": 2}
    for name, path in (("a", "/who"), ("b", "/x/who")):
        last = first.apps[name].last()
        assert last.line == f"GET {path} HTTP/1.1" and last.get("Host") == first.apps[name].url[len("http://"):]
    guard.stop()


# ---- who fails

@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("names", ["ab", "AB"])
def test_one_that_refuses(group, names, method):
    """Nothing was sent, so anything may be tried elsewhere."""
    guard, (one, other) = group(names), names
    guard.apps[other].leave()
    body = b"x" * 50000 if method == "POST" else None
    assert {who(guard, method, body=body) for _ in range(20)} == {one}
    assert len(told_of(guard, "backend_out", other)) == 1
    if names == "ab":
        guard.apps[other].come_back()
        wait_until(lambda: who(guard) == other, 20, "it is back")
        assert len(told_of(guard, "backend_back", other)) == 1 and set(spread(guard, 4)) == set(names)


def test_one_that_ends_with_a_request_on_a_kept_connection(group):
    """What is sent once more is refused then, and another backend has the answer."""
    guard = group("ab")
    assert set(spread(guard, 4)) == {"a", "b"}
    assert {who(guard, path="end-b") for _ in range(4)} == {"a"}
    assert guard.entries(event="backend_retry")


@pytest.mark.parametrize("script", ["drop-b", "hang-b"])
def test_one_that_does_not_answer(group, script):
    """What may have been carried out is tried again if that does no harm; a POST is never sent twice."""
    guard = group("ab", health=1000, **({"first_byte": "2s"} if script == "hang-b" else {}))
    assert {who(guard, path=script) for _ in range(6)} == {"a"}
    replies = [ask(guard.address, "POST", f"/app/{script}", b"abc") for _ in range(6)]
    refused = {error(reply) for reply in replies if reply.status != 200}
    assert refused == {(504, "backend_timeout") if script == "hang-b" else (502, "backend_unavailable")}
    posts = [request.get("X-Request-ID") for one in guard.apps.values() for request in one.requests
             if request.line.startswith("POST")]
    assert len(posts) == len(set(posts)) == 6


@pytest.mark.parametrize("script", ["garbage-b", "half-b"])
def test_nothing_is_tried_after_a_byte(group, script):
    guard = group("ab", health={"failures": 2, "out": "1h"})
    assert [ask(guard.address, uri=f"/app/{script}").status for _ in range(4)].count(502) == 2
    assert len(told_of(guard, "backend_out")) == 1


def test_kept_connections_that_were_closed_are_no_failure(group):
    guard = group("ab", health={"failures": 1, "out": "1h"}, idle="1h")
    for _ in range(5):
        assert set(spread(guard, 4)) == {"a", "b"}
        guard.apps["b"].close_connections()
    assert not guard.entries(event="backend_out")


def test_kept_connections_of_one_that_is_out_are_closed(group):
    guard = group("ab", idle="1h", health={"failures": 1, "out": "1h"})
    with holding(guard, 4):
        pass
    assert len(guard.apps["b"].open) >= 2
    wait_until(lambda: who(guard, path="drop-b") and told_of(guard, "backend_out"), 20, "b is out")
    wait_until(lambda: not guard.apps["b"].open, 20, "all are closed")


def test_no_more_retries_than_allowed(group):
    guard = group("abc", retries=1, health=1000)
    assert ask(guard.address, uri="/app/drop").status == 502
    assert sum(one.asked() for one in guard.apps.values()) == 2
    guard = group("xyz", retries=2, health=1000)
    assert ask(guard.address, uri="/app/drop").status == 502
    assert [one.asked() for one in guard.apps.values()] == [1, 1, 1]  # none twice


def test_a_budget_of_retries(group):
    guard = group("ab", retry_budget=10, health=1000)
    for _ in range(200):
        assert ask(guard.address, uri="/app/drop").status == 502
    assert 115 <= sum(one.asked() for one in guard.apps.values()) - 200 <= 125


def test_statuses(group):
    guard = group("ab", health={"failures": 2, "statuses": [503]})
    assert [ask(guard.address, uri="/app/bad-b").status for _ in range(20)] == [200] * 20
    assert "status 503" in told_of(guard, "backend_out")[0]
    other = group("ab")
    assert [ask(other.address, uri="/app/bad-b").status for _ in range(4)].count(503) == 2
    assert not other.entries(event="backend_out")


def test_a_status_of_the_only_one(group):
    guard = group("b", health={"failures": 1000, "statuses": [503]})
    assert [ask(guard.address, uri="/app/bad-b").status for _ in range(4)] == [503] * 4


def test_a_status_of_what_may_have_been_carried_out(group):
    guard = group("ab", health={"failures": 1000, "statuses": [503]})
    assert [ask(guard.address, "POST", "/app/bad-b", b"abc").status for _ in range(10)].count(503) == 5


def test_backup(group):
    guard = group("a", "b", health={"failures": 1})
    assert spread(guard, 6) == {"a": 6}
    guard.apps["a"].leave()
    assert spread(guard, 6) == {"b": 6}
    guard.apps["a"].come_back()
    wait_until(lambda: who(guard) == "a", 20, "a is back")


def test_all_are_out(group):
    guard = group("b", health={"failures": 1, "out": "1h"}, first_byte="1s")
    assert ask(guard.address, uri="/app/hang-b").status == 504
    # Whoever comes when the pause is over is a trial, which makes the next pause twice as long.
    reply = wait_until(lambda: (lambda one: one.status != 504 and one)(ask(guard.address, uri="/app/hang-b")), 20, "it is out")
    assert error(reply) == (503, "backend_unavailable") and int(reply.get("Retry-After")) >= 1
    wait_until(lambda: ask(guard.address, uri="/app/who").status == 200, 20, "it is back")
    assert told_of(guard, "backend_back")


def test_probes(group):
    guard = group("ab", health={"probe": "/health-b?x", "interval": "100ms"})
    application = guard.apps["b"]
    wait_until(lambda: application.asked("health-b") > 1, 20, "it is probed")
    assert application.last().get("Host") == application.url[len("http://"):]
    application.scripts["health-b"] = says(b"", status=b"500 Wrong")
    assert "a probe" in guard.wait_entry(event="backend_out")["message"]
    assert spread(guard, 6) == {"a": 6}
    application.scripts["health-b"] = says(b"", b"Location: /\r\n", b"302 Found")
    guard.wait_entry(event="backend_back")
    assert set(spread(guard, 4)) == {"a", "b"}


def test_probes_are_as_the_route_says_that_has_them(group, start_guard):
    application = group("a").apps["a"]
    guard = start_guard({"defaults": {"auth": "none"}, "routes": [
        {"path": "/app/**", "http": {"url": application.url + "/else", "host": "else.example"}},
        {"path": "/probed/**", "http": {"url": application.url + "/x", "host": "app.example",
                                        "health": {"probe": "/who", "interval": "100ms"}}}]}, name="as-said")
    wait_until(lambda: application.requests, 20, "it is probed")
    assert (application.last().line, application.last().get("Host")) == ("GET /x/who HTTP/1.1", "app.example")
    guard.stop()


# ---- real applications

def test_killed_and_stopped(start_guard, folder):
    with contextlib.ExitStack() as ends:
        apps = []
        for index in range(2):
            apps.append(App(folder, f"app-{index}"))
            ends.callback(apps[-1].stop)
        guard = start_guard({"threads": 8, "defaults": {"auth": "none"}, "routes": [{"path": "/app/**", "http": {
            "url": [one.url for one in apps], "strip_prefix": "/app", "first_byte": "4s",
            "health": {"failures": 1, "out": "500ms"}}}]}, name="apps")
        ends.callback(guard.stop)

        def all_good(count=20):
            return {ask(guard.address, uri="/app/x").status for _ in range(count)} == {200}
        assert all_good()
        for _ in range(2):
            apps[0].kill()
            assert all_good()
            apps[0].start()
            wait_until(lambda: all_good(4) and len(told(guard, "backend_back", apps[0].url)) == len(
                told(guard, "backend_out", apps[0].url)), 30, "it is back")
        before = len(told(guard, "backend_out", apps[1].url))
        apps[1].process.notify(signal.SIGSTOP)
        wait_until(lambda: all_good(2) and len(told(guard, "backend_out", apps[1].url)) > before, 30, "it is out")
        apps[1].process.notify(signal.SIGCONT)
        wait_until(lambda: all_good(2) and len(told(guard, "backend_back", apps[1].url)) > before, 30, "it is back")


def test_certificates(start_guard, folder, authority):  # noqa: F811
    """One whose certificate is for another name is no backend: anything may be tried elsewhere."""
    port = harness.free_port()
    server = servers.nginx(folder, f"""    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {folder}/localhost.pem; ssl_certificate_key {folder}/localhost.key;
        location / {{ default_type text/plain; return 200 "$host $request_method"; }}
    }}""", "tls", port)
    guard = start_guard({"defaults": {"auth": "none", "methods": ["GET", "POST"], "body": "1mb"}, "routes": [
        {"path": "/app/**", "http": {"url": [f"https://localhost:{port}", f"https://127.0.0.1:{port}"],
                                     "ca_file": "ca.pem", "host": "backend"}}]}, name="tls")
    try:
        for method in ("GET", "POST"):
            assert {ask(guard.address, method, "/app/x", body=b"").body for _ in range(6)} == {f"localhost {method}".encode()}
        assert told(guard, "backend_out", f"https://127.0.0.1:{port}")
        assert not told(guard, "backend_out", "localhost")
    finally:
        guard.stop()
        server.stop()


def test_a_socket_that_is_not_there(folder, start_guard):
    guard = start_guard({"routes": [{"path": "/app/**", "auth": "none", "http": f"unix:{folder}/nobody.sock"}]}, name="nobody")
    assert ask(guard.address, uri="/app/x").status == 502
    assert guard.wait_entry(event="request", code="backend_unavailable")["detail"] == "No such file or directory"


# ---- policies

@pytest.mark.parametrize("settings, said", [
    ({"url": ["http://a:1", "http://a:1/x"]}, "http://a:1 is there already"),
    ({"url": "http://a:1", "backup": "http://a:1"}, "http://a:1 is there already"),
    ({"url": []}, "url"),
    ({"url": [f"http://a:{port}" for port in range(1, 66)]}, "at most 64"),
    ({"url": ["http://a:1", "nonsense"]}, '"nonsense" is no address'),
    ({"url": "http://"}, '"http://" has no host'),
    ({"url": "http:/h"}, '"http:/h" is no address'),
    ({"url": ["http://a:1", "http://me:secret@b"]}, "has a user or password"),
    ({"url": ["http://a:1", "unix:/b"], "ca_file": "/etc/ssl/certs/ca-certificates.crt"}, "no certificate to check"),
    ({"url": "http://a:1", "balance": "hash"}, "round_robin, least_connections or hash:KEY"),
])
def test_faults_of_a_policy(tmp_path, folder, settings, said):
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"routes": [{"path": "/app/**", "auth": "none", "http": settings}]}))
    result = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file])
    output = result.stdout + result.stderr
    assert result.returncode != 0 and said in output and "secret" not in output, output


@pytest.mark.parametrize("other, said", [
    ({"health": {"probe": "/ping"}}, None),
    ({"health": {"probe": "/pong"}}, "another route probes http://a:1 otherwise"),
    ({"health": {"probe": "/ping", "interval": "1s"}}, "another route probes http://a:1 otherwise"),
    ({"health": {"probe": "/ping"}, "host": "b"}, "another route probes http://a:1 otherwise"),
    ({"health": {"probe": "/ping"}, "url": "http://a:1/x"}, "another route probes http://a:1 otherwise"),
    ({"url": "http://a:1/x", "host": "b"}, None),  # it has no probe of its own
])
def test_routes_agree_on_probes(tmp_path, folder, other, said):
    first = {"url": "http://a:1", "health": {"probe": "/ping"}}
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"routes": [
        {"path": "/app/**", "auth": "none", "http": first},
        {"path": "/other/**", "auth": "none", "http": {"url": "http://a:1", **other}}]}))
    result = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file])
    assert (said is None) == (result.returncode == 0) and (said or "") in result.stderr, result
