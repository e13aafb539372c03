"""Starts fcgiguard and looks at it from outside: its processes, descriptors,
files and log. Only processes that were started here are ever signalled, each
by its id."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import records

SOURCE = pathlib.Path(os.environ.get("SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("BUILD") or SOURCE)
EXAMPLES = SOURCE / "examples"
IS_ROOT = os.geteuid() == 0
WEB_USER = "www-data" if IS_ROOT else None
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|stack smashing")


def has_sanitizers():
    try:
        return "#define SANITIZERS 1" in (BUILD / "config.h").read_text()
    except OSError:
        return False


NOTES = []  # figures that the summary shows
SANITIZED = has_sanitizers()
# How much of a heavy test is done: under sanitizers a part of it.
SCALE = float(os.environ.get("E2E_SCALE", "0.2" if SANITIZED else "1"))


# A machine may be so many times as slow as the one where the waits below were chosen.
PATIENCE = 4


def wait_until(true, seconds=10, what="the condition", pause=0.02):
    """Waits until true() is true and returns its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds * PATIENCE} s (last: {value!r})")
        time.sleep(pause)


def server_ports():
    """Ports below those that outgoing connections are given, from a place that differs by process."""
    end = 20000  # from there on examples/quickstart.sh looks for one
    with contextlib.suppress(OSError):
        end = min(end, int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    ports = range(max(1024, end - 9000), end) or range(1024, 65536)
    at = os.getpid() * 1000 % len(ports)
    return iter([*ports[at:], *ports[:at]])


PORTS = server_ports()
HELD = []  # a name for each port that was handed out: it is nobody else's until this process ends


def free_port():
    """A port that nobody listens at, and that no other run of these tests is handed."""
    for port in PORTS:
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, contextlib.suppress(OSError):
            name.bind(f"\0fcgiguard-test-port-{port}")
            probe.bind(("", port))
            HELD.append(name)
            return port
        name.close()
    raise AssertionError("no port is free")


def raise_file_limit():
    """As many descriptors as we may have; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 20000 if IS_ROOT else hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# ---- folders

class Folder:
    """A temporary folder that web servers and programs can get at."""

    def __init__(self, name="e2e"):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"fg-{name[:12]}-"))
        self.path.chmod(0o755)

    def __truediv__(self, name):
        return self.path / name

    def __str__(self):
        return str(self.path)

    def write(self, name, content, mode=0o644):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        file.write_bytes(content)
        file.chmod(mode)
        return file

    def writable(self, name):
        """A folder in it that the web server's user may write to."""
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        if IS_ROOT:
            shutil.chown(folder, WEB_USER, WEB_USER)
        return folder

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def installed(name, folder):
    """A copy of a built program where every user can get at it."""
    target = folder / "bin" / pathlib.Path(name).name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        shutil.copy(BUILD / name, target)
        target.chmod(0o755)
    return target


# ---- processes, seen from outside

def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return found


def status_of(pid):
    """/proc/PID/status as a dictionary; empty when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def start_time(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return 0


EVENTFDS_KEPT = 64


def descriptors(pid):
    """What the process has open: a list of what the links say."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def marked(mark, file="environ"):
    """Processes that have `mark` in their environment; zombies have none."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in pathlib.Path(f"/proc/{name}/{file}").read_bytes():
                    found.append(int(name))
    return found


def kill_marked(mark):
    for pid in marked(mark):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def memory(pid, field="VmRSS"):
    """Kilobytes."""
    return int(status_of(pid).get(field, "0 kB").split()[0])


class Process:
    """One process that was started here; stop() ends it."""

    def __init__(self, arguments, log, user=None, environment=None, stdin=subprocess.DEVNULL, limits=None, **more):
        self.arguments = [str(argument) for argument in arguments]
        self.log_path = pathlib.Path(log)
        if user:
            entry = pwd.getpwnam(user)
            more.update(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
        with open(self.log_path, "ab") as output:
            self.process = subprocess.Popen(
                self.arguments, stdin=stdin, stdout=output, stderr=output, env=environment, start_new_session=True,
                preexec_fn=(lambda: [resource.setrlimit(which, value) for which, value in limits.items()])
                if limits else None, **more)
        self.pid = self.process.pid

    def text(self):
        return self.log_path.read_bytes().decode("utf-8", "replace")

    def running(self):
        return self.process.poll() is None

    def notify(self, which):
        if self.running():
            self.process.send_signal(which)

    def end(self, which=signal.SIGTERM, seconds=20):
        """Signals it and returns its exit status; kills it when it does not end."""
        self.notify(which)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.arguments[0]} did not end in {seconds} s after signal {which}:\n"
                                 + self.text()[-3000:])

    def stop(self):
        with contextlib.suppress(AssertionError):
            self.end()


# ---- fcgiguard

def clean_environment(**more):
    """The test's own environment without what could change the outcome."""
    kept = {name: value for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "TMPDIR") or name.endswith("SAN_OPTIONS")}
    kept.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    kept.update({name: value for name, value in more.items() if value is not None})
    return kept


class Guard:
    """`fcgiguard serve` with a policy, as the web server's user.

    Every program of the policy gets a variable by which its processes are
    found again."""

    def __init__(self, folder, policy, user=WEB_USER, start=True, name="guard", limits=None, environment=None):
        self.folder = folder
        self.name = name
        self.user = user
        self.limits = limits
        self.mark = "TEST_MARK=" + uuid.uuid4().hex
        self.environment = clean_environment(FCGIGUARD_TEST=self.mark.partition("=")[2], **(environment or {}))
        self.run_folder = folder.writable("run")
        self.spool = folder.writable(name + "-spool")
        self.spool.chmod(0o1777)  # for whoever the worker is
        self.program = installed("fcgiguard", folder)
        self.log_path = pathlib.Path(folder / (name + ".log"))
        self.policy_path = pathlib.Path(folder / (name + ".yaml"))
        self.address = str(self.run_folder / (name + ".sock"))
        self.process = None
        self.write(policy)
        if start:
            self.start()

    def write(self, policy):
        """Writes the policy: text as it is, a dictionary with what tests need."""
        if isinstance(policy, dict):
            policy = {"listen": "unix:" + self.address, "spool": str(self.spool), **policy}
            policy = {name: value for name, value in policy.items() if value is not None}
            policy = json.loads(json.dumps(policy))
            for route in policy.get("routes", []) + [policy.get("defaults", {})]:
                if isinstance(route.get("exec"), str):
                    route["exec"] = {"program": route["exec"]}
                if "exec" in route:
                    name, _, value = self.mark.partition("=")
                    route["exec"].setdefault("environment", {})[name] = value
            policy = json.dumps(policy, indent=1)
        self.policy_path.write_text(policy)

    def command(self):
        return [self.program, "serve", "-f", "-c", self.policy_path]

    def start(self, wait=True):
        self.process = Process(self.command(), self.log_path, self.user, self.environment, limits=self.limits,
                               cwd=str(self.folder))
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise
        return self

    def wait_ready(self, seconds=20):
        def answers():
            if not self.process.running():
                raise AssertionError(f"fcgiguard ended with {self.process.process.returncode}:\n{self.text()}")
            return self.connects()
        wait_until(answers, seconds, f"fcgiguard on {self.address}")

    def connects(self):
        """Whether a worker answers; a question about its values leaves no trace."""
        try:
            with records.Connection(self.address, 1) as probe:
                probe.send(records.record(records.GET_VALUES, b"", 0))
                return probe.record() is not None
        except OSError:
            return False

    # its processes

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        """Worker processes, oldest first: the children that have threads. A
        program that is just being started looks like us, but has none."""
        found = [pid for pid in children(self.pid)
                 if status_of(pid).get("Name", "").startswith("fcgiguard") and int(status_of(pid).get("Threads", "0")) > 1]
        return sorted(found, key=lambda pid: (start_time(pid), pid))

    def worker(self):
        return wait_until(lambda: (self.workers() or [0])[-1], 10, "a worker")

    def programs(self):
        """Processes of programs that it started."""
        return marked(self.mark)

    def wait_no_programs(self, seconds=10):
        wait_until(lambda: not self.programs(), seconds, f"no program left, but {self.programs()}")

    def descriptors(self):
        """How many are open. The worker keeps an eventfd for each program that
        ever ran beside others: one a thread, and the few that may be left to end."""
        worker = descriptors(self.worker())
        bells = worker.count("anon_inode:[eventfd]")
        return {"parent": len(descriptors(self.pid)), "worker": len(worker) - bells,
                "eventfds": max(bells, EVENTFDS_KEPT)}

    def wait_descriptors(self, before, seconds=10):
        """Waits until nothing more is open than `before`."""
        def fewer():
            now = self.descriptors()
            return all(now[who] <= before[who] for who in before)
        try:
            wait_until(fewer, seconds, "descriptors are closed")
        except AssertionError:
            raise AssertionError(f"descriptors left: {before} before, {self.descriptors()} now: "
                                 f"{sorted(descriptors(self.pid))} {sorted(descriptors(self.worker()))}") from None

    def spool_files(self):
        """Files in the spool folder, and those without a name that the worker still holds."""
        held = [link for link in descriptors(self.worker()) if link.startswith(str(self.spool))]
        return os.listdir(self.spool) + held

    @contextlib.contextmanager
    def leaves_nothing(self, seconds=15):
        """Whatever happens inside, no process, descriptor or file is left of it."""
        before, worker = self.descriptors(), self.worker()
        yield
        self.wait_no_programs(seconds)
        self.wait_descriptors(before, seconds)
        wait_until(lambda: not self.spool_files(), seconds, "no file is left in the spool")
        zombies = [pid for pid in children(self.pid) if status_of(pid).get("State", "").startswith("Z")]
        wait_until(lambda: not [pid for pid in zombies if os.path.exists(f"/proc/{pid}")], seconds, "zombies are reaped")
        assert self.worker() == worker, "the worker died:\n" + self.text()[-3000:]

    # its log

    def text(self):
        return self.log_path.read_bytes().decode("utf-8", "replace") if self.log_path.exists() else ""

    def log(self):
        """All complete lines of the log; each must be one JSON object."""
        lines = self.text().split("\n")[:-1]
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"not a line of JSON: {line!r}\n" + "\n".join(lines[-5:])) from None
        return found

    def entries(self, **fields):
        return [entry for entry in self.log() if all(entry.get(name) == value for name, value in fields.items())]

    def wait_entry(self, seconds=10, **fields):
        """The newest log line with these fields."""
        return wait_until(lambda: self.entries(**fields), seconds, f"a log line with {fields}; the log ends in\n"
                          + self.text()[-2000:])[-1]

    def wait_text(self, pattern, seconds=10, since=0):
        try:
            return wait_until(lambda: re.search(pattern, self.text()[since:]), seconds, pattern)
        except AssertionError:
            raise AssertionError(f"the log never says {pattern!r}:\n{self.text()[since:][-3000:]}") from None

    # its end

    def stop(self):
        """Ends it as a service manager would; it must end well, alone and clean."""
        if not self.process or not self.process.running():
            self.check_reports()
            return 0
        workers = self.workers()
        status = self.process.end()
        assert status == 0, f"exit status {status}:\n{self.text()[-3000:]}"
        assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")], "a worker outlived its parent"
        self.wait_no_programs()
        self.check_reports()
        assert isinstance(self.address, tuple) or not os.path.exists(self.address), "the socket was left behind"
        return status

    def kill(self):
        """The end of a test that failed: nothing of it may be left."""
        if self.process and self.process.running():
            self.process.process.kill()
            self.process.process.wait()
        kill_marked(self.mark)

    def check_reports(self):
        """What sanitizers and assertions say; what programs say is their own affair."""
        text = "\n".join(line for line in self.text().split("\n") if '"event":"program"' not in line)
        found = REPORTS.search(text)
        assert not found, "a sanitizer or assertion spoke:\n" + text[max(0, found.start() - 200):][:6000]


def run(arguments, **more):
    """Runs a program to its end and returns what it said, as text."""
    more.setdefault("timeout", 120)
    return subprocess.run([str(argument) for argument in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", **more)


class Load:
    """Repeats a call in some threads until it is stopped; keeps what failed."""

    def __init__(self, call, threads=4):
        self.call, self.done, self.failed, self.stopping = call, 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.repeat, daemon=True) for _ in range(threads)]

    def repeat(self):
        while not self.stopping:
            try:
                self.call()
                with self.lock:
                    self.done += 1
            except Exception as failure:  # pylint: disable=broad-except
                with self.lock:
                    self.failed.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
