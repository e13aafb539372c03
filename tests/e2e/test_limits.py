"""How much callers may use: what is admitted and refused, exactly, however many
ask at once and however many processes there are, and what replies say of it."""

import concurrent.futures
import json
import os
import re
import signal
import threading
import time

import pytest

import harness
import records
import servers
from records import ask
from test_callers import bearer, key_command

ANSWERED = records.raw("Status: 200\n\n", "/failures")
FAILED = records.raw("Status: 403\n\n", "/failures")


def policy(folder, helper, **more):
    folder.write("jwt.key", "a-secret-of-at-least-32-bytes-for-HS256", 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    return {
        "store": f"sqlite:{folder.writable('store')}/{more.pop('database', 'guard')}.db",
        "auth": {
            "user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests"}},
            "partner": {"api_key": {"header": "X-API-Key"}},
        },
        "limits": {
            "five": {"rate": "5/1h", "by": "header:X-Test"},
            "three": {"rate": "3/1h", "by": "header:X-Test"},
            "logins": {"rate": "4/1h", "by": "header:X-Test", "count": "failures"},
            "good": {"rate": "4/1h", "by": "header:X-Test", "count": "successes"},
            "slots": {"concurrency": 2, "by": "header:X-Test"},
            "slot": {"concurrency": 1, "by": "header:X-Test"},
            "pair": {"rate": "2/2m", "by": "header:X-Test"},
        },
        "defaults": {"auth": "none", "exec": helper, "methods": ["GET", "POST"]},
        "routes": [
            {"path": "/app/h/**", "limits": "five"},
            {"path": "/both/**", "limits": ["five", "three"]},
            {"path": "/failures/**", "limits": "logins"},
            {"path": "/successes/**", "limits": "good"},
            {"path": "/slots/**", "limits": "slots"},
            {"path": "/slot/**", "limits": "slot"},
            {"path": "/slots-first/**", "limits": ["slots", "pair"]},
            {"path": "/slots-last/**", "limits": ["pair", "slots"]},
            {"path": "/pair/**", "limits": "pair"},
            {"path": "/banned/**", "limits": {"use": [{"rate": "2/5s", "ban": {"for": "6s", "most": "1h"}, "by": "header:X-Test"}]}},
            {"path": "/zero/**", "limits": "0/1m"},
            {"path": "/caller/**", "auth": {"methods": ["user", "partner"], "optional": True}, "limits": [{"rate": "2/1h", "by": "caller"}]},
            {"path": "/key/**", "auth": ["partner"], "limits": [{"rate": "2/1h", "by": "api_key"}]},
            {"path": "/claim/**", "auth": "user", "limits": [{"rate": "2/1h", "by": "claim:org.id"}]},
            {"path": "/path/{id}/hello", "limits": [{"rate": "2/1h", "by": "path:id"}]},
            {"path": "/address/**", "limits": ["2/1h"]},
            {"path": "/network/**", "limits": [{"rate": "2/1h", "ipv6_prefix": 48}]},
            {"path": "/all/**", "limits": [{"rate": "2/1h", "by": "global"}]},
            {"path": "/late/**", "auth": "user", "limits": ["2/1h", {"rate": "1/1h", "by": "caller"}]},
            {"path": "/guess/**", "auth": "user", "limits": "2/1h"},
            {"path": "/except/**", "auth": "user", "limits": [{"rate": "1/1h", "except": {"addresses": ["192.0.2.0/24"], "roles": ["admin"]}}]},
            {"path": "/legacy/**", "limits": "5/1h", "limit_headers": "legacy"},
            {"path": "/quiet/**", "limits": "5/1h", "limit_headers": "none"},
            {"path": "/burst/**", "limits": [{"rate": "1/1h", "algorithm": "gcra", "burst": 3}]},
            {"path": "/delay/**", "limits": [{"rate": "20/1m", "algorithm": "gcra", "delay": "7s", "by": "header:X-Test"}]},
            {"path": "/cost/**", "limits": [{"rate": "10/1h", "cost": 4, "by": "header:X-Test"}]},
            {"path": "/bytes/**", "limits": [{"rate": "10/1h", "cost": "body", "by": "header:X-Test"}]},
            {"path": "/report/**", "limits": {"use": "1/1h", "mode": "report"}},
        ],
        **more,
    }


@pytest.fixture(scope="module")
def guard(folder, helper):
    started = harness.Guard(folder, policy(folder, helper))
    yield started
    started.stop()
    started.check_reports()


tests = iter(range(1, 1000000))


@pytest.fixture
def who():
    """A header by which nobody else is counted."""
    return {"X-Test": f"test-{next(tests)}"}


def statuses(guard, uri, count, headers=None, **words):
    return [ask(guard.address, uri=uri, headers=headers, **words).status for _ in range(count)]


def refusal(reply):
    body = json.loads(reply.body)
    assert reply.status == 429 and body["error"] == "rate_limit_exceeded", reply.body
    assert body["retryAfter"] == int(reply.get("Retry-After")) >= 1
    return body


# ---- through every web server

@pytest.mark.parametrize("kind", servers.KINDS)
def test_exact_with_many_at_once(kind, folder, helper):
    """Also where each request has a process of its own, or there are many that share the store."""
    rules = policy(folder, helper, database=f"many-{kind}")
    rules["store"] = {"url": rules["store"], "timeout": "30s"}  # 64 processes that start at once have one turn
    front = servers.start(kind, folder, rules, name=f"limit-{kind}")
    try:
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            many = list(pool.map(lambda _: front.fetch("/app/h/hello", headers=[("X-Test", "many")]).status, range(128)))
        assert sorted(set(many)) == [200, 429] and many.count(200) == 5, (many.count(200), set(many))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            many = list(pool.map(lambda _: front.fetch("/app/h/" + FAILED.split("/")[-1], headers=[("X-Test", "b")]).status, range(64)))
        assert many.count(403) == 5 and many.count(429) == 59
        reply = front.fetch("/app/h/hello", headers=[("X-Test", "many")])
        assert reply.status == 429 and 3500 < int(reply.get("Retry-After")) <= 3900 and reply.get("RateLimit")
        assert front.fetch("/app/h/hello", headers=[("X-Test", "other")]).status == 200
    finally:
        front.stop()
        front.guard.stop()
        front.guard.check_reports()


@pytest.fixture(scope="module", params=["nginx", "mod_fcgid"])
def busy(request, folder, helper):
    """All of it beneath the one place that both have; mod_fcgid starts many processes."""
    rules = policy(folder, helper, database=f"busy-{request.param}")
    rules["store"] = {"url": rules["store"], "timeout": "30s"}
    rules["limits"]["brief"] = {"rate": "2/5s", "by": "header:X-Test", "ban": "1h"}
    rules["routes"] = [
        {"path": "/app/five/**", "limits": "five"},
        {"path": "/app/both/**", "limits": ["five", "three"]},
        {"path": "/app/failures/**", "limits": "logins"},
        {"path": "/app/banned/**", "limits": "brief"},
        {"path": "/app/slots/**", "limits": "slots"},
    ]
    front = servers.start(request.param, folder, rules, name=f"busy-{request.param}")
    yield front
    front.stop()
    front.guard.stop()
    front.guard.check_reports()


def crowd(front, target, who, count=64):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda _: front.fetch(target, headers=list(who.items())).status, range(count)))


def test_busy_all_or_nothing(busy, who):
    found = crowd(busy, "/app/both/hello", who)
    assert found.count(200) == 3 and found.count(429) == 61
    found = crowd(busy, "/app/five/hello", who)
    assert found.count(200) == 2, "what was refused by one took nothing from the other"


def test_busy_refunds(busy, who):
    crowd(busy, "/app/failures/hello", who)
    failed = records.raw("Status: 401\n\n", "/app/failures")
    harness.wait_until(lambda: crowd(busy, failed, who, 1) == [401], 10, "what was taken is given back", 0.1)
    found = crowd(busy, failed, who)
    assert found.count(401) == 3 and found.count(429) == 61


def test_busy_ban(busy, who):
    found = crowd(busy, "/app/banned/hello", who)
    assert found.count(200) == 2 and found.count(429) == 62
    time.sleep(5.5)
    assert set(crowd(busy, "/app/banned/hello", who)) == {429}


def test_busy_slots(busy, who):
    """Never more programs at once than there are slots, counted from outside."""
    most, ends = [0], threading.Event()

    def watch():
        """Who is there at two looks was there, with the others, between them."""
        before, made = set(), set()
        while not ends.is_set():
            found = {str(pid) for pid in busy.guard.programs()}
            made |= {pid for pid in found if harness.status_of(pid).get("PPid") in found}  # by a sanitizer, at a program's end
            most[0] = max(most[0], len((before & found) - made))
            before = found
    watcher = threading.Thread(target=watch)
    watcher.start()
    found = crowd(busy, "/app/slots/slow?300", who, 192)
    ends.set()
    watcher.join()
    assert set(found) == {200, 429} and 1 <= most[0] <= 2, (found.count(200), most)
    harness.wait_until(lambda: set(crowd(busy, "/app/slots/slow?100", who, 2)) == {200}, 10, "slots come free", 0.3)


# ---- what is told

def test_headers(guard, who):
    replies = [ask(guard.address, headers=who) for _ in range(6)]
    for left, reply in zip(range(4, -1, -1), replies):
        assert reply.status == 200
        assert reply.get("RateLimit-Policy") == '"five";q=5;w=3600'
        assert re.fullmatch(rf'"five";r={left};t=(3[0-9]{{3}})', reply.get("RateLimit")), reply.get("RateLimit")
        assert reply.get("Retry-After") is None
    refusal(replies[5])
    assert replies[5].get("RateLimit").startswith('"five";r=0;t=')


def test_legacy_and_no_headers(guard):
    reply = ask(guard.address, uri="/legacy/hello")
    assert (reply.get("RateLimit-Limit"), reply.get("RateLimit-Remaining")) == ("5", "4")
    assert 3500 < int(reply.get("RateLimit-Reset")) <= 3900 and reply.get("RateLimit") is None
    for reply in (ask(guard.address, uri="/quiet/hello") for _ in range(6)):
        assert not [name for name, _ in reply.headers if name.lower().startswith("ratelimit")]
    refusal(reply)


def test_tightest_is_told(guard, who):
    assert ask(guard.address, uri="/both/hello", headers=who).get("RateLimit").startswith('"three";r=2;')
    assert statuses(guard, "/app/h/hello", 3, who) == [200] * 3
    assert ask(guard.address, uri="/both/hello", headers=who).get("RateLimit").startswith('"five";r=0;')


def test_handler_does_not_say_it(guard, who):
    reply = ask(guard.address, uri=records.raw("RateLimit: \"x\";r=9\nRateLimit-Policy: \"x\"\n\n"), headers=who)
    assert reply.all("RateLimit-Policy") == ['"five";q=5;w=3600']


# ---- what is taken

def test_all_or_nothing(guard, who):
    assert statuses(guard, "/both/hello", 8, who) == [200] * 3 + [429] * 5
    assert statuses(guard, "/app/h/hello", 3, who) == [200, 200, 429]


def test_failures(guard, who):
    assert statuses(guard, ANSWERED, 10, who) == [200] * 10
    assert statuses(guard, FAILED, 5, who) == [403] * 4 + [429]
    assert statuses(guard, ANSWERED, 1, who) == [429]


def test_many_failures_at_once(guard, who):
    """A hundred wrong passwords at the same time do not get through."""
    target = records.raw("Status: 401\n\n", "/failures")
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda _: ask(guard.address, uri=target, headers=who).status, range(100)))
    assert found.count(401) == 4 and found.count(429) == 96


def test_many_successes_at_once_are_given_back(guard, who):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: ask(guard.address, uri="/failures/hello", headers=who).status, range(64)))
    assert set(found) <= {200, 429}
    harness.wait_until(lambda: statuses(guard, FAILED, 1, who) == [403], 5, "what was taken is given back")
    assert statuses(guard, FAILED, 4, who) == [403] * 3 + [429]


def test_successes(guard, who):
    failed = records.raw("Status: 404\n\n", "/successes")
    assert statuses(guard, failed, 10, who) == [404] * 10
    assert statuses(guard, "/successes/hello", 5, who) == [200] * 4 + [429]


def test_refused_by_another_guard(guard, who):
    """What guards refuse before is not counted; what they refuse behind is a failure."""
    assert statuses(guard, "/app/h/.git", 9, who) == [404] * 9
    assert statuses(guard, "/app/h/hello", 9, who, method="DELETE") == [405] * 9
    assert statuses(guard, "/app/h/hello", 5, who) == [200] * 5


def test_guessed_tokens_are_counted(guard):
    headers = {"Authorization": "Bearer a.b.c"}
    assert statuses(guard, "/guess/hello", 3, headers) == [401, 401, 429]


def test_ban(guard, who):
    start = time.monotonic()
    assert statuses(guard, "/banned/hello", 3, who) == [200, 200, 429]
    reply = ask(guard.address, uri="/banned/hello", headers=who)
    assert refusal(reply)["retryAfter"] <= 6
    harness.wait_until(lambda: ask(guard.address, uri="/banned/hello", headers=who).status == 200, 10, "the ban ends", 0.1)
    assert time.monotonic() - start > 5.7
    found = statuses(guard, "/banned/hello", 3, who)
    assert found[-1] == 429
    assert refusal(ask(guard.address, uri="/banned/hello", headers=who))["retryAfter"] in range(7, 13), "the second ban is twice as long"


def test_zero(guard):
    reply = ask(guard.address, uri="/zero/hello")
    assert refusal(reply)["retryAfter"] == 60


def test_slots(guard, who):
    guard.wait_no_programs()
    with records.Connection(guard.address) as one, records.Connection(guard.address) as two:
        for connection in (one, two):
            connection.send(records.request(records.environment(uri="/slots/sleep", headers=who)))
        harness.wait_until(lambda: len(guard.programs()) >= 2, 5, "both run")
        for _ in range(3):
            reply = ask(guard.address, uri="/slots/hello", headers=who)
            assert refusal(reply)["retryAfter"] == 1 and reply.get("RateLimit") is None
        assert statuses(guard, "/slots/hello", 1, {"X-Test": "another"}) == [200]
    harness.wait_until(lambda: statuses(guard, "/slots/hello", 1, who) == [200], 10, "slots come free")
    guard.wait_no_programs()


def test_a_slot_is_free_with_the_answer(guard, who):
    """Who asks again as soon as he is answered is never told that he still asks."""
    for uri in ("/slot/hello", ANSWERED.replace("/failures", "/slot"), FAILED.replace("/failures", "/slot")):
        found = statuses(guard, uri, 200, who)
        assert len(set(found)) == 1 and found[0] in (200, 403), (uri, sorted(set(found)))


@pytest.mark.parametrize("path", ["slots-first", "slots-last"])
def test_slots_do_not_hide_a_longer_wait(guard, who, path):
    """Whoever is refused by both is told when both may have room."""
    assert statuses(guard, "/pair/hello", 2, who) == [200] * 2
    guard.wait_no_programs()
    with records.Connection(guard.address) as one, records.Connection(guard.address) as two:
        for connection in (one, two):
            connection.send(records.request(records.environment(uri="/slots/slow?60000", headers=who)))
        harness.wait_until(lambda: len(guard.programs()) >= 2, 5, "both run")
        assert refusal(ask(guard.address, uri=f"/{path}/hello", headers=who))["retryAfter"] > 5
    guard.wait_no_programs()


def test_slots_with_many_at_once(guard, who):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: ask(guard.address, uri="/slots/slow?20", headers=who).status, range(64)))
    assert set(found) == {200, 429} and found.count(200) >= 2
    harness.wait_until(lambda: statuses(guard, "/slots/hello", 2, who) == [200, 200], 5, "slots come free")


def test_costs(guard, who):
    assert statuses(guard, "/cost/hello", 3, who) == [200, 200, 429]
    assert statuses(guard, "/bytes/count", 2, who, method="POST", body=b"x" * 4000) == [200, 200]
    assert statuses(guard, "/bytes/count", 1, who, method="POST", body=b"x" * 2049) == [429]
    assert statuses(guard, "/bytes/count", 3, who, method="POST", body=b"x" * 1) == [200, 200, 429]


# ---- by whom

def test_by_caller(guard):
    alice, bob = (dict([bearer(sub=name)]) for name in ("alice", "bob"))
    assert statuses(guard, "/caller/hello", 3, alice) == [200, 200, 429]
    assert statuses(guard, "/caller/hello", 3, bob) == [200, 200, 429]
    assert statuses(guard, "/caller/hello", 3, replace={"REMOTE_ADDR": "192.0.2.1"}) == [200, 200, 429]
    assert statuses(guard, "/caller/hello", 3, replace={"REMOTE_ADDR": "192.0.2.2"}) == [200, 200, 429]
    # A caller who is called as an address is no address.
    assert statuses(guard, "/caller/hello", 1, dict([bearer(sub="192.0.2.1")])) == [200]


def test_by_key(guard):
    one, two = (key_command(guard, "create", "--owner", "alice") for _ in range(2))
    assert statuses(guard, "/key/hello", 3, {"X-API-Key": one}) == [200, 200, 429]
    assert statuses(guard, "/key/hello", 3, {"X-API-Key": two}) == [200, 200, 429]
    assert one.split("_")[1] in guard.text() and one not in guard.text()


def test_by_claim(guard):
    for claim in ({"id": 7}, {"id": "8"}, {}):
        assert statuses(guard, "/claim/hello", 3, dict([bearer(org=claim)])) == [200, 200, 429], claim
    assert statuses(guard, "/claim/hello", 1, dict([bearer(org=None, sub="else")])) == [429], "who has none shares a counter"


def test_by_path_address_and_all(guard):
    assert statuses(guard, "/path/1/hello", 3) == [200, 200, 429] and statuses(guard, "/path/%32/hello", 1) == [200]
    assert statuses(guard, "/path/2/hello", 2) == [200, 429], "however it is written"
    for address in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1", "2001:db8:0:1::1"):
        assert statuses(guard, "/address/hello", 3, replace={"REMOTE_ADDR": address}) == [200, 200, 429], address
    for address in ("::ffff:192.0.2.1", "192.0.2.3", "2001:db8::ffff:1", "2001:db8:0:1:1::"):
        assert statuses(guard, "/address/hello", 1, replace={"REMOTE_ADDR": address}) == [429], address
    found = [statuses(guard, "/network/hello", 1, replace={"REMOTE_ADDR": f"2001:db8:1:{n}::1"})[0] for n in range(3)]
    assert found == [200, 200, 429]
    found = [statuses(guard, "/all/hello", 1, replace={"REMOTE_ADDR": f"192.0.2.{n}"})[0] for n in range(3)]
    assert found == [200, 200, 429]


def test_keys_that_are_empty_or_long(guard):
    """Nobody is without a limit because his name is odd."""
    for value in (None, "", "x" * 8000, "%", "a b", "a=b address=192.0.2.1", "\xff\xfe"):
        headers = {} if value is None else {"X-Test": value.encode("latin-1")}
        found = statuses(guard, "/app/h/hello", 6, headers)
        assert found == ([429] * 6 if value == "" else [200] * 5 + [429]), value


def test_late_refusal_gives_back(guard):
    alice, bob = (dict([bearer(sub=name)]) for name in ("alice", "bob"))
    assert statuses(guard, "/late/hello", 5, alice) == [200] + [429] * 4
    assert statuses(guard, "/late/hello", 1, bob) == [200], "what alice was refused took nothing"


def test_except(guard):
    bob, admin = dict([bearer()]), dict([bearer(roles=["admin"])])
    assert statuses(guard, "/except/hello", 3, bob, replace={"REMOTE_ADDR": "192.0.2.9"}) == [200] * 3
    assert statuses(guard, "/except/hello", 2, bob) == [200, 429]
    assert statuses(guard, "/except/hello", 3, admin) == [200] * 3


# ---- how

def test_burst(guard):
    assert statuses(guard, "/burst/hello", 6) == [200] * 4 + [429] * 2


def test_delay(guard, who):
    """One at once, two that wait, and no more."""
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(guard.address, uri="/delay/hello", headers=who).status, range(8)))
    assert sorted(found) == [200] * 3 + [429] * 5
    assert time.monotonic() - start > 5.7


def test_delay_does_not_take_all_threads(folder, helper):
    rules = policy(folder, helper, database="threads", threads=4)
    for route in rules["routes"]:
        if route["path"] == "/delay/**":
            route["limits"] = [{"rate": "20/1m", "algorithm": "gcra", "delay": "10s"}]
    guard = harness.Guard(folder, rules, name="threads")
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(ask, guard.address, uri="/delay/hello") for _ in range(8)]
            harness.wait_until(lambda: sum(one.done() for one in waiting) >= 6, 10, "all but two are answered")
            assert statuses(guard, "/app/h/hello", 3) == [200] * 3
            assert sorted(one.result().status for one in waiting).count(429) >= 5
    finally:
        guard.stop()


def test_report_only(guard):
    assert statuses(guard, "/report/hello", 3) == [200] * 3
    assert guard.wait_entry(event="reported")["code"] == "rate_limit_exceeded"


def test_log(guard, who):
    statuses(guard, "/app/h/hello", 6, who)
    entry = guard.wait_entry(status=429, path="/app/h/hello")
    assert entry["guard"] == "limits" and entry["code"] == "rate_limit_exceeded"


def test_explain(guard):
    done = harness.run([guard.program, "explain", "-c", guard.policy_path, "GET", "/both/hello", "-H", "X-Test: me"])
    assert "limits" in done.stdout and "five header:X-Test=me: 1 of 5/1h" in done.stdout and "three header:X-Test=me" in done.stdout, done.stdout
    assert statuses(guard, "/both/hello", 3, {"X-Test": "me"}) == [200] * 3, "it took nothing"


# ---- how long

def test_survives_a_restart_and_a_reload(folder, helper):
    rules = policy(folder, helper, database="restart")
    guard = harness.Guard(folder, rules, name="restart")
    try:
        assert statuses(guard, "/app/h/hello", 3) == [200] * 3
        old = guard.worker()
        os.kill(guard.pid, signal.SIGHUP)
        harness.wait_until(lambda: old not in guard.workers(), 10, "a new worker")
        assert statuses(guard, "/app/h/hello", 1) == [200]
        os.kill(guard.worker(), signal.SIGKILL)
        harness.wait_until(guard.connects, 10, "a new worker")
        assert statuses(guard, "/app/h/hello", 2) == [200, 429]
        guard.stop()
        guard.start()
        assert statuses(guard, "/app/h/hello", 2) == [429, 429]
    finally:
        guard.stop()


def test_two_instances_share(folder, helper):
    guards = [harness.Guard(folder, policy(folder, helper, database="shared"), name=f"shared-{n}") for n in range(3)]
    try:
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            found = list(pool.map(lambda n: ask(guards[n % 3].address).status, range(96)))
        assert found.count(200) == 5 and found.count(429) == 91
    finally:
        for guard in guards:
            guard.stop()
