"""The FastCGI protocol, spoken by a peer that makes every mistake there is:
no crash, no program run that was not asked for, and still served."""

import json
import random
import socket
import struct
import time
import zlib

import pytest

import harness
import records
from records import Connection, ask, environment, raw


@pytest.fixture(scope="module")
def guard(start_guard, helper):
    return start_guard({
        "threads": 4,
        "timeouts": {"read": "3s", "write": "10s", "idle": "3s", "drain": "5s"},
        "defaults": {"auth": "none"},
        "routes": [
            {"path": "/app/h/**", "methods": ["GET", "POST"], "body": "4mb", "exec": helper},
            {"path": "/app/small", "methods": ["POST"], "body": "100b", "content_types": "application/json",
             "exec": helper},
            {"path": "/app/hosts", "methods": ["POST"], "hosts": "only.example.com", "exec": helper},
        ]})


@pytest.fixture(autouse=True)
def same_worker(guard):
    """After each test the same worker serves, and nothing forged has run."""
    worker = guard.worker()
    yield
    assert guard.worker() == worker, "the worker died:\n" + guard.text()[-3000:]
    reply = ask(guard.address)
    assert (reply.status, reply.body) == (200, b"hello\n")
    assert not [entry for entry in guard.log() if "forged" in str(entry.get("path"))]


def connect(guard, timeout=60):
    return Connection(guard.address, timeout)


def is_served(connection, number=1):
    reply = connection.ask(number=number)
    assert reply.complete and (reply.status, reply.body) == (200, b"hello\n")


# ---- as it should be

def test_reply_is_complete(guard):
    reply = ask(guard.address)
    assert reply.complete
    assert (reply.application_status, reply.protocol_status) == (0, records.COMPLETE)
    assert reply.raw.startswith(b"Status: 200 ")


def test_kept_connection(guard):
    with connect(guard) as connection:
        for number in (1, 2, 65535, 1):
            is_served(connection, number)


def test_connection_is_closed_when_not_kept(guard):
    with connect(guard) as connection:
        assert connection.ask(keep=False).complete
        assert connection.closed()


def test_two_requests_at_once_one_after_another(guard):
    """The second comes before the first is answered."""
    with connect(guard) as connection:
        connection.send(records.request(environment(uri="/app/h/slow?200"), keep=True)
                        + records.request(environment(uri=raw("Status: 201\n\nsecond")), keep=True))
        assert connection.reply().body == b"hello\n"
        assert connection.reply().body == b"second"


def test_byte_by_byte(guard):
    data = records.request(environment(method="POST", uri="/app/h/count", body=b"abc"), b"abc")
    with connect(guard) as connection:
        for at in range(len(data)):
            connection.send(data[at:at + 1])
        assert connection.reply().body.split() == [b"3", b"%d" % zlib.crc32(b"abc")]


def test_small_records_and_padding(guard):
    body = bytes(range(256)) * 40
    params = records.pairs(environment(method="POST", uri="/app/h/count", body=body))
    data = records.begin()
    for at in range(0, len(params), 7):
        data += records.record(records.PARAMS, params[at:at + 7], padding=at % 256)
    data += records.record(records.PARAMS)
    for at in range(0, len(body), 1000):
        data += records.record(records.STDIN, body[at:at + 1000], padding=255)
    data += records.record(records.STDIN, padding=8)
    with connect(guard) as connection:
        connection.send(data)
        assert connection.reply().body.split() == [b"10240", b"%d" % zlib.crc32(body)]


def test_long_names_and_values(guard):
    """Lengths of 127, 128 and more have another form."""
    for length in (126, 127, 128, 300, 5000):
        reply = ask(guard.address, uri="/app/h/inspect", headers={"X-Long": "v" * length})
        assert f"HTTP_X_LONG={'v' * length}" in json.loads(reply.body)["environment"]


# ---- management records

def values(names, number=0):
    return records.record(records.GET_VALUES, records.pairs([(name, "") for name in names]), number)


KNOWN = ["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"]


@pytest.mark.parametrize("names", [[], KNOWN[:1], KNOWN, KNOWN + KNOWN, KNOWN * 7, ["UNKNOWN"], KNOWN + ["OTHER"] * 9])
def test_get_values(guard, names):
    with connect(guard) as connection:
        connection.send(values(names))
        kind, number, content = connection.record()
        assert (kind, number) == (records.GET_VALUES_RESULT, 0)
        found = {}
        while content:
            name_length, value_length = content[0], content[1]
            name = content[2:2 + name_length].decode()
            found[name] = content[2 + name_length:2 + name_length + value_length].decode()
            content = content[2 + name_length + value_length:]
        assert set(found) == set(names) & set(KNOWN)
        assert found.get("FCGI_MPXS_CONNS", "0") == "0"
        is_served(connection)


def test_get_values_in_the_middle_of_a_request(guard):
    params = records.pairs(environment(method="POST", uri="/app/h/count", body=b"abc"))
    pieces = [records.begin(), records.record(records.PARAMS, params[:50]), records.record(records.PARAMS, params[50:]),
              records.record(records.PARAMS), records.record(records.STDIN, b"a"), records.record(records.STDIN, b"bc"),
              records.record(records.STDIN)]
    for place in range(1, len(pieces)):
        with connect(guard) as connection:
            connection.send(b"".join(pieces[:place]) + values(KNOWN) + b"".join(pieces[place:]))
            answers = []
            while len(answers) < 2:
                got = connection.record()
                assert got, f"closed, with GET_VALUES behind piece {place}"
                if got[0] in (records.END, records.GET_VALUES_RESULT):
                    answers.append(got[0])
            assert sorted(answers) == [records.END, records.GET_VALUES_RESULT]


@pytest.mark.parametrize("content", [
    b"\xbf\xff\xff\xff\xbf\xff\xff\xff", b"\xff\xff\xff\xff", b"\x0e", b"\x80", b"\x0e\x00FCGI", b"\x05\x05abcde",
    b"\xbf\xff\xff\xff\x00FCGI_MAX_CONNS", b"\xff" * 65535])
def test_get_values_malformed(guard, content):
    with connect(guard) as connection:
        connection.send(records.record(records.GET_VALUES, content, 0))
        got = connection.record()
        assert got is None or got[0] == records.GET_VALUES_RESULT


@pytest.mark.parametrize("kind", [0, 12, 77, 255])
def test_unknown_management_record(guard, kind):
    """FastCGI, 4.2: answered by FCGI_UNKNOWN_TYPE."""
    with connect(guard) as connection:
        connection.send(records.record(kind, b"whatever", 0))
        got = connection.record()
        if got is not None:
            assert got[0] == records.UNKNOWN and got[2][0] == kind
            is_served(connection)


# ---- wrong from the start

@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_unknown_version(guard, version):
    with connect(guard) as connection:
        connection.send(records.begin(version=version)
                        + records.stream(records.PARAMS, records.pairs(environment())) + records.record(records.STDIN))
        assert not connection.reply().status


@pytest.mark.parametrize("role", [0, 2, 3, 4, 255, 65535])
def test_unknown_role(guard, role):
    with connect(guard) as connection:
        connection.send(records.request(environment(), keep=True, role=role))
        reply = connection.reply()
        assert not reply.status
        if reply.complete:
            assert reply.protocol_status == records.UNKNOWN_ROLE


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 64, b"\xff" * 64,
    records.record(records.BEGIN, b"\0\1\0\0\0\0\0\0", 0), records.record(records.BEGIN, b"", 1),
    records.record(records.BEGIN, b"\0\1", 1), records.record(records.BEGIN, b"\0\1" + b"\0" * 60000, 1),
    records.record(records.PARAMS, b"\1\1ab", 1), records.record(records.STDIN, b"abc", 1),
    records.record(records.END, b"\0" * 8, 1), records.record(records.STDOUT, b"Status: 200\r\n\r\n", 1),
    records.record(records.ABORT, b"", 1)])
def test_not_a_request(guard, data):
    with connect(guard) as connection:
        connection.try_send(data)
        connection.socket.shutdown(socket.SHUT_WR)
        got = connection.record()
        while got:
            assert got[0] in (records.END, records.UNKNOWN), f"a record of type {got[0]}"
            got = connection.record()


def test_second_request_beside_the_first(guard):
    """Not multiplexed: the second is told so, or waits; the first is served."""
    params = records.pairs(environment())
    with connect(guard) as connection:
        connection.send(records.begin(1, keep=True) + records.stream(records.PARAMS, params, 1) + records.begin(2)
                        + records.stream(records.PARAMS, params, 2) + records.record(records.STDIN, b"", 2)
                        + records.record(records.STDIN, b"", 1))
        ended = {}
        while 1 not in ended:
            got = connection.record()
            if got is None:
                break
            if got[0] == records.END:
                ended[got[1]] = got[2][4]
        assert ended.get(1, records.COMPLETE) == records.COMPLETE
        assert ended.get(2, records.CANT_MULTIPLEX) == records.CANT_MULTIPLEX


def test_records_of_requests_that_are_not_there(guard):
    """FastCGI, 3.3: ignored."""
    with connect(guard) as connection:
        connection.send(records.begin(keep=True) + records.record(records.STDIN, b"xyz", 9)
                        + records.stream(records.PARAMS, records.pairs(environment())) + records.record(records.ABORT, b"", 9)
                        + records.record(records.STDIN))
        reply = connection.reply()
        assert not reply.status or reply.body == b"hello\n"


# ---- parameters

def head(connection, content, keep=True, body=b""):
    connection.try_send(records.begin(keep=keep) + records.stream(records.PARAMS, content)
                        + records.stream(records.STDIN, body))
    return connection.reply()


@pytest.mark.parametrize("tail", [
    b"\xbf\xff\xff\xff\xbf\xff\xff\xff", b"\xff\xff\xff\xff\x01", b"\x01\xff\xff\xff\xff", b"\x80", b"\x05", b"\x05\x05abc",
    b"\x80\x00\x00", b"\xbf\xff\xff\xff\x00a", b"\x00\xbf\xff\xff\xff"])
def test_lengths_that_run_past_the_end(guard, tail):
    with connect(guard) as connection:
        reply = head(connection, records.pairs(environment(uri="/app/h/hello/forged")) + tail)
        assert reply.status in (0, 400)
    with connect(guard) as connection:
        reply = head(connection, tail)
        assert reply.status in (0, 400)


def test_parameters_cut_at_a_pair(guard):
    """A head that ends on a pair's edge but not by the empty record was never complete."""
    content = records.pairs(environment(uri="/app/h/hello/forged"))
    for ending in (b"", records.record(records.ABORT)):
        with connect(guard) as connection:
            connection.send(records.begin() + records.record(records.PARAMS, content) + ending)
            connection.socket.shutdown(socket.SHUT_WR)
            assert not connection.reply().status


def test_two_hundred_thousand_parameters(guard):
    content = records.pairs([(f"P{n}", "x") for n in range(200000)])
    with connect(guard) as connection:
        reply = head(connection, records.pairs(environment(uri="/app/h/hello/forged")) + content)
        assert reply.status in (0, 431)
    assert harness.memory(guard.worker()) < (600000 if harness.SANITIZED else 120000)


def test_head_too_large(guard):
    with connect(guard) as connection:
        reply = connection.ask(environment(headers={"X-Big": "x" * 70000}))
        assert reply.status in (0, 431)
    reply = ask(guard.address, headers={"X-Big": "x" * 9000})
    assert (reply.status, json.loads(reply.body)["error"]) == (431, "header_too_large")
    reply = ask(guard.address, headers={f"X-{n}": "x" for n in range(101)})
    assert (reply.status, json.loads(reply.body)["error"]) == (431, "headers_too_many")


@pytest.mark.parametrize("more, code", [
    ([("HTTP_X_A", b"a\0b")], "header_value"), ([("HTTP_X_A", b"a\nb")], "header_value"),
    ([("HTTP_X_A", b"a\rb")], "header_value"), ([("HTTP_X_A", b"a\x7fb")], "header_value"),
    ([("HTTP_x_a", b"1")], "header_name"), ([("HTTP_X-A", b"1")], "header_name"), ([("HTTP_X_A%%", b"1")], "header_name"),
    ([("HTTP_", b"1")], "header_name"), ([("HTTP_X=A", b"1")], "header_name"), ([("HTTP_X\0A", b"1")], "header_name"),
    ([("HTTP_X_A", b"1"), ("HTTP_X_A", b"2")], "header_duplicate"),
    ([("HTTP_HOST", "evil.example")], "host_duplicate"),
    ([("HTTP_AUTHORIZATION", "Basic x"), ("HTTP_AUTHORIZATION", "Basic y")], "header_duplicate"),
    ([("HTTP_TRANSFER_ENCODING", "chunked"), ("HTTP_CONTENT_LENGTH", "0")], "transfer_encoding"),
    ([("HTTP_TRANSFER_ENCODING", "gzip, chunked")], "transfer_encoding"),
    ([("CONTENT_LENGTH", "-2")], "content_length_invalid"), ([("CONTENT_LENGTH", "1x")], "content_length_invalid"),
    ([("CONTENT_LENGTH", "99999999999999999999")], "content_length_invalid"),
    ([("CONTENT_LENGTH", "0"), ("HTTP_CONTENT_LENGTH", "5")], "content_length_invalid"),
])
def test_headers_that_mean_trouble(guard, more, code):
    with connect(guard) as connection:
        reply = connection.ask(environment(uri="/app/h/hello/refused", more=more))
        assert reply.status == 400, (reply.status, reply.body)
        assert json.loads(reply.body)["error"] == code
        is_served(connection)


def test_parameters_that_mean_nothing(guard):
    """Names no variable may have are not handed on, whoever sent them."""
    more = [("", "empty"), ("=X", "1"), ("BASH_FUNC_ls%%", "() { :; }"), ("LD_PRELOAD", "/x.so"), ("PHP_VALUE", "x=y"),
            ("path", "/tmp"), ("PATH", "/tmp"), ("IFS", "x"), ("REMOTE_USER", "admin"), ("A\nB", "1"), ("HTTPS_X", "1"),
            ("REMOTE_ADDR", "203.0.113.1"), ("REQUEST_METHOD", "DELETE"), ("SCRIPT_FILENAME", "/bin/sh"),
            ("PATH_INFO", "/sleep")]
    reply = ask(guard.address, params=environment(uri="/app/h/inspect", more=more))
    if reply.status == 400:
        return
    seen = dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])
    assert seen["REQUEST_METHOD"] == "GET" and seen["REMOTE_ADDR"] == "127.0.0.1"
    assert not {"", "BASH_FUNC_ls%%", "LD_PRELOAD", "PHP_VALUE", "path", "IFS", "REMOTE_USER", "A\nB"} & set(seen)
    assert seen["PATH"] != "/tmp" and seen["PATH_INFO"] == "/inspect" and seen["SCRIPT_FILENAME"].endswith("helper")


@pytest.mark.parametrize("replace, code, status", [
    ({"REQUEST_METHOD": None}, "method_invalid", 400), ({"REQUEST_METHOD": ""}, "method_invalid", 400),
    ({"REQUEST_METHOD": "GE T"}, "method_invalid", 400), ({"REQUEST_URI": None}, "target_missing", 400),
    ({"REQUEST_URI": "/app/h/" + "x" * 9000}, "target_too_long", 414),
    ({"REQUEST_URI": "app/h/hello"}, "path_not_absolute", 400), ({"REQUEST_URI": "*"}, "path_not_absolute", 400),
    ({"REQUEST_URI": "/app/h/%00"}, "path_nul", 400), ({"REQUEST_URI": "/app/h/%0a"}, "path_control_character", 400),
    ({"REQUEST_URI": "/app/h/\n"}, "path_control_character", 400), ({"REQUEST_URI": "/app/h/%2f"}, "path_encoded_slash", 400),
    ({"REQUEST_URI": "/app/h/%5C"}, "path_encoded_slash", 400), ({"REQUEST_URI": "/app/h/\\"}, "path_encoded_slash", 400),
    ({"REQUEST_URI": "/app/h/%c0%af"}, "path_bad_utf8", 400), ({"REQUEST_URI": "/app/h/%e0%80%af"}, "path_bad_utf8", 400),
    ({"REQUEST_URI": "/app/h/%ed%a0%80"}, "path_bad_utf8", 400), ({"REQUEST_URI": "/app/h/%ff"}, "path_bad_utf8", 400),
    ({"REQUEST_URI": "/app/h/%"}, "path_bad_escape", 400), ({"REQUEST_URI": "/app/h/%1"}, "path_bad_escape", 400),
    ({"REQUEST_URI": "/app/h/%g1"}, "path_bad_escape", 400), ({"REQUEST_URI": "/../app/h/hello"}, "path_above_root", 400),
    ({"REQUEST_URI": "/app/%2e%2e/%2E./etc/passwd"}, "path_above_root", 400),
    ({"REQUEST_URI": "/app/h/.git/config"}, "dotfile", 404), ({"REQUEST_URI": "/app/h/%2ehtaccess"}, "dotfile", 404),
    ({"REQUEST_URI": "/app/h/hello/..;/x"}, "dotfile", 404),
    ({"HTTP_HOST": "a b"}, "host_invalid", 400), ({"HTTP_HOST": "a/b"}, "host_invalid", 400),
    ({"HTTP_HOST": "user@host"}, "host_invalid", 400), ({"HTTP_HOST": "host:99999"}, "host_invalid", 400),
])
def test_targets_that_mean_trouble(guard, replace, code, status):
    with connect(guard) as connection:
        reply = connection.ask(environment(replace=replace))
        assert (reply.status, json.loads(reply.body)["error"]) == (status, code)
        is_served(connection)


@pytest.mark.parametrize("target, path_info", [
    ("/app//h///inspect", "/inspect"), ("/app/./h/./inspect/.", "/inspect/"), ("/app/x/../h/inspect", "/inspect"),
    ("/app/x/%2e%2e/h/inspect", "/inspect"), ("/%61pp/h/inspect/%41", "/inspect/A"), ("//app/h/inspect", "/inspect"),
    ("/app/h/inspect/", "/inspect/"), ("/app/h/inspect/%25%32%65", "/inspect/%2e"), ("/app/h/inspect/a+b", "/inspect/a+b"),
    ("/app/h/inspect/%e2%82%ac", "/inspect/\u20ac"), ("http://localhost/app/h/inspect", "/inspect"),
])
def test_one_form_of_a_path(guard, target, path_info):
    reply = ask(guard.address, params=environment(uri=target))
    assert reply.status == 200, reply.body
    seen = dict(entry.split("=", 1) for entry in json.loads(reply.body)["environment"])
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"].encode("latin-1").decode()) == ("/app/h", path_info)


# ---- bodies

def test_body_shorter_than_stated(guard):
    with connect(guard) as connection:
        params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "10"})
        connection.send(records.request(params, b"short", keep=True))
        reply = connection.reply()
        assert reply.status in (0, 400, 502)
        assert b"5 " not in reply.body


def test_body_longer_than_stated(guard):
    with connect(guard) as connection:
        params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "3"})
        connection.send(records.request(params, b"longer than three", keep=True))
        reply = connection.reply()
        assert reply.status in (0, 400) or reply.body.startswith(b"3 ")


@pytest.mark.parametrize("length", [None, "", "-1"])
def test_body_without_length(guard, length):
    """Not stated, as by nginx, or -1, as by Caddy."""
    with connect(guard) as connection:
        params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": length})
        connection.send(records.request(params, b"x" * 100000, keep=True))
        assert connection.reply().body.startswith(b"100000 ")
        is_served(connection)


def test_client_goes_in_the_middle_of_a_body(guard):
    with guard.leaves_nothing():
        for _ in range(5):
            with connect(guard) as connection:
                params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "100000"})
                connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                                + records.record(records.STDIN, b"x" * 1000))


def test_abort(guard):
    """FastCGI, 5.4: the request ends, its program too."""
    with guard.leaves_nothing():
        with connect(guard) as connection:
            connection.send(records.request(environment(uri="/app/h/sleep"), keep=True))
            harness.wait_until(guard.programs, 5, "the program runs")
            connection.send(records.record(records.ABORT))
            assert connection.reply().status in (0, 502, 504)


def forged(number=1):
    """A whole request, as it would look inside a body."""
    return records.request(environment(uri=raw("Status: 200\n\nforged-answer").replace("?", "/forged?"),
                                       replace={"REMOTE_USER": "ADMIN-FORGED"}), keep=True, number=number)


EARLY = [
    ({"method": "POST", "uri": "/app/none"}, 404), ({"method": "DELETE", "uri": "/app/small"}, 405),
    ({"method": "POST", "uri": "/app/small"}, 413),
    ({"method": "POST", "uri": "/app/small", "headers": {"Content-Type": "text/xml"}, "small": True}, 415),
    ({"method": "POST", "uri": "/app/hosts", "headers": {"Host": "evil.example"}}, 400),
    ({"method": "POST", "uri": "/app/h/%00"}, 400), ({"method": "POST", "uri": "/app/.git"}, 404),
]


@pytest.mark.parametrize("words, status", EARLY)
@pytest.mark.parametrize("pause", [0, 0.1], ids=["at once", "later"])
@pytest.mark.parametrize("size", [80, 4000, 300000])
def test_early_refusal_is_no_way_in(guard, words, status, pause, size):
    """The body of a refused request is a request of its own, to a parser that
    starts at the wrong place. It must never run, and the next is served."""
    words = dict(words)
    if words.pop("small", False):
        size = 80
    elif status == 413:
        size = max(size, 4000)
    body = (forged() * (1 + size // len(forged())))[:size]
    with connect(guard) as connection:
        for _ in range(2):
            params = environment(body=body, **words)
            connection.send(records.begin(keep=True) + records.stream(records.PARAMS, records.pairs(params)))
            if pause:
                time.sleep(pause)
            connection.send(records.stream(records.STDIN, body, piece=min(len(body) // 3 + 1, 65535)))
            reply = connection.reply()
            assert reply.status == status, (reply.status, reply.body)
            assert reply.complete and b"forged-answer" not in reply.raw
            is_served(connection)


def test_early_refusal_ends_where_nothing_is_kept(guard):
    """nginx hands a small reply on at the connection's end alone, and sends no more until then."""
    with connect(guard) as connection:
        params = environment(method="POST", uri="/app/none", replace={"CONTENT_LENGTH": "400000"})
        piece = records.record(records.STDIN, b"z" * 50000)
        connection.send(records.begin(keep=False) + records.stream(records.PARAMS, records.pairs(params)) + 2 * piece)
        assert connection.reply().status == 404
        assert connection.closed()
        for _ in range(2):  # it is read all the same
            connection.send(piece)


def test_early_refusal_of_a_body_that_never_ends(guard):
    """The rest of a refused body is not read for ever."""
    with connect(guard) as connection:
        params = environment(method="POST", uri="/app/none", replace={"CONTENT_LENGTH": str(1 << 40)})
        connection.send(records.begin(keep=True) + records.stream(records.PARAMS, records.pairs(params)))
        reply_end = time.monotonic() + 20
        sent = 0
        piece = records.record(records.STDIN, b"z" * 65535)
        connection.socket.settimeout(5)
        try:
            while time.monotonic() < reply_end and sent < 2 << 30:
                connection.send(piece)
                sent += 65535
        except OSError:
            pass
        assert sent < 2 << 30, "two gigabytes of a refused body were read"


# ---- silence

def test_idle_connection_is_closed(guard):
    with connect(guard) as connection:
        started = time.monotonic()
        is_served(connection)
        assert connection.closed()
        assert time.monotonic() - started > 2


@pytest.mark.parametrize("data", [
    b"\x01", records.begin()[:8], records.begin()[:12], records.begin(),
    records.begin() + records.record(records.PARAMS, records.pairs(environment()))[:40],
    records.begin() + records.record(records.PARAMS, records.pairs(environment())),
])
def test_silence_in_the_middle_of_a_head(guard, data):
    with connect(guard) as connection:
        connection.send(data)
        reply = connection.reply()
        assert reply.status in (0, 408)


def test_silence_in_the_middle_of_a_body(guard):
    with guard.leaves_nothing():
        with connect(guard) as connection:
            params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "100"})
            connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                            + records.record(records.STDIN, b"x" * 50))
            reply = connection.reply()
            assert reply.status in (0, 408), (reply.status, reply.body)


# ---- at random

def mutated(dice, data):
    data = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        what = dice.randrange(5)
        at = dice.randrange(len(data))
        if what == 0:
            data[at] = dice.randrange(256)
        elif what == 1:
            data[at] ^= 1 << dice.randrange(8)
        elif what == 2:
            del data[at:at + dice.randint(1, 20)]
        elif what == 3:
            data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 20)))
        else:
            data[at:at + 4] = struct.pack(">I", dice.choice([0x3fffffff, 0xbfffffff, 0xffffffff, 0x80000000, 0]))
        if not data:
            data = bytearray(b"\x01")
    return bytes(data)


def test_mutated_requests(guard):
    dice = random.Random(20240229)
    whole = (records.request(environment(method="POST", uri="/app/h/count", body=b"abc" * 30), b"abc" * 30, keep=True)
             + values(KNOWN) + records.request(environment(), keep=True))
    waiting = []
    for _ in range(int(1500 * harness.SCALE)):
        connection = connect(guard)
        connection.try_send(mutated(dice, whole))
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        waiting.append(connection)
        if len(waiting) > 400:
            old = waiting.pop(0)
            while old.record():
                pass
            old.close()
    for connection in waiting:
        while connection.record():
            pass
        connection.close()
    guard.wait_no_programs()
