"""A front-end developer's browser at the guarded API: a real Chromium with pages
on other origins, which talk to fcgiguard behind lighttpd and nginx by HTTPS. What
script sees is asserted, and what fcgiguard's log says of it."""

import itertools
import json

import pytest

import browser as chromium
import harness
import servers
from records import ask, raw
from test_callers import SECRET, bearer, token

HOSTS = {"lighttpd": "api.example.com", "nginx": "data.example.com"}
PRESETS = ("api", "helmet", "fastapi", "nginx")
PAGE = "<!doctype html><title>page</title>"


# ---- what runs: pages of others, a browser, and the API behind each web server

@pytest.fixture(scope="module")
def certificate(folder):
    return chromium.certificate(folder)


class Pages:
    """Origins that are not the API's, each with an empty page at every path."""

    def __init__(self, folder, certificate):
        # Names are as good as ports for an origin; one has a port of its own, to be far away.
        self.port, self.far_port = harness.free_port(), harness.free_port()
        self.server = servers.nginx(folder, f"""server {{
            {servers.nginx_tls(self.port, certificate)}
            listen 127.0.0.1:{self.far_port} ssl;
            default_type text/html;
            location / {{ return 200 "{PAGE}"; }}
        }}""", "pages", self.port)
        self.app = f"https://app.example.com:{self.port}"
        self.other = f"https://other.example.com:{self.port}"
        self.neighbour = f"https://neighbour.example.com:{self.port}"
        self.stranger = f"https://stranger.example.org:{self.port}"
        self.far = f"https://far.example.com:{self.far_port}"


@pytest.fixture(scope="module")
def pages(folder, certificate):
    started = Pages(folder, certificate)
    yield started
    started.server.stop()


@pytest.fixture(scope="module")
def browser(folder, certificate, pages):
    started = chromium.Browser(folder, certificate, f"--ip-address-space-overrides=127.0.0.1:{pages.far_port}=public")
    yield started
    started.stop()


def policy(folder, helper, programs, pages):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    return {
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests",
                                  "cookie": "session"}}},
        "cors": {
            "web": {"origins": [pages.app, pages.other, pages.far], "credentials": True, "methods": ["GET", "POST", "PUT"],
                    "headers": ["Content-Type", "X-Custom", "Authorization"], "max_age": "10m", "private_network": True,
                    "expose": ["X-Request-ID", "Retry-After", "X-Shown"]},
            "strict": {"origins": [pages.app], "enforce": True},
            "public": {"origins": "*"},
            "opaque": {"origins": "null"},
        },
        "limits": {"never": {"rate": "0/1h"}},
        "defaults": {"auth": "none", "cors": "web", "exec": helper},
        "routes": [
            {"path": "/app/h/**", "methods": ["GET", "POST", "PUT", "DELETE"]},
            {"path": "/app/user/**", "auth": "user"},
            {"path": "/app/admin/**", "auth": "user", "roles": "admin"},
            {"path": "/app/typed/**", "methods": ["POST"], "content_types": "application/json",
             "body": {"max": "100b", "fields": {"name": "string"}}},
            {"path": "/app/form/**", "methods": ["POST"], "body": {"fields": {"name": "string"}}, "validation_status": 422},
            {"path": "/app/limited/**", "limits": "never"},
            *({"path": f"/app/{name}/**", "cors": name} for name in ("strict", "public", "opaque")),
            {"path": "/app/closed/**", "cors": "off"},
            *({"path": f"/app/{name}/**", "headers": name} for name in PRESETS),
            {"path": "/app/page", "exec": f"{programs}/nonce.sh", "headers": {
                "preset": "helmet", "Content-Security-Policy": {"default-src": "none", "script-src": "nonce", "style-src": "nonce"}}},
            {"path": "/app/cookies/**", "cookies": {"same_site": "lax", "script": ["seen"]}},
            {"path": "/app/logout/**", "headers": {"Clear-Site-Data": ["cookies"]}},
            {"path": "/app/ends/**", "retire": {"deprecated": "2026-01-01", "sunset": "2099-01-01", "successor": "/app/h"}},
            {"path": "/app/gone/**", "retire": {"deprecated": "2020-01-01", "sunset": "2021-01-01", "successor": "/app/h"}},
            {"path": "/app/etag", "exec": f"{programs}/etag.sh"},
        ],
    }


class Api:
    def __init__(self, front, kind):
        self.front, self.guard = front, front.guard
        self.origin = f"https://{HOSTS[kind]}:{front.port}"
        self.count = itertools.count(1)

    def url(self, target):
        return self.origin + target

    def fresh(self, act, where="/app/h"):
        """A path that no test has asked for."""
        return f"{where}/{act}/{next(self.count)}"

    def asked(self, path, count):
        """Methods, statuses and codes of the requests for a path, when the log has so many."""
        found = harness.wait_until(lambda: (lambda entries: len(entries) >= count and entries)(
            self.guard.entries(event="request", path=path)), 20, f"{count} lines for {path}")
        return [(entry["method"], entry["status"], entry.get("code")) for entry in found]


@pytest.fixture(scope="module", params=list(HOSTS))
def api(request, folder, helper, programs, certificate, pages):
    front = servers.start(request.param, folder, policy(folder, helper, programs, pages), f"api-{request.param}",
                          unbuffered=True, certificate=certificate)
    yield Api(front, request.param)
    front.stop()
    front.guard.stop()


@pytest.fixture(scope="module")
def page(browser, pages, api):
    return browser.page(pages.app)


# ---- requests of a page on an allowed origin

def test_simple(page, api):
    path = api.fresh("hello")
    reply = page.fetch(api.url(path))
    assert (reply["status"], reply["type"], reply["body"]) == (200, "cors", "hello\n"), reply
    reply = page.fetch(api.url(path), method="POST", body="plain text")
    assert (reply["status"], reply["body"]) == (200, "hello\n")
    assert api.asked(path, 2) == [("GET", 200, None), ("POST", 200, None)], "without a preflight"


def test_preflighted(page, api):
    path = api.fresh("echo")
    for text in ('{"a": 1}', '{"a": 2}'):
        reply = page.fetch(api.url(path), method="PUT", body=text, headers={"Content-Type": "application/json", "X-Custom": "x"})
        assert (reply["status"], reply["body"]) == (200, text), reply
    assert [method for method, _, _ in api.asked(path, 3)] == ["OPTIONS", "PUT", "PUT"], "one preflight for both"


def test_credentials(browser, pages, api):
    """A cookie of the API's own: with `include` it comes along, and without not."""
    page = browser.page(pages.app)
    login = api.url(raw(f"Content-Type: text/plain\nSet-Cookie: session={token()}; Path=/app; Secure; HttpOnly; SameSite=Lax\n\n"))
    who = api.url(api.fresh("hello", "/app/user"))
    assert page.fetch(login, credentials="include")["status"] == 200
    assert page.fetch(who, credentials="include")["status"] == 200
    for credentials in ("omit", "same-origin"):
        assert page.fetch(who, credentials=credentials)["status"] == 401
    assert page.fetch(who, credentials="include", headers={"X-Custom": "x"})["status"] == 200, "preflighted, too"


def test_token(page, api):
    """A preflight brings no credential, and is answered before one is asked for."""
    name, value = bearer()
    path = api.fresh("hello", "/app/user")
    assert page.fetch(api.url(path), headers={name: value})["status"] == 200
    assert [(method, status < 300) for method, status, _ in api.asked(path, 2)] == [("OPTIONS", True), ("GET", True)]


def test_exposed(page, api):
    reply = page.fetch(api.url(raw("Content-Type: text/plain\nX-Shown: yes\nX-Hidden: no\n\nx")))
    assert reply["headers"]["x-shown"] == "yes" and len(reply["headers"]["x-request-id"]) == 36
    assert "x-hidden" not in reply["headers"] and "ratelimit" not in reply["headers"], reply


REFUSED = {
    401: ("GET", "/app/user/hello", {}, "unauthorized"),
    403: ("GET", "/app/admin/hello", dict([bearer()]), "forbidden"),
    404: ("GET", "/app/nowhere", {}, "route_not_found"),
    413: ("POST", "/app/typed/count", {"Content-Type": "application/json"}, "body_too_large"),
    415: ("POST", "/app/typed/count", {"Content-Type": "text/plain"}, "content_type_not_allowed"),
    400: ("POST", "/app/typed/echo", {"Content-Type": "application/json"}, "validation_error"),
    422: ("POST", "/app/form/echo", {"Content-Type": "application/json"}, "validation_error"),
    429: ("GET", "/app/limited/hello", {}, "rate_limit_exceeded"),
    500: ("GET", raw("Status: 500\n\nTraceback"), {}, "internal_error"),
    502: ("GET", raw("no header"), {}, "bad_reply"),
}


@pytest.mark.parametrize("status", REFUSED)
def test_refusals_are_readable(page, api, status):
    method, target, headers, code = REFUSED[status]
    body = {"POST": {413: "x" * 200, 415: "x"}.get(status, '{"name": 1}')}.get(method)
    reply = page.fetch(api.url(target), method=method, headers=headers, **({"body": body} if body else {}))
    assert reply.get("status") == status, reply
    told = json.loads(reply["body"])
    assert told["error"] == code and told["message"] and told["requestId"] == reply["headers"]["x-request-id"]
    assert reply["headers"]["content-type"] == "application/json"
    if code == "validation_error":
        assert told["details"][0]["field"] == "/name"
    if status == 429:
        assert int(reply["headers"]["retry-after"]) == told["retryAfter"] > 0


def test_end_is_told(page, api):
    reply = page.fetch(api.url("/app/ends/hello"))
    assert reply["headers"]["deprecation"] == "@1767225600" and "2099" in reply["headers"]["sunset"]
    assert reply["headers"]["link"] == '</app/h>; rel="successor-version"'
    reply = page.fetch(api.url("/app/gone/hello"))
    assert (reply["status"], json.loads(reply["body"])["error"]) == (410, "gone") and "link" in reply["headers"]


def test_redirect(page, api):
    target = api.fresh("hello")
    reply = page.fetch(api.url(raw(f"Location: {api.url(target)}\n\n")))
    assert (reply["status"], reply["redirected"], reply["body"]) == (200, True, "hello\n") and reply["url"] == api.url(target)
    assert page.fetch(api.url(raw(f"Location: {api.url(target)}\n\n")), redirect="manual")["type"] == "opaqueredirect"


def test_streamed(page, api):
    """Script has the beginning of a reply that never ends, and ends it itself."""
    assert page.run("""
        const abort = new AbortController();
        const reply = await fetch(%s, {signal: abort.signal});
        const part = await reply.body.getReader().read();
        abort.abort();
        return [part.done, new TextDecoder().decode(part.value)];""" % json.dumps(api.url("/app/h/sleep-after-head"))) \
        == [False, "begin\n"]
    api.guard.wait_no_programs()


def test_cached_for_its_origin_alone(browser, pages, api):
    """Two pages of one site share a cache, and what one of them has fetched is not taken for the other's."""
    profile = browser.profile()
    target = api.url(raw("Content-Type: text/plain\nCache-Control: max-age=600\n\nkept"))
    for origin in (pages.app, pages.other):
        page = browser.page(origin, profile)
        for cache in ("default", "force-cache"):
            reply = page.fetch(target, cache=cache)
            assert reply.get("body") == "kept", (origin, cache, reply)


def test_asked_for_again(browser, pages, api):
    """What a cache has is still good, and the 304 says whose scripts may read it now."""
    profile = browser.profile()
    for number, origin in enumerate((pages.app, pages.app, pages.other, pages.app)):
        reply = browser.page(origin, profile).fetch(api.url("/app/etag"))
        assert (reply.get("status"), reply.get("body")) == (200, "kept\n"), (origin, reply)
        assert api.asked("/app/etag", number + 1)[-1][1] == (304 if number else 200)


# ---- requests of a page that nobody allowed

def test_refused_origin(browser, pages, api):
    page = browser.page(pages.stranger)
    path = api.fresh("hello")
    assert "failed" in page.fetch(api.url(path)), "script sees nothing of it"
    # What script may not have, the browser may not even read to its end.
    assert [seen[:2] for seen in api.asked(path, 1)] == [("GET", 200)], "what is simple is sent, all the same"
    assert page.fetch(api.url(path), mode="no-cors")["failed"], "it is no image or script for strangers, either"
    path = api.fresh("echo")
    assert "failed" in page.fetch(api.url(path), method="PUT", body="x")
    assert [method for method, _, _ in api.asked(path, 1)] == ["OPTIONS"], "what is not simple is never sent"


def test_refused_by_force(browser, pages, api):
    page = browser.page(pages.stranger)
    path = api.fresh("hello", "/app/strict")
    assert "failed" in page.fetch(api.url(path))
    assert api.asked(path, 1) == [("GET", 403, "origin_not_allowed")], "the program was not asked"
    assert browser.page(pages.app).fetch(api.url(path))["body"] == "hello\n"


def test_other_method_and_header(page, api):
    """A page on an allowed origin may not do all."""
    for options in ({"method": "DELETE"}, {"headers": {"X-Other": "x"}}):
        path = api.fresh("hello")
        assert "failed" in page.fetch(api.url(path), **options)
        assert [method for method, _, _ in api.asked(path, 1)] == ["OPTIONS"]


def test_public(browser, pages, api):
    """Of everybody's, and so without credentials."""
    page = browser.page(pages.stranger)
    assert page.fetch(api.url("/app/public/hello"))["body"] == "hello\n"
    assert "failed" in page.fetch(api.url("/app/public/hello"), credentials="include")
    assert "failed" in page.fetch(api.url("/app/closed/hello"))


def test_no_origin_of_its_own(page, api):
    """A frame that has none says "null", which has to be named."""
    for where, outcome in (("h", "failed"), ("strict", "failed"), ("opaque", "hello\n")):
        path = api.fresh("hello", f"/app/{where}")
        frame = f"""<script>fetch("{api.url(path)}").then(reply => reply.text(), () => "failed")
            .then(text => parent.postMessage(text, "*"))</script>"""
        assert page.run("""
            const frame = document.createElement("iframe");
            frame.sandbox = "allow-scripts";
            frame.srcdoc = %s;
            const told = new Promise(then => addEventListener("message", event => then(event.data), {once: true}));
            document.body.append(frame);
            return await told;""" % json.dumps(frame)) == outcome
        assert len(api.asked(path, 1)) == 1


# ---- what is on a network of its own

def test_private_network(browser, pages, api):
    """A page from afar needs a person's leave, and then nothing of us but CORS."""
    profile = browser.profile()
    page, path = browser.page(pages.far, profile), api.fresh("echo")
    put = {"method": "PUT", "body": "x", "headers": {"X-Custom": "x"}}
    assert "failed" in page.fetch(api.url(path), **put)
    assert not api.guard.entries(path=path)
    browser.allow(profile, pages.far, "loopback-network", "local-network-access")
    assert page.fetch(api.url(path), **put)["body"] == "x"
    assert [method for method, _, _ in api.asked(path, 2)] == ["OPTIONS", "PUT"]


@pytest.mark.parametrize("origin, allowed", [("far", "true"), ("stranger", None)])
def test_private_network_by_preflight(pages, api, origin, allowed):
    """As Chromium asked before it asked people (Private Network Access): by hand, for it does no more."""
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Private-Network": "true"}
    reply = ask(api.guard.address, "OPTIONS", "/app/h/echo", headers={"Origin": getattr(pages, origin), **asks})
    assert reply.get("Access-Control-Allow-Private-Network") == allowed, reply.headers


# ---- pages of the API's own

def test_https_is_remembered(browser, pages, api):
    """Strict-Transport-Security: an address without HTTPS is not even tried."""
    page = browser.page(api.url("/app/h/hello"))
    since = len(browser.events)
    page.go(api.url("/app/h/hello").replace("https:", "http:"))
    assert page.run("return location.protocol") == "https:"
    redirects = [event["params"]["redirectResponse"] for event in browser.events[since:]
                 if "redirectResponse" in event["params"]]
    assert [redirect["headers"].get("Non-Authoritative-Reason") for redirect in redirects] == ["HSTS"], redirects


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_understood(browser, api, preset):
    """A browser complains of headers, directives and features that it does not know."""
    text = raw(f"Content-Type: text/html\n\n{PAGE}", f"/app/{preset}")
    assert browser.page(api.url(text)).complaints() == []
    text = raw("Content-Type: text/html\nContent-Security-Policy: wrong-src 'self'\n\n<title>page</title>", f"/app/{preset}")
    assert any("wrong-src" in complaint for complaint in browser.page(api.url(text)).complaints())


def test_nonce(browser, api):
    """The page's own script and style run, and what somebody has put beside them does not."""
    page, nonces = browser.page(api.url("/app/page")), set()
    for _ in range(2):
        page.go(api.url("/app/page"))
        page.run("document.querySelector('p').click()")
        assert page.run("return [window.ran, getComputedStyle(document.querySelector('p')).color]") == ["ours", "rgb(1, 2, 3)"]
        nonces.add(page.run("return document.querySelector('script').nonce"))
    assert len(nonces) == 2


def test_cookies(browser, api):
    """What a program forgets to say of its cookies is said."""
    page = browser.page(api.url(raw("Content-Type: text/plain\nSet-Cookie: hidden=1\nSet-Cookie: seen=2\n\nx", "/app/cookies")))
    kept = {cookie["name"]: cookie for cookie in page.call("Network.getCookies")["cookies"]}
    assert set(kept) == {"hidden", "seen"} and all(cookie["secure"] and cookie["sameSite"] == "Lax" for cookie in kept.values())
    assert kept["hidden"]["httpOnly"] and not kept["seen"]["httpOnly"]
    assert page.run("return document.cookie") == "seen=2"


def test_logout(browser, api):
    page = browser.page(api.url(raw("Content-Type: text/plain\nSet-Cookie: kept=1; Secure; Path=/\n\nx")))
    assert page.call("Network.getCookies")["cookies"]
    page.go(api.url("/app/logout/hello"))
    assert not page.call("Network.getCookies")["cookies"]


@pytest.mark.parametrize("origin, status", [("stranger", 403), ("neighbour", 403), ("app", 200), ("api", 200)])
def test_form(browser, pages, api, origin, status):
    """A form of another site, or of another host of this one, comes with the cookies of who fills it in, and is
    refused for it; but for pages whose scripts may send the same."""
    page = browser.page(api.url(raw(f"Content-Type: text/plain\nSet-Cookie: session={token()}; Path=/; Secure; SameSite=None\n\nx")))
    page.go(api.url("/app/user/hello"))
    assert page.run("return document.body.innerText").strip() == "hello"
    if origin != "api":
        page.go(getattr(pages, origin))
    path = api.fresh("echo", "/app/user")
    page.submit(api.url(path), amount="1000")
    assert api.asked(path, 1) == [("POST", status, "csrf_refused" if status == 403 else None)]


# ---- pages of refusals

PAGES = {401: "/app/user/hello", 404: "/app/nowhere", 429: "/app/limited/hello", 500: "/app/h/raw"}


@pytest.mark.parametrize("status", PAGES)
def test_page_of_a_refusal(browser, api, status):
    """Who follows a link sees a page with its style, which its own policy lets in and nothing else."""
    path = f"{PAGES[status]}/{next(api.count)}"
    page = browser.page(api.url(path + raw("Status: 500\n\nTraceback").partition("raw")[2]))
    assert page.run("return [document.contentType, document.title !== '', document.scripts.length]") == ["text/html", True, 0]
    assert page.complaints() == []
    text = page.run("return document.body.innerText")
    identifier = api.guard.wait_entry(20, event="request", path=path, status=status)["requestId"]
    assert identifier in text and "Traceback" not in text and "{" not in text
    style = "return [getComputedStyle(document.body).fontFamily, getComputedStyle(document.body).backgroundColor]"
    styled = page.run(style)
    page.run("for (const sheet of document.styleSheets) sheet.disabled = true")
    assert page.run("return document.styleSheets.length") > 0 and page.run(style) != styled
    assert not page.run("""
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.head.append(script);
        document.body.setAttribute("onclick", "window.ran = true");
        document.body.click();
        return window.ran""")


def test_page_fits(browser, api):
    """Windows narrow and wide, and people who like it dark."""
    page = browser.page(api.url("/app/nowhere"))
    colours = set()
    for width in (280, 1600):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=500, deviceScaleFactor=1, mobile=False)
        assert page.run("return document.documentElement.scrollWidth") <= width
    for scheme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colours.add(page.run("""
            const seen = [...document.querySelectorAll("*")].map(element => getComputedStyle(element));
            return seen.map(style => style.color + style.backgroundColor).join()"""))
    assert len(colours) == 2
