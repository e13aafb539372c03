"""What benchmarks share: a scratch folder, programs that are built, servers
that are started and ended, processor time, and tables.

Only processes that were started here are ever signalled."""

import os
import pathlib
import pwd
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
BACKLOG = 511

# As an exception, so that what was started is ended.
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: sys.exit(128 + number))


class Missing(Exception):
    """Something that has to be there is not; the text says what to do."""


def fail(text):
    print(f"{sys.argv[0]}: {text}", file=sys.stderr)
    sys.exit(1)


def find(name, package):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise Missing(f"{name} is missing (Debian package {package})")
    return found


def guard_program(named):
    for file in (named, os.environ.get("FCGIGUARD"), HERE.parent / "fcgiguard", HERE.parent / "build/fcgiguard"):
        if file and os.access(file, os.X_OK):
            return str(pathlib.Path(file).resolve())
    raise Missing("fcgiguard is not built; name it with --fcgiguard FILE")


# ---- scratch

class Scratch:
    """A folder that every server may enter, and none but us may write."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="fcgiguard-bench."))
        self.path.chmod(0o755)
        self.user = "www-data" if os.geteuid() == 0 else None
        self.shared = self.folder("run")
        if self.user:
            shutil.chown(self.shared, self.user, self.user)

    def folder(self, name):
        path = self.path / name
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return path

    def write(self, name, content, mode=0o644):
        path = self.path / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    def compile(self, source, name, *flags):
        to = self.folder("bin") / name
        made = subprocess.run([find("cc", "gcc"), "-O2", "-Wall", "-o", to, HERE / source, *flags], capture_output=True, text=True)
        if made.returncode != 0:
            raise Missing(f"{source} could not be built:\n{made.stderr}")
        to.chmod(0o755)
        return to

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


# ---- servers

def tasks(process, name):
    """A file of each thread, as far as the process is still there."""
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            yield pathlib.Path(f"/proc/{process}/task/{task}/{name}").read_text()
    except OSError:
        return


class Server:
    """A process and all it starts, in a session of its own."""

    def __init__(self, name, arguments, scratch, as_root=False):
        self.name = name
        self.log = scratch.path / f"{name}.log"
        account = {}
        if scratch.user and not as_root:
            entry = pwd.getpwnam(scratch.user)
            account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd="/", start_new_session=True, **account)

    def said(self):
        return self.log.read_text(errors="replace")[-1500:]

    def tree(self):
        found, todo = [], [self.process.pid]
        while todo:
            process = todo.pop()
            found.append(process)
            for children in tasks(process, "children"):
                todo += [int(word) for word in children.split()]
        return found

    def processor_time(self):
        """Seconds that the threads of these processes have run, without children that have ended."""
        return sum(int(stat.split()[0]) for process in self.tree() for stat in tasks(process, "schedstat")) / 1e9

    def ended_time(self):
        """Seconds that children of these processes have run which have ended."""
        total = 0
        for process in self.tree():
            try:
                stat = pathlib.Path(f"/proc/{process}/stat").read_text()
            except OSError:
                continue
            total += sum(int(ticks) for ticks in stat.rpartition(")")[2].split()[13:15])  # cutime, cstime
        return total / TICK

    def wait_for(self, path=None, port=None, seconds=10):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Missing(f"{self.name} has ended with status {self.process.returncode}:\n{self.said()}")
            try:
                if path:
                    with socket.socket(socket.AF_UNIX) as probe:
                        probe.connect(str(path))
                    os.chmod(path, 0o777)
                else:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Missing(f"{self.name} does not listen:\n{self.said()}")

    def stop(self):
        processes = self.tree()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                try:
                    os.kill(process, number)
                except OSError:
                    pass
            until = time.monotonic() + 3
            while time.monotonic() < until:
                self.process.poll()
                if not any(os.path.exists(f"/proc/{process}") for process in processes):
                    return
                time.sleep(0.05)


class Servers:
    """All that are started, and ended together."""

    def __init__(self, scratch):
        self.scratch, self.all = scratch, []

    def start(self, name, arguments, as_root=False):
        self.all.append(Server(name, arguments, self.scratch, as_root))
        return self.all[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in reversed(self.all):
            server.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- processor time

def machine_time():
    """Seconds that all processors have worked."""
    try:
        for line in open("/sys/fs/cgroup/cpu.stat"):
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
    except OSError:
        pass
    try:
        return int(open("/sys/fs/cgroup/cpuacct/cpuacct.usage").read()) / 1e9
    except OSError:
        pass
    words = [int(word) for word in open("/proc/stat").readline().split()[1:]]
    return (words[0] + words[1] + words[2] + words[5] + words[6]) / TICK


def drivers_time():
    """Seconds of this script and of the drivers it has waited for."""
    total = 0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


# ---- results

def median(rows, key):
    return statistics.median(row[key] for row in rows)


def spread(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f} .. {max(values):.2f}]"


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} processors ({model}), Linux {os.uname().release}"
