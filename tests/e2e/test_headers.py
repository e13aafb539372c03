"""What browsers are told, through real web servers: policies with nonces, whose
value leaves, cookies, caches, and the replies that are none of the usual."""

import json
import re

import pytest

import harness
import records
import servers
from records import raw
from test_callers import SECRET, bearer

SECURE = ("X-Forwarded-Proto", "https")
POLICY = {"default-src": "self", "script-src": ["self", "nonce"], "object-src": "none", "base-uri": "none"}
WITHOUT = "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'"
WITH = WITHOUT.replace("script-src 'self'", "script-src 'self' 'nonce-%s'")
HELMET = {"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
          "Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000; includeSubDomains"}


def policy(helper):
    return {
        "proxies": ["127.0.0.1"],
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key"}}},
        "defaults": {"auth": "none", "methods": ["GET", "POST"], "exec": helper,
                     "headers": {"preset": "helmet", "Content-Security-Policy": POLICY}},
        "routes": [
            {"path": "/app/nonce/**"},
            {"path": "/app/plain/**", "headers": {"Content-Security-Policy": "default-src 'self'",
                                                  "Content-Security-Policy-Report-Only": {"img-src": "none", "report-to": "csp"}}},
            {"path": "/app/cookies/**", "cookies": {"same_site": "strict", "script": "xsrf"}},
            {"path": "/app/logout/**", "headers": {"Clear-Site-Data": ["cache", "cookies"]}},
            {"path": "/app/closed/**", "auth": "user"},
            {"path": "/app/maybe/**", "auth": {"methods": "user", "optional": True}},
        ],
    }


@pytest.fixture(scope="module", params=["lighttpd", "nginx", "mod_proxy_fcgi"])
def front(request, folder, helper):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    started = servers.start(request.param, folder, policy(helper), name=f"headers-{request.param}")
    yield started
    started.stop()
    started.guard.stop()
    started.guard.check_reports()


def policies(reply, name="Content-Security-Policy"):
    """All policies of a reply; some servers join lines, as they may (RFC 9110, 5.3)."""
    return [policy for line in reply.all(name) for policy in line.split(", ")]


def test_nonce(front):
    seen = set()
    for _ in range(3):
        reply = front.fetch("/app/nonce/inspect", headers=[SECURE])
        told = [entry for entry in json.loads(reply.body)["environment"] if entry.startswith("CSP_NONCE=")]
        assert len(told) == 1 and re.match(r"^CSP_NONCE=[0-9a-f]{32}$", told[0])
        seen.add(told[0])
        assert policies(reply) == [WITHOUT], "it is JSON, and no document"
    assert len(seen) == 3
    reply = front.fetch(raw("Content-Type: text/html\n\n<p>", "/app/nonce"), headers=[SECURE])
    nonce = re.search("'nonce-([0-9a-f]{32})'", reply.get("Content-Security-Policy"))[1]
    assert policies(reply) == [WITH % nonce] and reply.get("Cache-Control") == "private"
    assert nonce not in str(seen)


def test_nonce_is_nobody_elses(front):
    """Neither a client's header nor a route without one."""
    for name in ("CSP-Nonce", "Csp-Nonce", "X-CSP-Nonce"):
        body = front.fetch("/app/nonce/inspect", headers=[(name, "evil")]).body
        assert b"evil" not in body and body.count(b"CSP_NONCE=") == 1
    assert b"CSP_NONCE" not in front.fetch("/app/plain/inspect", headers=[("CSP-Nonce", "evil")]).body


# A reply of the program; what leaves of it besides helmet's headers; None: it does not.
HTML = "Content-Type: text/html\n"
REPLIES = {
    "streamed": ("GET", HTML + "\n" + "x" * 500, 200, {"Content-Security-Policy": [WITH]}),
    "HEAD": ("HEAD", HTML + "\nx", 200, {"Content-Security-Policy": [WITH], "Cache-Control": ["private"]}),
    "204": ("POST", "Status: 204\n\n", 204, {}),
    "304": ("GET", "Status: 304\nETag: \"x\"\n\n", 304, {"Content-Security-Policy": None, "Cache-Control": None}),
    "redirect": ("GET", "Status: 303\nLocation: /app/nonce/hello\n\n", 303, {}),
    "404": ("GET", "Status: 404\n" + HTML + "\nx", 404, {"Content-Security-Policy": [WITH]}),
    "500": ("GET", "Status: 500\n" + HTML + "\nx", 500, {"Cache-Control": ["no-store"]}),
    "206": ("GET", "Status: 206\nContent-Range: bytes 0-0/2\nContent-Type: text/css\n\nx", 206, {"Content-Security-Policy": [WITHOUT]}),
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies(front, name):
    method, text, status, expected = REPLIES[name]
    reply = front.fetch(raw(text, "/app/nonce"), method=method, headers=[SECURE], body=b"" if method == "POST" else None)
    assert reply.status == status, (reply.status, reply.body, front.guard.text()[-2000:])
    for header, value in HELMET.items():
        assert reply.all(header) == [value], header
    found = re.search("'nonce-([0-9a-f]{32})'", reply.get("Content-Security-Policy", ""))
    for header, values in expected.items():
        values = [value % found[1] if "%s" in value else value for value in values or []]
        assert reply.all(header) == values, header


@pytest.mark.parametrize("target, status", [("/app/nowhere", 404), ("/app/nonce/.git", 404), ("/app/closed/hello", 401)])
def test_refusals(front, target, status):
    reply = front.fetch(target, headers=[SECURE])
    assert reply.status == status
    for header, value in HELMET.items():
        assert reply.all(header) == [value], header
    assert len(policies(reply)) == 1 and reply.all("Cache-Control") == ["no-store"]


def test_pages_of_refusals(front):
    """A page of ours has the policy that fits it, and no other."""
    for target in ("/app/nonce/.git", "/app/plain/.git"):
        reply = front.fetch(target, headers=[SECURE, ("Accept", "text/html")])
        assert reply.status == 404 and reply.get("Content-Type").startswith("text/html")
        assert len(policies(reply)) == 1 and policies(reply)[0].startswith("default-src 'none'; style-src 'sha256-")
        assert not reply.all("Content-Security-Policy-Report-Only")
        assert reply.all("X-Frame-Options") == [HELMET["X-Frame-Options"]]


def test_both_policies(front):
    text = (HTML + "Content-Security-Policy: default-src *; img-src 'none'\n"
            "Content-Security-Policy-Report-Only: script-src 'none'\nX-Frame-Options: DENY\nReferrer-Policy: unsafe-url\n"
            "Strict-Transport-Security: max-age=1\nCross-Origin-Opener-Policy: unsafe-none\n\nx")
    reply = front.fetch(raw(text, "/app/plain"), headers=[SECURE])
    assert sorted(policies(reply)) == sorted(["default-src *; img-src 'none'", "default-src 'self'"])
    assert sorted(policies(reply, "Content-Security-Policy-Report-Only")) == sorted(
        ["script-src 'none'", "img-src 'none'; report-to csp"])
    assert reply.all("X-Frame-Options") == ["DENY"], "it is stricter"
    for header in ("Referrer-Policy", "Strict-Transport-Security", "Cross-Origin-Opener-Policy"):
        assert reply.all(header) == [HELMET[header]], header
    assert front.fetch(raw(text, "/app/plain")).all("Strict-Transport-Security") == [], "it came by HTTP"


def test_cookies(front):
    text = (HTML + "Set-Cookie: a=b; Path=/; SameSite=None\nSet-Cookie: xsrf=c\nSet-Cookie: nameless\n"
            "Set-Cookie: __Host-x=d; Domain=localhost\n\nx")
    reply = front.fetch(raw(text, "/app/cookies"), headers=[SECURE])
    assert reply.all("Set-Cookie") == ["a=b; Path=/; SameSite=Strict; Secure; HttpOnly", "xsrf=c; SameSite=Strict; Secure"]
    entries = front.guard.wait_entry(code="cookie_dropped") and front.guard.entries(
        code="cookie_dropped", requestId=reply.get("X-Request-ID"))
    assert len(entries) == 2 and all(entry["event"] == "reported" and entry["guard"] == "cookies" for entry in entries)
    assert front.fetch(raw(text, "/app/plain")).all("Set-Cookie")[1:3] == ["xsrf=c", "nameless"]


@pytest.mark.parametrize("text, headers, sent", [
    ("Status: 200\n\n", [SECURE], True), ("Status: 303\nLocation: /x\n\n", [SECURE], True), ("Status: 200\n\n", [], False),
    ("Status: 403\n" + HTML + "\nx", [SECURE], False), ("Status: 500\n\n", [SECURE], False)])
def test_clear_site_data(front, text, headers, sent):
    reply = front.fetch(raw(text, "/app/logout"), headers=headers)
    assert reply.all("Clear-Site-Data") == (['"cache", "cookies"'] if sent else [])


@pytest.mark.parametrize("own, leaves", [
    (None, "no-store"), ("max-age=60", "private, max-age=60"), ("public, max-age=60", "public, max-age=60"), ("private", "private")])
def test_caches(front, own, leaves):
    text = "Content-Type: text/css\n" + (f"Cache-Control: {own}\n" if own else "") + "\nx"
    for target, headers in (("/app/closed", [bearer()]), ("/app/maybe", [bearer()]), ("/app/maybe", [])):
        reply = front.fetch(raw(text, target), headers=[SECURE, *headers])
        assert (reply.status, reply.get("Cache-Control")) == (200, leaves), front.guard.text()[-2000:]
    assert front.fetch(raw(text, "/app/plain"), headers=[SECURE]).get("Cache-Control") == own


def test_authorizer(folder):
    """A web server that only asks hands on what a refusal says."""
    site = folder / "site"
    folder.write("site/closed/page", "the page\n")
    guard = harness.Guard(folder, {"authorizer": True, "defaults": {"auth": "none", "respond": "nothing", "headers": {
        "preset": "helmet", "Content-Security-Policy": POLICY, "Clear-Site-Data": "cookies"}},
        "routes": [{"path": "/closed/**", "addresses": {"allow": ["192.0.2.1"]}}]}, name="headers-authorizer")
    server = servers.lighttpd(folder, servers.example("lighttpd/authorizer.conf", socket=guard.address, site=site),
                              "headers-ask", root=site)
    try:
        reply = servers.fetch(server.port, "/closed/page")
        assert reply.status == 403 and b"the page" not in reply.body
        for header, value in HELMET.items():
            assert reply.all(header) == ([] if header == "Strict-Transport-Security" else [value]), header
        assert len(policies(reply)) == 1 and reply.all("Cache-Control") == ["no-store"] and not reply.all("Clear-Site-Data")
    finally:
        server.stop()
        guard.stop()


def test_example(folder, start_guard):
    """examples/headers.yaml, with the program that it names."""
    for script in ("page.sh", "logout.sh"):
        folder.write(f"srv/cgi/{script}", (harness.EXAMPLES / "cgi" / script).read_bytes(), 0o755)
    guard = start_guard("", start=False, name="headers-example")
    guard.write(servers.example_policy("headers.yaml", cgi=folder / "srv/cgi", socket=guard.address))
    guard.start()
    reply = records.ask(guard.address, uri="/app/page")
    assert reply.status == 308
    reply = records.ask(guard.address, uri="/app/page", replace={"HTTPS": "on"})
    nonce = re.search(b'<script nonce="([0-9a-f]{32})">', reply.body)[1].decode()
    enforced = reply.all("Content-Security-Policy")
    assert len(enforced) == 1 and enforced[0].count(f"'nonce-{nonce}'") == 2
    assert reply.all("Content-Security-Policy-Report-Only") == ["require-trusted-types-for 'script'; report-uri /app/reports"]
    assert reply.all("Strict-Transport-Security") == ["max-age=63072000; includeSubDomains; preload"]
    assert reply.all("Permissions-Policy") == ["camera=(), microphone=(), geolocation=(self)"]
    assert reply.all("Set-Cookie") == ["session=0123456789abcdef; Path=/app/; SameSite=Strict; Secure; HttpOnly",
                                       "XSRF-TOKEN=fedcba9876543210; Path=/app/; SameSite=Strict; Secure"]
    reply = records.ask(guard.address, "POST", "/app/logout", b"", replace={"HTTPS": "on"})
    assert reply.status == 303 and reply.all("Clear-Site-Data") == ['"cache", "cookies", "storage"']
    assert reply.all("Set-Cookie") == ["session=; Path=/app/; Max-Age=0; SameSite=Strict; Secure; HttpOnly"]
