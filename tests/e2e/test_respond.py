"""Answers of our own: fixed ones and files, other addresses, and whether we can work, through web
servers and with the store taken away."""

import contextlib
import json
import shutil
import signal
import sqlite3
import time
import urllib.parse

import pytest

import harness
import scripted
import servers
from records import ask
from test_examples import placed
from test_redis import Server

FILE = b"<!doctype html><title>Closed</title>\n"
ORIGIN = "https://app.example.com"


def policy(folder):
    def route(path, respond, **more):
        return {"path": f"/app/{path}", "respond": respond, **more}
    folder.write("closed.html", FILE)
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "cors": {"web": {"origins": [ORIGIN]}},
        "versions": {"header": "API-Version", "default": "1", "list": {"1": {"sunset": "2199-01-01"}}},
        "defaults": {"auth": "none", "methods": ["GET", "POST"], "headers": "helmet", "cors": "web"},
        "routes": [
            route("text", {"body": "hello", "headers": {"Cache-Control": "max-age=60", "X-A": "b"}}),
            route("json", {"body": {"a": [1, True]}, "status": 202}), route("file", {"file": "closed.html"}),
            route("closed/**", {"status": 503, "file": "closed.html", "headers": {"Retry-After": 120}}),
            route("empty", {"status": 204}), route("gone", {"status": 410}),
            route("page", {"body": "<p>", "type": "text/html", "headers": {"Content-Security-Policy": "default-src 'none'"}}),
            route("go/{id}", {"redirect": "https://www.example.com/new/{id}?id={id}", "query": "keep"}),
            route("here/**", {"redirect": "/app/text/**", "status": 303}),
            route("health", "health"), route("live", "live"), route("ready", "ready"),
            route("limited", {"body": "x"}, limits="100/1m"),
        ]}


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder):
    started = servers.start(request.param, folder, policy(folder))
    yield started
    started.stop()
    started.guard.stop()
    started.guard.check_reports()


def dressed(reply):
    """As all replies are."""
    assert reply.get("X-Frame-Options") == "SAMEORIGIN" and reply.get("X-Request-ID")
    assert reply.get("Access-Control-Allow-Origin") == ORIGIN and "Origin" in reply.get("Vary")
    assert reply.get("Sunset") == "Tue, 01 Jan 2199 00:00:00 GMT"


def fetch(front, path, method="GET", *headers, **words):
    return front.fetch(f"/app/{path}", method, headers=[("Origin", ORIGIN), *headers], **words)


def test_fixed(front):
    for path, status, kind, body in (
            ("text", 200, "text/plain; charset=utf-8", b"hello"), ("json", 202, "application/json", b'{"a":[1,true]}'),
            ("file", 200, "text/html; charset=utf-8", FILE), ("closed/a/b", 503, "text/html; charset=utf-8", FILE),
            ("empty", 204, None, b""), ("gone", 410, None, b""), ("page", 200, "text/html", b"<p>")):
        for method in ("GET", "HEAD", "POST"):
            reply = fetch(front, path, method, body=b"x" * 10000 if method == "POST" else None)
            assert (reply.status, reply.get("Content-Type")) == (status, kind), (path, method)
            assert reply.body == (b"" if method == "HEAD" else body) and reply.complete
            assert status == 204 or method == "HEAD" or reply.get("Content-Length") == str(len(body))
            dressed(reply)
    reply = fetch(front, "text")
    assert (reply.get("Cache-Control"), reply.get("X-A")) == ("max-age=60", "b")
    assert fetch(front, "closed/").get("Retry-After") == "120" and not fetch(front, "closed").get("ETag")
    assert fetch(front, "page").all("Content-Security-Policy") == ["default-src 'none'"]
    assert fetch(front, "text", "DELETE").status == 405


def test_client_that_has_it(front):
    for path in ("text", "file"):
        first = fetch(front, path)
        tag, date = first.get("ETag"), first.get("Last-Modified")
        assert tag and tag.startswith('"') and (date is not None) == (path == "file")
        headers = [("If-None-Match", tag), ("If-None-Match", f'"x", W/{tag}')] + ([("If-Modified-Since", date)] if date else [])
        for header in headers:
            for method in ("GET", "HEAD"):
                reply = fetch(front, path, method, header)
                assert (reply.status, reply.body, reply.get("ETag")) == (304, b"", tag), (path, method, header)
                dressed(reply)
        for header in (("If-None-Match", '"x"'), ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"), ("If-Modified-Since", "x")):
            assert fetch(front, path, "GET", header).body == first.body
        assert fetch(front, path, "POST", ("If-None-Match", tag), body=b"x").status == 200
    assert fetch(front, "closed/x", "GET", ("If-None-Match", "*")).status == 503


@pytest.mark.parametrize("sent", [
    "7", "a%20b", "%C3%BC", "@evil.example", ":80", "a%0d%0aX-Evil:1", "a%250d%250aX-Evil:%201", "..%2f..%2fevil", "%5c%5cevil.example",
    "a%26id=2%23x%3Fy", "%22%3E%3Cscript%3E", "%E2%80%AE", "%ff", "a%00b", "javascript:alert(1)", "a;b=c,d", "{id}", "%7Bid%7D"])
@pytest.mark.parametrize("query", ["", "?x=1&y=%20", "?a=%0d%0aX-Evil:1", "?//evil.example"])
def test_redirect(front, sent, query):
    """It leads to the host of the policy, with what was sent as one segment and one parameter, or nowhere."""
    reply = fetch(front, f"go/{sent}{query}")
    assert not reply.get("X-Evil")
    if reply.status in (400, 404):  # the server's, or ours before there was a route
        assert not reply.get("Location")
        return
    assert reply.status == 308 and reply.body == b""
    location = reply.get("Location")
    assert location.isascii() and not set(location) & set(" \"<>\\^`{|}\r\n")
    to, meant = urllib.parse.urlsplit(location), urllib.parse.unquote(sent)
    assert (to.scheme, to.netloc, to.fragment) == ("https", "www.example.com", "")
    assert urllib.parse.unquote(to.path) == "/new/" + meant and to.path.count("/") == 2
    assert to.query.split("&")[0] == "id=" + urllib.parse.quote(meant, safe="-._~")
    assert to.query.partition("&")[2] == query[1:]
    dressed(reply)


def test_redirect_of_the_rest(front):
    for sent, location in (("/a/b%20c/?x=1", "/app/text/a/b%20c/"), ("", "/app/text"), ("/", "/app/text/"), ("//evil.example", "/app/text/evil.example")):
        for method in ("GET", "HEAD", "POST"):
            reply = fetch(front, "here" + sent, method, body=b"x" if method == "POST" else None)
            assert (reply.status, urllib.parse.urlsplit(reply.get("Location")).path) == (303, location), sent
    assert fetch(front, "go/" + "%22" * 1500).status == 414


def test_health(front):
    for path, checks in (("health", None), ("live", None), ("ready", {"limits": "ok"})):
        for method in ("GET", "HEAD"):
            reply = fetch(front, path, method)
            assert (reply.status, reply.get("Content-Type"), reply.get("Cache-Control")) == (200, "application/json", "no-store")
            dressed(reply)
            told = {"status": "healthy", **({"checks": checks} if checks else {})}
            assert method == "HEAD" or json.loads(reply.body) == told


def test_file_is_not_read_again(start_guard, folder):
    file = folder.write("page.txt", "old")
    guard = start_guard({"defaults": {"auth": "none"}, "routes": [{"path": "/file", "respond": {"file": "page.txt"}}]})
    folder.write("page.txt", "new")
    assert ask(guard.address, uri="/file").body == b"old"
    worker = guard.worker()
    guard.process.notify(signal.SIGHUP)
    harness.wait_until(lambda: guard.worker() != worker and ask(guard.address, uri="/file").body == b"new", 20, "the reload")
    file.unlink()
    assert ask(guard.address, uri="/file").body == b"new"


def test_explain(folder):
    file = folder.write("explain.yaml", """
defaults: {auth: none}
routes:
  - {path: "/go/{id}", respond: {redirect: "/new/{id}"}}
  - {path: /gone, respond: {status: 410, body: gone}}
  - {path: /ready, respond: ready}
""")
    program = harness.installed("fcgiguard", folder)
    for path, told in (("/go/a%20b", "answers 308 and sends on to /new/a%20b"), ("/ready", "answers whether the store and backends can be reached"),
                       ("/gone", "answers 410 with 4 bytes of text/plain; charset=utf-8")):
        result = harness.run([program, "explain", "-c", file, "GET", path], env=harness.clean_environment())
        assert told in result.stdout, result.stdout + result.stderr


def test_file_that_is_elsewhere(folder):
    """What cannot be known of a policy for another machine is played by its test, and nothing is made up."""
    folder.write("elsewhere/policy.yaml", """
defaults: {auth: none}
routes:
  - {path: /file, respond: {file: /nonexistent/page.html}}
  - {path: /go, respond: {redirect: "https://www.example.com/"}}
""")
    file = folder.write("elsewhere/cases.yaml", """
policy: policy.yaml
cases:
  - {request: GET /file, reply: {status: 200, body: played}, expect: {status: 200, contains: played}}
  - {request: GET /go, expect: {status: 308, headers: {Location: "https://www.example.com/"}}}
""")
    result = harness.run([harness.installed("fcgiguard", folder), "test", file], env=harness.clean_environment())
    assert result.returncode == 0 and result.stdout == "2 passed, 0 failed\n", result.stdout + result.stderr


def test_example(start_guard, folder):
    """examples/answers.yaml, but for its places."""
    placed("closed.html", folder, "/srv/cgi")
    text = placed("answers.yaml", folder, "/srv/cgi").read_text()
    guard = start_guard("", start=False, name="answers")
    folder.write("closed.html", (harness.EXAMPLES / "closed.html").read_bytes())
    text = text.replace("unix:/run/fcgiguard/guard.sock", "unix:" + guard.address)
    guard.write(text.replace("/var/lib/fcgiguard", str(folder.writable("answers-store"))))
    guard.start()
    host = {"headers": {"Host": "www.example.com"}}
    assert ask(guard.address, uri="/robots.txt", **host).body.startswith(b"User-agent")
    assert b"Closed until tomorrow" in ask(guard.address, "POST", "/shop/cart", b"a=b", **host).body
    assert ask(guard.address, uri="/posts/7?page=2", **host).get("Location") == "https://news.example.com/articles/7?page=2"
    assert json.loads(ask(guard.address, uri="/ready", **host).body) == {"status": "healthy", "checks": {"limits": "ok"}}


# ---- ready, while the store is taken away

def ready_policy(store):
    return {
        "store": store, "auth": {"partner": {"api_key": {"header": "X-API-Key"}}}, "defaults": {"auth": "none"},
        "routes": [{"path": "/ready", "respond": "ready"}, {"path": "/live", "respond": "live"},
                   {"path": "/own", "auth": "partner", "limits": "10/1s", "respond": {"body": "x"}}]}


def state(guard):
    reply = ask(guard.address, uri="/ready")
    told = json.loads(reply.body)
    assert (reply.status, reply.get("Cache-Control")) == (200 if told["status"] == "healthy" else 503, "no-store")
    assert set(told) == {"status", "checks"} and told["status"] in ("healthy", "unavailable")
    assert ask(guard.address, uri="/live").status == 200
    return told["checks"]


def wait_state(guard, **checks):
    harness.wait_until(lambda: state(guard) == checks, 20, f"ready says {checks}")


def test_ready_without_the_file(start_guard, folder):
    store = folder.writable("file") / "guard.db"
    guard = start_guard(ready_policy(f"sqlite:{store}"))
    assert state(guard) == {"limits": "ok", "keys": "ok"}
    with contextlib.closing(sqlite3.connect(f"{store}.limits", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        wait_state(guard, limits="failed", keys="ok")
        other.execute("ROLLBACK")
    wait_state(guard, limits="ok", keys="ok")
    store.rename(f"{store}.away")
    wait_state(guard, limits="ok", keys="failed")
    store.with_name("guard.db.away").rename(store)
    wait_state(guard, limits="ok", keys="ok")
    logged = [entry["message"].partition(":")[0] for entry in guard.entries(event="not_ready")]
    assert logged == ["limits", "keys"], logged


@pytest.mark.parametrize("kind", ["fastcgi", "http"])
def test_ready_without_backends(start_guard, folder, kind):
    """One of a group is enough, each group needs one, and whoever was out is asked all the same."""
    apps = [scripted.Scripted(str(folder.writable("apps") / f"{kind}-{name}.sock"), {}) for name in "abc"]
    place = {"fastcgi": "address", "http": "url"}[kind]
    try:
        guard = start_guard({"defaults": {"auth": "none"}, "routes": [
            {"path": "/ready", "respond": "ready"}, {"path": "/live", "respond": "live"},
            {"path": "/two", kind: {place: [f"unix:{app.path}" for app in apps[:2]], "health": {"failures": 1, "out": "1h"}}},
            {"path": "/one", kind: f"unix:{apps[2].path}"}]})
        wait_state(guard, backends="ok")
        apps[0].close()
        assert state(guard) == {"backends": "ok"}
        apps[1].close()
        wait_state(guard, backends="failed")
        assert ask(guard.address, uri="/two").status == 502
        apps[1].listen()
        wait_state(guard, backends="ok")
        apps[2].close()
        wait_state(guard, backends="failed")
        assert {entry["message"].partition(":")[0] for entry in guard.entries(event="not_ready")} == {"backends"}
        apps[0].listen()
        apps[2].listen()
    finally:
        for app in apps:
            app.stop()


def test_ready_asks_each_backend_once(start_guard, folder):
    app = scripted.Scripted(str(folder.writable("apps") / "once.sock"), {})
    try:
        guard = start_guard({"defaults": {"auth": "none"}, "routes": [
            {"path": "/ready", "respond": "ready"}, {"path": "/live", "respond": "live"}] + [
            {"path": f"/app/{number}/**", "fastcgi": f"unix:{app.path}"} for number in range(20)]})
        assert state(guard) == {"backends": "ok"}
        assert ask(guard.address, uri="/app/1/good").status == 200
        assert app.connections == 2
    finally:
        app.stop()


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
def test_ready_without_the_server(start_guard, folder):
    server = Server(folder.writable("redis"))
    try:
        guard = start_guard(ready_policy({"url": server.url("unix"), "password": f"file:{server.folder}/password"}))
        wait_state(guard, limits="ok", keys="ok")
        server.kill()
        wait_state(guard, limits="failed", keys="failed")
        server.start()
        wait_state(guard, limits="ok", keys="ok")
        server.ask("CONFIG", "RESETSTAT")
        begun = time.monotonic()
        for _ in range(300):
            assert ask(guard.address, uri="/ready").status == 200
        stats = server.ask("INFO", "commandstats").decode()
        seconds = time.monotonic() - begun
        calls = [int(line.partition("calls=")[2].partition(",")[0]) for line in stats.splitlines()
                 if line.startswith(("cmdstat_evalsha:", "cmdstat_mget:"))]
        assert all(number <= seconds + 2 for number in calls), stats
        server.process.send_signal(signal.SIGSTOP)
        wait_state(guard, limits="failed", keys="failed")
        server.process.send_signal(signal.SIGCONT)
        wait_state(guard, limits="ok", keys="ok")
    finally:
        server.kill()
