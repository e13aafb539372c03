"""Stores beneath a server that runs: checkpoints, locks, full disks, damage, and
many changes at once. What is wrong with a store opens no door and ends no worker."""

import concurrent.futures
import contextlib
import json
import os
import sqlite3
import subprocess

import pytest

import harness
from conftest import needs_root
from records import ask
from test_callers import SECRET, new_key, policy, token

MANY = max(10, int(25 * harness.SCALE))


@pytest.fixture
def guard(request, start_guard, helper, folder):
    """A server with a store in a folder of its own."""
    name = request.node.originalname.replace("test_", "")
    return start_guard(policy(helper, folder, store=f"sqlite:{folder.writable(name)}/guard.db"), name=name)


def store_of(guard):
    return json.loads(guard.policy_path.read_text())["store"].partition(":")[2]


def run(guard, *arguments):
    who = {"user": guard.user, "group": guard.user, "extra_groups": []} if guard.user else {}
    return subprocess.run([guard.program, *arguments, "-c", guard.policy_path], capture_output=True, text=True, check=False,
                          env=guard.environment, **who)


def with_key(guard, key):
    return ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key})


def with_token(guard, text):
    return ask(guard.address, uri="/app/h/hello", headers={"Authorization": "Bearer " + text})


def reload(guard, event="policy_reloaded"):
    before = len(guard.entries(event=event))
    guard.process.notify(harness.signal.SIGHUP)
    harness.wait_until(lambda: len(guard.entries(event=event)) > before, 15, event)


def is_refused_as_failed(reply):
    return reply.status == 503 and json.loads(reply.body)["error"] == "store_failed"


def last_used(guard, key):
    return json.loads(run(guard, "key", "show", key.split("_")[1], "--json").stdout)["last_used_at"]


def test_checkpoints(guard):
    """The worker in its sandbox reads and writes on, whoever empties the log of changes."""
    for turn in range(3):
        key, text = new_key(guard), token(jti=str(turn))
        assert with_key(guard, key).status == 200 and with_token(guard, text).status == 200
        harness.wait_until(lambda key=key: last_used(guard, key), 5, "the use is noted by the worker")
        with contextlib.closing(sqlite3.connect(store_of(guard))) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert os.path.getsize(store_of(guard) + "-wal") == 0
        assert with_key(guard, key).status == 200
        assert run(guard, "key", "revoke", key.split("_")[1]).returncode == 0
        assert run(guard, "token", "revoke", "--jti", str(turn)).returncode == 0
        assert with_key(guard, key).status == 401 and with_token(guard, text).status == 401
        reload(guard)
        assert with_key(guard, key).status == 401 and with_token(guard, text).status == 401
    assert not guard.entries(event="worker_died"), guard.text()


def test_somebody_writes_for_long(guard):
    """Looks wait for no change, and the note of a use for none either."""
    key, text = new_key(guard), token()
    with contextlib.closing(sqlite3.connect(store_of(guard), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert with_key(guard, key).status == 200 and with_token(guard, text).status == 200
        other.execute("ROLLBACK")
    assert last_used(guard, key) is None
    assert with_key(guard, key).status == 200
    harness.wait_until(lambda: last_used(guard, key), 5, "the use is noted as soon as it can be")


def test_store_that_cannot_be_opened(guard):
    """The worker that has it goes on, and no new one takes its place."""
    key, worker = new_key(guard), guard.worker()
    for name in ("", "-wal", "-shm"):
        os.chmod(store_of(guard) + name, 0)
    if guard.user or not harness.IS_ROOT:
        reload(guard, "policy_refused")
    assert guard.worker() == worker and with_key(guard, key).status == 200
    for name in ("", "-wal", "-shm"):
        os.chmod(store_of(guard) + name, 0o600)
    reload(guard)
    assert with_key(guard, key).status == 200


@pytest.mark.parametrize("wrong", ["cut", "overwritten", "replaced", "a folder"])
def test_damage(start_guard, helper, folder, wrong):
    name = "damage-" + wrong.replace(" ", "-")
    guard = start_guard(policy(helper, folder, store=f"sqlite:{folder.writable(name)}/guard.db"), name=name)
    key, worker, path = new_key(guard), guard.worker(), store_of(guard)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if wrong == "cut":
        os.truncate(path, 0)
    elif wrong == "overwritten":
        with open(path, "r+b") as file:
            file.write(b"\xaa" * os.path.getsize(path))
    else:
        os.rename(path, path + ".old")
        (os.mkdir if wrong == "a folder" else harness.pathlib.Path.touch)(harness.pathlib.Path(path))
    # A page that the worker has read already may serve it until the file is known to have changed.
    guessed = key[:-1] + ("0" if key[-1] != "0" else "1")
    for presented, good in ((key, (200, 503)), (guessed, (401, 503)), (key.replace(key[4], "z" if key[4] != "z" else "y", 1), (401, 503))):
        assert with_key(guard, presented).status in good
    assert with_token(guard, token()).status in (200, 503)
    if wrong in ("replaced", "a folder"):
        assert is_refused_as_failed(with_key(guard, key)) and is_refused_as_failed(with_token(guard, token()))
    assert with_token(guard, "wrong").status == 401 and ask(guard.address, uri="/app/h/hello").status == 401
    assert ask(guard.address, uri="/app/maybe/hello").status == 200
    assert guard.worker() == worker, guard.text()[-2000:]


def mount(folder, name):
    target = folder.writable(name)
    done = harness.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755,uid=%d,gid=%d" % (target.stat().st_uid, target.stat().st_gid),
                        "tmpfs", target])
    if done.returncode:
        pytest.skip("no file system can be mounted: " + done.stderr.strip())
    return target


@needs_root
def test_full_disk(start_guard, helper, folder):
    """Looks need no room; changes that find none say so, and change nothing."""
    target = mount(folder, "full")
    try:
        guard = start_guard(policy(helper, folder, store=f"sqlite:{target}/guard.db"), name="on-full")
        key, worker, text = new_key(guard), guard.worker(), token(jti="1")
        with contextlib.suppress(OSError), open(target / "filler", "wb", buffering=0) as file:
            while file.write(b"x" * 1024):
                pass
        assert with_key(guard, key).status == 200 and with_token(guard, text).status == 200
        failed = [run(guard, "key", "create", "--owner", "x" * 200, "--note", "y" * 200) for _ in range(200)]
        failed = [done for done in failed if done.returncode]
        assert failed, "the disk is not full"
        assert all("no room left" in done.stderr and not done.stdout for done in failed), failed[0].stderr
        assert with_key(guard, key).status == 200 and with_token(guard, text).status == 200
        os.unlink(target / "filler")
        assert run(guard, "key", "revoke", key.split("_")[1]).returncode == 0
        assert run(guard, "token", "revoke", "--jti", "1").returncode == 0
        assert with_key(guard, key).status == 401 and with_token(guard, text).status == 401
        assert guard.worker() == worker
        guard.stop()
    finally:
        assert harness.run(["umount", "-l", target]).returncode == 0


def test_many_changes_at_once(guard):
    """Each is refused from the next request on, whichever worker has it: the one
    that serves, the next one, and the one between."""
    def change(number):
        if number % 3 == 0:
            text = token(jti=str(number))
            assert with_token(guard, text).status == 200
            done, old, new = run(guard, "token", "revoke", "--jti", str(number)), lambda: with_token(guard, text), None
        else:
            key = new_key(guard, owner=f"owner{number}")
            verb = ["revoke"] if number % 3 == 1 else ["rotate", "--keep", "0s"]
            assert with_key(guard, key).status == 200
            done, old = run(guard, "key", *verb, key.split("_")[1]), lambda: with_key(guard, key)
            new = done.stdout.strip() if number % 3 == 2 else None
        assert done.returncode == 0, done.stderr
        replies = [old().status for _ in range(5)]
        assert replies == [401] * 5, (number, replies)
        assert new is None or with_key(guard, new).status == 200
        return True
    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        changes = [pool.submit(change, number) for number in range(MANY)]
        for _ in range(2):
            reload(guard)
        assert all(done.result() for done in changes)
    assert not guard.entries(event="worker_died"), guard.text()


def test_the_same_key_rotated_by_many(guard):
    """One of them gets the next key for each turn; the one that is revoked stays revoked."""
    key = new_key(guard)
    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        made = list(pool.map(lambda _: run(guard, "key", "rotate", key.split("_")[1], "--keep", "0s"), range(MANY)))
    good = [done.stdout.strip() for done in made if done.returncode == 0]
    assert len(good) == 1, [done.stderr for done in made]
    assert with_key(guard, key).status == 401 and with_key(guard, good[0]).status == 200
    assert SECRET not in guard.text() and good[0] not in guard.text()
