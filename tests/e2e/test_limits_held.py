"""What is held for long: slots of `concurrency` over a killed worker, a reload and more than their
window, and turns of `delay` whose client goes away."""

import contextlib
import os
import signal
import time

import pytest

import harness
import records
from records import ask
from test_limit_command import read, at
from test_limits import policy as base, refusal, statuses

BY = "header:X-Test"


@pytest.fixture(scope="module")
def guard(folder, helper):
    rules = base(folder, helper, database="held", threads=8)
    rules["user"] = harness.WEB_USER
    rules["limits"]["one"] = {"concurrency": 1, "by": BY}
    rules["limits"]["turn"] = {"rate": "7/1m", "algorithm": "gcra", "delay": "9s", "by": BY}  # 8.5 s from one to the next
    rules["limits"]["all"] = {"rate": "9/1h", "by": BY}
    rules["limits"]["good"] = {"rate": "9/1h", "by": BY, "count": "successes"}
    rules["limits"]["bad"] = {"rate": "9/1h", "by": BY, "count": "failures"}
    rules["routes"] += [
        {"path": "/one/**", "limits": "one"},
        {"path": "/turn/**", "limits": ["turn", "all", "good", "bad"]},
    ]
    started = harness.Guard(folder, rules, name="held", user=None)
    yield started
    started.stop()
    started.check_reports()


tests = iter(range(1, 1000000))


@pytest.fixture
def who():
    return {"X-Test": f"held-{next(tests)}"}


@contextlib.contextmanager
def sent(guard, uri, who):
    with records.Connection(guard.address) as connection:
        connection.send(records.request(records.environment(uri=uri, headers=who)))
        yield connection


def used_by(guard, name, callers):
    """By each of them, asked for once."""
    found = {counter["key"]: counter["used"] for counter in read(guard, "list", "--limit", name)}
    return [found.get(f"{name} {BY}={who['X-Test']}", 0) for who in callers]


def used(guard, name, who):
    return used_by(guard, name, [who])[0]


# ---- slots

def test_slot_of_a_killed_worker(guard, who):
    """It counts on, as nobody can know that its program has ended, until it runs out or is reset."""
    with sent(guard, "/one/sleep", who):
        harness.wait_until(guard.programs, 5, "it runs")
        os.kill(guard.worker(), signal.SIGKILL)
        harness.wait_until(guard.connects, 10, "a new worker")
        guard.wait_no_programs()
        assert statuses(guard, "/one/hello", 2, who) == [429, 429] and used(guard, "one", who) == 1
        assert statuses(guard, "/one/hello", 1, {"X-Test": "another"}) == [200]
        at(guard, "reset", f"one {BY}={who['X-Test']}")
        assert statuses(guard, "/one/hello", 1, who) == [200]


def test_slot_over_a_reload(guard, who):
    """The worker that drains holds it, and its end is seen by the new one."""
    with sent(guard, "/one/slow?15000", who) as held:
        harness.wait_until(guard.programs, 5, "it runs")
        old = guard.worker()
        os.kill(guard.pid, signal.SIGHUP)
        harness.wait_until(lambda: set(guard.workers()) - {old}, 10, "a new worker")
        harness.wait_until(lambda: statuses(guard, "/app/h/hello", 1, {"X-Test": str(time.monotonic())}) == [200], 5)
        assert old in guard.workers(), "it drains"
        for _ in range(5):
            assert refusal(ask(guard.address, uri="/one/hello", headers=who))["retryAfter"] == 1
        assert held.reply().status == 200
    harness.wait_until(lambda: used(guard, "one", who) == 0, 10, "it is given back, and does not just run out")
    assert statuses(guard, "/one/hello", 1, who) == [200]
    harness.wait_until(lambda: old not in guard.workers(), 10, "the old worker ends")


# ---- turns

def test_client_leaves_while_it_waits(guard, who):
    """Its turn stays taken, and its program is not run; the others get theirs."""
    assert statuses(guard, "/turn/hello", 1, who) == [200]
    with guard.leaves_nothing():
        with sent(guard, "/turn/sleep", who):
            harness.wait_until(lambda: used(guard, "all", who) == 2, 5, "it waits for its turn")
        assert statuses(guard, "/turn/hello", 1, who) == [429], "the next turn is too far away"
        assert statuses(guard, "/turn/hello", 1, {"X-Test": who["X-Test"] + "-other"}) == [200]
    entry = guard.wait_entry(path="/turn/sleep")
    assert (entry["status"], entry["guard"], entry["code"]) == (400, "exec", "client_gone"), "it never ran"
    harness.wait_until(lambda: used(guard, "good", who) == 1, 5, "it was none of the successes")
    assert (used(guard, "all", who), used(guard, "bad", who)) == (2, 1)
    start = time.monotonic()
    assert statuses(guard, "/turn/hello", 2, who) == [200, 200]
    assert time.monotonic() - start > 8.4, "the second of them has waited"


def test_many_clients_leave_while_they_wait(guard):
    """Half of the 8 threads may wait; those for whom nobody waits any more are free after their turn."""
    for _ in range(2):
        callers = [{"X-Test": f"held-{next(tests)}"} for _ in range(5)]
        for caller in callers:
            assert statuses(guard, "/turn/hello", 1, caller) == [200]
        with contextlib.ExitStack() as stack:
            for caller in callers[:4]:
                stack.enter_context(sent(guard, "/turn/hello", caller))
            harness.wait_until(lambda: used_by(guard, "all", callers[:4]) == [2] * 4, 5, "all wait")
        assert statuses(guard, "/turn/hello", 1, callers[4]) == [429], "no thread may wait for him"
        harness.wait_until(lambda: used(guard, "all", callers[4]) == 1, 5, "what he was refused took nothing")
        assert statuses(guard, "/app/h/hello", 2, callers[4]) == [200, 200], "who need not wait is served"
        harness.wait_until(lambda: statuses(guard, "/turn/hello", 1, callers[4]) == [200], 15, "it is his turn")
