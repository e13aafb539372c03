"""The command `status`: what it tells of a guard that serves and of its backends,
by its policy and by its socket alone, and what it says where nobody answers."""

import contextlib
import json
import socket
import threading
import unicodedata

import pytest

import harness
import scripted
from records import GET_VALUES, GET_VALUES_RESULT, Connection, ask, pairs, record

WORKER = ["version", "pid", "uptime_seconds", "draining", "threads", "busy", "queued", "connections", "backends"]


class Gate:
    """An application that answers when it is let."""

    def __init__(self, path):
        self.open = threading.Event()
        self.application = scripted.Scripted(path, {"wait": self.wait})

    def wait(self, request):
        self.open.wait(60)
        request.reply()

    def stop(self):
        self.open.set()
        self.application.stop()


@pytest.fixture(name="gate")
def fixture_gate(folder):
    made = Gate(str(folder.writable("backend") / "gate.sock"))
    yield made
    made.stop()


@pytest.fixture(name="start")
def fixture_start(folder):
    started = []

    def start(policy, name="guard"):
        started.append(harness.Guard(folder, policy, name=name))
        return started[-1]
    yield start
    for guard in started:
        guard.stop()
        guard.check_reports()


def status(guard, *arguments):
    return harness.run([guard.program, "status", *(arguments or ("-c", guard.policy_path))])


def told(guard, *arguments):
    ran = status(guard, *(arguments or ("-c", guard.policy_path)), "--json")
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    return json.loads(ran.stdout)


def test_worker_and_backends(start, gate, folder):
    nobody = f"unix:{folder}/nobody.sock"
    place = "unix:" + gate.application.path
    guard = start({"threads": 3, "routes": [
        {"path": "/**", "auth": "none", "fastcgi": {"address": place, "connections": 1, "queue_timeout": "1m"}},
        {"path": "/nobody/**", "auth": "none", "fastcgi": {"address": nobody, "health": {"failures": 2}}},
    ]})
    before = told(guard)
    assert list(before) == WORKER
    assert (before["pid"], before["threads"], before["busy"], before["draining"]) == (guard.worker(), 3, 0, False)
    assert [(one["address"], one["state"], one["requests"], one["failures"]) for one in before["backends"]] == [
        (place, "up", 0, 0), (nobody, "up", 0, 0)]
    assert not any("reason" in one for one in before["backends"])

    waiting = [threading.Thread(target=ask, args=(guard.address,), kwargs={"uri": "/wait"}) for _ in range(3)]
    for one in waiting:
        one.start()

    def busy():  # all threads are, and it is answered all the same
        now = told(guard)
        return now["busy"] == 3 and now["backends"][0]["requests"] == 1 and now["backends"][0]["waiting"] == 2
    harness.wait_until(busy, what="three requests")
    gate.open.set()
    for one in waiting:
        one.join()
    assert [ask(guard.address, uri="/nobody/x").status for _ in range(2)] == [502, 502]
    after = told(guard)["backends"]
    assert (after[0]["state"], after[0]["kept"]) == ("up", 1)
    assert (after[1]["state"], after[1]["failures"]) in (("out", 2),)
    assert "No such file" in after[1]["reason"] and after[1]["next_trial_seconds"] <= 1


def test_for_people(start, gate, folder):
    nobody = f"unix:{folder}/nobody.sock"
    guard = start({"routes": [
        {"path": "/**", "auth": "none", "fastcgi": "unix:" + gate.application.path},
        {"path": "/nobody/**", "auth": "none", "fastcgi": {"address": nobody, "health": {"failures": 1}}},
    ]})
    ask(guard.address, uri="/nobody/x")
    harness.wait_until(lambda: told(guard)["busy"] == 0, what="the thread is done with it")
    ran = status(guard)
    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr, len(lines)) == (0, "", 6), ran
    assert lines[0].startswith("fcgiguard ") and f"worker {guard.worker()}, for " in lines[0]
    assert lines[1].startswith("0 of 16 threads busy, 0 requests waiting for one, ")
    assert lines[3].split() == ["STATE", "FOR", "AT", "ONCE", "WAITING", "KEPT", "FAILURES", "BACKEND"]
    assert lines[4].split()[0] == "up" and lines[4].endswith("unix:" + gate.application.path)
    assert lines[5].split()[0] == "out" and nobody in lines[5] and "No such file" in lines[5]


def test_without_backends(start, helper):
    guard = start({"routes": [{"path": "/**", "auth": "none", "exec": helper}]})
    assert told(guard)["backends"] == []
    assert len(status(guard).stdout.splitlines()) == 2


def test_by_socket(start, helper):
    guard = start({"routes": [{"path": "/**", "auth": "none", "exec": helper}]})
    assert told(guard, "--socket", "unix:" + guard.address)["pid"] == guard.worker()


def test_more_backends_than_an_answer_holds(start):
    places = [f"unix:/nowhere/{'x' * 80}-{number}.sock" for number in range(400)]
    guard = start({"routes": [{"path": f"/{number}/**", "auth": "none", "fastcgi": place}
                              for number, place in enumerate(places)]})
    now = told(guard)
    assert 50 < len(now["backends"]) < 400
    assert now["backends_left_out"] == 400 - len(now["backends"])
    assert status(guard).stdout.endswith(f"and {now['backends_left_out']} more\n")


def test_only_who_asks_is_told(start, helper):
    guard = start({"routes": [{"path": "/**", "auth": "none", "exec": helper}]})
    with Connection(guard.address) as connection:
        connection.send(record(GET_VALUES, pairs([("FCGI_MPXS_CONNS", "")]), request=0))
        kind, _, content = connection.record()
        assert kind == GET_VALUES_RESULT and b"FCGIGUARD" not in content


# ---- nobody answers

def refused(guard, *arguments):
    ran = status(guard, *arguments)
    assert ran.stdout == "" and ran.stderr.startswith("fcgiguard: "), ran
    return ran.returncode, ran.stderr


@contextlib.contextmanager
def listening(folder, serve):
    path = str(folder / "peer.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def accept():
            with listener.accept()[0] as peer:
                peer.recv(4096)
                serve(peer)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield path
        thread.join()


def test_nobody_listens(start, helper):
    guard = start({"routes": [{"path": "/**", "auth": "none", "exec": helper}]})
    guard.stop()
    code, text = refused(guard)
    assert code == 1 and "cannot connect" in text


@pytest.mark.parametrize("answer, words", [
    (b"", "does not answer"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not fcgiguard"),
    (record(GET_VALUES_RESULT, b"", request=0), "is not fcgiguard"),
    (record(GET_VALUES_RESULT, pairs([("FCGIGUARD_STATUS", "{")]), request=0), "is not fcgiguard"),
    (record(GET_VALUES_RESULT, b"\x7f", request=0), "is not fcgiguard"),
    (record(GET_VALUES_RESULT, b"x" * 5, request=0, length=100), "does not answer"),
])
def test_somebody_else_listens(folder, answer, words):
    with listening(folder, lambda peer: peer.sendall(answer)) as path:
        ran = harness.run([harness.installed("fcgiguard", folder), "status", "--socket", "unix:" + path])
    assert (ran.returncode, ran.stdout) == (1, "") and words in ran.stderr, ran
    (folder / "peer.sock").unlink()


def test_what_is_told_does_nothing_to_a_terminal(folder):
    worker = {"version": "1\x1b[2J", "pid": 1, "backends": [
        {"state": "\x9b2J", "address": "unix:/a\r\n", "reason": "it \x1b]0;says\x07 \x7f\u00e9\u0085"}]}
    answer = record(GET_VALUES_RESULT, pairs([("FCGIGUARD_STATUS", json.dumps(worker))]), request=0)
    with listening(folder, lambda peer: peer.sendall(answer)) as path:
        ran = harness.run([harness.installed("fcgiguard", folder), "status", "--socket", "unix:" + path])
    (folder / "peer.sock").unlink()
    lines = ran.stdout.split("\n")
    assert (ran.returncode, ran.stderr) == (0, "") and lines[0].startswith("fcgiguard 1?[2J, "), ran
    assert lines[4].startswith("?2J ") and lines[4].endswith("  unix:/a??  it ?]0;says? ?\u00e9?"), ran
    assert not [one for one in ran.stdout if one != "\n" and unicodedata.category(one) == "Cc"]


@pytest.mark.parametrize("arguments, code, words", [
    (["--socket", "nonsense"], 1, "expected unix:/PATH, HOST:PORT"),
    (["--socket", "unix:/none", "-c", "x.yaml"], 2, "exclude each other"),
    (["-c", "/none.yaml"], 1, "/none.yaml"),
    (["more"], 2, '"more" is too much'),
    (["--sockets"], 2, "is not known"),
])
def test_misused(folder, arguments, code, words):
    ran = harness.run([harness.installed("fcgiguard", folder), "status", *arguments])
    assert (ran.returncode, ran.stdout) == (code, "") and words in ran.stderr, ran


def test_policy_without_an_address(folder, helper):
    policy = folder.write("bare.yaml", json.dumps({"routes": [{"path": "/**", "auth": "none", "exec": str(helper)}]}))
    ran = harness.run([harness.installed("fcgiguard", folder), "status", "-c", policy])
    assert ran.returncode == 1 and "has no `listen`, expected --socket" in ran.stderr, ran
