"""A request that draws on limits twice, before and behind `auth`, and whose store
fails in between: the answer of `on_store_failure`, and what the first judgement took is
kept or, where it is to be given back, given back once the store is there again."""

import concurrent.futures
import json
import re
import sqlite3
import threading
import time

import pytest

import harness
from records import ask
from test_callers import bearer
from test_limits import policy as base
from test_jwks import Key, authority, make_provider, policy as jwks_policy, publish  # pylint: disable=unused-import
from test_redis import PASSWORD, Server, pytestmark as needs_redis

BY = "header:X-Test"


class File:
    """A SQLite store, and somebody who does not let go of its counters."""

    needs_token = True  # tokens are in a file of their own, which is well

    def __init__(self, folder):
        self.store = {"url": f"sqlite:{folder}/guard.db", "timeout": "1s"}
        self.path, self.other = folder / "guard.db.limits", None

    def fail(self):
        self.other = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.other.execute("BEGIN EXCLUSIVE")

    def mend(self):
        self.other.execute("ROLLBACK")
        self.other.close()

    def end(self):
        pass


class Redis:
    """A Redis server, which is killed."""

    needs_token = False  # no token can be looked up while it is out: `auth` refuses it

    def __init__(self, folder):
        self.server = Server(folder)
        self.store = {"url": self.server.url("unix"), "password": f"file:{folder}/password", "timeout": "1s"}

    def fail(self):
        self.server.kill()

    def mend(self):
        self.server.start()

    def end(self):
        self.server.kill()


@pytest.fixture(scope="module", params=[File, pytest.param(Redis, marks=needs_redis)])
def store(request, folder):
    made = request.param(folder.writable("late-" + request.param.__name__.lower()))
    yield made
    made.end()


@pytest.fixture(scope="module")
def guard(store, folder, helper):
    rules = base(folder, helper)
    rules["store"] = {**store.store, "local_share": 50}
    rules["limits"] = {
        "turn": {"rate": "8/1m", "algorithm": "gcra", "delay": "9s", "by": BY},  # holds requests between the two
        "all": {"rate": "9/1h", "by": BY},
        "good": {"rate": "9/1h", "by": BY, "count": "successes"},
        "bad": {"rate": "9/1h", "by": BY, "count": "failures"},
        "late": {"rate": "2/1h", "by": ["caller", BY]},
    }
    rules["defaults"]["auth"] = {"methods": ["user"], "optional": True}
    rules["routes"] = [{"path": f"/{answer}/**", "limits": ["turn", "all", "good", "bad", "late"], "on_store_failure": answer}
                       for answer in ("deny", "allow", "local")]
    rules["routes"] += [{"path": f"{route['path'][:-3]}-late/**", "limits": "late", "on_store_failure": route["on_store_failure"]}
                        for route in rules["routes"]]
    rules["routes"].append({"path": "/turn/**", "limits": "turn"})
    started = harness.Guard(folder, rules, name=type(store).__name__)
    yield started
    started.stop()
    started.check_reports()


class Caller:
    def __init__(self, guard, store, name):
        self.guard, self.store, self.name = guard, store, name

    def ask(self, path, token=False):
        headers = dict([bearer(sub="alice")] if token or self.store.needs_token else [])
        return ask(self.guard.address, uri=path + "/hello", headers={"X-Test": self.name, **headers})

    def used(self, names=("all", "good", "bad", "late")):
        """Of each limit, as the store has it."""
        who = {"user": self.guard.user, "group": self.guard.user, "extra_groups": []} if self.guard.user else {}
        done = harness.run([self.guard.program, "limit", "list", "--json", "-c", self.guard.policy_path],
                           env=self.guard.environment, **who)
        assert done.returncode == 0 and PASSWORD not in done.stdout, done.stderr
        counters = [json.loads(line) for line in done.stdout.splitlines()]
        found = {counter["limit"]: counter["used"] for counter in counters if f"{BY}={self.name}" in counter["key"]}
        return {name: found.get(name, 0) for name in names}

    def ask_while_it_fails(self, path, token=False):
        """Its reply, those to two more that draw on the late limit alone, and how many the log
        says were not given back."""
        before = len(self.guard.entries(event="store_back"))
        taken = self.used()["all"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reply = pool.submit(self.ask, path, token)
            harness.wait_until(lambda: self.used()["all"] == taken + 1, 4, "it waits for its turn")
            self.store.fail()
            try:
                assert not reply.done(), "the store fails while it waits"
                reply = reply.result()
                more = [self.ask(path + "-late").status for _ in range(2)]
                time.sleep(1.4)  # what was to be given back has been tried
            finally:
                self.store.mend()
        harness.wait_until(lambda: self.guard.entries(event="store_back")[before:], 15, "the store is back")
        messages = [entry["message"] for entry in self.guard.entries(event="store_back")[before:]]
        return reply, more, sum(int(re.search(r"(\d+) were not given back", message)[1]) for message in messages)


tests = iter(range(1, 1000000))


@pytest.fixture
def caller(guard, store):
    return Caller(guard, store, f"late-{next(tests)}")


FIRST = {"all": 1, "good": 1, "bad": 0, "late": 1}
SERVED, REFUSED = {"all": 2, "good": 2, "bad": 0, "late": 1}, {"all": 2, "good": 1, "bad": 1, "late": 1}


def begin(caller, path):
    """A request for which all is well, after which the next one has to wait for its turn."""
    assert caller.ask(path).status == 200
    harness.wait_until(lambda: caller.used() == FIRST, 5, "it is counted, and no failure")


@pytest.mark.parametrize("path, status, then", [("/deny", 503, 503), ("/allow", 200, 200), ("/local", 200, 429)])
def test_answers(caller, path, status, then):
    """What was taken first stays taken; the one count that is to be given back is, once it can be."""
    begin(caller, path)
    reply, more, lost = caller.ask_while_it_fails(path)
    assert reply.status == status and more == [then] * 2, "the local share is one"
    if status == 503:
        assert json.loads(reply.body)["error"] == "store_failed" and reply.get("Retry-After")
    found = REFUSED if status == 503 else SERVED
    harness.wait_until(lambda: caller.used() == found, 5, "it is given back")
    assert lost == 0
    assert harness.wait_until(lambda: caller.ask(path), 5).status == 200, "the second of two, as nothing was counted late"
    found = {"all": 3, "good": found["good"] + 1, "bad": found["bad"], "late": 2}
    harness.wait_until(lambda: caller.used() == found, 5, "it is counted")
    reply = caller.ask(path)
    assert reply.status == 429 and json.loads(reply.body)["error"] == "rate_limit_exceeded"
    harness.wait_until(lambda: caller.used() == found, 5, "all of it is given back")


def test_refused_by_itself(caller):
    """The local share of the late limit is used up: 429, and what the early ones took in the store
    is given back, too."""
    begin(caller, "/local")
    assert caller.ask_while_it_fails("/local")[0].status == 200, "one, half of two"
    assert caller.ask("/turn").status == 200, "the next one has to wait, too"
    reply, more, lost = caller.ask_while_it_fails("/local")
    assert reply.status == 429 and json.loads(reply.body)["error"] == "rate_limit_exceeded"
    assert more == [429] * 2 and lost == 0
    harness.wait_until(lambda: caller.used() == SERVED, 5, "it is given back")


def test_a_token_needs_the_store(caller, store):
    """Where tokens are in the store that is out, nobody says who is calling, whatever becomes of limits."""
    if store.needs_token:
        pytest.skip("tokens are in another file")
    begin(caller, "/allow")
    reply, more, lost = caller.ask_while_it_fails("/allow", token=True)
    assert reply.status == 503 and json.loads(reply.body)["error"] == "store_failed"
    assert more == [200] * 2 and lost == 0
    harness.wait_until(lambda: caller.used() == REFUSED, 5, "it is given back")


# ---- the other way round: it fails first, and is back while `auth` asks for a key

@pytest.fixture
def provider(make_provider):
    return make_provider()


@pytest.fixture
def slow(store, provider, folder, helper):
    rules = jwks_policy(provider, helper)
    rules["store"] = {**store.store, "local_share": 50}
    rules["limits"] = {"early": {"rate": "2/1h", "by": BY}, "late": {"rate": "1/1h", "by": ["caller", BY]},
                       "free": {"rate": "9999/1h"}}
    rules["routes"] = [{"path": f"/{answer}/**", "auth": "user", "limits": ["early", "late"], "on_store_failure": answer}
                       for answer in ("deny", "allow", "local")] + [{"path": "/free/**", "auth": "none", "limits": "free"}]
    started = harness.Guard(folder, rules, name=f"slow-{next(tests)}")
    harness.wait_until(lambda: started.entries(event="jwks_fetched"), 10, "the first keys")
    yield started
    started.stop()
    started.check_reports()


def ask_while_it_comes_back(guard, store, provider, path, who):
    """The store is out when the request comes, and is back before its caller is known. Its reply, and
    whether the provider was asked who it is."""
    key, begun, done = Key(f"key-{next(tests)}"), threading.Event(), threading.Event()

    def answer(handler):
        begun.set()
        store.mend()
        harness.wait_until(lambda: ask(guard.address, uri="/free/hello").status == 200, 15, "the store is back")
        done.set()
        publish(key)(handler)
    time.sleep(1.2)  # the provider is not asked more often than once a second
    provider.answer = answer
    store.fail()
    reply = ask(guard.address, uri=path, headers={"X-Test": who, "Authorization": "Bearer " + key.token(sub=who)})
    if begun.is_set():
        assert done.wait(20)
    else:
        store.mend()
    return reply, begun.is_set()


def used_of(guard, who):
    return Caller(guard, None, who).used(("early", "late"))


def test_early_is_denied(slow, store, provider):
    """Nobody's token is looked at, and nothing is taken."""
    reply, asked = ask_while_it_comes_back(slow, store, provider, "/deny/hello", "denied")
    assert reply.status == 503 and json.loads(reply.body)["error"] == "store_failed" and not asked
    harness.wait_until(lambda: ask(slow.address, uri="/free/hello").status == 200, 15, "the store is back")
    assert used_of(slow, "denied") == {"early": 0, "late": 0}


@pytest.mark.parametrize("path", ["/allow/hello", "/local/hello"])
def test_late_ones_count_again(slow, store, provider, path):
    """What is back counts: the early limit was let pass, or counted here, and the late one is counted there."""
    for attempt in range(5):
        who = f"back-{path[1:6]}-{attempt}"
        reply, asked = ask_while_it_comes_back(slow, store, provider, path, who)
        assert asked
        if reply.status != 401:  # on a busy machine, the store took longer than `auth` waits: 2 seconds
            break
    assert reply.status == 200
    assert used_of(slow, who) == {"early": 0, "late": 1}
