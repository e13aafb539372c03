"""Repeated parameters, operators of databases and markup: what is refused, and
what a program gets where the policy has it changed, through real servers."""

import gzip
import json

import pytest

import harness
import records
import servers
from records import Connection, environment

ALL = ["repeated_params", "operators", "markup"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
DATA = harness.SOURCE / "tests" / "data" / "reject"
HARMLESS, PAYLOADS = (json.loads((DATA / name).read_text()) for name in ("harmless.json", "markup.json"))


def policy(helper):
    def route(path, **more):
        return {"path": path, "methods": ["GET", "POST"], "exec": helper, **more}
    return {
        "defaults": {"auth": "none", "reject": ALL},
        "routes": [
            route("/app/strict/**"),
            route("/app/open/**", reject="none"),
            route("/app/change/**", repeated_params={"action": "last", "allow": "tag"}, operators="replace",
                  markup={"action": "escape", "except": ["password", "/code"]}),
            route("/app/remove/**", operators={"action": "remove", "allow": "connect.sid"}),
            route("/app/except/**", markup={"except": ["comment", "password"]}),
            route("/app/report/**", mode="report", operators="remove"),
            route("/app/none/**", validation_details="none", validation_status=422),
            route("/app/types/**", content_types=["image/png", JSON, "text/plain"]),
            route("/app/zip/**", markup="escape", body={"fields": {"a": "string"}, "codings": ["gzip"]}),
            route("/app/zipped/**", body={"codings": ["gzip"], "inflated": "1kb"}),
            route("/app/fields/**", reject="markup", markup="escape", body={"fields": {"a": {"max_length": 8}}}),
            route("/app/small/**", body={"max": "100b", "depth": 3, "values": 5, "string": "10b"}),
        ],
    }


@pytest.fixture(scope="module")
def guard(start_guard, helper):
    return start_guard(policy(helper), name="reject")


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder, helper):
    started = servers.start(request.param, folder, policy(helper), name=f"reject-{request.param}")
    yield started
    started.stop()
    started.guard.stop()
    started.guard.wait_no_programs()
    started.guard.check_reports()


def send(guard, uri, body=b"", content_type=JSON, method=None, **headers):
    given = {**headers, **({"content-type": content_type} if content_type and body else {})}
    with Connection(guard.address) as connection:
        return connection.ask(environment(method or ("POST" if body else "GET"), uri, headers=given, body=body), body)


def wrong(reply, status=400):
    answer = json.loads(reply.body)
    assert (reply.status, answer["error"]) == (status, "validation_error"), reply.body
    return {(item["in"], item["field"]): item["error"] for item in answer["details"]}


def mirrored(reply):
    """What the program got: (target, query, cookie, length, digest, body)."""
    assert reply.status == 200, reply.body
    *lines, empty, body = reply.body.split(b"\n", 6)
    assert empty == b""
    return (*(line.decode() for line in lines), body)


# ---- through web servers

@pytest.mark.parametrize("target, words, field", [
    ("/app/strict/mirror?a=1&a=2", {}, ("query", "a")),
    ("/app/strict/mirror?a=1&a%5B%5D=2", {}, ("query", "a")),
    ("/app/strict/mirror?a[%24gt]=1", {}, ("query", "a[$gt]")),
    ("/app/strict/mirror?a=%3Cscript%3E", {}, ("query", "a")),
    ("/app/strict/mirror", {"headers": [("Cookie", "a=1; $b=2")]}, ("cookie", "$b")),
    ("/app/strict/mirror?a=1", {"method": "POST", "body": b"a=2", "headers": [("Content-Type", FORM)]}, ("body", "/a")),
    ("/app/strict/mirror", {"method": "POST", "body": b'{"a":[{"$gt":""}]}', "headers": [("Content-Type", JSON)]}, ("body", "/a/0/$gt")),
    ("/app/strict/mirror", {"method": "POST", "body": b'{"a":"\\u003cb>"}', "headers": [("Content-Type", JSON)]}, ("body", "/a")),
])
def test_attacks_are_refused_behind_servers(front, target, words, field):
    reply = front.fetch(target, **words)
    assert list(wrong(reply)) == [field]


def test_what_is_harmless_reaches_the_program_as_it_was_sent(front):
    body = b'{ "name": "O\'Brien <3",\n "price": 1.50 }'
    reply = front.fetch("/app/strict/mirror?a=1+%3C+2&b=%41", method="POST", body=body, headers=[("Content-Type", JSON), ("Cookie", "x=%41; y=\"1\"")])
    target = "/app/strict/mirror?a=1+%3C+2&b=%41"
    assert mirrored(reply) == (target, "a=1+%3C+2&b=%41", 'x=%41; y="1"', str(len(body)), "", body)


def test_the_program_gets_what_was_made_of_it(front):
    body = b'{"$a": {"b.c": 1.50}, "text": "<b>x</b>", "name": "O\'Brien", "code": "<i>", "password": "<p>"}'
    changed = b'{"_a": {"b_c": 1.50}, "text": "&lt;b&gt;x&lt;/b&gt;", "name": "O\'Brien", "code": "<i>", "password": "<p>"}'
    reply = front.fetch("/app/change/mirror?a=1&$b=2&a=3&tag=4&tag=5", method="POST", body=body,
                        headers=[("Content-Type", JSON), ("Cookie", "connect.sid=s%3Ax; t=<i>"), ("Digest", "x")])
    query = "_b=2&a=3&tag=4&tag=5"
    assert mirrored(reply) == (f"/app/change/mirror?{query}", query, "connect_sid=s%3Ax; t=%26lt%3Bi%26gt%3B", str(len(changed)), "", changed)


def test_a_form_is_changed_and_has_its_new_length(front):
    reply = front.fetch("/app/change/mirror", method="POST", body=b"a=%3Cb%3E&x.y=1&a=%3Ci&n=%31", headers=[("Content-Type", FORM)])
    body = b"x_y=1&a=%26lt%3Bi&n=%31"
    assert mirrored(reply) == ("/app/change/mirror", "", "", str(len(body)), "", body)


def test_a_chunked_body_is_changed_too(front):
    reply = front.fetch("/app/remove/mirror", method="POST", body=servers.chunked(b'{"a":1,"$b":2}', 5),
                        headers=[("Content-Type", JSON), ("Transfer-Encoding", "chunked")])
    assert mirrored(reply)[3:] == ("7", "", b'{"a":1}')


# ---- alone

def test_nothing_left_of_a_query(guard):
    assert mirrored(send(guard, "/app/remove/mirror?$a=1"))[:2] == ("/app/remove/mirror", "")
    assert mirrored(send(guard, "/app/remove/mirror", cookie="$a=1; connect.sid=2"))[2] == "connect.sid=2"


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_pass(guard, text):
    body = json.dumps({"text": text}).encode()
    assert mirrored(send(guard, "/app/strict/mirror", body))[5] == body


@pytest.mark.parametrize("text", PAYLOADS)
def test_payloads_do_not(guard, text):
    assert list(wrong(send(guard, "/app/strict/mirror", json.dumps({"text": [text]}).encode()))) == [("body", "/text/0")]


def test_code_in_a_field_that_is_exempt(guard):
    body = json.dumps({"comment": "<script>if (a<b) alert('x')</script>", "password": "<p&\"'"}).encode()
    assert mirrored(send(guard, "/app/except/mirror", body))[5] == body
    assert list(wrong(send(guard, "/app/except/mirror", body.replace(b"comment", b"other")))) == [("body", "/other")]


def test_what_is_wrong_is_told_without_the_value(guard):
    reply = send(guard, "/app/strict/mirror", b'{"a":"<secret>","b":["<other>"],"c":1}')
    assert set(wrong(reply)) == {("body", "/a"), ("body", "/b/0")}
    assert b"secret" not in reply.body and "secret" not in guard.text()
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert (entry["guard"], entry["code"], entry["status"]) == ("markup", "validation_error", 400)
    reply = send(guard, "/app/none/mirror?$a")
    assert reply.status == 422 and "details" not in json.loads(reply.body)


def test_reports_change_nothing(guard):
    body = b'{"$a":"<b>"}'
    reply = send(guard, "/app/report/mirror?a=1&a=2", body)
    assert mirrored(reply)[1:] == ("a=1&a=2", "", str(len(body)), "", body)
    for name in ALL:
        guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"), guard=name)


def test_bodies_that_nobody_can_judge(guard):
    for content_type in ("image/png", "application/octet-stream", "text/plain", "application/xml", "nonsense"):
        assert send(guard, "/app/strict/mirror", b"x", content_type).status == 415
    assert send(guard, "/app/strict/mirror", b"x", None).status == 415
    assert mirrored(send(guard, "/app/types/mirror", b"\x89PNG", "image/png"))[5] == b"\x89PNG"
    assert mirrored(send(guard, "/app/types/mirror", b"a < b", "text/plain"))[5] == b"a < b"
    assert wrong(send(guard, "/app/types/mirror", b"a <b", "text/plain"))
    assert send(guard, "/app/types/mirror", b"a=1", FORM).status == 415
    assert mirrored(send(guard, "/app/open/mirror?$a=1&$a=2", b"<b>", "text/html"))[5] == b"<b>"


def test_a_form_of_parts_is_judged_and_never_changed(guard):
    def parts(disposition, value):
        return f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n--x--\r\n".encode()
    kind = "multipart/form-data; boundary=x"
    body = parts('name="a"', "O'Brien")
    assert mirrored(send(guard, "/app/change/mirror", body, kind))[5] == body
    for one in (parts('name="a"', "<b>"), parts('name="$a"', "x"), parts('name="a"; filename="<b>"', "x")):
        assert wrong(send(guard, "/app/change/mirror", one, kind))
    assert list(wrong(send(guard, "/app/change/mirror?a=1", body, kind))) == [("body", "/a")]


def test_a_compressed_body_is_judged_and_never_changed(guard):
    good = gzip.compress(b'{"a":"x"}')
    assert mirrored(send(guard, "/app/zip/mirror", good, **{"content-encoding": "gzip"}))[5] == good
    assert wrong(send(guard, "/app/zip/mirror", gzip.compress(b'{"a":"<b"}'), **{"content-encoding": "gzip"}))
    assert send(guard, "/app/strict/mirror", good, **{"content-encoding": "gzip"}).status == 415


def test_a_compressed_body_that_nothing_describes_is_judged(guard):
    def status(body, coding="gzip"):
        return send(guard, "/app/zipped/mirror", gzip.compress(body), **{"content-encoding": coding}).status
    assert status(b'{"a":"x"}') == 200
    assert status(b'{"$a":"x"}') == 400
    assert status(b'{"a":"' + b"x" * 2000 + b'"}') == 413
    assert status(b'{"a":"x"}', "deflate") == 415


@pytest.mark.parametrize("cookie, words", [
    ('a="j:{%22$gt%22:1}"', "begins with $"), ("a=%22+onclick%3Dalert(1)", "markup"), (r'a="\074script\076"', "markup"),
])
def test_cookies_as_express_perl_and_python_read_them(guard, cookie, words):
    for route in ("strict", "change"):
        assert words in wrong(send(guard, f"/app/{route}/mirror", cookie=cookie))["cookie", "a"]


def test_references_in_an_attribute_behind_a_quote(guard):
    assert wrong(send(guard, "/app/strict/mirror", b'{"a":"x\\" href=\\"java&#115;cript:alert(1)"}'))


def test_the_description_judges_what_was_made_of_it(guard):
    assert mirrored(send(guard, "/app/fields/mirror", b'{"a":"<b"}'))[5] == b'{"a":"&lt;b"}'
    assert "at most 8" in wrong(send(guard, "/app/fields/mirror", b'{"a":"<b>"}'))["body", "/a"]


def test_limits_are_those_of_the_body(guard):
    assert send(guard, "/app/small/mirror", b'{"a":[1,2,3]}').status == 200
    for body in (b"[[[[]]]]", b"[1,2,3,4,5]", b'"12345678901"', b"[" * 90):
        assert wrong(send(guard, "/app/small/mirror", body))
    assert send(guard, "/app/small/mirror", b" " * 101).status == 413


def test_hostile_bodies_are_refused_quickly(guard):
    deep = b'{"a":' * 30 + b'{"$b":1}' + b"}" * 30
    many = b"{" + b",".join(b'"$%d":"<b"' % i for i in range(9000)) + b"}"
    pairs = b"&".join(b"a[%d]=<b" % i for i in range(9000))
    for body, content_type in ((b"[" * 1000000, JSON), (many, JSON), (pairs, FORM), (deep, JSON), (b'"' + b"&lt" * 20000 + b'a"', JSON),
                               (b'"' + b"\\u0022 " * 8000 + b'onx="', JSON), (b"a=" + b"%26%23" * 10000 + b"%3Ca", FORM)):
        reply = send(guard, "/app/strict/mirror", body, content_type)
        assert reply.status == 400 and len(reply.body) < 20000, reply.body[:500]
    changed = send(guard, "/app/remove/mirror", b"{" + b",".join(b'"$%d":1' % i for i in range(9000)) + b"}")
    assert mirrored(changed)[5] == b"{}"


# ---- web servers that only ask

@pytest.fixture(scope="module")
def asked(start_guard, helper):
    asking = policy(helper)
    asking["routes"].append({"path": "/_authorize", "reject": "none", "respond": "authorize"})
    return start_guard({"authorizer": True, **asking}, name="reject-asked")


def answer(guard, role, uri, method="GET", headers=None):
    """The status of the answer to a question, in FastCGI's role or by a route, and its error."""
    if role:
        params, kind = environment(method, uri, headers=headers), records.AUTHORIZER
    else:
        params = environment("GET", "/_authorize", headers=headers, more=[("ORIGINAL_URI", uri), ("ORIGINAL_METHOD", method)])
        kind = records.RESPONDER
    with Connection(guard.address) as connection:
        connection.send(records.request(params, role=kind))
        reply = connection.reply()
        return reply.status, json.loads(reply.body)["error"] if reply.body else None


@pytest.mark.parametrize("role", [True, False])
def test_a_question_is_judged_by_its_query_and_cookies(asked, role):
    good = 200 if role else 204
    assert answer(asked, role, "/app/strict/page?a=1") == (good, None)
    assert answer(asked, role, "/app/strict/page", headers={"cookie": "a=1"}) == (good, None)
    for uri, headers in (("?$a=1", {}), ("?a=1&a=2", {}), ("?a=%3Cb", {}), ("", {"cookie": "$a=1"})):
        assert answer(asked, role, "/app/strict/page" + uri, headers=headers) == (403, "validation_error")
    # What cannot be changed is refused.
    assert answer(asked, role, "/app/change/page?$a=1") == (403, "validation_error")
    assert answer(asked, role, "/app/change/page?a=1") == (good, None)


@pytest.mark.parametrize("role", [True, False])
def test_a_body_that_is_not_here_is_not_judged(asked, role):
    unseen = (403, "body_unseen")
    assert answer(asked, role, "/app/strict/page", "POST") == unseen
    for headers in ({"content-length": "1"}, {"transfer-encoding": "chunked"}, {"content-type": JSON}):
        assert answer(asked, role, "/app/strict/page", headers=headers) == unseen
    assert answer(asked, role, "/app/strict/page", "POST", {"content-length": "0"})[0] in (200, 204)
    assert answer(asked, role, "/app/open/page", "POST")[0] in (200, 204)
