"""Web servers that serve by themselves and ask before they do, each the way
examples/ has it: what is let through, what is refused, and how nobody can make
them ask about another request than his own."""

import json

import pytest

import harness
import records
import servers
from records import ask
from test_callers import bearer, key_command

KINDS = ["nginx", "caddy", "lighttpd", "mod_authnz_fcgi", "mod_fcgid"]
ROLE = ("lighttpd", "mod_authnz_fcgi", "mod_fcgid")


def policy(folder, defaults=None, **more):
    folder.write("jwt.key", "a-secret-of-at-least-32-bytes-for-HS256", 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {
            "user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests",
                             "environment": {"USER_EMAIL": "email"}}},
            "partner": {"api_key": {"header": "X-API-Key"}},
        },
        "defaults": {"auth": ["user", "partner"], "methods": ["GET"], "respond": "nothing", **(defaults or {})},
        "routes": [
            {"path": "/_authorize", "auth": "none", "respond": "authorize"},
            {"path": "/open/**", "auth": "none", "methods": ["GET", "POST"], "body": "10b", "content_types": "text/plain"},
            {"path": "/app/**"},
            {"path": "/admin/**", "roles": "admin"},
            {"path": "/scoped/**", "scopes": "write"},
            {"path": "/own/{id}", "match": {"sub": "{id}"}},
            {"path": "/maybe/**", "auth": {"methods": "user", "optional": True}},
            {"path": "/secure/**", "auth": "none", "https": "redirect"},
            {"path": "/limited/**", "limits": [{"rate": "2/1h", "by": "header:X-Test"}, {"rate": "1/1h", "by": "caller"}]},
        ],
        **more,
    }


def refused(front):
    """mod_fcgid makes 401 of whatever an authorizer refuses with."""
    return 401 if front.kind == "mod_fcgid" else 403


def start(kind, folder, defaults=None, nginx="nginx/auth_request.conf", **more):
    site = folder / f"{kind}-site"
    for name in ("open", "app", "admin", "scoped", "secure", "own", "nowhere"):
        folder.write(f"{kind}-site/{name}/page", "the page\n")
    folder.write(f"{kind}-site/own/bob", "the page\n")
    folder.write(f"{kind}-site/admin/page", "the page of admins\n")
    folder.write(f"{kind}-site/app/echo.sh", "#!/bin/sh\necho Content-Type: text/plain\necho\nenv\n", 0o755)
    rules = policy(folder, defaults, **more)
    address = ("127.0.0.1", harness.free_port())
    if kind in ROLE:
        rules["authorizer"] = True
    if kind == "mod_authnz_fcgi":
        rules["listen"] = "tcp:%s:%d" % address
    if kind == "mod_fcgid":
        rules["log"] = f"file:{folder.writable('mod_fcgid-log')}/guard.log"
    guard = harness.Guard(folder, rules, name=f"authorize-{kind}", start=False)
    if kind == "mod_authnz_fcgi":
        guard.address = address
    if kind != "mod_fcgid":
        guard.start()
    else:
        guard.log_path = folder / "mod_fcgid-log/guard.log"
    if kind == "nginx":
        port = harness.free_port()
        params = {"params": "include /etc/nginx/fastcgi_params;"} if "cors" in nginx else {}
        snippet = servers.example(nginx, socket=guard.address, port=f"listen 127.0.0.1:{port};", site=site, **params)
        server = servers.nginx(folder, snippet, "ask-nginx", port)
    elif kind == "caddy":
        port = harness.free_port()
        snippet = servers.example("caddy/forward_auth.Caddyfile", socket=guard.address,
                                  any_port=f":{port} {{\n\tbind 127.0.0.1", site=site)
        server = servers.caddy(folder, snippet, "ask-caddy", port)
    elif kind == "lighttpd":
        snippet = servers.example("lighttpd/authorizer.conf", socket=guard.address, site=site)
        snippet += '\nserver.modules += ( "mod_cgi" )\ncgi.assign = ( ".sh" => "" )\n'
        server = servers.lighttpd(folder, snippet, "ask-lighttpd", root=site)
    else:
        name, modules, words = (
            ("apache/authnz_fcgi.conf", ["authn_core", "authz_user", "authnz_fcgi"], {"tcp": "%s:%d" % address})
            if kind == "mod_authnz_fcgi" else
            ("apache/fcgid_authorizer.conf", ["fcgid", "headers"], {"program": guard.program, "policy": guard.policy_path}))
        snippet = servers.example(name, **words)
        snippet += f'\nAlias "/" "{site}/"\n<Directory "{site}">\nOptions +ExecCGI\n<Files "*.sh">\nSetHandler cgi-script\n</Files>\n</Directory>\n'
        server = servers.apache(folder, [*modules, "cgid"], snippet, f"ask-{kind}")
    front = servers.Front(server, guard)
    front.kind = kind
    return front


@pytest.fixture(scope="module", params=KINDS)
def front(request, folder):
    started = start(request.param, folder)
    yield started
    started.stop()
    started.guard.stop()
    started.guard.check_reports()


def test_served(front):
    reply = front.fetch("/open/page")
    assert (reply.status, reply.body) == (200, b"the page\n"), front.guard.text()[-3000:]
    reply = front.fetch("/app/page?a=1", headers=[bearer()])
    assert (reply.status, reply.body) == (200, b"the page\n")
    assert reply.get("X-API-Key") is None and not [name for name, _ in reply.headers if name.lower().startswith("variable-")]
    key = key_command(front.guard, "create", "--owner", "alice", "--roles", "admin")
    assert front.fetch("/admin/page", headers=[("X-API-Key", key)]).status == 200


@pytest.mark.parametrize("target, headers, status", [
    ("/app/page", [], 401),
    ("/app/page", [("Authorization", "Bearer a.b.c")], 401),
    ("/app/page", [bearer(exp=1)], 401),
    ("/admin/page", [bearer()], 403),
    ("/admin/page", [bearer(roles=["admin"])], 200),
    ("/scoped/page", [bearer(scope="read")], 403),
    ("/scoped/page", [bearer(scope="read write")], 200),
    ("/own/bob", [bearer()], 200),
    ("/own/page", [bearer()], 403),
    ("/nowhere/page", [bearer()], 403),
    ("/secure/page", [], 403),
    ("/_authorize", [], 403),
    ("/_authorize", [bearer()], 403),
], ids=lambda value: str(value) if not isinstance(value, list) else str(len(value)))
def test_decided(front, target, headers, status):
    reply = front.fetch(target, headers=headers)
    if front.kind == "nginx" and target == "/_authorize":
        status = 404  # `internal`
    if status == 403:
        status = refused(front)
    assert reply.status == status, (reply.body, front.guard.text()[-2000:])
    if status == 401 and target == "/app/page":
        assert "Bearer" in " ".join(reply.all("WWW-Authenticate"))
    if status != 200:
        assert b"the page" not in reply.body


@pytest.mark.parametrize("target", [
    "/admin/page", "//admin/page", "/./admin/page", "/admin//page", "/admin/./page", "/admin/page/", "/admin/page%20",
    "/%61dmin/page", "/admin%2fpage", "/%2fadmin/page", "/admin;a/page", "/admin/page;a", "/admin/page?a", "/admin/page%3fa",
    "/open/../admin/page", "/open/%2e%2e/admin/page", "/open/.%2e/admin/page", "/open//../admin/page",
    "/open/x/..//../admin/page", "/open/..%2fadmin/page", "/open%2f..%2fadmin%2fpage", "/open%2f../admin/page",
    "/open/%252e%252e/admin/page", "/open/..;/admin/page", "/open/..%5cadmin%5cpage", "/open/..\\admin\\page",
    "/open%00/../admin/page", "/open/%00/../../admin/page", "/open/page%00/../../admin/page", "/open?/../admin/page",
    "/open%3f/../admin/page", "/open%23/../admin/page", "/open#/../admin/page", "/open/page#/../../admin/page",
    "/open/%c0%ae%c0%ae/admin/page", "/open/\x85/../../admin/page", "http://localhost/admin/page",
    "http://localhost/open/../admin/page", "http://localhost//admin/page", "http:///admin/page", "*/admin/page",
    "admin/page", "/../admin/page", "/open/../../admin/page", "/open/page/../../admin/page",
])
def test_no_way_around(front, target):
    """What is asked about is what is served, in whatever way it is written."""
    for method in ("GET", "POST"):
        reply = servers.fetch_raw(front.port, servers.request(method, target.encode("latin-1")))
        assert b"of admins" not in reply.body, reply.body
        reply = servers.fetch_raw(front.port, servers.request(method, target.encode("latin-1"), [bearer()]))
        assert b"of admins" not in reply.body, reply.body


def test_methods(front):
    assert front.fetch("/app/page", method="HEAD", headers=[bearer()]).status == 200
    assert front.fetch("/app/page", method="HEAD").status == 401
    assert front.fetch("/app/page", method="DELETE", headers=[bearer()]).status == refused(front)
    assert front.fetch("/app/page", method="POST", body=b"x", headers=[bearer()]).status == refused(front)


def test_bodies_by_their_head(front):
    plain, other = ("Content-Type", "text/plain"), ("Content-Type", "text/html")
    assert front.fetch("/open/page", method="POST", body=b"x" * 10, headers=[other]).status == refused(front)
    assert front.fetch("/open/page", method="POST", body=b"x" * 10, headers=[plain]).status not in (401, 403)
    if front.kind in ("mod_authnz_fcgi", "mod_fcgid"):  # Apache does not tell how long it is
        return
    assert front.fetch("/open/page", method="POST", body=b"x" * 11, headers=[plain]).status == 403
    assert front.fetch("/open/page", method="POST", body=b"x" * (2 << 20), headers=[plain]).status in (403, 413)


@pytest.mark.parametrize("name", ["X-Original-URI", "X-Forwarded-Uri", "X_Original_URI", "X_Forwarded_Uri", "Original-Uri",
                                  "ORIGINAL_URI", "Request-Uri", "X-Rewrite-Url"])
def test_nobody_asks_about_another(front, name):
    for method in ("X-Original-Method", "X-Forwarded-Method", "Original-Method"):
        reply = front.fetch("/admin/page", headers=[(name, "/open/page"), (method, "GET"), bearer()])
        assert reply.status != 200 and b"the page" not in reply.body
    reply = front.fetch("/_authorize", headers=[(name, "/open/page"), ("X-Forwarded-Method", "GET")])
    assert reply.status in (refused(front), 404)


def test_caller_is_told(front):
    """What is served hears of the caller, and of nothing that he says himself."""
    lie = [("Remote-User", "root"), ("Remote_User", "root"), ("Variable-REMOTE_USER", "root")]
    if front.kind in ("nginx", "caddy"):
        assert front.fetch("/app/page", headers=[bearer(), *lie]).get("X-Caller") == "bob"
        assert front.fetch("/open/page", headers=lie).get("X-Caller") in (None, "")
        return
    reply = front.fetch("/app/echo.sh", headers=[bearer(roles=["x", "y"], email="b@example.com"), *lie])
    seen = dict(line.split("=", 1) for line in reply.body.decode().splitlines() if "=" in line)
    assert reply.status == 200 and seen["REMOTE_USER"] == "bob", reply.body
    assert seen["AUTH_ROLES"] == "x y" and seen["USER_EMAIL"] == "b@example.com"


def test_client_is_not_told(front):
    """What is for programs is not for the client, whose cache others may share."""
    reply = front.fetch("/app/page", headers=[bearer(roles=["x"], email="b@example.com")])
    assert reply.status == 200 and not [name for name, _ in reply.headers if name.lower().startswith("variable-")], reply.headers


def test_log_tells_of_the_request(front):
    front.fetch("/admin/page?told=1", headers=[bearer()])
    line = front.guard.wait_entry(event="request", path="/admin/page", status=403)
    assert (line["route"], line["caller"]) == ("/admin/**", "bob")


# ---- the question by itself

@pytest.fixture(scope="module")
def guard(folder):
    started = harness.Guard(folder, policy(folder, proxies=["192.0.2.1"], authorizer=True), name="authorize-alone")
    yield started
    started.stop()
    started.check_reports()


def question(guard, more=(), headers=None, replace=None):
    return ask(guard.address, uri="/_authorize", headers=headers, more=list(more), replace=replace)


def told(uri, method="GET"):
    return [("ORIGINAL_URI", uri), ("ORIGINAL_METHOD", method)]


def test_answers(guard):
    name, value = bearer(roles=["x", "y"], email="b@example.com")
    reply = question(guard, told("/app/page"), {name: value})
    assert (reply.status, reply.body) == (204, b"")
    assert reply.get("Remote-User") == "bob" and reply.get("Auth-Roles") == "x y" and reply.get("User-Email") == "b@example.com"
    assert reply.get("Auth-Type") == "Bearer" and reply.get("Auth-Method") == "user" and reply.get("Cache-Control") == "no-store"
    reply = question(guard, told("/open/page"))
    assert reply.status == 204 and [reply.get(name) for name in ("Remote-User", "Auth-Type", "Auth-Roles")] == ["", "", ""]


def test_what_is_not_known_is_told_as_empty(guard):
    """Or a web server would leave the client's own header as it is."""
    told_of = lambda reply: [(reply.status, reply.get("User-Email"), reply.get("Auth-Roles"))]
    assert told_of(question(guard, told("/app/page"), dict([bearer()]))) == [(204, "", "")]
    assert told_of(question(guard, told("/app/page"), dict([bearer(email="a\nb")]))) == [(204, "", "")]
    assert told_of(question(guard, told("/maybe/page"))) == [(204, "", "")]
    key = key_command(guard, "create", "--owner", "alice", "--roles", "x")
    assert told_of(question(guard, told("/app/page"), {"X-API-Key": key})) == [(204, "", "x")]


@pytest.mark.parametrize("more, code", [
    ([], "original_missing"),
    (told("/app/page")[:1], "original_missing"),
    (told("/app/page")[1:], "original_missing"),
    (told(""), "original_missing"),
    (told("/nowhere"), "route_not_found"),
    (told("/_authorize"), "forbidden"),
    (told("/open/page", "DELETE"), "method_not_allowed"),
    (told("/open/page", "BAD METHOD"), "method_invalid"),
    (told("/open/%00"), "path_nul"),
    (told("/open/../../x"), "path_above_root"),
    (told("/open/%2e%2e/admin/page", "POST"), "method_not_allowed"),
    (told("open"), "path_not_absolute"),
    (told("/open/.git"), "dotfile"),
    (told("/open/" + "a" * 9000), "target_too_long"),
    (told("/secure/page"), "https_redirect"),
    (told("/open/page") + [("HTTP_CONTENT_LENGTH", "11")], "body_too_large"),
    (told("/open/page") + [("HTTP_CONTENT_LENGTH", "x")], "content_length_invalid"),
    (told("/open/page", "POST") + [("HTTP_TRANSFER_ENCODING", "chunked"), ("CONTENT_TYPE", "text/html")], "content_type_not_allowed"),
    (told("/open/page") + [("HTTP_BAD-NAME", "x")], "header_name"),
])
def test_refusals(guard, more, code):
    reply = question(guard, more)
    assert (reply.status, json.loads(reply.body)["error"]) == (403, code)


def test_unauthorized(guard):
    reply = question(guard, told("/app/page"))
    assert (reply.status, json.loads(reply.body)["error"], reply.get("WWW-Authenticate")) == (401, "unauthorized", "Bearer, ApiKey")


def test_headers_are_a_proxys(guard):
    """A client that can reach us by its own address says nothing that counts."""
    forwarded = {"X-Forwarded-Uri": "/open/page", "X-Forwarded-Method": "GET", "X-Forwarded-For": "198.51.100.7"}
    original = {"X-Original-URI": "/open/page", "X-Original-Method": "GET", "X-Forwarded-For": "198.51.100.7"}
    proxy = {"REMOTE_ADDR": "192.0.2.1"}
    for headers in (forwarded, original):
        assert question(guard, headers=headers).status == 403
        assert question(guard, headers=headers, replace=proxy).status == 204
        assert question(guard, told("/app/page"), headers, proxy).status == 401
    assert question(guard, headers={**forwarded, **original}, replace=proxy).status == 403
    assert question(guard, headers={"X-Original-URI": "/open/page"}, replace=proxy).status == 403


def test_role(guard):
    """FastCGI specification, 6.3: no STDIN; one that comes is passed over."""
    name, value = bearer(roles=["x"])
    params = records.environment(uri="/app/page", headers={name: value})
    head = records.begin(1, records.AUTHORIZER, keep=True) + records.stream(records.PARAMS, records.pairs(params), 1)
    for stdin in (b"", records.record(records.STDIN), records.stream(records.STDIN, b"x" * 100)):
        with records.Connection(guard.address) as connection:
            for _ in range(3):
                connection.send(head + stdin)
                reply = connection.reply()
                assert (reply.status, reply.body) == (200, b"")
                assert sorted(key for key, _ in reply.headers) == [
                    "Variable-AUTH_METHOD", "Variable-AUTH_ROLES", "Variable-AUTH_SCOPES", "Variable-AUTH_TYPE",
                    "Variable-REMOTE_USER"]
                assert reply.get("Variable-REMOTE_USER") == "bob"
    for headers, status in (({}, 401), ({name: "Bearer x"}, 401)):
        params = records.environment(uri="/app/page", headers=headers)
        with records.Connection(guard.address) as connection:
            connection.send(records.begin(1, records.AUTHORIZER) + records.stream(records.PARAMS, records.pairs(params), 1))
            reply = connection.reply()
            assert reply.status == status and json.loads(reply.body)["error"] and reply.get("WWW-Authenticate")


def asks(guard, role, uri, headers):
    """The status of an answer to the question about this request, in FastCGI's role or by a route."""
    if not role:
        return question(guard, told(uri), headers).status
    params = records.environment(uri=uri, headers=headers)
    with records.Connection(guard.address) as connection:
        connection.send(records.begin(1, records.AUTHORIZER) + records.stream(records.PARAMS, records.pairs(params), 1))
        return connection.reply().status


@pytest.mark.parametrize("role", [True, False])
def test_limits_take_together_or_not_at_all(guard, role):
    """Although who asks is told 403, and not 429."""
    served, who = 200 if role else 204, f"together-{role}"
    alice, bob = ({"X-Test": who, **dict([bearer(sub=f"{name}-{role}")])} for name in ("alice", "bob"))
    assert [asks(guard, role, "/limited/page", alice) for _ in range(5)] == [served] + [403] * 4
    assert asks(guard, role, "/limited/page", bob) == served, "what alice was refused took nothing"


def test_limits_of_the_question_itself(start_guard, folder):
    """They count by its answer, and its slot is free for what it asks about."""
    rules = policy(folder, proxies=["192.0.2.1"])
    rules["limits"] = {"wrong": {"rate": "3/1h", "count": "failures", "by": "header:X-Test"},
                       "right": {"rate": "3/1h", "count": "successes", "by": "header:X-Test"},
                       "slot": {"concurrency": 1, "by": "header:X-Test"}}
    rules["routes"][0]["limits"] = ["wrong", "slot"]
    rules["routes"] += [{"path": "/slot/**", "auth": "none", "limits": "slot"},
                        {"path": "/_right", "auth": "none", "respond": "authorize", "limits": "right"}]
    guard, good = start_guard(rules), dict([bearer()])
    for uri in ("/app/page", "/slot/page"):
        assert [asks(guard, False, uri, {"X-Test": "a", **good}) for _ in range(6)] == [204] * 6, uri
    assert [asks(guard, False, "/app/page", {"X-Test": "a"}) for _ in range(5)] == [401] * 3 + [403] * 2
    assert asks(guard, False, "/app/page", {"X-Test": "a", **good}) == 403
    right = lambda headers: ask(guard.address, uri="/_right", headers={"X-Test": "b", **headers}, more=told("/app/page")).status
    assert [right({}) for _ in range(5)] == [401] * 5 and [right(good) for _ in range(4)] == [204] * 3 + [403]


def test_role_is_off(start_guard, folder):
    quiet = start_guard(policy(folder))
    with records.Connection(quiet.address) as connection:
        connection.send(records.begin(1, records.AUTHORIZER))
        assert connection.reply().protocol_status == records.UNKNOWN_ROLE


def test_nothing(guard):
    reply = ask(guard.address, uri="/open/page")
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize("accept", [None, "text/html, */*;q=0.8"])
def test_refusals_are_what_they_say_they_are(front, accept):
    """Of those that hand our body on, mod_authnz_fcgi has a type of its own for all."""
    kind = "text/html; charset=utf-8" if accept else "application/json"
    if front.kind == "mod_authnz_fcgi":
        kind = "text/html; charset=iso-8859-1"
    for target, headers, status in (("/app/page", [], 401), ("/admin/page", [bearer()], refused(front))):
        reply = front.fetch(target, headers=headers + ([("Accept", accept)] if accept else []))
        assert reply.status == status
        if front.kind in ("nginx", "mod_fcgid"):  # these have bodies of their own
            assert reply.get("X-Request-ID", "none") not in reply.body.decode() and "json" not in reply.get("Content-Type", "")
            continue
        assert reply.get("Content-Type") == kind and reply.body.isascii() and reply.get("X-Request-ID") in reply.body.decode()
        if accept:
            assert b'class="id"' in reply.body and "style-src 'sha256-" in reply.get("Content-Security-Policy")
        else:
            assert json.loads(reply.body)["error"] in ("unauthorized", "forbidden")
