"""The command `key`: every verb, bad input, stores that cannot be used, and
many at once."""

import concurrent.futures
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
import zlib

import pytest

import harness
from conftest import needs_root

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
DIGEST = "sha256:" + "0f" * 32
MANY = max(10, int(25 * harness.SCALE))


@pytest.fixture(scope="module")
def program(folder):
    return harness.installed("fcgiguard", folder)


@pytest.fixture
def store(folder):
    """The name of a store of its own, in a folder of its own."""
    return pathlib.Path(tempfile.mkdtemp(dir=str(folder))) / "guard.db"


def some(values):
    """A short name for each row of a table: some are long, or no text."""
    return {"argvalues": values, "ids": map(str, range(len(values)))}


def key(program, store, *arguments, status=0, **more):
    words = [program, "key", *arguments] + (["--store", store] if store else [])
    result = harness.run(words, env=harness.clean_environment(), **more)
    assert not harness.REPORTS.search(result.stderr), result.stderr
    assert result.returncode == status, (arguments, result.returncode, result.stdout, result.stderr)
    assert status == 0 or result.stdout == "", result.stdout
    return result


def read(program, store, *arguments, **more):
    return json.loads(key(program, store, *arguments, "--json", **more).stdout)


def create(program, store, *arguments):
    return read(program, store, "create", "--owner", "alice", *arguments)


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def soon(**duration):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**duration)


def is_near(text, expected):
    return abs((moment(text) - expected).total_seconds()) < 60


def checksum(text):
    number = zlib.crc32(text.encode())
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(6, -1, -1))


# ---- create

def test_create_prints_the_key_alone(program, store):
    result = key(program, store, "create", "--owner", "alice")
    assert re.fullmatch(r"fcg_[0-9a-z]{16}_[0-9a-z]{59}\n", result.stdout), result.stdout
    secret = result.stdout.strip()
    prefix, name, rest = secret.split("_")
    assert rest[52:] == checksum(secret[:-7])
    assert name in result.stderr and rest not in result.stderr
    shown = read(program, store, "show", name)
    assert shown["digest"] == "sha256:" + hashlib.sha256(rest[:52].encode()).hexdigest()
    assert "api_key" not in shown
    for file in store.parent.iterdir():
        assert rest[:52].encode() not in file.read_bytes(), file
        assert file.stat().st_mode & 0o7777 == 0o600, file


def test_create_with_everything(program, store):
    made = create(program, store, "--note", 'the "shop" \N{SNOWMAN}', "--roles", "admin,staff", "--scopes", "notes:read,notes:write",
                  "--expires", "30d", "--prefix", "shop2")
    assert made["api_key"].startswith("shop2_" + made["id"] + "_")
    assert made["note"] == 'the "shop" \N{SNOWMAN}'
    assert made["roles"] == ["admin", "staff"] and made["scopes"] == ["notes:read", "notes:write"]
    assert made["state"] == "active" and made["owner"] == "alice" and made["prefix"] == "shop2"
    assert is_near(made["created_at"], soon()) and is_near(made["expires_at"], soon(days=30))
    assert made["last_used_at"] is None and made["revoked_at"] is None and made["rotated_from"] is None
    shown = read(program, store, "show", made["id"])
    del made["api_key"]
    assert shown == made
    text = key(program, store, "show", made["id"]).stdout
    for word in (made["id"], "alice", "admin,staff", "notes:read,notes:write", made["expires_at"], made["digest"]):
        assert word in text, text


@pytest.mark.parametrize("when, expected", [
    ("never", None), ("2099-01-31", "2099-01-31T00:00:00Z"), ("2096-02-29T23:59:58Z", "2096-02-29T23:59:58Z"),
])
def test_expiry_by_date(program, store, when, expected):
    assert create(program, store, "--expires", when, "--name", "n")["expires_at"] == expected
    assert read(program, store, "list")[0]["note"] == "n"


@pytest.mark.parametrize("when, duration", [(None, {"days": 90}), ("90d", {"days": 90}), ("12h", {"hours": 12}), ("10m", {"minutes": 10})])
def test_expiry_by_duration(program, store, when, duration):
    assert is_near(create(program, store, *(["--expires", when] if when else []))["expires_at"], soon(**duration))


@pytest.mark.parametrize("arguments, words", **some([
    (["create"], "--owner is missing"), (["create", "--owner", ""], "--owner is missing"),
    (["create", "--owner", "a\nb"], "the owner does not fit"), (["create", "--owner", "x" * 257], "the owner does not fit"),
    (["create", "--owner", "\x1b[2J"], "the owner does not fit"), (["create", "--owner", "\u202eecila"], "the owner does not fit"),
    (["create", "--owner", b"\xff"], "the owner does not fit"),
    (["create", "--owner", "a", "--note", "x" * 257], "the note does not fit"),
    (["create", "--owner", "a", "--roles", "a,,b"], "one of the roles"), (["create", "--owner", "a", "--roles", ""], "one of the roles"),
    (["create", "--owner", "a", "--roles", "a,"], "one of the roles"), (["create", "--owner", "a", "--roles", "a b"], "one of the roles"),
    (["create", "--owner", "a", "--scopes", "\u00f6"], "one of the scopes"),
    (["create", "--owner", "a", "--roles", ",".join(["r"] * 65)], "65 roles are too many"),
    (["create", "--owner", "a", "--prefix", "Shop"], "the prefix does not fit"),
    (["create", "--owner", "a", "--prefix", "shop_a"], "the prefix does not fit"),
    (["create", "--owner", "a", "--prefix", ""], "the prefix does not fit"),
    *[(["create", "--owner", "a", "--expires", when], "does not fit --expires") for when in
      ("", "0d", "-1d", "90", "90 d", "soon", "Never", "2020-01-01", "2027-02-30", "2027-13-01", "2027-1-1", "31.1.2027",
       "2027-01-31T25:00:00Z", "2027-01-31T12:00:00", "2027-01-31T12:00:00+01:00", "99999999999999999999d", "40000d", "5ms")],
    (["create", "--owner", "a", "extra"], "it takes no argument"), (["create", "--owner", "a", "--keep", "1h"], "it takes no --keep"),
    (["create", "--owner"], "lacks its value"), (["create", "--nope"], "not known"), (["create", "--json=x"], "takes no value"),
    ([], "not said what to do"), (["creat"], 'did you mean "create"'), (["--json"], "there is no"),
    (["list", "--roles", "a"], "it takes no --roles"), (["list", "x"], "it takes no argument"),
    (["show"], "the id of a key is missing"), (["show", "x"], "not the id of a key"), (["show", "a" * 16, "b"], "it takes one argument"),
    (["rotate", "a" * 16, "--keep", "1"], "does not fit --keep"), (["rotate", "a" * 16, "--keep", "-1h"], "does not fit --keep"),
    (["rotate", "a" * 16, "--owner", "b"], "it takes no --owner"), (["revoke"], "the id of a key is missing"),
    (["revoke", "A" * 16], "not the id of a key"), (["import", "a", "b"], "it takes one argument"),
]))
def test_bad_command_lines(program, store, arguments, words):
    result = key(program, store if arguments and not arguments[-1] == "--owner" else None, *map(os.fsdecode, arguments), status=2)
    assert words in result.stderr and "usage: fcgiguard key" in result.stderr, result.stderr
    assert not store.exists()


def test_policy_and_store_exclude_each_other(program, store):
    assert "exclude each other" in key(program, store, "list", "--policy", "x.yaml", status=2).stderr


def test_a_whole_key_is_not_repeated(program, store):
    made = create(program, store)
    for verb in ("show", "revoke", "rotate"):
        result = key(program, store, verb, made["api_key"], status=2)
        assert made["api_key"] not in result.stderr and "revoke it" in result.stderr


def test_a_key_that_cannot_be_printed_is_revoked(program, store):
    made = create(program, store)
    for arguments in (["create", "--owner", "bob"], ["create", "--owner", "bob", "--json"], ["rotate", made["id"]]):
        with open("/dev/full", "w") as full:
            result = subprocess.run([program, "key", *arguments, "--store", store], stdout=full, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 1 and "could not be printed, so it is revoked" in result.stderr
    keys = read(program, store, "list")
    assert [item["state"] for item in keys if item["id"] != made["id"]] == ["revoked"] * 3
    end, other = os.pipe()
    os.close(end)
    result = subprocess.run([program, "key", "create", "--owner", "eve", "--store", store], stdout=other, stderr=subprocess.PIPE, text=True)
    os.close(other)
    assert result.returncode == 1 and "revoked" in result.stderr, (result.returncode, result.stderr)
    with open("/dev/full", "w") as full:
        result = subprocess.run([program, "key", "list", "--store", store], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "cannot be written" in result.stderr


# ---- list, show, rotate, revoke

def test_list(program, store):
    names = [read(program, store, "create", "--owner", owner)["id"] for owner in ("alice", "bob", "alice", "b'; --")]
    assert {item["id"] for item in read(program, store, "list")} == set(names)
    assert {item["id"] for item in read(program, store, "list", "--owner", "alice")} == {names[0], names[2]}
    assert [item["id"] for item in read(program, store, "list", "--owner", "b'; --")] == [names[3]]
    assert read(program, store, "list", "--owner", "nobody") == []
    assert key(program, store, "list", "--owner", "nobody").stdout == ""
    lines = key(program, store, "list").stdout.splitlines()
    assert len(lines) == 5 and lines[0].startswith("ID ")
    for name in names:
        assert any(line.startswith(name + " active ") for line in lines[1:]), lines


def test_rotate(program, store):
    old = create(program, store, "--roles", "admin", "--note", "x", "--prefix", "shop", "--expires", "10d")
    new = read(program, store, "rotate", old["id"], "--keep", "2h")
    assert new["api_key"] != old["api_key"] and new["api_key"].startswith("shop_" + new["id"])
    assert new["rotated_from"] == old["id"] and new["roles"] == ["admin"] and new["note"] == "x" and new["owner"] == "alice"
    assert is_near(new["expires_at"], soon(days=10))
    left = read(program, store, "show", old["id"])
    assert left["state"] == "retiring" and is_near(left["retires_at"], soon(hours=2)) and left["expires_at"] == old["expires_at"]
    # a second time, with an end of its own, and never a longer life for the old one
    other = read(program, store, "rotate", old["id"], "--expires", "never")
    assert other["expires_at"] is None
    assert is_near(read(program, store, "show", old["id"])["retires_at"], soon(hours=2))
    # at once
    text = key(program, store, "rotate", new["id"], "--keep", "0s").stdout
    assert re.fullmatch(r"shop_[0-9a-z]{16}_[0-9a-z]{59}\n", text)
    assert read(program, store, "show", new["id"])["state"] == "expired"
    assert "revoked or expired" in key(program, store, "rotate", new["id"], status=1).stderr
    assert is_near(read(program, store, "rotate", other["id"])["created_at"], soon())
    assert is_near(read(program, store, "show", other["id"])["retires_at"], soon(hours=24))


def test_revoke(program, store):
    made = create(program, store)
    assert made["id"] in key(program, store, "revoke", made["id"]).stdout
    gone = read(program, store, "show", made["id"])
    assert gone["state"] == "revoked" and is_near(gone["revoked_at"], soon())
    assert read(program, store, "revoke", made["id"]) == gone  # again: no harm, and no change
    assert "revoked or expired" in key(program, store, "rotate", made["id"], status=1).stderr
    assert len(read(program, store, "list")) == 1


@pytest.mark.parametrize("verb", ["show", "rotate", "revoke"])
def test_no_such_key(program, store, verb):
    create(program, store)
    assert key(program, store, verb, "0" * 16, status=1).stderr == "fcgiguard: there is no key " + "0" * 16 + "\n"


# ---- import

def line(name="0123456789abcdef", **more):
    item = {"id": name, "digest": DIGEST, "owner": "bob", **more}
    return json.dumps({field: value for field, value in item.items() if value is not ...})


def test_import(program, store, folder):
    text = "\n".join([line(), "", line("1" * 16, note="n", roles=["a"], scopes=["b", "c"], prefix="shop", created_at="2026-01-01",
                      expires_at="2099-01-01T00:00:01Z", revoked_at="2026-02-01", retires_at=None, rotated_from="0" * 16, state="x") + "\r"])
    assert key(program, store, "import", input=text).stdout == "2 imported\n"
    first, second = read(program, store, "show", "0123456789abcdef"), read(program, store, "show", "1" * 16)
    assert first["digest"] == DIGEST and first["expires_at"] is None and first["prefix"] == "fcg" and first["state"] == "active"
    assert is_near(first["created_at"], soon())
    assert second["state"] == "revoked" and second["scopes"] == ["b", "c"] and second["created_at"] == "2026-01-01T00:00:00Z"
    assert second["rotated_from"] == "0" * 16 and second["expires_at"] == "2099-01-01T00:00:01Z"
    file = folder.write("two.jsonl", line("2" * 16) + "\n" + line("3" * 16) + "\n")
    assert read(program, store, "import", file) == {"imported": 2}
    assert read(program, store, "import", input="") == {"imported": 0}


def test_what_is_listed_can_be_imported(program, store):
    for number in range(5):
        create(program, store, "--roles", "a,b", "--note", f"number {number}")
    keys = read(program, store, "list")
    read(program, store, "rotate", keys[0]["id"])
    read(program, store, "revoke", keys[1]["id"])
    keys = read(program, store, "list")
    copy = store.with_name("copy.db")
    assert read(program, copy, "import", input="\n".join(map(json.dumps, keys))) == {"imported": 6}
    assert read(program, copy, "list") == keys


@pytest.mark.parametrize("bad, words", **some([
    ("{", "this is no JSON object"), ("[]", "expected a JSON object"), ('"x"', "no JSON object"), (line() + line("4" * 16), "no JSON object"),
    ('{"id":"a","id":"b"}', "no JSON object"), ("\x00", "no JSON object"), (b"{\"id\":\"\xff\"}", "no JSON object"),
    (line(""), "id: expected 16 characters"), (line("i" * 16), "id: expected 16"), (line(7), "id: expected a string"), (line(...), "id: it is missing"),
    (line(digest="sha256:"), "digest: expected"), (line(digest="SHA256:" + "0f" * 32), "digest: expected"), (line(digest=None), "digest: expected"),
    (line(digest=...), "digest: it is missing"), (line(owner=...), "owner: it is missing"), (line(owner=""), "the owner does not fit"),
    (line(owner="a\nb"), "the owner does not fit"), (line(note=None), "note: expected a string"), (line(roles="admin"), "roles: expected a list"),
    (line(roles=["a b"]), "one of the roles"), (line(scopes=[1]), "scopes: expected a string"), (line(roles=["r"] * 65), "65 roles are too many"),
    (line(prefix="A"), "prefix: expected"), (line(expires_at=5), "expires_at: expected a time"), (line(expires_at="90d"), "expires_at: expected a time"),
    (line(expires_at="1969-12-31"), "expires_at: expected a time"), (line(rotated_from="x"), "rotated_from: expected 16"),
    (line(secret="do-not-show"), "secret: secrets are not imported"), (line(api_key="do-not-show"), "api_key: secrets are not imported"),
    (line(state="revoked"), "revoked_at: it is missing"), (line(exprires_at="2099-01-01"), "a field that is not known"), (line(**{"do-not-show": 1}), "a field that is not known"),
    (line("5" * 16), "there is a key with this id already"), (line(note="x" * 300000), "longer than"),
]))
def test_import_of_bad_lines(program, store, bad, words):
    key(program, store, "import", input=line("5" * 16))
    text = (line("6" * 16) + "\n\n").encode() + (bad if isinstance(bad, bytes) else bad.encode()) + ("\n" + line("7" * 16)).encode()
    result = subprocess.run([program, "key", "import", "--store", store], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    error = result.stderr.decode(errors="replace")
    assert result.returncode == 1 and result.stdout == b""
    assert re.search(r"^fcgiguard: standard input:3: .*" + re.escape(words), error, re.M), error
    assert "nothing was imported" in error and "do-not-show" not in error
    assert [item["id"] for item in read(program, store, "list")] == ["5" * 16]


def test_import_of_a_key_twice_in_one_file(program, store):
    error = key(program, store, "import", input=line() + "\n" + line("1" * 16) + "\n" + line(), status=1).stderr
    assert "standard input:3: there is a key with this id already" in error
    assert read(program, store, "list") == []


def test_import_tells_many_errors_and_counts_the_rest(program, store):
    error = key(program, store, "import", input="x\n" * 50, status=1).stderr
    assert len(re.findall(r"standard input:\d+:", error)) == 20 and "30 more" in error


def test_import_of_no_file(program, store, folder):
    assert "No such file" in key(program, store, "import", folder / "none.jsonl", status=1).stderr
    assert "cannot be read" in key(program, store, "import", folder, status=1).stderr
    assert key(program, store, "list", status=0 if store.exists() else 1)


# ---- stores by policy

def write_policy(folder, name, store, helper, **more):
    return folder.write(name, json.dumps({**({"store": store} if store else {}), **more, "routes": [{"path": "/", "auth": "none", "exec": helper}]}))


def test_store_of_a_policy(program, folder, helper):
    folder.writable("by-policy")
    words = {"user": harness.WEB_USER} if harness.IS_ROOT else {}
    policy = write_policy(folder, "store.json", "sqlite:by-policy/guard.db", helper, **words)
    made = read(program, None, "create", "--owner", "alice", "--policy", policy)
    assert [item["id"] for item in read(program, None, "list", "-c", policy)] == [made["id"]]
    file = folder / "by-policy" / "guard.db"
    assert file.stat().st_uid == (harness.pwd.getpwnam(harness.WEB_USER).pw_uid if harness.IS_ROOT else os.geteuid())
    if harness.IS_ROOT:  # whoever it belongs to, others are told
        error = key(program, file, "list", status=1).stderr
        assert re.search(r"belongs to user \d+; run this as that user", error), error


@needs_root
def test_a_folder_that_the_policys_user_cannot_write_to(program, folder, helper):
    (folder / "of-root").mkdir(mode=0o755)
    policy = write_policy(folder, "of-root.json", "sqlite:of-root/guard.db", helper, user=harness.WEB_USER)
    error = key(program, None, "create", "--owner", "a", "--policy", policy, status=1).stderr
    assert re.search(r"user \d+ cannot make the store .*/of-root/guard.db: Permission denied", error), error


@pytest.mark.parametrize("store, words", [
    (None, "names no `store`"), ("redis://:x@localhost", "expected it in `store.password`"), ("mysql:x", "expected sqlite:PATH"),
    ("sqlite:nowhere/guard.db", "there is no folder"),
])
def test_policies_without_a_store_to_use(program, folder, helper, store, words):
    error = key(program, None, "list", "--policy", write_policy(folder, "odd.json", store, helper), status=1).stderr
    assert words in error, error


def test_no_policy(program, folder):
    assert "No such file" in key(program, None, "list", "--policy", folder / "none.yaml", status=1).stderr


# ---- stores that cannot be used

@pytest.mark.parametrize("verb", [["list"], ["show", "0" * 16], ["rotate", "0" * 16], ["revoke", "0" * 16]])
def test_a_store_that_is_not_there_is_not_made(program, store, verb):
    assert "cannot find the store" in key(program, store, *verb, status=1).stderr
    assert not store.exists()


def test_a_folder_that_is_not_there(program, store):
    assert "cannot find the folder" in key(program, store.parent / "none" / "guard.db", "create", "--owner", "a", status=1).stderr


def test_a_store_open_to_others(program, store):
    create(program, store)
    store.chmod(0o640)
    assert "has mode 0640 and must not be open to others" in key(program, store, "list", status=1).stderr


def damage(store, how):
    size = store.stat().st_size
    with open(store, "r+b") as file:
        if how == "noise":
            for page in range(1, size // 4096):
                file.seek(4096 * page)
                file.write(b"\xa5" * 2048)
        elif how == "header":
            file.write(b"x" * 100)
        elif how == "cut":
            file.truncate(size // 2)


@pytest.mark.parametrize("how, words", [("noise", "is damaged"), ("header", "is no store, or a damaged one"), ("cut", "is damaged")])
def test_a_damaged_store(program, store, how, words):
    key(program, store, "import", input="\n".join(line("%016d" % number) for number in range(200)))
    damage(store, how)
    for verb in (["list"], ["create", "--owner", "a"], ["revoke", "%016d" % 7]):
        assert words in key(program, store, *verb, status=1).stderr


def test_other_databases(program, store):
    with contextlib.closing(sqlite3.connect(store)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    store.chmod(0o600)
    assert "the database of another program" in key(program, store, "create", "--owner", "a", status=1).stderr
    newer = store.with_name("newer.db")
    create(program, newer)
    with contextlib.closing(sqlite3.connect(newer)) as other:
        other.execute("PRAGMA user_version = 7")
    assert "made by a newer fcgiguard (version 7" in key(program, newer, "list", status=1).stderr


@contextlib.contextmanager
def mounted(folder, options):
    """A small file system of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("cannot mount here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_root
def test_a_full_disk(program, store):
    with mounted(store.parent / "small", "size=1m,mode=0700") as small:
        made = create(program, small / "guard.db")
        filler = small / "filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        for verb in (["revoke", made["id"]], ["create", "--owner", "a"], ["rotate", made["id"]]):
            error = key(program, small / "guard.db", *verb, status=1).stderr
            assert "there is no room left for the store" in error, error
        assert "there is no room left" in key(program, small / "new.db", "create", "--owner", "a", status=1).stderr
        assert sorted(file.name for file in small.iterdir() if file.name.startswith("new")) == []
        filler.unlink()
        assert [item["state"] for item in read(program, small / "guard.db", "list")] == ["active"]
        assert read(program, small / "guard.db", "revoke", made["id"])["state"] == "revoked"


@needs_root
def test_a_read_only_file_system(program, store):
    with mounted(store.parent / "fixed", "size=1m,mode=0700") as fixed:
        made = create(program, fixed / "guard.db")
        subprocess.run(["mount", "-o", "remount,ro", str(fixed)], check=True)
        for verb in (["revoke", made["id"]], ["create", "--owner", "a"], ["list"]):
            assert "read-only" in key(program, fixed / "guard.db", *verb, status=1).stderr


@pytest.mark.parametrize("file_mode, folder_mode", [(0o400, 0o700), (0o600, 0o500)])
def test_a_read_only_store(program, store, file_mode, folder_mode):
    create(program, store)
    more = {}
    if harness.IS_ROOT:  # to whom modes mean nothing
        more = {"user": harness.WEB_USER, "group": harness.WEB_USER, "extra_groups": []}
        harness.shutil.chown(store, harness.WEB_USER)
        harness.shutil.chown(store.parent, harness.WEB_USER)
    store.chmod(file_mode)
    store.parent.chmod(folder_mode)
    error = key(program, store, "create", "--owner", "a", status=1, **more).stderr
    assert "read-only" in error or "its folder must be writable" in error, error
    store.chmod(0o600)
    store.parent.chmod(0o700)
    assert key(program, store, "create", "--owner", "a", **more).stdout


def test_a_store_that_is_locked_for_too_long(program, store):
    made = create(program, store)
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert read(program, store, "show", made["id"])["state"] == "active"  # looking needs no lock
        assert "locked by another process" in key(program, store, "revoke", made["id"], status=1).stderr
    assert read(program, store, "revoke", made["id"])["state"] == "revoked"


# ---- many at once

def at_once(work, items):
    with concurrent.futures.ThreadPoolExecutor(max_workers=MANY) as pool:
        return list(pool.map(work, items))


def test_many_make_the_first_keys_at_once(program, store):
    made = at_once(lambda number: create(program, store, "--note", str(number)), range(MANY))
    assert {item["id"]: item["note"] for item in made} == {item["id"]: item["note"] for item in read(program, store, "list")}
    assert len({item["api_key"] for item in made}) == MANY


def test_rotations_and_revocations_at_once(program, store):
    """Each is seen by whoever looks next, and none is lost."""
    names = [item["id"] for item in at_once(lambda number: create(program, store), range(MANY))]

    def work(name):
        new = read(program, store, "rotate", name, "--keep", "1h")
        assert read(program, store, "show", name)["state"] == "retiring"
        assert read(program, store, "show", new["id"])["rotated_from"] == name
        read(program, store, "revoke", name)
        assert read(program, store, "show", name)["state"] == "revoked"
        return new["id"]

    new = at_once(work, names)
    states = {item["id"]: item["state"] for item in read(program, store, "list")}
    assert states == {**{name: "revoked" for name in names}, **{name: "active" for name in new}}


def test_rotations_of_one_key_at_once(program, store):
    made = create(program, store)
    new = at_once(lambda number: read(program, store, "rotate", made["id"], "--keep", f"{number + 1}h"), range(MANY))
    keys = {item["id"]: item for item in read(program, store, "list")}
    assert len(keys) == MANY + 1 and all(keys[item["id"]]["rotated_from"] == made["id"] for item in new)
    assert is_near(keys[made["id"]]["retires_at"], soon(hours=1))  # the shortest counts, in whatever order they came
