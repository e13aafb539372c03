"""The log: one JSON object a line, whole under concurrency, with what an owner
needs and without what must not be kept."""

import grp
import json
import os
import re
import signal
import socket
import stat
import threading

import pytest

import harness
import records
from conftest import needs_root
from records import Connection, ask, environment, raw

SECRETS = {"Authorization": "Bearer secret-token", "Cookie": "session=secret-cookie", "X-API-Key": "secret-key"}


@pytest.fixture(scope="module")
def guard(start_guard, helper):
    return start_guard({
        "defaults": {"auth": "none"},
        "routes": [{"path": "/app/h/**", "methods": ["GET", "POST"], "exec": helper}]}, name="log")


def test_line_of_a_request(guard):
    reply = ask(guard.address, "POST", "/app/h/count?password=secret-query", b"secret-body",
                headers={**SECRETS, "User-Agent": "test/1.0"}, replace={"REMOTE_ADDR": "192.0.2.7"})
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", entry["time"])
    assert entry["level"] == "info" and entry["method"] == "POST" and entry["path"] == "/app/h/count"
    assert entry["status"] == 200 and entry["address"] == "192.0.2.7" and entry["userAgent"] == "test/1.0"
    assert entry["route"] == "/app/h/**" and entry["sent"] == len(reply.body) and 0 < entry["duration"] < 20000
    assert "guard" not in entry and "code" not in entry
    assert "secret" not in guard.text()


def test_levels(guard):
    text = "Status: 500 X\nContent-Type: text/plain\n\nx"
    for uri, level in (("/app/h/hello", {"info"}), ("/none", {"info", "notice"}), ("/app/h/.git", {"notice"}),
                       (raw("broken"), {"warning"}), (raw(text), {"warning"})):
        reply = ask(guard.address, uri=uri)
        assert guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))["level"] in level, uri


@pytest.mark.parametrize("agent", ['"quotes" and \\', "\xff\xfe", "\u2028", "tab\tbed", "x" * 6000, "{}\\n"])
def test_what_a_client_sends_stays_in_its_line(guard, agent):
    before = len(guard.log())
    reply = ask(guard.address, headers={"User-Agent": agent.encode()})
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert len(guard.log()) == before + 1
    assert len(json.dumps(entry)) < 8000


def test_long_paths_are_cut(guard):
    reply = ask(guard.address, uri="/app/h/inspect/" + "%e2%82%ac" * 850)
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert entry["status"] == reply.status
    assert max(len(line) for line in guard.text().split("\n")) <= 4096


def test_lines_are_whole_under_concurrency(guard):
    """Requests, refusals and programs that complain, all at once."""
    before = len(guard.entries(event="request"))
    count = 40

    def some():
        with Connection(guard.address, 60) as connection:
            for uri in ("/app/h/errors", "/app/h/hello", "/none", "/app/h/.git", "/app/h/%00") * (count // 5):
                connection.ask(environment(uri=uri, headers={"User-Agent": "y" * 3000}))
    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    harness.wait_until(lambda: len(guard.entries(event="request")) == before + 8 * count, 10, "one line a request")
    guard.log()
    assert max(len(line) for line in guard.log_path.read_bytes().split(b"\n")) <= 4096


def test_level_of_the_policy(start_guard, helper):
    guard = start_guard({"log": {"target": "stderr", "level": "warning"}, "defaults": {"auth": "none"},
                         "routes": [{"path": "/app/h/**", "exec": helper}]}, name="quiet")
    ask(guard.address)
    ask(guard.address, uri="/none")
    reply = ask(guard.address, uri="/app/h/kill-self")
    guard.wait_entry(requestId=reply.get("X-Request-ID"), event="request")
    assert {entry["level"] for entry in guard.log()} <= {"warning", "error"}


def test_reader_of_the_log_that_has_stopped(start_guard, helper, folder):
    """A full pipe costs a request little, and does not stop the service."""
    guard = start_guard({"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": helper}]}, name="pipe",
                        start=False)
    reader, writer = socket.socketpair()
    process = harness.subprocess.Popen(guard.command(), stdin=harness.subprocess.DEVNULL, stdout=writer, stderr=writer,
                                       env=guard.environment, start_new_session=True, cwd=str(folder),
                                       **({"user": guard.user, "group": guard.user, "extra_groups": []} if guard.user else {}))
    writer.close()
    try:
        harness.wait_until(guard.connects, 20, "it listens")
        for _ in range(3):
            with Connection(guard.address, 60) as connection:
                for _ in range(25):
                    assert connection.ask(environment(uri="/none", headers={"User-Agent": "z" * 3000})).status == 404
        reader.setblocking(False)
        received = b""
        while True:
            try:
                more = reader.recv(1 << 20)
            except BlockingIOError:
                break
            received += more
        for line in received.split(b"\n")[:-1]:
            json.loads(line)
        assert ask(guard.address).status == 200
    finally:
        process.terminate()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
            reader.close()


def test_refused_policy_leaves_the_log(start_guard, helper, folder):
    """What is wrong with a new policy is said where its reader looks, in the old log."""
    old, new = folder.writable("log") / "old.log", folder.writable("log") / "new.log"
    policy = {"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": helper}]}
    guard = start_guard({**policy, "log": f"file:{old}"}, name="refused")
    for bad in ({"threads": 0}, {"listen": "unix:/no/such/folder/x.sock"}, {"log": f"file:{folder / 'none' / 'new.log'}"}):
        count = old.read_text().count("policy_refused")
        guard.write({**policy, "log": f"file:{new}", **bad})
        guard.process.notify(harness.signal.SIGHUP)
        harness.wait_until(lambda: old.read_text().count("policy_refused") > count, what="policy_refused in the old log")
        assert not new.exists()
    reply = ask(guard.address, uri="/app/h/hello")
    assert reply.status == 200
    harness.wait_until(lambda: reply.get("X-Request-ID") in old.read_text(), what="the request in the old log")


@pytest.mark.skipif(not harness.IS_ROOT, reason="only root has a folder that the worker may not enter")
def test_policy_without_a_worker_leaves_the_log(start_guard, helper, folder):
    """A policy that loads but that no worker can start with gives the old log back."""
    old, new = folder.writable("log") / "stays.log", folder.writable("log") / "comes.log"
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    policy = {"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": helper}]}
    guard = start_guard({**policy, "log": f"file:{old}"}, name="unstarted")
    for count in (1, 2):
        guard.write({**policy, "log": f"file:{new}", "spool": str(closed)})
        guard.process.notify(harness.signal.SIGHUP)
        harness.wait_until(lambda: old.read_text().count("policy_refused") == count, what="policy_refused in the old log")
        assert new.read_text().count("worker_not_confined") == count
    reply = ask(guard.address, uri="/app/h/hello")
    assert reply.status == 200
    harness.wait_until(lambda: reply.get("X-Request-ID") in old.read_text(), what="the request in the old log")
    guard.write({**policy, "log": f"file:{new}"})
    guard.process.notify(harness.signal.SIGHUP)
    harness.wait_until(lambda: "policy_reloaded" in new.read_text(), what="policy_reloaded in the new log")


class Rotation:
    """A log file in a folder that only root may enter, rotated as logrotate(8) does it."""

    def __init__(self, folder, made):
        folder.mkdir(mode=0o700)
        self.log, self.made, self.old, self.sizes = folder / "guard.log", made, [], []

    def rotate(self, guard):
        """Renames the file, makes a new one (`create 0600 root adm`) or leaves that to the guard
        (`nocreate`), signals, and waits until the old one could be compressed."""
        old = self.log.with_suffix(f".{len(self.old) + 1}")
        self.log.rename(old)
        if self.made:
            self.log.touch(mode=0o600)
            os.chown(self.log, 0, grp.getgrnam("adm").gr_gid)
        guard.process.notify(signal.SIGUSR1)

        def all_have_changed():
            links = [harness.descriptors(pid) for pid in (guard.pid, *guard.workers())]
            return all(str(self.log) in files and str(old) not in files for files in links)
        harness.wait_until(all_have_changed, 10, "nobody has the old file open")
        self.old.append(old)
        self.sizes.append(old.stat().st_size)

    def lines(self, *files):
        """The complete lines of these files; of all of them without any."""
        return [json.loads(line) for file in files or (*self.old, self.log) for line in file.read_text().split("\n")[:-1]]

    def requests(self, *files):
        return [line["requestId"] for line in self.lines(*files) if line["event"] == "request"]


@needs_root
@pytest.mark.parametrize("made", [False, True], ids=["nocreate", "create"])
def test_rotation_as_root(start_guard, helper, folder, made):
    """Under load, and with a folder that is closed to the worker, no line is lost or comes twice."""
    rotation = Rotation(folder / f"rotated-{made}", made)
    guard = start_guard({"user": "nobody", "log": f"file:{rotation.log}", "defaults": {"auth": "none"},
                         "routes": [{"path": "/app/h/**", "exec": helper}]}, user=None, name=f"rotated-{made}")
    answered = []

    def two():
        for uri, status in (("/app/h/hello", 200), ("/none", 404)):
            reply = ask(guard.address, uri=uri)
            assert reply.status == status, reply
            answered.append(reply.get("X-Request-ID"))
    with harness.Load(two) as load:
        for count in range(6):
            if count:
                rotation.rotate(guard)
            before = len(answered)
            harness.wait_until(lambda: len(answered) > before + 40, 60, "requests for this file")
    assert not load.failed, load.failed[:2]
    harness.wait_until(lambda: len(rotation.requests()) >= len(answered), 10, "a line for each request")
    assert sorted(rotation.requests()) == sorted(answered)
    assert all(rotation.requests(file) for file in (*rotation.old, rotation.log))
    assert [file.stat().st_size for file in rotation.old] == rotation.sizes, "nothing comes to an old file"
    assert not {line["event"] for line in rotation.lines()} & {"log_not_reopened", "lines_dropped"}
    for file in (*rotation.old[1:], rotation.log):
        found = file.stat()
        group, mode = ("adm", 0o600) if made else ("root", 0o640)
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, grp.getgrnam(group).gr_gid, mode)


@needs_root
def test_rotation_while_a_worker_drains(start_guard, helper, folder):
    """A request that began before both logs in the new file, from the old worker."""
    rotation = Rotation(folder / "rotated-drain", False)
    policy = {"user": "nobody", "log": f"file:{rotation.log}", "defaults": {"auth": "none"}, "timeouts": {"drain": "30s"},
              "routes": [{"path": "/app/h/**", "methods": ["GET", "POST"], "exec": helper}]}
    guard = start_guard(policy, user=None, name="rotated-drain")
    old = guard.worker()
    with Connection(guard.address) as connection:
        params = environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "10"})
        connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                        + records.stream(records.STDIN, b"12345", end=False))
        ask(guard.address)
        guard.process.notify(signal.SIGHUP)
        harness.wait_until(lambda: guard.worker() != old, 10, "a new worker")
        rotation.rotate(guard)
        assert old in guard.workers()
        connection.send(records.stream(records.STDIN, b"67890"))
        reply = connection.reply()
    assert reply.status == 200 and reply.body.startswith(b"10 ")
    harness.wait_until(lambda: reply.get("X-Request-ID") in rotation.requests(rotation.log), 10, "its line in the new file")
    assert [file.stat().st_size for file in rotation.old] == rotation.sizes
