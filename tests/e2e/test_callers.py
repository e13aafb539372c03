"""Who is calling, through every web server: tokens and keys that are admitted
and refused, what a program is told, and what nobody can make it believe."""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import threading
import time

import pytest

import harness
import records
import servers
from records import ask

SECRET = "a-secret-of-at-least-32-bytes-for-HS256"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret=SECRET, header=None, **claims):
    # A day: it may have been made when the tests were collected, and be used by the last of them.
    claims = {"iss": "tests", "sub": "bob", "exp": int(time.time()) + 86400, **claims}
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = encode(json.dumps(header or {"alg": "HS256"}).encode()) + "." + encode(json.dumps(claims).encode())
    return signed + "." + encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def bearer(**claims):
    return ("Authorization", "Bearer " + token(**claims))


def policy(helper, folder, **more):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {
            "user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests", "cookie": "session",
                             "environment": {"USER_EMAIL": "email", "USER_GROUPS": "groups"}}},
            "partner": {"api_key": {"header": "X-API-Key", "query": "api_key"}},
        },
        "defaults": {"auth": ["user", "partner"]},
        "routes": [
            {"path": "/app/h/**", "exec": {"program": helper, "pass": ["REMOTE_USER", "AUTH_TYPE", "AUTH_ROLES"]}},
            {"path": "/app/admin/**", "roles": "admin", "exec": helper},
            {"path": "/app/scoped/**", "scopes": ["read", "write"], "exec": helper},
            {"path": "/app/own/{id}/hello", "match": {"sub": "{id}"}, "exec": helper},
            {"path": "/app/maybe/**", "auth": {"methods": ["user"], "optional": True}, "exec": {
                "program": helper, "pass": ["REMOTE_USER", "USER_EMAIL"]}},
            {"path": "/app/keys/**", "methods": ["GET", "POST", "DELETE"], "respond": {"with": "keys", "limit": 3}},
        ],
        **more,
    }


@pytest.fixture(scope="module", params=servers.KINDS)
def front(request, folder, helper):
    started = servers.start(request.param, folder, policy(helper, folder))
    yield started
    started.stop()
    started.guard.stop()
    started.guard.wait_no_programs()
    started.guard.check_reports()


def key_command(guard, *arguments):
    done = subprocess.run([guard.program, "key", *arguments, "-c", str(guard.policy_path)], capture_output=True, text=True,
                          env=guard.environment, check=False,
                          **({"user": guard.user, "group": guard.user, "extra_groups": []} if guard.user else {}))
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout.strip()


def new_key(guard, owner="alice", roles="admin,staff", scopes="read"):
    return key_command(guard, "create", "--owner", owner, "--roles", roles, "--scopes", scopes)


def variables(reply):
    assert reply.status == 200, (reply.status, reply.body)
    seen = json.loads(reply.body)
    return dict(entry.split("=", 1) for entry in seen["environment"])


def refusal(reply):
    body = json.loads(reply.body)
    return reply.status, body["error"]


# ---- who gets in

def test_tokens(front):
    seen = variables(front.fetch("/app/h/inspect", headers=[bearer(email="b@example.com", groups=["a", "b"], roles=["x", "y"],
                                                                   scope="read write")]))
    assert seen["REMOTE_USER"] == "bob" and seen["AUTH_TYPE"] == "Bearer" and seen["AUTH_METHOD"] == "user"
    assert seen["AUTH_ROLES"] == "x y" and seen["AUTH_SCOPES"] == "read write"
    assert seen["USER_EMAIL"] == "b@example.com" and seen["USER_GROUPS"] == "a b"
    assert "HTTP_AUTHORIZATION" not in seen and "HTTP_COOKIE" not in seen
    cookie = ("Cookie", "a=1; session=" + token() + "; b=2")
    assert variables(front.fetch("/app/h/inspect", headers=[cookie]))["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize("header, status, code, challenge", [
    (None, 401, "unauthorized", "Bearer, ApiKey"),
    (("Authorization", "Bearer a.b.c"), 401, "invalid_token", 'Bearer error="invalid_token", ApiKey'),
    (bearer(exp=1), 401, "token_expired", 'Bearer error="invalid_token", error_description="the token has expired", ApiKey'),
    (bearer(iss="others"), 401, "invalid_token", None),
    (bearer(exp=None), 401, "invalid_token", None),
    (bearer(secret="another-secret-of-at-least-32-bytes"), 401, "invalid_token", None),
    (bearer(header={"alg": "none"}), 401, "invalid_token", None),
    (("Authorization", f"Bearer {token()}, Bearer {token()}"), 400, "invalid_request", None),
    (("X-API-Key", "fcg_x"), 401, "invalid_token", 'ApiKey error="invalid_token", Bearer'),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refused(front, header, status, code, challenge):
    reply = front.fetch("/app/h/inspect", headers=[header] if header else [])
    assert refusal(reply) == (status, code)
    assert challenge is None or reply.get("WWW-Authenticate") == challenge
    assert reply.get("Cache-Control") == "no-store"


def test_words_that_are_not_one(front):
    """What a program would split is not told as one word, and hides no other."""
    seen = variables(front.fetch("/app/h/inspect", headers=[bearer(
        roles=["a\tadmin", "b\nadmin", "c admin", "d\x0badmin", "", "e\x7f", "staff"], scope="read\tadmin write", groups=["x\ty", "z"])]))
    assert seen["AUTH_ROLES"] == "staff" and seen["AUTH_SCOPES"] == "write"
    assert json.loads(seen["USER_GROUPS"]) == ["x\ty", "z"]
    assert refusal(front.fetch("/app/admin/hello", headers=[bearer(roles=["a\tadmin"])])) == (403, "forbidden")


def test_token_in_the_query_is_none(front):
    assert refusal(front.fetch("/app/h/inspect?access_token=" + token())) == (401, "unauthorized")


def test_keys(front):
    key = new_key(front.guard)
    seen = variables(front.fetch("/app/h/inspect", headers=[("X-API-Key", key)]))
    assert seen["REMOTE_USER"] == "alice" and seen["AUTH_TYPE"] == "ApiKey" and seen["AUTH_METHOD"] == "partner"
    assert seen["AUTH_ROLES"] == "admin staff" and seen["AUTH_SCOPES"] == "read"
    assert key not in json.dumps(seen)
    seen = variables(front.fetch(f"/app/h/inspect?a=1&api_key={key}&b=2"))
    assert seen["QUERY_STRING"] == "a=1&b=2" and seen["REQUEST_URI"].endswith("?a=1&b=2")
    assert key not in json.dumps(seen)
    assert key not in front.guard.text()
    typo = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert refusal(front.fetch("/app/h/inspect", headers=[("X-API-Key", typo)])) == (401, "invalid_token")
    key_command(front.guard, "revoke", key.split("_")[1])
    assert refusal(front.fetch("/app/h/inspect", headers=[("X-API-Key", key)])) == (401, "invalid_token")


def test_what_they_may(front):
    key = ("X-API-Key", new_key(front.guard))
    assert front.fetch("/app/admin/hello", headers=[key]).status == 200
    assert front.fetch("/app/admin/hello", headers=[bearer(roles=["admin"])]).status == 200
    assert refusal(front.fetch("/app/admin/hello", headers=[bearer(roles=["user"])])) == (403, "forbidden")
    reply = front.fetch("/app/scoped/hello", headers=[key])
    assert refusal(reply) == (403, "insufficient_scope")
    assert reply.get("WWW-Authenticate") == 'ApiKey error="insufficient_scope", scope="read write"'
    assert front.fetch("/app/scoped/hello", headers=[bearer(scope="write read")]).status == 200
    assert front.fetch("/app/own/7/hello", headers=[bearer(sub="7")]).status != 403
    assert refusal(front.fetch("/app/own/7/hello", headers=[bearer(sub="8")])) == (403, "forbidden")


def test_nobody(front):
    seen = variables(front.fetch("/app/maybe/inspect", headers=[("Remote-User", "evil"), ("X-Remote-User", "evil")]))
    assert not [name for name in seen if name.startswith("AUTH") or "REMOTE_USER" in name]
    assert variables(front.fetch("/app/maybe/inspect", headers=[bearer()]))["REMOTE_USER"] == "bob"
    assert refusal(front.fetch("/app/maybe/inspect", headers=[bearer(exp=1)])) == (401, "token_expired")


SPOOFS = [("X_Remote_User", "evil"), ("Remote-User", "evil"), ("X-Remote-User", "evil"), ("Remote_User", "evil"),
          ("Auth-Type", "Basic"), ("X-Forwarded-User", "evil"), ("Proxy", "http://evil"), ("Auth-User", "evil"),
          ("X-Auth-Roles", "admin"), ("Auth-Roles", "admin"), ("User-Email", "evil@x")]


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda spoof: spoof[0])
def test_spoofing(front, spoof):
    reply = front.fetch("/app/h/inspect", headers=[bearer(email="b@example.com"), spoof])
    if reply.status >= 400:  # a web server or we may refuse it
        return
    seen = variables(reply)
    assert seen["REMOTE_USER"] == "bob" and seen["AUTH_TYPE"] == "Bearer" and seen["USER_EMAIL"] == "b@example.com"
    assert seen["AUTH_ROLES"] == ""
    for name, value in seen.items():
        assert "evil" not in value or name in ("HTTP_USER_EMAIL",), (name, value)
        assert not re.search(r"PROXY|HTTP_.*REMOTE|HTTP_AUTH", name), name


@pytest.mark.parametrize("line", [
    b"X-Note: a\nRemote-User: evil", b"X-Note: a\rRemote-User: evil", b"X-Note: a\r\n Remote-User: evil", b"X-Note: a\0Remote-User: evil",
    b"X-Note\nRemote-User: evil", b"X-Note: a\nX_Remote_User: evil", b"X-Note: a\nProxy: http://evil", b"Remote-User : evil",
    b"X-Note: a%0d%0aRemote-User: evil",
], ids=repr)
def test_injected_lines(front, line):
    """Whatever a web server makes of a broken line, nobody becomes somebody else by it."""
    head = servers.request("GET", "/app/h/inspect", [bearer()])
    reply = servers.fetch_raw(front.port, head.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n"))
    assert reply.status in (200, 400), (reply.status, reply.body)
    if reply.status == 200:
        seen = variables(reply)
        assert seen["REMOTE_USER"] == "bob" and seen["AUTH_ROLES"] == ""
        assert not [name for name in seen if re.search(r"PROXY|HTTP_.*REMOTE", name)], seen
        assert {name for name, value in seen.items() if "evil" in value} <= {"HTTP_X_NOTE"}, seen


@pytest.mark.parametrize("uri, headers, user", [
    ("/app/h/inspect", True, "bob"), ("/app/maybe/inspect", True, "bob"), ("/app/maybe/inspect", False, None),
    ("/app/open/inspect", False, "evil")])
def test_what_the_web_server_says_of_the_caller(start_guard, helper, folder, uri, headers, user):
    """Where callers are told apart here, `pass` lets no other word through."""
    rules = policy(helper, folder)
    rules["routes"].append({"path": "/app/open/**", "auth": "none", "exec": {"program": helper, "pass": ["REMOTE_USER"]}})
    guard = start_guard(rules)
    told = {"REMOTE_USER": "evil", "AUTH_TYPE": "Basic", "AUTH_ROLES": "evil", "AUTH_SCOPES": "evil", "AUTH_METHOD": "evil",
            "USER_EMAIL": "evil", "REMOTE_IDENT": "evil"}
    seen = variables(ask(guard.address, uri=uri, headers=dict([bearer()]) if headers else {}, more=list(told.items())))
    assert seen.get("REMOTE_USER") == user
    if user != "evil":
        assert seen.get("AUTH_TYPE") == (user and "Bearer") and "evil" not in seen.values(), seen


def test_two_authorizations(front):
    reply = front.fetch("/app/h/inspect", headers=[bearer(sub="bob"), bearer(sub="eve")])
    assert reply.status in (400, 401), (reply.status, reply.body)


# ---- keys of their own

def post_key(front, body, who):
    return front.fetch("/app/keys", method="POST", body=body if isinstance(body, bytes) else json.dumps(body).encode(),
                       headers=[who, ("Content-Type", "application/json")])


def test_self_service(front):
    who = bearer(sub="carol-" + front.guard.name, roles=["reader", "writer"], scope="read")
    reply = post_key(front, {"name": "laptop", "expires_in_days": 7, "roles": ["reader"]}, who)
    assert reply.status == 201, reply.body
    made = json.loads(reply.body)
    assert made["name"] == "laptop" and made["roles"] == ["reader"] and made["scopes"] == ["read"]
    assert reply.get("Cache-Control") == "no-store"
    key = ("X-API-Key", made["api_key"])
    seen = variables(front.fetch("/app/h/inspect", headers=[key]))
    assert seen["REMOTE_USER"] == "carol-" + front.guard.name and seen["AUTH_ROLES"] == "reader"
    listed = json.loads(front.fetch("/app/keys", headers=[who]).body)["keys"]
    assert [one["id"] for one in listed] == [made["id"]] and listed[0]["state"] == "active"
    assert made["api_key"] not in json.dumps(listed) and "digest" not in json.dumps(listed)
    assert json.loads(front.fetch("/app/keys/" + made["id"], headers=[who]).body)["name"] == "laptop"
    # With the key no more than with the key.
    child = json.loads(post_key(front, {"name": "child", "expires_in_days": 365}, key).body)
    assert child["expires_at"] <= made["expires_at"] and child["roles"] == ["reader"]
    assert refusal(post_key(front, {"name": "more", "roles": ["writer"]}, key)) == (400, "validation_error")
    # Others see nothing of it.
    eve = bearer(sub="eve", roles=["admin"])
    assert refusal(front.fetch("/app/keys/" + made["id"], headers=[eve])) == (404, "key_not_found")
    assert refusal(front.fetch("/app/keys/" + made["id"], method="DELETE", headers=[eve])) == (404, "key_not_found")
    assert json.loads(front.fetch("/app/keys", headers=[eve]).body)["keys"] == []
    # As many as are allowed, and one.
    assert post_key(front, {"name": "third"}, who).status == 201
    assert refusal(post_key(front, {"name": "fourth"}, who)) == (409, "too_many_keys")
    assert front.fetch("/app/keys/" + made["id"], method="DELETE", headers=[who]).status == 204
    assert refusal(front.fetch("/app/h/inspect", headers=[key])) == (401, "invalid_token")
    assert post_key(front, {"name": "fourth"}, who).status == 201


def test_as_many_as_are_allowed_at_once(start_guard, helper, folder):
    guard = start_guard(policy(helper, folder), name="at-once")
    headers = {**dict([bearer(sub="racer")]), "Content-Type": "application/json"}
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(
        ask(guard.address, method="POST", uri="/app/keys", headers=headers, body=b'{"name":"a"}').status)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [201] * 3 + [409] * 27


@pytest.mark.parametrize("body", [
    b"", b"x", b"[]", b"{}", {"name": ""}, {"name": "x" * 101}, {"name": 7}, {"name": "a\nb"}, {"name": None},
    {"name": "a", "expires_in_days": 0}, {"name": "a", "expires_in_days": 366}, {"name": "a", "expires_in_days": "7"},
    {"name": "a", "expires_in_days": 1.5}, {"name": "a", "roles": ["admin"]}, {"name": "a", "roles": "x"},
    {"name": "a", "scopes": ["read"]}, {"name": "a", "owner": "root"}, b'{"name":"a","name":"b"}', b'{"name":"\xff"}',
    {"name": "a", "expires_in_days": -1}, {"name": "a", "expires_in_days": 10**30},
], ids=str)
def test_wishes_that_do_not_fit(front, body):
    reply = post_key(front, body, bearer(sub="dave"))
    assert refusal(reply) == (400, "validation_error"), reply.body
    detail, = json.loads(reply.body)["details"]
    assert detail["in"] == "body" and detail["field"] in ("", "/name", "/expires_in_days", "/roles", "/scopes") and detail["error"]


def test_wishes_are_refused_as_other_bodies_are(start_guard, helper, folder):
    wanted = policy(helper, folder)
    wanted["defaults"].update(validation_status=422, validation_details="fields")
    guard = start_guard(wanted, name="told")
    reply = ask(guard.address, "POST", "/app/keys", b"{}", headers={**dict([bearer()]), "Content-Type": "application/json"})
    assert refusal(reply) == (422, "validation_error")
    assert json.loads(reply.body)["details"] == [{"in": "body", "field": "/name"}]
    entry = guard.wait_entry(event="request", code="validation_error")
    assert (entry["guard"], entry["detail"]) == ("respond", "name: is required")


def test_odd_requests_for_keys(front):
    who = bearer(sub="dave-" + front.guard.name)
    assert refusal(front.fetch("/app/keys", method="POST", body=b'{"name":"a"}', headers=[who]))[0] == 415
    assert refusal(front.fetch("/app/keys", method="DELETE", headers=[who])) == (405, "method_not_allowed")
    assert refusal(front.fetch("/app/keys/7m2q0zd5x1k8r4tv", method="DELETE", headers=[who])) == (404, "key_not_found")
    assert refusal(front.fetch("/app/keys/x", headers=[who])) == (404, "key_not_found")
    assert refusal(front.fetch("/app/keys", headers=[bearer(sub=None)])) == (403, "forbidden")
    assert refusal(front.fetch("/app/keys")) == (401, "unauthorized")
    assert post_key(front, {"name": "x" * 100, "roles": [], "scopes": []}, who).status == 201
    assert refusal(post_key(front, b'{"name":"' + b"x" * 20000 + b'"}', who)) == (413, "body_too_large")


# ---- the store

def test_what_is_revoked_is_refused_at_once(start_guard, helper, folder):
    """By many at once, in the worker that serves and in the one that drains: keys
    that are revoked, and keys that a rotation ends."""
    guard = start_guard(policy(helper, folder), name="revoking")
    keys = [new_key(guard, owner=f"owner{number}") for number in range(50)]
    faults = []

    def revoke(key):
        if ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key}).status != 200:
            faults.append("refused before")
        command = ["rotate", "--keep", "0s"] if keys.index(key) % 2 else ["revoke"]
        said = key_command(guard, *command, key.split("_")[1])
        if ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key}).status != 401:
            faults.append("admitted after")
        if keys.index(key) % 2 and ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": said}).status != 200:
            faults.append("the next one refused")
    with records.Connection(guard.address) as kept:
        assert kept.ask(records.environment(uri="/app/h/hello", headers={"X-API-Key": keys[0]}), keep=True).status == 200
        threads = [threading.Thread(target=revoke, args=(key,)) for key in keys]
        for number, thread in enumerate(threads):
            thread.start()
            if number == 25:
                guard.process.notify(harness.signal.SIGHUP)
        for thread in threads:
            thread.join()
    assert not faults, faults


def test_what_stands_in_the_policy_is_revoked_too(start_guard, helper, folder):
    rules = policy(helper, folder, store=f"sqlite:{folder.writable('both')}/guard.db")
    first = start_guard(rules, name="both-first")
    keys = [new_key(first), new_key(first), new_key(first)]
    shown = [json.loads(key_command(first, "show", key.split("_")[1], "--json")) for key in keys]
    table = [line.split() for key in keys for line in key_command(first, "show", key.split("_")[1]).splitlines()]
    digests = [words[-1] for words in table if words and words[-1].startswith("sha256:")]
    rules["auth"]["partner"]["api_key"]["keys"] = [
        {"id": key["id"], "digest": digest, "owner": "policy"} for key, digest in zip(shown, digests)]
    guard = start_guard(rules, name="both-second")

    def status(key):
        return ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key}).status
    seen = variables(ask(guard.address, uri="/app/h/inspect", headers={"X-API-Key": keys[0]}))
    assert seen["REMOTE_USER"] == "policy" and seen["AUTH_ROLES"] == ""
    assert [status(key) for key in keys] == [200, 200, 200]
    key_command(guard, "revoke", shown[0]["id"])
    key_command(guard, "rotate", shown[1]["id"], "--keep", "0s")
    assert [status(key) for key in keys] == [401, 401, 200]


def test_ill_stores(start_guard, helper, folder):
    """A store that fails opens no door, and closes none for tokens it is not asked of."""
    guard = start_guard(policy(helper, folder, store=f"sqlite:{folder.writable('ill')}/guard.db"), name="ill")
    key = new_key(guard)
    assert ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key}).status == 200
    for name in os.listdir(folder / "ill"):
        os.unlink(folder / "ill" / name)
    reply = ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key})
    assert reply.status == 503 and json.loads(reply.body)["error"] == "store_failed"
    assert ask(guard.address, uri="/app/h/hello").status == 401
    assert ask(guard.address, uri="/app/h/hello", headers=dict([bearer()])).status == 503
    assert str(folder) not in reply.body.decode()
    guard.process.notify(harness.signal.SIGHUP)
    guard.wait_entry(event="policy_reloaded")
    assert ask(guard.address, uri="/app/h/hello", headers=dict([bearer()])).status == 200
    assert ask(guard.address, uri="/app/h/hello", headers={"X-API-Key": key}).status == 401
