"""What every reply leaves with: the header presets, changes to them, the
request's id, error bodies."""

import json
import re

import pytest

from records import ask, raw

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")

# helmet 8, its defaults.
HELMET = {
    "Content-Security-Policy": "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
                               "frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';"
                               "script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Origin-Agent-Cluster": "?1",
    "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff", "X-DNS-Prefetch-Control": "off", "X-Download-Options": "noopen",
    "X-Frame-Options": "SAMEORIGIN", "X-Permitted-Cross-Domain-Policies": "none", "X-XSS-Protection": "0",
}
FASTAPI = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Strict-Transport-Security": None,
           "Content-Security-Policy": None, "Referrer-Policy": None, "Permissions-Policy": None}
NGINX = {
    "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "X-XSS-Protection": "1; mode=block",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains", "Content-Security-Policy": "default-src 'self'",
}
API = {"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": None}
SECURE = {"HTTPS": "on"}


@pytest.fixture(scope="module")
def guard(start_guard, helper):
    def route(name, headers):
        return {"path": f"/{name}/**", "methods": ["GET", "POST"], "exec": helper, "headers": headers}
    return start_guard({
        "request_id": "X-Correlation",
        "defaults": {"auth": "none", "headers": {"preset": "api", "X-Default": "yes"}},
        "routes": [route(name, name) for name in ("api", "helmet", "fastapi", "nginx", "off")] + [
            route("changed", {"preset": "helmet", "X-Frame-Options": False, "Referrer-Policy": "origin", "X-New": "new value"}),
            {"path": "/plain/**", "exec": helper}]}, name="replies")


@pytest.mark.parametrize("name, headers", [("helmet", HELMET), ("fastapi", FASTAPI), ("nginx", NGINX), ("api", API)])
@pytest.mark.parametrize("what", ["hello", "refused"])
def test_presets(guard, name, headers, what):
    """On answers of the program and on refusals alike."""
    reply = ask(guard.address, "GET" if what == "hello" else "DELETE", f"/{name}/hello", replace=SECURE)
    assert reply.status == (200 if what == "hello" else 405)
    for header, value in headers.items():
        if value is None:
            assert reply.get(header), f"{header} is missing"
        else:
            assert reply.all(header) == [value], header


def test_off(guard):
    reply = ask(guard.address, uri="/off/hello", replace=SECURE)
    names = {name.lower() for name, _ in reply.headers}
    assert names <= {"content-type", "x-correlation", "content-length", "x-default"}, names


def test_changed(guard):
    reply = ask(guard.address, uri="/changed/hello", replace=SECURE)
    assert reply.get("X-Frame-Options") is None
    assert reply.all("Referrer-Policy") == ["origin"] and reply.all("X-New") == ["new value"]
    assert reply.get("X-Download-Options") == "noopen"


def test_defaults(guard):
    assert ask(guard.address, uri="/plain/hello").all("X-Default") == ["yes"]
    assert ask(guard.address, uri="/nowhere").all("X-Default") == ["yes"], "without a route, too"
    assert ask(guard.address, uri="/changed/hello").all("X-Default") == ["yes"], "a headers map merges"


def test_headers_of_the_program_are_replaced(guard):
    text = "Content-Type: text/plain\nX-Frame-Options: ALLOWALL\nx-content-type-options: sniff\nX-Powered-By: x\nServer: y\n\nx"
    reply = ask(guard.address, uri=raw(text, "/helmet"))
    assert reply.all("X-Frame-Options") == ["SAMEORIGIN"] and reply.all("X-Content-Type-Options") == ["nosniff"]
    assert not reply.all("X-Powered-By") and not reply.all("Server")


def test_request_id(guard):
    seen = set()
    for uri in ("/api/inspect", "/nowhere", "/api/%00", "/api/.git") * 5:
        reply = ask(guard.address, uri=uri)
        assert UUID.match(reply.get("X-Correlation"))
        seen.add(reply.get("X-Correlation"))
        if reply.status != 200:
            assert json.loads(reply.body)["requestId"] == reply.get("X-Correlation")
        else:
            assert reply.get("X-Correlation") in reply.body.decode()
    assert len(seen) == 20


@pytest.mark.parametrize("uri, status", [("/nowhere", 404), ("/api/%00", 400), ("/api/.git", 404), ("/api/" + "x" * 9000, 414)])
def test_error_body(guard, uri, status):
    reply = ask(guard.address, uri=uri, headers={"X-Secret": "never echoed"})
    body = json.loads(reply.body)
    assert reply.status == status and set(body) == {"error", "message", "requestId"}
    assert reply.get("Content-Type").startswith("application/json") and reply.get("Cache-Control") == "no-store"
    assert reply.get("Content-Length") == str(len(reply.body))
    assert b"echoed" not in reply.body and b"fcgiguard" not in reply.body.lower() and b"/api/" not in reply.body


def test_error_has_no_body_for_head(guard):
    reply = ask(guard.address, "HEAD", "/nowhere")
    assert (reply.status, reply.body, reply.complete) == (404, b"", True)
