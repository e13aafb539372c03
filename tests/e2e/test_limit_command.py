"""The command `limit`: what it tells of the counters of a guard that runs, that
what it resets is forgotten there, bad input, and stores that cannot be used."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile

import pytest

import harness
import records
from conftest import needs_root
from records import ask
from test_callers import key_command

FIELDS = ["key", "limit", "rule", "algorithm", "used", "remaining", "limit_units", "reset_seconds", "banned_seconds", "expires_seconds"]
DURATION = r"(\d+d( \d+h)?|\d+h( \d+m)?|\d+m( \d+s)?|\d+s)"


def policy(folder, helper, database="guard", **limits):
    return {
        "store": f"sqlite:{folder.writable('store')}/{database}.db",
        "user": harness.WEB_USER,
        "auth": {"partner": {"api_key": {"header": "X-API-Key"}}},
        "limits": {
            "sliding": {"rate": "5/1h", "by": "header:X-Test"},
            "fixed": {"rate": "5/1h", "by": "header:X-Test", "algorithm": "fixed"},
            "gcra": {"rate": "1/h", "by": "header:X-Test", "algorithm": "gcra", "burst": 4},
            "banned": {"rate": "2/5s", "by": "header:X-Test", "ban": "90m"},
            "slots": {"concurrency": 2, "by": "header:X-Test"},
            "short": {"rate": "5/5s", "by": "header:X-Test"},
            "everybody": {"rate": "7/1d", "by": "global"},
            "both": {"rate": "9/1h", "by": ["address", "header:X-Test"]},
            **limits,
        },
        "defaults": {"auth": "none", "exec": helper},
        "routes": [
            *({"path": f"/{name}/**", "limits": name} for name in
              ("sliding", "fixed", "gcra", "banned", "slots", "short", "everybody", "both")),
            {"path": "/own/**", "limits": [{"rate": "3/1h", "algorithm": "fixed"}, {"rate": "3/1h", "by": "header:X-Test", "ban": "1h"}]},
            {"path": "/path/{id}/hello", "limits": [{"rate": "4/1h", "by": ["path:id", "route"]}]},
            {"path": "/claim/**", "auth": "partner", "limits": [{"rate": "4/1h", "by": ["claim:sub", "api_key"]}]},
            {"path": "/long/**", "limits": [{"rate": "4/1h", "by": [f"header:X-{number}" for number in range(8)]}]},
            {"path": "/caller/**", "auth": {"methods": "partner", "optional": True}, "limits": [{"rate": "4/1h", "by": "caller"}]},
        ],
    }


@pytest.fixture(scope="module")
def guard(folder, helper):
    started = harness.Guard(folder, policy(folder, helper), user=None)
    yield started
    started.stop()
    started.check_reports()


tests = iter(range(1, 1000000))


@pytest.fixture
def who():
    """By which nobody else is counted."""
    return f"test-{next(tests)}"


def limit(program, *arguments, status=0, **more):
    result = harness.run([program, "limit", *arguments], env=harness.clean_environment(), **more)
    assert not harness.REPORTS.search(result.stderr), result.stderr
    assert result.returncode == status, (arguments, result.returncode, result.stdout, result.stderr)
    assert status == 0 or result.stdout == "", result.stdout
    return result


def at(guard, *arguments, **more):
    return limit(guard.program, *arguments, "-c", guard.policy_path, **more)


def read(guard, *arguments):
    return [json.loads(line) for line in at(guard, *arguments, "--json").stdout.splitlines()]


def use(guard, name, who, count=1):
    return [ask(guard.address, uri=f"/{name}/hello", headers={"X-Test": who}).status for _ in range(count)]


# ---- list and show

@pytest.mark.parametrize("name, rule, units", [("sliding", "5/1h", 5), ("fixed", "5/1h", 5), ("gcra", "1/h", 5)])
def test_what_is_used(guard, who, name, rule, units):
    key = f"{name} header:X-Test={who}"
    assert use(guard, name, who, 3) == [200] * 3
    found = read(guard, "show", key)
    assert len(found) == 1 and list(found[0]) == FIELDS
    expected = {"key": key, "limit": name, "rule": rule, "algorithm": name, "used": 3, "remaining": 2, "limit_units": units,
                "banned_seconds": None}
    assert {field: found[0][field] for field in expected} == expected
    longest = 3 * 3600 if name == "gcra" else 3600 * 17 // 16
    assert longest - 400 < found[0]["reset_seconds"] <= longest + 1
    assert abs(found[0]["expires_seconds"] - found[0]["reset_seconds"]) <= 1
    assert use(guard, name, who, 3) == [200, 200, 429]
    full = read(guard, "show", key)[0]
    assert (full["used"], full["remaining"]) == (5, 0)
    text = at(guard, "show", key).stdout
    for line in (f"key +{key}", f"limit +{name}", f"rule +{rule}", f"algorithm +{name}", "used +5 of 5", "left +0", f"all back +in {DURATION}",
                 "banned +no", f"forgotten +in {DURATION}"):
        assert re.search(f"^{line}$", text, re.M), (line, text)


def test_list(guard, who):
    for name in ("sliding", "fixed", "both", "everybody"):
        use(guard, name, who, 2)
    lines = at(guard, "list").stdout.splitlines()
    assert lines[0].split() == ["USED", "LEFT", "ALL", "BACK", "BANNED", "RULE", "KEY"]
    for line in (f"2 of 5 +3 +in {DURATION} +- +5/1h +sliding header:X-Test={who}", f"2 of 5 +3 +in {DURATION} +- +5/1h +fixed header:X-Test={who}",
                 f"2 of 9 +7 +in {DURATION} +- +9/1h +both address=127.0.0.1 header:X-Test={who}", rf"\d of 7 +\d +in 1d 1h +- +7/1d +everybody"):
        assert any(re.fullmatch(line, found) for found in lines[1:]), (line, lines)
    found = read(guard, "list")
    assert all(list(one) == FIELDS for one in found)
    keys = [one["key"] for one in found]
    assert keys == sorted(keys) and len(set(keys)) == len(keys) == len(lines) - 1
    some = read(guard, "list", "--limit", "both")
    assert some and [one["key"] for one in some] == [key for key in keys if key.startswith("both ")]
    assert at(guard, "list", "--limit", "bot").stdout == "" and read(guard, "list", "--limit", "nobody") == []


def test_a_routes_own_limits(guard, who):
    """Two of them have the same name, and are told by whom they count and how."""
    assert use(guard, "own", who, 4) == [200] * 3 + [429]
    by_address, by_header = read(guard, "list", "--limit", "/own/**:3/1h")[0], read(guard, "show", f"/own/**:3/1h header:X-Test={who}")[0]
    assert by_address["key"] == "/own/**:3/1h address=127.0.0.1" and by_address["algorithm"] == "fixed" and by_header["algorithm"] == "sliding"
    assert (by_address["used"], by_header["used"]) == (3, 3) and by_address["rule"] == by_header["rule"] == "3/1h"
    assert by_address["banned_seconds"] is None and 3500 < by_header["banned_seconds"] <= 3600


def test_callers_of_each_kind(guard):
    secret = key_command(guard, "create", "--owner", "alice")
    for headers in ({"X-API-Key": secret}, {}):
        assert ask(guard.address, uri="/caller/hello", headers=headers).status == 200
    found = {one["key"]: one["used"] for one in read(guard, "list", "--limit", "/caller/**:4/1h")}
    assert found == {"/caller/**:4/1h caller=alice": 1, "/caller/**:4/1h address=127.0.0.1": 1}
    assert ask(guard.address, uri="/claim/hello", headers={"X-API-Key": secret}).status == 200
    found = read(guard, "list", "--limit", "/claim/**:4/1h")
    assert [(one["key"], one["used"]) for one in found] == [("/claim/**:4/1h claim:sub=alice api_key=" + secret.split("_")[1], 1)]
    assert secret.split("_")[2] not in at(guard, "list").stdout


def test_parts_of_paths_and_long_keys(guard):
    assert ask(guard.address, uri="/path/a%20b/hello").status == 200
    found = read(guard, "list", "--limit", "/path/{id}/hello:4/1h")
    assert [(one["key"], one["used"]) for one in found] == [("/path/{id}/hello:4/1h path:id=a%20b route=/path/{id}/hello", 1)]
    assert ask(guard.address, uri="/long/hello", headers={f"X-{number}": "y" * 50 for number in range(8)}).status == 200
    found = read(guard, "list", "--limit", "/long/**:4/1h")
    assert len(found) == 1 and found[0]["used"] == 1 and re.fullmatch(r"/long/\*\*:4/1h #[0-9a-f]{32}", found[0]["key"])
    assert read(guard, "reset", found[0]["key"]) == [{"reset": 1}]


def test_bans(guard, who):
    assert use(guard, "banned", who, 3) == [200, 200, 429]
    key = f"banned header:X-Test={who}"
    harness.wait_until(lambda: read(guard, "show", key)[0]["used"] == 0, 10, "all is there again but for the ban")
    found = read(guard, "show", key)[0]
    assert found["remaining"] == 0 and 5300 < found["banned_seconds"] <= 5400 and found["reset_seconds"] == found["banned_seconds"]
    assert 10700 < found["expires_seconds"] <= 10800, "the ban makes the next one longer for as long again"
    assert re.search(r"^banned +for 1h (29|30)m$", at(guard, "show", key).stdout, re.M)
    assert use(guard, "banned", who) == [429]
    at(guard, "reset", key)
    assert use(guard, "banned", who) == [200]


def test_requests_at_once(guard, who):
    key = f"slots header:X-Test={who}"
    with records.Connection(guard.address) as connection:
        connection.send(records.request(records.environment(uri="/slots/sleep", headers={"X-Test": who})))
        harness.wait_until(guard.programs, 5, "it runs")
        found = read(guard, "show", key)[0]
        assert (found["rule"], found["algorithm"], found["used"], found["remaining"]) == ("2 at once", "concurrency", 1, 1)
        assert found["reset_seconds"] is None and 0 < found["expires_seconds"] <= 64
        assert "all back" not in at(guard, "show", key).stdout
        assert at(guard, "reset", key).stdout == f"{key} is reset\n"
    guard.wait_no_programs()
    assert use(guard, "slots", who, 3) == [200] * 3
    harness.wait_until(lambda: read(guard, "list", "--limit", "slots") == [], 5, "what is given back is not told of")


def test_what_is_over_is_not_told_of(guard, who):
    key = f"short header:X-Test={who}"
    use(guard, "short", who)
    assert read(guard, "show", key)
    harness.wait_until(lambda: key not in at(guard, "list").stdout, 10, "it is over")
    for verb in ("show", "reset"):
        assert at(guard, verb, key, status=1).stderr == f'fcgiguard: there is no counter "{key}"\n'


# ---- reset

@pytest.mark.parametrize("name", ["sliding", "fixed", "gcra"])
def test_reset(guard, who, name):
    other = who + "0"
    assert use(guard, name, who, 6) == use(guard, name, other, 6) == [200] * 5 + [429]
    key = f"{name} header:X-Test={who}"
    assert at(guard, "reset", key).stdout == f"{key} is reset\n"
    assert use(guard, name, who, 6) == [200] * 5 + [429], "from the next request on"
    assert use(guard, name, other) == [429]
    assert read(guard, "reset", key) == [{"reset": 1}]
    assert at(guard, "reset", key, status=1).stderr == f'fcgiguard: there is no counter "{key}"\n'


def test_reset_of_a_limit(folder, helper):
    """Of exactly that one: the name of another one may begin in the same way."""
    guard = harness.Guard(folder, policy(folder, helper, "all", slid={"rate": "1/1h"}), name="all", user=None)
    try:
        for number in range(250):  # more than are read at once
            assert use(guard, "sliding", f"all-{number}") == [200]
        assert use(guard, "fixed", "all", 6)[-1] == use(guard, "sliding", "all-7", 6)[-1] == 429
        for name in ("slid", "sliding2", "sliding header:X-Test=all-1".replace(" ", "_")):
            assert at(guard, "reset", "--limit", name, status=1).stderr == f'fcgiguard: there is no counter of the limit "{name}"\n'
        assert len(read(guard, "list", "--limit", "sliding")) == 250
        assert at(guard, "reset", "--limit", "sliding").stdout == "250 counters of sliding reset\n"
        assert [one["limit"] for one in read(guard, "list")] == ["fixed"]
        assert use(guard, "sliding", "all-7", 6) == [200] * 5 + [429] and use(guard, "fixed", "all") == [429]
        assert at(guard, "reset", "--limit", "sliding").stdout == "1 counter of sliding reset\n"
    finally:
        guard.stop()
        guard.check_reports()


def test_while_the_guard_is_busy(guard, who):
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(use, guard, "fixed", who, 100) for _ in range(6)]
        done = 0
        while not all(one.done() for one in asked):
            result = harness.run([guard.program, "limit", "reset", f"fixed header:X-Test={who}", "-c", guard.policy_path])
            assert result.returncode == 0 or "there is no counter" in result.stderr, result.stderr
            done += result.returncode == 0
            assert read(guard, "list") is not None
        found = sum((one.result() for one in asked), [])
    assert set(found) <= {200, 429} and done > 0
    assert found.count(200) <= 5 * (done + 1), "each reset gives five"


def test_without_a_guard(folder, helper, who):
    guard = harness.Guard(folder, policy(folder, helper, "alone"), name="alone", user=None)
    use(guard, "fixed", who, 5)
    guard.stop()
    assert read(guard, "list")[0]["used"] == 5
    at(guard, "reset", f"fixed header:X-Test={who}")
    assert at(guard, "list").stdout == ""
    guard.start()
    try:
        assert use(guard, "fixed", who) == [200]
    finally:
        guard.stop()


# ---- rules that have changed, or are not there

def test_limits_that_the_policy_has_no_more(folder, helper, who):
    guard = harness.Guard(folder, policy(folder, helper, "changed"), name="changed", user=None)
    for name in ("sliding", "banned", "fixed"):
        use(guard, name, who, 4)
    guard.stop()
    rules = policy(folder, helper, "changed", fixed={"rate": "9/1h", "by": "header:X-Test", "algorithm": "sliding"},
                   sliding={"rate": "5/1h"}, banned={"rate": "2/1h", "by": "address", "ban": "1h"})
    guard.write(rules)
    guard.start()
    use(guard, "fixed", who, 2)
    guard.stop()
    found = {(one["limit"], one["algorithm"]): one for one in read(guard, "list")}
    assert set(found) == {("sliding", "sliding"), ("banned", "sliding"), ("fixed", "fixed"), ("fixed", "sliding")}
    for which in (("sliding", "sliding"), ("banned", "sliding"), ("fixed", "fixed")):
        assert [found[which][field] for field in ("rule", "used", "remaining", "limit_units", "reset_seconds")] == [None] * 5, which
        assert found[which]["expires_seconds"] > 3000
    assert found["banned", "sliding"]["banned_seconds"] > 5000 and found["fixed", "sliding"]["used"] == 2
    text = at(guard, "list").stdout
    assert re.search(rf"^- +- +in 1h( \d+m)? +- +- +sliding header:X-Test={who}$", text, re.M), text
    assert re.search(rf"^- +- +in {DURATION} +for 1h (29|30)m +- +banned header:X-Test={who}$", text, re.M), text
    key = f"fixed header:X-Test={who}"
    assert at(guard, "show", key).stdout.count(f"key        {key}\n") == 2 == len(read(guard, "show", key))
    assert "rule       not in the policy\n" in at(guard, "show", key).stdout
    assert read(guard, "reset", key) == [{"reset": 2}]
    assert read(guard, "reset", "--limit", "banned") == [{"reset": 1}]


def test_by_store(guard, who):
    use(guard, "fixed", who, 2)
    key = f"fixed header:X-Test={who}"
    store = guard.folder / "store" / "guard.db"
    words = {"user": harness.WEB_USER, "group": harness.WEB_USER, "extra_groups": []} if harness.IS_ROOT else {}
    for name, where in ((store, "/"), ("guard.db", store.parent), ("../store/guard.db", store.parent)):
        found = json.loads(limit(guard.program, "show", key, "--store", name, "--json", cwd=where, **words).stdout)
        assert found["used"] is None and found["rule"] is None and 3000 < found["expires_seconds"] <= 3600
    limit(guard.program, "reset", key, "--store", store, **words)
    assert use(guard, "fixed", who, 6) == [200] * 5 + [429]


# ---- what clients write

@pytest.mark.parametrize("value", ["\x1b[2J\x1b]0;x\x07", "a b", "\x7f", "\u202ecila", "\u009b1m", "%00", "x\" y='z'", "sliding header:X-Test=me", "x" * 500],
                         ids=lambda value: ascii(value)[:20])
def test_what_clients_write_is_nothing_for_a_terminal(guard, value):
    status = ask(guard.address, uri="/sliding/hello", headers={"X-Test": value.encode()}).status
    if status == 400:  # the request is refused by itself
        return
    assert status == 200
    done = subprocess.run([guard.program, "limit", "list", "-c", guard.policy_path], stdout=subprocess.PIPE, check=True).stdout
    assert re.fullmatch(rb"[\x20-\x7e\n]*", done), done
    for one in read(guard, "list", "--limit", "sliding"):
        assert one["key"].count(" ") == 1 and one["rule"] == "5/1h", one
        assert read(guard, "show", one["key"])[0]["used"] == one["used"], "it can be named as it is printed"


def test_keys_written_by_hand(folder, helper):
    """Whoever can write to the store can write anything into it."""
    guard = harness.Guard(folder, policy(folder, helper, "hand"), name="hand", user=None)
    use(guard, "fixed", "me", 2)
    guard.stop()
    with contextlib.closing(sqlite3.connect(folder / "store" / "hand.db.limits")) as store:
        row = store.execute("SELECT key, algorithm, expires, state FROM counters").fetchone()
        for number, key in enumerate(["\x1b[2J", "a\nb", "", "\u202ex", "\u009b", b"\xff\xfe".decode("latin-1"), "x" * 300, "known header:X-Test=\u00f6"]):
            store.execute("INSERT INTO counters (number, key, algorithm, expires, state) VALUES (?, ?, ?, ?, ?)", (number, key, *row[1:]))
        store.execute("INSERT INTO counters (number, key, algorithm, expires, state) VALUES (99, 'odd', 7, ?, ?)", row[2:])
        store.execute("INSERT INTO counters (number, key, algorithm, expires, state) VALUES (98, 'cut', 0, ?, x'8101')", row[2:3])
        store.commit()
    keys = [one["key"] for one in read(guard, "list")]
    assert "fixed header:X-Test=me" in keys and "known header:X-Test=\u00f6" in keys
    assert not [key for key in keys if key in ("", "odd", "cut") or len(key) > 256 or not key.isprintable()], keys
    done = at(guard, "list").stdout
    assert all(line.isprintable() for line in done.splitlines()), done
    assert "there is no counter" in at(guard, "reset", "--limit", "x" * 256, status=1).stderr
    assert read(guard, "reset", "--limit", "fixed") == [{"reset": 1}]


# ---- bad command lines

@pytest.mark.parametrize("arguments, words", [
    ([], "not said what to do"), (["lst"], 'did you mean "list"'), (["--json"], "there is no"), (["list", "x"], "it takes no argument"),
    (["show"], "the key of a counter is missing"), (["reset"], "the key of a counter is missing"),
    (["show", "login", "address=192.0.2.7"], "a key with blanks needs quotes"), (["reset", "login", "address=192.0.2.7"], "needs quotes"),
    (["show", ""], "this is no key of a counter"), (["reset", ""], "this is no key of a counter"),
    (["show", "x" * 257], "this is no key of a counter"), (["reset", "x" * 100000], "this is no key of a counter"),
    (["show", "\x1b[2J"], "this is no key of a counter"), (["reset", "a\nb"], "this is no key of a counter"),
    (["show", os.fsdecode(b"\xff")], "this is no key of a counter"), (["show", "\u202ex"], "this is no key of a counter"),
    (["show", "--limit", "login"], "it takes no --limit"), (["reset", "x", "--limit", "login"], "exclude each other"),
    (["reset", "--limit", ""], "this is no name of a limit"), (["reset", "--limit", "a b"], "this is no name of a limit"),
    (["list", "--limit", "\x1b[2J"], "this is no name of a limit"), (["list", "--limit", "x" * 300], "this is no name of a limit"),
    (["list", "--limit"], "lacks its value"), (["list", "--store"], "lacks its value"), (["list", "-c"], "lacks its value"),
    (["list", "--nope"], "not known"), (["list", "-x"], "not known"), (["list", "--json=x"], "takes no value"),
    (["list", "-c", "x.yaml", "--store", "x.db"], "--policy and --store exclude each other"), (["reset", "--all"], "not known"),
], ids=lambda value: ascii(value)[:40])
def test_bad_command_lines(guard, arguments, words):
    result = limit(guard.program, *arguments, status=2)
    assert words in result.stderr and "usage: fcgiguard limit" in result.stderr, result.stderr
    assert re.fullmatch(r"[\x20-\x7e\n]*", result.stderr), "what does not fit is not repeated"


def test_keys_that_are_not_there(guard):
    for key in ("x", "sliding", "sliding header:X-Test=", "x" * 256, "'; DROP TABLE counters; --", "%", "*", "\u00f6"):
        for verb in ("show", "reset"):
            assert at(guard, verb, key, status=1).stderr == f'fcgiguard: there is no counter "{key}"\n'


def test_output_that_cannot_be_written(guard, who):
    use(guard, "fixed", who)
    with open("/dev/full", "w") as full:
        for words in (["list"], ["list", "--json"], ["show", f"fixed header:X-Test={who}"]):
            done = subprocess.run([guard.program, "limit", *words, "-c", guard.policy_path], stdout=full, stderr=subprocess.PIPE, text=True)
            assert done.returncode == 1 and "cannot be written" in done.stderr


# ---- stores that cannot be used

@pytest.fixture
def store(folder):
    return pathlib.Path(tempfile.mkdtemp(dir=str(folder))) / "guard.db"


VERBS = [["list"], ["show", "x"], ["reset", "x"], ["reset", "--limit", "x"]]


@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_no_store_is_made(guard, store, verb):
    error = limit(guard.program, *verb, "--store", store, status=1).stderr
    assert error == f"fcgiguard: cannot find the counters {store}.limits: No such file or directory\n"
    assert list(store.parent.iterdir()) == []
    assert "cannot find the counters" in limit(guard.program, *verb, "--store", store.parent / "none" / "guard.db", status=1).stderr
    limit(guard.program, *verb, "--store", "", status=1)
    limit(guard.program, *verb, "--store", "memory:", status=1, cwd=store.parent)
    assert list(store.parent.iterdir()) == []


def test_a_store_without_counters(guard, store):
    harness.run([guard.program, "key", "create", "--owner", "a", "--store", store], check=True)
    before = sorted(store.parent.iterdir())
    assert "cannot find the counters" in limit(guard.program, "list", "--store", store, status=1).stderr
    assert sorted(store.parent.iterdir()) == before


def test_policies_that_cannot_be_used(guard, folder, helper):
    def error(**more):
        rules = {**more, "routes": [{"path": "/", "auth": "none", "exec": {"program": helper}}]}
        return limit(guard.program, "list", "-c", folder.write("odd.json", json.dumps(rules)), status=1).stderr
    assert "names no `store`" in error()
    assert "there is no folder" in error(store="sqlite:nowhere/guard.db")
    assert "routes" in limit(guard.program, "list", "-c", folder.write("empty.json", "{}"), status=1).stderr
    assert "No such file" in limit(guard.program, "list", "-c", folder / "none.yaml", status=1).stderr


def make_counters(folder, helper, name):
    guard = harness.Guard(folder, policy(folder, helper, name), name=name, user=None)
    use(guard, "fixed", "me", 2)
    guard.stop()
    return guard, folder / "store" / f"{name}.db.limits"


def test_files_that_are_no_store(folder, helper):
    guard, file = make_counters(folder, helper, "odd")
    file.chmod(0o640)
    assert "must not be open to others" in at(guard, "list", status=1).stderr
    file.chmod(0o600)
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute("PRAGMA user_version = 7")
    for verb in VERBS:
        assert "made by a newer fcgiguard" in at(guard, *verb, status=1).stderr
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute("PRAGMA application_id = 7")
    assert "the database of another program" in at(guard, "list", status=1).stderr


@needs_root
def test_root_becomes_the_policys_user(guard, who):
    use(guard, "fixed", who)
    files = list((guard.folder / "store").glob("guard.db*"))
    owner = harness.pwd.getpwnam(harness.WEB_USER).pw_uid
    at(guard, "list")
    at(guard, "reset", f"fixed header:X-Test={who}")
    assert {file.stat().st_uid for file in files + list((guard.folder / "store").glob("guard.db*"))} == {owner}
    error = limit(guard.program, "list", "--store", guard.folder / "store" / "guard.db", status=1).stderr
    assert re.search(r"belongs to user \d+; run this as that user", error), error


def test_help(guard):
    text = harness.run([guard.program, "help", "limit"]).stdout
    assert all(word in text for word in ("list", "show KEY", "reset KEY", "--limit NAME", "--json"))
    assert text == harness.run([guard.program, "limit", "--help"]).stdout
