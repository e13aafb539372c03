"""examples/express: every feature of an Express API's middleware, by its name and in its
order, through nginx, the policy and the application of that folder."""

import json
import re
import uuid

import pytest

import stacks
from stacks import FORM, HOST, JSON, ORIGIN, bearer

ADMIN = {"email": "admin@example.com", "password": stacks.PASSWORD}


@pytest.fixture(scope="module")
def stack(folder, start_guard):
    started = stacks.express(folder, start_guard)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def admin(stack):
    """As people get a token: by logging in."""
    reply = stack.fetch("/api/auth/login", "POST", body=ADMIN)
    assert reply.status == 200, reply.body
    return {"Authorization": "Bearer " + reply.json()["token"]}


def new(stack, admin, **fields):
    """A user who was not there, and what the application has of him."""
    user = {"email": f"{uuid.uuid4().hex}@example.com", "name": "Ann", "password": "long enough", **fields}
    made = stack.fetch("/api/users", "POST", admin, user)
    assert (made.status, made.json()["message"]) == (201, "User created successfully"), made.body
    own = bearer(sub=made.json()["userId"], role="member")
    return user, f"/api/users/{made.json()['userId']}", own


def refused(reply):
    return reply.status, reply.json()["error"]


# ---- setupSecurityMiddleware

def test_1_helmet_set_security_headers(stack):
    policy = {
        "default-src 'self'", "style-src 'self' 'unsafe-inline'", "script-src 'self'", "img-src 'self' data: https:", "base-uri 'self'",
        "font-src 'self' https: data:", "form-action 'self'", "frame-ancestors 'self'", "object-src 'none'", "script-src-attr 'none'",
        "upgrade-insecure-requests"}
    headers = {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload", "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": "no-referrer", "X-XSS-Protection": "0", "X-DNS-Prefetch-Control": "off",
        "X-Download-Options": "noopen", "X-Permitted-Cross-Domain-Policies": "none", "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin", "Origin-Agent-Cluster": "?1"}
    for target, status in (("/api/health", 200), ("/api/users", 401), ("/nowhere", 404)):
        reply = stack.fetch(target)
        assert reply.status == status
        assert {name: reply.get(name) for name in headers} == headers
        assert {part.strip() for part in reply.get("Content-Security-Policy").split(";")} == policy
        assert reply.get("X-Powered-By") is None
        assert reply.get("Server") == "nginx"


@pytest.mark.parametrize("origin", ["https://example.com", "https://app.example.com"])
def test_2_cors_whitelist(stack, admin, origin):
    for reply, status in ((stack.fetch("/api/users", headers={**admin, "Origin": origin}), 200),
                          (stack.fetch("/api/users", headers={"Origin": origin}), 401)):
        assert (reply.status, reply.get("Access-Control-Allow-Origin"), reply.get("Access-Control-Allow-Credentials")) == (status, origin, "true")
        assert "Origin" in reply.words("Vary")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_2_cors_preflight(stack, method):
    target = "/api/users" if method in ("GET", "POST") else f"/api/users/{uuid.uuid4()}"
    reply = stack.preflight(ORIGIN, method, "authorization,content-type", target)
    assert reply.status == 200, "optionsSuccessStatus"
    assert reply.get("Access-Control-Allow-Origin") == ORIGIN and reply.get("Access-Control-Allow-Credentials") == "true"
    assert reply.words("Access-Control-Allow-Methods") == {"GET", "POST", "PUT", "DELETE"}
    assert {name.lower() for name in reply.words("Access-Control-Allow-Headers")} == {"content-type", "authorization"}


def test_2_cors_not_allowed(stack, admin):
    """403, where the original's error handler makes a 500 of it; and who sends no Origin is served."""
    for origin in ("https://evil.example", "http://example.com", "null", "https://example.com.evil.example"):
        reply = stack.fetch("/api/users", headers={**admin, "Origin": origin})
        assert refused(reply) == (403, "origin_not_allowed") and reply.get("Access-Control-Allow-Origin") is None
        assert stack.preflight(origin, "GET").get("Access-Control-Allow-Origin") is None
    assert stack.fetch("/api/users", headers=admin).status == 200


def test_3_rate_limiting_100_per_15_minutes(stack):
    client = stack.client()
    replies = stack.burst(102, "/api/health", client=client)
    assert [reply.status for reply in replies] == [200] * 100 + [429] * 2
    assert [replies[0].get(f"RateLimit-{word}") for word in ("Limit", "Remaining")] == ["100", "99"], "standardHeaders"
    assert 0 < int(replies[0].get("RateLimit-Reset")) <= 900
    assert not [name for name in replies[0].headers if name.lower().startswith("x-ratelimit")], "legacyHeaders"
    last = replies[-1].json()
    assert (last["error"], last["message"]) == ("rate_limit_exceeded", "Too many requests, please try again later")
    assert last["retryAfter"] == int(replies[-1].get("Retry-After")) <= 900
    assert stack.fetch("/api/users", headers=bearer(), client=client).status == 429, "one limit for all of /api"
    assert stack.fetch("/api/health").status == 200, "of each address"


def test_3_rate_limiting_by_what_a_client_claims(stack):
    client = stack.client()
    for number in range(2):
        reply = stack.fetch("/api/health", headers={"X-Forwarded-For": f"192.0.2.{number}"}, client=client)
        assert reply.get("RateLimit-Remaining") == str(99 - number)


def test_3_auth_limiter_skips_successful_requests(stack):
    client = stack.client()
    assert {reply.status for reply in stack.burst(7, "/api/auth/login", "POST", body=ADMIN, client=client)} == {200}
    guesses = stack.burst(6, "/api/auth/login", "POST", body={**ADMIN, "password": "guess"}, client=client)
    assert [reply.status for reply in guesses] == [401] * 5 + [429]
    assert guesses[-1].json()["error"] == "rate_limit_exceeded"
    assert stack.fetch("/api/auth/login", "POST", body=ADMIN, client=client).status == 429
    assert stack.fetch("/api/health", client=client).status == 200


@pytest.mark.parametrize("kind", ["json", "urlencoded"])
def test_4_body_parsing_with_size_limits(stack, admin, kind):
    def post(size):
        user = {"email": f"{uuid.uuid4().hex}@example.com", "name": "Ann", "password": ""}
        write = json.dumps if kind == "json" else lambda fields: "&".join(f"{name}={value}" for name, value in fields.items())
        user["password"] = "x" * (size - len(write(user)))
        body = write(user)
        assert len(body) == size
        return stack.fetch("/api/users", "POST", {**admin, **(JSON if kind == "json" else FORM)}, body)
    assert post(10240).status == 201
    assert refused(post(10241)) == (413, "body_too_large"), "not the original's 500"
    assert refused(stack.fetch("/api/health", body="x" * 10241)) == (413, "body_too_large"), "wherever it is sent"


def test_4_body_parsing_of_what_is_neither(stack, admin):
    """400 and 415, where the original's error handler answers 500, or nothing is parsed."""
    assert refused(stack.fetch("/api/users", "POST", {**admin, **JSON}, '{"email":')) == (400, "validation_error")
    assert refused(stack.fetch("/api/users", "POST", {**admin, "Content-Type": "text/xml"}, "<a/>")) == (415, "content_type_not_allowed")


def test_5_nosql_injection_prevention(stack, admin):
    reply = stack.fetch("/api/users?name[$ne]=x&role=admin", headers=admin)
    assert reply.status == 200 and reply.json()["filter"] == {"role": "admin"}
    reply = stack.fetch("/api/auth/login", "POST", body={"email": "admin@example.com", "password": {"$gt": ""}})
    assert refused(reply) == (400, "validation_error")
    _, where, own = new(stack, admin)
    reply = stack.fetch(where, "PUT", own, {"name": "Bob", "$set": {"role": "admin"}, "a.role": "admin"})
    assert reply.status == 200 and reply.json()["name"] == "Bob" and reply.json()["role"] == "member"
    assert set(reply.json()) == {"id", "email", "name", "role"}


def test_6_xss_protection(stack, admin):
    user, where, own = new(stack, admin, name="<script>alert(1)</script>", password="<b>pass</b>word")
    assert stack.fetch(where, headers=own).json()["name"] == "&lt;script&gt;alert(1)&lt;/script&gt;"
    for email, password in (user["email"], user["password"]), ADMIN.values():
        login = stack.fetch("/api/auth/login", "POST", body={"email": email, "password": password})
        assert login.status == 200, "a password is what was typed"
    reply = stack.fetch("/api/users?name=%3Cimg%20src=x%20onerror=alert(1)%3E", headers=admin)
    assert reply.json()["filter"] == {"name": "&lt;img src=x onerror=alert(1)&gt;"}
    for bad in ("javascript:alert(1)", "java\tscript:alert(1)"):
        assert refused(stack.fetch(where, "PUT", own, {"name": bad})) == (400, "validation_error"), "no escape helps there"
    assert stack.fetch(where, "PUT", own, {"name": "O'Brien < 3"}).json()["name"] == "O'Brien < 3"


def test_7_http_parameter_pollution_prevention(stack, admin):
    reply = stack.fetch("/api/users?role=member&role=admin", headers=admin)
    assert reply.status == 200 and reply.json()["filter"] == {"role": "admin"}
    _, where, own = new(stack, admin)
    assert stack.fetch(where, "PUT", {**own, **FORM}, "name=First&name=Last").json()["name"] == "Last"
    assert stack.fetch("/api/users?role=admin&role=root", headers=admin).status == 400, "the one that is left is judged"


def test_8_request_id_for_tracking(stack):
    seen = set()
    for target, headers in (("/api/health", {}), ("/api/health", {"X-Request-ID": "mine"}), ("/api/users", {}), ("/nowhere", {})):
        reply = stack.fetch(target, headers=headers)
        assert uuid.UUID(reply.get("X-Request-ID")).version == 4
        seen.add(reply.get("X-Request-ID"))
    assert len(seen) == 4
    reply = stack.fetch("/api/users")
    assert reply.json()["requestId"] == reply.get("X-Request-ID") == stack.logged(reply)["requestId"]


def test_9_security_logging(stack):
    """The original's entry: timestamp, requestId, method, path, statusCode, duration, ip, userAgent."""
    client = stack.client()
    agent = {"User-Agent": "tests/1"}
    served = stack.fetch("/api/health", client=client)
    for target, more, status, level, code in (
            ("/api/users?token=secret", {"Authorization": "Bearer x.y.z"}, 401, "notice", "invalid_token"),
            ("/api/users", bearer(role="member"), 403, "notice", "forbidden"), ("/api/reports", bearer(), 500, "warning", "internal_error")):
        reply = stack.fetch(target, headers={**agent, **more}, client=client)
        entry = stack.logged(reply)
        assert (reply.status, entry["status"], entry["level"], entry.get("code")) == (status, status, level, code)
        assert (entry["method"], entry["path"], entry["address"], entry["userAgent"]) == ("GET", target.partition("?")[0], client, "tests/1")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]) and entry["duration"] >= 0
    wrong = stack.fetch("/api/auth/login", "POST", body={**ADMIN, "password": "guess"}, client=client)
    assert (wrong.status, stack.logged(wrong)["level"]) == (401, "notice"), "what the application itself refuses is logged, too"
    assert not stack.guard.entries(requestId=served.get("X-Request-ID")), "level: notice"
    assert "secret" not in stack.guard.text() and "guess" not in stack.guard.text()


# ---- authenticateJWT, validateInput, authorize

@pytest.mark.parametrize("headers, code, message", [
    ({}, "unauthorized", "Missing or invalid authorization header"),
    ({"Authorization": "Basic YTpi"}, "unauthorized", "Missing or invalid authorization header"),
    (bearer(exp=1700000000), "token_expired", "Token has expired"),
    ({"Authorization": "Bearer x.y.z"}, "invalid_token", "Invalid token"),
    (bearer(secret="another-secret-of-at-least-32-bytes"), "invalid_token", "Invalid token"),
    (bearer(iss="evil.example"), "invalid_token", "Invalid token"),
    (bearer(aud="www.example.com"), "invalid_token", "Invalid token"),
    (bearer(exp=None), "invalid_token", "Invalid token"),
    (stacks.without_algorithm(), "invalid_token", "Invalid token"),
], ids=["missing", "no-bearer", "expired", "malformed", "signature", "issuer", "audience", "without-end", "alg-none"])
def test_jwt_authentication(stack, headers, code, message):
    reply = stack.fetch("/api/users", headers=headers)
    assert refused(reply) == (401, code) and reply.json()["message"] == message
    assert reply.get("WWW-Authenticate").startswith("Bearer")


USER = {"email": "ann@example.com", "name": "Ann", "password": "long enough"}


@pytest.mark.parametrize("rule, field, value", [
    ("required", "email", None), ("required", "name", None), ("required", "password", None), ("type", "email", "ann"),
    ("type", "email", ["ann@example.com"]), ("type", "name", {"length": 5}), ("minLength", "name", "A"), ("maxLength", "name", "A" * 101),
    ("minLength", "password", "1234567"), ("unknown", "role", "admin")], ids=lambda word: str(word)[:20])
def test_input_validation_of_a_body(stack, admin, rule, field, value):
    body = {name: what for name, what in {**USER, field: value}.items() if what is not None}
    reply = stack.fetch("/api/users", "POST", admin, body)
    assert refused(reply) == (400, "validation_error") and reply.json()["message"] == "Input validation failed", rule
    assert [detail["field"] for detail in reply.json()["details"]] == ["/" + field]
    assert not isinstance(value, str) or len(value) < 5 or value not in reply.body.decode(), "what was sent is not repeated"


@pytest.mark.parametrize("rule, field, good, bad", [
    ("url", "website", "https://ann.example.com/", "javascript:alert(1)"), ("url", "website", "http://example.com", "example"),
    ("pattern", "phone", "+4930123456", "030/123456"), ("maxLength", "name", "A" * 100, "A" * 101)],
    ids=lambda word: word[:20])
def test_input_validation_of_types(stack, admin, rule, field, good, bad):
    _, where, own = new(stack, admin)
    reply = stack.fetch(where, "PUT", own, {field: good})
    assert reply.status == 200 and reply.json()[field] == good, rule
    assert refused(stack.fetch(where, "PUT", own, {field: bad})) == (400, "validation_error"), rule


def test_input_validation_of_a_uuid(stack, admin):
    assert refused(stack.fetch("/api/users/7", "DELETE", admin)) == (400, "validation_error")
    assert stack.fetch(f"/api/users/{uuid.uuid4()}", "DELETE", admin).status == 404


def test_authorization(stack, admin):
    for role in ("member", "adminx", None):
        reply = stack.fetch("/api/users", "POST", bearer(role=role), USER)
        assert refused(reply) == (403, "forbidden") and reply.json()["message"] == "Insufficient permissions"
    assert refused(stack.fetch("/api/users", "POST", body=USER)) == (401, "unauthorized")
    _, where, own = new(stack, admin)
    assert refused(stack.fetch(where, "DELETE", own)) == (403, "forbidden")
    assert refused(stack.fetch(where, headers=bearer(role="member"))) == (403, "forbidden"), "another's"
    forged = {**own, "Auth-Roles": "admin", "Remote-User": "admin"}
    assert refused(stack.fetch(where, "DELETE", forged)) == (403, "forbidden")


# ---- setupRoutes

def test_public_endpoint(stack):
    reply = stack.fetch("/api/health")
    assert (reply.status, reply.json()) == (200, {"status": "healthy"})


def test_protected_endpoint_with_validation(stack, admin):
    user, where, own = new(stack, admin)
    found = stack.fetch(where, headers=own)
    assert found.status == 200 and found.json()["email"] == user["email"] and "password" not in found.json()
    assert stack.fetch(where, "PUT", own, {"name": "Anna"}).json()["name"] == "Anna"
    assert "Anna" in [one["name"] for one in stack.fetch("/api/users", headers=admin).json()["users"]]
    assert stack.fetch(where, "DELETE", admin).status == 204
    assert stack.fetch(where, headers=own).status == 404


def test_error_handling(stack):
    reply = stack.fetch("/api/reports", headers={**bearer(), "Origin": ORIGIN})
    assert refused(reply) == (500, "internal_error") and reply.json()["message"] == "An unexpected error occurred"
    assert reply.json()["requestId"] == reply.get("X-Request-ID")
    assert b"/srv" not in reply.body and b" at " not in reply.body
    assert reply.get("X-Content-Type-Options") == "nosniff" and reply.get("Access-Control-Allow-Origin") == ORIGIN


# ---- what stands around the middleware

def test_https(stack):
    for method, body in (("GET", None), ("POST", ADMIN)):
        reply = stack.fetch("/api/auth/login" if body else "/api/health", method, body=body, secure=False)
        assert refused(reply) == (403, "https_required") and reply.get("Strict-Transport-Security") is None
    with stack.connection() as connection:
        assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")
    assert not stack.agrees("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"), "CBC with SHA-1"
    assert stack.agrees("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")


def test_host(stack):
    assert refused(stack.fetch("/api/health", host="evil.example")) == (400, "host_not_allowed")
    assert stack.fetch("/api/health", host=HOST).status == 200
