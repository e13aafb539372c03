"""examples/fastapi: every feature of a FastAPI application's security, by its name and in
its order, through lighttpd, the policy and the application of that folder."""

import datetime
import uuid

import pytest

import stacks
from stacks import HOST, ORIGIN, bearer

USER = {"email": "ann@example.com", "name": "Ann", "password": "Long-enough-1!"}
HEADERS = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "X-XSS-Protection": "1; mode=block",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains", "Content-Security-Policy": "default-src 'self'",
    "Referrer-Policy": "strict-origin-when-cross-origin", "Permissions-Policy": "geolocation=(), microphone=(), camera=()"}


@pytest.fixture(scope="module")
def stack(folder, start_guard):
    started = stacks.fastapi(folder, start_guard)
    yield started
    started.stop()


def refused(reply):
    return reply.status, reply.json()["detail"]


def new_key(stack, who, **fields):
    return stack.fetch("/api/keys", "POST", who, {"name": "laptop", **fields})


# ---- limiter

@pytest.mark.parametrize("target, method, most, words", [
    ("/api/health", "GET", 100, "100 per 1 minute"), ("/api/users", "POST", 10, "10 per 1 minute"), ("/api/keys", "POST", 5, "5 per 1 hour")])
def test_rate_limiting(stack, target, method, most, words):
    """Each address by itself. Wrong tokens count as well, which no limit of the original ever saw."""
    client = stack.client()
    wrong = {"Authorization": "Bearer x.y.z"} if method == "POST" else {}
    replies = stack.burst(most + 1, target, method, wrong, b"" if wrong else None, client)
    assert [reply.status for reply in replies] == [401 if wrong else 200] * most + [429]
    assert replies[-1].json() == {"error": f"Rate limit exceeded: {words}"} and int(replies[-1].get("Retry-After")) > 0
    if wrong:
        body = USER if target == "/api/users" else {"name": "laptop"}
        assert stack.fetch(target, method, bearer(), body, client=client).status == 429
        assert stack.fetch(target, method, bearer(), body).status == 201


# ---- CORSMiddleware

@pytest.mark.parametrize("origin", ["https://example.com", "https://app.example.com"])
def test_cors_configuration(stack, origin):
    for headers, status in ((bearer(), 200), ({}, 401)):
        reply = stack.fetch("/api/protected", headers={**headers, "Origin": origin})
        assert (reply.status, reply.get("Access-Control-Allow-Origin"), reply.get("Access-Control-Allow-Credentials")) == (status, origin, "true")
        assert "Origin" in reply.words("Vary")
    reply = stack.preflight(origin, "POST", "authorization,content-type")
    assert reply.get("Access-Control-Allow-Origin") == origin and reply.get("Access-Control-Allow-Credentials") == "true"
    assert reply.words("Access-Control-Allow-Methods") == {"GET", "POST", "PUT", "DELETE"}
    assert {"Content-Type", "Authorization", "X-API-Key"} <= reply.words("Access-Control-Allow-Headers")
    assert reply.get("Access-Control-Max-Age") == "3600"


def test_cors_of_another_origin(stack):
    for origin in ("https://evil.example", "http://example.com", "null"):
        for reply in (stack.fetch("/api/health", headers={"Origin": origin}), stack.preflight(origin, "POST")):
            assert reply.get("Access-Control-Allow-Origin") is None and "Origin" in reply.words("Vary")


# ---- TrustedHostMiddleware

@pytest.mark.parametrize("host, allowed", [
    ("example.com", True), (HOST, True), ("a.b.example.com", True), ("EXAMPLE.com", True), ("evil.example", False),
    ("example.com.evil.example", False), ("badexample.com", False), ("localhost", False)])
def test_trusted_hosts(stack, host, allowed):
    reply = stack.fetch("/api/health", host=host)
    assert reply.status == (200 if allowed else 400)
    assert allowed or reply.json() == {"detail": "Invalid host header"}


# ---- add_security_headers

@pytest.mark.parametrize("target, headers, status", [
    ("/api/health", {}, 200), ("/api/protected", {}, 401), ("/nowhere", {}, 404), ("/api/report", bearer(), 500)])
def test_security_headers(stack, target, headers, status):
    """Also on a 500, which Starlette answers outside of all middleware."""
    reply = stack.fetch(target, headers={**headers, "Origin": ORIGIN})
    assert reply.status == status and reply.get("Access-Control-Allow-Origin") == ORIGIN
    assert {name: reply.get(name) for name in HEADERS} == HEADERS
    assert b"/srv" not in reply.body and b"Traceback" not in reply.body and "Python" not in str(reply.headers)


# ---- CreateUserRequest, APIKeyRequest

@pytest.mark.parametrize("rule, field, value", [
    ("required", "email", None), ("required", "name", None), ("required", "password", None), ("EmailStr", "email", "ann"),
    ("str", "name", 12345), ("min_length", "name", "A"), ("max_length", "name", "A" * 101), ("[<>]", "name", "Ann <script>"),
    ("min_length", "password", "Aa1!"), ("[A-Z]", "password", "long-enough-1!"), ("[a-z]", "password", "LONG-ENOUGH-1!"),
    (r"\d", "password", "Long-enough!"), ("[!@#$%^&*]", "password", "Longenough1")], ids=lambda word: str(word)[:20])
def test_input_validation_models_create_user_request(stack, rule, field, value):
    body = {name: what for name, what in {**USER, field: value}.items() if what is not None}
    reply = stack.fetch("/api/users", "POST", bearer(), body)
    assert reply.status == 422, (rule, reply.body)
    assert {tuple(fault["loc"]) for fault in reply.json()["detail"]} == {("body", field)}
    assert not {"input", "ctx"} & {name for fault in reply.json()["detail"] for name in fault}, "a password is not sent back"
    assert field != "password" or value is None or value not in reply.body.decode()


@pytest.mark.parametrize("field, value", [("name", None), ("name", "A" * 101), ("expires_in_days", 0), ("expires_in_days", 366),
                                          ("expires_in_days", "30")], ids=lambda word: str(word)[:20])
def test_input_validation_models_api_key_request(stack, field, value):
    body = {name: what for name, what in {"name": "laptop", field: value}.items() if what is not None}
    reply = stack.fetch("/api/keys", "POST", bearer(), body)
    assert reply.status == 422, reply.body
    fault, = reply.json()["detail"]
    assert (fault["loc"], fault["type"]) == (["body", field], "value_error" if value is not None else "missing")


# ---- verify_token, require_role, verify_api_key

@pytest.mark.parametrize("headers, detail", [
    ({}, "Not authenticated"), ({"Authorization": "Basic YTpi"}, "Not authenticated"), (bearer(exp=1700000000), "Token has expired"),
    ({"Authorization": "Bearer x.y.z"}, "Invalid token"), (bearer(secret="another-secret-of-at-least-32-bytes"), "Invalid token"),
    (bearer(iss="evil.example"), "Invalid token"), (bearer(aud="www.example.com"), "Invalid token"), (bearer(exp=None), "Invalid token"),
    (stacks.without_algorithm(), "Invalid token"),
], ids=["missing", "no-bearer", "expired", "malformed", "signature", "issuer", "audience", "without-end", "alg-none"])
def test_jwt_token_verification(stack, headers, detail):
    reply = stack.fetch("/api/protected", headers=headers)
    assert refused(reply) == (401, detail) and reply.get("WWW-Authenticate").startswith("Bearer")


def test_role_based_authorization(stack):
    for role in ("user", "Admin", None):
        assert refused(stack.fetch("/api/users", "POST", bearer(role=role), USER)) == (403, "Insufficient permissions")
    assert refused(stack.fetch("/api/users", "POST", body=USER)) == (401, "Not authenticated")
    assert stack.fetch("/api/users", "POST", bearer(), USER).status == 201


def test_api_key_authentication(stack):
    """A key that was made is one that is good, until it is taken back."""
    made = new_key(stack, bearer(sub="ann")).json()
    key = {"X-API-Key": made["api_key"]}
    reply = stack.fetch("/api/protected", headers=key)
    assert (reply.status, reply.json()) == (200, {"message": "Access granted", "user_id": "ann"})
    for wrong in ("expected-api-key", made["api_key"][:-1] + ("a" if made["api_key"][-1] != "a" else "b"), ""):
        assert stack.fetch("/api/protected", headers={"X-API-Key": wrong}).status == 401
    assert stack.fetch("/api/protected?api_key=" + made["api_key"]).status == 401, "not in an address"
    assert stack.fetch("/api/users", "POST", key, USER).status == 401, "where the policy names token alone"
    assert stack.fetch(f"/api/keys/{made['id']}", "DELETE", bearer(sub="bob")).status == 404
    assert stack.fetch(f"/api/keys/{made['id']}", "DELETE", bearer(sub="ann")).status == 204
    assert stack.fetch("/api/protected", headers=key).status == 401


# ---- endpoints

def test_endpoint_health_check(stack):
    reply = stack.fetch("/api/health")
    assert (reply.status, reply.json()) == (200, {"status": "healthy"})


def test_endpoint_create_user(stack):
    reply = stack.fetch("/api/users", "POST", bearer(), USER)
    assert reply.status == 201 and reply.json()["message"] == "User created successfully" and uuid.UUID(reply.json()["user_id"])


@pytest.mark.parametrize("asked, days", [({}, 30), ({"expires_in_days": 1}, 1), ({"expires_in_days": 365}, 365)])
def test_endpoint_create_api_key(stack, asked, days):
    reply = new_key(stack, bearer(sub="carol"), **asked)
    made = reply.json()
    assert reply.status == 201 and made["name"] == "laptop" and len(made["api_key"]) > 32
    ends = datetime.datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
    assert abs(ends - datetime.timedelta(days=days)) < datetime.timedelta(hours=1), "in UTC, which the original's is not"
    listed = stack.fetch("/api/keys", headers=bearer(sub="carol"))
    assert made["id"] in listed.body.decode() and made["api_key"] not in listed.body.decode()


def test_endpoint_protected(stack):
    reply = stack.fetch("/api/protected", headers={**bearer(sub="ann"), "Remote-User": "root"})
    assert (reply.status, reply.json()) == (200, {"message": "Access granted", "user_id": "ann"})


# ---- uvicorn.run with a certificate

def test_https(stack):
    reply = stack.fetch("/api/health", secure=False)
    assert refused(reply)[0] == 403 and reply.get("Strict-Transport-Security") is None
    with stack.connection() as connection:
        assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")
    assert not stack.agrees("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"), "CBC with SHA-1"
    assert stack.agrees("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
