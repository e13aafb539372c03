"""Several backends of one route: whom requests go to, and what they notice when
some of these are killed, stopped, refuse, come and go, or are full."""

import collections
import contextlib
import itertools
import json
import os
import signal
import threading

import pytest

import harness
import php_fpm
import records
import servers
from records import OVERLOADED, ask
from scripted import Scripted, ending


def error(reply):
    return json.loads(reply.body)["error"]


class Application(Scripted):
    """Says its name; scripts that end in -b are what only the one called b does."""

    def __init__(self, folder, name, prefix):
        self.name, self.held, self.release = name, threading.Semaphore(0), threading.Event()
        self.health = b"Status: 200\r\n"
        super().__init__(str(folder.writable("run") / f"{prefix}-app-{name}.sock"), {
            "who": lambda request: request.reply(name.encode()),
            "hold": self.hold,
            "drop": lambda request: "close",
            "hang": lambda request: request.peer.recv(1) and None,  # until the other side gives up
            "ping": self.ping,
            "garbage": self.only("garbage", lambda request: request.send(b"no record at all") or "close"),
            "drop-b": self.only("b", lambda request: "close"),
            "full-b": self.only("b", lambda request: request.send(ending(protocol=OVERLOADED))),
            "bad-b": self.only("b", lambda request: request.reply(b"", more=b"Status: 503\r\n")),
        })

    @property
    def address(self):
        return "unix:" + self.path

    def only(self, name, script):
        def chosen(request):
            return script(request) if name in (self.name, "garbage") else request.reply(self.name.encode())
        return chosen

    def hold(self, request):
        self.held.release()
        self.release.wait(60)
        request.reply(self.name.encode())

    def ping(self, request):
        assert request.params["REQUEST_METHOD"] == b"GET" and request.params["SCRIPT_NAME"] == b"/ping"
        assert request.params["QUERY_STRING"] == b"a=b"
        return request.reply(b"pong", more=self.health) if self.health else "close"

    def asked(self, script=None):
        with self.lock:
            return len([one for one in self.requests if script in (None, one[0])])

    def leave(self):
        with contextlib.suppress(OSError):  # it has left already
            self.close()
        self.drop()

    def stop(self):
        self.leave()
        assert not self.failures, self.failures


@pytest.fixture
def group(folder, start_guard, request):
    """Starts applications with these names, and fcgiguard before them."""
    with contextlib.ExitStack() as ends:
        def start(names, backups="", hurried=None, **settings):
            """With `hurried` there is a path that waits no longer than that."""
            applications, name_of_guard = {}, f"{request.node.name[:30]}-{names}"
            for name in names + backups:
                applications[name] = Application(folder, name, request.node.name[:30])
                ends.callback(applications[name].stop)
                ends.callback(applications[name].release.set)
            settings["address"] = [applications[name].address for name in names]
            if backups:
                settings["backup"] = [applications[name].address for name in backups]
            paths = {"/app/**": settings, **({"/hurried/**": {**settings, "first_byte": hurried}} if hurried else {})}
            guard = start_guard({"threads": 12, "defaults": {"auth": "none", "body": "1mb"}, "routes": [
                {"path": path, "methods": ["GET", "POST"], "fastcgi": how} for path, how in paths.items()]}, name=name_of_guard)
            ends.callback(guard.stop)
            guard.apps = applications
            return guard
        yield start


def who(guard, method="GET", script="who", **words):
    reply = ask(guard.address, method, f"/app/{script}", **words)
    assert reply.status == 200, (reply.status, reply.body, guard.text()[-2000:])
    return reply.body.decode()


def spread(guard, count, **words):
    return collections.Counter(who(guard, **words) for _ in range(count))


@contextlib.contextmanager
def holding(guard, *applications):
    """One request that each of these has not answered yet; afterwards, their replies."""
    replies, threads = [], []
    for _ in applications:
        threads.append(threading.Thread(target=lambda: replies.append(ask(guard.address, uri="/app/hold"))))
        threads[-1].start()
    for application in applications:
        assert application.held.acquire(timeout=60)
    try:
        yield replies
    finally:
        for application in applications:
            application.release.set()
        for thread in threads:
            thread.join(60)


def send_out(guard, name, script="drop-b"):
    """Until the log says that it is out."""
    harness.wait_until(lambda: ask(guard.address, uri=f"/app/{script}") and told(guard, "backend_out", name), 20,
                       f"{name} is out")


def told(guard, event, name):
    return [entry["message"] for entry in guard.entries(event=event) if guard.apps[name].address in entry["message"]]


# ---- whom a request goes to

def test_each_in_turn(group):
    assert spread(group("abc"), 30) == {"a": 10, "b": 10, "c": 10}


def test_the_log_says_which(group):
    guard = group("ab", health={"failures": 1})
    names = [who(guard) for _ in range(4)]
    guard.apps["b"].leave()
    names += [who(guard) for _ in range(4)]
    assert names[4:] == ["a"] * 4  # one of them was asked of b before
    entries = harness.wait_until(lambda: (found := guard.entries(event="request", status=200)) and len(found) >= 8 and found)
    assert [entry["backend"] for entry in entries[-8:]] == [guard.apps[name].address for name in names]


def test_the_log_names_no_only_one(group):
    guard = group("a")
    who(guard)
    assert "backend" not in guard.wait_entry(event="request", status=200)


def test_the_least_busy(group):
    guard = group("ab", balance="least_connections")
    with holding(guard, *guard.apps.values()) as replies:
        pass
    assert sorted(reply.body for reply in replies) == [b"a", b"b"]
    for one in guard.apps.values():
        one.release.clear()
    thread = threading.Thread(target=ask, args=(guard.address, "GET", "/app/hold"))
    thread.start()
    busy = harness.wait_until(lambda: [name for name, one in guard.apps.items() if one.held.acquire(blocking=False)], 10)
    try:
        assert busy[0] not in spread(guard, 10)
    finally:
        guard.apps[busy[0]].release.set()
        thread.join(60)


def keys_of(guard, count=400):  # so many that none of four gets nothing by chance
    return {key: who(guard, headers={"X-Key": f"key {key}"}) for key in range(count)}


def test_the_same_for_the_same_key(group):
    guard = group("abcd", balance="hash:header:x-key", health={"failures": 1})
    before = keys_of(guard)
    assert keys_of(guard) == before and set(before.values()) == set("abcd")
    guard.apps["b"].leave()
    after = keys_of(guard)
    moved = [key for key in before if after[key] != before[key]]
    assert moved and all(before[key] == "b" for key in moved) and "b" not in after.values()
    assert len({after[key] for key in moved}) == 3  # they are shared by all others
    guard.apps["b"].listen()
    harness.wait_until(lambda: told(guard, "backend_back", "b") or not keys_of(guard), 20, "b is back")
    assert keys_of(guard) == before


def test_full_ones_are_not_waited_for(group):
    guard = group("ab", connections=1)
    with holding(guard, guard.apps["a"], guard.apps["b"]) as replies:
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(ask(guard.address, uri="/app/who")))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and not waiting
        guard.apps["b"].release.set()  # whichever is free first serves it
        thread.join(60)
        assert (waiting[0].status, waiting[0].body) == (200, b"b")
        harness.wait_until(lambda: replies, harness.PATIENCE, "the reply of who had its place before")
        assert [reply.body for reply in replies] == [b"b"]


def test_nobody_becomes_free(group):
    guard = group("ab", connections=1, queue_timeout="300ms")
    with holding(guard, *guard.apps.values()):
        reply = ask(guard.address, uri="/app/who")
        assert (reply.status, error(reply), reply.get("Retry-After")) == (503, "backend_busy", "1")
    assert not guard.entries(event="backend_out")


# ---- who fails

@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_that_refuses(group, method):
    """Nothing was sent, so anything may be tried elsewhere."""
    guard = group("ab")
    body = b"x" * 5000 if method == "POST" else None
    guard.apps["b"].leave()
    assert {who(guard, method, body=body) for _ in range(20)} == {"a"}
    assert len(told(guard, "backend_out", "b")) == 1 and "cannot connect" in told(guard, "backend_out", "b")[0]
    guard.apps["b"].listen()
    harness.wait_until(lambda: who(guard, body=b"") == "b", 20, "b is back")
    assert len(told(guard, "backend_back", "b")) == 1
    assert set(spread(guard, 4)) == {"a", "b"}


def test_one_that_closes_unanswered(group):
    """What may have been carried out is tried again if that does no harm."""
    guard = group("ab", health=1000)
    assert {who(guard, script="drop-b") for _ in range(10)} == {"a"}
    replies = [ask(guard.address, "POST", "/app/drop-b", b"abc") for _ in range(10)]
    refused = [reply for reply in replies if reply.status != 200]
    assert len(refused) == 5 and {(reply.status, error(reply)) for reply in refused} == {(502, "backend_unavailable")}
    assert guard.apps["a"].asked("drop-b") == 10 + 5 and guard.apps["b"].asked("drop-b") == 5 + 5


def test_no_more_retries_than_allowed(group):
    guard = group("abc", retries=1, health=1000)
    assert ask(guard.address, uri="/app/drop").status == 502
    assert sum(one.asked() for one in guard.apps.values()) == 2
    guard = group("xyz", retries=2, health=1000)
    assert ask(guard.address, uri="/app/drop").status == 502
    assert [one.asked() for one in guard.apps.values()] == [1, 1, 1]  # none twice


def test_a_budget_of_retries(group):
    guard = group("ab", retry_budget=10, health=1000)
    for _ in range(200):
        assert ask(guard.address, uri="/app/drop").status == 502
    retries = sum(one.asked() for one in guard.apps.values()) - 200
    assert 115 <= retries <= 125  # a hundred in reserve, and a tenth of the requests


def test_one_that_is_overloaded(group):
    guard = group("ab", health=1)
    assert {who(guard, method, "full-b", body=b"") for method in ("GET", "POST") for _ in range(10)} == {"a"}
    assert guard.apps["b"].asked("full-b") == 10
    assert not guard.entries(event="backend_out")


def test_statuses(group):
    guard = group("ab", health={"failures": 2, "statuses": [503]})
    assert {who(guard, script="bad-b") for _ in range(20)} == {"a"}
    assert guard.apps["b"].asked("bad-b") >= 2 and "status 503" in told(guard, "backend_out", "b")[0]
    other = group("cd")
    assert [ask(other.address, uri="/app/bad-b").status for _ in range(4)] == [200] * 4


def test_a_status_of_the_only_one(group):
    guard = group("b", health={"failures": 1000, "statuses": [503]})
    assert [ask(guard.address, uri="/app/bad-b").status for _ in range(4)] == [503] * 4
    assert guard.apps["b"].asked("bad-b") == 4


def test_a_status_of_what_may_have_been_carried_out(group):
    guard = group("ab", health={"failures": 1000, "statuses": [503]})
    statuses = [ask(guard.address, "POST", "/app/bad-b", b"abc").status for _ in range(10)]
    assert statuses.count(503) == 5 and guard.apps["a"].asked("bad-b") == 5


@pytest.mark.parametrize("kept", [False, True])
def test_all_are_out(group, kept):
    guard = group("ab", hurried="200ms", keep=kept, health={"failures": 1, "out": "1h"})
    assert spread(guard, 4) == {"a": 2, "b": 2}

    def refused():
        """Whoever comes when a pause is over is a trial, which makes the next pause twice as long."""
        reply = ask(guard.address, "POST", "/hurried/hang", b"")
        return reply.status != 504 and reply
    reply = harness.wait_until(refused, 20, "all are out")
    assert (reply.status, error(reply)) == (503, "backend_unavailable")
    assert int(reply.get("Retry-After")) >= 1
    assert len(guard.entries(event="backend_out")) == 2
    # As soon as the pause is over one request finds out that it is well.
    harness.wait_until(lambda: ask(guard.address, uri="/app/who").status == 200, 20, "one is back")


def test_one_alone_that_restarts(group):
    """No request waits for a pause: it is back with the first that it takes."""
    guard = group("a", health={"failures": 1, "out": "1h"})
    assert who(guard) == "a"
    for _ in range(3):
        guard.apps["a"].leave()
        for _ in range(10):
            reply = ask(guard.address, uri="/app/who")
            assert (reply.status, error(reply)) == (502, "backend_unavailable")
        guard.apps["a"].listen()
        assert spread(guard, 5) == {"a": 5}
    assert len(told(guard, "backend_out", "a")) == len(told(guard, "backend_back", "a")) == 3


def test_slow_start(group):
    guard = group("ab", health={"failures": 1, "slow_start": "1h"})
    send_out(guard, "b")
    harness.wait_until(lambda: who(guard) == "b", 20, "b is back")
    assert spread(guard, 44)["b"] in (3, 4, 5)


def test_backups(group):
    guard = group("ab", backups="x", health=1, retries=2)
    assert set(spread(guard, 6)) == {"a", "b"}
    for name in "ab":
        guard.apps[name].leave()
    assert spread(guard, 10) == {"x": 10}
    assert told(guard, "backend_out", "a") and told(guard, "backend_out", "b")
    for name in "ab":
        guard.apps[name].listen()
    harness.wait_until(lambda: told(guard, "backend_back", "a") and told(guard, "backend_back", "b") or not who(guard),
                       20, "both are back")
    assert spread(guard, 10) == {"a": 5, "b": 5}


def test_a_backend_is_out_for_all_who_name_it(group, folder, start_guard):
    guard = group("ab", health=1)
    shared = guard.apps["b"].address
    policy = json.loads(guard.policy_path.read_text())
    policy["routes"].append({"path": "/other/**", "fastcgi": {"address": [shared, guard.apps["a"].address], "health": 1000}})
    policy["listen"] = "unix:" + str(folder.writable("run") / "shared.sock")
    both = start_guard(json.dumps(policy), start=False, name="shared")
    both.address = policy["listen"].partition(":")[2]
    both.start()
    both.apps = guard.apps
    send_out(both, "b")

    def is_left_alone():
        """Until its next trial, each of which makes the pause twice as long."""
        before = guard.apps["b"].asked()
        assert {ask(both.address, uri="/other/drop-b").body for _ in range(4)} == {b"a"}
        return guard.apps["b"].asked() == before
    harness.wait_until(is_left_alone, 20, "it is not asked")


# ---- under load

class Load:
    """Clients that ask without a pause, each on connections of its own."""

    def __init__(self, guard, uri, clients=4):
        self.statuses, self.answered, self.stopped = collections.Counter(), collections.Counter(), False
        self.threads = [threading.Thread(target=self.ask, args=(guard, uri)) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self, guard, uri):
        while not self.stopped:
            self.statuses[ask(guard.address, uri=uri).status] += 1
            self.answered[threading.current_thread()] += 1

    def more(self, count=50):
        """Waits for so many more replies."""
        before = sum(self.statuses.values())
        harness.wait_until(lambda: sum(self.statuses.values()) >= before + count, 30, "more replies")

    def turn(self):
        """Waits until no request is under way that was so before."""
        before = dict(self.answered)
        harness.wait_until(lambda: all(self.answered[one] > before.get(one, 0) or not one.is_alive() for one in self.threads),
                           30, "a reply to each client")

    def failed(self):
        return sum(count for status, count in self.statuses.items() if status != 200)

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(120)
        return self.statuses


@pytest.fixture(scope="module")
def fpms(folder):
    made = [php_fpm.Fpm(folder, name) for name in ("fpm-a", "fpm-b")]
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def php(fpms, start_guard, request):
    guard = start_guard({"threads": 8, "defaults": {"auth": "none"}, "routes": [
        {"path": "/app/**", "fastcgi": {
            "address": [one.address for one in fpms], "root": str(fpms[0].root), "connections": fpms[0].children,
            "first_byte": "4s", "health": {"out": "1s"}}}]}, name=request.node.name[:30])
    load = Load(guard, "/app/hello.php")
    guard.load = load
    try:
        load.more()
        yield guard
    finally:
        load.stop()
        guard.stop()


def signal_all(fpm, number):
    """The parent first, else it would start others."""
    for pid in [fpm.process.pid, *harness.children(fpm.process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_php_killed_under_load(php, fpms):
    signal_all(fpms[1], signal.SIGKILL)
    php.wait_entry(event="backend_out")
    php.load.more()
    fpms[1].process.process.wait()
    (fpms[1].own / "fpm.log").unlink()
    fpms[1].start()
    php.wait_entry(event="backend_back")
    php.load.more()
    assert set(php.load.stop()) == {200}


def test_php_restarted_under_load(php, fpms):
    for fpm in (*fpms, *fpms):
        fpm.restart()
        harness.wait_until(lambda: len(php.entries(event="backend_out")) == len(php.entries(event="backend_back")), 20,
                           "it is back")
        php.load.more()
    assert set(php.load.stop()) == {200}


def test_one_php_alone_restarted_under_load(fpms, start_guard):
    """While it is gone requests fail; as soon as it is there none does, whatever the breaker says."""
    fpm = fpms[0]
    guard = start_guard({"threads": 8, "defaults": {"auth": "none"}, "routes": [
        {"path": "/app/**", "fastcgi": {"address": fpm.address, "root": str(fpm.root), "connections": fpm.children,
                                        "health": {"out": "1h"}}}]}, name="alone")
    load = Load(guard, "/app/hello.php")
    try:
        load.more()
        fpm.stop()
        harness.wait_until(lambda: load.statuses[502] > 20, 20, "requests fail")
        fpm.start()
        assert ask(guard.address, uri="/app/hello.php").status == 200
        load.turn()  # those that were under way
        failed = load.failed()
        load.more(200)
        assert load.failed() == failed, load.statuses
    finally:
        load.stop()
        guard.stop()


def test_php_stopped_under_load(php, fpms):
    signal_all(fpms[0], signal.SIGSTOP)
    try:
        php.wait_entry(event="backend_out")
        php.load.more()
    finally:
        signal_all(fpms[0], signal.SIGCONT)
    php.wait_entry(event="backend_back")
    php.load.more()
    assert set(php.load.stop()) == {200}


def test_flapping_under_load(group):
    guard = group("ab", health={"out": "500ms"})
    load = Load(guard, "/app/who")
    for _ in range(10):
        load.more()
        guard.apps["b"].leave()
        load.more()
        guard.apps["b"].listen()
    assert set(load.stop()) == {200}
    assert len(told(guard, "backend_out", "b")) <= 11  # each change is one line


def test_nothing_is_left(group):
    guard = group("ab", health=1, connections=2)
    spread(guard, 4)
    with guard.leaves_nothing():
        for round_, script in itertools.product(range(5), ("drop-b", "garbage", "hold", "who")):
            with records.Connection(guard.address) as client:
                client.send(records.request(records.environment(uri=f"/app/{script}")))
                if script != "hold":
                    client.reply()
        for one in guard.apps.values():
            one.release.set()
        harness.wait_until(lambda: ask(guard.address, uri="/app/who").status == 200, 20, "one is back")
        harness.wait_until(lambda: set(spread(guard, 4)) == {"a", "b"}, 20, "both are back")


# ---- without a request

@pytest.mark.parametrize("ill", [b"", b"Status: 503\r\n"])
def test_probes(group, ill):
    guard = group("ab", health={"probe": "/ping?a=b", "interval": "100ms"})
    harness.wait_until(lambda: guard.apps["b"].asked("ping") > 1, 10, "it is probed")
    assert {one[0] for one in guard.apps["b"].requests} == {"ping"}
    guard.apps["b"].health = ill
    guard.wait_entry(event="backend_out")
    assert "a probe" in told(guard, "backend_out", "b")[0] or "status 503" in told(guard, "backend_out", "b")[0]
    before = guard.apps["b"].asked("ping")
    while guard.apps["b"].asked("ping") < before + 3:  # the pause is over long ago, and no request is a trial
        assert who(guard) == "a"
    guard.apps["b"].health = b"Status: 302\r\nLocation: /\r\n"
    guard.wait_entry(event="backend_back")
    assert set(spread(guard, 4)) == {"a", "b"}


def test_php_is_probed(fpms, start_guard):
    guard = start_guard({"threads": 4, "defaults": {"auth": "none"}, "routes": [
        {"path": "/app/**", "fastcgi": {
            "address": [one.address for one in fpms], "root": str(fpms[0].root), "connections": fpms[0].children,
            "health": {"probe": "/ping", "interval": "100ms", "timeout": "2s"}}}]}, name="probed")
    signal_all(fpms[1], signal.SIGSTOP)
    try:
        assert fpms[1].address in guard.wait_entry(event="backend_out")["message"]
        assert {ask(guard.address, uri="/app/hello.php").status for _ in range(10)} == {200}
    finally:
        signal_all(fpms[1], signal.SIGCONT)
    assert fpms[1].address in guard.wait_entry(event="backend_back")["message"]
    fpms[0].restart()
    harness.wait_until(lambda: ask(guard.address, uri="/app/hello.php").status == 200, 10, "php answers")
    guard.stop()
    assert not [entry for entry in guard.entries(event="request") if entry["status"] != 200]


def test_warm_connections(group):
    guard = group("a", warm=3, connections=4, idle="100ms")
    application = guard.apps["a"]
    harness.wait_until(lambda: application.open == 3, 10, "three are open")
    assert spread(guard, 5) == {"a": 5} and application.connections == 3
    application.drop()
    harness.wait_until(lambda: application.connections >= 6 and application.open == 3, 20, "three are open again")
    assert who(guard) == "a"
    application.leave()
    harness.wait_until(lambda: application.open == 0, 10, "all are closed")
    application.listen()
    harness.wait_until(lambda: who(guard) and application.open == 3, 20, "three are open again")


def test_example(fpms, start_guard, folder):
    for fpm in fpms:
        folder.write(f"{fpm.name}-site/shop/index.php", "<?php echo 'shop';")
    guard = start_guard("", start=False, name="example")
    policy = servers.example_policy("backends.yaml", socket=guard.address, site=fpms[0].root)
    for place, fpm in zip(("unix:/run/php/one.sock", "unix:/run/php/two.sock"), fpms):
        assert place in policy
        policy = policy.replace(place, fpm.address)
    guard.write(policy)
    guard.start()
    assert ask(guard.address, uri="/app/hello.php").body == b"hello"
    fpms[0].stop()
    try:
        guard.wait_text(f'"backend_out","message":"{fpms[0].address}')  # without a request
        assert {ask(guard.address, uri="/app/hello.php").body for _ in range(6)} == {b"hello"}
        assert ask(guard.address, uri="/app/shop/").body == b"shop"
    finally:
        fpms[0].start()
    guard.wait_text(f'"backend_back","message":"{fpms[0].address}')


# ---- what a policy may not say

@pytest.mark.parametrize("settings, said", [
    ({"address": ["unix:/a", "unix:/b", "unix:/a"]}, r"address\[2\]: unix:/a is there already"),
    ({"address": ["127.0.0.1:9000", "tcp:127.0.0.1:9000"]}, "is there already"),
    ({"address": "unix:/a", "backup": ["unix:/b", "unix:/a"]}, r"backup\[1\]: unix:/a is there already"),
    ({"address": []}, "address: "),
    ({"address": [f"unix:/{i}" for i in range(65)]}, "at most 64"),
    ({"address": ["unix:/a", "b"]}, r'address\[1\]: "b" is no address'),
    ({"address": "unix:/a", "balance": "fastest"}, "expected round_robin, least_connections or hash:KEY"),
    ({"address": "unix:/a", "balance": "hash:colour"}, "expected address, caller, api_key"),
    ({"address": "unix:/a", "balance": "hash:header:cookie"}, "holds credentials"),
    ({"address": "unix:/a", "balance": "hash:path:id"}, "no {id}"),
    ({"address": "unix:/a", "balance": "hash:claim:sub"}, "`fastcgi` asks who is calling, but `auth` is none"),
    ({"address": "unix:/a", "health": {"statuses": [404]}}, "expected 500 to 599"),
    ({"address": "unix:/a", "health": {"probe": "ping"}}, "a path such as /ping"),
    ({"address": "unix:/a", "retries": 9}, "retries"),
    ({"address": "unix:/a", "warm": 6}, "more than `connections`, which is 5"),
])
def test_faults_of_a_policy(tmp_path, folder, settings, said):
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps({"routes": [{"path": "/app/**", "auth": "none", "fastcgi": settings}]}))
    result = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file])
    assert result.returncode != 0
    assert harness.re.search(said, result.stdout + result.stderr), result.stdout + result.stderr
