"""Clocks that do not agree: machines whose clocks are an hour apart share a Redis store,
whose own clock alone counts. It is also moved ahead here, to see what runs out when."""

import concurrent.futures
import contextlib
import datetime
import glob
import os
import signal
import time

import pytest

import harness
import records
from records import ask
from test_limit_command import read
from test_limits import statuses
from test_redis import Server, pytestmark as needs_redis

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
BY = "header:X-Test"
CLOCK = "fcgiguard:{limits}:clock"  # the newest time, and how much it is ahead of the server's

pytestmark = [needs_redis, pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed (Debian package faketime)")]


def clock(setting):
    """What a process has to be started with to believe in another time: +3600, or "+0 x10" to live faster."""
    found = {"LD_PRELOAD": LIBRARY, "FAKETIME": setting}
    if harness.SANITIZED:  # it insists on being the first library
        found["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return found


class Store:
    """A Redis server, and the clock that counters go by: the server's, and what it is ahead of it in the
    store since the server's was set back. The server itself cannot be run with another clock."""

    def __init__(self, folder):
        self.server = Server(folder)

    def ask(self, *words):
        return self.server.ask("-n", "1", *words).split()

    def move(self, seconds):
        newest, ahead = (int(word) for word in self.ask("GET", CLOCK))
        assert self.ask("SET", CLOCK, f"{newest} {ahead + seconds * 1000000}") == [b"OK"]


@pytest.fixture(scope="module")
def server(folder):
    started = Store(folder.writable("clock"))
    yield started
    started.server.kill()


@pytest.fixture(scope="module")
def start(start_guard, folder, helper, server):
    rates = {"sliding": {"rate": "10/1h"}, "fixed": {"rate": "10/1h", "algorithm": "fixed"},
             "gcra": {"rate": "1/1h", "algorithm": "gcra", "burst": 9}, "banned": {"rate": "10/1h", "ban": "50m"},
             "short": {"rate": "10/30s"}, "one": {"concurrency": 1}}
    rules = {
        "user": harness.WEB_USER,
        "store": {"url": server.server.url("unix"), "password": f"file:{server.server.folder}/password"},
        "limits": {name: {**rate, "by": BY} for name, rate in rates.items()},
        "defaults": {"auth": "none", "exec": {"program": helper, "timeout": "300s"}},
        "routes": [{"path": f"/{name}/**", "limits": name} for name in rates],
    }
    return lambda name, setting: start_guard(rules, name=name, user=None, environment=clock(setting) if setting else None)


@pytest.fixture(scope="module")
def guards(start):
    return {name: start(name, setting) for name, setting in (("right", None), ("ahead", "+3600"), ("behind", "-3600"))}


tests = iter(range(1, 1000000))


@pytest.fixture
def who():
    return {"X-Test": f"clocks-{next(tests)}"}


def clock_of(guard):
    """By its log, in seconds from ours."""
    assert ask(guard.address, uri="/nothing").status == 404
    said = guard.wait_entry(event="request", path="/nothing")["time"]
    return datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp() - time.time()


def test_their_clocks_differ(guards):
    found = {name: round(clock_of(guard) / 60) for name, guard in guards.items()}
    assert found == {"right": 0, "ahead": 60, "behind": -60}


@pytest.mark.parametrize("path", ["sliding", "fixed", "gcra", "banned", "short"])
def test_one_limit_for_all(guards, who, path):
    """Whoever comes first, and whoever comes last."""
    ahead, behind, right = guards["ahead"], guards["behind"], guards["right"]
    found = [statuses(guard, f"/{path}/hello", 3, who) for guard in (ahead, behind, right)]
    assert found == [[200] * 3] * 3
    assert [statuses(guard, f"/{path}/hello", 2, who) for guard in (behind, ahead, right)] == [[200, 429], [429] * 2, [429] * 2]


def test_one_limit_for_all_at_once(guards, who):
    of_all = list(guards.values())
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda n: statuses(of_all[n % 3], "/sliding/hello", 1, who)[0], range(96)))
    assert found.count(200) == 10 and found.count(429) == 86


def test_all_wait_as_long(guards, who):
    for guard in guards.values():
        statuses(guard, "/sliding/hello", 4, who)
    begun = time.monotonic()
    waits = [int(ask(guard.address, uri="/sliding/hello", headers=who).get("Retry-After")) for guard in guards.values()]
    assert max(waits) - min(waits) <= 1 + time.monotonic() - begun and 3500 < min(waits) <= 3900, waits


# ---- by the server's clock alone

def test_all_begin_anew_together(guards, server, who):
    for guard in guards.values():
        statuses(guard, "/short/hello", 4, who)
    server.move(33)  # a window and a sixteenth
    found = [statuses(guard, "/short/hello", 4, who) for guard in guards.values()]
    assert found == [[200] * 4, [200] * 4, [200] * 2 + [429] * 2]


@contextlib.contextmanager
def held(guard, who):
    with records.Connection(guard.address, 60) as connection:
        connection.send(records.request(records.environment(uri="/one/sleep", headers=who)))
        harness.wait_until(guard.programs, 5, "it runs")
        yield connection


def test_slot_of_a_killed_worker_runs_out(guards, server, who):
    guard, other = guards["right"], guards["ahead"]
    with held(guard, who):
        os.kill(guard.worker(), signal.SIGKILL)
        harness.wait_until(guard.connects, 10, "a new worker")
        guard.wait_no_programs()
        assert statuses(guard, "/one/hello", 1, who) == statuses(other, "/one/hello", 1, who) == [429]
        server.move(35)
        assert statuses(guard, "/one/hello", 1, who) == statuses(other, "/one/hello", 1, who) == [429]
        server.move(29)  # 64 seconds, as the manual says
        assert statuses(other, "/one/hello", 1, who) == [200]


def test_slot_is_held_longer_than_its_window(start, guards, server, who):
    """By a worker that lives ten times as fast, so that it takes its slot again every two seconds of ours."""
    fast, other = start("fast", "+0 x10"), guards["right"]

    def expires():
        found = [counter for counter in read(other, "list", "--limit", "one") if counter["key"].endswith(who["X-Test"])]
        return found[0]["expires_seconds"] if found else 0
    with held(fast, who):
        for _ in range(2):
            server.move(50)
            harness.wait_until(lambda: expires() > 50, 10, "it is taken again", 0.2)
            assert statuses(other, "/one/hello", 2, who) == [429, 429]
    harness.wait_until(lambda: statuses(other, "/one/hello", 1, who) == [200], 5, "it is given back")
    harness.wait_until(lambda: expires() == 0, 5, "nothing of it is left")
