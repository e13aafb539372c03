"""Versions of the API and routes that end, through web servers: which program answers, what replies
say of the end, whoever made them, and what comes after it."""

import json

import pytest

import harness
import servers
from records import raw

PAST, FUTURE = "2020-01-31", "2199-01-01"
SUNSET = {PAST: "Fri, 31 Jan 2020 00:00:00 GMT", FUTURE: "Tue, 01 Jan 2199 00:00:00 GMT"}
PAGE = "https://www.example.com/migrate"
LIST = {"0": {"sunset": PAST, "successor": "2"},
        "1": {"deprecated": "2026-01-01", "sunset": FUTURE, "successor": "2", "link": PAGE}, "2": {}}


def policy(helper):
    def route(path, **more):
        return {"path": f"/app/{path}", "methods": ["GET", "POST"], "exec": helper, **more}
    return {
        "versions": {"header": "API-Version", "default": "2", "list": LIST},
        "defaults": {"auth": "none", "body": "10b"},
        "routes": [
            route("all/**"), route("one/**", version="1"), route("one/**", version="2", methods=["GET", "PUT"]),
            route("none/**", version="none"), route("secret", addresses={"deny": "0.0.0.0/0"}),
            route("ending/**", version="none", retire={"deprecated": "2026-01-01", "sunset": FUTURE, "successor": "/app/all"}),
            route("ended/**", version="none", retire={"sunset": PAST, "link": PAGE}),
            route("trial/**", version="none", retire={"sunset": PAST, "mode": "report"}),
        ]}


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder, helper):
    started = servers.start(request.param, folder, policy(helper))
    yield started
    started.stop()
    started.guard.stop()


def fetch(front, target, version=None, **words):
    headers = list(words.pop("headers", []))
    return front.fetch(target, headers=headers + ([("API-Version", version)] if version else []), **words)


def variables(reply):
    assert reply.status == 200, (reply.status, reply.body)
    return dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])


def error(reply):
    return reply.status, json.loads(reply.body)["error"]


def links(reply):
    return [link.strip() for value in reply.all("Link") for link in value.split(",")]


def tells_of_the_end(reply):
    assert reply.get("Deprecation") == "@1767225600" and reply.get("Sunset") == SUNSET[FUTURE], reply.headers
    assert f'<{PAGE}>; rel="deprecation"' in links(reply) and f'<{PAGE}>; rel="sunset"' in links(reply)
    assert '<>; rel="successor-version"; api-version="2"' in links(reply)
    assert "API-Version" in reply.get("Vary")


def test_program_is_told(front):
    for version, told in (("1", "1"), ("2", "2"), (None, "2")):
        seen = variables(fetch(front, "/app/all/inspect", version))
        assert seen["API_VERSION"] == told and seen.get("HTTP_API_VERSION") == version
    assert "API_VERSION" not in variables(fetch(front, "/app/none/inspect", "1"))


def test_route_of_the_version(front):
    for version, route in (("1", 1), ("2", 2), (None, 2)):
        reply = fetch(front, "/app/one/inspect", version)
        assert variables(reply)["API_VERSION"] == str(route)
    reply = fetch(front, "/app/one/hello", "1", method="PUT", body=b"x")
    assert error(reply) == (405, "method_not_allowed") and reply.get("Allow") == "GET, HEAD, POST"
    tells_of_the_end(reply)


@pytest.mark.parametrize("version", ["3", "v1", "1, 2", "01", "1;q=1", "\xff", "a" * 500, "../1"])
def test_unknown_version(front, version):
    reply = fetch(front, "/app/all/hello", version.encode("latin-1"))
    assert error(reply) == (406, "version_unknown")
    assert version not in json.loads(reply.body)["message"]
    assert "API-Version" in reply.get("Vary") and not reply.get("Deprecation")


def test_version_twice(front):
    reply = front.fetch("/app/all/hello", headers=[("API-Version", "1"), ("API-Version", "2")])
    assert error(reply) in ((400, "header_duplicate"), (406, "version_unknown"))


def test_version_that_has_ended(front):
    for path in ("/app/all/hello", "/app/one/hello", "/app/nowhere"):
        reply = fetch(front, path, "0")
        assert error(reply) == (410, "version_gone")
        assert reply.get("Sunset") == SUNSET[PAST] and links(reply) == ['<>; rel="successor-version"; api-version="2"']
    entry = front.guard.wait_entry(event="request", code="version_gone", path="/app/all/hello")
    assert (entry["version"], entry["guard"], entry["status"]) == ("0", "version", 410)


def test_every_reply_tells(front):
    """Of programs, whatever they answer, and refusals."""
    own = '<https://www.example.com/next>; rel="next"'
    for text, status in (("Status: 204\n\n", 204), ("Status: 304\nETag: \"x\"\n\n", 304), ("Status: 404\n\n", 404),
                         ("Location: https://www.example.com/\n\n", 302), ("Status: 500\n\n", 500),
                         (f"Content-Type: text/plain\nLink: {own}\n\nhello", 200), ("broken", 502),
                         ("Content-Type: text/plain\nDeprecation: @1\nSunset: never\nVary: Accept-Charset\n\n", 200)):
        reply = fetch(front, raw(text, "/app/all"), "1")
        assert reply.status == status, (text, reply.status, reply.body)
        tells_of_the_end(reply)
        assert (own in links(reply)) == (own in text)
        assert len(reply.all("Deprecation")) == len(reply.all("Sunset")) == 1
        assert ("Accept-Charset" in reply.get("Vary").replace(" ", "").split(",")) == ("Vary: Accept-Charset" in text)
    for words, status in (({"method": "HEAD"}, 200), ({"method": "POST", "body": b"x" * 100}, 413), ({"method": "PATCH"}, 405)):
        reply = fetch(front, "/app/all/hello", "1", **words)
        assert reply.status == status
        tells_of_the_end(reply)
    reply = fetch(front, "/app/secret", "1")
    assert reply.status == 403
    tells_of_the_end(reply)


def test_version_that_does_not_end(front):
    for version in ("2", None):
        reply = fetch(front, "/app/all/hello", version)
        assert not reply.get("Deprecation") and not reply.get("Sunset") and not reply.get("Link")
        assert "API-Version" in reply.get("Vary")
    reply = fetch(front, "/app/none/hello", "1")
    assert not reply.get("Deprecation") and "API-Version" not in (reply.get("Vary") or "")


def test_route_that_ends(front):
    reply = fetch(front, "/app/ending/hello")
    assert (reply.status, reply.get("Deprecation"), reply.get("Sunset")) == (200, "@1767225600", SUNSET[FUTURE])
    assert links(reply) == ['</app/all>; rel="successor-version"']
    reply = fetch(front, "/app/ended/hello")
    assert error(reply) == (410, "gone") and reply.get("Sunset") == SUNSET[PAST]
    assert links(reply) == [f'<{PAGE}>; rel="sunset"']
    assert reply.get("Cache-Control") == "no-store"
    reply = fetch(front, "/app/trial/hello")
    assert (reply.status, reply.get("Sunset")) == (200, SUNSET[PAST])
    assert front.guard.wait_entry(event="reported", code="gone")["guard"] == "retire"


# ---- the other ways to name one

@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def paths(request, folder, helper):
    listed = {"v0": {"sunset": PAST, "successor": "v2"},
              "v1": {"deprecated": "2026-01-01", "sunset": FUTURE, "successor": "v2"}, "v2": {}}
    started = servers.start(request.param, folder, {
        "versions": {"path": "/app", "list": listed}, "defaults": {"auth": "none", "exec": helper},
        "routes": [{"path": "/app/v1/**"}, {"path": "/app/v2/**"}, {"path": "/app/health"}]}, name=request.param + "-paths")
    yield started
    started.stop()
    started.guard.stop()


def test_path(paths):
    assert variables(paths.fetch("/app/v1/inspect"))["API_VERSION"] == "v1"
    assert variables(paths.fetch("/app/v2/inspect"))["API_VERSION"] == "v2"
    reply = paths.fetch("/app/v1/hello")
    assert reply.get("Deprecation") == "@1767225600" and links(reply) == ['</app/v2>; rel="successor-version"']
    assert "API-Version" not in (reply.get("Vary") or "")
    for target in ("/app/v3/hello", "/app/v11/hello", "/app/V1/hello", "/app/nothing"):
        assert error(paths.fetch(target)) == (404, "version_unknown"), target
    reply = paths.fetch("/app/v0/hello")
    assert error(reply) == (410, "version_gone") and links(reply) == ['</app/v2>; rel="successor-version"']
    assert error(paths.fetch("/app/v0/")) == (410, "version_gone")
    assert paths.fetch("/app/v2/../v0/hello").status == 410
    reply = paths.fetch("/app/health")
    assert not reply.get("Deprecation")


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def types(request, folder, helper):
    started = servers.start(request.param, folder, {
        "versions": {"media_type": "application/vnd.example+json", "default": "2", "list": LIST},
        "defaults": {"auth": "none", "exec": helper}, "routes": [{"path": "/app/all/**"}]}, name=request.param + "-types")
    yield started
    started.stop()
    started.guard.stop()


def test_media_type(types):
    def told(accept):
        return variables(types.fetch("/app/all/inspect", headers=[("Accept", accept)] if accept else []))["API_VERSION"]
    assert told(None) == told("*/*") == told("text/html, */*;q=0.8") == "2"
    assert told("application/vnd.example.v1+json") == told("application/vnd.example+json; version=1") == "1"
    assert told("application/vnd.example.v1+json;q=0.5, application/vnd.example.v2+json;q=0.6") == "2"
    for accept in ("application/vnd.example.v9+json", "application/vnd.example.v1+json;q=x", "application/vnd.example+json;version"):
        reply = types.fetch("/app/all/hello", headers=[("Accept", accept)])
        assert error(reply) == (406, "version_unknown") and "Accept" in reply.get("Vary")
        assert accept.encode() not in reply.body
    reply = types.fetch("/app/all/hello", headers=[("Accept", "application/vnd.example.1+json")])
    assert '<>; rel="successor-version"; type="application/vnd.example+json;version=2"' in links(reply)
    reply = types.fetch("/app/all/hello", headers=[("Accept", "text/html"), ("Accept", "application/vnd.example.1+json")])
    assert reply.get("Deprecation"), "lines of Accept are one list"


# ---- the example

def test_example(start_guard, folder):
    for script in (harness.EXAMPLES / "cgi").iterdir():
        folder.write(f"srv/cgi/{script.name}", script.read_bytes(), 0o755)
    guard = start_guard("", start=False, name="versions-example")
    text = servers.example_policy("versions.yaml", cgi=folder / "srv/cgi", socket=guard.address,
                                  user=f"user: {harness.WEB_USER or harness.pwd.getpwuid(harness.os.getuid()).pw_name}")
    assert "sunset: 2027-06-30" in text
    guard.write(text.replace("2027-06-30", FUTURE))
    guard.start()
    note = {"Content-Type": "application/json"}
    for method, uri, headers, status in (
            ("GET", "/app/hello", {}, 200), ("GET", "/app/hello", {"API-Version": "1"}, 200), ("GET", "/app/hello", {"API-Version": "3"}, 406),
            ("POST", "/app/notes", note, 201), ("POST", "/app/notes", {**note, "API-Version": "1"}, 201),
            ("POST", "/app/notes", {**note, "Sec-Fetch-Site": "cross-site"}, 403),
            ("POST", "/app/notes", {**note, "Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}, 201),
            ("GET", "/app/search", {}, 200)):
        reply = harness.records.ask(guard.address, method, uri, b"{}" if method == "POST" else None, headers=headers)
        assert reply.status == status, (method, uri, headers, reply.raw)
        assert (reply.get("Deprecation") is not None) == (headers.get("API-Version") == "1" or uri == "/app/search")
    guard.stop()
    guard.write(text.replace("2027-06-30", "2026-01-02"))
    guard.start()
    reply = harness.records.ask(guard.address, uri="/app/hello", headers={"API-Version": "1"})
    assert error(reply) == (410, "version_gone")
