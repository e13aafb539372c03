"""Backends that can be killed, stopped, made to refuse, slow or unwell: php-fpm, and an application in Python."""

import contextlib
import glob
import os
import pathlib
import signal
import socket
import sys
import time

import harness

CHILDREN = 24  # requests that a backend serves at once
CONNECTIONS = 16  # to each backend, where that can be said: some are left for those that nginx keeps
KEPT = 8  # by nginx, to all backends
SECONDS = 0.1  # that it takes for each
SLOW = 1

POOL = """
[global]
error_log = {own}/fpm.log
daemonize = no
[www]
listen = {own}/socket
listen.mode = 0666
pm = static
pm.max_children = {children}
ping.path = /ping
clear_env = no
"""


class Backend:
    """One of them; `fault` makes trouble and `mend` ends it."""

    def __init__(self, name, scratch, servers):
        self.name, self.scratch, self.servers, self.server = name, scratch, servers, None
        self.own = scratch.shared / name
        self.own.mkdir()
        self.own.chmod(0o777)
        self.mode = scratch.write(f"run/{name}/mode", f"well {SECONDS}\n")
        self.log = self.own / "carried-out"

    def start(self):
        os.environ.update(NAME=self.name, MODE=str(self.mode), CARRIED_OUT=str(self.log))
        self.server = self.servers.start(f"{self.name}-{time.monotonic_ns()}", self.command())

    def kill(self):
        for process in self.server.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.server.process.wait()
        self.servers.all.remove(self.server)

    def stop(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def signal(self, number):
        for process in self.server.tree():
            os.kill(process, number)

    def be(self, mode, seconds):
        """The file is replaced whole, since requests read it."""
        new = self.scratch.write(f"run/{self.name}/mode.new", f"{mode} {seconds}\n")
        new.rename(self.mode)

    def slow(self):
        self.be("well", SLOW)

    def unwell(self):
        self.be("unwell", 0)

    def well(self):
        self.be("well", SECONDS)

    def carried_out(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


class Fpm(Backend):
    """A pool on a unix socket."""

    kind = "fastcgi"
    program = (sorted(glob.glob("/usr/sbin/php-fpm*")) or ["/usr/sbin/php-fpm"])[-1]

    def __init__(self, name, scratch, servers):
        super().__init__(name, scratch, servers)
        self.socket = self.own / "socket"
        self.pool = scratch.write(f"{name}.conf", POOL.format(own=self.own, children=CHILDREN))
        if not os.access(self.program, os.X_OK):
            raise harness.Missing("php-fpm is missing (Debian package php-fpm)")

    def command(self):
        return [self.program, "-n", "-F", "-y", self.pool]

    def wait(self):
        self.server.wait_for(path=self.socket)

    def refuse(self):
        """In the place of its socket stands one that nobody listens on."""
        self.socket.rename(self.own / "away")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.socket))
        self.socket.chmod(0o666)

    def accept(self):
        (self.own / "away").rename(self.socket)


class Application(Backend):
    """application.py on a port."""

    kind = "http"

    def __init__(self, name, scratch, servers):
        super().__init__(name, scratch, servers)
        self.port = harness.free_port()

    def command(self):
        return [sys.executable, pathlib.Path(__file__).parent / "application.py", self.port, CHILDREN]

    def wait(self):
        self.server.wait_for(port=self.port)

    def refuse(self):
        self.signal(signal.SIGUSR1)

    def accept(self):
        self.signal(signal.SIGUSR2)
