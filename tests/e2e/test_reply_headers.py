"""One table: every kind of reply, and which headers it leaves with. Each cell is
asserted straight at fcgiguard and through the web servers, over programs that send
headers of the same names themselves."""

import json
import re

import pytest

import harness
import records
import servers
import test_authorize
from records import raw
from test_callers import SECRET, bearer, token
from test_replies import HELMET, UUID

KINDS = ["alone", "lighttpd", "nginx", "mod_proxy_fcgi", "caddy"]
LIMIT = {"RateLimit", "RateLimit-Policy"}


CORS = ("Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Allow-Private-Network", "Expose-Headers", "Max-Age")
# What scripts may read without the policy's saying so, where it is there.
TOLD = ("Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "Deprecation", "Sunset", "Link")
APP, STRANGER = "https://app.example.com", "https://stranger.example.org"

RULES = {"web": {"origins": [APP, "https://other.example.com"], "credentials": True, "methods": ["GET", "PUT"],
                 "headers": "X-Custom", "expose": "X-Named", "max_age": "10m"}}

# What a program says of what is ours to say; none of these values may get out.
LIES = {
    **{name: "a lie" for name in HELMET if name != "Content-Security-Policy"}, "X-Request-ID": "a-lie", "RateLimit": "a-lie", "RateLimit-Policy": "a-lie",
    **{"Access-Control-" + name: "a lie" for name in CORS},
    "X-Powered-By": "a lie", "Server": "a lie", "X-Accel-Redirect": "/a-lie", "Connection": "a-lie",
}


# What it may say.
OWN_POLICY = "img-src 'none'"


def said(status, more="", body="", where="/app/h", cache="Cache-Control: max-age=60\n"):
    """A reply of the program, as the target that makes it."""
    lies = "".join(f"{name}: {value}\n" for name, value in LIES.items())
    return raw(f"Status: {status}\nContent-Type: text/plain\n{cache}Vary: Accept-Encoding\nSet-Cookie: a=1\n"
               f"Content-Security-Policy: {OWN_POLICY}\n{lies}{more}\n{body}", where)


def policy(folder, helper):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    away = f"https://127.0.0.1:{harness.free_port()}/keys.json"
    return {
        "proxies": ["127.0.0.1"],
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests",
                                  "cookie": "session"}},
                 "away": {"jwt": {"algorithms": ["ES256"], "jwks_url": {"url": away, "private": True}}}},
        "cors": RULES,
        "versions": {"header": "API-Version", "default": "2", "list": {
            "1": {"deprecated": "2026-01-01", "sunset": "2099-01-01", "successor": "2"}, "2": {},
            "0": {"deprecated": "2020-01-01", "sunset": "2021-01-01", "successor": "2"}}},
        "limits": {"general": "1000000/1h", "never": {"rate": "0/1h"}},
        "defaults": {"auth": "none", "headers": "helmet", "limits": "general", "cors": "web", "cookies": {"same_site": "lax"},
                     "version": "none", "exec": helper},
        "routes": [
            {"path": "/app/h/**", "methods": ["GET", "POST"], "body": "100b"},
            {"path": "/app/typed/**", "methods": ["POST"], "content_types": "application/json",
             "body": {"max": "100b", "fields": {"name": "string"}}},
            {"path": "/app/form/**", "methods": ["POST"], "body": {"fields": {"name": "string"}}, "validation_status": 422},
            {"path": "/app/user/**", "auth": "user"},
            {"path": "/app/admin/**", "auth": "user", "roles": "admin"},
            {"path": "/app/keyless/**", "auth": "away"},
            {"path": "/app/redirected/**", "https": "redirect"},
            {"path": "/app/secure/**", "https": "require"},
            {"path": "/app/host/**", "hosts": "other.example"},
            {"path": "/app/limited/**", "limits": "never"},
            {"path": "/app/ends/**", "methods": ["GET", "POST"], "body": "100b",
             "retire": {"deprecated": "2026-01-01", "sunset": "2099-01-01", "successor": "/app/h"}},
            {"path": "/app/gone/**", "retire": {"deprecated": "2020-01-01", "sunset": "2021-01-01", "successor": "/app/h"}},
            {"path": "/app/html/**", "headers": {"preset": "helmet", "Content-Security-Policy": {"script-src": "nonce"}}},
            {"path": "/app/logout/**", "headers": {"preset": "helmet", "Clear-Site-Data": ["cookies"]}},
            {"path": "/app/version/**", "version": ["0", "1", "2"]},
            {"path": "/app/problem/**", "body": "100b", "errors": "problem"},
        ],
    }


HTTPS = ("X-Forwarded-Proto", "https")
PAGE = ("Accept", "text/html,*/*;q=0.8")
TYPED = ("Content-Type", "application/json")
PREFLIGHT = [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-custom")]

# kind: method, target, headers, body
REQUESTS = {
    "200": ("GET", said(200, "", "body"), [], None),
    "200 HEAD": ("HEAD", said(200, "", "body"), [], None),
    "200 length": ("GET", said(200, "Content-Length: 4\n", "body"), [], None),
    "200 HEAD length": ("HEAD", said(200, "Content-Length: 4\n"), [], None),
    "200 POST": ("POST", said(200, "", "body"), [TYPED], b"{}"),
    "200 HTTP": ("GET", said(200, "", "body"), ["http"], None),
    "200 caller": ("GET", said(200, "", "body", "/app/user"), [bearer()], None),
    "200 caller silent": ("GET", said(200, "", "body", "/app/user", ""), [bearer()], None),
    "304 caller": ("GET", said(304, 'ETag: "1"\n', "", "/app/user", ""), [bearer(), ("If-None-Match", '"1"')], None),
    "201": ("POST", said(201, "Location: /app/h/hello\n", "body"), [], b""),
    "204": ("GET", said(204), [], None),
    "204 HEAD": ("HEAD", said(204), [], None),
    "206": ("GET", said(206, "Content-Range: bytes 0-3/10\n", "body"), [("Range", "bytes=0-3")], None),
    "304": ("GET", said(304, 'ETag: "1"\n'), [("If-None-Match", '"1"')], None),
    "304 HEAD": ("HEAD", said(304, 'ETag: "1"\n'), [("If-None-Match", '"1"')], None),
    "301": ("GET", said(301, "Location: https://other.example/x\n"), [], None),
    "302": ("GET", said(302, "Location: https://other.example/x\n", "body"), [], None),
    "302 HEAD": ("HEAD", said(302, "Location: https://other.example/x\n"), [], None),
    "303": ("POST", said(303, "Location: https://other.example/x\n"), [], b""),
    "307": ("POST", said(307, "Location: https://other.example/x\n"), [], b""),
    "308": ("GET", said(308, "Location: https://other.example/x\n"), [], None),
    "308 ours": ("GET", "/app/redirected/x", ["http"], None),
    "308 ours HEAD": ("HEAD", "/app/redirected/x", ["http"], None),
    "streamed": ("GET", "/app/h/drip?2", [], None),
    "cut": ("GET", "/app/h/kill-self-later", [], None),
    "400 program": ("GET", said(400, "", "body"), [], None),
    "404 program": ("GET", said(404, "", "body"), [], None),
    "500 program": ("GET", said(500, "Retry-After: 7\n", "Traceback"), [], None),
    "500 program HEAD": ("HEAD", said(500), [], None),
    "502": ("GET", raw("no header at all"), [], None),
    "400 host": ("GET", "/app/host/hello", [], None),
    "400 content": ("POST", "/app/typed/count", [TYPED], b'{"name": 1}'),
    "422 content": ("POST", "/app/form/count", [TYPED], b'{"name": 1}'),
    "401": ("GET", "/app/user/hello", [], None),
    "401 HEAD": ("HEAD", "/app/user/hello", [], None),
    "401 token": ("GET", "/app/user/hello", [bearer(exp=1)], None),
    "403 roles": ("GET", "/app/admin/hello", [bearer()], None),
    "403 http": ("POST", "/app/secure/count", ["http"], b""),
    "403 forged": ("POST", "/app/user/count", [("Cookie", f"session={token()}"), ("Sec-Fetch-Site", "cross-site")], b""),
    "410": ("GET", "/app/gone/hello", [], None),
    "410 HEAD": ("HEAD", "/app/gone/hello", [], None),
    "ends 200": ("GET", said(200, "", "body", "/app/ends"), [], None),
    "ends 200 HEAD": ("HEAD", said(200, "", "", "/app/ends"), [], None),
    "ends 204": ("GET", said(204, "", "", "/app/ends"), [], None),
    "ends 304": ("GET", said(304, 'ETag: "1"\n', "", "/app/ends"), [("If-None-Match", '"1"')], None),
    "ends 302": ("GET", said(302, "Location: https://other.example/x\n", "", "/app/ends"), [], None),
    "ends streamed": ("GET", "/app/ends/drip?2", [], None),
    "ends cut": ("GET", "/app/ends/kill-self-later", [], None),
    "ends 413": ("POST", "/app/ends/count", [], b"x" * 200),
    "ends 500": ("GET", said(500, "", "", "/app/ends"), [], None),
    "version 200": ("GET", said(200, "", "body", "/app/version"), [], None),
    "version 200 old": ("GET", said(200, "", "body", "/app/version"), [("API-Version", "1")], None),
    "version 304 old": ("GET", said(304, 'ETag: "1"\n', "", "/app/version"), [("API-Version", "1"), ("If-None-Match", '"1"')], None),
    "version 406": ("GET", "/app/version/hello", [("API-Version", "9")], None),
    "version 410": ("GET", "/app/version/hello", [("API-Version", "0")], None),
    "html 200": ("GET", raw("Content-Type: text/html\n\nbody", "/app/html"), [], None),
    "html 200 HEAD": ("HEAD", raw("Content-Type: text/html\n\n", "/app/html"), [], None),
    "html 304": ("GET", raw('Status: 304\nETag: "1"\n\n', "/app/html"), [("If-None-Match", '"1"')], None),
    "html 502": ("GET", raw("no header at all", "/app/html"), [], None),
    "logout 303": ("GET", raw("Status: 303\nLocation: https://other.example/x\n\n", "/app/logout"), [], None),
    "logout 304": ("GET", raw('Status: 304\nETag: "1"\n\n', "/app/logout"), [("If-None-Match", '"1"')], None),
    "logout 400": ("GET", raw("Status: 400\nContent-Type: text/plain\n\nbody", "/app/logout"), [], None),
    "logout 502": ("GET", raw("no header at all", "/app/logout"), [], None),
    "404": ("GET", "/app/nowhere", [], None),
    "404 HEAD": ("HEAD", "/app/nowhere", [], None),
    "400 path": ("GET", "/app/h/%00", [], None),
    "414": ("GET", "/app/h/" + "x" * 9000, [], None),
    "405": ("DELETE", "/app/typed/count", [], None),
    "413": ("POST", "/app/typed/count", [TYPED], b'"' + b"x" * 200 + b'"'),
    "415": ("POST", "/app/typed/count", [("Content-Type", "text/xml")], b"<x/>"),
    "401 page": ("GET", "/app/user/hello", [PAGE], None),
    "404 page": ("GET", "/app/nowhere", [PAGE], None),
    "404 page HEAD": ("HEAD", "/app/nowhere", [PAGE], None),
    "413 problem": ("POST", "/app/problem/count", [TYPED], b"x" * 200),
    "429": ("GET", "/app/limited/hello", [], None),
    "429 HEAD": ("HEAD", "/app/limited/hello", [], None),
    "preflight": ("OPTIONS", "/app/h/hello", PREFLIGHT, None),
    "preflight 401": ("OPTIONS", "/app/user/hello", PREFLIGHT, None),
    "503": ("GET", "/app/keyless/hello", [("Authorization", "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.e30.AAAA")], None),
}

# What web servers refuse by themselves.
ALONE = ("400 path", "414")

# No preflight is without an origin, and what is sent for an allowed one is no forgery.
ORIGINS = {"preflight": (APP, STRANGER), "preflight 401": (APP, STRANGER), "403 forged": (None, STRANGER)}

# by: who says it, a program that lies (above), a bare one, or us; body: whose it is; limit: of the request's limits; retry: Retry-After; cache: Cache-Control.
TABLE = """
kind               by       status  body     safe      id   limit  retry  cache                vary                          more
200                program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding               -
200 HEAD           program  200     none     yes       yes  yes    -      max-age=60           Accept-Encoding               -
200 length         program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding               -
200 HEAD length    program  200     none     yes       yes  yes    -      max-age=60           Accept-Encoding               -
200 POST           program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding               -
200 HTTP           program  200     own      http      yes  yes    -      max-age=60           Accept-Encoding               -
200 caller         program  200     own      yes       yes  yes    -      max-age=60, private  Accept-Encoding               -
200 caller silent  program  200     own      yes       yes  yes    -      no-store             Accept-Encoding               -
304 caller         program  304     none     yes       yes  yes    -      no-store             Accept-Encoding               ETag
201                program  201     own      yes       yes  yes    -      max-age=60           Accept-Encoding               Location
204                program  204     none     yes       yes  yes    -      max-age=60           Accept-Encoding               -
204 HEAD           program  204     none     yes       yes  yes    -      max-age=60           Accept-Encoding               -
206                program  206     own      yes       yes  yes    -      max-age=60           Accept-Encoding               Content-Range
304                program  304     none     yes       yes  yes    -      max-age=60           Accept-Encoding               ETag
304 HEAD           program  304     none     yes       yes  yes    -      max-age=60           Accept-Encoding               ETag
301                program  301     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location
302                program  302     own      yes       yes  yes    -      max-age=60           Accept-Encoding               Location
302 HEAD           program  302     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location
303                program  303     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location
307                program  307     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location
308                program  308     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location
308 ours           us       308     error    http      yes  -      -      no-store             Accept                        Location
308 ours HEAD      us       308     none     http      yes  -      -      no-store             Accept                        Location
streamed           bare     200     own      yes       yes  yes    -      -                    -                             -
cut                bare     200     cut      yes       yes  yes    -      -                    -                             -
400 program        program  400     own      yes       yes  yes    -      max-age=60           Accept-Encoding               -
404 program        program  404     own      yes       yes  yes    -      max-age=60           Accept-Encoding               -
500 program        us       500     error    yes       yes  yes    7      no-store             Accept                        -
500 program HEAD   us       500     none     yes       yes  yes    -      no-store             Accept                        -
502                us       502     error    yes       yes  yes    -      no-store             Accept                        -
400 host           us       400     error    yes       yes  -      -      no-store             Accept                        -
400 content        us       400     error    yes       yes  yes    -      no-store             Accept                        -
422 content        us       422     error    yes       yes  yes    -      no-store             Accept                        -
401                us       401     error    yes       yes  yes    -      no-store             Accept                        WWW-Authenticate
401 HEAD           us       401     none     yes       yes  yes    -      no-store             Accept                        WWW-Authenticate
401 token          us       401     error    yes       yes  yes    -      no-store             Accept                        WWW-Authenticate
403 roles          us       403     error    yes       yes  yes    -      no-store             Accept                        -
403 http           us       403     error    http      yes  -      -      no-store             Accept                        -
403 forged         us       403     error    yes       yes  yes    -      no-store             Accept                        -
410                us       410     error    yes       yes  -      -      no-store             Accept                        ends
410 HEAD           us       410     none     yes       yes  -      -      no-store             Accept                        ends
ends 200           program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding               ends
ends 200 HEAD      program  200     none     yes       yes  yes    -      max-age=60           Accept-Encoding               ends
ends 204           program  204     none     yes       yes  yes    -      max-age=60           Accept-Encoding               ends
ends 304           program  304     none     yes       yes  yes    -      max-age=60           Accept-Encoding               ETag, ends
ends 302           program  302     none     yes       yes  yes    -      max-age=60           Accept-Encoding               Location, ends
ends streamed      bare     200     own      yes       yes  yes    -      -                    -                             ends
ends cut           bare     200     cut      yes       yes  yes    -      -                    -                             ends
ends 413           us       413     error    yes       yes  yes    -      no-store             Accept                        ends
ends 500           us       500     error    yes       yes  yes    -      no-store             Accept                        ends
version 200        program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding, API-Version  -
version 200 old    program  200     own      yes       yes  yes    -      max-age=60           Accept-Encoding, API-Version  ends
version 304 old    program  304     none     yes       yes  yes    -      max-age=60           Accept-Encoding, API-Version  ETag, ends
version 406        us       406     error    yes       yes  -      -      no-store             Accept, API-Version           -
version 410        us       410     error    yes       yes  -      -      no-store             Accept, API-Version           ends
html 200           bare     200     own      nonce     yes  yes    -      private              -                             -
html 200 HEAD      bare     200     none     nonce     yes  yes    -      private              -                             -
html 304           bare     304     none     none      yes  yes    -      -                    -                             ETag
html 502           us       502     error    no nonce  yes  yes    -      no-store             Accept                        -
logout 303         bare     303     none     yes       yes  yes    -      -                    -                             Location, Clear-Site-Data
logout 304         bare     304     none     yes       yes  yes    -      -                    -                             ETag
logout 400         bare     400     own      yes       yes  yes    -      -                    -                             -
logout 502         us       502     error    yes       yes  yes    -      no-store             Accept                        -
404                us       404     error    yes       yes  -      -      no-store             Accept, API-Version           -
404 HEAD           us       404     none     yes       yes  -      -      no-store             Accept, API-Version           -
400 path           us       400     error    yes       yes  -      -      no-store             Accept                        -
414                us       414     error    yes       yes  -      -      no-store             Accept                        -
405                us       405     error    yes       yes  -      -      no-store             Accept                        Allow
413                us       413     error    yes       yes  yes    -      no-store             Accept                        -
415                us       415     error    yes       yes  yes    -      no-store             Accept                        -
401 page           us       401     page     page      yes  yes    -      no-store             Accept                        WWW-Authenticate
404 page           us       404     page     page      yes  -      -      no-store             Accept, API-Version           -
404 page HEAD      us       404     none     page      yes  -      -      no-store             Accept, API-Version           -
413 problem        us       413     problem  yes       yes  yes    -      no-store             Accept                        -
429                us       429     error    yes       yes  yes    yes    no-store             Accept                        -
429 HEAD           us       429     none     yes       yes  yes    yes    no-store             Accept                        -
preflight          us       204     none     yes       yes  -      -      -                    -                             -
preflight 401      us       204     none     yes       yes  -      -      -                    -                             -
503                us       503     error    yes       yes  yes    yes    no-store             Accept                        -
"""


def rows(table):
    lines = [re.split(r"  +", line.strip()) for line in table.strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_table_is_whole():
    assert [row["kind"] for row in rows(TABLE)] == list(REQUESTS)


class Alone:
    """No web server: what fcgiguard itself says."""

    def __init__(self, guard):
        self.guard, self.kind = guard, "alone"

    def fetch(self, target, method="GET", headers=(), body=None):
        return records.ask(self.guard.address, method, target, body, headers=dict(headers))

    def stop(self):
        pass


@pytest.fixture(scope="module", params=KINDS)
def front(request, folder, helper):
    rules = policy(folder, helper)
    if request.param == "alone":
        started = Alone(harness.Guard(folder, rules, name="headers-alone"))
    else:
        started = servers.start(request.param, folder, rules, name=f"headers-{request.param}")
    yield started
    started.stop()
    started.guard.stop()


def one(reply, name):
    """The value of a header that is there, and there once."""
    values = reply.all(name)
    assert len(values) == 1, (name, values, reply.headers)
    return values[0]


def check_policies(reply, cell):
    # A list, which Apache writes on one line.
    policies = sorted(", ".join(reply.all("Content-Security-Policy")).split(", "))
    pattern = {"page": r"default-src 'none'; ?style-src 'sha256-.*", "nonce": "script-src 'nonce-[0-9a-f]{32}'",
               "no nonce": "script-src", "none": ""}.get(cell)
    if pattern is not None:
        assert len(policies) == 1 and re.fullmatch(pattern, policies[0]), policies
    else:
        assert policies == [HELMET["Content-Security-Policy"]] + ([OWN_POLICY] if cell == "program" else [])


def check_safe(reply, cell, kind, policies=None):
    """By HTTP one is missing, and Caddy tells itself how a request came, whatever a client says."""
    for name, value in HELMET.items():
        if name == "Strict-Transport-Security" and (cell == "http" or kind == "caddy"):
            assert not reply.all(name)
        elif name != "Content-Security-Policy":
            assert one(reply, name) == value
    check_policies(reply, policies or cell)


def check_limit(reply, cell):
    for name in LIMIT:
        assert one(reply, name) if cell == "yes" else not reply.all(name), (name, reply.headers)


def check_retry(reply, cell):
    found = reply.all("Retry-After")
    assert found == [] if cell == "-" else len(found) == 1 and (cell == "yes" and int(found[0]) > 0 or found == [cell]), found


def check_cache(reply, cell):
    assert sorted(", ".join(reply.all("Cache-Control")).split(", ")) == sorted(cell.strip("-").split(", "))


def check_body(reply, cell, method, kind):
    if cell == "page":
        assert reply.body.startswith(b"<!") and reply.get("X-Request-ID").encode() in reply.body
        assert one(reply, "Content-Type") == "text/html; charset=utf-8"
        assert reply.get("Content-Length") == str(len(reply.body)) or kind == "mod_proxy_fcgi"
    elif cell == "problem":
        body = json.loads(reply.body)
        assert body["status"] == reply.status and body["requestId"] == reply.get("X-Request-ID")
        assert one(reply, "Content-Type") == "application/problem+json"
    elif cell == "error":
        body = json.loads(reply.body)
        assert {"error", "message", "requestId"} <= set(body) and body["requestId"] == reply.get("X-Request-ID")
        assert one(reply, "Content-Type") == "application/json"
        # Apache does not hand it on.
        assert reply.get("Content-Length") == str(len(reply.body)) or kind == "mod_proxy_fcgi"
        assert b"lie" not in reply.body and b"Traceback" not in reply.body
    elif cell == "none":
        assert reply.body == b""
        if reply.status == 204 or method != "HEAD" and reply.status >= 200 and reply.status != 304:
            assert reply.get("Content-Length", "0") == "0"
    elif cell == "own":
        assert reply.body in (b"body", b"..") and one(reply, "Content-Type").startswith("text/")
    elif cell == "cut":
        assert reply.body == b"only this" and not reply.complete
    if cell != "cut":
        assert reply.complete


def varied(reply):
    return [name.strip() for name in (reply.get("Vary") or "").split(",") if name.strip()]


def check_vary(reply, cell, preflight):
    wanted = {"Origin"} | (set(cell.split(", ")) - {"-"})
    if preflight:
        wanted |= {"Access-Control-Request-Method"}
    assert set(varied(reply)) == wanted


def check_nothing_twice(reply):
    """But for policies, of which each is heeded by itself."""
    names = [name.lower() for name, _ in reply.headers if name.lower() != "content-security-policy"]
    assert len(names) == len(set(names)), sorted(names)
    assert len(varied(reply)) == len({name.lower() for name in varied(reply)}), reply.get("Vary")


def check_cors(reply, origin, preflight):
    """Of the program's own nothing; and caches are told in any case."""
    wanted = {}
    if origin == APP:
        wanted = {"Allow-Origin": APP, "Allow-Credentials": "true"}
        wanted |= ({"Allow-Methods": "GET, PUT", "Allow-Headers": "X-Custom", "Max-Age": "600"} if preflight
                   else {"Expose-Headers": {"X-Request-ID", "X-Named"} | {name for name in TOLD if reply.get(name)}})
    found = {name: one(reply, "Access-Control-" + name) for name in CORS if reply.all("Access-Control-" + name)}
    if "Expose-Headers" in found:
        names = found["Expose-Headers"].split(", ")
        found["Expose-Headers"] = set(names)
        assert len(names) == len(set(names))
    assert found == wanted


@pytest.mark.parametrize("row", rows(TABLE), ids=lambda row: row["kind"].replace(" ", "-"))
def test_cells(front, row):
    if row["kind"] in ALONE and front.kind != "alone":
        return
    method, target, headers, body = REQUESTS[row["kind"]]
    headers = [header for header in headers if header != "http"] + ([] if "http" in headers else [HTTPS])
    for origin in ORIGINS.get(row["kind"], (None, APP, STRANGER)):
        reply = front.fetch(target, method=method, headers=headers + ([("Origin", origin)] if origin else []), body=body)
        assert reply.status == int(row["status"]), (reply.status, reply.body, front.guard.text()[-1500:])
        check_nothing_twice(reply)
        assert not [header for header in reply.headers if "lie" in header[1]], reply.headers
        check_safe(reply, row["safe"], front.kind, "program" if row["by"] == "program" else None)
        assert UUID.match(one(reply, "X-Request-ID"))
        check_limit(reply, row["limit"])
        check_retry(reply, row["retry"])
        assert reply.all("Set-Cookie") == (["a=1; SameSite=Lax; Secure; HttpOnly"] if row["by"] == "program" else [])
        check_cache(reply, row["cache"])
        check_cors(reply, origin, headers[:1] == PREFLIGHT[:1])
        check_vary(reply, row["vary"], headers[:1] == PREFLIGHT[:1])
        check_body(reply, row["body"], method, front.kind)
        more = row["more"].replace("ends", "Deprecation, Sunset, Link").split(", ")
        for name in ("Location", "Content-Range", "ETag", "WWW-Authenticate", "Allow", "Deprecation", "Sunset", "Link",
                     "Clear-Site-Data"):
            there = name in more and (name != "Clear-Site-Data" or front.kind != "caddy")  # by HTTPS alone
            assert one(reply, name) if there else not reply.all(name), (name, reply.headers)


# ---- refusals where the web server serves by itself, and only asks

# headers: all of ours are on what the client gets, or those that nginx is told to hand on; body: whose error it
# sees, or ours, called HTML by Apache; 403: what is made of it.
ASKING = """
kind             headers  body    403
lighttpd         all      ours    403
mod_authnz_fcgi  all      typed   403
mod_fcgid        all      theirs  401
caddy            all      ours    403
nginx            some     theirs  403
"""
DENIED = [("/app/page", [], 401), ("/app/page", [bearer(exp=1)], 401), ("/admin/page", [bearer()], 403), ("/nowhere/page", [], 403)]


@pytest.fixture(scope="module", params=rows(ASKING), ids=lambda row: row["kind"])
def asking(request, folder):
    started = test_authorize.start(request.param["kind"], folder, {"headers": "helmet", "cors": "web"},
                                   nginx="nginx/auth_request_cors.conf", cors=RULES)
    started.row = request.param
    yield started
    started.stop()
    started.guard.stop()


@pytest.mark.parametrize("method, accept", [("GET", []), ("HEAD", []), ("GET", [PAGE]), ("HEAD", [PAGE])],
                         ids=["GET", "HEAD", "page", "page-HEAD"])
@pytest.mark.parametrize("target, headers, status", DENIED, ids=["none", "expired", "roles", "route"])
def test_denials(asking, method, accept, target, headers, status):
    for origin in (None, APP, STRANGER):
        reply = asking.fetch(target, method=method, headers=headers + accept + ([("Origin", origin)] if origin else []))
        assert reply.status == (status if status == 401 else int(asking.row["403"]))
        check_nothing_twice(reply)
        check_vary(reply, "Accept", False)
        check_cors(reply, origin, False)
        assert UUID.match(one(reply, "X-Request-ID"))
        if status == 401:
            assert one(reply, "WWW-Authenticate").startswith("Bearer")
        if asking.row["headers"] == "all":
            check_safe(reply, "http", asking.kind, "page" if accept else None)
            check_cache(reply, "no-store")
        if method == "HEAD":
            assert reply.body == b""
        elif asking.row["body"] == "ours":
            check_body(reply, "page" if accept else "error", method, asking.kind)
        else:
            assert (reply.get("X-Request-ID").encode() in reply.body) == (asking.row["body"] == "typed")


def test_served_for_a_page(asking):
    """Where nginx is told to hand them on, what is let through has them, too."""
    if asking.kind == "nginx":
        for origin in (None, APP, STRANGER):
            reply = asking.fetch("/open/page", headers=[("Origin", origin)] if origin else [])
            assert reply.status == 200 and UUID.match(one(reply, "X-Request-ID"))
            check_cors(reply, origin, False)
            check_vary(reply, "-", False)
