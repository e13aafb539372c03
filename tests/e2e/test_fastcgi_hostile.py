"""Applications that break the protocol, fall silent, are full, or end: each request
gets the stated answer, and nothing of one reply is ever seen in the next."""

import itertools
import json
import os
import socket
import threading
import time

import pytest

import harness
import records
import scripted
from records import END, STDERR, STDOUT, Connection, ask, environment, record
from scripted import answer, ending, head

BODY = b"canary stray"
WHOLE = record(STDOUT, head() + BODY, padding=3) + record(STDOUT) + ending(padding=5)


# ---- what it says, by name

def says(data, then=None):
    def script(request):
        request.send(data)
        return then
    return script


def silent_behind(data):
    def script(request):
        request.send(data)
        request.peer.recv(1)  # until the other side closes
        return "close"
    return script


def cut_at(request):
    request.send(WHOLE[:int(request.params["QUERY_STRING"])])
    return "close"


def split_at(request):
    at = int(request.params["QUERY_STRING"])
    request.send(WHOLE[:at])
    time.sleep(0.001)  # two packets; whether they come apart does not change the outcome
    request.send(WHOLE[at:])


def bad_byte(request):
    at, value = map(int, request.params["QUERY_STRING"].split(b"-"))
    request.send(WHOLE[:at] + bytes([value]) + WHOLE[at + 1:])
    return "close"


def padded(request):
    for byte in head() + b"canary " + request.canary:
        request.send(record(STDOUT, bytes([byte]), padding=255))
    request.send(record(STDOUT, b"", padding=255) + ending(padding=255))


def many_empty(request):
    try:
        for _ in range(1000):
            request.send(record(STDERR) * 1000)
    except OSError:
        return "close"
    request.reply()
    return None


def some_empty(request):
    request.send(record(STDERR) * 900 + answer(b"canary " + request.canary))


def long_headers(request):
    try:
        while True:
            request.send(record(STDOUT, b"X-A: " + b"a" * 60000 + b"\r\n"))
    except OSError:
        return "close"


def dies_second_time(request):
    if request.number:
        return "close"
    return request.reply()


def answers_once(request):
    """Ever; whoever asks again finds the connection closed, a new one, too."""
    if once.acquire(blocking=False):
        return request.reply()
    return "close"


def counts(request):
    return request.reply(b"%d" % request.number)


def answers_first(request):
    """Before it has read the body, most of which is then in its way."""
    request.piece()
    request.reply(b"canary " + request.canary + b"x" * 300000)
    try:
        while request.piece():
            pass
    except scripted.Gone:
        return "close"


def thinks(request):
    time.sleep(1)  # longer than the route's `silence`
    request.reply()


def retires(request):
    """The end of the reply comes before that of the connection."""
    request.reply()
    time.sleep(0.1)
    request.peer.shutdown(socket.SHUT_WR)
    while request.peer.recv(65536):
        pass
    return "close"


def turns_deaf(request):
    """Reads no second request, and ends once it is told to."""
    if request.number == 0 and request.params["REQUEST_METHOD"] == b"GET":
        request.reply()
        request.peer.shutdown(socket.SHUT_RD)
        leave.wait(60)
        return "close"
    return echoes(request)


def echoes(request):
    request.send(record(STDOUT, head()))
    while True:
        piece = request.piece()
        if not piece:
            break
        request.send(record(STDOUT, piece))
    request.send(ending())


leave = threading.Event()  # tells turns_deaf()
once = threading.Semaphore(1)

SCRIPTS = {
    "once": answers_once, "retires": retires, "thinks": thinks, "deaf": turns_deaf,
    "cut": cut_at, "split": split_at, "byte": bad_byte, "padded": padded, "many-empty": many_empty,
    "some-empty": some_empty, "long-headers": long_headers, "second": dies_second_time, "counts": counts,
    "first": answers_first, "echo": echoes,
    "other-id": says(answer(BODY, request=2)), "id-0": says(answer(BODY, request=0)),
    "other-id-end": says(record(STDOUT, head() + BODY) + ending(request=2)),
    "unknown-type": says(record(11, b"\0" * 8, 0) + WHOLE), "get-values": says(record(9, b"", 0) + WHOLE),
    "version": says(record(STDOUT, head() + BODY, version=2) + ending()),
    "short-end": says(record(STDOUT, head() + BODY) + record(END, b"\0" * 4)),
    "long-end": says(record(STDOUT, head() + BODY) + record(END, b"\0" * 12)),
    "only-end": says(ending()), "end-in-head": says(record(STDOUT, b"Content-Type: a/b\r\n") + ending()),
    "behind-stream": says(record(STDOUT, head()) + record(STDOUT) + record(STDOUT, BODY) + ending()),
    "garbage": says(WHOLE + b"garbage" * 10), "second-reply": says(WHOLE + WHOLE),
    "stderr-only": says(record(STDERR, b"line one\nline two") + ending(3)),
    "status": says(record(STDOUT, head() + b"fine") + ending(7)),
    "overloaded": says(ending(protocol=2)), "multiplex": says(ending(protocol=1)), "role": says(ending(protocol=3)),
    "strange-end": says(record(STDOUT, head()) + ending(protocol=9)),
    "longer": says(answer(b"abcdef" + BODY, more=b"Content-Length: 6\r\n")),
    "shorter": says(answer(b"abc", more=b"Content-Length: 6\r\n")),
    "too-much": says(answer(b"x" * 70000)), "too-much-said": says(answer(b"x", more=b"Content-Length: 70000\r\n")),
    "no-colon": says(record(STDOUT, b"nonsense\r\n\r\n") + ending()),
    "silent": silent_behind(b""), "silent-in-record": silent_behind(WHOLE[:4]),
    "silent-in-head": silent_behind(record(STDOUT, b"Content-Type: a/b\r\n")),
    "silent-in-body": silent_behind(record(STDOUT, head() + b"begun")),
    "silent-before-end": silent_behind(record(STDOUT, head() + b"begun") + record(STDOUT)),
    "silent-errors": silent_behind(record(STDERR, b"said\n")),
    "steers": says(answer(b"", more=b"X-Sendfile: /etc/passwd\r\nX-Other: 1\r\n")),
}


@pytest.fixture(scope="module")
def backend(folder):
    made = scripted.Scripted(str(folder.writable("run") / "app.sock"), SCRIPTS, ("first", "echo", "deaf"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def guard(start_guard, backend, folder):
    ways = itertools.count()

    def address():
        """Another spelling each time, so that each route has connections of its own."""
        return "unix:" + os.path.dirname(backend.path) + "/." * next(ways) + "/" + os.path.basename(backend.path)
    many = ["GET", "POST", "PUT", "HEAD"]
    silent = {"first_byte": "2s", "silence": "2s"}
    made = start_guard({
        "threads": 12, "timeouts": {"read": "20s", "write": "20s"}, "request": {"head": "512kb", "header": "128kb"}, "defaults": {"auth": "none", "body": "64mb"},
        "routes": [
            {"path": "/app/x/**", "methods": many, "fastcgi": {"address": address(), "max_output": "64kb", "idle": "1h"}},
            {"path": "/app/big/**", "methods": many, "fastcgi": {"address": address(), "connections": 2}},
            {"path": "/app/spool/**", "methods": many, "fastcgi": {"address": address(), "input": "spool"}},
            {"path": "/app/close/**", "methods": many, "fastcgi": {"address": address(), "keep": False}},
            {"path": "/app/short/**", "methods": many, "fastcgi": {"address": address(), **silent, "health": 1000}},
            {"path": "/app/patient/**", "fastcgi": {"address": address(), "silence": "300ms"}},
            {"path": "/app/deaf/**", "methods": many, "fastcgi": {"address": address(), "connections": 1}},
            {"path": "/app/total/**", "methods": many, "fastcgi": {"address": address(), "timeout": "300ms"}},
            {"path": "/app/one/**", "methods": many,
             "fastcgi": {"address": address(), "connections": 1, "queue_timeout": "300ms"}},
            {"path": "/app/queue/**", "methods": many,
             "fastcgi": {"address": address(), "connections": 1, "queue_timeout": "1m"}},
            {"path": "/app/idle/**", "methods": many, "fastcgi": {"address": address(), "idle": "100ms"}},
            {"path": "/app/none/**", "fastcgi": f"unix:{folder}/nobody.sock"},
            {"path": "/app/refused/**", "fastcgi": f"127.0.0.1:{harness.free_port()}"},
            {"path": "/app/nowhere/**", "fastcgi": {"address": "no.such.name.invalid:9000", "connect_timeout": "1m"}},
        ]}, name="hostile")
    return made


def error(reply):
    return json.loads(reply.body)["error"]


def check_canary(guard, where="/app/x", times=3):
    """As many requests, each with its own reply and nothing else."""
    for _ in range(times):
        mark = os.urandom(8).hex()
        reply = ask(guard.address, uri=where + "/good", headers={"X-Canary": mark})
        assert reply.complete and reply.body == b"canary " + mark.encode(), reply.raw


@pytest.mark.parametrize("name", [
    "other-id", "id-0", "unknown-type", "get-values", "version", "only-end", "end-in-head",
    "stderr-only", "multiplex", "role", "no-colon", "long-headers", "many-empty", "too-much-said"])
def test_answers_502(guard, backend, name):
    reply = ask(guard.address, uri=f"/app/x/{name}")
    assert (reply.status, error(reply), reply.complete) == (502, "bad_reply", True)
    assert b"canary" not in reply.body
    check_canary(guard)


@pytest.mark.parametrize("name", ["other-id-end", "short-end", "long-end", "behind-stream", "shorter", "too-much",
                                  "strange-end"])
def test_cuts_what_has_begun(guard, name):
    """The head is on its way by then, so only the reply's end can tell."""
    reply = ask(guard.address, uri=f"/app/x/{name}")
    assert not reply.complete
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID")) if reply.status else None
    assert not entry or entry["code"] == "reply_cut"
    check_canary(guard)


@pytest.mark.parametrize("name,body", [("garbage", BODY), ("second-reply", BODY), ("longer", b"abcdef"),
                                       ("status", b"fine"), ("some-empty", b"canary none"), ("padded", b"canary none")])
def test_takes_what_is_whole(guard, backend, name, body):
    before = backend.connections
    reply = ask(guard.address, uri=f"/app/x/{name}")
    assert (reply.status, reply.body, reply.complete) == (200, body, True)
    if name == "status":
        guard.wait_text(f"{reply.get('X-Request-ID')}: the application ended it with status 7")
    check_canary(guard)
    if name in ("garbage", "second-reply"):
        guard.wait_text(f"{reply.get('X-Request-ID')}: the application wrote behind the end")
        assert backend.connections > before  # the one with strange bytes on it was not used again


def test_cut_and_split_at_every_byte(guard):
    for at in range(len(WHOLE) + 1):
        reply = ask(guard.address, uri=f"/app/x/split?{at}")
        assert reply.complete and reply.body == BODY, at
    for at in range(len(WHOLE)):
        reply = ask(guard.address, uri=f"/app/x/cut?{at}")
        if reply.complete:
            assert (reply.status, error(reply)) == (502, "backend_unavailable" if at == 0 else "bad_reply"), at
        else:
            assert reply.status in (0, 200) and BODY.startswith(reply.body), at
        check_canary(guard, times=1)


def test_a_wrong_byte_anywhere(guard):
    """Each byte of every header of a record, one after the other."""
    headers = [0, len(record(STDOUT, head() + BODY, padding=3)),
               len(record(STDOUT, head() + BODY, padding=3) + record(STDOUT))]
    for start in headers:
        for at in range(start, start + 7):
            for value in (0, 2, 9, 255):
                reply = ask(guard.address, uri=f"/app/short/byte?{at}-{value}")
                assert not reply.complete or reply.status in (200, 502, 504), (at, value)
                assert reply.status != 200 or reply.body in (BODY, BODY[:2], BODY[:9], b"") or not reply.complete
    check_canary(guard, "/app/short")


def test_standard_error_is_logged(guard):
    reply = ask(guard.address, uri="/app/x/stderr-only")
    lines = harness.wait_until(lambda: [entry["line"] for entry in guard.entries(event="program")
                                        if entry["requestId"] == reply.get("X-Request-ID")][1:], 10, "two lines")
    assert lines == ["line two"]


def test_says_that_it_is_full(guard):
    reply = ask(guard.address, uri="/app/x/overloaded")
    assert (reply.status, error(reply), reply.get("Retry-After")) == (503, "backend_busy", "1")
    check_canary(guard)


def test_steering_headers_are_dropped(guard):
    reply = ask(guard.address, uri="/app/x/steers")
    assert reply.get("X-Sendfile") is None and reply.get("X-Other") == "1"


@pytest.mark.parametrize("name", ["silent", "silent-in-record", "silent-in-head", "silent-errors"])
def test_silence_before_the_head(guard, name):
    reply = ask(guard.address, uri=f"/app/short/{name}")
    assert (reply.status, error(reply)) == (504, "backend_timeout")
    check_canary(guard, "/app/short")


@pytest.mark.parametrize("name", ["silent-in-body", "silent-before-end"])
def test_silence_behind_the_head(guard, name):
    reply = ask(guard.address, uri=f"/app/short/{name}")
    assert not reply.complete and reply.body in (b"", b"begun")
    check_canary(guard, "/app/short")


def test_may_think_before_it_answers(guard):
    """Until its first byte another limit holds than from then on."""
    check_canary(guard, "/app/patient", times=1)
    reply = ask(guard.address, uri="/app/patient/thinks")
    assert (reply.status, reply.body) == (200, b"canary none")


def test_takes_too_long(guard):
    reply = ask(guard.address, uri="/app/total/silent")
    assert (reply.status, error(reply)) == (504, "backend_timeout")


@pytest.mark.parametrize("where", ["none", "refused", "nowhere"])
def test_nobody_there(guard, where):
    reply = ask(guard.address, uri=f"/app/{where}/good")
    assert (reply.status, error(reply)) == (502, "backend_unavailable")


def test_by_tcp(start_guard):
    """By number and by name, out of the sandbox."""
    listening, routes = [], []
    for host, written in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("127.0.0.1", "localhost")):
        try:
            one = scripted.Scripted((host, harness.free_port()), SCRIPTS)
        except OSError:
            continue  # a machine without IPv6
        listening.append(one)
        routes.append({"path": f"/app/{len(routes)}/**", "fastcgi": f"{written}:{one.path[1]}"})
    guard = start_guard({"defaults": {"auth": "none"}, "routes": routes}, name="tcp")
    for i, one in enumerate(listening):
        check_canary(guard, f"/app/{i}")
        assert one.connections == 1, routes[i]
        one.stop()
        reply = ask(guard.address, uri=f"/app/{i}/good")
        assert (reply.status, error(reply)) == (502, "backend_unavailable")


def test_a_full_backlog(folder, start_guard):
    """Nobody accepts: the queue of a unix socket cannot be polled for."""
    path = str(folder.writable("run") / "backlog.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(0)
        guard = start_guard({"defaults": {"auth": "none"}, "routes": [
            {"path": "/app/**", "fastcgi": {"address": "unix:" + path, "connect_timeout": "300ms", "timeout": "1s"}}]},
            name="full")
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(ask(guard.address))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert {(reply.status, error(reply)) for reply in replies} == {(504, "backend_timeout")}
    guard.wait_text("could not be reached in time")


def test_waits_for_a_place(guard, backend):
    with Connection(guard.address) as first:
        first.send(records.request(environment(uri="/app/one/silent")))
        harness.wait_until(lambda: [one for one in backend.requests if one[2].params["REQUEST_URI"] == b"/app/one/silent"],
                           10, "the only connection is in use")
        reply = ask(guard.address, uri="/app/one/good")
        assert (reply.status, error(reply), reply.get("Retry-After")) == (503, "backend_busy", "1")
    # The client has gone, so its request has, too, and the place is free.
    harness.wait_until(lambda: ask(guard.address, uri="/app/one/good").status == 200, 10, "the place is free again")


def test_first_come_first_served(guard):
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(ask(guard.address, uri="/app/queue/counts")))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(int(reply.body) for reply in replies) == list(range(8))  # all on one connection


def test_a_client_that_waits_may_leave(guard, backend):
    with Connection(guard.address) as first:
        first.send(records.request(environment(uri="/app/queue/silent")))
        harness.wait_until(lambda: [one for one in backend.requests
                                    if one[2].params["REQUEST_URI"] == b"/app/queue/silent"], 10, "it is in use")
        with Connection(guard.address) as second:
            second.send(records.request(environment(uri="/app/queue/good", headers={"X-Canary": "leaver"})))
        guard.wait_entry(event="request", path="/app/queue/good", code="client_gone")
    check_canary(guard, "/app/queue")


@pytest.mark.parametrize("name", ["good", "silent", "echo"])
def test_clients_that_leave_at_any_moment(guard, backend, name):
    body = b"x" * 100000
    raw = records.request(environment("PUT", "/app/queue/" + name, body=body), body)
    backend.drop()
    harness.wait_until(lambda: not backend.open, 10, "no connection is open")
    before = len(harness.descriptors(guard.worker()))
    leaving = []
    for at in range(1, len(raw), len(raw) // 40):
        client = Connection(guard.address)
        client.try_send(raw[:at])
        leaving.append(client)  # five at a time: one is asked, the others wait
        if len(leaving) == 5:
            while leaving:
                leaving.pop().close()
    for client in leaving:
        client.close()
    check_canary(guard, "/app/queue")
    backend.drop()
    harness.wait_until(lambda: not backend.open, 10, "no connection is left on either side")
    harness.wait_until(lambda: len(harness.descriptors(guard.worker())) <= before + 1, 10, "nothing is left open")


def test_connections_are_used_again(guard, backend):
    ask(guard.address, uri="/app/big/counts")
    before = backend.connections
    numbers = [int(ask(guard.address, uri="/app/big/counts").body) for _ in range(5)]
    assert numbers == sorted(set(numbers)) and backend.connections == before
    for _ in range(2):
        assert ask(guard.address, uri="/app/close/counts").body == b"0"


def test_idle_connections_are_closed(guard, backend):
    with backend.lock:
        before = backend.open
    ask(guard.address, uri="/app/idle/good")
    harness.wait_until(lambda: backend.open <= before, 10, "the idle connection is closed, with nothing more asked")


def test_stale_connections(guard, backend):
    for method in ("GET", "PUT", "POST"):
        assert ask(guard.address, uri="/app/big/second").status in (200, 502)
        harness.wait_until(lambda: ask(guard.address, uri="/app/big/counts").body == b"0" or
                           backend.drop() or False, 10, "a connection that has answered once")
        reply = ask(guard.address, method, "/app/big/second", b"abc" if method != "GET" else None)
        assert reply.status == 200, method
    for _ in range(3):
        ask(guard.address, uri="/app/big/counts")
        backend.drop()
        harness.wait_until(lambda: not backend.open, 10, "it is gone")
        assert ask(guard.address, "PUT", "/app/big/counts", b"abc").body == b"0"


def test_a_post_has_a_connection_of_its_own(guard):
    """php-fpm's children end so behind pm.max_requests, and what is sent there meanwhile is lost."""
    for _ in range(3):
        for method in ("GET", "POST", "POST"):
            body = b"abc" if method == "POST" else None
            assert ask(guard.address, method, "/app/deaf/retires", body).status == 200


def test_asks_again_but_once(guard, backend):
    assert ask(guard.address, uri="/app/patient/once").status == 200
    reply = ask(guard.address, uri="/app/patient/once")
    assert (reply.status, error(reply)) == (502, "backend_unavailable")
    with backend.lock:
        assert [count for name, count, _ in backend.requests if name == "once"] == [0, 1, 0]


def test_no_byte_of_a_body_is_lost(guard, backend):
    """It comes while the stale connection is still open, and nothing has been sent there."""
    leave.clear()
    assert ask(guard.address, uri="/app/deaf/deaf").status == 200
    body = os.urandom(300000)
    with Connection(guard.address) as client:
        client.send(records.begin() + records.stream(
            records.PARAMS, records.pairs(environment("PUT", "/app/deaf/deaf", body=body))))
        time.sleep(0.2)  # whether it finds the connection deaf by now does not change the outcome
        client.send(records.record(records.STDIN, body[:40000]))
        time.sleep(0.2)
        client.send(records.record(records.STDIN, body[40000:50000]))
        time.sleep(0.2)
        leave.set()
        client.send(records.stream(records.STDIN, body[50000:]))
        reply = client.reply()
    assert (reply.status, reply.complete) == (200, True), reply.raw
    assert reply.body == body


def test_restart(guard, backend):
    ask(guard.address, uri="/app/x/good")
    backend.close()
    backend.drop()
    reply = ask(guard.address, uri="/app/x/good")
    assert (reply.status, error(reply)) == (502, "backend_unavailable")
    backend.listen()
    check_canary(guard)


@pytest.mark.parametrize("where", ["big", "spool"])
def test_bodies_both_ways_at_once(guard, where):
    body = os.urandom(3 << 20)
    reply = ask(guard.address, "POST", f"/app/{where}/echo", body)
    assert reply.complete and reply.body == body
    params = environment("POST", f"/app/{where}/echo")  # of no stated length
    assert ask(guard.address, params=params, body=body).body == body
    reply = ask(guard.address, "POST", f"/app/{where}/first", body, headers={"X-Canary": "early"})
    assert reply.complete and reply.body == b"canary early" + b"x" * 300000
    check_canary(guard, f"/app/{where}")


def test_a_body_that_breaks_off(guard, backend):
    params = environment("POST", "/app/x/echo", replace={"CONTENT_LENGTH": "200000"})
    backend.drop()
    harness.wait_until(lambda: not backend.open, 10, "no connection is open")
    with Connection(guard.address) as client:
        client.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                    + records.record(records.STDIN, b"x" * 40000))
        harness.wait_until(lambda: backend.open, 10, "the application has the request")
    guard.wait_entry(event="request", path="/app/x/echo", method="POST")
    harness.wait_until(lambda: not backend.open, 10, "its connection is closed")
    check_canary(guard)


def test_content_length_is_always_told(guard, backend):
    for method, params, body, told in (("GET", environment(uri="/app/x/good"), b"", b"0"),
                                       ("POST", environment("POST", "/app/x/good"), b"abc", b"3")):
        ask(guard.address, params=params, body=body)
        with backend.lock:
            request = backend.requests[-1][2]
        assert request.params["CONTENT_LENGTH"] == told, method
        assert len(request.raw_params) == len(request.params) and request.body == body
        assert request.role == records.RESPONDER and request.id == 1


def test_many_parameters(guard, backend):
    """More than one record of PARAMS holds."""
    headers = {"X-Short": "v" * 127, "X-Long": "v" * 128, "X-Empty": "", "X-Large": "w" * 70000}
    headers.update({f"X-{i}": "v" * 3000 for i in range(60)})
    uri = "/app/x/good?" + "q" * 7000
    reply = ask(guard.address, uri=uri, headers=headers)
    assert reply.status == 200, reply.body
    with backend.lock:
        request = backend.requests[-1][2]
    for name, value in headers.items():
        assert request.params["HTTP_" + name.upper().replace("-", "_")] == value.encode(), name
    assert request.params["HTTP_X_59"] == b"v" * 3000 and request.params["QUERY_STRING"] == b"q" * 7000


def test_nothing_is_left(guard, backend):
    worker = guard.worker()
    backend.drop()
    assert not guard.spool_files()
    held = [link for link in harness.descriptors(worker) if link.startswith("socket:")]
    assert len(held) < 40, held
