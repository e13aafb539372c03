"""DokuWiki of Debian, by php-fpm, behind the web servers of examples/dokuwiki."""

import hashlib
import json
import os
import zlib

import pytest

import browser as chromium
import dokuwiki
import harness
from dokuwiki import Client

pytestmark = pytest.mark.skipif(not dokuwiki.PACKAGE.exists(), reason="dokuwiki is not installed")
SERVERS = ["lighttpd", "nginx", "mod_proxy_fcgi"]


def png(seed=0):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    pixels = b"".join(b"\0" + bytes((x * 7 + y * 13 + seed) & 255 for x in range(3 * 64)) for y in range(64))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", (64).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
            + chunk(b"IDAT", zlib.compress(pixels, 1)) + chunk(b"IEND", b""))


@pytest.fixture(scope="module")
def wiki(folder):
    made = dokuwiki.Wiki(folder)
    yield made
    made.fpm.stop()


@pytest.fixture(scope="module")
def guard(folder, start_guard, wiki):
    made = start_guard("", start=False, name="wiki-guard")
    made.write(wiki.policy(made.address, folder.writable("store") / "guard.db"))
    return made.start()


@pytest.fixture(scope="module", params=SERVERS)
def server(request, folder, guard, wiki):
    made = dokuwiki.server(request.param, folder, guard, wiki)
    made.kind = request.param
    yield made
    made.stop()


@pytest.fixture
def anybody(server, guard):
    yield Client(server.port)
    # Who is banned is not so in the next test.
    result = harness.run([guard.program, "limit", "reset", "-c", guard.policy_path, "--limit", "login"], env=guard.environment)
    assert result.returncode == 0 or "there is no counter" in result.stderr, result.stderr


@pytest.fixture
def alice(anybody):
    reply = anybody.login()
    assert reply.status in (200, 302), reply.body
    assert any(name.startswith("DW") for name in anybody.cookies), reply.headers
    return anybody


def error(reply):
    return json.loads(reply.body)["error"]


def test_read(anybody):
    for target in ("", "doku.php", "doku.php?id=start", "index.php"):
        reply = anybody.fetch(target)
        if reply.status in (301, 302) and target == "index.php":
            continue
        assert reply.status == 200 and b"This is the first page." in reply.body, (target, reply.status)
        for name in ("X-Powered-By", "X-Generator"):
            assert reply.get(name) is None
        assert "PHP" not in str(reply.headers)
        assert reply.all("X-Content-Type-Options") == ["nosniff"] and "object-src 'none'" in reply.get("Content-Security-Policy")
    head = anybody.fetch("doku.php?id=start", "HEAD")
    assert (head.status, head.body) == (200, b"")
    found = anybody.fetch("doku.php?do=search&id=start&q=first")
    assert found.status == 200 and b"start" in found.body
    assert anybody.fetch("feed.php").get("Content-Type").startswith(("application/", "text/xml"))
    for target, kind in (("lib/exe/css.php?t=dokuwiki", "text/css"), ("lib/exe/js.php?t=dokuwiki", ("text/javascript", "application/javascript")),
                         ("lib/exe/jquery.php", ("text/javascript", "application/javascript")), ("lib/tpl/dokuwiki/images/logo.png", "image/png")):
        reply = anybody.fetch(target)
        assert reply.status == 200 and reply.get("Content-Type").startswith(kind) and len(reply.body) > 1000, target
        assert reply.all("X-Content-Type-Options") == ["nosniff"], target


def test_redirect_to_the_folder(anybody):
    anybody.base = "/wiki"
    reply = anybody.fetch("")
    assert (reply.status, reply.get("Location")) == (308, "/wiki/")


def test_cookies(alice):
    lines = alice.last.all("Set-Cookie")
    assert lines
    for line in lines:
        attributes = [part.strip().lower() for part in line.split(";")[1:]]
        assert {"secure", "httponly", "samesite=lax"} <= set(attributes) and len(set(attributes)) == len(attributes), line
    alice.fetch("doku.php?id=start&do=recent&show_changes=pages")
    line, = [line for line in alice.last.all("Set-Cookie") if line.startswith("DOKU_PREFS=")]
    assert "httponly" not in line.lower() and "secure" in line.lower(), line


def test_edit(alice, server, wiki):
    page = "doku.php?id=notes:" + server.kind.replace("_", "")
    form = alice.form(page + "&do=edit")
    assert form["sectok"] and form["id"]
    text = "====== Notes ======\n" + "**äöü** & <script>alert(1)</script> 100% ' \" ; = \n" * 40
    preview = alice.post("doku.php", **{**form, "wikitext": text, "do_preview": "Preview"})
    assert preview.status == 200 and "<strong>äöü</strong>".encode() in preview.body and b"<script>alert(1)" not in preview.body
    file = wiki.data / "pages/notes" / (server.kind.replace("_", "") + ".txt")
    # Without its token it is not saved.
    assert alice.post("doku.php", **{**form, "sectok": "wrong", "wikitext": text, "do_save": "Save"}).status < 400
    assert not file.exists()
    saved = alice.post("doku.php", **{**form, "wikitext": text, "summary": "made", "do_save": "Save"})
    assert saved.status in (302, 303) and file.read_text().strip() == text.strip()
    assert "<strong>äöü</strong>".encode() in alice.fetch(page).body
    # A page of another site cannot make him.
    alice_post = alice.fetch("doku.php", "POST", {"Content-Type": "application/x-www-form-urlencoded",
                                                  "Origin": "https://evil.example"}, b"id=start&do=save")
    assert (alice_post.status, error(alice_post)) == (403, "csrf_refused")
    assert Client(alice.port).post("doku.php", **{**form, "wikitext": "x", "do_save": "Save"}).status in (200, 403)
    assert file.read_text().strip() == text.strip()


def test_media(alice, server, wiki):
    picture, name = png(SERVERS.index(server.kind)), server.kind.replace("_", "") + ".png"
    said = alice.upload(name, picture)
    assert said.status == 200 and json.loads(said.body).get("success"), said.body
    assert (wiki.media / name).read_bytes() == picture
    target = "lib/exe/fetch.php?media=" + name
    reply = alice.fetch(target)
    assert (reply.status, reply.get("Content-Type"), reply.body) == (200, "image/png", picture)
    assert "default-src 'none'" in " ".join(reply.all("Content-Security-Policy")), "the application's own is beside the policy's"
    for header, value in (("If-None-Match", reply.get("ETag")), ("If-Modified-Since", reply.get("Last-Modified"))):
        again = alice.fetch(target, headers={header: value})
        assert (again.status, again.body) == (304, b""), header
    part = alice.fetch(target, headers={"Range": "bytes=10-99"})
    assert (part.status, part.body) == (206, picture[10:100])
    assert part.get("Content-Range") == f"bytes 10-99/{len(picture)}"
    assert alice.fetch(target, headers={"Range": "bytes=9999999-"}).status == 416
    head = alice.fetch(target, "HEAD")
    assert (head.status, head.get("Content-Length"), head.body) == (200, str(len(picture)), b"")


def test_large_media(alice, wiki):
    """As large as the policy lets it be, and a byte more."""
    size = (64 if harness.SCALE == 1 else 8) << 20
    content = b"PK\3\4" + os.urandom(1 << 20) * (size >> 20)
    content = content[:size]
    said = alice.upload("large.zip", content)
    assert said.status == 200 and json.loads(said.body).get("success"), said.body[:300]
    reply = alice.fetch("lib/exe/fetch.php?media=large.zip")
    assert hashlib.md5(reply.body).digest() == hashlib.md5(content).digest()
    (wiki.media / "large.zip").unlink()
    if harness.SCALE == 1:
        assert alice.upload("large.zip", content + b"x").status == 413


def test_no_script_is_uploaded(alice, wiki):
    code = b"<?php echo 'EXECUTED';"
    for name in ("evil.php", "evil.phtml", "evil.png.php", "evil.PHP", "evil.php."):
        reply = alice.upload(name, code)
        assert (reply.status, error(reply)) == (400, "validation_error"), name
    body = (b'--x\r\nContent-Disposition: form-data; name="sectok"\r\n\r\n' + alice.token().encode()
            + b'\r\n--x\r\nContent-Disposition: form-data; name="upload"; filename="evil.php"\r\n\r\n' + code + b"\r\n--x--\r\n")
    reply = alice.fetch("lib/exe/mediamanager.php?ns=", "POST", {"Content-Type": "multipart/form-data; boundary=x"}, body)
    assert reply.status == 200 and not list(wiki.media.rglob("*evil*")), reply.body
    # Whoever puts one there by other means cannot have it run.
    (wiki.media / "evil.php").write_bytes(code)
    (wiki.media / "evil.png").write_bytes(code)
    for target in ("data/media/evil.php", "data/media/evil.png", "data/media/evil.png/x.php", "lib/exe/../../data/media/evil.php",
                   "lib/exe/fetch.php?media=evil.png", "lib/exe/fetch.php/evil.php?media=evil.png"):
        reply = alice.fetch(target)
        assert b"EXECUTED" not in reply.body.replace(code, b""), target
        assert reply.status == 404 or "fetch.php" in target, (target, reply.status)
    for file in wiki.media.glob("evil*"):
        file.unlink()


FORBIDDEN = (
    "conf/local.php", "conf/users.auth.php", "conf/local.php/x.php", "conf//local.php", "conf/./local.php", "conf%2Flocal.php",
    "%63onf/local.php", "lib/../conf/users.auth.php", "lib/tpl/../../conf/users.auth.php", "lib/tpl/%2e%2e/%2e%2e/conf/users.auth.php",
    "lib/tpl/..%2f..%2fconf/users.auth.php", "lib/images/../../data/pages/start.txt", "data/pages/start.txt", "data/pages/start.txt/a.php",
    "data/", "conf/", "inc/init.php", "inc/", "inc/lang/en/lang.php", "bin/dwpage.php", "vendor/autoload.php", "install.php",
    "install.php/x", "lib/plugins/acl/admin.php", "lib/plugins/acl/lang/en/lang.php", "lib/tpl/dokuwiki/main.php",
    "lib/tpl/dokuwiki/main.php/x.css", "lib/exe/xmlrpc.php", "lib/exe/xmlrpc.php/x", "lib/exe/jsonrpc.php/x", "lib/exe/../../install.php", "VERSION",
    "lib/exe/index.html", ".htaccess", "conf/.htaccess", "lib/exe/js.php%00.png", "doku.php.bak", "lib/styles/all.css",
    "conf/local.php%20", "CONF/local.php", "lib/exe/%2e%2e/%2e%2e/inc/init.php", "doku.php/../conf/local.php")


def test_forbidden(anybody, wiki):
    secret = (wiki.root / "conf/users.auth.php").read_bytes()
    for target in FORBIDDEN:
        for method in ("GET", "POST"):
            reply = anybody.fetch(target, method, body=b"" if method == "POST" else None)
            assert 400 <= reply.status < 500, (method, target, reply.status, reply.body[:200])
            for leak in (secret[-40:], b"This is the first page", b"<?php"):
                assert leak not in reply.body, (target, leak)


def test_admin_is_for_the_office(anybody, server, guard):
    for target in ("doku.php?do=admin", "doku.php?do[admin]=", "doku.php?do%5Badmin%5D=1", "doku.php?id=start&do=adm%69n",
                   "doku.php?do=ADMIN", "doku.php?do=ad-min", "doku.php?do=admin0", "doku.php?do=%20admin", "doku.php?do=show&do=admin",
                   "lib/exe/mediamanager.php?do=admin"):
        reply = anybody.fetch(target)
        assert (reply.status, error(reply)) == (400, "validation_error"), target
    for fields in ({"do": "admin"}, {"do": "Admin\n"}, {"do_admin": "x"}, {"do": "login", "do_admin": "x"}):
        reply = anybody.post("doku.php", id="start", **fields)
        assert (reply.status, error(reply)) == (400, "validation_error"), fields
    office = Client(server.port, "/wiki-admin/")
    assert office.login("root").status in (200, 302)
    reply = office.fetch("doku.php?id=start&do=admin")
    assert reply.status == 200 and b"admin" in reply.body and b"do=admin&amp;page=acl" in reply.body
    assert all("Path=/wiki-admin/".lower() in line.lower() for line in office.last.all("Set-Cookie"))
    result = harness.run([guard.program, "explain", "-c", guard.policy_path, "-a", "203.0.113.9", "-H", "Host: localhost",
                          "GET", "/wiki-admin/doku.php"], env=guard.environment)
    assert "address_not_allowed" in result.stdout, result.stdout


def test_guesses_are_counted(anybody):
    for target, headers in (("doku.php?u=alice&p=" + "x", {}), ("doku.php?p[]=x&u=alice", {}), ("lib/exe/fetch.php?u=alice&p=x", {})):
        assert error(anybody.fetch(target, headers=headers)) == "validation_error", target
    # This one does not get through: 200, and not logged in.
    reply = anybody.fetch("doku.php?id=start&do=profile", headers={"Authorization": "Basic YWxpY2U6Y29ycmVjdCBob3JzZQ=="})
    assert b"alice" not in reply.body
    found = [anybody.login(password=f"wrong{i}").status for i in range(12)]
    assert found[0] == 403 and found[-1] == 429, found
    reply = anybody.login()
    assert (reply.status, error(reply)) == (429, "rate_limit_exceeded") and int(reply.get("Retry-After")) > 0
    assert anybody.post("lib/exe/ajax.php", call="x", u="alice", p="x").status == 429
    assert anybody.fetch("").status == 200, "reading goes on"


@pytest.fixture(scope="module")
def browser(folder):
    started = chromium.Browser(folder, chromium.certificate(folder), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
    yield started
    started.stop()


def test_in_a_browser(browser, server, guard, wiki):
    """Its pages work with the Content-Security-Policy, and nobody complains."""
    page = browser.page(f"http://localhost:{server.port}/wiki/doku.php?id=start")
    assert page.run("return document.title").startswith("start") and page.run("return typeof jQuery + typeof JSINFO") == "functionobject"
    assert page.run("return getComputedStyle(document.querySelector('#dokuwiki__header')).display") == "block"
    page.submit("/wiki/doku.php?id=start", id="start", do="login", u="alice", p=dokuwiki.PASSWORD,
                sectok=page.run("return (document.querySelector('input[name=sectok]') || {}).value || ''"))
    page.go(f"http://localhost:{server.port}/wiki/doku.php?id=browser:page&do=edit")
    harness.wait_until(lambda: page.run("return document.querySelectorAll('#tool__bar button').length") > 10,
                       what="the tools that scripts make")
    since = len(browser.events)
    page.run("document.querySelector('#wiki__text').value = 'made in a //browser//';"
             "setTimeout(() => document.querySelector('#edbtn__save').click(), 0)")
    browser.wait_event(page.session, "Page.loadEventFired", since)
    assert page.run("return document.querySelector('em').textContent") == "browser"
    assert page.complaints() == []
    (wiki.data / "pages/browser/page.txt").unlink()
