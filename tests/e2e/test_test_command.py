"""`fcgiguard test`: what its files say is what is judged, and what it finds is what a
running guard does."""

import json
import pathlib
import re

import pytest

import harness
from records import ask, raw
from test_callers import SECRET, token
from test_examples import placed

BAD = harness.SOURCE / "tests/data/tests/bad"
ENVIRONMENT = {"TEST_SECRET": "0123456789-0123456789-0123456789"}


@pytest.fixture(scope="module")
def program(folder):
    return harness.installed("fcgiguard", folder)


def command(program, *arguments, cwd=None, **environment):
    result = harness.run([program, "test", *arguments], cwd=cwd, env=harness.clean_environment(**{**ENVIRONMENT, **environment}))
    assert not harness.REPORTS.search(result.stderr), result.stderr
    return result


POLICY = """
store: sqlite:guard.db
proxies: 192.0.2.100
auth:
  user: {{jwt: {{algorithms: [HS256], secret: env:TEST_SECRET, any_audience: true, roles_claim: groups}}}}
  partner: {{api_key: {{}}}}
  session: {{jwt: {{algorithms: [HS256], secret: env:TEST_SECRET, any_audience: true, header: X-Token, cookie: s}}}}
  query: {{api_key: {{query: key}}}}
  cookie: {{api_key: {{cookie: key}}}}
  basic: {{api_key: {{basic: true}}}}
  fetched: {{jwt: {{algorithms: [ES256], jwks_url: {{url: "https://127.0.0.1:1/keys", private: true}}, any_audience: true}}}}
limits:
  guesses: {{rate: 2/10m, by: address, count: failures, algorithm: fixed}}
  slow: {{rate: 1/s, burst: 5, delay: 2s, algorithm: gcra}}
defaults: {{auth: none, hosts: [api.example.com], headers: api}}
routes:
  - {{path: /open, methods: [GET, POST], exec: {program}}}
  - {{path: /nothing, methods: [GET], respond: nothing}}
  - {{path: /ask, methods: [GET], respond: authorize}}
  - {{path: /keys, auth: partner, methods: [GET], respond: keys}}
  - {{path: /user, methods: [GET], auth: user, exec: {program}}}
  - {{path: /admin, methods: [GET], auth: [user, partner], roles: admin, exec: {program}}}
  - {{path: "/own/{{id}}", methods: [GET], auth: user, match: {{sub: "{{id}}"}}, claims: {{team: red}}, exec: {program}}}
  - {{path: /session, methods: [GET], auth: session, exec: {program}}}
  - {{path: /query, methods: [GET], auth: query, parameters: {{query: {{a: integer}}}}, exec: {program}}}
  - {{path: /cookie, methods: [GET], auth: cookie, exec: {program}}}
  - {{path: /basic, methods: [GET], auth: basic, exec: {program}}}
  - {{path: /fetched, methods: [GET], auth: fetched, exec: {program}}}
  - {{path: /login, methods: [POST], limits: guesses, exec: {program}}}
  - {{path: /slow, methods: [GET], limits: slow, exec: {program}}}
  - {{path: /one, methods: [GET], limits: [{{concurrency: 1, by: address}}], exec: {program}}}
  - {{path: /json, methods: [POST], body: {{max: 100b, fields: {{n: {{type: integer, required: true}}}}}}, exec: {program}}}
  - {{path: /bytes, methods: [POST], body: 10b, exec: {program}}}
  - {{path: /told, methods: [GET], addresses: {{allow: [10.0.0.0/8], mode: report}}, exec: {program}}}
  - {{path: /replies, methods: [GET], replies: {{fields: {{n: {{type: integer, required: true}}}}}}, exec: {program}}}
  - {{path: /scripts/**, methods: [GET], exec: {{root: {root}, extensions: [.sh]}}}}
"""


@pytest.fixture(scope="module")
def policy(folder, helper):
    folder.write("t/root/hello.sh", f"#!/bin/sh\n>{folder}/t/started\n", 0o755)
    folder.write("t/body.bin", b"0123456789\0")
    return folder.write("t/policy.yaml", POLICY.format(program=helper, root=folder / "t/root"))


def play(program, policy, cases, *arguments, defaults=None, **environment):
    """The result for cases as a file beside the policy."""
    file = policy.parent / "cases.json"
    file.write_text(json.dumps({"policy": policy.name, "defaults": {"host": "api.example.com", **(defaults or {})}, "cases": cases}, indent=1))
    return command(program, *arguments, file, **environment)


def passes(program, policy, *cases, **more):
    result = play(program, policy, list(cases), **more)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{len(cases)} passed, 0 failed\n", ""), result.stdout + result.stderr


def fails(program, policy, case, why, **more):
    """Each of the cases fails, for this reason and no other."""
    result = play(program, policy, [case] if isinstance(case, dict) else case, **more)
    assert result.returncode == 1 and result.stderr == "", result.stdout + result.stderr
    line = re.sub(r"^.*?: (?=expected)", "", result.stdout.splitlines()[0])
    assert line == why, result.stdout


# ---- each key of a request, and each of an expectation, both ways

def get(path="/open", expect="pass", method="GET", **more):
    return {"request": f"{method} {path}", "expect": expect, **more}


def test_status(program, policy):
    passes(program, policy, get(), get("/nothing", "pass"), get("/nothing", 204), get("/x", 404), get("/x", "route_not_found"),
           get("/x", "404 route_not_found"), get("/x", {"status": 404, "code": "route_not_found", "guard": "route"}))
    fails(program, policy, get(expect=200), "expected 200, found pass, to exec")
    fails(program, policy, get(expect=404), "expected 404, found pass, to exec")
    fails(program, policy, get("/nothing", 200), "expected 200, found 204 from respond")
    fails(program, policy, get("/x"), "expected pass, found 404 route_not_found (route: no route has this path)")
    fails(program, policy, get("/x", 403), "expected 403, found 404 route_not_found (route: no route has this path)")
    fails(program, policy, get("/x", "404 forbidden"), "expected 404 forbidden, found 404 route_not_found (route: no route has this path)")
    fails(program, policy, get("/x", {"code": "forbidden"}), "expected forbidden, found 404 route_not_found (route: no route has this path)")
    fails(program, policy, get(expect="forbidden"), "expected forbidden, found pass, to exec")


def test_who_decides(program, policy):
    passes(program, policy, get(expect={"route": "/open", "handler": "exec"}), get("/nothing", {"handler": "respond"}),
           get("/own/7", {"route": "/own/{id}", "code": "unauthorized", "guard": "auth"}),
           get("/scripts/hello.sh", {"status": "pass", "route": "/scripts/**"}), get("/scripts/none.sh", "404 script_not_found"))
    fails(program, policy, get(expect={"route": "/x"}), "expected route /x, found /open")
    fails(program, policy, get("/x", {"route": "/x"}), "expected route /x, found none")
    fails(program, policy, get(expect={"handler": "http"}), "expected handler http, found exec")
    fails(program, policy, get("/user", {"handler": "exec"}), "expected handler exec, found none")
    fails(program, policy, get("/user", {"guard": "hosts"}), "expected guard hosts, found auth")
    fails(program, policy, get(expect={"guard": "hosts"}), "expected guard hosts, found none")


def test_headers_of_the_reply(program, policy):
    played = {"headers": {"Set-Cookie": "a=1", "Server": "x", "X-Own": "1"}}
    passes(program, policy, get(reply=played, expect={"headers": {"set-cookie": "a=1", "X-Own": "1", "X-Content-Type-Options": "nosniff"},
                                                      "present": ["x-own", "X-Request-ID"], "absent": ["server", "X-Powered-By"]}),
           get("/user", {"headers": {"WWW-Authenticate": "Bearer", "Content-Type": "application/json"}}))
    fails(program, policy, get(reply=played, expect={"headers": {"X-Own": "2"}}), "expected X-Own: 2, found 1")
    fails(program, policy, get(reply=played, expect={"headers": {"X-Other": "2"}}), "expected X-Other: 2, found none")
    fails(program, policy, get(reply=played, expect={"present": "Server"}), "expected a header Server, found none")
    fails(program, policy, get(reply=played, expect={"absent": "x-own"}), "expected no header x-own, found 1")


def test_body_of_the_reply(program, policy):
    passes(program, policy, get(reply={"body": "hello"}, expect={"status": 200, "contains": ["hell", "o"], "lacks": "hullo"}),
           get("/x", {"contains": "route_not_found", "lacks": "/x"}), get(reply={"body_file": "body.bin"}, expect={"contains": "89"}),
           get(reply={"status": 500, "body": "Trace"}, expect={"status": "500 internal_error", "lacks": "Trace"}),
           get(method="HEAD", reply={"body": "hello"}, expect={"status": 200, "lacks": "hello"}))
    fails(program, policy, get(reply={"body": "a\nb"}, expect={"contains": "c"}), 'expected a body with "c", found a b')
    fails(program, policy, get(expect={"contains": "c"}), 'expected a body with "c", found none')
    fails(program, policy, get(reply={"body": "abc"}, expect={"lacks": "b"}), 'expected a body without "b", found it')


def test_reports(program, policy):
    passes(program, policy, get("/told", {"status": "pass", "reports": "address_not_allowed"}))
    fails(program, policy, get("/told", {"reports": "x"}), "expected a report of x, found address_not_allowed")
    fails(program, policy, get("/told", {"reports": "address_not_allowed"}, address="10.0.0.1"), "expected a report of address_not_allowed, found none")


def test_reports_of_what_is_not_documented(program, folder):
    folder.write("api/api.yaml", "openapi: 3.0.3\npaths: {/a: {get: {responses: {200: {description: ok}}}}}")
    policy = folder.write("api/policy.yaml", "openapi: {file: api.yaml, undocumented: report}\ndefaults: {auth: none, exec: /nowhere}\n")
    passes(program, policy, get("/a"), get("/b", {"status": "pass", "reports": "undocumented"}))
    fails(program, policy, get("/a", {"reports": "undocumented"}), "expected a report of undocumented, found none")
    result = play(program, policy, [get("/b")], "-u")
    assert re.search(r"api\.yaml:2: /a: no case reaches it\n1 passed", result.stdout) and result.returncode == 1, result.stdout


def test_the_story_of_a_question(program, policy):
    """Guards of two routes, and no route at the end."""
    result = play(program, policy, [get("/ask", 204, parameters={"ORIGINAL_URI": "/x", "ORIGINAL_METHOD": "GET"})], "-v")
    assert result.returncode == 1 and re.search(r"^    route       none$", result.stdout, re.M), result.stdout


def test_all_that_differs_is_told(program, policy):
    fails(program, policy, get(expect={"status": 404, "route": "/x", "present": "X"}),
          "expected 404, found pass, to exec; expected route /x, found /open; expected a header X, found none")


def test_request(program, policy):
    passes(program, policy, get(host="evil.example", expect="400 host_not_allowed"), get(headers={"Host": "evil.example"}, expect=400),
           get("/open?a=1#b", "target_invalid"), get("/a%2fb", "path_encoded_slash"), get("/../x", "400 path_above_root"), get(method="DELETE", expect=405),
           get(method="G(T", expect="method_invalid"), get(headers={"X-Y": "a", "X_Y": "b"}, expect="header_duplicate"),
           get("/told", {"status": "pass"}, address="2001:db8::1"), get(https=True, expect={"present": "Strict-Transport-Security"}),
           get(https=False, expect={"absent": "Strict-Transport-Security"}),
           get("/ask", "204", parameters={"ORIGINAL_URI": "/open", "ORIGINAL_METHOD": "GET"}),
           get("/ask", 401, parameters={"ORIGINAL_URI": "/user", "ORIGINAL_METHOD": "GET"}), get("/ask", "403 original_missing"), get("/ask", 403, parameters={"ORIGINAL_URI": "/x", "ORIGINAL_METHOD": "GET"}),
           get("/ask", "403 body_unseen", parameters={"ORIGINAL_URI": "/replies", "ORIGINAL_METHOD": "GET"}),
           get("/told", {"status": "pass", "reports": "address_not_allowed"}, headers={"X-Forwarded-For": "10.0.0.1"}),
           defaults={"address": "192.0.2.1"})
    passes(program, policy, get(https=True, headers={"host": "evil.example"}, expect=400), get(host="evil.example", expect=400),
           get(expect={"status": "pass", "present": "Strict-Transport-Security"}), get(https=False, expect={"absent": "Strict-Transport-Security"}),
           get("/user", "token_expired", at="2033-05-19"), get("/user", {"caller": "bob"}, headers={"accept": "a"}),
           get("/user", "invalid_token", headers={"authorization": "Bearer x.y.z"}),
           defaults={"https": True, "at": "2033-05-18T03:33:19Z",
                     "headers": {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"], sub="bob", exp=2000000000), "Accept": "b"}})


def test_body_of_the_request(program, policy):
    passes(program, policy, get("/json", "pass", "POST", json={"n": 1}), get("/json", 415, "POST", body='{"n": 1}'),
           get("/json", "pass", "POST", body='{"n": 1}', headers={"Content-Type": "application/json"}),
           get("/json", {"status": "400 validation_error", "contains": "/n"}, "POST", json={"n": "1"}), get("/json", 400, "POST", json=[1, None]),
           get("/json", 413, "POST", json={"n": 1, "x": "y" * 100}), get("/json", 400, "POST"),
           get("/json", 415, "POST", json={"n": 1}, headers={"content-type": "text/plain"}),
           get("/bytes", 413, "POST", body_file="body.bin"), get("/bytes", "pass", "POST", body="0123456789"),
           get("/bytes", "413 body_too_large", "POST", body_file="body.bin", headers={"Transfer-Encoding": "chunked"}),
           get("/bytes", "400 body_invalid", "POST", body="0123", headers={"Content-Length": "3"}))


# ---- callers

def test_callers(program, policy):
    ann, roles = {"name": "ann", "method": "user"}, {"roles": ["admin"]}
    passes(program, policy, get("/user", {"status": "pass", "caller": "ann"}, **{"as": ann}),
           get("/admin", "403 forbidden", **{"as": ann}), get("/admin", "pass", **{"as": {**ann, **roles}}),
           get("/admin", {"status": "pass", "caller": "acme"}, **{"as": {"name": "acme", "method": "partner", "roles": "admin"}}),
           get("/user", 401, **{"as": {"name": "acme", "method": "partner"}}), get("/open", "pass", **{"as": ann}),
           get("/own/ann", "pass", **{"as": {**ann, "claims": {"team": "red"}}}), get("/own/ann", 403, **{"as": {**ann, "claims": {"team": "blue"}}}),
           get("/own/bob", 403, **{"as": {**ann, "claims": {"team": "red"}}}), get("/own/9", "pass", **{"as": {**ann, "claims": {"team": "red", "sub": "9"}}}),
           get("/session", {"caller": "ann"}, **{"as": {**ann, "method": "session"}}), get("/query", {"caller": "ann"}, **{"as": {**ann, "method": "query"}}),
           get("/query?a=1", "pass", **{"as": {**ann, "method": "query"}}), get("/query?a=b", 400, **{"as": {**ann, "method": "query"}}),
           get("/cookie", {"caller": "ann"}, **{"as": {**ann, "method": "cookie"}}),
           get("/cookie", {"caller": "ann"}, headers={"Cookie": "a=b"}, **{"as": {**ann, "method": "cookie"}}),
           get("/basic", {"caller": "ann"}, **{"as": {**ann, "method": "basic"}}), get("/fetched", {"caller": "ann"}, **{"as": {**ann, "method": "fetched"}}),
           get("/keys", {"status": "pass", "handler": "respond", "caller": "ann"}, **{"as": {**ann, "method": "partner"}}))
    fails(program, policy, get("/user", {"caller": "bob"}, **{"as": ann}), "expected caller bob, found ann")
    fails(program, policy, get("/open", {"caller": "bob"}), "expected caller bob, found none")


def test_what_is_played_is_believed_of_nobody_else(program, policy):
    """The credential that stands for a caller is worth nothing without one."""
    header = {"Authorization": "Bearer played.by.fcgiguard.test"}
    passes(program, policy, get("/user", "401 invalid_token", headers=header), get("/query?key=played.by.fcgiguard.test", 401))


def test_a_caller_comes_by_one_way(program, folder):
    """Where two ways look into the same header, it is the one that is named; and what programs are told of him is told."""
    jwt = "{{jwt: {{algorithms: [HS256], secret: env:TEST_SECRET, any_audience: true{}}}}}"
    alone = folder.write("one/alone.yaml", "auth: {way: " + jwt.format("") + "}\ndefaults: {auth: way, exec: /nowhere}\nroutes: [{path: /a}]\n")
    passes(program, alone, get("/a", {"caller": "ann"}, **{"as": "ann"}), get("/a", "401 invalid_token", headers={"Authorization": "Bearer played.by.fcgiguard.test"}))
    both = folder.write("one/both.yaml", "auth: {one: " + jwt.format("") + ", two: " + jwt.format(", environment: {USER_MAIL: mail}") + "}\n"
                        "routes:\n  - {path: /a, auth: [one, two], exec: /nowhere}\n  - {path: /ask, auth: none, respond: authorize}\n")
    ask_it = {"parameters": {"ORIGINAL_URI": "/a", "ORIGINAL_METHOD": "GET"}}
    passes(program, both, get("/ask", {"headers": {"Auth-Method": "one", "Remote-User": "ann"}}, **ask_it, **{"as": {"name": "ann", "method": "one"}}),
           get("/ask", {"headers": {"Auth-Method": "two", "User-Mail": "a@b", "Auth-Roles": "x y", "Auth-Scopes": "z"}}, **ask_it,
               **{"as": {"name": "ann", "method": "two", "roles": ["x", "y"], "scopes": "z", "claims": {"mail": "a@b"}}}))


def test_the_place_of_a_credential(program, folder):
    """What is sent by browsers themselves is judged by where it came from."""
    policy = folder.write("place/policy.yaml", "store: sqlite:x.db\nauth:\n  way: {api_key: {header: X-Key, cookie: k, query: q, basic: true}}\n"
                          "  bare: {api_key: {query: q}}\n"
                          "routes:\n  - {path: /a, methods: [GET, POST], auth: way, csrf: {policy: auto, origins: [https://app.example.com]}, exec: /nowhere}\n")
    other = {"headers": {"Origin": "https://evil.example"}, "method": "POST"}

    def ann(place):
        return {"as": {"name": "ann", "method": "way", "place": place}}
    passes(program, policy, *[get("/a", {"caller": "ann"}, **ann(place)) for place in ("first", "header", "cookie", "query", "basic")],
           *[get("/a", {"caller": "ann", "status": "pass"}, **other, **ann(place)) for place in ("first", "header", "query")],
           *[get("/a", {"status": 403, "guard": "csrf"}, **other, **ann(place)) for place in ("cookie", "basic")])
    result = play(program, policy, [get("/a", **{"as": {"name": "ann", "method": "bare", "place": "cookie"}})])
    assert result.returncode == 2 and "as.place: bare looks for no credential there" in result.stderr


def test_authorizers(program, folder):
    policy = folder.write("role/policy.yaml", "authorizer: true\nauth: {way: {jwt: {algorithms: [HS256], secret: env:TEST_SECRET, any_audience: true}}}\n"
                          "defaults: {exec: /nowhere, auth: none}\nroutes:\n  - {path: /a, auth: way}\n  - {path: /b, body: {fields: {n: integer}}}\n"
                          "  - {path: /c, https: redirect}\n")
    role = {"role": "authorizer"}
    passes(program, policy, get("/a", {"status": 200, "headers": {"Variable-REMOTE_USER": "ann"}, "absent": "X-Request-ID"}, **role, **{"as": "ann"}),
           get("/a", "401 unauthorized", **role), get("/none", "403 route_not_found", **role), get("/c", "403 https_redirect", **role),
           get("/b", "403 body_unseen", method="POST", headers={"Content-Type": "application/json"}, **role),
           get("/a", {"status": "pass", "absent": "Variable-REMOTE_USER"}, **{"as": "ann"}))
    result = play(program, policy, [get("/b", json={}, **role)])
    assert result.returncode == 2 and "role: an authorizer is not given the body" in result.stderr


def test_keys_of_the_policy_are_judged(program, folder):
    store = folder.writable("keys") / "keys.db"
    key = harness.run([program, "key", "create", "--owner", "acme", "--store", store]).stdout.strip()
    digest = json.loads(harness.run([program, "key", "list", "--json", "--store", store]).stdout)[0]["digest"]
    policy = folder.write("keys/policy.yaml", json.dumps({
        "auth": {"k": {"api_key": {"keys": [{"id": key.split("_")[1], "digest": digest, "owner": "acme", "expires": "2027-01-31"}]}}},
        "routes": [{"path": "/a", "auth": "k", "exec": "/nowhere"}]}))
    header = {"headers": {"X-API-Key": key}}
    passes(program, policy, get("/a", {"caller": "acme"}, at="2027-01-30", **header), get("/a", "401 invalid_token", at="2027-02-01", **header),
           get("/a", 401, headers={"X-API-Key": key[:-1] + ("1" if key[-1] != "1" else "2")}), get("/a", {"caller": "bob"}, **{"as": "bob"}))


def test_tokens_are_judged(program, policy):
    def bearer(**claims):
        return {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"], **claims)}
    times = {"exp": 2000000000, "nbf": 1999999000}
    passes(program, policy, get("/user", {"caller": "bob"}, headers=bearer(exp=4000000000)),
           get("/user", {"caller": "bob"}, headers=bearer(**times), at="2033-05-18T03:33:19Z"),
           get("/user", "401 token_expired", headers=bearer(**times), at="2033-05-18T03:33:20Z"),
           get("/user", "401 invalid_token", headers=bearer(**times), at="2033-05-18T03:00:00Z"),
           get("/user", "pass", headers=bearer(**times), at="2033-05-18T03:33:10Z"),
           get("/user", "401 token_expired", headers=bearer(**times), after="10s"),
           get("/admin", "pass", headers=bearer(exp=4000000000, groups=["admin"])),
           get("/user", 401, headers={"Authorization": "Bearer " + token("another secret, of 32 bytes or more", exp=4000000000)}),
           get("/fetched", "503 keys_unavailable", headers={"Authorization": "Bearer " + token(header={"alg": "ES256"})}),
           get("/keys", "401 invalid_token", headers={"X-API-Key": "x"}))


# ---- limits, and the time

def test_limits(program, policy):
    guess = get("/login", 401, "POST", reply=401, at="2027-01-01")
    passes(program, policy, {**guess, "repeat": 3, "before": 401, "expect": {"status": "429 rate_limit_exceeded", "headers": {"Retry-After": "600"}}},
           get("/login", 429, "POST", after="599s"), get("/login", "pass", "POST", after="1s"),
           {**guess, "repeat": 2}, get("/login", 429, "POST", after="0s", reply=200), get("/login", "pass", "POST", address="192.0.2.7", after="0s"),
           {**guess, "repeat": 2}, get("/login", 429, "POST", after="0s"),
           get("/login", 201, "POST", reply=201, repeat=10, before=201), get("/login", "pass", "POST", repeat=10, before="pass"))
    fails(program, policy, {**guess, "repeat": 4, "before": 401, "expect": 429},
          "expected 401, found 429 rate_limit_exceeded (limits: guesses address=127.0.0.1: 2/10m) (request 3 of 4)")
    fails(program, policy, {**guess, "repeat": 2, "before": 401, "expect": 429}, "expected 429, found 401 from exec (request 2 of 2)")


def test_windows_do_not_depend_on_the_time_of_day(program, folder):
    """To the second, where a sliding window is told in parts."""
    policy = folder.write("windows/policy.yaml", "store: sqlite:x.db\nroutes: [{path: /, auth: none, limits: 1/15m, respond: nothing}]")
    found = set()
    for at in ("2027-01-01T00:00:00Z", "2027-01-01T11:03:17Z", None, "2031-07-05T23:59:59Z"):
        result = play(program, policy, [get("/", {"headers": {"Retry-After": "x"}}, repeat=2, **({"at": at} if at else {}))])
        found.add(re.search(r"found (\d+)", result.stdout)[1])
    assert len(found) == 1, found


def test_no_time_goes_by(program, policy):
    """Requests that a limit delays, and slots: no case waits for another, or for a clock."""
    passes(program, policy, get("/slow", 429, repeat=4, before="pass"), get("/slow", "pass", after="1s"), get("/slow", 429, after="0s"),
           get("/one", "pass", repeat=3, before="pass"))


def test_replies_are_judged_where_they_are_known(program, policy):
    passes(program, policy, get("/replies", "pass"), get("/replies", 200, reply={"json": {"n": 1}}), get("/replies", "pass"),
           get("/replies", "502 reply_invalid", reply={"json": {"n": "1"}}),
           get("/replies", "502 reply_invalid", reply={"json": [1]}))


def test_nothing_is_touched_or_started(program, policy):
    passes(program, policy, get("/login", 401, "POST", reply=401), get("/keys", 401))
    passes(program, policy, get("/scripts/hello.sh", "pass"), get("/scripts/hello.sh/a", 201, reply=201))
    assert sorted(file.name for file in policy.parent.iterdir()) == ["body.bin", "cases.json", "policy.yaml", "root"]


ELSEWHERE = """
listen: {address: "unix:/run/nowhere/guard.sock", owner: nobody-here, group: nobody-here}
user: nobody-here
group: nobody-here
spool: /nowhere/spool
store: {url: "sqlite:/nowhere/guard.db"}
auth:
  secret: {jwt: {algorithms: [HS256], secret: [file:/nowhere/key, env:NOT_SET_HERE], any_audience: true}}
  public: {jwt: {algorithms: [ES256], public_key: /nowhere/key.pem, any_audience: true}}
  set: {jwt: {algorithms: [ES256], jwks: nowhere.json, any_audience: true}}
  url: {jwt: {algorithms: [ES256], jwks_url: {url: "https://www.example.com/keys", ca: /nowhere/ca.pem}, any_audience: true}}
defaults: {limits: 5/1m, methods: [GET]}
routes:
  - {path: /secret, auth: secret, exec: {program: /nowhere/x, user: nobody-here, directory: /nowhere, environment: {A: file:/nowhere/a}}}
  - {path: /public, auth: public, exec: /nowhere/x}
  - {path: /set, auth: set, exec: /nowhere/x}
  - {path: /url, auth: url, exec: /nowhere/x}
  - {path: /scripts/**, auth: none, body: {max: 4mb, schema: none.json}, exec: {root: /nowhere}}
"""


def test_what_is_elsewhere(program, folder):
    """The machine that serves has what this one need not have; `check` and `serve` insist on it."""
    folder.write("elsewhere/none.json", "{}")
    policy = folder.write("elsewhere/policy.yaml", ELSEWHERE)
    ways = ("secret", "public", "set", "url")
    signed = {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"])}
    other = {"Authorization": "Bearer " + token(header={"alg": "ES256"})}
    passes(program, policy, *[get("/" + way, {"caller": "ann"}, **{"as": {"name": "ann", "method": way}}) for way in ways],
           get("/secret", "503 keys_unavailable", headers=signed), *[get("/" + way, "503 keys_unavailable", headers=other) for way in ways[1:]],
           *[get("/" + way, "401 invalid_token", headers={"Authorization": "Bearer x"}) for way in ways],
           get("/public", 429, repeat=6, before="401 unauthorized"), get("/scripts/any.sh", "pass"),
           get("/scripts/any.sh", "pass", method="GET", json=["x" * 1000] * 300))
    told = harness.run([program, "check", "-c", policy], env=harness.clean_environment()).stderr
    for key in ("listen.owner", "listen.group", "user", "group", "spool", "store.url", "secret[0]", "secret[1]", "public_key", "jwks", "ca", "exec.user",
                "exec.directory", "environment.A", "exec", "exec.root"):
        assert re.search(rf": (\S+\.)?{re.escape(key)}: ", told), (key, told)
    (folder / "elsewhere/none.json").unlink()
    result = play(program, policy, [get("/url", 401)])
    assert result.returncode == 1 and "none.json cannot be read" in result.stderr


# ---- what is said, and the exit status

def test_a_failure_has_its_place(program, policy, folder):
    file = folder.write("t/named.yaml", "policy: policy.yaml\ndefaults: {host: api.example.com}\ncases:\n"
                                        "  - {request: GET /open, expect: pass}\n  - name: odd\n    request: GET /open\n    expect: 403\n"
                                        "  - {request: GET /x, expect: pass}\n")
    result = command(program, "named.yaml", cwd=file.parent)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == ("named.yaml:5:5: odd: expected 403, found pass, to exec\n"
                             "named.yaml:8:5: GET /x: expected pass, found 404 route_not_found (route: no route has this path)\n1 passed, 2 failed\n")
    verbose = command(program, "-v", "named.yaml", cwd=file.parent)
    assert verbose.returncode == 1 and verbose.stdout.startswith("named.yaml:5:5: odd: expected 403")
    assert re.search(r"^    guards      dotfiles +passes$", verbose.stdout, re.M) and re.search(r"^    verdict     admitted$", verbose.stdout, re.M)
    assert verbose.stdout.count("    request  ") == 2, "of those that failed"
    file.unlink()


@pytest.mark.parametrize("file", sorted(BAD.glob("*.expected")), ids=lambda file: file.stem)
def test_bad_files(program, file):
    result = command(program, file.with_suffix(".yaml").name, cwd=BAD, TEST_SECRET="01234567890123456789012345678901")
    assert result.stderr.replace(str(BAD.resolve()), "FOLDER").replace(str(BAD), "FOLDER") == file.read_text()
    assert (result.returncode, result.stdout) == (2, "0 passed, 0 failed, 1 file not played\n")


def test_bad_policies(program, folder):
    folder.write("bad/policy.yaml", "routes: [{path: /, auth: none, exce: /no/such/program}]")
    file = folder.write("bad/t.yaml", "policy: policy.yaml\ncases: [{request: GET /, expect: pass}]")
    result = command(program, file)
    assert (result.returncode, result.stdout) == (1, "0 passed, 0 failed, 1 file not played\n")
    assert f"{folder}/bad/policy.yaml:1:32: routes[0].exce: " in result.stderr
    result = command(program, file, "-c", folder / "bad/none.yaml")
    assert result.returncode == 1 and "none.yaml" in result.stderr
    result = command(program, folder / "bad/none.yaml")
    assert result.returncode == 2 and "none.yaml" in result.stderr


def test_command_line(program, policy, folder):
    (policy.parent / "bare.yaml").write_text("cases: [{request: GET /x, expect: 404}]")
    bare = policy.parent / "bare.yaml"
    assert command(program, bare).returncode == 2
    result = command(program, "-c", policy, bare, bare)
    assert (result.returncode, result.stdout) == (0, "2 passed, 0 failed\n")
    result = command(program, "--config", policy, bare, folder / "none.yaml")
    assert (result.returncode, result.stdout) == (2, "1 passed, 0 failed, 1 file not played\n")
    bare.unlink()
    for arguments in ([], ["-x", "a"], ["-c"]):
        result = command(program, *arguments)
        assert result.returncode == 2 and "usage: fcgiguard test" in result.stderr
    text = harness.run([program, "help", "test"]).stdout
    assert "cases.expect.status" in text and "cases.as.name" in text and "(required)" in text


def test_uncovered(program, folder):
    folder.write("u/policy.yaml", "defaults: {auth: none, respond: nothing}\nroutes:\n  - {path: /a, methods: [GET]}\n"
                                  "  - {path: /b, methods: [GET]}\n  - {path: /b, methods: [POST]}\n  - {path: /ask, respond: authorize}\n")
    one = folder.write("u/one.yaml", "policy: policy.yaml\ncases: [{request: GET /a, expect: 204}, {request: PUT /b, expect: 405},\n"
                                     "{request: GET /ask, parameters: {ORIGINAL_URI: /a, ORIGINAL_METHOD: GET}, expect: 204}]")
    two = folder.write("u/two.yaml", "policy: ../u/policy.yaml\ncases: [{request: GET /b, expect: 204}, {request: POST /b, expect: 204}]")
    result = command(program, "--uncovered", one)
    assert result.returncode == 1
    assert result.stdout == f"{folder}/u/policy.yaml:4: /b: no case reaches it\n{folder}/u/policy.yaml:5: /b: no case reaches it\n3 passed, 0 failed\n"
    assert command(program, one).returncode == 0
    result = command(program, "-u", one, two)
    assert (result.returncode, result.stdout) == (0, "5 passed, 0 failed\n")


# ---- the examples

@pytest.mark.parametrize("name", ["site", "api", "cors", "headers", "versions", "errors", "answers", "openapi/policy", "express/policy", "fastapi/policy"])
def test_examples(program, name):
    """Where they are: nothing of what the policies name is there."""
    result = command(program, "-u", harness.EXAMPLES / f"{name}.test.yaml")
    assert result.returncode == 0 and re.fullmatch(r"\d+ passed, 0 failed\n", result.stdout), result.stdout + result.stderr


def test_example_of_the_manual(program, folder):
    page = (harness.SOURCE / "man/fcgiguard.8").read_text()
    text = page[page.index(".Sh TESTS OF A POLICY"):]
    text = text[text.index("policy: policy.yaml"):text.index(".Ed")]
    folder.write("manual/policy.yaml", """
store: sqlite:guard.db
auth: {user: {jwt: {algorithms: [HS256], secret: env:TEST_SECRET, any_audience: true}}}
limits: {login: {rate: 5/15m, count: failures, algorithm: fixed}}
defaults: {auth: none, hosts: api.example.com, https: require, exec: /bin/true}
routes:
  - {path: /api/health, methods: [GET]}
  - {path: /api/users, methods: [GET], auth: user, roles: admin}
  - {path: /api/login, methods: [POST], limits: login, content_types: application/json}
""")
    result = command(program, "-u", folder.write("manual/policy.test.yaml", text))
    assert (result.returncode, result.stdout) == (0, "7 passed, 0 failed\n"), result.stdout + result.stderr


# ---- what is found is what happens

LIVE = {
    "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "env:TEST_SECRET", "issuer": "tests", "any_audience": True}}},
    "limits": {"few": {"rate": "2/1h", "by": "header:x-who", "algorithm": "fixed"}},
    "proxies": ["192.0.2.100"],
    "cors": {"web": {"origins": ["https://a.example"], "credentials": True, "max_age": "1h"}},
    "defaults": {"auth": "none", "hosts": ["api.example.com"]},
}
BEARER = {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"], sub="bob", roles=["admin"], exp=4000000000)}
SAID = "Status: 201\r\nContent-Type: text/plain\r\nX-Powered-By: PHP\r\nServer: x\r\nX-Own: 1\r\n\r\nmade"
PLAYED = {"status": 201, "headers": {"Content-Type": "text/plain", "X-Powered-By": "PHP", "Server": "x", "X-Own": "1"}, "body": "made"}
BROKEN = "Status: 500\r\nContent-Type: text/plain\r\n\r\nTraceback: secret"
CASES = [
    ("GET", raw(SAID), {}, None, {"reply": PLAYED}), ("HEAD", raw(SAID), {}, None, {"reply": PLAYED}),
    ("GET", raw(BROKEN), {}, None, {"reply": {"status": 500, "headers": {"Content-Type": "text/plain"}, "body": "Traceback: secret"}}),
    ("GET", "/none", {}, None, {}), ("GET", "/app/../etc", {}, None, {}), ("GET", "/app/%2e%2e/%2e%2e/x", {}, None, {}), ("GET", "/a%2fb", {}, None, {}),
    ("GET", "/app/.git/x", {}, None, {}), ("PUT", "/app/json", {}, None, {}), ("BREW", "/app/json", {}, None, {}),
    ("GET", "/app/h/x", {"Host": "evil.example"}, None, {}), ("GET", "/app/h/x", {"Host": "a b"}, None, {}),
    ("GET", "/app/tls", {}, None, {}), ("GET", "/app/redirect?a=1", {}, None, {}), ("POST", "/app/redirect", {}, b"x", {}),
    ("GET", "/app/near", {}, None, {}), ("GET", "/app/near", {"X-Forwarded-For": "10.0.0.1"}, None, {}),
    ("GET", "/app/user", {}, None, {}), ("GET", "/app/user", {"Authorization": "Bearer x"}, None, {}),
    ("GET", "/app/user", {"Authorization": "Basic x"}, None, {}), ("GET", "/app/admin", {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"], exp=4000000000)}, None, {}),
    ("GET", "/app/user", {"Authorization": "Bearer " + token(ENVIRONMENT["TEST_SECRET"], exp=1)}, None, {}), ("GET", "/app/admin", BEARER, None, {}),
    ("POST", "/app/json", {"Content-Type": "application/json"}, b'{"n": "x"}', {}), ("POST", "/app/json", {"Content-Type": "application/json"}, b'{"n": 1, "m": 2}', {}),
    ("POST", "/app/json", {"Content-Type": "application/json"}, b'{"n": 1', {}), ("POST", "/app/json", {"Content-Type": "text/xml"}, b"<a/>", {}),
    ("POST", "/app/json", {"Content-Type": "application/json"}, b'{"n": 1, "s": "' + b"x" * 200 + b'"}', {}), ("POST", "/app/json", {}, None, {}),
    ("GET", "/app/query?a=1&a=2", {}, None, {}), ("GET", "/app/query?a=x", {}, None, {}), ("GET", "/app/query?b=1", {}, None, {}),
    ("GET", "/app/nothing", {}, None, {}), ("GET", "/app/few", {"X-Who": "ann"}, None, {}), ("GET", "/app/few", {"X-Who": "ann"}, None, {"after": "0s"}),
    ("GET", "/app/few", {"X-Who": "ann"}, None, {"after": "0s"}),
    ("OPTIONS", "/app/json", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, None, {}),
    ("OPTIONS", "/app/shared", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, None, {}),
    ("OPTIONS", "/app/shared", {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}, None, {}),
    ("GET", "/app/page", {}, None, {}), ("GET", "/app/page", {"Accept": "text/html"}, None, {}), ("GET", "/app/page", {"Accept": "text/html", "Accept-Language": "de"}, None, {}),
    ("GET", "/app/old", {}, None, {}), ("GET", "/app/end", {}, None, {}), ("GET", "/app/csrf", {}, None, {}),
    ("POST", "/app/csrf", {"Origin": "https://evil.example"}, b"x", {}), ("POST", "/app/csrf", {"Sec-Fetch-Site": "cross-site"}, b"x", {}),
    ("GET", "/app/shared", {"Origin": "https://a.example"}, None, {}), ("GET", "/app/shared", {"Origin": "https://b.example"}, None, {}),
]
# What is another in each request, or goes on with a clock that no case has set.
MOVING = {"x-request-id", "ratelimit", "retry-after"}


@pytest.fixture(scope="module")
def live(start_guard, folder, helper):
    def route(path, methods=("GET", "POST"), **more):
        return {"path": path, "methods": list(methods), **({} if "respond" in more else {"exec": helper}), **more}
    policy = {"store": f"sqlite:{folder.writable('store')}/guard.db", **LIVE, "routes": [
        route("/app/h/**"), route("/app/tls", https="require"), route("/app/redirect", https="redirect"), route("/app/near", addresses="10.0.0.0/8"),
        route("/app/user", auth="user"), route("/app/admin", auth="user", roles="admin"), route("/app/nothing", respond="nothing"),
        route("/app/json", ["POST"], body={"max": "100b", "fields": {"n": {"type": "integer", "required": True}}}, headers="helmet"),
        route("/app/query", reject="repeated_params", parameters={"query": {"a": "integer"}}, headers="nginx"), route("/app/few", limits="few"), route("/app/shared", cors="web"),
        route("/app/page", auth="user", errors={"profile": "problem", "messages": {"unauthorized": {"en": "Who?", "de": "Wer?"}}}),
        route("/app/old", retire={"deprecated": "2026-01-01", "successor": "/app/h/x"}),
        route("/app/end", retire={"deprecated": "2026-01-01", "sunset": "2026-01-02"}), route("/app/csrf", csrf="on")]}
    return start_guard(policy, name="live", environment=ENVIRONMENT)


def test_what_is_found_is_what_happens(program, live):
    """Each case against a running guard; then what it did is what is expected of the played one, to the header."""
    cases = []
    for method, uri, headers, body, more in CASES:
        headers = {"Host": "api.example.com", **headers}
        reply = ask(live.address, method, uri, body, headers=headers)
        assert reply.complete, (method, uri)
        kept = {name: value for name, value in reply.headers if name.lower() not in MOVING}
        expect = {"headers": kept, "present": [name for name, _ in reply.headers]}
        code = json.loads(reply.body).get("error") if reply.status >= 300 and reply.body[:1] == b"{" else None
        handed_over = code is None and reply.status < 300 and method != "OPTIONS"
        if not handed_over or "reply" in more or uri == "/app/nothing":
            expect["status"] = reply.status
        else:
            expect["status"] = "pass"
            expect["headers"] = {name: value for name, value in kept.items() if name.lower() not in ("content-type", "content-length")}
            del expect["present"]
        if code:
            expect["code"] = code
        cases.append({"name": f"{method} {uri} {headers}", "request": f"{method} {uri}", "headers": headers, "expect": expect,
                      **({"body": body.decode()} if body is not None else {}), **more})
    result = play(program, live.policy_path, cases)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == f"{len(CASES)} passed, 0 failed\n"
    statuses = {case["expect"]["status"] for case in cases}
    assert statuses >= {201, 204, 308, 400, 401, 403, 404, 405, 413, 415, 429, 500, "pass"}, statuses
    for case in cases:  # and none of them would pass whatever happens
        case["expect"]["status"] = 418
    assert play(program, live.policy_path, cases).stdout.endswith(f"\n0 passed, {len(CASES)} failed\n")
