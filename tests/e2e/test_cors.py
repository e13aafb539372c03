"""CORS behind real web servers: what a browser is told on every kind of reply, what it
is told when it asks first, and what a cache may keep for whom."""

import json

import pytest

import harness
import servers
from records import ask
from test_callers import key_command

APP, OTHER, EVIL = "https://app.example.com", "https://a.b.example.org", "https://app.example.com.evil.net"
OWN = ["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"]
PREFIX = "access-control-"


def policy(folder, programs):
    def program(what):
        return {"exec": {"program": f"{programs}/cors.sh", "arguments": [what]}}
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {"partner": {"api_key": {"header": "X-API-Key"}}},
        "cors": {
            "web": {"origins": [APP, "https://*.example.org"], "credentials": True, "expose": ["ETag"], "max_age": "1h"},
            "public": "*",
            "strict": {"origins": [APP], "enforce": True},
        },
        "defaults": {"auth": "none", "cors": "web", **program("plain")},
        "routes": [
            {"path": "/app/plain", "methods": ["GET", "POST"]},
            {"path": "/app/plain", "methods": ["PUT", "OPTIONS"], "cors": {"origins": OTHER, "headers": "reflect"}},
            {"path": "/app/private", "auth": "partner"},
            {"path": "/app/closed", "addresses": {"deny": ["127.0.0.0/8"]}},
            {"path": "/app/small", "body": "5b"},
            {"path": "/app/limited", "limits": [{"rate": "1/1h", "by": "header:X-Test"}]},
            {"path": "/app/fails", **program("fails")},
            {"path": "/app/unchanged", **program("unchanged")},
            {"path": "/app/moves", **program("moves")},
            {"path": "/app/empty", **program("empty")},
            {"path": "/app/cacheable", **program("cacheable")},
            {"path": "/app/public", "cors": "public"},
            {"path": "/app/strict", "cors": "strict"},
            {"path": "/app/off", "methods": ["GET", "OPTIONS"], "cors": "off"},
            {"path": "/app/asked", "auth": "partner", "limits": ["1/1h"],
             "cors": {"origins": APP, "private_network": True, "preflight_limit": {"rate": "2/1h", "by": "header:X-Test"}}},
            {"path": "/app/report", "mode": "report", "auth": "partner", 
             "cors": {"origins": APP, "enforce": True, "preflight_limit": {"rate": "1/1h", "by": "header:X-Test"}}},
        ],
    }


@pytest.fixture(scope="module", params=servers.KINDS)
def front(request, folder, programs):
    started = servers.start(request.param, folder, policy(folder, programs))
    yield started
    started.stop()
    started.guard.stop()
    started.guard.wait_no_programs()
    started.guard.check_reports()


@pytest.fixture(scope="module")
def guard(start_guard, folder, programs):
    return start_guard(policy(folder, programs))


def granted(reply):
    """The reply's own Access-Control-* headers, each of which is there once."""
    found = [(name.lower()[len(PREFIX):], value) for name, value in reply.headers if name.lower().startswith(PREFIX)]
    assert len(found) == len(dict(found)), found
    return dict(found)


def names(value):
    return [name.strip() for name in value.split(",")] if value else []


def varies(reply):
    found = names(", ".join(reply.all("Vary")))
    assert len(found) == len({name.lower() for name in found}), reply.all("Vary")
    return sorted(name.lower() for name in found)


def read_by(origin, reply, exposed=("ETag",)):
    """A script of `origin` may read the reply, and its headers."""
    headers = granted(reply)
    own = [name for name in OWN if reply.get(name) is not None]
    assert headers.pop("expose-headers").split(", ") == [*exposed, *own]
    assert headers == {"allow-origin": origin, "allow-credentials": "true"}
    assert "origin" in varies(reply)


CASES = [
    ("/app/plain", "GET", {}, None, 200),
    ("/app/plain", "HEAD", {}, None, 200),
    ("/app/plain", "POST", {}, b"x", 200),
    ("/app/plain", "DELETE", {}, None, 405),
    ("/app/private", "GET", {}, None, 401),
    ("/app/closed", "GET", {}, None, 403),
    ("/app/nothing", "GET", {}, None, 404),
    ("/app/small", "POST", {}, b"too long", 413),
    ("/app/fails", "GET", {}, None, 500),
    ("/app/unchanged", "GET", {"If-None-Match": '"1"'}, None, 304),
    ("/app/moves", "GET", {}, None, 302),
    ("/app/empty", "GET", {}, None, 204),
]


@pytest.mark.parametrize("target, method, headers, body, status", CASES, ids=[f"{case[4]}-{case[1]}" for case in CASES])
def test_every_reply(front, target, method, headers, body, status):
    if status == 404 and front.kind == "lighttpd-interpreter":
        pytest.skip("lighttpd finds no file itself")
    for origin in (APP, OTHER, EVIL, "null", None):
        more = {**headers, "Origin": origin} if origin else headers
        reply = front.fetch(target, method, headers=more, body=body)
        assert reply.status == status, (reply.status, reply.body, front.guard.text()[-2000:])
        if origin in (APP, OTHER):
            read_by(origin, reply)
        else:
            assert not granted(reply)
        assert "origin" in varies(reply)
        if status in (200, 204, 302, 304):  # the program's own reply
            assert varies(reply) == ["accept-encoding", "cookie", "origin"]


UNREAD = [({"headers": {"Origin": APP, "X": "a" * 100000}}, "head_too_large"), ({"headers": {"Origin": APP}, "more": [("A", "b")] * 500}, "request_invalid"),
          ({"headers": {"Origin": APP, **{f"X-{i}": "a" for i in range(200)}}}, "headers_too_many")]


@pytest.mark.parametrize("words, code", UNREAD, ids=[case[1] for case in UNREAD])
def test_origin_of_what_was_not_read(start_guard, folder, programs, words, code):
    """It is not known; where all may read, nobody has to know it."""
    rules = policy(folder, programs)
    for cors, allowed in (("web", None), ("public", "*")):
        guard = start_guard({**rules, "defaults": {**rules["defaults"], "cors": cors}})
        reply = ask(guard.address, **{"uri": "/app/plain", **words})
        assert json.loads(reply.body)["error"] == code
        assert granted(reply).get("allow-origin") == allowed
        assert ("origin" in varies(reply)) == (allowed is None)


def test_origin_of_what_has_no_route(guard):
    for uri, code in (("/%00", "path_nul"), ("/nowhere", "route_not_found")):
        reply = ask(guard.address, uri=uri, headers={"Origin": APP})
        assert json.loads(reply.body)["error"] == code
        read_by(APP, reply)


def test_limited(front):
    headers = {"Origin": APP, "X-Test": front.kind}
    assert front.fetch("/app/limited", headers=headers).status == 200
    reply = front.fetch("/app/limited", headers=headers)
    assert reply.status == 429
    read_by(APP, reply)
    assert "Retry-After" in granted(reply)["expose-headers"] and "RateLimit" in granted(reply)["expose-headers"]


def preflight(where, target, method="GET", origin=APP, headers=None, **more):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    if headers is not None:
        asked["Access-Control-Request-Headers"] = headers
    if hasattr(where, "fetch"):
        return where.fetch(target, "OPTIONS", headers=asked)
    return ask(where.address, "OPTIONS", target, headers=asked)


def test_preflight(front):
    reply = preflight(front, "/app/plain", "POST", headers="authorization,content-type")
    assert (reply.status, reply.body) == (204, b""), (reply.status, reply.body, front.guard.text()[-2000:])
    assert granted(reply) == {"allow-origin": APP, "allow-credentials": "true", "allow-methods": "GET, HEAD, POST",
                              "allow-headers": "Authorization, Content-Type", "max-age": "3600"}
    assert varies(reply) == ["access-control-request-method", "origin"]
    assert reply.get("Content-Type") is None
    assert reply.get("X-Content-Type-Options") == "nosniff" and reply.get("X-Request-ID")


def test_preflight_of_another_route(front):
    """The same path, another method, other rules; that route takes OPTIONS, too."""
    reply = preflight(front, "/app/plain", "PUT", OTHER, "x-b,X-A, bad name")
    assert granted(reply) == {"allow-origin": OTHER, "allow-methods": "PUT, OPTIONS", "allow-headers": "x-b, x-a", "max-age": "600"}
    assert varies(reply) == ["access-control-request-headers", "access-control-request-method", "origin"]
    assert not granted(preflight(front, "/app/plain", "PUT", APP))
    assert front.fetch("/app/plain", "OPTIONS").body.startswith(b"OPTIONS")


def test_preflight_refused(front):
    for origin in (EVIL, "null", "https://example.org"):
        reply = preflight(front, "/app/plain", origin=origin)
        assert (reply.status, reply.body, granted(reply)) == (204, b"", {})
        assert varies(reply) == ["access-control-request-method", "origin"]


def test_preflight_before_all(front):
    """Neither a credential nor a limit is asked for; its own limit is."""
    test = {"X-Test": f"asked-{front.kind}", "Access-Control-Request-Private-Network": "true"}
    for _ in range(2):
        reply = preflight(front, "/app/asked", "POST", **test)
        assert reply.status == 204 and granted(reply)["allow-private-network"] == "true"
        assert "access-control-request-private-network" in varies(reply)
    reply = preflight(front, "/app/asked", "POST", **test)
    assert reply.status == 429 and reply.get("Retry-After")


def test_enforced(front):
    for origin, status in ((APP, 200), (EVIL, 403), ("null", 403), (f"http://localhost:{front.port}", None), (None, 200)):
        reply = front.fetch("/app/strict", headers={"Origin": origin} if origin else {}, host=f"localhost:{front.port}")
        assert reply.status == (status or 200), (origin, reply.status, front.guard.text()[-2000:])
        assert "origin" in varies(reply)
        if status == 403:
            assert json.loads(reply.body)["error"] == "origin_not_allowed" and not granted(reply)
    reply = preflight(front, "/app/strict", origin=EVIL)
    assert reply.status == 403 and not granted(reply)
    assert preflight(front, "/app/strict").status == 204


def test_reported(front):
    """Nothing is refused, and what grants goes on."""
    for _ in range(3):
        reply = preflight(front, "/app/report", **{"X-Test": f"report-{front.kind}"})
        assert reply.status == 204 and granted(reply)["allow-origin"] == APP
    assert front.guard.wait_entry(event="reported", path="/app/report", code="rate_limit_exceeded")["guard"] == "limits"
    reply = front.fetch("/app/report", headers={"Origin": EVIL})
    assert reply.status == 200 and not granted(reply) and "origin" in varies(reply)
    assert front.guard.wait_entry(event="reported", path="/app/report", code="origin_not_allowed")["guard"] == "cors"


def test_log(front):
    preflight(front, "/app/plain", "POST")
    preflight(front, "/app/plain", "DELETE")
    for code in ("preflight", "preflight_refused"):
        entry = front.guard.wait_entry(event="request", method="OPTIONS", path="/app/plain", code=code)
        assert (entry["guard"], entry["status"], entry["level"]) == ("cors", 204, "info")


def test_public_is_the_same_for_all(front):
    found = [front.fetch("/app/public", headers={"Origin": origin} if origin else {}) for origin in (APP, EVIL, "null", None)]
    for reply in found:
        assert granted(reply) == {"allow-origin": "*", "expose-headers": "X-Request-ID"}
        assert varies(reply) == ["accept-encoding", "cookie", "origin"], "the program's own"


def test_off_is_the_programs_own(front):
    reply = front.fetch("/app/off", headers={"Origin": EVIL})
    assert granted(reply) == {"allow-origin": "*", "allow-credentials": "true"}
    assert preflight(front, "/app/off").body.startswith(b"OPTIONS")


def test_two_origins(front):
    """Some servers join them, the others leave it to us."""
    for headers in ([("Origin", APP), ("Origin", EVIL)], [("Origin", EVIL), ("Origin", APP)], [("Origin", f"{APP}, {EVIL}")]):
        reply = front.fetch("/app/plain", headers=headers)
        assert reply.status in (200, 400), reply.status
        assert granted(reply).get("allow-origin") in (None, APP)


def test_explain(guard):
    def explain(*arguments):
        return harness.run([guard.program, "explain", "-c", guard.policy_path, *arguments], env=harness.clean_environment())
    asked = ["-H", "Access-Control-Request-Method: PUT", "-H", "Access-Control-Request-Headers: x-a"]
    result = explain("OPTIONS", "/app/plain", "-H", f"Origin: {OTHER}", *asked)
    assert result.returncode == 0 and "answers with 204 preflight\n" in result.stdout, result.stdout
    for line in (f"Access-Control-Allow-Origin: {OTHER}", "Access-Control-Allow-Methods: PUT, OPTIONS", "Access-Control-Allow-Headers: x-a"):
        assert line in result.stdout
    result = explain("OPTIONS", "/app/plain", "-H", f"Origin: {EVIL}", *asked)
    assert result.returncode == 1 and "204 preflight_refused (the origin is not allowed)" in result.stdout
    result = explain("GET", "/app/report", "-H", f"Origin: {EVIL}")
    assert "refuses with 403 origin_not_allowed (the origin is not allowed); only reported" in result.stdout
    result = explain("OPTIONS", "/app/report", "-H", f"Origin: {APP}", "-H", "Access-Control-Request-Method: GET")
    assert result.returncode == 0 and "answers with 204 preflight\n" in result.stdout, result.stdout


# ---- a cache in front

def nginx_cache(folder, guard):
    """nginx with a cache of its own, which says of each reply whether it was there."""
    port = harness.free_port()
    cache = folder.writable("cache")
    snippet = f"""
    fastcgi_cache_path {cache} keys_zone=replies:1m;
    fastcgi_cache_key $request_method$request_uri;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_pass unix:{guard.address};
            fastcgi_cache replies;
            fastcgi_cache_methods GET HEAD;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}"""
    return servers.nginx(folder, snippet, "cache-nginx", port)


def test_cache_keeps_origins_apart(folder, guard):
    server = nginx_cache(folder, guard)
    try:
        def fetch(origin):
            reply = server.fetch("/app/cacheable", headers={"Origin": origin} if origin else {})
            assert reply.status == 200, reply.body
            return reply.get("X-Cache"), granted(reply).get("allow-origin"), reply.body
        for origin, allowed in ((EVIL, None), (APP, APP), (None, None), (OTHER, OTHER)):
            body = f"GET {origin or ''}\n".encode()
            assert fetch(origin) == ("MISS", allowed, body)
            assert fetch(origin) == ("HIT", allowed, body)
        assert fetch(EVIL) == ("HIT", None, f"GET {EVIL}\n".encode())
    finally:
        server.stop()


# ---- web servers that only ask

def asking(kind, folder):
    site = folder / f"{kind}-site"
    for name in ("open", "private"):
        folder.write(f"{kind}-site/{name}/page", f"the {name} page\n")
        folder.write(f"{kind}-site/{name}/any.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nit ran\\n'\n", 0o755)
    rules = {"store": f"sqlite:{folder.writable('store')}/guard.db", "authorizer": kind == "lighttpd",
             "auth": {"partner": {"api_key": {"header": "X-API-Key"}}},
             "cors": {"web": {"origins": APP, "headers": ["X-API-Key"], "credentials": True}},
             "defaults": {"auth": "none", "respond": "nothing", "cors": "web"},
             "routes": [{"path": "/_authorize", "respond": "authorize"}, {"path": "/open/**"},
                        {"path": "/private/**", "auth": "partner"}]}
    guard = harness.Guard(folder, rules, name=f"asked-{kind}")
    port = harness.free_port()
    if kind == "nginx":
        snippet = servers.example("nginx/auth_request_cors.conf", socket=guard.address, port=f"listen 127.0.0.1:{port};",
                                  params="include /etc/nginx/fastcgi_params;", site=site)
        server = servers.nginx(folder, snippet, "cors-nginx", port)
    elif kind == "caddy":
        snippet = servers.example("caddy/forward_auth_cors.Caddyfile", socket=guard.address,
                                  any_port=f":{port} {{\n\tbind 127.0.0.1", site=site)
        server = servers.caddy(folder, snippet, "cors-caddy", port)
    else:
        snippet = servers.example("lighttpd/authorizer_cors.conf", socket=guard.address, site=site)
        snippet += '\nserver.modules += ( "mod_cgi" )\ncgi.assign = ( ".sh" => "" )\n'
        server = servers.lighttpd(folder, snippet, "cors-lighttpd", root=site)
    front = servers.Front(server, guard)
    front.kind = kind
    return front


@pytest.fixture(scope="module", params=["nginx", "caddy", "lighttpd"])
def asker(request, folder):
    started = asking(request.param, folder)
    yield started
    started.stop()
    started.guard.stop()
    started.guard.check_reports()


def test_asked_preflight(asker):
    """The guard answers it, though the web server serves."""
    for target in ("/open/page", "/private/page"):
        reply = preflight(asker, target, headers="x-api-key")
        assert (reply.status, reply.body) == (204, b""), (reply.status, reply.body, asker.guard.text()[-2000:])
        assert granted(reply) == {"allow-origin": APP, "allow-credentials": "true", "allow-methods": "GET, HEAD, POST",
                                  "allow-headers": "X-API-Key", "max-age": "600"}
        assert not granted(preflight(asker, target, origin=EVIL))


def test_asked_preflight_opens_nothing(asker):
    """Whoever calls it a preflight does not get what a credential is for."""
    for target in ("/private/page", "/private/any.sh"):
        for headers in ({"Origin": APP}, {"Access-Control-Request-Method": "GET"}, {},
                        {"Origin": APP, "Access-Control-Request-Method": "GET"}, {"Origin": APP, "Access-Control-Request-Method": ""}):
            for body in (None, b"x"):
                reply = asker.fetch(target, "OPTIONS", headers=headers, body=body)
                assert b"it ran" not in reply.body and b"the private page" not in reply.body, (headers, reply.status, reply.body)


def test_asked_replies(asker):
    key = key_command(asker.guard, "create", "--owner", f"cors-{asker.kind}")
    for origin, allowed in ((APP, APP), (EVIL, None), (None, None)):
        headers = {"Origin": origin} if origin else {}
        for target, more, status in (("/open/page", {}, 200), ("/private/page", {"X-API-Key": key}, 200), ("/private/page", {}, 401)):
            reply = asker.fetch(target, headers={**headers, **more, "X-Cors-Origin": EVIL})
            assert reply.status == status, (reply.status, asker.guard.text()[-2000:])
            assert granted(reply).get("allow-origin") == allowed, (asker.kind, target, status, reply.headers)
            assert "origin" in varies(reply)
