"""Key sets that are fetched: a provider by HTTPS that rotates its keys, dies,
hangs, answers too much, too little or something else, and is asked no more often
than the cool-down allows. Tokens are signed by PyJWT."""

import concurrent.futures
import http.server
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import harness
from harness import wait_until
from records import ask

COOLDOWN = 1
BIG = 50 * 1024 * 1024


# ---- keys and tokens

class Key:
    def __init__(self, kid):
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public(self):
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key())) \
            if hasattr(jwt.algorithms.ECAlgorithm, "to_jwk") else self.plain()
        return {**jwk, "kid": self.kid, "use": "sig", "alg": "ES256"}

    def plain(self):
        numbers = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", **{
            name: jwt.utils.base64url_encode(value.to_bytes(32, "big")).decode()
            for name, value in (("x", numbers.x), ("y", numbers.y))}}

    def token(self, kid=None, **claims):
        claims = {"sub": "alice", "exp": int(time.time()) + 86400, **claims}
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return jwt.encode(claims, pem, "ES256", headers={"kid": kid or self.kid})


ONE, TWO, STRANGER = Key("one"), Key("two"), Key("one")


def key_set(*keys):
    return json.dumps({"keys": [key.public() for key in keys]}).encode()


# ---- the provider

def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=str(folder), check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(folder):
    """ca.pem, and localhost.pem and localhost.key that it has signed."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Test", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Other", "-keyout", "other.key", "-out", "other.pem")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "localhost.key", "-out", "localhost.csr")
    folder.write("names", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl(folder, "x509", "-req", "-in", "localhost.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1",
            "-days", "2", "-extfile", "names", "-out", "localhost.pem")
    (folder / "ca.pem").chmod(0o644)
    return folder


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        self.provider.connections += 1
        request.settimeout(30)
        with self.provider.context.wrap_socket(request, server_side=True) as secure:
            self.RequestHandlerClass(secure, client_address, self)

    def handle_error(self, request, client_address):
        pass


class Provider:
    """`answer` is what it does with a request: a function of the handler."""

    def __init__(self, folder, answer=None, port=0):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(folder / "localhost.pem"), str(folder / "localhost.key"))
        self.answer = answer or publish(ONE)
        self.connections = 0
        self.begun, self.asked = time.monotonic(), []  # when
        self.heads = []
        self.released = threading.Event()  # ends what hangs
        self.port = port or harness.free_port()
        self.server = None
        if not port:
            self.start()

    def start(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                provider.asked.append(time.monotonic())
                provider.heads.append(dict(self.headers))
                self.close_connection = True
                provider.answer(self)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.provider = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def die(self):
        if self.server:
            self.released.set()
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def url(self, host="localhost"):
        return f"https://{host}:{self.port}/keys.json"

    def check_pace(self):
        """How often it was asked by any time. A question may arrive late, but none before it was put."""
        for count, at in enumerate(self.asked):
            assert at - self.begun > count * COOLDOWN - 0.15, (self.begun, self.asked)


def send(handler, status, body, *headers):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def publish(*keys, headers=()):
    return lambda handler: send(handler, 200, key_set(*keys), ("Content-Type", "application/jwk-set+json"), *headers)


def plainly(status, body, *headers):
    return lambda handler: send(handler, status, body, *headers)


def hang(handler):
    handler.server.provider.released.wait(30)


def pour(handler):
    """50 MB that are announced by nothing."""
    handler.send_response(200)
    handler.end_headers()
    sent = 0
    while sent < BIG:
        sent += handler.wfile.write(b" " * 65536)


def pour_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(BIG // 1024):
        handler.wfile.write(b"X-%d: %s\r\n" % (number, b"x" * 1000))


@pytest.fixture
def make_provider(authority):
    made = []

    def make(*arguments, **words):
        made.append(Provider(authority, *arguments, **words))
        return made[-1]
    yield make
    for provider in made:
        provider.die()


# ---- the guard

def policy(provider, helper, url=None, more=None, **words):
    rules = {"url": url or provider.url(), "refresh": "1h", "stale": "1h", "cooldown": f"{COOLDOWN}s", "private": True,
             "ca": "ca.pem", **words}
    rules = {name: value for name, value in rules.items() if value is not None}
    return {"auth": {"user": {"jwt": {"algorithms": ["ES256"], "jwks_url": rules}}}, "threads": 8,
            "defaults": {"exec": helper},
            "routes": [{"path": "/app/h/**", "auth": "user"}, {"path": "/app/other/**", "auth": "user"},
                       {"path": "/open/**", "auth": "none"}], **(more or {})}


def call(guard, token, uri="/app/h/hello"):
    return ask(guard.address, uri=uri, headers={"Authorization": "Bearer " + token})


def outcome(guard, token, **words):
    reply = call(guard, token, **words)
    return reply.status if reply.status == 200 else (reply.status, json.loads(reply.body)["error"])


KEYLESS = (503, "keys_unavailable")
WRONG = (401, "invalid_token")


def wait_fetched(guard, count=1, seconds=10):
    wait_until(lambda: len(guard.entries(event="jwks_fetched")) >= count, seconds, f"{count} fetches: {guard.text()}")


def after_cooldown():
    time.sleep(COOLDOWN + 0.1)


# ---- what is admitted

def test_serves(start_guard, make_provider, helper):
    provider = make_provider()
    # a proxy of the environment is not for us: nothing listens there
    environment = {"HTTPS_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    guard = start_guard(policy(provider, helper), environment=environment)
    wait_fetched(guard)
    assert outcome(guard, ONE.token()) == 200
    assert outcome(guard, ONE.token(), uri="/app/other/hello") != KEYLESS
    assert outcome(guard, STRANGER.token()) == WRONG  # the name of a key is not the key
    assert outcome(guard, ONE.token(exp=int(time.time()) - 5)) == (401, "token_expired")
    assert len(provider.asked) == 1, "one fetch for all routes, and none for tokens that are merely wrong"
    assert guard.entries(event="jwks_fetched")[0]["level"] == "notice"
    assert "1 keys" in guard.entries(event="jwks_fetched")[0]["message"]
    head = {name.lower(): value for name, value in provider.heads[0].items()}
    assert set(head) == {"host", "user-agent", "accept"}
    guard.stop()


def test_rotation(start_guard, make_provider, helper):
    """The first token by a new key is admitted; one whose key has gone no more."""
    provider = make_provider()
    guard = start_guard(policy(provider, helper))
    wait_fetched(guard)
    kept = ONE.token()
    assert outcome(guard, kept) == 200
    for number in range(5):
        key = Key(f"new-{number}")
        after_cooldown()
        provider.answer = publish(ONE, key)
        reply = call(guard, key.token())
        if guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))["duration"] < 1900:
            break  # else the set came, on a busy machine, later than anybody waits for it
    assert reply.status == 200
    asked = len(provider.asked)
    assert [outcome(guard, one.token()) for one in (ONE, key)] == [200] * 2
    assert len(provider.asked) == asked
    after_cooldown()
    provider.answer = publish(key)
    fetched = len(guard.entries(event="jwks_fetched"))
    assert outcome(guard, ONE.token("unknown")) == WRONG  # brings the new set
    wait_fetched(guard, fetched + 1)
    assert outcome(guard, kept) == WRONG  # although it was remembered as good
    assert outcome(guard, key.token()) == 200
    provider.check_pace()


def test_refreshes_in_the_background(start_guard, make_provider, helper):
    """Nobody asks, and the set is fetched anew before it expires."""
    provider = make_provider()
    guard = start_guard(policy(provider, helper, refresh="10s", stale="0s"))
    wait_fetched(guard)
    begun = time.monotonic()
    while len(guard.entries(event="jwks_fetched")) < 3:
        assert time.monotonic() < begun + 100, "it is not fetched anew"
        assert outcome(guard, ONE.token()) == 200
        time.sleep(0.05)
    assert len(provider.asked) <= 2 + (time.monotonic() - begun) / 8, provider.asked
    assert not guard.entries(event="jwks_too_old")


def test_max_age_shortens(start_guard, make_provider, helper):
    provider = make_provider(publish(ONE, headers=[("Cache-Control", "public, max-age=2")]))
    guard = start_guard(policy(provider, helper))
    wait_fetched(guard, 2, 6)
    provider.check_pace()


def test_max_age_does_not_lengthen(start_guard, make_provider, helper):
    provider = make_provider(publish(ONE, headers=[("Cache-Control", "max-age=86400")]))
    guard = start_guard(policy(provider, helper, refresh="2s"))
    wait_fetched(guard, 2, 6)


def test_reload_leaves_no_gap(start_guard, make_provider, helper):
    """A new worker has no keys yet; its first requests wait for them."""
    provider = make_provider()
    guard = start_guard(policy(provider, helper))
    wait_fetched(guard)
    for _ in range(3):
        old = guard.worker()
        os.kill(guard.pid, signal.SIGHUP)
        wait_until(lambda: guard.worker() != old or outcome(guard, ONE.token()) == 200, 10, "a reload", 0)
        for _ in range(20):
            assert outcome(guard, ONE.token()) == 200


# ---- what is not there

def test_provider_down_at_start(start_guard, make_provider, helper):
    """Everything else is served at once, and tokens as soon as there are keys."""
    provider = make_provider()
    provider.die()
    guard = start_guard(policy(provider, helper))
    assert ask(guard.address, uri="/open/hello").status != 503
    guard.wait_entry(event="jwks_failed", level="warning")
    reply = call(guard, ONE.token())
    assert (reply.status, json.loads(reply.body)["error"]) == KEYLESS
    assert int(reply.get("retry-after")) >= 1
    assert guard.wait_entry(event="request", code="keys_unavailable")["guard"] == "auth"
    # what no key could save is refused for what it is
    for token in ("x", "a.b.c", ONE.token() + ".x", jwt.encode({}, None, "none"), jwt.encode({}, "x" * 32, "HS256")):
        assert outcome(guard, token) == WRONG, token
    assert json.loads(ask(guard.address).body)["error"] == "unauthorized"
    provider.start()
    wait_until(lambda: outcome(guard, ONE.token()) == 200, 5, "keys", 0.1)
    provider.check_pace()


def test_one_of_two_providers_is_down(start_guard, make_provider, helper):
    """The callers of the other come in, and nobody else does."""
    down, up = make_provider(), make_provider(publish(TWO))
    down.die()
    rules = policy(up, helper)
    rules["auth"]["down"] = policy(down, helper)["auth"]["user"]
    rules["routes"] = [{"path": "/app/h/**", "auth": ["down", "user"]},
                       {"path": "/app/other/**", "auth": {"methods": ["user", "down"], "optional": True}}]
    guard = start_guard(rules)
    wait_fetched(guard)
    guard.wait_entry(event="jwks_failed", level="warning")
    for uri in ("/app/h/hello", "/app/other/hello"):
        assert outcome(guard, TWO.token(), uri=uri) == 200
        assert outcome(guard, ONE.token(), uri=uri) == KEYLESS
        assert outcome(guard, TWO.token(exp=1), uri=uri) == KEYLESS
        assert outcome(guard, "a.b.c", uri=uri) == WRONG
    assert ask(guard.address, uri="/app/other/hello").status == 200


def test_stale_set_serves_for_a_bounded_time(start_guard, make_provider, helper):
    provider = make_provider()
    guard = start_guard(policy(provider, helper, refresh="1s", stale="8s"))
    wait_fetched(guard)
    provider.die()
    assert outcome(guard, ONE.token()) == 200
    guard.wait_entry(event="jwks_failed")
    assert outcome(guard, ONE.token()) == 200
    wait_until(lambda: outcome(guard, ONE.token()) == KEYLESS, 20, "the end of the set", 0.05)
    assert time.monotonic() - provider.asked[-1] > 8
    assert len(guard.entries(event="jwks_too_old")) == 1
    provider.start()
    wait_until(lambda: outcome(guard, ONE.token()) == 200, 5, "keys again", 0.1)


REFUSALS = {
    "announces 50 MB": (lambda handler: send(handler, 200, b" " * BIG), "larger than 262144 bytes"),
    "pours 50 MB": (pour, "larger than 262144 bytes"),
    "one byte too much": (plainly(200, key_set(ONE).ljust(262145)), "larger than 262144 bytes"),
    "pours a head": (pour_head, "head is larger|Too large response headers"),
    "HTML": (plainly(200, b"<!DOCTYPE html><title>Sign in</title>"), "no JWKS"),
    "garbage": (plainly(200, bytes(range(256)) * 10), "no JWKS"),
    "nothing": (plainly(200, b""), "no JWKS"),
    "no keys": (plainly(200, b'{"keys": []}'), "no key"),
    "keys of no use": (plainly(200, b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'), "no key"),
    "a member twice": (plainly(200, b'{"keys": [], "keys": []}'), "no JWKS"),
    "500": (plainly(500, key_set(ONE)), "status 500"),
    "404": (plainly(404, key_set(ONE)), "status 404"),
    "204": (lambda handler: (handler.send_response(204), handler.end_headers()), "status 204"),
    "201": (plainly(201, key_set(ONE)), "status 201"),
    "cut": (lambda handler: (handler.send_response(200), handler.send_header("Content-Length", "1000"),
                             handler.end_headers(), handler.wfile.write(b'{"keys":')), "bytes remaining|closed|EOF|eof"),
    "no HTTP": (lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n"), "."),
}


@pytest.fixture(scope="module")
def bad_answers(start_guard, authority, helper):
    """A guard that had a good set, and asks all the time."""
    provider = Provider(authority)
    guard = start_guard(policy(provider, helper, refresh="1s"))
    wait_fetched(guard)
    yield provider, guard
    provider.check_pace()
    provider.die()


def check_refused(provider, guard, answer, pattern):
    before = len(guard.entries(event="jwks_failed"))
    provider.answer = answer
    entry = wait_until(lambda: guard.entries(event="jwks_failed")[before:], 8, "jwks_failed")[-1]
    provider.answer = publish(ONE)
    assert re.search(pattern, entry["message"]), entry
    assert outcome(guard, ONE.token()) == 200, "the set before stays in place"
    assert harness.memory(guard.worker(), "VmHWM") < 200 * 1024 or harness.SANITIZED


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_answers(bad_answers, case):
    check_refused(*bad_answers, *REFUSALS[case])


def test_private_keys(bad_answers):
    private = ONE.private.private_numbers().private_value.to_bytes(32, "big")
    leak = {**ONE.public(), "d": jwt.utils.base64url_encode(private).decode()}
    check_refused(*bad_answers, plainly(200, json.dumps({"keys": [leak]}).encode()), "private key")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(bad_answers, make_provider, status):
    """Neither to a private address nor anywhere else."""
    other = make_provider(publish(TWO))
    for target in (other.url(), "http://169.254.169.254/latest", "file:///etc/passwd"):
        check_refused(*bad_answers, plainly(status, key_set(TWO), ("Location", target)), f"status {status}, and redirects")
    assert other.connections == 0


# ---- who is asked

def never_asks(start_guard, provider, pattern, rules):
    guard = start_guard(rules)
    entry = guard.wait_entry(event="jwks_failed")
    assert re.search(pattern, entry["message"]), entry
    assert outcome(guard, ONE.token()) == KEYLESS
    assert provider.asked == []
    return guard


def test_private_addresses(start_guard, make_provider, helper):
    """The name is harmless, and what it resolves to is not."""
    provider = make_provider()
    never_asks(start_guard, provider, "(127.0.0.1|::1) is not a public address",
               policy(provider, helper, private=None))
    assert provider.connections == 0


def test_certificate_of_nobody(start_guard, make_provider, helper):
    provider = make_provider()
    # and not that the system's certificates could not be read
    never_asks(start_guard, provider, "local issuer certificate", policy(provider, helper, ca=None))
    assert provider.connections > 0


def test_certificate_of_another_authority(start_guard, make_provider, helper):
    provider = make_provider()
    never_asks(start_guard, provider, "local issuer certificate", policy(provider, helper, ca="other.pem"))


def test_certificate_of_another_host(start_guard, make_provider, helper):
    provider = make_provider()
    never_asks(start_guard, provider, "certificate|alternative", policy(provider, helper, url=provider.url("127.0.0.1")))


# ---- how often it is asked

def together(count, workers, work):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(count)))


def test_storm_of_unknown_kids(start_guard, make_provider, helper):
    """Every request names another key; the provider hardly notices."""
    provider = make_provider()
    guard = start_guard(policy(provider, helper))
    wait_fetched(guard)
    good, tokens = ONE.token(), [ONE.token(uuid.uuid4().hex) for _ in range(400)]
    begun = time.monotonic()
    end, last = begun + 5, begun + 60

    def attack(number):
        outcomes = set()
        count = 0
        while time.monotonic() < end or (time.monotonic() < last and (count < 9 or len(provider.asked) < 3)):
            outcomes.add(outcome(guard, tokens[(number * 97 + count) % len(tokens)]))
            count += 1
        return outcomes, count

    def use(_):
        slowest = 0
        while time.monotonic() < end:
            start = time.monotonic()
            assert outcome(guard, good) == 200
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(0.02)
        return slowest

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        user = pool.submit(use, 0)
        results = together(12, 12, attack)
        slowest = user.result()
    took = time.monotonic() - begun
    assert set().union(*(outcomes for outcomes, _ in results)) == {WRONG}
    requests = sum(count for _, count in results)
    assert requests > 100
    fetches = len(provider.asked) - 1
    assert 2 <= fetches <= took / COOLDOWN + 1, (fetches, took)
    provider.check_pace()
    harness.NOTES.append(f"kid storm: {requests} unknown kids in {took:.1f} s, {fetches} fetches; "
                         f"slowest good request {slowest * 1000:.0f} ms")


def test_provider_hangs(start_guard, make_provider, helper):
    """Few wait, and for two seconds; the others are refused or served at once.
    The fetch itself is given up after ten."""
    provider = make_provider()
    guard = start_guard(policy(provider, helper))
    wait_fetched(guard)
    after_cooldown()
    provider.answer = hang
    begun = time.monotonic()

    def one(number):
        return number % 2, outcome(guard, ONE.token() if number % 2 else ONE.token(uuid.uuid4().hex))

    def waiting():
        return [entry["duration"] for entry in guard.log() if entry.get("duration", 0) > 1900]

    results = together(60, 30, one)
    assert {found for good, found in results if good} == {200}
    assert {found for good, found in results if not good} == {WRONG}
    waited = len(waiting())
    assert 1 <= waited <= 2, "a quarter of 8 threads may wait"
    together(20, 10, one)
    assert len(waiting()) == waited, "the fetch is older than 2 s: nobody waits"
    entry = guard.wait_entry(20, event="jwks_failed")
    assert time.monotonic() - begun > 9, entry
    assert len(provider.asked) == 2
    provider.answer = publish(TWO)
    provider.released.set()
    assert outcome(guard, TWO.token()) == 200


def test_ends_while_the_provider_hangs(start_guard, make_provider, helper):
    provider = make_provider(hang)
    guard = start_guard(policy(provider, helper))
    wait_until(lambda: provider.asked, 5, "a fetch")
    guard.stop()
    assert not guard.entries(event="jwks_failed"), "it does not wait for a fetch, which has ten seconds"


# ---- commands, and CGI

def run(authority, rules, *arguments, **more):
    file = authority.write("command.json", json.dumps(rules))
    return subprocess.run([harness.installed("fcgiguard", authority), *(arguments or ("check",)), *(
        ("-c", str(file)) if not more else ())], capture_output=True, text=True, timeout=20,
        env=harness.clean_environment(**{name: value.replace("FILE", str(file)) for name, value in more.items()}))


@pytest.mark.parametrize("change, pattern", [
    ({"url": "http://localhost/"}, "command.json:.*https"),
    ({"url": "https://127.0.0.1/", "private": None}, "not a public one"),
    ({"url": None}, "`url` is missing"),
    ({"cooldown": "2h"}, "1s to 1h"),
    ({"cooldown": "1m", "refresh": "30s"}, "`cooldown` is longer than `refresh`"),
    ({"refresh": "0s"}, "1s to 7d"),
    ({"ca": "ca.key"}, "no certificate in PEM"),
    ({"ca": "nowhere.pem"}, "nowhere.pem"),
    ({"redirects": 3}, "redirects"),
])
def test_wrong_policies(make_provider, authority, helper, change, pattern):
    rules = policy(make_provider(), helper)
    section = rules["auth"]["user"]["jwt"]["jwks_url"]
    for name, value in change.items():
        section[name] = value
        if value is None:
            del section[name]
    result = run(authority, rules)
    assert result.returncode == 1 and re.search(pattern, result.stderr), result


@pytest.mark.parametrize("change, pattern", [
    ({"algorithms": ["HS256"]}, "need a secret"),
    ({"algorithms": ["RS256", "HS512"]}, "need a secret"),
    ({"public_key": "ca.pem"}, "stand alone"),
    ({"jwks": "keys.json"}, "stand alone"),
    ({"secret": "env:HOME"}, "stand alone"),
])
def test_wrong_companions(make_provider, authority, helper, change, pattern):
    rules = policy(make_provider(), helper)
    rules["auth"]["user"]["jwt"].update(change)
    result = run(authority, rules)
    assert result.returncode == 1 and re.search(pattern, result.stderr), result


def test_short_form(authority, helper):
    rules = policy(None, helper, url="https://login.example.com/keys.json")
    rules["auth"]["user"]["jwt"]["jwks_url"] = "https://login.example.com/keys.json"
    result = run(authority, rules)
    assert result.returncode == 0, result


def test_explain_does_not_fetch(make_provider, authority, helper):
    provider = make_provider()
    result = run(authority, policy(provider, helper), "explain", "GET", "/app/h/hello", "-H",
                 "Authorization: Bearer " + ONE.token())
    assert result.returncode == 1 and "503 keys_unavailable" in result.stdout and "not known here" in result.stdout
    assert provider.connections == 0


def test_cgi_is_refused(make_provider, authority, helper):
    provider = make_provider()
    rules = {**policy(provider, helper), "log": "stderr", "user": harness.WEB_USER or "nobody"}
    result = run(authority, rules, "x", FCGIGUARD_POLICY="FILE", GATEWAY_INTERFACE="CGI/1.1", REDIRECT_STATUS="200",
                 REQUEST_METHOD="GET", REQUEST_URI="/app/h/hello", SERVER_PROTOCOL="HTTP/1.1")
    assert result.stdout.startswith("Status: 500 "), result
    assert "jwks_url" in result.stderr
    assert provider.connections == 0
