"""Every web server, each the way examples/ has it: what gets in, what reaches
the program, and what leaves."""

import http.client
import json
import re
import zlib

import pytest

import harness
import servers
from records import raw

NAME = re.compile(r"^[A-Z_][A-Z0-9_]*$")


def policy(helper, programs):
    return {
        "defaults": {"auth": "none"},
        "routes": [
            {"path": "/app/h/**", "methods": ["GET", "POST", "PUT", "DELETE", "OPTIONS"], "body": "4mb", "exec": helper},
            {"path": "/app/spool/**", "methods": ["POST"], "body": "4mb", "exec": {"program": helper, "input": "spool"}},
            {"path": "/app/small", "methods": ["POST"], "body": "100b", "content_types": "application/json",
             "exec": helper},
            {"path": "/app/plain/**", "exec": f"{programs}/plain.sh"},
            {"path": "/app/scripts/**", "exec": {"root": str(programs), "extensions": [".sh"]}},
        ],
    }


@pytest.fixture(scope="module", params=servers.KINDS)
def front(request, folder, helper, programs):
    started = servers.start(request.param, folder, policy(helper, programs))
    yield started
    started.stop()
    started.guard.stop()
    started.guard.wait_no_programs()
    started.guard.check_reports()


def inspect(front, target="/app/h/inspect", **words):
    reply = front.fetch(target, **words)
    assert reply.status == 200, (reply.status, reply.body, front.guard.text()[-2000:])
    seen = json.loads(reply.body)
    names = [entry.partition("=")[0] for entry in seen["environment"]]
    assert len(names) == len(set(names)), f"a variable twice: {sorted(names)}"
    assert all(NAME.match(name) for name in names), names
    seen["environment"] = dict(entry.split("=", 1) for entry in seen["environment"])
    return seen


def error(reply):
    assert reply.get("Content-Type", "").startswith("application/json"), (reply.status, reply.headers, reply.body)
    return json.loads(reply.body)["error"]


def test_get(front):
    reply = front.fetch("/app/h/hello")
    assert (reply.status, reply.body) == (200, b"hello\n")
    assert reply.get("X-Content-Type-Options") == "nosniff"
    assert len(reply.get("X-Request-ID")) == 36


def test_meta_variables(front):
    """RFC 3875, 4.1, made anew by us."""
    seen = inspect(front, "/app/h/inspect/some%20thing/x?a=1&b=%2F%3f")
    variables = seen["environment"]
    assert variables["GATEWAY_INTERFACE"] == "CGI/1.1"
    assert variables["REQUEST_METHOD"] == "GET"
    assert variables["SCRIPT_NAME"] == "/app/h"
    assert variables["PATH_INFO"] == "/inspect/some thing/x"
    assert variables["QUERY_STRING"] == "a=1&b=%2F%3f"
    assert variables["REQUEST_URI"] == "/app/h/inspect/some%20thing/x?a=1&b=%2F%3f"
    assert variables["SERVER_PROTOCOL"].startswith("HTTP/1.")
    assert variables["REMOTE_ADDR"] == "127.0.0.1"
    assert variables["SERVER_NAME"]
    assert variables["SERVER_PORT"]
    assert variables["SERVER_SOFTWARE"]
    assert variables["PATH"]
    assert seen["arguments"] == [variables["SCRIPT_FILENAME"]]
    assert "CONTENT_LENGTH" not in variables or variables["CONTENT_LENGTH"] in ("", "0")


def test_only_three_descriptors_and_default_signals(front):
    seen = inspect(front)
    assert seen["descriptors"] == [0, 1, 2]
    assert seen["blocked"] == [] and seen["ignored"] == []
    assert seen["process"] == seen["group"], "it leads a process group of its own"


def test_environment_does_not_leak(front):
    variables = inspect(front)["environment"]
    assert not {"FCGIGUARD_POLICY", "FCGIGUARD_TEST", "FCGI_ROLE", "LISTEN_PID", "HOME", "TMPDIR"} & set(variables)
    assert not [name for name in variables if name.startswith(("BASH", "LD_", "FCGI", "REDIRECT_URL"))]


def test_query_does_not_become_arguments(front):
    """RFC 3875, 4.4: a server may turn a query without "=" into arguments."""
    assert inspect(front, "/app/h/inspect?-c+/etc/passwd+--help")["arguments"][1:] == []


def test_post(front):
    body = bytes(range(256)) * 1000
    reply = front.fetch("/app/h/count", method="POST", body=body)
    assert (reply.status, reply.body.split()) == (200, [b"%d" % len(body), b"%d" % zlib.crc32(body)])


def test_post_without_length(front):
    body = bytes(range(256)) * 400
    reply = front.fetch("/app/h/count", method="POST", headers={"Transfer-Encoding": "chunked"},
                        body=servers.chunked(body))
    assert (reply.status, reply.body.split()) == (200, [b"%d" % len(body), b"%d" % zlib.crc32(body)])


def test_empty_post(front):
    reply = front.fetch("/app/h/count", method="POST", body=b"")
    assert (reply.status, reply.body) == (200, b"0 0\n")


def test_large_answer(front):
    reply = front.fetch("/app/h/big?3000000")
    assert (reply.status, len(reply.body)) == (200, 3000000)


def test_writes_before_it_reads(front):
    body = b"y" * (1 << 20)
    # mod_cgid reads no reply before it has sent the whole body.
    where = "spool" if front.kind == "action" else "h"
    reply = front.fetch(f"/app/{where}/write-first", method="POST", body=body)
    assert reply.status == 200
    assert reply.body[:1 << 20] == b"x" * (1 << 20)
    assert reply.body[1 << 20:].split() == [b"%d" % len(body), b"%d" % zlib.crc32(body)]


def test_never_reads_its_input(front):
    reply = front.fetch("/app/h/read-nothing", method="POST", body=b"y" * 500000)
    assert (reply.status, reply.body) == (200, b"hello\n")


def test_head(front):
    reply = front.fetch("/app/h/hello", method="HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.get("X-Content-Type-Options") == "nosniff"


def test_old_script(front):
    reply = front.fetch("/app/plain/of/old")
    assert (reply.status, reply.body) == (200, b"<p>GET /of/old</p>\n")
    assert reply.get("Content-Type").startswith("text/html")


def test_script_beneath_a_root(front):
    if front.kind == "lighttpd-interpreter":
        harness.shutil.copy(harness.SOURCE / "tests/programs/plain.sh", front.guard.folder / (front.kind + "-root/app/"))
    reply = front.fetch("/app/scripts/plain.sh/more")
    if front.kind != "lighttpd-interpreter":  # lighttpd's own file must exist there, and its name ends earlier
        assert (reply.status, reply.body) == (200, b"<p>GET /more</p>\n")
        assert error(front.fetch("/app/scripts/none.sh")) == "script_not_found"
        assert error(front.fetch("/app/scripts/helper/hello")) == "script_not_found"


# ---- refusals

def test_no_route(front):
    reply = front.fetch("/app/other")
    assert reply.status == 404
    if front.kind != "lighttpd-interpreter":
        assert error(reply) == "route_not_found"
        assert reply.get("X-Content-Type-Options") == "nosniff"
        assert json.loads(reply.body)["requestId"] == reply.get("X-Request-ID")


def test_method(front):
    reply = front.fetch("/app/small")
    assert (reply.status, error(reply)) == (405, "method_not_allowed")
    assert reply.get("Allow") == "POST"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "get", "BREW"])
def test_methods_nobody_named(front, method):
    reply = front.fetch("/app/h/hello", method=method)
    if (front.kind, method) == ("caddy", "get"):
        assert reply.status == 200  # Caddy itself makes a GET of it
        return
    # Apache answers TRACE by itself, unless told not to.
    assert reply.status >= 400 or reply.body.startswith(b"TRACE /"), (reply.status, reply.body)
    assert not reply.body.startswith(b"hello")


def test_body_too_large(front):
    reply = front.fetch("/app/small", method="POST", headers={"Content-Type": "application/json"}, body=b"x" * 101)
    assert (reply.status, error(reply)) == (413, "body_too_large")


def test_body_too_large_without_length(front):
    reply = front.fetch("/app/small", method="POST", body=servers.chunked(b"x" * 5000),
                        headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
    assert (reply.status, error(reply)) == (413, "body_too_large")


def test_content_type(front):
    reply = front.fetch("/app/small", method="POST", headers={"Content-Type": "text/xml"}, body=b"<x/>")
    assert (reply.status, error(reply)) == (415, "content_type_not_allowed")


@pytest.mark.parametrize("first", [
    ("GET", "/app/other", b"", 404),
    ("POST", "/app/other", b"z" * 200000, 404),
    ("DELETE", "/app/small", b"z" * 200000, 405),
    ("POST", "/app/small", b"z" * 200000, 413),
    ("POST", "/app/small", b"z" * 50, 415),
])
def test_second_request_after_a_refusal(front, first):
    """The refused body is not what the second request, or anybody's, is made of."""
    method, target, body, status = first
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
    for _ in range(3):
        try:
            connection.request(method, target, body)
            reply = connection.getresponse()
            assert reply.status == status
            reply.read()
        except (BrokenPipeError, ConnectionResetError):
            assert status in (404, 405, 413)  # the server closed while we were still sending
            connection.close()
        connection.request("GET", "/app/h/hello")
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, b"hello\n")
    connection.close()


@pytest.mark.parametrize("target", [
    "/app/h/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/app/h/..%2f..%2fsecret", "/app/h/hello%00.txt", "/app/h/%c0%ae%c0%ae/x",
    "/app/h/a%5cb", "/app/h/%0d%0aSet-Cookie:x", "/app/h/.git/config", "/app/h/%2egit/config", "/app/h/%",
    "/app/h/%zz", "/app/h/%ff", "/app/h/a%7fb"])
def test_path_tricks(front, target):
    """Refused by the server or by us: no program sees any of these."""
    reply = front.fetch(target)
    # Caddy has nothing to say of what leaves /app/, and says it with a 200.
    assert reply.status in (400, 403, 404) or (front.kind, reply.body) == ("caddy", b""), (reply.status, reply.body)
    assert "Set-Cookie" not in dict(reply.headers)


@pytest.mark.parametrize("target", ["/app//h///inspect", "/app/./h/inspect", "/app/x/../h/inspect",
                                    "/app/x/%2e%2e/h/inspect", "/%61pp/h/inspec%74"])
def test_one_form_of_a_path(front, target):
    """What is let through means one thing to everybody."""
    reply = front.fetch(target)
    if reply.status == 200:
        variables = dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])
        assert (variables["SCRIPT_NAME"], variables["PATH_INFO"]) == ("/app/h", "/inspect")
    else:
        assert reply.status in (301, 400, 403, 404)


# ---- headers in

SPOOFED = {
    "Proxy": "http://evil.example", "Remote-User": "admin", "REMOTE_USER": "admin", "X-Remote-User": "admin",
    "X_Remote_User": "admin", "X-Forwarded-User": "admin", "Auth-Type": "Basic", "SSL-Client-Verify": "SUCCESS",
    "X-Forwarded-For": "203.0.113.99", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.99", "X-Real-IP":
    "203.0.113.99", "LD-Preload": "/tmp/x.so",
}


def test_spoofed_headers_never_arrive(front):
    for name, value in SPOOFED.items():
        reply = front.fetch("/app/h/inspect", headers={name: value})
        if reply.status != 200:
            assert reply.status == 400, (name, reply.status)
            continue
        seen = json.loads(reply.body)["environment"]
        assert not [entry for entry in seen if "admin" in entry or "evil" in entry or "203.0.113.99" in entry
                    or "SUCCESS" in entry or entry.startswith("LD_")], (name, seen)
        assert "HTTPS" not in dict(entry.split("=", 1) for entry in seen) or name != "X-Forwarded-Proto"


def test_basic_user_is_not_believed(front):
    """nginx hands on the name of unverified credentials as REMOTE_USER."""
    variables = inspect(front, headers={"Authorization": "Basic YWRtaW46eA=="})["environment"]
    assert "REMOTE_USER" not in variables and "AUTH_TYPE" not in variables


def test_header_twins(front):
    """X-A and X_A would become one variable: only one of them, or none, arrives."""
    reply = front.fetch("/app/h/inspect", headers=[("X-A", "dash"), ("X_A", "underscore")])
    if reply.status == 200:
        variables = dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])
        # To Caddy both are one header, of which one stays.
        assert variables.get("HTTP_X_A") in (None, "dash", "underscore" if front.kind == "caddy" else "dash"), variables
    else:
        assert reply.status == 400


def test_repeated_host(front):
    raw = b"GET /app/h/inspect HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    reply = servers.fetch_raw(front.port, raw)
    assert reply.status == 400, (reply.status, reply.body)


def test_ordinary_headers_arrive(front):
    variables = inspect(front, headers={"X-Ordinary": "some value", "Accept": "a/b, c/d", "Cookie": "a=1; b=2",
                                        "User-Agent": "test/1.0"})["environment"]
    assert variables["HTTP_X_ORDINARY"] == "some value"
    assert variables["HTTP_ACCEPT"] == "a/b, c/d"
    assert variables["HTTP_COOKIE"] == "a=1; b=2"
    assert variables["HTTP_USER_AGENT"] == "test/1.0"
    assert variables["HTTP_HOST"].split(":")[0] == "localhost"


# ---- replies

def test_status(front):
    for status, word in ((201, "Created"), (404, "Not Found"), (418, "I'm a teapot")):
        reply = front.fetch(raw(f"Status: {status} {word}\nContent-Type: text/plain\n\nbody of {status}"))
        assert (reply.status, reply.body) == (status, f"body of {status}".encode())


def test_no_content(front):
    reply = front.fetch(raw("Status: 204 No Content\n\n"))
    assert (reply.status, reply.body) == (204, b"")
    reply = front.fetch(raw('Status: 304 Not Modified\nETag: "1"\n\n'))
    assert (reply.status, reply.body, reply.get("ETag")) == (304, b"", '"1"')


def test_client_redirect(front):
    """RFC 3875, 6.2.3: some servers would leave the status at 200."""
    reply = front.fetch(raw("Location: https://www.example.com/there\n\n"))
    assert (reply.status, reply.get("Location")) == (302, "https://www.example.com/there")


def test_steering_headers_are_dropped(front):
    text = ("Content-Type: text/plain\nX-Sendfile: /etc/passwd\nX-LIGHTTPD-send-file: /etc/passwd\n"
            "X-Accel-Redirect: /etc/passwd\nX-Sendfile2: /etc/passwd 0-\nX-Powered-By: helper\nServer: helper\n\nplain body")
    reply = front.fetch(raw(text))
    assert (reply.status, reply.body) == (200, b"plain body")
    names = {name.lower() for name, _ in reply.headers}
    assert not [name for name in names if name.startswith(("x-sendfile", "x-accel", "x-lighttpd", "x-powered-by"))]
    assert "helper" not in (reply.get("Server") or "")


def test_two_cookies(front):
    reply = front.fetch(raw("Content-Type: text/plain\nSet-Cookie: a=1\nSet-Cookie: b=2\n\nx"))
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]


def test_stated_length_is_kept(front):
    """More than was stated would be read as the next reply."""
    reply = front.fetch(raw("Content-Type: text/plain\nContent-Length: 4\n\nfour and more"))
    assert (reply.status, reply.body) == (200, b"four")


@pytest.mark.parametrize("text", ["", "no header at all", "Content-Type: text/pl", "Bad Name: x\n\nbody",
                                  "Status: 200 OK\nStatus: 404 Not Found\nContent-Type: text/plain\n\nx",
                                  "Content-Type: text/plain\nX-A: b\rSet-Cookie: c=d\n\nx", "Status: 99\n\n",
                                  "Content-Type: text/plain\nContent-Length: abc\n\nx"])
def test_broken_reply(front, text):
    reply = front.fetch(raw(text))
    assert (reply.status, error(reply)) == (502, "bad_reply")
    assert "Set-Cookie" not in dict(reply.headers)
    if front.kind not in servers.EACH_TIME:
        assert front.guard.wait_entry(requestId=reply.get("X-Request-ID"), event="request")["code"] == "bad_reply"


def test_own_errors_are_replaced(front):
    reply = front.fetch(raw("Status: 500 Oops\nContent-Type: text/html\n\nTraceback: secret.py line 5"))
    assert (reply.status, error(reply)) == (500, "internal_error")
    assert b"secret" not in reply.body


# ---- the log

def test_ids_agree(front):
    reply = front.fetch("/app/h/inspect")
    request_id = reply.get("X-Request-ID")
    variables = dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])
    assert request_id in variables.values(), "the program knows the id"
    entry = front.guard.wait_entry(event="request", requestId=request_id)
    assert entry["method"] == "GET" and entry["path"] == "/app/h/inspect" and entry["status"] == 200
    assert entry["address"] == "127.0.0.1" and entry["route"] == "/app/h/**"
    assert isinstance(entry["duration"], (int, float))


def test_clients_id_is_not_taken(front):
    reply = front.fetch("/app/h/hello", headers={"X-Request-ID": "mine"})
    assert reply.get("X-Request-ID") not in (None, "mine")
    assert reply.all("X-Request-ID") == [reply.get("X-Request-ID")]


@pytest.mark.parametrize("front", ["action"], indirect=True)
def test_action_is_not_reached_directly(front):
    """Only Apache's Action has a URL of its own for fcgiguard."""
    for target in ("/fcgiguard-action", "/fcgiguard-action/app/h/hello"):
        reply = front.fetch(target)
        assert reply.status == 403, (reply.status, reply.body)
        assert b"hello" not in reply.body
