"""Each guard, from a web server's request to the refusal and its log line."""

import json

import pytest

from records import Connection, ask, environment


@pytest.fixture(scope="module")
def guard(start_guard, helper):
    def route(path, **more):
        return {"path": path, "methods": ["GET", "POST"], "exec": helper, **more}
    return start_guard({
        "proxies": ["127.0.0.1", "10.0.0.0/8", "::1"],
        "defaults": {"auth": "none"},
        "routes": [
            route("/app/h/**"),
            route("/hosts/**", hosts=["www.example.com", "*.example.org", "192.0.2.1", "[2001:db8::1]", "port.example.com:8080"]),
            route("/https/**", https="require"), route("/redirect/**", https="redirect"),
            route("/allow/**", addresses={"allow": ["192.0.2.0/24", "2001:db8::/32"]}),
            route("/deny/**", addresses={"deny": ["192.0.2.66", "198.51.100.0/24"]}),
            route("/both/**", addresses={"allow": ["192.0.2.0/24"], "deny": ["192.0.2.66"]}),
            route("/body/**", body="10b"),
            route("/types/**", content_types=["application/json", "image/*", "application/*+json"]),
            route("/dots/**", dotfiles=[".well-known"]),
            route("/get/**", methods=["GET"]), route("/trace/**", methods=["TRACE", "PURGE"]),
            route("/report/**", mode="report", hosts="only.example.com", https="require", body="10b",
                  content_types="application/json", methods=["GET"]),
            route("/some/**", hosts={"names": ["only.example.com"], "mode": "report"}, https="require"),
            route("/item/{id}", methods=["GET"]), route("/item/{id}", methods=["PUT", "DELETE"]),
            route("/item/new", methods=["GET"]), route("/item/{id}/parts/**"),
        ]}, name="guards")


def request(guard, uri, method="GET", address="192.0.2.7", **words):
    replace = {"REMOTE_ADDR": address, **words.pop("replace", {})}
    body = words.get("body")
    with Connection(guard.address) as connection:
        return connection.ask(environment(method, uri, replace=replace, **words), body or b"")


def is_refused(guard, reply, status, code, name):
    assert (reply.status, json.loads(reply.body)["error"]) == (status, code), reply.raw
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert (entry["status"], entry["guard"], entry["code"]) == (status, name, code)
    assert entry["level"] in ("info", "notice")
    message = json.loads(reply.body)["message"]
    assert message[0].isupper() and "example" not in message


def is_admitted(reply):
    assert reply.status == 200, reply.raw


# ---- hosts

@pytest.mark.parametrize("host", [
    "www.example.com", "WWW.EXAMPLE.COM", "www.example.com.", "www.example.com:80", "www.example.com:8443", "a.example.org",
    "a.b.example.org", "192.0.2.1", "192.0.2.1:81", "[2001:db8::1]", "[2001:DB8:0::1]", "[2001:db8::1]:443",
    "port.example.com:8080"])
def test_host_that_is_named(guard, host):
    is_admitted(request(guard, "/hosts/inspect", headers={"Host": host}))


@pytest.mark.parametrize("host", [
    "example.com", "example.org", "xexample.org", "www.example.com.evil.net", "evil.net", "192.0.2.2", "[2001:db8::2]",
    "port.example.com", "port.example.com:8081", "www.example.comx", "localhost"])
def test_host_that_is_not_named(guard, host):
    is_refused(guard, request(guard, "/hosts/x", headers={"Host": host}), 400, "host_not_allowed", "hosts")


@pytest.mark.parametrize("host", ["www.example.com, evil.net", "www.example.com@evil.net", "www.example.com/x", "a b", "[::1",
                                  "www.example.com:x", "www..example.com", "-"])
def test_host_that_is_no_host(guard, host):
    reply = request(guard, "/hosts/x", headers={"Host": host})
    assert reply.status == 400 and json.loads(reply.body)["error"] in ("host_invalid", "host_not_allowed")


def test_host_is_missing(guard):
    is_refused(guard, request(guard, "/hosts/x", headers={"Host": None}), 400, "host_missing", "hosts")


def test_absolute_form_names_the_host(guard):
    """RFC 9112, 3.2.2: the target's host counts, not the header's."""
    reply = request(guard, "http://evil.net/hosts/x", headers={"Host": "www.example.com"})
    assert reply.status == 400


# ---- https

def test_https(guard):
    is_refused(guard, request(guard, "/https/x"), 403, "https_required", "https")
    is_admitted(request(guard, "/https/inspect", replace={"HTTPS": "on"}))
    is_refused(guard, request(guard, "/https/x", replace={"HTTPS": "off"}), 403, "https_required", "https")


def test_https_redirect(guard):
    reply = request(guard, "/redirect/a%20b/c?x=%2F&y", headers={"Host": "www.example.com"})
    assert (reply.status, reply.get("Location")) == (308, "https://www.example.com/redirect/a%20b/c?x=%2F&y")
    is_refused(guard, request(guard, "/redirect/x", "POST", body=b"x"), 403, "https_required", "https")
    reply = request(guard, "/redirect/inspect", replace={"HTTPS": "on"})
    is_admitted(reply)
    assert "HTTPS=on" in json.loads(reply.body)["environment"]


def test_https_redirect_cannot_be_turned(guard):
    for uri, host in (("/redirect//evil.net", "www.example.com"), ("/redirect/%0d%0aX:y", "www.example.com")):
        reply = request(guard, uri, headers={"Host": host})
        if reply.status == 308:
            assert reply.get("Location").startswith(f"https://{host}/redirect/")
        assert not reply.get("X")


def test_https_of_a_proxy(guard):
    """X-Forwarded-Proto counts when a trusted proxy says so."""
    for address, admitted in (("127.0.0.1", True), ("10.1.2.3", True), ("192.0.2.7", False)):
        reply = request(guard, "/https/inspect", address=address, headers={"X-Forwarded-Proto": "https"})
        assert (reply.status == 200) == admitted, (address, reply.raw)


def test_hsts_only_by_https(guard):
    assert request(guard, "/app/h/hello").get("Strict-Transport-Security") is None
    assert request(guard, "/app/h/hello", replace={"HTTPS": "on"}).get("Strict-Transport-Security")


# ---- addresses

@pytest.mark.parametrize("path, address, admitted", [
    ("/allow", "192.0.2.1", True), ("/allow", "192.0.3.1", False), ("/allow", "2001:db8::5", True),
    ("/allow", "2001:db9::5", False), ("/allow", "::ffff:192.0.2.1", True), ("/allow", "", False), ("/allow", "nonsense", False),
    ("/deny", "192.0.2.66", False), ("/deny", "192.0.2.67", True), ("/deny", "::ffff:192.0.2.66", False),
    ("/deny", "198.51.100.200", False), ("/deny", "2001:db8::1", True),
    ("/both", "192.0.2.65", True), ("/both", "192.0.2.66", False), ("/both", "203.0.113.1", False)])
def test_addresses(guard, path, address, admitted):
    reply = request(guard, f"{path}/inspect", address=address)
    if admitted:
        is_admitted(reply)
    else:
        is_refused(guard, reply, 403, "address_not_allowed", "addresses")


@pytest.mark.parametrize("forwarded, address, client", [
    ("192.0.2.1", "127.0.0.1", "192.0.2.1"), ("203.0.113.9, 192.0.2.1", "127.0.0.1", "192.0.2.1"),
    ("203.0.113.9, 192.0.2.1, 10.9.9.9", "127.0.0.1", "192.0.2.1"), ("192.0.2.1:4711", "127.0.0.1", "192.0.2.1"),
    ("[2001:db8::1]:4711", "127.0.0.1", "2001:db8::1"), ("::ffff:192.0.2.1", "127.0.0.1", "192.0.2.1"),
    ("192.0.2.1", "203.0.113.5", "203.0.113.5"), ("192.0.2.1, nonsense", "127.0.0.1", None)])
def test_client_behind_proxies(guard, forwarded, address, client):
    """The rightmost hop that is not a trusted proxy."""
    reply = request(guard, "/app/h/inspect", address=address, headers={"X-Forwarded-For": forwarded})
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    if client is None:
        assert entry["address"] != "192.0.2.1"
        return
    assert entry["address"] == client
    assert f"REMOTE_ADDR={client}" in json.loads(reply.body)["environment"]


# ---- methods, routes

def test_methods(guard):
    is_refused(guard, request(guard, "/get/x", "POST", body=b""), 405, "method_not_allowed", "methods")
    is_admitted(request(guard, "/get/inspect"))
    assert request(guard, "/get/inspect", "HEAD").status == 200
    allow = {method.strip() for method in request(guard, "/get/x", "PUT").get("Allow").split(",")}
    assert allow == {"GET", "HEAD"}
    assert request(guard, "/app/h/hello", "get").status == 405
    is_admitted(request(guard, "/trace/inspect", "TRACE"))
    assert request(guard, "/app/h/hello", "TRACE").status == 405


def test_methods_of_several_routes(guard):
    allow = {method.strip() for method in request(guard, "/item/7", "POST", body=b"").get("Allow").split(",")}
    assert allow == {"GET", "HEAD", "PUT", "DELETE"}
    is_admitted(request(guard, "/item/7", "PUT", body=b""))


def test_most_specific_route(guard):
    for path, route in (("/item/new", "/item/new"), ("/item/7", "/item/{id}"), ("/item/7/parts/1/2", "/item/{id}/parts/**"),
                        ("/item/7/parts", "/item/{id}/parts/**")):
        reply = request(guard, path)
        assert guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))["route"] == route
    for path in ("/item/new/", "/item", "/item/", "/item/7/other", "/ITEM/new", "/"):
        is_refused(guard, request(guard, path), 404, "route_not_found", "route")


# ---- bodies

def test_body(guard):
    is_admitted(request(guard, "/body/inspect", "POST", body=b"x" * 10))
    is_refused(guard, request(guard, "/body/x", "POST", body=b"x" * 11), 413, "body_too_large", "body")
    is_refused(guard, request(guard, "/body/x", "POST", body=b"x" * 100000), 413, "body_too_large", "body")


def test_body_without_length(guard):
    """Counted while it is read; what the program then says does not matter."""
    replace = {"CONTENT_LENGTH": None}
    is_admitted(request(guard, "/body/inspect", "POST", body=b"x" * 10, replace=replace))
    reply = request(guard, "/body/count", "POST", body=b"x" * 100, replace=replace)
    assert reply.status == 413 and json.loads(reply.body)["error"] == "body_too_large"


@pytest.mark.parametrize("kind, admitted", [
    ("application/json", True), ("application/json; charset=utf-8", True), ("APPLICATION/JSON", True), ("image/png", True),
    ("application/problem+json", True), ("application/json2", False), ("text/plain", False), ("image", False), (None, False),
    ("application/json, text/plain", False), ("", False), ("application/+json", False)])
def test_content_types(guard, kind, admitted):
    reply = request(guard, "/types/inspect", "POST", body=b"{}", headers={"Content-Type": kind})
    if admitted:
        is_admitted(reply)
    else:
        is_refused(guard, reply, 415, "content_type_not_allowed", "content_types")


def test_content_type_of_nothing(guard):
    is_admitted(request(guard, "/types/inspect"))
    is_admitted(request(guard, "/types/inspect", "POST", body=b"", headers={"Content-Type": "text/plain"}))


def test_dotfiles(guard):
    is_refused(guard, request(guard, "/app/h/.env"), 404, "dotfile", "dotfiles")
    is_refused(guard, request(guard, "/dots/.git/x"), 404, "dotfile", "dotfiles")
    is_admitted(request(guard, "/dots/inspect/.well-known/acme"))
    assert request(guard, "/dots/inspect/.well-known/.env").status == 404


# ---- report

def test_mode_report(guard):
    """Everything is logged as it would have been refused, and nothing is."""
    reply = request(guard, "/report/inspect", "POST", body=b"x" * 50, headers={"Content-Type": "text/plain"})
    is_admitted(reply)
    request_id = reply.get("X-Request-ID")
    guard.wait_entry(event="request", requestId=request_id)
    codes = {entry.get("code") for entry in guard.log() if entry.get("requestId") == request_id and entry["event"] != "request"}
    assert {"host_not_allowed", "https_required", "method_not_allowed", "body_too_large", "content_type_not_allowed"} <= codes
    assert json.loads(reply.body)["body"] == 50


def test_report_of_one_guard(guard):
    is_refused(guard, request(guard, "/some/x"), 403, "https_required", "https")
    reply = request(guard, "/some/inspect", replace={"HTTPS": "on"})
    is_admitted(reply)
    assert guard.wait_entry(requestId=reply.get("X-Request-ID"), code="host_not_allowed")["event"] != "request"


def test_order_of_the_guards(guard):
    """Where several would refuse, the first of the documented order speaks."""
    reply = request(guard, "/some/x", "DELETE", headers={"Host": "evil.net"})
    assert json.loads(reply.body)["error"] == "https_required"
    assert ask(guard.address, "DELETE", "/body/x", b"x" * 100).status == 405
