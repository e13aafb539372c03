"""A service's life: starting, sockets, signals, a worker that dies, reload
under load, the end."""

import configparser
import grp
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import stat
import threading
import time

import pytest

import harness
import records
from conftest import needs_root
from harness import wait_until
from records import Connection, ask, environment


def simple(helper, **more):
    return {"defaults": {"auth": "none"}, "timeouts": {"drain": "15s", "idle": "20s"},
            "routes": [{"path": "/app/h/**", "methods": ["GET", "POST"], "exec": helper}], **more}


def check_hello(guard, **words):
    reply = ask(guard.address, **words)
    assert (reply.status, reply.body) == (200, b"hello\n"), reply


# ---- two processes

def test_parent_and_worker(start_guard, helper):
    guard = start_guard(simple(helper))
    assert len(guard.workers()) == 1
    assert harness.status_of(guard.pid)["Threads"] == "1"
    assert int(harness.status_of(guard.worker())["Threads"]) > 1
    assert not [link for link in harness.descriptors(guard.worker()) if link.startswith("/dev/pts")]


# ---- the socket

def test_mode_of_the_socket(start_guard, helper):
    guard = start_guard(simple(helper))
    found = os.stat(guard.address)
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o660
    guard.stop()
    assert not os.path.exists(guard.address)


@needs_root
def test_owner_of_the_socket(start_guard, helper):
    """Started as root; the socket is given away before anybody can connect."""
    guard = start_guard(simple(helper), user=None, start=False)
    guard.write(simple(helper, user="www-data", listen={
        "address": "unix:" + guard.address, "mode": "0640", "owner": "www-data", "group": "daemon"}))
    guard.start()
    found = os.stat(guard.address)
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert (found.st_uid, found.st_gid) == (harness.pwd.getpwnam("www-data").pw_uid, grp.getgrnam("daemon").gr_gid)
    check_hello(guard)
    guard.stop()


def failed_start(guard):
    guard.start(wait=False)
    status = guard.process.process.wait(60)
    assert status not in (0, None)
    return guard.text()


def test_live_socket_is_never_stolen(start_guard, helper):
    first = start_guard(simple(helper))
    second = start_guard(simple(helper), start=False)
    second.write(simple(helper, listen="unix:" + first.address))
    inode = os.stat(first.address).st_ino
    assert "in use" in failed_start(second)
    assert os.stat(first.address).st_ino == inode
    check_hello(first)


def test_stale_socket_is_replaced(start_guard, helper):
    guard = start_guard(simple(helper), start=False)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(guard.address)
    if harness.IS_ROOT:
        shutil.chown(guard.address, "www-data")
    guard.start()
    check_hello(guard)


def test_stale_socket_after_a_crash(start_guard, helper):
    guard = start_guard(simple(helper))
    workers = guard.workers()
    guard.process.process.kill()
    guard.process.process.wait()
    wait_until(lambda: not [pid for pid in workers if os.path.exists(f"/proc/{pid}")], 10,
               "a worker ends when its parent is gone")
    assert os.path.exists(guard.address)
    guard.start()
    check_hello(guard)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_not_a_socket_is_left_alone(start_guard, helper, kind):
    guard = start_guard(simple(helper), start=False)
    path = pathlib.Path(guard.address)
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        (path.parent / "precious").write_text("precious")
        path.symlink_to(path.parent / "precious")
    assert "not a socket" in failed_start(guard)
    assert path.is_dir() if kind == "folder" else path.read_text() == "precious"
    shutil.rmtree(path) if kind == "folder" else path.unlink()


def test_tcp(start_guard, helper):
    for form, family, host in (("tcp:127.0.0.1:{}", socket.AF_INET, "127.0.0.1"), ("tcp:[::1]:{}", socket.AF_INET6, "::1")):
        try:
            port = harness.free_port()
            with socket.socket(family) as probe:
                probe.bind((host, port))
        except OSError:
            continue
        guard = start_guard(simple(helper, listen=form.format(port)), start=False)
        guard.connects = lambda: socket.socket(family).connect_ex((host, port)) == 0
        guard.start()
        if family == socket.AF_INET:
            assert ask((host, port)).body == b"hello\n"
        guard.stop()


# ---- started by others

LAUNCHER = """
import os, socket, sys
path, mode, program = sys.argv[1], sys.argv[2], sys.argv[3:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o660)
listener.listen(64)
target = 0 if mode == "zero" else 3
os.dup2(listener.fileno(), target)
os.set_inheritable(target, True)
if mode == "systemd":
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="guard")
os.execv(program[0], program)
"""


@pytest.mark.parametrize("mode", ["systemd", "zero"])
def test_started_with_a_socket(start_guard, helper, folder, mode):
    """As systemd does it (descriptor 3), and as mod_fcgid and spawn-fcgi do (descriptor 0)."""
    guard = start_guard(simple(helper), start=False)
    words = simple(helper)
    guard.write({**words, "listen": None})
    command = guard.command()
    guard.command = lambda: ["/usr/bin/python3", "-c", LAUNCHER, guard.address, mode, *command]
    guard.start()
    check_hello(guard)
    seen = json.loads(ask(guard.address, uri="/app/h/inspect").body)
    assert seen["descriptors"] == [0, 1, 2]
    assert not [entry for entry in seen["environment"] if entry.startswith("LISTEN_")]
    os.kill(guard.worker(), signal.SIGKILL)
    wait_until(lambda: ask(guard.address).status == 200, 10, "the next worker serves the same socket")
    assert guard.process.end() == 0
    assert os.path.exists(guard.address), "the socket belongs to whoever made it"
    os.unlink(guard.address)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not installed")
def test_systemd_socket_activate(start_guard, helper):
    guard = start_guard(simple(helper), start=False)
    guard.write({**simple(helper), "listen": None})
    command = guard.command()
    guard.command = lambda: [shutil.which("systemd-socket-activate"), "--fdname=guard", "-l", guard.address, *command]
    guard.connects = lambda: os.path.exists(guard.address)
    guard.start()
    wait_until(lambda: ask(guard.address).status == 200, 10, "served")
    check_hello(guard)
    assert guard.process.end() == 0
    if os.path.exists(guard.address):
        os.unlink(guard.address)


def test_systemd_units(start_guard, helper):
    """The units of examples/ say what the program understands."""
    units = {}
    for name in ("fcgiguard.service", "fcgiguard.socket"):
        units[name] = configparser.ConfigParser(strict=False, interpolation=None)
        units[name].optionxform = str
        units[name].read(harness.EXAMPLES / "systemd" / name)
    service, listening = units["fcgiguard.service"]["Service"], units["fcgiguard.socket"]["Socket"]
    assert listening["SocketMode"] == "0660" and listening["ListenStream"] == "/run/fcgiguard/guard.sock"
    guard = start_guard(simple(helper), start=False)
    replaced = service["ExecStart"].replace("/usr/bin/fcgiguard", str(guard.program)).replace(
        "/etc/fcgiguard.yaml", str(guard.policy_path))
    guard.command = replaced.split
    guard.start()
    check_hello(guard)
    if shutil.which("systemd-analyze"):
        result = harness.run(["systemd-analyze", "verify", "--man=no", harness.EXAMPLES / "systemd/fcgiguard.socket"])
        assert "Unknown" not in result.stderr, result.stderr


def test_nothing_to_listen_on(start_guard, helper):
    guard = start_guard(simple(helper), start=False)
    guard.write({**simple(helper), "listen": None})
    assert "listen" in failed_start(guard)


def test_bad_policy_at_the_start(start_guard, helper):
    guard = start_guard("routes:\n  - pth: /x\n    auth: none\n", start=False)
    text = failed_start(guard)
    assert f"{guard.policy_path}:2:" in text and 'did you mean "path"?' in text
    assert not os.path.exists(guard.address)


# ---- a worker that dies

def test_worker_is_killed(start_guard, helper):
    guard = start_guard(simple(helper))
    for _ in range(3):
        before = guard.worker()
        os.kill(before, signal.SIGKILL)
        reply = ask(guard.address)  # waits in the listening socket, at most
        assert reply.status in (0, 200)
        wait_until(lambda: guard.worker() != before, 5, "a new worker")
        check_hello(guard)
    guard.wait_text(r"worker")


def test_worker_is_killed_under_load(start_guard, helper):
    """The next request is served; what was under way is lost, and its programs with it."""
    guard = start_guard(simple(helper))
    with Connection(guard.address) as sleeping:
        sleeping.send(records.request(environment(uri="/app/h/sleep")))
        wait_until(lambda: len(guard.programs()) >= 5, 5, "the program and its family run")
        family = guard.programs()
        with harness.Load(lambda: records.ask(guard.address, timeout=10)) as load:
            time.sleep(0.3)
            for _ in range(2):
                before = guard.worker()
                os.kill(before, signal.SIGKILL)
                wait_until(lambda: not [pid for pid in family if os.path.exists(f"/proc/{pid}")], 5, "its programs die")
                wait_until(lambda: guard.worker() not in (0, before), 5, "a new worker")
                done = load.done
                wait_until(lambda: load.done > done + 20, 10, "requests are served")
        check_hello(guard)
    guard.wait_no_programs()


def test_parent_is_killed(start_guard, helper):
    """The worker does not serve on without its parent."""
    guard = start_guard(simple(helper))
    with Connection(guard.address) as kept:
        kept.ask()
        workers = guard.workers()
        guard.process.process.kill()
        guard.process.process.wait()
        wait_until(lambda: not [pid for pid in workers if os.path.exists(f"/proc/{pid}")], 10, "the worker ends")
        assert kept.closed()
    os.unlink(guard.address)


# ---- reload

class Steady:
    """Requests all the time, on kept and new connections; each must be answered."""

    def __init__(self, address):
        self.address, self.local = address, threading.local()

    def __call__(self):
        reply = ask(self.address)
        assert (reply.status, reply.body) == (200, b"hello\n"), reply
        for _ in range(2):
            self.kept()

    def kept(self):
        """A kept connection may be closed while it is idle; then nothing can be
        written to it and a new one is made. What could be written is answered."""
        for _ in range(2):
            connection = getattr(self.local, "connection", None) or Connection(self.address)
            self.local.connection = connection
            if connection.try_send(records.request(environment(), keep=True)):
                reply = connection.reply()
                assert reply.complete and reply.body == b"hello\n", reply
                return
            connection.close()
            self.local.connection = None
        raise AssertionError("two connections would not take a request")


def test_reload_under_load(start_guard, helper):
    guard = start_guard(simple(helper))
    good = simple(helper)
    good["defaults"]["headers"] = {"X-Policy": "second"}
    with harness.Load(Steady(guard.address)) as load:
        time.sleep(0.2)
        # a policy that is wrong
        worker, since = guard.worker(), len(guard.text())
        guard.policy_path.write_text("listen: unix:/x\nroutes:\n  - path: /a\n    auth: none\n    exce: /bin/true\n")
        guard.process.notify(signal.SIGHUP)
        guard.wait_text(r"5:5.*exce", since=since)
        assert 'did you mean' in guard.text()[since:]
        done = load.done
        wait_until(lambda: load.done > done + 20, 20, "requests go on")
        assert guard.worker() == worker and ask(guard.address).get("X-Policy") is None
        # one that is no policy at all, and none
        for content in ("{", None):
            since = len(guard.text())
            guard.policy_path.unlink() if content is None else guard.policy_path.write_text(content)
            guard.process.notify(signal.SIGHUP)
            guard.wait_text(r"\n|.", since=since)
            assert guard.worker() == worker
        # and good ones, several times
        for number in range(3):
            before = guard.worker()
            good["defaults"]["headers"]["X-Policy"] = str(number)
            guard.write(good)
            guard.process.notify(signal.SIGHUP)
            wait_until(lambda: ask(guard.address).get("X-Policy") == str(number), 10, "the new policy")
            wait_until(lambda: before not in guard.workers(), 30, "the old worker has drained")
        done = load.done
        wait_until(lambda: load.done > done + 20, 20, "requests go on")
    assert not load.failed, load.failed[:3]
    assert load.done > 50


def test_reload_lets_requests_end(start_guard, helper):
    guard = start_guard(simple(helper))
    with Connection(guard.address) as slow, Connection(guard.address) as half:
        slow.send(records.request(environment(uri="/app/h/slow?1000")))
        half.send(records.begin() + records.stream(records.PARAMS, records.pairs(
            environment(method="POST", uri="/app/h/count", body=b"abc"))))
        wait_until(lambda: len(guard.programs()) >= 1, 5, "it runs")
        before = guard.worker()
        guard.process.notify(signal.SIGHUP)
        wait_until(lambda: guard.worker() != before, 10, "a new worker")
        check_hello(guard)
        half.send(records.stream(records.STDIN, b"abc"))
        assert half.reply().body.startswith(b"3 ")
        assert slow.reply().body == b"hello\n"
    wait_until(lambda: before not in guard.workers(), 10, "the old worker has drained")


@needs_root
def test_reload_without_room_for_threads(start_guard, folder, helper):
    """A policy whose worker cannot make its threads replaces nobody."""
    words = simple(helper, user="games")
    guard = start_guard(words, start=False, user=None, limits={resource.RLIMIT_NPROC: (60, 60)})
    shutil.chown(guard.spool, "games")
    guard.start()
    with harness.Load(Steady(guard.address)) as load:
        before = guard.worker()
        guard.write({**words, "threads": 500})
        guard.process.notify(signal.SIGHUP)
        guard.wait_entry(event="policy_refused")
        check_hello(guard)
        assert guard.workers() == [before]
    # While the new worker takes all threads that its user may have, no program can be started.
    assert not [failed for failed in load.failed if "502" not in str(failed)], load.failed[:3]
    assert "cannot make thread" in guard.wait_entry(event="start_failed")["message"]


def test_many_reloads(start_guard, helper):
    guard = start_guard(simple(helper))
    check_hello(guard)
    before = guard.descriptors()
    for _ in range(10):
        guard.process.notify(signal.SIGHUP)
        time.sleep(0.05)
        check_hello(guard)
    wait_until(lambda: len(guard.workers()) == 1, 15, "one worker is left")
    guard.wait_descriptors(before)

    def zombies():
        return [pid for pid in harness.children(guard.pid) if harness.status_of(pid).get("State", "").startswith("Z")]
    wait_until(lambda: not zombies(), 5, "all that ended is reaped")


# ---- the end

def test_term_drains(start_guard, helper):
    """What is under way is answered; what is new is not taken; then it is over."""
    guard = start_guard(simple(helper))
    with Connection(guard.address) as slow, Connection(guard.address) as idle:
        idle.ask()
        slow.send(records.request(environment(uri="/app/h/slow?1000"), keep=True))
        wait_until(guard.programs, 5, "it runs")
        guard.process.notify(signal.SIGTERM)
        assert idle.closed()
        assert slow.reply().body == b"hello\n"
        assert guard.process.process.wait(60) == 0
    assert not os.path.exists(guard.address)
    guard.wait_no_programs()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP])
def test_connections_without_a_request_hold_nothing_up(start_guard, helper, which):
    """A web server's new connection: its request may come a little later, but not for long."""
    guard = start_guard(simple(helper, timeouts={"drain": "5m", "idle": "5m"}))
    with Connection(guard.address) as silent, Connection(guard.address) as late:
        check_hello(guard)  # so they have been accepted
        before = guard.worker()
        guard.process.notify(which)
        started = time.monotonic()
        if which == signal.SIGHUP:
            wait_until(lambda: guard.worker() != before, 10, "a new worker")
        late.try_send(records.request(environment(), keep=True))
        in_time = time.monotonic() - started < 1
        assert late.reply().body == b"hello\n" or not in_time
        assert silent.closed() and late.closed()
        wait_until(lambda: before not in guard.workers(), 10, "the old worker has drained, long before the drain is over")
    if which == signal.SIGTERM:
        assert guard.process.process.wait(60) == 0


def test_term_ends_within_the_limit(start_guard, helper):
    guard = start_guard(simple(helper, timeouts={"drain": "3s"}))
    with Connection(guard.address) as stuck:
        stuck.send(records.request(environment(uri="/app/h/sleep")))
        wait_until(guard.programs, 5, "it runs")
        started = time.monotonic()
        guard.process.notify(signal.SIGTERM)
        assert guard.process.process.wait(60) == 0
        assert time.monotonic() - started > 2
        guard.wait_no_programs(3)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_once_when_idle(start_guard, helper, which):
    guard = start_guard(simple(helper, timeouts={"drain": "1m"}))
    check_hello(guard)
    assert guard.process.end(which) == 0


def test_logs_are_reopened(start_guard, helper, folder):
    log = folder.writable("logs") / "guard.log"
    guard = start_guard(simple(helper, log=f"file:{log}"))
    guard.log_path = log
    assert stat.S_IMODE(log.stat().st_mode) == 0o640
    first = ask(guard.address).get("X-Request-ID")
    guard.wait_entry(requestId=first)
    old = log.with_suffix(".1")
    with harness.Load(lambda: check_hello(guard)) as load:
        for _ in range(3):
            if old.exists():
                old.unlink()
            log.rename(old)
            guard.process.notify(signal.SIGUSR1)
            wait_until(lambda: log.exists() and log.stat().st_size > 0, 5, "a new log")
    assert not load.failed, load.failed[:2]
    second = ask(guard.address).get("X-Request-ID")
    guard.wait_entry(requestId=second)
    size = old.stat().st_size
    check_hello(guard)
    assert old.stat().st_size == size
    assert guard.process.running()


def test_signals_while_starting(start_guard, helper):
    """However early it comes, SIGTERM ends it and leaves nothing."""
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
        guard = start_guard(simple(helper), start=False)
        guard.start(wait=False)
        time.sleep(delay)
        guard.process.notify(signal.SIGTERM)
        status = guard.process.process.wait(60)
        assert status in (0, -signal.SIGTERM)
        wait_until(lambda: not harness.marked("FCGIGUARD_TEST=" + guard.mark.partition("=")[2]), 10, "no process is left")
        if os.path.exists(guard.address):
            os.unlink(guard.address)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_program_ends_by_itself_when_the_worker_drains(start_guard, folder, number):
    """What a program still does after its reply is not cut short by a stop or a reload."""
    mark, go = folder.writable("marks") / f"after-{int(number)}", folder / f"go-{int(number)}"
    program = folder / "after.sh"
    program.write_text("#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nhello'\nexec >/dev/null 2>&1\n"
                       f"while [ ! -e {go} ]; do sleep 0.05; done\nsleep 0.4\n"
                       f"echo > {folder.writable('marks')}/after-$QUERY_STRING\n")
    program.chmod(0o755)
    policy = {"defaults": {"auth": "none"}, "timeouts": {"drain": "15s"},
              "routes": [{"path": "/after", "exec": str(program)}]}
    guard = start_guard(policy)
    worker = guard.worker()
    assert ask(guard.address, uri=f"/after?{int(number)}").body == b"hello"
    assert not mark.exists()
    guard.process.notify(number)
    go.write_text("")
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), what="the old worker has ended")
    assert mark.exists()
    guard.wait_no_programs()
    assert "program_end" not in guard.text()
