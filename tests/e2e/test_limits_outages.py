"""What becomes of limits when their store fails under load: the policy's answer
at once, one line in the log, no hang, no crash, and all is well by itself
when the store is."""

import concurrent.futures
import contextlib
import fcntl
import glob
import os
import signal
import sqlite3
import threading
import time

import pytest

import harness
import records
from records import ask
from test_stores import mount

TIMEOUT = 2  # of the store


def policy(folder, helper, place):
    return {
        "store": {"url": f"sqlite:{place}/guard.db", "timeout": f"{TIMEOUT}s", "local_share": 50},
        "defaults": {"auth": "none", "exec": helper},
        "routes": [
            {"path": "/deny/**", "limits": {"use": [{"rate": "1000000/1h", "by": "header:X-Test"}]}},
            {"path": "/allow/**", "limits": {"use": [{"rate": "4/1h", "by": "header:X-Test"}]}, "on_store_failure": "allow"},
            {"path": "/local/**", "limits": {"use": [{"rate": "4/1h", "by": "header:X-Test"}]}, "on_store_failure": "local"},
            {"path": "/slot/**", "limits": {"use": [{"concurrency": 1}]}},
            {"path": "/free/**"},
        ],
    }


@pytest.fixture
def place(folder, request):
    return folder.writable("outage-" + request.node.name.replace("[", "-").strip("]"))


@pytest.fixture
def guard(folder, helper, place):
    started = harness.Guard(folder, policy(folder, helper, place), name=place.name)
    yield started
    started.stop()
    started.check_reports()


def status(guard, path="/deny/hello", who="x"):
    start = time.monotonic()
    reply = ask(guard.address, uri=path, headers={"X-Test": who})
    assert time.monotonic() - start < TIMEOUT + 10 * harness.PATIENCE, "nobody waits longer than the time-out"
    return reply.status


class Load:
    """Requests all the time, and what became of them."""

    def __init__(self, guard):
        self.guard, self.found, self.ends = guard, [], threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.runs = [self.pool.submit(self.run, number) for number in range(8)]

    def run(self, number):
        while not self.ends.is_set():
            self.found.append(status(self.guard, who=f"load-{number}"))

    def end(self):
        self.ends.set()
        for run in self.runs:
            run.result()
        assert set(self.found) <= {200, 503}, set(self.found)


def out(guard):
    """The store is out: each route says so in its own way, and other routes do not know."""
    harness.wait_until(lambda: status(guard) == 503, 10, "the store is out")
    reply = ask(guard.address, uri="/deny/hello")
    assert reply.status == 503 and b'"store_failed"' in reply.body and reply.get("Retry-After")
    assert b"sqlite" not in reply.body.lower() and b"guard.db" not in reply.body
    assert [status(guard, "/allow/hello") for _ in range(6)] == [200] * 6
    assert [status(guard, "/local/hello", "out") for _ in range(3)] == [200, 200, 429], "half of four"
    assert status(guard, "/free/hello") == 200


def back(guard):
    harness.wait_until(lambda: status(guard) == 200, 15, "the store is back", 0.1)


def check_log(guard, most=3):
    """Once each for an outage; a store that is being mended may fail more than once."""
    failed, mended = guard.entries(event="store_failed"), guard.entries(event="store_back")
    assert 1 <= len(failed) <= most and len(mended) == len(failed), guard.text()[-3000:]
    assert all("guard.db" in entry["message"] for entry in failed)


def test_locked(guard, place):
    load = Load(guard)
    with sqlite3.connect(place / "guard.db.limits", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        out(guard)
        other.execute("ROLLBACK")
    back(guard)
    load.end()
    check_log(guard)
    assert status(guard, "/local/hello", "out") == 200, "what was counted by itself is not in the store"


def test_slot_ends_meanwhile(guard, place):
    """It is free when the store is back, and does not just run out."""
    with records.Connection(guard.address) as held:
        held.send(records.request(records.environment(uri="/slot/slow?8000")))
        harness.wait_until(guard.programs, 10, "it runs")
        with sqlite3.connect(place / "guard.db.limits", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert held.reply().status == 200
            harness.wait_until(lambda: status(guard) == 503, 10, "the store is out")
            time.sleep(1)
            other.execute("ROLLBACK")
    back(guard)
    harness.wait_until(lambda: status(guard, "/slot/hello") == 200, 10, "it is free")


def test_turn_is_held_by_one_who_sleeps(guard, place):
    """A process that was stopped while it had the turn costs the others little."""
    assert status(guard) == 200
    files = glob.glob(f"{place}/*.turn*")
    assert files
    held = [open(name, "rb+") for name in files]
    for file in held:
        fcntl.lockf(file, fcntl.LOCK_EX)
    found = [status(guard) for _ in range(20)]
    assert found.count(200) >= 18, found
    for file in held:
        file.close()
    assert status(guard) == 200


def test_deleted(guard, place):
    load = Load(guard)
    assert [status(guard, "/allow/hello", "gone") for _ in range(5)] == [200] * 4 + [429]
    for name in glob.glob(f"{place}/guard.db.limits*"):
        os.unlink(name)
    harness.wait_until(lambda: os.path.exists(place / "guard.db.limits") and status(guard) == 200, 10, "a new file")
    load.end()
    assert 503 in load.found, "it was noticed"
    check_log(guard)
    assert status(guard, "/allow/hello", "gone") == 200, "what was counted is gone with it"


def test_replaced(guard, place):
    assert [status(guard, "/allow/hello", "a") for _ in range(5)] == [200] * 4 + [429]
    load = Load(guard)
    with sqlite3.connect(place / "guard.db.limits") as old, sqlite3.connect(place / "other") as new:
        old.backup(new)
    os.chmod(place / "other", 0o600)
    os.chown(place / "other", place.stat().st_uid, place.stat().st_gid)
    os.rename(place / "other", place / "guard.db.limits")
    harness.wait_until(lambda: guard.entries(event="store_back"), 10, "the new file is taken")
    back(guard)
    load.end()
    check_log(guard)
    assert status(guard, "/allow/hello", "a") == 429, "the copy has what was counted"


def test_log_removed(guard, place):
    """The -wal and -shm files, from under the worker."""
    load = Load(guard)
    for end in ("-wal", "-shm"):
        os.unlink(f"{place}/guard.db.limits{end}")
    time.sleep(0.5)
    back(guard)
    load.end()
    assert status(guard) == 200 and guard.connects()


@pytest.mark.parametrize("wrong", ["zeroes", "text", "empty", "pages"])
def test_damaged(guard, place, wrong):
    assert status(guard) == 200
    load = Load(guard)
    file = place / "guard.db.limits"
    size = file.stat().st_size
    content = {"zeroes": b"\0" * size, "text": b"this is no database, " * 4096, "empty": b"", "pages": None}[wrong]
    with open(file, "rb+") as damaged:
        if content is not None:
            damaged.truncate(0)
            damaged.write(content)
        else:
            damaged.seek(1024)
            damaged.write(os.urandom(max(size - 1024, 1024)))
    os.kill(guard.pid, signal.SIGHUP)  # else it may be read from memory for long
    harness.wait_until(lambda: guard.entries(event="policy_reloaded"), 10, "a reload")
    back(guard)
    load.end()
    assert set(load.found) <= {200, 503}
    assert [status(guard, "/allow/hello", "new") for _ in range(5)] == [200] * 4 + [429], "it counts again"


def test_another_programs_database(folder, helper, place):
    """It is not ours to move, or to write to: nothing starts."""
    with sqlite3.connect(place / "guard.db.limits") as other:
        other.execute("CREATE TABLE precious(x)")
    other.close()
    os.chmod(place / "guard.db.limits", 0o600)
    os.chown(place / "guard.db.limits", place.stat().st_uid, place.stat().st_gid)
    guard = harness.Guard(folder, policy(folder, helper, place), name="precious", start=False)
    guard.start(wait=False)
    try:
        guard.wait_text("the database of another program", 10)
    finally:
        guard.kill()
    with sqlite3.connect(place / "guard.db.limits") as other:
        assert other.execute("SELECT count(*) FROM precious").fetchone() == (0,)


def test_full_disk(folder, helper):
    target = mount(folder, "full-limits")
    guard = None
    try:
        guard = harness.Guard(folder, policy(folder, helper, target), name="full-limits")
        assert status(guard) == 200

        def answers():
            """What room the store gives back meanwhile is taken, too."""
            with contextlib.suppress(OSError), open(target / "filler", "ab", buffering=0) as filler:
                while filler.write(b"x" * 1024):
                    pass
            who = str(time.monotonic())
            return [status(guard, who=who)] + [status(guard, "/allow/hello", who) for _ in range(6)]
        harness.wait_until(lambda: answers() == [503] + [200] * 6, 20, "there is no room", 0)
        os.unlink(target / "filler")
        back(guard)
        check_log(guard)
        guard.stop()
        guard.check_reports()
    finally:
        if guard:
            guard.kill()
        assert harness.run(["umount", "-l", target]).returncode == 0


def test_read_only(guard, place):
    """From the start of a worker on; what needs no counters is served all the same."""
    if not harness.IS_ROOT:
        pytest.skip("needs root")
    os.kill(guard.worker(), signal.SIGSTOP)
    files = glob.glob(f"{place}/guard.db.limits*")
    owner = place.stat()
    for name in [*files, place]:
        os.chown(name, 0, 0)
    os.kill(guard.worker(), signal.SIGKILL)
    harness.wait_until(guard.connects, 15, "a new worker")
    out(guard)
    for name in [*files, place]:
        os.chown(name, owner.st_uid, owner.st_gid)
    back(guard)
    check_log(guard)


def test_worker_is_killed_all_the_time(folder, helper, place):
    """What was answered is counted, whenever a process is killed."""
    rules = policy(folder, helper, place)
    rules["routes"].append({"path": "/few/**", "limits": [{"rate": "200/1h", "by": "global"}]})
    guard = harness.Guard(folder, rules, name="killed")
    found, ends = [], threading.Event()

    def send():
        while not ends.is_set():
            try:
                found.append(ask(guard.address, uri="/few/hello").status)
            except (OSError, AssertionError, ValueError, TypeError, AttributeError):
                pass  # it was killed while it answered
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(send)
            for _ in range(6):
                time.sleep(0.3)
                os.kill(guard.worker(), signal.SIGKILL)
                harness.wait_until(guard.connects, 15, "a new worker")
            harness.wait_until(lambda: found.count(429) > 20, 30, "the limit is reached")
            ends.set()
        assert found.count(200) <= 200, "more than the limit"
        # 8 requests at most were counted and not answered each time.
        assert found.count(200) >= 200 - 8 * 7
    finally:
        ends.set()
        guard.stop()
