"""How clients are told that they are refused: each profile and the page, through
real web servers; in which words; and that nothing of a request comes back."""

import asyncio
import base64
import hashlib
import html.parser
import json
import re

import fastapi
import pydantic
import pytest

import harness
import records
import servers
from records import ask, raw
from test_callers import token

MARK = "M4rkerOfTheTest"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
PROFILES = ["plain", "problem", "fastapi"]
KINDS = ["lighttpd", "nginx", "mod_proxy_fcgi"]
STYLE = re.compile(rb"<style>(.*?)</style>", re.S)


def policy(folder, helper):
    folder.write("jwt.key", "a-secret-of-at-least-32-bytes-for-HS256", 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    routes = []
    for profile in PROFILES:
        def route(name, profile=profile, **more):
            routes.append({"path": f"/app/{profile}/{name}/**", "methods": ["GET", "POST"], "errors": profile, "exec": helper, **more})
        route("open")
        route("office", addresses={"allow": ["192.0.2.1"]})
        route("user", auth="user")
        route("secure", https="redirect")
        route("small", body="10b", content_types=["application/json"])
        route("note", body={"fields": {"email": {"type": "string", "required": True}, "age": {"type": "integer"}}},
              parameters={"query": {"page": "integer"}}, validation_status=422)
        route("limited", limits=[{"rate": "1/1h", "by": "header:X-Test"}])
        routes.append({"path": f"/app/{profile}/words/**", "addresses": {"allow": ["192.0.2.1"]}, "exec": helper,
                       "errors": {"profile": profile, "messages": {"address_not_allowed": {"de": "Nur f\u00fcr <uns> & so", "fr": "Non"}}}})
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests"}}},
        "defaults": {"auth": "none", "methods": ["GET", "POST"], "hosts": ["localhost"], "errors": {"messages": {"route_not_found": "Nothing here"}}},
        "routes": routes,
    }


@pytest.fixture(scope="module", params=KINDS)
def front(request, folder, helper):
    started = servers.start(request.param, folder, policy(folder, helper), name=f"errors-{request.param}")
    yield started
    started.stop()
    started.guard.stop()
    started.guard.check_reports()


class Page(html.parser.HTMLParser):
    """A document whose elements are closed in turn; what is in it, by element."""

    VOID = ("meta", "br")

    def __init__(self, body):
        super().__init__(convert_charrefs=True)
        self.open, self.texts, self.attributes = [], {}, {}
        self.feed(body.decode("utf-8"))
        self.close()
        assert not self.open, self.open

    def handle_decl(self, decl):
        assert decl == "DOCTYPE html"

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe", "form", "a", "base", "object"), tag
        assert not [name for name, _ in attrs if name in ("src", "href", "style") or name.startswith("on")], attrs
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts[self.open[-1] if self.open else ""] = self.texts.get(self.open[-1] if self.open else "", "") + data


def check_page(reply):
    assert reply.get("Content-Type") == "text/html; charset=utf-8", (reply.status, reply.headers, reply.body)
    assert len(reply.body) < 3 * 1024
    page = Page(reply.body)
    assert page.attributes["html"][0]["lang"] and {"charset": "utf-8"} in page.attributes["meta"]
    assert "width=device-width" in [meta for meta in page.attributes["meta"] if meta.get("name") == "viewport"][0]["content"]
    assert page.texts["title"] == page.texts["h1"] and page.texts["h1"]
    assert page.texts["code"] == reply.get("X-Request-ID")
    digest = base64.b64encode(hashlib.sha256(STYLE.search(reply.body)[1]).digest()).decode()
    assert reply.get("Content-Security-Policy") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert len(reply.all("Content-Security-Policy")) == 1
    return page


def check_plain(reply, code):
    body = json.loads(reply.body)
    assert reply.get("Content-Type") == "application/json"
    assert list(body)[:3] == ["error", "message", "requestId"] and set(body) <= {"error", "message", "requestId", "details", "retryAfter"}
    assert (body["error"], body["requestId"]) == (code, reply.get("X-Request-ID"))
    return body


def check_problem(reply, code):
    """RFC 9457, 3.1; extensions of ours."""
    body = json.loads(reply.body)
    assert reply.get("Content-Type") == "application/problem+json"
    assert body["status"] == reply.status and isinstance(body["title"], str) and isinstance(body["detail"], str)
    assert body["instance"] == "urn:uuid:" + reply.get("X-Request-ID") and body["requestId"] == reply.get("X-Request-ID")
    assert body["code"] == code
    assert body["type"] in ("about:blank", "https://iana.org/assignments/http-problem-types#quota-exceeded")
    assert set(body) <= {"type", "title", "status", "detail", "instance", "code", "requestId", "errors", "retryAfter", "violated-policies"}
    return body


def check_fastapi(reply, code):
    body = json.loads(reply.body)
    assert reply.get("Content-Type") == "application/json"
    assert list(body) == (["error"] if reply.status == 429 else ["detail"])
    return body


CHECKS = {"plain": check_plain, "problem": check_problem, "fastapi": check_fastapi}
NOTE = json.dumps({"age": MARK}).encode()
CASES = [  # what, method, body, status, code, headers that stay
    ("office", "GET", None, 403, "address_not_allowed", []),
    ("user", "GET", None, 401, "unauthorized", ["WWW-Authenticate"]),
    ("small", "POST", b'"' + MARK.encode() + b'"', 413, "body_too_large", []),
    ("note", "POST", NOTE, 422, "validation_error", []),
    ("open", "PUT", None, 405, "method_not_allowed", ["Allow"]),
    ("secure", "GET", None, 308, "https_redirect", ["Location"]),
    ("limited", "GET", None, 429, "rate_limit_exceeded", ["Retry-After", "RateLimit"]),
    ("crash", "GET", None, 500, "internal_error", []),
    ("later", "GET", None, 503, "internal_error", ["Retry-After"]),
]


def send(front, profile, what, method="GET", body=None, accept=None, marked=True, **more):
    target = f"/app/{profile}/{what}/x"
    if what == "crash":
        target = raw(f"Status: 500\r\nContent-Type: text/html\r\n\r\n<h1>{MARK} /srv/app.py line 7</h1>", f"/app/{profile}/open")
    if what == "later":
        target = raw(f"Status: 503\r\nRetry-After: 120\r\nX-Trace: {MARK}\r\n\r\n{MARK}", f"/app/{profile}/open")
    headers = {"X-Test": profile + what}
    if marked and what not in ("crash", "later"):
        # Names of fields are told where they are wrong.
        target += {"secure": "", "note": f"/{MARK}?page={MARK}"}.get(what, f"/{MARK}?page={MARK}&{MARK}=1")
        headers.update({"Cookie": f"{MARK}={MARK}", "User-Agent": MARK, f"X-{MARK}": MARK, "Referer": f"http://localhost/{MARK}",
                        "Accept-Language": f"{MARK[:8]}, de;q=0.1"})
    if body:
        headers["Content-Type"] = "application/json"
    if accept:
        headers["Accept"] = accept
    return front.fetch(target, method=method, body=body, headers={**headers, **more})


def echoes_nothing(front, reply):
    text = reply.body.decode()
    for secret in (MARK, MARK.lower(), str(front.guard.folder), "/srv", "/bin", "fcgiguard", "0.1.0", "line 7", "helper"):
        assert secret not in text, (secret, text)
    for name, value in reply.headers:
        if name.lower() != "location":
            assert MARK.lower() not in (name + value).lower(), (name, value)


@pytest.mark.parametrize("what, method, body, status, code, stays", CASES)
@pytest.mark.parametrize("profile", PROFILES)
def test_profile(front, profile, what, method, body, status, code, stays):
    if what == "limited":
        send(front, profile, what)
    reply = send(front, profile, what, method, body)
    assert reply.status == status, (reply.status, reply.body, front.guard.text()[-2000:])
    CHECKS[profile](reply, code)
    assert reply.get("Cache-Control") == "no-store" and reply.get("Vary") == "Accept"
    echoes_nothing(front, reply)
    page = send(front, profile, what, method, body, BROWSER)
    assert page.status == status
    check_page(page)
    echoes_nothing(front, page)
    for name in stays:
        assert reply.get(name) and page.get(name), name
    assert page.get("Vary") == "Accept"


@pytest.mark.parametrize("what, status", [("office", 403), ("user", 401), ("secure", 308), ("nowhere", 404)])
@pytest.mark.parametrize("accept", [None, BROWSER])
def test_head_has_the_headers_of_get(front, accept, what, status):
    def shown(reply):
        return {name.lower(): value for name, value in reply.headers
                if name.lower() not in ("date", "x-request-id", "content-length", "transfer-encoding")}
    got, head = (send(front, "problem", what, method, accept=accept) for method in ("GET", "HEAD"))
    assert (got.status, head.status, head.body) == (status, status, b"")
    assert shown(got) == shown(head)


def test_fields_are_told_in_each_profile(front):
    body = json.loads(send(front, "problem", "note", "POST", NOTE, marked=False).body)
    assert {"detail": "is required", "pointer": "#/email"} in body["errors"] and len(body["errors"]) == 2
    body = json.loads(send(front, "fastapi", "note", "POST", NOTE, marked=False).body)
    assert {"type": "missing", "loc": ["body", "email"], "msg": "Field required"} in body["detail"] and len(body["detail"]) == 2
    body = json.loads(front.fetch("/app/fastapi/note/x?page=a", method="POST", body=b'{"email": "a"}',
                                  headers={"Content-Type": "application/json"}).body)
    assert body["detail"][0]["loc"] == ["query", "page"]


def test_limits_are_named(front):
    replies = {}
    for profile in PROFILES:
        for _ in range(2):
            replies[profile] = front.fetch(f"/app/{profile}/limited/x", headers={"X-Test": "named-" + profile})
    problem, retry = json.loads(replies["problem"].body), replies["problem"].get("Retry-After")
    assert problem["type"].endswith("#quota-exceeded") and str(problem["retryAfter"]) == retry
    assert [f'"{name}"' for name in problem["violated-policies"]] == [replies["problem"].get("RateLimit").partition(";")[0]]
    assert json.loads(replies["fastapi"].body) == {"error": "Rate limit exceeded: 1 per 1 hour"}


@pytest.mark.parametrize("wanted, language, sentence", [
    ("de-AT, de;q=0.9, en;q=0.8", "de", "Nur f\u00fcr <uns> & so"), ("fr", "fr", "Non"), ("en, de;q=0.9", "en", None), ("it", "en", None), ("de;q=0, *", "en", None),
    ("de;q=x", "en", None), ("", "en", None)])
def test_words_are_in_the_clients_language(front, wanted, language, sentence):
    sentence = sentence or "Requests from your address are not allowed"
    for profile, name in (("plain", "message"), ("problem", "detail"), ("fastapi", "detail")):
        reply = front.fetch(f"/app/{profile}/words/x", headers={"Accept-Language": wanted})
        assert json.loads(reply.body)[name] == sentence
        assert (reply.get("Content-Language"), reply.get("Vary").replace(" ", "")) == (language, "Accept,Accept-Language")
    reply = front.fetch("/app/plain/words/x", headers={"Accept-Language": wanted, "Accept": BROWSER})
    page = check_page(reply)
    assert page.texts["h1"] == sentence and page.attributes["html"][0]["lang"] == language
    assert reply.get("Content-Language") == language


def test_no_route_is_told_by_the_defaults(front):
    reply = front.fetch("/app/nowhere")
    assert (reply.status, check_plain(reply, "route_not_found")["message"]) == (404, "Nothing here")
    assert reply.get("Content-Language") == "en"
    page = check_page(front.fetch("/app/nowhere", headers={"Accept": BROWSER}))
    assert page.texts["h1"] == "Nothing here"


def test_accept_is_weighed(front):
    for accept, is_page in (("*/*", False), ("text/html", True), ("application/json, text/html;q=0.9", False), ("text/html;q=0", False),
                            ("text/html;q=0.5, application/json;q=0.4", True), (f"text/html;{MARK}", False), ("text/html;" + "q" * 1000, False)):
        reply = front.fetch("/app/plain/office/x", headers={"Accept": accept})
        assert reply.get("Content-Type").startswith("text/html") == is_page, accept


# ---- by our own protocol

@pytest.fixture(scope="module")
def guard(start_guard, helper):
    routes = [{"path": "/app/h/**", "exec": helper, "methods": ["GET", "HEAD"]}, {"path": "/user", "auth": "user", "respond": "nothing"},
              {"path": "/office", "addresses": {"allow": ["192.0.2.1"]}, "respond": "nothing"},
              {"path": "/app/passed/**", "pass_errors": True, "exec": helper}]
    return start_guard({"log": {"level": "debug"}, "authorizer": True, "store": None, "request": {"headers": 20},
                        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "env:FCGIGUARD_SECRET", "issuer": "tests"}}},
                        "defaults": {"auth": "none", "errors": "problem"}, "routes": routes}, name="direct",
                       environment={"FCGIGUARD_SECRET": "a-secret-of-at-least-32-bytes-for-HS256"})


def test_head_is_promised_what_get_has(guard):
    for accept in (None, BROWSER):
        got, head = (ask(guard.address, method, "/office", headers={"Accept": accept}) for method in ("GET", "HEAD"))
        assert int(got.get("Content-Length")) == len(got.body) > 0
        assert (head.get("Content-Length"), head.body) == (got.get("Content-Length"), b"")


def test_what_cannot_be_read_is_told_by_the_defaults(guard):
    for words, status, code in (({"uri": "/%00"}, 400, "path_nul"), ({"uri": "/office", "replace": {"REQUEST_METHOD": "G T"}}, 400, "method_invalid"),
                                ({"headers": {f"X-{i}": "a" for i in range(30)}}, 431, "headers_too_many"),
                                ({"more": [("A", "b")] * 500}, 400, "request_invalid"), ({"headers": {"X": "a" * 100000}}, 431, "head_too_large")):
        reply = ask(guard.address, **words)
        assert (reply.status, check_problem(reply, code)["code"]) == (status, code)
    reply = ask(guard.address, uri="/%00", headers={"Accept": BROWSER})
    assert reply.status == 400 and check_page(reply)


@pytest.mark.parametrize("uri, status, code", [("/user", 401, "unauthorized"), ("/office", 403, "address_not_allowed"), ("/nowhere", 403, "route_not_found")])
def test_authorizers_tell_alike(guard, uri, status, code):
    def question(**words):
        with records.Connection(guard.address) as connection:
            connection.send(records.request(records.environment(uri=uri, **words), role=records.AUTHORIZER))
            return connection.reply()
    reply = question()
    assert reply.status == status and check_problem(reply, code)
    assert (reply.get("WWW-Authenticate") is not None) == (status == 401)
    page = question(headers={"Accept": BROWSER})
    assert page.status == status and check_page(page)


def original(guard, answer):
    reply = ask(guard.address, uri=raw(answer))
    assert check_problem(reply, "internal_error")
    return reply, guard.wait_entry(event="handler_error", requestId=reply.get("X-Request-ID"))


def test_what_a_program_says_of_its_error_is_in_the_log(guard):
    reply, entry = original(guard, "Status: 500\r\nContent-Type: text/plain\r\n\r\nTraceback\n  line 7\x1b[2J")
    assert (entry["level"], entry["handler"], entry["status"]) == ("debug", "exec", 500)
    assert (entry["body"], entry["truncated"]) == ("Traceback\n  line 7\x1b[2J", False)
    assert b"Traceback" not in reply.raw and "\x1b" not in guard.text()
    _, entry = original(guard, "Status: 503\r\n\r\n")
    assert (entry["status"], entry["body"], entry["truncated"]) == (503, "", False)
    _, entry = original(guard, "Status: 502\r\n\r\n" + "x" * 2045)
    assert (entry["body"], entry["truncated"]) == ("x" * 2045, False)
    _, entry = original(guard, "Status: 502\r\n\r\n" + "x" * 2050)
    assert entry["body"].startswith("x" * 2000) and entry["body"].endswith("\u2026") and entry["truncated"]


def test_a_flood_of_it_is_cut(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/h/big-error?1000000")
        assert check_problem(reply, "internal_error")
        entry = guard.wait_entry(event="handler_error", requestId=reply.get("X-Request-ID"))
        assert entry["truncated"] and len(entry["body"]) < 2100


def test_bodies_that_pass_are_not_logged(guard):
    for answer, where, status in (("Status: 404\r\nContent-Type: text/x\r\n\r\nmy own", "/app/h", 404), ("Status: 500\r\nContent-Type: text/x\r\n\r\nmy own", "/app/passed", 500)):
        reply = ask(guard.address, uri=raw(answer, where), headers={"Accept": BROWSER})
        assert (reply.status, reply.body, reply.get("Content-Type")) == (status, b"my own", "text/x")
        guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
        assert not guard.entries(event="handler_error", requestId=reply.get("X-Request-ID"))


def test_usual_levels_have_nothing_of_it(front):
    send(front, "plain", "crash", "GET", None)
    front.guard.wait_entry(event="request", status=500)
    assert not front.guard.entries(event="handler_error") and "line 7" not in front.guard.text()


# ---- beside FastAPI

class Item(pydantic.BaseModel):
    email: str
    age: int = 0


class Order(pydantic.BaseModel):
    items: list[Item]


def application():
    app = fastapi.FastAPI()

    @app.post("/app/orders")
    def orders(order: Order, page: int = 1, x_page: int = fastapi.Header(1)):
        return 1

    @app.get("/app/admin")
    def admin():
        raise fastapi.HTTPException(403, "Insufficient permissions")
    return app


def ask_application(app, method, target, body, headers):
    """One request by ASGI: status, Content-Type and body."""
    sent = []
    path, _, query = target.partition("?")

    async def receive():
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send_(event):
        sent.append(event)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path, "root_path": "",
             "query_string": query.encode(), "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
             "client": ("127.0.0.1", 1), "server": ("localhost", 80)}
    asyncio.run(app(scope, receive, send_))
    kind = dict(sent[0]["headers"])[b"content-type"].decode()
    return sent[0]["status"], kind, json.loads(b"".join(event.get("body", b"") for event in sent[1:]))


@pytest.fixture(scope="module")
def alike(start_guard, folder, helper):
    schema = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {
        "type": "object", "required": ["email"], "properties": {"email": {"type": "string"}, "age": {"type": "integer"}}}}}}
    folder.write("order.json", json.dumps(schema))
    routes = [{"path": "/app/orders", "methods": ["POST"], "body": {"schema": "order.json"}, "exec": helper,
               "parameters": {"query": {"page": "integer"}, "headers": {"x-page": "integer"}}},
              {"path": "/app/admin", "methods": ["GET"], "auth": "user", "roles": "admin", "exec": helper}]
    return start_guard({"auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "env:FCGIGUARD_SECRET", "issuer": "tests"}}},
                        "defaults": {"auth": "none", "errors": "fastapi", "validation_status": 422}, "routes": routes}, name="alike",
                       environment={"FCGIGUARD_SECRET": "a-secret-of-at-least-32-bytes-for-HS256"})


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("method, target, body, headers", [
    ("GET", "/app/nowhere", None, {}), ("GET", "/app/orders", None, {}), ("PUT", "/app/admin", None, {}),
    ("POST", "/app/orders", b'{"items": [{}]}', JSON), ("POST", "/app/orders", b'{"items": [{"email": "a"}, {"email": 5, "age": "x"}]}', JSON),
    ("POST", "/app/orders", b"{}", JSON), ("POST", "/app/orders?page=x", b'{"items": []}', JSON), ("POST", "/app/orders", b'{"items": []}', {**JSON, "X-Page": "x"}),
    ("POST", "/app/orders", b'{"items": 7}', JSON)])
def test_it_tells_as_fastapi_does(alike, method, target, body, headers):
    """Status, type and form, and which fields; words of single fields are our own. It takes numbers for texts, and we do not."""
    status, kind, theirs = ask_application(application(), method, target, body, headers)
    reply = ask(alike.address, method, target, body, headers=headers)
    ours = json.loads(reply.body)
    assert (reply.status, reply.get("Content-Type")) == (status, kind)
    if status != 422:
        assert ours == theirs
        return
    where = {json.dumps(fault["loc"]).lower() for fault in ours["detail"]}
    assert where >= {json.dumps(fault["loc"]).lower() for fault in theirs["detail"]}, (ours, theirs)
    assert all(set(fault) == {"type", "loc", "msg"} for fault in ours["detail"])


def test_it_tells_of_roles_as_fastapi_does(alike):
    status, _, theirs = ask_application(application(), "GET", "/app/admin", None, {})
    reply = ask(alike.address, uri="/app/admin", headers={"Authorization": "Bearer " + token(iss="tests", sub="bob", exp=4102444800)})
    assert (reply.status, json.loads(reply.body)) == (status, theirs)
    assert json.loads(ask(alike.address, uri="/app/admin").body) == {"detail": "Not authenticated"}
