"""fcgiguard as a plain CGI program: one process, one request, whatever kind of
descriptors the web server hands it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import uuid
import zlib

import pytest

import harness
import records


class Program:
    """Starts fcgiguard as a web server starts a CGI program."""

    def __init__(self, folder, helper):
        self.folder, self.log = folder, folder.writable("log") / "guard.log"
        self.executable = harness.installed("fcgiguard", folder)
        self.spool = folder.writable("spool")
        self.mark = uuid.uuid4().hex
        own = {"TEST_MARK": self.mark}
        policy = {
            "log": f"file:{self.log}", "spool": str(self.spool), "timeouts": {"read": "20s", "write": "5s"},
            "defaults": {"auth": "none", "body": "4mb"},
            "routes": [
                {"path": "/app/h/**", "methods": ["GET", "POST"], "exec": {"program": helper, "environment": own}},
                {"path": "/app/small", "methods": ["POST"], "body": "100b", "exec": {"program": helper, "environment": own}},
                {"path": "/app/judged/**", "methods": ["GET", "POST"], "exec": {"program": helper, "environment": own},
                 "body": {"fields": {"a": {"type": "integer", "required": True}}, "types": ["json", "form"]}},
                {"path": "/app/changed/**", "methods": ["GET", "POST"], "exec": {"program": helper, "environment": own},
                 "reject": ["repeated_params", "operators", "markup"],
                 "repeated_params": {"action": "last"}, "operators": "replace", "markup": "escape"},
                {"path": "/app/short/**", "exec": {"program": helper, "environment": own, "timeout": "500ms"}}]}
        self.policy = folder.write("policy.yaml", json.dumps(policy))

    def environment(self, method="GET", uri="/app/h/hello", body=None, **more):
        values = dict(records.environment(method, uri, body=body))
        return harness.clean_environment(FCGIGUARD_POLICY=str(self.policy), REDIRECT_STATUS="200", **values, **more)

    def start(self, stdin, stdout, **words):
        more = dict(user=harness.WEB_USER, group=harness.WEB_USER, extra_groups=[]) if harness.WEB_USER else {}
        return subprocess.Popen([str(self.executable)], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                env=self.environment(**words), cwd="/", **more)

    def ask(self, method="GET", uri="/app/h/hello", body=b"", **words):
        process = self.start(subprocess.PIPE, subprocess.PIPE, method=method, uri=uri, body=body or None, **words)
        out, errors = process.communicate(body, timeout=120)
        reply = records.Reply(raw=out, errors=errors, application_status=process.returncode)
        reply.status, reply.headers, reply.body = records.parse(out)
        assert not harness.REPORTS.search(errors.decode("utf-8", "replace")), errors
        return reply

    def programs(self):
        return harness.marked("TEST_MARK=" + self.mark)

    def leaves_nothing(self, seconds=5):
        try:
            harness.wait_until(lambda: not self.programs(), seconds, "no program is left")
        finally:
            harness.kill_marked("TEST_MARK=" + self.mark)
        assert os.listdir(self.spool) == []

    def entries(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture(scope="module")
def program(folder, helper):
    made = Program(folder, helper)
    yield made
    made.leaves_nothing()


def test_get(program):
    reply = program.ask()
    assert (reply.status, reply.body, reply.application_status) == (200, b"hello\n", 0)
    assert reply.raw.startswith(b"Status: 200 ") and reply.get("X-Content-Type-Options") == "nosniff"
    entry = program.entries()[-1]
    assert entry["requestId"] == reply.get("X-Request-ID") and entry["status"] == 200


@pytest.mark.parametrize("size", [0, 1, 70000, 3000000])
def test_post(program, size):
    body = os.urandom(size)
    reply = program.ask("POST", "/app/h/count", body)
    assert (reply.status, reply.body.split()) == (200, [b"%d" % size, b"%d" % zlib.crc32(body)])


def test_content_is_judged(program):
    form, plain = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}, {"CONTENT_TYPE": "application/json"}
    assert program.ask("POST", "/app/judged/echo", b"a=5", **form).body == b"a=5"
    for body, more in ((b"a=x", form), (b"", form), (b'{"a":"5"}', plain), (b'{"a":5,"b":1}', plain)):
        reply = program.ask("POST", "/app/judged/echo", body, **more)
        assert (reply.status, json.loads(reply.body)["error"]) == (400, "validation_error")


def test_what_is_rejected_is_changed(program):
    reply = program.ask("POST", "/app/changed/mirror?x=1&$y=3&x=2", b'{"$a": "<b>"}', CONTENT_TYPE="application/json", HTTP_COOKIE="$a=1")
    body = b'{"_a": "&lt;b&gt;"}'
    assert reply.body == b"/app/changed/mirror?_y=3&x=2\n_y=3&x=2\n_a=1\n%d\n\n\n%s" % (len(body), body)


def test_writes_before_it_reads(program):
    body = os.urandom(1 << 20)
    reply = program.ask("POST", "/app/h/write-first", body)
    assert reply.status == 200 and reply.body[1 << 20:].split()[0] == b"%d" % len(body)


def test_refusals(program):
    assert program.ask(uri="/none").status == 404
    assert program.ask("DELETE").status == 405
    assert program.ask("POST", "/app/small", b"x" * 101).status == 413
    assert program.ask(uri=records.raw("no head")).status == 502
    assert program.ask(uri="/app/short/sleep").status == 504
    program.leaves_nothing()


def test_body_is_not_read_past_its_length(program):
    """RFC 3875, 4.2: a server need not end the input where the body ends."""
    reader, writer = os.pipe()
    process = program.start(reader, subprocess.PIPE, method="POST", uri="/app/h/count", body=b"abc")
    os.close(reader)
    os.write(writer, b"abcdefgh")
    out, _ = process.communicate(timeout=60)
    os.close(writer)
    assert records.parse(out)[2].split() == [b"3", b"%d" % zlib.crc32(b"abc")]


def ask_over_one_socket(program, method, uri, body):
    """As mod_cgid has it: input and output are one socket; the server sends the
    whole body, says that it sends nothing more, and then reads."""
    ours, theirs = socket.socketpair()
    process = program.start(theirs, theirs, method=method, uri=uri, body=body or None)
    theirs.close()
    ours.settimeout(60)
    received = b""
    with contextlib.suppress(BrokenPipeError):
        ours.sendall(body)
        ours.shutdown(socket.SHUT_WR)
    while True:
        more = ours.recv(65536)
        if not more:
            break
        received += more
    process.communicate(timeout=60)
    ours.close()
    return records.parse(received)


def test_one_socket_for_both(program):
    assert ask_over_one_socket(program, "GET", "/app/h/slow?200", b"")[::2] == (200, b"hello\n")
    assert ask_over_one_socket(program, "POST", "/app/h/count", b"abc")[0] == 200


@pytest.mark.parametrize("size", [1000, 150000, 2000000])
@pytest.mark.parametrize("uri, status", [("/app/none", 404), ("/app/small", 413), ("/app/h/read-nothing", 200)])
def test_reply_is_not_lost_with_an_unread_body(program, uri, status, size):
    """What is left unread in a socket when it is closed takes the reply with it."""
    assert ask_over_one_socket(program, "POST", uri, b"z" * size)[0] == status


@pytest.mark.parametrize("uri", ["/app/h/sleep", "/app/h/sleep-after-head"])
def test_server_ends_it(program, uri):
    """A web server whose client has gone ends the CGI program by SIGTERM: the
    program behind it ends, too."""
    process = program.start(subprocess.DEVNULL, subprocess.PIPE, uri=uri)
    harness.wait_until(lambda: len(program.programs()) >= 5, 5, "the program and its family run")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    program.leaves_nothing()


def test_server_closes_the_output(program):
    reader, writer = os.pipe()
    process = program.start(subprocess.DEVNULL, writer, uri=f"/app/h/big?{10 << 30}")
    os.close(writer)
    assert os.read(reader, 1000).startswith(b"Status: 200")
    os.close(reader)
    process.communicate(timeout=60)
    assert process.returncode != 0
    program.leaves_nothing()


def test_late_end_signal_costs_no_log_line(program):
    """A server that has read the whole reply may end the process at once."""
    ids = []
    for _ in range(20):
        process = program.start(subprocess.DEVNULL, subprocess.PIPE, uri="/app/h/hello")
        out = process.stdout.read()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        reply = records.Reply(raw=out)
        reply.status, reply.headers, reply.body = records.parse(out)
        assert reply.body == b"hello\n"
        ids.append(reply.get("X-Request-ID"))
    logged = {entry["requestId"] for entry in program.entries() if "requestId" in entry}
    assert not [one for one in ids if one not in logged]
