"""What pages of other sites make browsers send: through web servers, with a cookie that says who
calls, and with sessions that only the program knows."""

import json

import pytest

import servers
from test_callers import SECRET, bearer, token
import harness

CROSS, SAME = ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder, helper):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    started = servers.start(request.param, folder, {
        "auth": {"web": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests", "cookie": "session"}}},
        "defaults": {"auth": "none", "methods": methods, "exec": helper},
        "routes": [
            {"path": "/app/web/**", "auth": "web"}, {"path": "/app/off/**", "auth": "web", "csrf": "off"},
            {"path": "/app/trial/**", "auth": "web", "csrf": {"mode": "report"}},
            {"path": "/app/own/**", "csrf": {"policy": "on", "origins": ["https://app.example.com"]}},
            {"path": "/app/strict/**", "csrf": {"policy": "on", "strict": True}},
            {"path": "/app/open/**"},
        ]})
    yield started
    started.stop()
    started.guard.stop()


def post(front, path, *headers, method="POST", host="www.example.com"):
    return front.fetch(f"/app/{path}/hello", method=method, headers=list(headers), body=b"a=b", host=host)


def is_refused(front, reply):
    assert (reply.status, json.loads(reply.body)["error"]) == (403, "csrf_refused"), (reply.status, reply.body)
    assert b"example" not in reply.body
    entry = front.guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert (entry["guard"], entry["code"], entry["status"]) == ("csrf", "csrf_refused", 403)
    return entry


def cookie():
    return ("Cookie", "session=" + token())


def test_cookie(front):
    """Nothing is written in the policy for it."""
    for method in ("POST", "PUT", "DELETE"):
        entry = is_refused(front, post(front, "web", cookie(), CROSS, method=method))
        assert entry["caller"] == "bob"
        assert post(front, "web", cookie(), SAME, method=method).status == 200
    assert post(front, "web", cookie()).status == 200, "a program"
    assert front.fetch("/app/web/hello", headers=[cookie(), CROSS]).status == 200, "a link on another site"
    assert front.fetch("/app/web/hello", "HEAD", headers=[cookie(), CROSS]).status == 200
    assert front.fetch("/app/web/hello", "OPTIONS", headers=[cookie(), CROSS]).status == 200


def test_header(front):
    """A page of another site cannot make a browser send it."""
    assert post(front, "web", bearer(), CROSS).status == 200
    assert post(front, "web", CROSS).status == 401
    assert post(front, "web", ("Cookie", "session=x"), CROSS).status == 401


def test_origin_of_a_browser_without_fetch_metadata(front):
    for origin, admitted in (("http://www.example.com", True), ("https://www.example.com", True), ("http://WWW.example.com:80", False),
                             ("http://evil.example", False), ("null", False), ("http://www.example.com.evil.example", False),
                             ("http://www.example.com:8080", False), ("http://www.example.com/", False), ("http://www.example.com@evil.example", False)):
        reply = post(front, "web", cookie(), ("Origin", origin))
        assert (reply.status == 200) == admitted, (origin, reply.body)
    assert post(front, "web", cookie(), ("Referer", "http://www.example.com/form?x=1")).status == 200
    is_refused(front, post(front, "web", cookie(), ("Referer", "http://evil.example/http://www.example.com/")))
    host = f"www.example.com:{front.port}"
    assert post(front, "web", cookie(), ("Origin", f"http://{host}"), host=host).status == 200
    is_refused(front, post(front, "web", cookie(), ("Origin", "http://www.example.com:1"), host=host))


@pytest.mark.parametrize("site", ["SAME-ORIGIN", "same-origin, none", "none;a", "x", "same_origin", "\xff", "n" * 300])
def test_what_no_browser_sends(front, site):
    is_refused(front, post(front, "web", cookie(), ("Sec-Fetch-Site", site.encode("latin-1"))))


def test_twice(front):
    reply = post(front, "web", cookie(), SAME, CROSS)
    assert (reply.status, json.loads(reply.body)["error"]) in ((400, "header_duplicate"), (403, "csrf_refused"))
    reply = post(front, "web", cookie(), ("Origin", "http://www.example.com"), ("Origin", "http://evil.example"))
    assert (reply.status, json.loads(reply.body)["error"]) in ((400, "header_duplicate"), (403, "csrf_refused"))


def test_session_of_a_program(front):
    app = ("Origin", "https://app.example.com")
    is_refused(front, post(front, "own", CROSS))
    is_refused(front, post(front, "own", CROSS, ("Origin", "https://www.example.com")))
    assert post(front, "own", CROSS, app).status == 200
    assert post(front, "own", app).status == 200
    assert post(front, "own").status == 200
    is_refused(front, post(front, "strict"))
    assert post(front, "strict", SAME).status == 200
    assert post(front, "open", CROSS).status == 200


def test_off_and_report(front):
    assert post(front, "off", cookie(), CROSS).status == 200
    reply = post(front, "trial", cookie(), CROSS)
    assert reply.status == 200
    assert front.guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))["code"] == "csrf_refused"


# ---- web servers that serve by themselves, and ask before

@pytest.fixture(scope="module")
def asked(start_guard, folder, helper):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    return start_guard({
        "auth": {"web": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests", "cookie": "session"}}},
        "defaults": {"auth": "web", "methods": ["GET", "POST"], "exec": helper},
        "routes": [{"path": "/_authorize", "auth": "none", "respond": "authorize"}, {"path": "/web/**"},
                   {"path": "/ended/**", "retire": {"sunset": "2020-01-01"}}, {"path": "/ending/**", "retire": {"sunset": "2199-01-01"}}]},
        name="asked")


def ask_about(asked, uri, method, *headers):
    headers = {"Host": "www.example.com", **dict(headers)}
    return harness.records.ask(asked.address, uri="/_authorize", headers=headers, replace={"ORIGINAL_URI": uri, "ORIGINAL_METHOD": method})


def test_web_server_that_asks(asked):
    """The request it asks about is judged, by the headers that come with the question."""
    assert ask_about(asked, "/web/x", "POST", cookie(), SAME).status == 204
    assert ask_about(asked, "/web/x", "GET", cookie(), CROSS).status == 204
    reply = ask_about(asked, "/web/x", "POST", cookie(), CROSS)
    assert (reply.status, json.loads(reply.body)["error"]) == (403, "csrf_refused")
    reply = ask_about(asked, "/web/x", "POST", cookie(), ("Origin", "http://evil.example"))
    assert reply.status == 403


def test_web_server_that_asks_about_an_end(asked):
    """It takes no 410, but is told why."""
    reply = ask_about(asked, "/ended/x", "GET", cookie())
    assert (reply.status, json.loads(reply.body)["error"]) == (403, "gone") and reply.get("Sunset")
    reply = ask_about(asked, "/ending/x", "GET", cookie())
    assert reply.status == 204 and reply.get("Sunset") == "Tue, 01 Jan 2199 00:00:00 GMT"
