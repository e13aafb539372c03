"""What replies may hold: which are judged, what is refused, reported or removed, and
that everything else goes out as it did before."""

import json

import pytest

import harness
import servers
from records import AUTHORIZER, STDOUT, Connection, ask, environment, request

# It answers what it is sent, which is a reply with its head, in pieces if there is a pause in it.
ANSWER = """#!/bin/sh
case $PATH_INFO in
*/env) printf 'Content-Type: application/json\\n\\n{"coding":"%s","range":"%s"}' "$HTTP_ACCEPT_ENCODING" "$HTTP_RANGE" ;;
*/slow) while IFS= read -r line; do printf '%s\\n' "$line"; sleep 0.02; done ;;
*/endless) printf 'Content-Type: text/plain\\n\\n'; while :; do echo data || exit; sleep 0.05; done ;;
*/die) head -c 60; kill -9 $$ ;;
*/big) printf 'Content-Type: application/json\\n\\n["'; head -c "$QUERY_STRING" /dev/zero | tr '\\0' x; printf '"]' ;;
*/user) printf 'Content-Type: application/json\\nETag: "v1"\\nContent-Length: 44\\n\\n{"id": 1.50, "name":"O\\\\u0027Brien","hash":0}' ;;
*/nothing) printf 'Status: 204\\n\\n' ;;
*/same) printf 'Status: 304\\nETag: "v1"\\n\\n' ;;
*/moved) printf 'Status: 303\\nLocation: /elsewhere\\n\\n' ;;
*) cat ;;
esac
"""
USER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "number"}, "name": {"type": "string", "maxLength": 8}}}
JSON = b"Content-Type: application/json\n"


def policy(folder):
    program = folder.write("answer", ANSWER, 0o755)
    schema = folder.write("user.json", json.dumps(USER))
    strict = folder.write("strict.json", json.dumps({**USER, "additionalProperties": False}))
    error = {"fields": {"error": {"required": True}}}

    def route(name, replies, **more):
        return {"path": f"/app/{name}/**", "methods": ["GET", "POST"], "replies": replies, "exec": {"program": str(program), "timeout": "20s"}, **more}
    return {"defaults": {"auth": "none", "body": {"max": "20mb"}}, "routes": [
        route("short", str(schema)),
        route("fields", {"fields": {"id": {"type": "number", "required": True}}}),
        route("strict", {"schema": str(strict)}),
        route("strip", {"schema": str(strict), "strip": True}),
        route("report", {"schema": str(strict), "mode": "report", "max": "1kb"}),
        route("report-strip", {"schema": str(schema), "strip": True}, mode="report"),
        route("status", {"statuses": {"200": str(schema), "2XX": "any", "4XX": error, "404": "none"}}),
        route("only", {"statuses": {"default": str(strict)}}, pass_errors=True),
        route("small", {"schema": str(schema), "max": "1kb", "values": 20}),
        route("big", {"statuses": {"200": {"schema": str(folder.write("list.json", json.dumps({"type": "array"})))}}, "max": "30mb"}),
        {"path": "/app/plain/**", "methods": ["GET", "POST"], "exec": str(program)},
    ]}


@pytest.fixture(scope="module")
def guard(start_guard, folder):
    return start_guard(policy(folder), name="replies-content")


@pytest.fixture(scope="module", params=["lighttpd", "nginx"])
def front(request, folder):
    started = servers.start(request.param, folder, policy(folder), name="rc-" + request.param)
    yield started
    started.stop()
    started.guard.stop()


def send(guard, where, reply, **words):
    return ask(guard.address, "POST", f"/app/{where}", reply, **words)


def answers(value):
    return JSON + b"\n" + (value if isinstance(value, bytes) else json.dumps(value).encode())


def refused(guard, reply, *words):
    """A clean 502 with nothing of the program's reply; and why, by the log."""
    assert (reply.status, json.loads(reply.body)["error"]) == (502, "reply_invalid"), reply.raw
    assert sorted(json.loads(reply.body)) == ["error", "message", "requestId"] and reply.complete
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert (entry["guard"], entry["code"], entry["status"], entry["level"]) == ("replies", "reply_invalid", 502, "warning")
    assert all(word in entry["detail"] for word in words), entry
    return entry


# ---- what goes out, and what does not

def test_a_reply_that_fits_goes_out_as_it_was_written(guard):
    body = b'{ "id" : 1.50,\n"name":"\\u0041nn", "more": [1e3] }\n'
    reply = send(guard, "short/a", b"Content-Type: application/json; charset=utf-8\nETag: \"x\"\nX-Own: 1\n\n" + body)
    assert (reply.status, reply.body, reply.get("ETag"), reply.get("X-Own")) == (200, body, '"x"', "1")


@pytest.mark.parametrize("value, words", [
    ({"id": "secret-1"}, ["/id: type: "]), ({"name": "x"}, ["/id: required: "]), ([1], [": type: "]), ({"id": 1, "name": "secret-of-many"}, ["/name: maxLength"]),
    (b'{"id":1,"id":2}', ["json_duplicate"]), (b'{"id":1}{"id":2}', ["json_trailing"]), (b'{"id":1}\n{"id":2}\n', ["json_trailing"]),
    (b'{"id":"\xff"}', ["json_utf8"]), (b'{"id":"\xed\xa0\x80"}', ["json_utf8"]), (b'{"id":1', ["json_incomplete"]), (b"\xef\xbb\xbf{}", ["json_bom"]),
    (b"", ["json_empty"]), (b"{'id':1}", ["json_syntax"]), (b"[" * 600, ["json_depth"]), (b'{"id":NaN}', ["json_"]),
])
def test_a_reply_that_does_not_fit_is_replaced(guard, value, words):
    reply = send(guard, "short/a", b"Set-Cookie: session=secret\n" + answers(value))
    entry = refused(guard, reply, *words)
    assert b"secret" not in reply.raw and "secret" not in json.dumps(entry)


def test_undeclared_members_are_refused(guard):
    assert send(guard, "strict/a", answers({"id": 1, "name": "Ann"})).status == 200
    refused(guard, send(guard, "strict/a", answers({"id": 1, "hash": "x"})), "/hash: additionalProperties")
    refused(guard, send(guard, "fields/a", answers({"id": 1, "hash": "x"})), "/hash: additionalProperties")


@pytest.mark.parametrize("head, word", [
    (b"Content-Type: text/html\n", "not described"), (b"Content-Type: application/x-ndjson\n", "not described"), (b"Status: 200\n", "missing"),
    (b"Content-Type: json\n", "malformed"), (JSON + b"Content-Encoding: gzip\n", "Content-Encoding"), (JSON + b"Content-Encoding: br\n", "Content-Encoding"),
    (b"Content-Type: application/json; charset=latin1\n", "none that can be judged"),
])
def test_what_cannot_be_judged_is_refused(guard, head, word):
    refused(guard, send(guard, "short/a", head + b'\n{"id":1}'), word)


def test_other_replies_than_good_ones_pass_by_the_short_form(guard):
    reply = send(guard, "short/a", b"Status: 404\nContent-Type: text/html\n\n<p>not here")
    assert (reply.status, reply.body) == (404, b"<p>not here")


@pytest.mark.parametrize("head, body, status, word", [
    (b"Status: 200\n" + JSON, b'{"id":1}', 200, None), (b"Status: 200\n" + JSON, b"{}", 502, "/id"), (b"Status: 201\nContent-Type: text/plain\n", b"any", 201, None),
    (b"Status: 400\n" + JSON, b'{"error":"x"}', 400, None), (b"Status: 400\n" + JSON, b'{"id":1}', 502, "/"), (b"Status: 404\n" + JSON, b"{}", 502, "none is described"),
    (b"Status: 404\n" + JSON, b"", 404, None),
    (b"Status: 303\nLocation: /x\n", b"", 303, None), (b"Status: 303\nLocation: /x\n", b"moved", 502, "status is not described"),
    (b"Status: 304\n", b"", 304, None), (b"Status: 204\n", b"", 204, None),
])
def test_by_status(guard, head, body, status, word):
    reply = send(guard, "status/a", head + b"\n" + body)
    if word:
        refused(guard, reply, word)
    else:
        assert (reply.status, reply.body) == (status, body)


def test_errors_that_are_let_through_are_judged(guard):
    assert send(guard, "only/a", b"Status: 500\n" + answers({"id": 1})).status == 500
    refused(guard, send(guard, "only/a", b"Status: 500\n" + answers({"trace": "secret"})), "/")
    assert json.loads(send(guard, "short/a", b"Status: 500\n" + answers({"trace": "secret"})).body)["error"] == "internal_error"


def test_programs_are_not_asked_for_what_cannot_be_judged(guard):
    given = {"Accept-Encoding": "gzip", "Range": "bytes=0-1"}
    assert json.loads(ask(guard.address, uri="/app/plain/env", headers=given).body) == {"coding": "gzip", "range": "bytes=0-1"}
    assert json.loads(ask(guard.address, uri="/app/status/env", headers=given).body)["error"] == "reply_invalid"
    reply = ask(guard.address, uri="/app/report/env", headers=given)
    assert json.loads(reply.body) == {"coding": "", "range": ""}


# ---- bounds

def test_a_reply_that_is_too_large_is_refused(guard):
    assert send(guard, "small/a", answers({"id": 1, "x": "x" * 900})).status == 200
    refused(guard, send(guard, "small/a", answers({"id": 1, "x": "x" * 1100})), "over replies.max")
    refused(guard, send(guard, "small/a", answers({"id": 1, "x": list(range(20))})), "json_values")
    guard.wait_no_programs()


def test_a_program_that_never_ends_is_stopped(guard):
    """Its first byte is enough where no byte may leave."""
    refused(guard, ask(guard.address, uri="/app/short/endless"), "not described")
    guard.wait_no_programs()


def test_large_replies_are_kept_in_the_spool(guard):
    with guard.leaves_nothing():
        reply = ask(guard.address, uri="/app/big/big?%d" % (10 << 20), timeout=60)
        assert reply.status == 200 and len(reply.body) == (10 << 20) + 4 and reply.complete


def test_a_program_that_dies_has_sent_nothing(guard):
    """With a Content-Length the reply is known to be cut; without one, its half is no JSON."""
    reply = send(guard, "short/die", b"Content-Length: 100\n" + answers(b'{"id":1,"name":"half of it' + b" " * 60))
    assert (reply.status, json.loads(reply.body)["error"], reply.complete) == (502, "bad_reply", True)
    reply = send(guard, "short/die", answers(b'{"id":1,"name":"half of it' + b" " * 60))
    refused(guard, reply, "json_")
    reply = send(guard, "report/die", b"Content-Length: 100\n" + answers(b'{"id":1,"name":"half of it' + b" " * 60))
    assert reply.status == 200 and reply.body.startswith(b'{"id":1') and not reply.complete


def test_a_program_that_writes_in_pieces(guard):
    lines = b"Content-Type: application/json\n\n{\n" + b"".join(b'"k%d": 1,\n' % i for i in range(20)) + b'"id": 1\n}\n'
    reply = send(guard, "short/slow", lines)
    assert reply.status == 200 and len(json.loads(reply.body)) == 21


def test_a_client_that_goes_away_leaves_nothing(guard):
    body = b"Content-Type: application/json\n\n" + b"[1,\n" * 1000
    with guard.leaves_nothing(), Connection(guard.address) as connection:
        connection.send(request(environment("POST", "/app/short/slow", body=body), body))
        harness.wait_until(guard.programs)


# ---- report

def test_what_is_only_reported_goes_out_byte_for_byte(guard):
    body = b'{"id":"1","hash":\n[]}'
    reply = send(guard, "report/a", JSON + b"Content-Length: 21\nETag: \"x\"\n\n" + body)
    assert (reply.status, reply.body, reply.get("ETag"), reply.get("Content-Length")) == (200, body, '"x"', "21")
    entry = guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))
    assert (entry["guard"], entry["code"]) == ("replies", "reply_invalid") and "/id: type" in entry["detail"]
    assert guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))["status"] == 200


@pytest.mark.parametrize("head, size, word", [(JSON, 100000, "over replies.max"), (b"Content-Type: text/html\n", 100000, "not described")])
def test_what_is_only_reported_is_never_lost(guard, head, size, word):
    body = b"x" * size
    reply = send(guard, "report/a", head + b"\n" + body)
    assert (reply.status, reply.complete) == (200, True) and reply.body == body
    assert word in guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))["detail"]


@pytest.mark.parametrize("where", ["report", "plain"])
def test_what_need_not_be_kept_streams(guard, where):
    """Also what is refused by its head alone, and only reported, does not wait for its end, which never comes."""
    with guard.leaves_nothing(), Connection(guard.address) as connection:
        connection.send(request(environment("GET", f"/app/{where}/endless")))
        seen = b""
        while b"data\ndata\n" not in seen:
            kind, _, content = connection.record()
            assert kind == STDOUT
            seen += content


def test_strip_is_reported_where_replies_only_are(guard):
    body = b'{"id": 1, "hash": "x"}'
    reply = send(guard, "report-strip/a", JSON + b"\n" + body)
    assert (reply.status, reply.body) == (200, body)
    assert "/hash: is not declared" in guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))["detail"]
    reply = send(guard, "report-strip/a", answers({"id": 1}))
    guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert not guard.entries(event="reported", requestId=reply.get("X-Request-ID"))


# ---- strip

def test_strip_removes_what_is_not_declared(guard):
    head = JSON + b'ETag: "x"\nDigest: x\nContent-MD5: x\nRepr-Digest: x\nContent-Range: bytes 0-9/10\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\n'
    reply = send(guard, "strip/a", head + b'\n{ "hash": {"id":[1,{}]}, "id" : 1.50 ,"x":"}", "name":"\\u0041" }\n')
    assert (reply.status, reply.body) == (200, b'{ "id" : 1.50 , "name":"\\u0041" }\n')
    assert not any(reply.get(name) for name in ("ETag", "Digest", "Content-MD5", "Content-Range", "Repr-Digest")) and reply.get("Last-Modified")
    assert reply.get("Content-Length") == str(len(reply.body))


def test_strip_leaves_alone_what_is_declared(guard):
    reply = send(guard, "strip/a", JSON + b'ETag: "x"\n\n{"id" : 1.50 }')
    assert (reply.status, reply.body, reply.get("ETag")) == (200, b'{"id" : 1.50 }', '"x"')


def test_what_is_left_is_judged(guard):
    refused(guard, send(guard, "strip/a", answers({"hash": 1})), "/id: required")
    refused(guard, send(guard, "strip/a", answers({"id": "x", "hash": 1})), "/id: type")


# ---- web servers

def test_through_a_web_server(front):
    reply = front.fetch("/app/strip/user")
    assert (reply.status, reply.body) == (200, b'{"id": 1.50, "name":"O\\u0027Brien"}') and not reply.get("ETag")
    assert json.loads(front.fetch("/app/strict/user").body)["error"] == "reply_invalid"
    assert (front.fetch("/app/strict/nothing").status, front.fetch("/app/strict/same").status) == (204, 304)
    assert (front.fetch("/app/status/moved").status, front.fetch("/app/status/moved").body) == (303, b"")
    big = front.fetch("/app/big/big?3000000", timeout=60)
    assert (big.status, len(big.body)) == (200, 3000004)


def test_head_through_a_web_server(front):
    reply = front.fetch("/app/report-strip/user", method="HEAD")
    assert (reply.status, reply.body, reply.get("ETag"), reply.get("Content-Length")) == (200, b"", '"v1"', "44")
    reply = front.fetch("/app/strip/user", method="HEAD")
    assert (reply.status, reply.body, reply.get("ETag"), reply.get("Content-Length")) == (200, b"", None, None)
    assert front.fetch("/app/strict/moved", method="HEAD").status == 303
    assert front.fetch("/app/plain/user", method="HEAD").get("ETag") == '"v1"'


# ---- what only asks

def test_a_web_server_that_only_asks_does_not_show_replies(start_guard, folder):
    """A route whose replies are judged cannot be served by others."""
    given = policy(folder)
    guard = start_guard({"authorizer": True, **given}, name="replies-asked")
    for where, status in (("short", 403), ("report", 200), ("plain", 200)):
        with Connection(guard.address) as connection:
            connection.send(request(environment("GET", f"/app/{where}/user"), role=AUTHORIZER))
            assert connection.reply().status == status, where
