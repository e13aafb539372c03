"""Hosts and HTTPS through web servers: whatever form a client gives the host, the program is told one
that is allowed; where a redirect leads; and what is never redirected.

nginx of Debian hands on a host without its port, whatever that is, and its server_name where there
is none; lighttpd refuses hosts by itself."""

import json
import socket
import ssl

import pytest

import browser
import servers

HOSTS = ["www.example.com", "*.example.org", "192.0.2.1", "[2001:db8::1]", "port.example.com:8080", "xn--bcher-kva.example"]
NAMED = ["www.example.com", "WWW.Example.COM", "www.example.com.", "www.example.com:80", "www.example.com:8443", "a.example.org", "a_b.example.org",
         "192.0.2.1", "[2001:db8::1]", "[2001:DB8:0::1]:81", "[::ffff:192.0.2.1]", "port.example.com:8080", "XN--bcher-kva.example"]
OTHERS = ["example.com", "example.org", "localhost", "www.example.com.evil.net", "192.0.2.2", "[2001:db8::2]", "[::ffff:192.0.2.2]", "port.example.com",
          "port.example.com:8081", "bcher-kva.example"]
NONE = ["www.example.com..", "b\xfccher.example", "b\xc3\xbccher.example", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1", "a@www.example.com", "www.example.com:x",
        "www.example.com:0", "www.example.com:65536", "www.example.com/", "www.example.com#", "www%2eexample.com", "a..example.org", "127.1", "0x7f.1", "'", "a,b",
        "www.example.com, evil.net", "::1", "www.example.com:80:80", ".example.org"]


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder, helper):
    key = {"id": "0123456789abcdef", "digest": "sha256:" + "0" * 64, "owner": "ann"}
    started = servers.start(request.param, folder, {
        "auth": {"api": {"api_key": {"header": "X-API-Key", "query": "key", "cookie": "key", "keys": [key]}}},
        "defaults": {"auth": "none", "methods": ["GET", "POST", "OPTIONS"], "exec": helper, "hosts": HOSTS},
        "routes": [{"path": "/app/h/**"}, {"path": "/app/redirect/**", "https": "redirect"}, {"path": "/app/require/**", "https": "require"}]})
    yield started
    started.stop()
    started.guard.stop()


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def behind(request, folder, helper):
    """The same behind a proxy that is trusted."""
    started = servers.start(request.param, folder, {
        "proxies": ["127.0.0.1"], "defaults": {"auth": "none", "exec": helper},
        "routes": [{"path": "/app/redirect/**", "https": "redirect"}, {"path": "/app/require/**", "https": "require"}]},
        name=request.param + "-behind")
    yield started
    started.stop()
    started.guard.stop()


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


def request(target, host, *headers, method="GET"):
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def told_host(reply):
    return dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])["HTTP_HOST"]


@pytest.mark.parametrize("host", NAMED)
def test_named(front, host):
    reply = servers.fetch_raw(front.port, request("/app/h/inspect", host))
    if host in ("a_b.example.org", "port.example.com:8080") and front.kind != ("nginx" if "_" in host else "lighttpd"):
        assert reply.status == 400
        return
    assert reply.status == 200, reply.body
    told = told_host(reply)
    assert told == told.lower() and not told.endswith(".") and told.partition(":")[0] != "[", told


@pytest.mark.parametrize("host", OTHERS)
def test_other(front, host):
    reply = servers.fetch_raw(front.port, request("/app/h/inspect", host))
    assert error(reply) == (400, "host_not_allowed") and host.encode() not in reply.body


@pytest.mark.parametrize("host", NONE)
def test_none(front, host):
    """The web server refuses some by itself; the others we do."""
    reply = servers.fetch_raw(front.port, request("/app/h/inspect", host))
    other = servers.fetch_raw(front.port, request("/app/redirect/x", host))
    if front.kind == "nginx" and host.startswith("www.example.com:"):
        assert told_host(reply) == "www.example.com" and other.get("Location") == "https://www.example.com/app/redirect/x"
        return
    assert reply.status == other.status == 400 and other.get("Location") is None, (reply.status, reply.body)
    if "json" in reply.get("Content-Type", ""):
        assert json.loads(reply.body)["error"] == "host_invalid", reply.body


def test_without_and_twice(front):
    assert servers.fetch_raw(front.port, request("/app/h/inspect", None)).status == 400
    assert servers.fetch_raw(front.port, request("/app/h/inspect", "www.example.com", "Host: evil.net")).status == 400
    reply = servers.fetch_raw(front.port, b"GET /app/h/inspect HTTP/1.0\r\n\r\n")
    assert error(reply) == (400, "host_missing") if front.kind == "lighttpd" else told_host(reply) == "www.example.com"


def test_absolute_form(front):
    """RFC 9112, 3.2.2. Servers make a path of it and tell of one host; that one is judged and told."""
    reply = servers.fetch_raw(front.port, request("http://www.example.com/app/h/inspect", "www.example.com"))
    assert reply.status == 200 and told_host(reply) == "www.example.com"
    for target, host in (("http://evil.net/app/h/inspect", "www.example.com"), ("http://www.example.com/app/h/inspect", "evil.net")):
        reply = servers.fetch_raw(front.port, request(target, host))
        assert reply.status == 400 or told_host(reply) == "www.example.com", reply.body
    reply = servers.fetch_raw(front.port, request("http://evil.net/app/h/inspect", "evil.net"))
    assert error(reply) == (400, "host_not_allowed")
    reply = servers.fetch_raw(front.port, request("http://evil.net/app/redirect/x", "www.example.com"))
    assert reply.get("Location") in (None, "https://www.example.com/app/redirect/x")


def test_redirect(front):
    reply = servers.fetch_raw(front.port, request("/app/redirect/a%20b?x=%2F", "www.example.com:8080"))
    assert error(reply) == (308, "https_redirect")
    assert reply.get("Location") == "https://www.example.com/app/redirect/a%20b?x=%2F"
    assert reply.get("Strict-Transport-Security") is None, "not by HTTP: RFC 6797, 7.2"
    reply = servers.fetch_raw(front.port, request("/app/redirect/", "[2001:DB8:0::1]:81"))
    assert reply.get("Location") == "https://[2001:db8::1]/app/redirect/"
    for method, body in (("POST", ""), ("OPTIONS", "")):
        reply = servers.fetch_raw(front.port, request("/app/redirect/x", "www.example.com", "Content-Length: 0", method=method))
        assert error(reply) == (403, "https_required")
    assert error(servers.fetch_raw(front.port, request("/app/redirect/x", "evil.net"))) == (400, "host_not_allowed")
    assert error(servers.fetch_raw(front.port, request("/app/require/x", "www.example.com"))) == (403, "https_required")


@pytest.mark.parametrize("header", ["Authorization: Bearer x", "Authorization: Basic eDp5", "X-API-Key: x", "?key=x"])
def test_redirect_of_a_credential(front, header):
    """It has leaked: who sent it is told, and does not go on with it."""
    query, headers = (header, []) if header.startswith("?") else ("", [header])
    reply = servers.fetch_raw(front.port, request("/app/redirect/x" + query, "www.example.com", *headers))
    assert error(reply) == (403, "https_required") and reply.get("Location") is None
    assert front.guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))["detail"].startswith("a credential")


def test_redirect_of_a_cookie(front):
    reply = servers.fetch_raw(front.port, request("/app/redirect/x", "www.example.com", "Cookie: key=x; session=y"))
    assert error(reply) == (308, "https_redirect")


FORWARDED = ["X-Forwarded-Proto: https", "Forwarded: for=192.0.2.7;proto=https", "X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Scheme: https"]


@pytest.mark.parametrize("header", FORWARDED)
def test_nobody_can_claim_https(front, header):
    assert error(servers.fetch_raw(front.port, request("/app/require/x", "www.example.com", header))) == (403, "https_required")
    assert servers.fetch_raw(front.port, request("/app/redirect/x", "www.example.com", header)).status == 308


@pytest.mark.parametrize("header, secure", [
    (FORWARDED[0], True), (FORWARDED[1], True), ("X-Forwarded-Proto: http", False), ("X-Forwarded-Proto: HTTPS", True), ("X-Forwarded-Proto: http, https", True),
    ("X-Forwarded-Proto: https, http", False), ("Forwarded: proto=http, proto=https", True), ("Forwarded: proto=https, proto=http", False),
    ("Forwarded: proto=\"https", False), ("X-Forwarded-Proto: https\r\nForwarded: proto=http", False), ("X-Forwarded-Proto: x", False), (FORWARDED[2], False),
    ("X-A: b", False)])
def test_trusted_proxy_tells_of_https(behind, header, secure):
    reply = servers.fetch_raw(behind.port, request("/app/require/inspect", "www.example.com", header))
    assert (reply.status == 200) == secure, reply.body
    assert (reply.get("Strict-Transport-Security") is not None) == secure
    assert servers.fetch_raw(behind.port, request("/app/redirect/hello", "www.example.com", header)).status == (200 if secure else 308)


# ---- the web server itself speaks TLS

@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def encrypted(request, folder, helper):
    certificate = browser.certificate(folder)
    started = servers.start(request.param, folder, {
        "defaults": {"auth": "none", "methods": ["GET", "POST"], "exec": helper},
        "routes": [{"path": "/app/redirect/**", "https": "redirect"}, {"path": "/app/require/**", "https": "require"},
                   {"path": "/app/own/**", "csrf": "on"}]}, name=request.param + "-tls", certificate=certificate)
    yield started
    started.stop()
    started.guard.stop()


def fetch_tls(front, data):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", front.port), 60) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(data)
        return servers.Response(servers.receive_all(connection), "GET")


def test_web_server_tells_of_https(encrypted):
    for path in ("redirect", "require"):
        reply = fetch_tls(encrypted, request(f"/app/{path}/inspect", "www.example.com", "Authorization: Bearer x"))
        assert reply.status == 200 and "HTTPS=on" in json.loads(reply.body)["environment"], reply.body
        assert reply.get("Strict-Transport-Security")


def test_page_without_https_is_another_origin(encrypted):
    for origin, status in ((f"https://localhost:{encrypted.port}", 200), (f"http://localhost:{encrypted.port}", 403), ("http://localhost", 403)):
        reply = fetch_tls(encrypted, request("/app/own/hello", f"localhost:{encrypted.port}", f"Origin: {origin}", "Content-Length: 0", method="POST"))
        assert reply.status == status, (origin, reply.body)
