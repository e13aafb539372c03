"""The threads that serve: whoever waits for a program keeps none of the others waiting,
what comes while all of them wait is answered when one is free, and they end when they are told."""

import contextlib
import json
import os
import pathlib
import signal
import threading

import pytest

import harness
import records
import scripted
from records import Connection, environment

PLENTY = 1 << 20
POURED = 5 << 20


class Gate(scripted.Scripted):
    """Answers `hold` when it is let."""

    def __init__(self, path):
        self.opened, self.held = threading.Event(), 0
        super().__init__(path, {"hold": self.hold, "pour": lambda request: request.reply(b"p" * POURED)}, backlog=512)

    def hold(self, request):
        with self.lock:
            self.held += 1
        opened = self.opened.wait(60 * harness.PATIENCE)
        with self.lock:
            self.held -= 1
        if opened:
            request.reply()

    def shut(self):
        self.opened = threading.Event()

    def stop(self):
        self.opened.set()
        super().stop()


@pytest.fixture(name="gate")
def fixture_gate(folder):
    made = Gate(str(folder.writable("backend") / "gate.sock"))
    yield made
    made.stop()


@pytest.fixture(name="start")
def fixture_start(folder, gate):
    folder.write("plenty.txt", b"a" * PLENTY)
    started = []

    def start(**server):
        # Long, so that nothing below ends by itself.
        times = {"read": "10m", "write": "10m", "idle": "10m", "drain": "1h"}
        guard = harness.Guard(folder, {
            "queue": 1000, "timeouts": times, "defaults": {"auth": "none"},
            "routes": [{"path": "/here", "respond": {"body": "here"}},
                       {"path": "/plenty", "respond": {"file": "plenty.txt"}},
                       {"path": "/app/**", "fastcgi": {"address": "unix:" + gate.path, "connections": 500,
                                                       "first_byte": "10m", "silence": "10m", "timeout": "10m"}}],
            **server})
        started.append(guard)
        return guard
    yield start
    gate.opened.set()
    for guard in started:
        guard.stop()


class Asked:
    """One request on a connection of its own, whose reply is still to be read."""

    def __init__(self, guard, uri, canary, keep=False):
        self.uri, self.canary, self.keep = uri, str(canary).encode(), keep
        self.connection = Connection(guard.address, 60 * harness.PATIENCE)
        self.ask()

    def ask(self):
        self.connection.send(records.request(environment(uri=self.uri, headers={"X-Canary": self.canary}), keep=self.keep))

    def check(self):
        reply = self.connection.reply()
        wanted = {"/here": b"here", "/plenty": b"a" * PLENTY, "/app/pour": b"p" * POURED}
        assert reply.complete and reply.status == 200, (self.uri, reply.status, reply.body[:200])
        assert reply.body == wanted.get(self.uri, b"canary " + self.canary), (self.uri, self.canary, reply.body[:200])


@pytest.fixture(name="ask")
def fixture_ask():
    with contextlib.ExitStack() as stack:
        def ask(guard, count, *uris, **words):
            asked = [Asked(guard, uris[n % len(uris)], n, **words) for n in range(count)]
            for one in asked:
                stack.callback(one.connection.close)
            return asked
        yield ask


def check_all(asked):
    for one in asked:
        one.check()


def told(guard):
    with Connection(guard.address, 60 * harness.PATIENCE) as connection:
        connection.send(records.record(records.GET_VALUES, records.pairs([("FCGIGUARD_STATUS", "")]), 0))
        content = connection.record()[2]
        return json.loads(content[content.index(b"{"):])


def wait_for(guard, **numbers):
    harness.wait_until(lambda: numbers.items() <= told(guard).items(), 20, numbers)


def hold(guard, gate, ask, count, **words):
    """So many threads wait for the application."""
    gate.shut()
    asked = ask(guard, count, "/app/hold", **words)
    harness.wait_until(lambda: gate.held == count, 20, f"{count} are held")
    return asked


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_comes_while_all_of_them_wait(start, gate, ask, threads):
    guard = start(threads=threads)
    for count in (1, threads, 3 * threads + 1, 150, 2):
        held = hold(guard, gate, ask, threads)
        asked = ask(guard, count, "/here", "/app/good")
        wait_for(guard, busy=threads, queued=count)
        gate.opened.set()
        check_all(held + asked)
        wait_for(guard, busy=0, queued=0)
        check_all(ask(guard, 3 * threads, "/here", "/app/good"))


def test_one_is_enough_for_the_rest(start, gate, ask):
    guard = start(threads=4)
    for count in (1, 7, 40, 150):
        held = hold(guard, gate, ask, 3)
        check_all(ask(guard, count, "/here", "/app/good"))
        kept = ask(guard, count, "/here", "/app/good", keep=True)
        for _ in range(3):
            check_all(kept)
            for one in kept:
                one.ask()
        check_all(kept)
        gate.opened.set()
        check_all(held)


def stop_all_threads(pid):
    os.kill(pid, signal.SIGSTOP)
    tasks = [f"/proc/{pid}/task/{task}/stat" for task in os.listdir(f"/proc/{pid}/task")]
    harness.wait_until(lambda: all(pathlib.Path(task).read_text().rpartition(") ")[2][0] == "T" for task in tasks))


def test_what_follows_on_a_kept_connection_is_let_in(start, ask):
    """Even where nothing may wait: the thread that has answered the one before takes the next."""
    guard = start(threads=1, queue=0)
    both = ask(guard, 1, "/here", keep=True)
    check_all(both)
    wait_for(guard, busy=0)
    both += ask(guard, 1, "/here", keep=True)
    check_all(both[1:])
    for _ in range(5):
        wait_for(guard, busy=0)
        stop_all_threads(guard.worker())  # so that it finds both at once, and what follows them
        for one in both * 2:
            one.ask()
        os.kill(guard.worker(), signal.SIGCONT)
        check_all(both * 2)


def test_more_connections_than_places(start, gate, ask):
    guard = start(threads=3, connections=16)
    for _ in range(3):
        held = hold(guard, gate, ask, 3)
        others = ask(guard, 48, "/here", "/app/good")
        guard.wait_entry(event="accept_paused")
        gate.opened.set()
        check_all(held + others)
    wait_for(guard, connections=1)


@pytest.mark.parametrize("spool, readers", [("64mb", 12), ("0b", 2)])
def test_who_reads_slowly_keeps_nobody_waiting(start, ask, spool, readers):
    """With no spool a thread waits for its client, but another one reads what comes."""
    guard = start(threads=3, reply_spool=spool)
    slow = ask(guard, readers, "/plenty", "/app/pour")
    for _ in range(5):
        check_all(ask(guard, 20, "/here", "/app/good"))
    check_all(slow)


def test_those_that_stand_by_end(start, gate, ask):
    guard = start(threads=4)
    for number in 3 * [signal.SIGHUP] + [signal.SIGTERM]:
        worker = guard.worker()
        held = hold(guard, gate, ask, 4)
        gate.opened.set()
        check_all(held)
        # Nothing is asked in between: who has answered without waiting stands by no more.
        guard.process.notify(number)
        harness.wait_until(lambda old=worker: not os.path.exists(f"/proc/{old}"), 20, "the worker's end")
    assert guard.process.process.wait(20 * harness.PATIENCE) == 0
    assert not guard.entries(event="drain_timeout")
