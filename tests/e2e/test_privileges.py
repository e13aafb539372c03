"""Who runs as what: the worker's user and sandbox, a program's user, limits,
folder and environment."""

import contextlib
import grp
import json
import os
import pwd
import shutil
import signal
import stat

import pytest

import harness
import records
from conftest import needs_root
from records import Connection, ask, environment, request

SECCOMP_FILTER = "2"


def inspect(guard, uri="/app/h/inspect"):
    reply = ask(guard.address, uri=uri)
    assert reply.status == 200, (reply.raw, guard.text()[-2000:])
    seen = json.loads(reply.body)
    seen["variables"] = dict(entry.split("=", 1) for entry in seen["environment"])
    return seen


def policy(helper, **more):
    return {"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "methods": ["GET", "POST"], "exec": helper}], **more}


# ---- the worker

def test_sandbox(start_guard, helper):
    guard = start_guard(policy(helper))
    assert ask(guard.address).status == 200
    worker = harness.status_of(guard.worker())
    assert worker["Seccomp"] == SECCOMP_FILTER and worker["NoNewPrivs"] == "1"
    for task in os.listdir(f"/proc/{guard.worker()}/task"):
        status = harness.status_of(f"{guard.worker()}/task/{task}")
        assert status["Seccomp"] == SECCOMP_FILTER and status["NoNewPrivs"] == "1", "every thread"
    parent = harness.status_of(guard.pid)
    assert parent["Seccomp"] == "0", "who starts programs is not confined"


def test_sandbox_is_not_inherited_by_programs(start_guard, helper, folder):
    """A program may do what its user may; only set-user-id files give nothing, unless allowed."""
    script = str(folder.write("cgi-status/status.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                              "grep -E 'Seccomp:|NoNewPrivs:' /proc/self/status\n", 0o755))
    guard = start_guard({"defaults": {"auth": "none"}, "routes": [
        {"path": "/status", "exec": script}, {"path": "/allowed", "exec": {"program": script, "allow_setuid": True}}]})
    assert ask(guard.address, uri="/status").body.split() == [b"NoNewPrivs:", b"1", b"Seccomp:", b"0"]
    assert ask(guard.address, uri="/allowed").body.split() == [b"NoNewPrivs:", b"0", b"Seccomp:", b"0"]


def test_sandbox_can_be_left_out(start_guard, helper):
    guard = start_guard(policy(helper, sandbox=False))
    assert ask(guard.address).status == 200
    assert harness.status_of(guard.worker())["Seccomp"] == "0"


@needs_root
def test_worker_of_another_user(start_guard, helper):
    """The worker, who reads what clients send, is nobody; the parent may be root."""
    guard = start_guard(policy(helper, user="nobody", group="nogroup"), user=None)
    worker = harness.status_of(guard.worker())
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    assert set(worker["Uid"].split()) == {nobody}
    assert set(worker["Gid"].split()) == {str(grp.getgrnam("nogroup").gr_gid)}
    assert worker["CapEff"].strip("0") == "" and worker["CapPrm"].strip("0") == ""
    assert "0" not in worker["Groups"].split()
    assert set(harness.status_of(guard.pid)["Uid"].split()) == {"0"}
    reply = ask(guard.address, "POST", "/app/h/count", b"x" * 3000000)
    assert reply.status in (200, 413)


# ---- the program

@needs_root
def test_user_of_a_program(start_guard, helper):
    guard = start_guard({
        "user": "nobody", "defaults": {"auth": "none"},
        "routes": [
            {"path": "/web/**", "exec": {"program": helper, "user": "www-data"}},
            {"path": "/games/**", "exec": {"program": helper, "user": "games", "group": "daemon"}},
            {"path": "/number/**", "exec": {"program": helper, "user": "12345", "group": "23456"}}]}, user=None)
    for path, user, group in (("/web", "www-data", "www-data"), ("/games", "games", "daemon")):
        seen = inspect(guard, f"{path}/inspect")
        uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
        assert seen["uid"] == [uid, uid] and seen["gid"] == [gid, gid]
        assert 0 not in seen["groups"]
    seen = inspect(guard, "/number/inspect")
    assert seen["uid"] == [12345, 12345] and seen["gid"] == [23456, 23456] and set(seen["groups"]) <= {23456}


@needs_root
def test_script_of_another_owner(start_guard, helper, folder):
    """suexec's rule: a script belongs to root or to the user it runs as."""
    for name, owner in (("root.sh", "root"), ("web.sh", "www-data"), ("games.sh", "games")):
        script = folder.write(f"cgi-owners/{name}", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nran\\n'\n", 0o755)
        harness.shutil.chown(script, owner)
    root = str(folder / "cgi-owners")
    guard = start_guard({
        "user": "nobody", "defaults": {"auth": "none"},
        "routes": [{"path": "/strict/**", "exec": {"root": root, "user": "www-data"}},
                   {"path": "/shared/**", "exec": {"root": root, "user": "www-data", "allow_shared_owner": True}}]}, user=None)
    for path, admitted in (("/strict/root.sh", True), ("/strict/web.sh", True), ("/strict/games.sh", False),
                           ("/shared/games.sh", True)):
        reply = ask(guard.address, uri=path)
        assert (reply.body == b"ran\n") == admitted, (path, reply.raw)


@needs_root
def test_set_user_id(start_guard, folder, helper):
    target = folder / "cgi-setuid" / "helper"
    target.parent.mkdir()
    harness.shutil.copy(helper, target)
    harness.shutil.chown(target, "www-data")
    target.chmod(0o4755)
    guard = start_guard({
        "user": "nobody", "defaults": {"auth": "none"},
        "routes": [{"path": "/no/**", "exec": {"root": str(target.parent), "user": "www-data"}},
                   {"path": "/yes/**", "exec": {"root": str(target.parent), "user": "www-data", "allow_setuid": True}}]}, user=None)
    assert ask(guard.address, uri="/no/helper/hello").status in (403, 404, 502)
    assert ask(guard.address, uri="/yes/helper/hello").body == b"hello\n"


def test_limits(start_guard, folder, programs, helper):
    guard = start_guard({
        "defaults": {"auth": "none"},
        "routes": [
            {"path": "/limits", "exec": {"program": str(programs / "limits.sh"), "cpu": 7, "memory": "256mb", "files": 33,
                                         "file_size": "1mb"}},
            {"path": "/none", "exec": str(programs / "limits.sh")},
            {"path": "/files/**", "exec": {"program": helper, "files": 20}},
            {"path": "/size/**", "exec": {"program": helper, "file_size": "1mb"}},
            {"path": "/cpu/**", "exec": {"program": helper, "cpu": 1, "timeout": "5m"}}]})
    limits = dict(line.split() for line in ask(guard.address, uri="/limits").body.decode().splitlines())
    assert limits["t"] == "7" and limits["v"] == str(256 << 10) and limits["n"] == "33" and limits["f"] == "2048"
    free = dict(line.split() for line in ask(guard.address, uri="/none").body.decode().splitlines())
    assert free["t"] == "unlimited" and free["v"] == "unlimited"
    assert int(ask(guard.address, uri="/files/files?100").body) < 20
    assert ask(guard.address, uri="/size/write-file?5000000").body == b"1048576\n"
    with guard.leaves_nothing():
        assert ask(guard.address, uri="/cpu/spin", timeout=300).status == 502


def test_folder_and_environment(start_guard, folder, helper, programs):
    secret = folder.write("secret", "from a file\n", 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(secret, harness.WEB_USER)
    guard = start_guard({
        "defaults": {"auth": "none"},
        "routes": [
            {"path": "/env/**", "exec": {"program": helper, "directory": "/usr", "arguments": ["-x", "two words", "*"],
                                         "environment": {"SITE": "value", "SECRET": "file:secret", "OTHER": "env:TEST_SECRET"},
                                         "pass": ["REMOTE_USER", "SSL_CLIENT_S_DN", "NOT_THERE"]}},
            {"path": "/plain/**", "exec": helper}]}, environment={"TEST_SECRET": "from the environment"})
    replace = {"REMOTE_USER": "known", "SSL_CLIENT_S_DN": "CN=x", "SSL_CLIENT_VERIFY": "SUCCESS"}
    reply = ask(guard.address, uri="/env/inspect", replace=replace)
    seen = json.loads(reply.body)
    variables = dict(entry.split("=", 1) for entry in seen["environment"])
    assert seen["folder"] == "/usr" and seen["arguments"][1:] == ["-x", "two words", "*"]
    assert variables["SITE"] == "value" and variables["SECRET"] == "from a file"
    assert variables["OTHER"] == "from the environment"
    assert variables["REMOTE_USER"] == "known" and variables["SSL_CLIENT_S_DN"] == "CN=x"
    assert not {"SSL_CLIENT_VERIFY", "NOT_THERE", "TEST_SECRET"} & set(variables)
    seen = inspect(guard, "/plain/inspect")
    assert seen["folder"] == os.path.dirname(helper)
    assert not {"REMOTE_USER", "SITE", "SECRET"} & set(seen["variables"])
    assert "from a file" not in guard.text() and "from the environment" not in guard.text()


def test_signals_and_descriptors(start_guard, helper):
    seen = inspect(start_guard(policy(helper)))
    assert seen["descriptors"] == [0, 1, 2] and seen["blocked"] == [] and seen["ignored"] == []
    assert seen["process"] == seen["group"]


@needs_root  # to look at the descriptors of a process that has changed its user
def test_spool_files_are_private(start_guard, helper):
    """A body that does not fit in memory lies in a file without a name."""
    guard = start_guard({"defaults": {"auth": "none", "body": "8mb"}, "routes": [
        {"path": "/app/h/**", "methods": ["POST"], "exec": {"program": helper, "input": "spool"}}]})
    with records.Connection(guard.address) as connection:
        params = records.environment(method="POST", uri="/app/h/count", replace={"CONTENT_LENGTH": "4000000"})
        connection.send(records.begin() + records.stream(records.PARAMS, records.pairs(params))
                        + records.stream(records.STDIN, b"x" * 3000000, end=False))
        harness.wait_until(guard.spool_files, 5, "the body lies in a file")
        assert not os.listdir(guard.spool)
        worker = guard.worker()
        held = [name for name in os.listdir(f"/proc/{worker}/fd")
                if os.readlink(f"/proc/{worker}/fd/{name}").startswith(str(guard.spool))]
        assert held and stat.S_IMODE(os.stat(f"/proc/{worker}/fd/{held[0]}").st_mode) & 0o077 == 0
        connection.send(records.stream(records.STDIN, b"x" * 1000000))
        assert connection.reply().body.startswith(b"4000000 ")
    harness.wait_until(lambda: not guard.spool_files(), 5, "the file is gone")


@pytest.mark.skipif(harness.IS_ROOT, reason="only as another user than root")
def test_not_as_root(start_guard, helper):
    guard = start_guard(policy(helper))
    assert inspect(guard)["uid"][0] == os.getuid()


def found_in_memory(pid, needle):
    count = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            low, high = (int(end, 16) for end in area.split("-"))
            if "r" in rights and "[v" not in line and high - low < 1 << 30:  # a sanitizer's shadow is larger
                with contextlib.suppress(OSError):
                    memory.seek(low)
                    count += memory.read(high - low).count(needle)
    return count


@needs_root
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_worker_has_no_secrets(start_guard, helper, folder, number):
    """A worker is a fork of the parent: of that one's secrets, and of what other
    workers asked for, nothing may be left in it."""
    folder.write("program.secret", "a-secret-of-the-program", 0o600)
    shutil.chown(folder / "program.secret", harness.WEB_USER)
    guard = start_guard({"defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": {
        "program": helper, "environment": {"SECRET": "file:program.secret"}}}]}, name=f"memory-{int(number)}")
    first = guard.worker()
    assert found_in_memory(guard.pid, b"a-secret-of-the-program") > 0
    with Connection(guard.address) as connection:
        connection.send(request(environment(uri="/app/h/sleep", headers={"Cookie": "session=of-another-request"})))
        harness.wait_until(guard.programs, what="the program runs")
        if number == signal.SIGKILL:
            os.kill(first, number)
        else:
            guard.process.notify(number)
        harness.wait_until(lambda: [worker for worker in guard.workers() if worker != first], what="another worker")
        second = [worker for worker in guard.workers() if worker != first][0]
        harness.wait_until(lambda: len(os.listdir(f"/proc/{second}/task")) > 1, what="it serves")
        for worker in {first, second} & set(guard.workers()):
            assert found_in_memory(worker, b"a-secret-of-the-program") == 0
        assert found_in_memory(second, b"of-another-request") == 0
