"""Content that is made to cost: each kind is refused, in bounded memory and processor time,
while other requests are answered. The figures are those of the manual, CONTENT OF REQUESTS."""

import concurrent.futures
import gzip
import json
import os
import pathlib
import subprocess
import sys
import threading
import zlib

import pytest

import harness
import servers
from records import PARAMS, STDIN, Connection, ask, begin, environment, pairs, record, stream

MB = 1 << 20
MAX, VALUES, THREADS = 12 * MB, 10000, 4 # the latter two are those of the policy, or its defaults
# What the manual states: a request's memory, and its processor time.
MEMORY = 2 * MAX + 250 * VALUES + MB
SECONDS = 1.0 * (20 if harness.SANITIZED else 1)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
PATTERNS = ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a+)+\\1b$", "(?=(a+)+b)a", "^(?:a?){40}a{40}$"]
SCHEMA = {"type": "object", "additionalProperties": False, "properties": {
    **{f"p{i}": {"type": "string", "pattern": pattern} for i, pattern in enumerate(PATTERNS)},
    "list": {"type": "array", "uniqueItems": True}, "tree": {"$ref": "#/$defs/tree"}, "names": {"type": "object", "propertyNames": {"pattern": PATTERNS[0]}},
    "slow": {"type": "array", "items": {"anyOf": [{"pattern": PATTERNS[0]}, {"type": "string"}]}}, "slow names": {"patternProperties": {PATTERNS[0]: True}}},
    "$defs": {"tree": {"anyOf": [{"items": {"$ref": "#/$defs/tree"}, "maxItems": 1}, {"items": {"$ref": "#/$defs/tree"}, "minItems": 2}]}}}


def part(name, value=b"x", more=b""):
    return b'--x\r\nContent-Disposition: form-data; name="' + name + b'"\r\n' + more + b"\r\n" + value + b"\r\n"


def nested(levels):
    data = b'{"p0":""}'
    for _ in range(levels):
        data = gzip.compress(data)
    return data


def deflated(size):
    """A stream whose every byte becomes a thousand, without having them all at once."""
    squeeze = zlib.compressobj(9)
    return b"".join(squeeze.compress(b" " * MB) for _ in range(size // MB)) + squeeze.flush()


def cases():
    """name: (where, type, body, status, more headers)"""
    text = json.dumps
    found = {
        "arrays": ("json", JSON, b"[" * (8 * MB), 400),
        "objects": ("json", JSON, b'{"a":' * (8 * MB // 5), 400),
        "empty arrays": ("json", JSON, b"[" + b"[]," * (8 * MB // 3) + b"[]]", 400),
        "numbers": ("json", JSON, b"[" + b"1," * (4 * MB) + b"1]", 400),
        "keys": ("json", JSON, text({f"k{i}": i for i in range(100000)}).encode(), 400),
        "same key": ("json", JSON, b"{" + b'"a":1,' * 9000 + b'"a":1}', 400),
        "string": ("json", JSON, b'"' + b"x" * (10 * MB) + b'"', 400),
        "escapes": ("json", JSON, b'"' + b"\\u0041" * (10 * MB // 6) + b'"', 400),
        "name": ("json", JSON, b'{"' + b"x" * (10 * MB) + b'":1}', 400),
        "digits": ("json", JSON, b"1" * (10 * MB), 400),
        "exponent": ("json", JSON, b"1e" + b"9" * 1000, 400),
        "fraction": ("json", JSON, b"0." + b"1" * (10 * MB), 400),
        "blanks": ("json", JSON, b" " * (10 * MB), 400),
        "not UTF-8": ("json", JSON, b'"' + b"\xff" * (10 * MB), 400),
        "too much": ("json", JSON, b" " * (MAX + 1), 413),
        "tree": ("json", JSON, b'{"tree":' + b"[" * 30 + b'"x",1' + b"]" * 30 + b"}", 200),
        "unique": ("json", JSON, text({"list": [{"a": i} for i in range(4900)] + [{"a": 0}]}).encode(), 400),
        "gzip ratio": ("zip", JSON, gzip.compress(b" " * (100 * MB)), 413, {"Content-Encoding": "gzip"}),
        "gzip size": ("zip", JSON, gzip.compress(os.urandom(2 * MB)), 413, {"Content-Encoding": "gzip"}),
        "gzip in gzip": ("zip", JSON, nested(5), 400, {"Content-Encoding": "gzip"}),
        "codings": ("zip", JSON, nested(2), 415, {"Content-Encoding": "gzip, gzip"}),
        "members": ("zip", JSON, gzip.compress(b" ") * 100000, 400, {"Content-Encoding": "gzip"}),
        "empty members": ("zip", JSON, gzip.compress(b"") * 100000, 400, {"Content-Encoding": "gzip"}),
        "deflate ratio": ("zip", JSON, deflated(100 * MB), 413, {"Content-Encoding": "deflate"}),
        "half of gzip": ("zip", JSON, gzip.compress(os.urandom(MB // 2))[:MB // 4], 400, {"Content-Encoding": "gzip"}),
        "inflates to arrays": ("zip", JSON, gzip.compress(b"[" * (MB // 20)), 400, {"Content-Encoding": "gzip"}),
        "parts": ("form", MULTIPART, part(b"a") * 100000 + b"--x--\r\n", 400),
        "own parts": ("form", MULTIPART, b"".join(part(b"a%d" % i) for i in range(100000)) + b"--x--\r\n", 400),
        "part headers": ("form", MULTIPART, part(b"a", more=b"X-A: b\r\n" * 100000), 400),
        "part header": ("form", MULTIPART, part(b"a", more=b"X-A: " + b"b" * (8 * MB) + b"\r\n"), 400),
        "no part": ("form", MULTIPART, b"-" * (10 * MB), 400),
        "almost boundaries": ("form", MULTIPART, part(b"a", b"\r\n--" * (2 * MB)), 400),
        "half of parts": ("form", MULTIPART, part(b"a") * 100, 400),
        "preamble": ("form", MULTIPART, b"\r\n-" * (3 * MB) + b"\r\n" + part(b"a") + b"--x--\r\n", 400),
        "pairs": ("form", FORM, b"&".join(b"a%d=1" % i for i in range(100000)), 400),
        "one name": ("form", FORM, b"&".join([b"list=1"] * 100000), 400),
        "ampersands": ("form", FORM, b"&" * (10 * MB), 200), # an empty form
        "equals": ("form", FORM, b"=" * (10 * MB), 400),
        "percent": ("form", FORM, b"a=" + b"%41" * (3 * MB), 400),
        "brackets": ("form", FORM, b"a" + b"[b]" * 100000 + b"=1", 400),
        "names in brackets": ("form", FORM, b"&".join(b"a" + b"[b]" * 80 + b"[%d]=1" % i for i in range(9000)), 400),
    }
    for i in range(len(PATTERNS)):
        found[f"pattern {i}"] = ("json", JSON, text({f"p{i}": "a" * 50000 + "!"}).encode(), 400)
    # Each of these is matched just below the limit of one match.
    found["many slow matches"] = ("json", JSON, text({"slow": ["a" * 15 + "!"] * 9000}).encode(), 400)
    found["many slow names"] = ("json", JSON, text({"slow names": {"a" * 15 + f"{i}!": 1 for i in range(9000)}}).encode(), 400)
    found["pattern of names"] = ("json", JSON, text({"names": {"a" * 200 + f"{i}!": 1 for i in range(2000)}}).encode(), 400)
    return found


CASES = cases()


def policy(folder, helper):
    schema = folder.write("schema.json", json.dumps(SCHEMA))

    def route(name, body):
        return {"path": f"/app/{name}/**", "methods": ["GET", "POST"], "exec": helper, "body": {"max": f"{MAX}b", **body}}
    return {"threads": THREADS, "defaults": {"auth": "none"}, "routes": [
        route("json", {"schema": str(schema)}),
        route("zip", {"schema": str(schema), "codings": ["gzip", "deflate"]}),
        route("form", {"schema": str(schema), "types": ["form", "multipart"]}),
        route("open", {"fields": {"a": "string"}, "unknown": "allow"}),
        {"path": "/app/h/**", "exec": helper}]}


@pytest.fixture(scope="module")
def guard(start_guard, folder, helper):
    return start_guard(policy(folder, helper), name="hostile")


@pytest.fixture(scope="module")
def front(folder, helper):
    started = servers.start("nginx", folder, policy(folder, helper), name="hostile-nginx")
    yield started
    started.stop()
    started.guard.stop()


def seconds_used(pid):
    """By the process itself: user and system (proc(5))."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(address, name):
    where, kind, body, _, *more = CASES[name]
    given = {"Content-Type": kind, **(more[0] if more else {})}
    return ask(address, "POST", f"/app/{where}/hello", body, headers=given, timeout=120)


def cost(guard, call):
    before = seconds_used(guard.worker())
    result = call()
    return seconds_used(guard.worker()) - before, result


# ---- each by itself

@pytest.mark.parametrize("name", CASES)
def test_is_refused_at_bounded_cost(guard, name):
    worker = guard.worker()
    used, reply = cost(guard, lambda: send(guard.address, name))
    assert (reply.status, reply.complete) == (CASES[name][3], True), reply.raw[:300]
    assert used <= SECONDS, f"{used} s of processor time"
    assert guard.worker() == worker


def test_names_that_collide(guard, helper):
    """They do in jansson's tables where the seed is 1, and cost no more than others where it is
    random, as here."""
    output = subprocess.run([helper], env={"PATH_INFO": "/collide", "QUERY_STRING": "8000"}, stdout=subprocess.PIPE, check=True).stdout
    chosen = output.partition(b"\r\n\r\n")[2]
    others = json.dumps({f"{i:08}": 1 for i in range(8000)}).encode()
    program = """
import ctypes, sys, time
jansson = ctypes.CDLL("libjansson.so.4")
jansson.json_object_seed.argtypes = [ctypes.c_size_t]
jansson.json_loadb.argtypes, jansson.json_loadb.restype = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p], ctypes.c_void_p
text = sys.stdin.buffer.read()
jansson.json_object_seed(int(sys.argv[1]))
assert jansson.json_loadb(text, len(text), 1, None)
print(time.process_time())
"""

    def parse(seed):
        return float(subprocess.run([sys.executable, "-c", program, str(seed)], input=chosen, stdout=subprocess.PIPE, check=True).stdout)
    assert min(parse(1) for _ in range(3)) > min(parse(2) for _ in range(3)) + 0.05, "they do not collide, so this shows nothing"

    def ten(body):
        for _ in range(10):
            assert ask(guard.address, "POST", "/app/open/hello", body, headers={"Content-Type": JSON}).status == 200
    ten(others)
    plain, _ = cost(guard, lambda: ten(others))
    used, _ = cost(guard, lambda: ten(chosen))
    assert used < 3 * plain + 0.3 * (5 if harness.SANITIZED else 1), f"{used} s, and {plain} s for others"


# ---- cut in half

def test_bodies_that_never_end(guard):
    """The client goes, or states more than it sends and goes."""
    with guard.leaves_nothing():
        for where, kind, body in (("json", JSON, b"[" * 100000), ("form", MULTIPART, part(b"a") * 10), ("zip", JSON, gzip.compress(os.urandom(MB))[:MB // 2])):
            params = environment("POST", f"/app/{where}/hello", headers={"Content-Type": kind}, replace={"CONTENT_LENGTH": str(2 * len(body))})
            with Connection(guard.address) as connection: # silence, then it goes
                connection.send(begin() + stream(PARAMS, pairs(params)) + stream(STDIN, body, end=False))
            with Connection(guard.address) as connection: # says that this is all
                connection.send(begin() + stream(PARAMS, pairs(params)) + stream(STDIN, body))
                reply = connection.reply()
                assert (reply.status, json.loads(reply.body)["error"]) == (400, "body_invalid")
            with Connection(guard.address) as connection: # in the middle of a record
                connection.send(begin() + stream(PARAMS, pairs(params)) + record(STDIN, body[:1000], length=2000))
        for name in ("half of gzip", "half of parts"):
            assert send(guard.address, name).status == 400


# ---- all at once

def ask_meanwhile(address, stopped, answered):
    while not stopped.is_set():
        reply = ask(address, uri="/app/h/hello", timeout=120)
        assert (reply.status, reply.body) == (200, b"hello\n")
        answered.append(reply)


def all_at_once(call, names, clients):
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return dict(zip(names, pool.map(call, names)))


def test_all_at_once(start_guard, folder, helper):
    """On a worker of its own, whose memory has never been used for anything else."""
    guard = start_guard(policy(folder, helper), name="hostile-at-once")
    assert ask(guard.address, uri="/app/h/hello").status == 200
    worker, base = guard.worker(), harness.memory(guard.worker(), "VmHWM")
    stopped, answered = threading.Event(), []
    names = [name for name in CASES for _ in range(2)]
    with guard.leaves_nothing(30), concurrent.futures.ThreadPoolExecutor(2) as others:
        running = [others.submit(ask_meanwhile, guard.address, stopped, answered) for _ in range(2)]
        used, replies = cost(guard, lambda: all_at_once(lambda name: send(guard.address, name), names, 8))
        at_their_end = len(answered)
        stopped.set()
        for future in running:
            future.result()
    wrong = {name: reply.raw[:100] for name, reply in replies.items() if reply.status != CASES[name][3]}
    assert not wrong and guard.worker() == worker
    assert at_their_end > 10, "others are answered meanwhile"
    peak = harness.memory(worker, "VmHWM") - base
    harness.NOTES.append(f"hostile content: {used / len(names) * 1000:.0f} ms of processor time a request, {peak // 1024} MB with {THREADS} at once")
    assert used <= SECONDS * len(names)
    if not harness.SANITIZED:
        assert peak * 1024 <= THREADS * MEMORY, f"{peak} KB"


def test_all_at_once_through_a_web_server(front):
    """nginx reads each body whole before it hands it on."""
    names = list(CASES)

    def fetch(name):
        where, kind, body, _, *more = CASES[name]
        given = {"Content-Type": kind, **(more[0] if more else {})}
        return front.fetch(f"/app/{where}/hello", "POST", given, body, timeout=120)
    worker = front.guard.worker()
    with harness.Load(lambda: front.fetch("/app/h/hello"), 2) as load:
        replies = all_at_once(fetch, names, 6)
    wrong = {name: reply.status for name, reply in replies.items() if reply.status != CASES[name][3]}
    assert not wrong and not load.failed and load.done > 10 and front.guard.worker() == worker


def test_a_client_of_a_web_server_that_goes(front):
    """Half of a body, through nginx, which then does not hand it on, or gives up itself."""
    with front.guard.leaves_nothing():
        for body in (b"[" * 100000, b"[" * (2 * MB)):
            head = servers.request("POST", "/app/json/hello", {"Content-Type": JSON, "Content-Length": str(2 * len(body))}, body)
            with servers.socket.create_connection(("127.0.0.1", front.port), 20) as connection:
                connection.sendall(head)
    assert front.fetch("/app/h/hello").status == 200
