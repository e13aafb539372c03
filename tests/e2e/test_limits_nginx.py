"""gcra counts as nginx's limit_req does: the same arrivals are sent to both at
the same times, and each of them must be admitted or refused by both alike.

The times are random, but drawn by a model of the rate so that none is near a
moment at which the outcome would change. What was late all the same, because
the machine was busy, proves nothing and is run again."""

import random
import selectors
import socket
import time
from dataclasses import dataclass

import pytest

import harness
import records
import servers

# (requests a second, burst); the time between two is whole milliseconds, as nginx counts in these.
CASES = {
    "nodelay": [(1, 1), (2, 0), (2, 2), (4, 0), (2, 4)],
    "delay": [(1, 2), (2, 1), (2, 4)],
}
SEEDS = 2
ARRIVALS = 21
TRIES = 12
EARLY = 5  # milliseconds that a request which waits may be answered too early


@dataclass
class Arrival:
    at: int         # milliseconds since the begin
    admitted: bool
    wait: int       # how long, if admitted and to be delayed


class Schedule:
    """Arrivals with a key of their own, and what a correct limit makes of them."""

    def __init__(self, kind, rate, burst, seed):
        self.place = f"/{kind}-{rate}-{burst}"
        self.name = f"{rate}r/s burst={burst} {kind}, seed {seed}"
        self.unit, self.burst, self.delays = 1000 // rate, burst, kind == "delay"
        assert self.unit * rate == 1000
        # Arrivals may be so late that neither their order nor the outcome changes by it.
        self.margin = self.unit // 4
        self.apart, self.late = self.margin - 2, self.margin - 5
        self.arrivals, self.next = [], 0
        numbers, at = random.Random(self.name), 0
        for _ in range(ARRIVALS):
            self.add(at)
            at = self.later(numbers, at)

    def edge(self):
        """From when on one more is admitted."""
        return self.next - self.burst * self.unit

    def later(self, numbers, at):
        """When the next one comes: faster than the rate, but once after a pause."""
        while True:
            if len(self.arrivals) == ARRIVALS * 2 // 3:
                drawn = at + numbers.randint(self.unit, (self.burst + 2) * self.unit)
            else:
                drawn = at + min(numbers.randint(self.apart, self.unit) for _ in range(4))
            if abs(drawn - self.edge()) >= self.margin:
                return drawn

    def add(self, at):
        admitted = at >= self.edge()
        self.arrivals.append(Arrival(at, admitted, max(0, self.next - at) if admitted and self.delays else 0))
        if admitted:
            self.next = max(self.next, at) + self.unit

    def admitted(self):
        return [arrival.admitted for arrival in self.arrivals]

    def waits(self):
        return [arrival.wait for arrival in self.arrivals]


# ---- both sides

class ToNginx:
    name = "nginx"

    def __init__(self, port, schedule, key):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.sendall(servers.request("GET", f"{schedule.place}?k={key}"))

    def status(self):
        with self.socket:
            return servers.Response(servers.receive_all(self.socket), "GET").status


class ToGuard:
    name = "fcgiguard"

    def __init__(self, address, schedule, key):
        self.connection = records.Connection(address)
        self.socket = self.connection.socket
        self.connection.send(records.request(records.environment(uri=schedule.place, headers={"X-Test": key})))

    def status(self):
        with self.connection:
            reply = self.connection.reply()
        assert reply.complete
        return reply.status


def nginx_snippet(port):
    zones, locations = "", ""
    for kind, cases in CASES.items():
        for rate, burst in cases:
            name = f"{kind}-{rate}-{burst}"
            zones += f"limit_req_zone $arg_k zone={name}:1m rate={rate}r/s;\n"
            most = (f" burst={burst}" if burst else "") + (" nodelay" if burst and kind == "nodelay" else "")
            # `return` would answer before limit_req is asked.
            locations += f"location = /{name} {{ limit_req zone={name}{most}; try_files /none =204; }}\n"
    return f"{zones}limit_req_status 429;\nserver {{\nlisten 127.0.0.1:{port} backlog=511;\n{locations}}}\n"


def policy(folder):
    routes = []
    for kind, cases in CASES.items():
        for rate, burst in cases:
            limit = {"rate": f"{rate}/s", "algorithm": "gcra", "burst": burst, "by": "header:X-Test"}
            if kind == "delay":
                limit["delay"] = "10s"
            routes.append({"path": f"/{kind}-{rate}-{burst}", "limits": [limit]})
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "threads": 64,  # half of them may wait
        "defaults": {"auth": "none", "respond": "nothing"},
        "routes": routes,
    }


@pytest.fixture(scope="module")
def sides(folder):
    """What makes a request to each of the two."""
    guard = harness.Guard(folder, policy(folder))
    try:
        port = harness.free_port()
        nginx = servers.nginx(folder, nginx_snippet(port), "nginx", port)
        try:
            yield [lambda *of: ToNginx(port, *of), lambda *of: ToGuard(guard.address, *of)]
        finally:
            nginx.stop()
        guard.stop()
    finally:
        guard.kill()


# ---- the run

class Run:
    """Sends the arrivals of schedules, in one thread so that nothing but the machine is in the way."""

    def __init__(self, sides, schedules, attempt):
        self.sides, self.attempt = sides, attempt
        self.planned = sorted(((arrival.at, schedule.name, index, schedule)
                               for schedule in schedules for index, arrival in enumerate(schedule.arrivals)),
                              key=lambda planned: planned[:3])
        self.answers = {}  # of a schedule's name, a side's and an index: (status, milliseconds since the begin)
        self.late = {}     # of a schedule's name: by how many milliseconds, at most
        self.selector = selectors.DefaultSelector()
        self.begin = time.monotonic() + 0.05

    def now(self):
        return (time.monotonic() - self.begin) * 1000

    def note(self, schedule, due):
        self.late[schedule.name] = max(self.late.get(schedule.name, 0), self.now() - due)

    def send(self, at, index, schedule):
        for side in self.sides:
            sent = side(schedule, f"{self.attempt}-{schedule.name.replace(' ', '-')}")
            self.selector.register(sent.socket, selectors.EVENT_READ, (sent, index, schedule))
        self.note(schedule, at)

    def receive(self, sent, index, schedule):
        self.selector.unregister(sent.socket)
        now, arrival = self.now(), schedule.arrivals[index]
        self.note(schedule, arrival.at + arrival.wait)
        self.answers[schedule.name, sent.name, index] = (sent.status(), now)

    def all(self):
        planned = self.planned[:]
        while planned or self.selector.get_map():
            left = planned[0][0] - self.now() if planned else 20000
            ready = self.selector.select(max(0, left) / 1000)
            assert ready or planned, "no answer"
            for key, _ in ready:
                self.receive(*key.data)
            if planned and self.now() >= planned[0][0]:
                at, _, index, schedule = planned.pop(0)
                self.send(at, index, schedule)
        self.selector.close()
        return self

    def of(self, schedule, side):
        return [self.answers[schedule.name, side, index] for index in range(ARRIVALS)]


def admitted(answers):
    assert {status for status, _ in answers} <= {204, 429}, answers
    return [status == 204 for status, _ in answers]


def compare(run, schedule):
    theirs, ours = run.of(schedule, "nginx"), run.of(schedule, "fcgiguard")
    assert admitted(ours) == admitted(theirs), f"{schedule.name}: {schedule.arrivals}"
    assert admitted(ours) == schedule.admitted(), schedule.name
    for arrival, (_, answered) in zip(schedule.arrivals, ours):
        assert answered >= arrival.at + arrival.wait - EARLY, f"{schedule.name}: {arrival}, at {answered}"


def schedules(kind):
    return [Schedule(kind, rate, burst, seed) for rate, burst in CASES[kind] for seed in range(SEEDS)]


@pytest.mark.parametrize("kind", CASES)
def test_admits_as_nginx_does(kind, sides):
    left = schedules(kind)
    for attempt in range(TRIES):
        run = Run(sides, left, attempt).all()
        for schedule in left:
            if run.late[schedule.name] <= schedule.late:
                compare(run, schedule)
        left = [schedule for schedule in left if run.late[schedule.name] > schedule.late]
        if not left:
            return
    pytest.fail(f"late in each of {TRIES} runs:\n" + "\n".join(
        f"{one.name} by {run.late[one.name]:.0f} ms: {one.arrivals}\n"
        f"{run.of(one, 'nginx')}\n{run.of(one, 'fcgiguard')}" for one in left))


@pytest.mark.parametrize("kind", CASES)
def test_schedules_show_something(kind):
    """Each has some that are admitted after others were refused, and some that wait, where they do."""
    for schedule in schedules(kind):
        outcomes = schedule.admitted()
        assert outcomes.count(False) >= 3 and outcomes[outcomes.index(False):].count(True) >= 3, schedule.name
        assert not schedule.delays or 3 <= sum(wait > 0 for wait in schedule.waits()) < outcomes.count(True)
