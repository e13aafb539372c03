"""php-fpm behind fcgiguard, behind real web servers."""

import hashlib
import json
import os
import signal
import socket

import pytest

import harness
import php_fpm
import servers
from records import ask, environment

SERVERS = ["lighttpd", "nginx", "mod_proxy_fcgi"]


def routes(fpm):
    many = ["GET", "POST"]
    base = {"address": fpm.address, "connections": fpm.children}
    return [
        {"path": "/app/php/**", "methods": many, "fastcgi": {**base, "root": str(fpm.root)}},
        {"path": "/app/own/**", "methods": many, "pass_errors": True, "fastcgi": {**base, "root": str(fpm.root)}},
        {"path": "/app/any/**", "fastcgi": {**base, "root": str(fpm.root), "extensions": []}},
        {"path": "/app/trust/**", "fastcgi": {**base, "root": str(fpm.root), "check": False}},
        {"path": "/app/one/**", "fastcgi": {**base, "root": str(fpm.root), "script": "told.php", "keep": False,
                                            "environment": {"MODE": "test", "PHP_VALUE": "precision=7\nmemory_limit=96M"},
                                            "pass": ["GEO"]}},
        *({"path": path, "fastcgi": {**base, "root": str(fpm.root), "script": "told.php"}}
          for path in ("/app/told.php", "/app/news", "/app/news/{id}/")),
        {"path": "/app/late/**", "fastcgi": {**base, "root": str(fpm.root), "first_byte": "300ms"}},
        {"path": "/app/bare/**", "fastcgi": fpm.address},
    ]


@pytest.fixture(scope="module")
def fpm(folder):
    made = php_fpm.Fpm(folder)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def policy(fpm):
    return {"threads": 8, "defaults": {"auth": "none", "body": "64mb"}, "routes": routes(fpm)}


@pytest.fixture(scope="module", params=SERVERS)
def front(request, folder, policy):
    made = servers.start(request.param, folder, policy, unbuffered=True)
    yield made
    made.stop()
    made.guard.stop()


@pytest.fixture(scope="module")
def guard(start_guard, policy):
    return start_guard(policy, name="direct")


def error(reply):
    return json.loads(reply.body)["error"]


def test_pages(front):
    for target, body in (("hello.php", b"hello"), ("", b"index -"), ("sub/", b"sub"),
                         ("index.php/a/b", b"index /a/b"), ("folder.php/inner.php", b"inner")):
        reply = front.fetch("/app/php/" + target)
        assert (reply.status, reply.body) == (200, body), target
        assert reply.get("X-Content-Type-Options") == "nosniff"
    reply = front.fetch("/app/php/hello.php", "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    reply = front.fetch("/app/php/redirect.php")
    assert (reply.status, reply.get("Location")) == (302, "/elsewhere?a=b")


def test_bodies(front):
    reply = front.fetch("/app/php/told.php?q=%20x", "POST", {"Content-Type": "application/x-www-form-urlencoded"},
                        b"a=1&b=%26")
    told = json.loads(reply.body)
    assert told["post"] == {"a": "1", "b": "&"} and told["get"] == {"q": " x"}
    assert told["server"]["CONTENT_LENGTH"] == "9"
    file = os.urandom(3 << 20)
    form = (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield\r\n'
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="some.bin"\r\n\r\n' + file + b"\r\n--x--\r\n")
    reply = front.fetch("/app/php/upload.php", "POST", {"Content-Type": "multipart/form-data; boundary=x"}, form)
    assert reply.body.decode() == f"some.bin {len(file)} {hashlib.md5(file).hexdigest()} field"
    if front.kind != "lighttpd":  # which answers 411 to a chunked body where it streams replies
        reply = front.fetch("/app/php/body.php", "POST", {"Transfer-Encoding": "chunked"}, servers.chunked(file, 9999))
        assert reply.body.decode() == f"{len(file)} {hashlib.md5(file).hexdigest()}"
    # An application that does not read what it is sent.
    assert front.fetch("/app/php/early.php", "POST", {"Content-Type": "text/x"}, file).body == b"early"


def test_streams_what_is_flushed(front, folder, fpm):
    until = folder / f"{front.kind}-until"
    with socket.create_connection(("127.0.0.1", front.port), 60) as client:
        client.sendall(servers.request("GET", f"/app/php/stream.php?until={until}"))
        received = b""
        while b"first" not in received:
            more = client.recv(4096)
            assert more, received
            received += more
        assert b"second" not in received  # nobody has made the file yet
        until.write_text("")
        received += servers.receive_all(client)
    assert b"second" in received


def test_large_reply(front):
    size = 32 if harness.SCALE == 1 else 4
    reply = front.fetch(f"/app/php/large.php?mb={size}")
    assert reply.status == 200 and reply.complete
    assert hashlib.md5(reply.body).digest() == hashlib.md5(
        b"".join(bytes([65 + i % 26]) * (1 << 20) for i in range(size))).digest()


def test_errors_and_the_log(front):
    guard = front.guard
    reply = front.fetch("/app/php/log.php")
    assert reply.body == b"logged"
    entry = guard.wait_entry(event="program", requestId=reply.get("X-Request-ID"))
    assert "said aside" in entry["line"]
    reply = front.fetch("/app/php/fatal.php")
    assert (reply.status, error(reply)) == (500, "internal_error") and b"nobody" not in reply.body
    harness.wait_until(lambda: [entry for entry in guard.entries(event="program", requestId=reply.get("X-Request-ID"))
                                if "nobody_defined_this" in entry["line"]], what="its error in the log")
    assert front.fetch("/app/own/status.php?s=503").body == b"status"


def test_no_file_becomes_a_script(front):
    """php would run upload.jpg for the first of them (cgi.fix_pathinfo); the pool limits no extensions."""
    for target in ("upload.jpg/x.php", "upload.jpg", "secret.txt", "secret.txt/a/b.php", "nothing.php", "sub/x.php",
                   "sub", "hello.php.php", "folder.php/", "folder.php"):
        reply = front.fetch("/app/php/" + target)
        assert (reply.status, error(reply)) == (404, "script_not_found"), (target, reply.body)
    assert front.fetch("/app/any/upload.jpg/x.php").body == b"EXECUTED"  # as its policy says
    # Where nobody looks, php runs what the hole is named after; so the default is to look.
    assert front.fetch("/app/trust/upload.jpg/x.php").body == b"EXECUTED"


def test_what_php_is_told(guard, fpm):
    params = environment(uri="/app/one/a/b?c", headers={"X-A": "1", "Proxy": "evil"},
                         replace={"GEO": "here", "PHP_VALUE": "auto_prepend_file=/etc/passwd",
                                  "PHP_ADMIN_VALUE": "x=y", "SCRIPT_FILENAME": "/etc/passwd"})
    server = json.loads(ask(guard.address, params=params).body)["server"]
    wanted = {"SCRIPT_FILENAME": f"{fpm.root}/told.php", "SCRIPT_NAME": "/app/one/told.php", "REQUEST_URI":
              "/app/one/a/b?c", "DOCUMENT_ROOT": str(fpm.root), "MODE": "test", "GEO": "here", "HTTP_X_A": "1",
              "REQUEST_METHOD": "GET", "QUERY_STRING": "c", "CONTENT_LENGTH": "0", "REDIRECT_STATUS": "200"}
    assert {name: server.get(name) for name in wanted} == wanted
    assert not {"HTTP_PROXY", "PHP_ADMIN_VALUE", "PATH_INFO"} & set(server)
    # The policy's own, and not the web server's.
    assert server.get("PHP_VALUE") == "precision=7\nmemory_limit=96M"


@pytest.mark.parametrize("path, name, info", [
    ("/app/told.php", "/app/told.php", None), ("/app/news", "/app/news", None), ("/app/news/7/", "/app/news/7/", None),
    ("/app/one", "/app/one/told.php", None), ("/app/one/", "/app/one/told.php", None),
    ("/app/php/told.php", "/app/php/told.php", None), ("/app/php/told.php/a/b", "/app/php/told.php", "/a/b"),
])
def test_which_address_a_script_has(guard, fpm, path, name, info):
    server = json.loads(ask(guard.address, uri=path).body)["server"]
    assert (server["SCRIPT_NAME"], server.get("PATH_INFO")) == (name, info)
    assert server["PHP_SELF"] == name + (info or "")
    assert server["SCRIPT_FILENAME"] == f"{fpm.root}/told.php"


def test_connections_are_kept_and_renewed(guard, fpm):
    def pids():
        return {ask(guard.address, uri="/app/php/hello.php").status for _ in range(20)}
    assert pids() == {200}
    fpm.restart()  # every kept connection is stale
    assert pids() == {200}
    assert ask(guard.address, "POST", "/app/php/body.php", b"abc").body.startswith(b"3 ")
    fpm.stop()
    reply = ask(guard.address, uri="/app/php/hello.php")
    assert (reply.status, error(reply)) == (502, "backend_unavailable")
    fpm.start()
    assert pids() == {200}


def test_a_stopped_application(guard, fpm):
    children = harness.children(fpm.process.pid)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    try:
        for _ in range(2):
            reply = ask(guard.address, uri="/app/late/hello.php")
            assert (reply.status, error(reply)) == (504, "backend_timeout")
    finally:
        for child in children:
            os.kill(child, signal.SIGCONT)
    assert ask(guard.address, uri="/app/php/hello.php").body == b"hello"
    for child in children:
        os.kill(child, signal.SIGKILL)  # their parent starts others
    harness.wait_until(lambda: not set(children) & set(harness.children(fpm.process.pid)), 10, "they are gone")
    assert ask(guard.address, uri="/app/php/hello.php").body == b"hello"


def test_without_a_root(guard):
    """php-fpm is told no script, and says so by itself."""
    assert ask(guard.address, uri="/app/bare/hello.php").status in (404, 502)


def test_example(start_guard, fpm, folder):
    folder.write("fpm-site/uploads/evil.php", "<?php echo 'EXECUTED';")
    folder.write("fpm-site/shop/index.php", "<?php echo 'shop ', $_SERVER['REQUEST_URI'];")
    guard = start_guard("", start=False, name="example")
    policy = servers.example_policy("php.yaml", socket=guard.address, site=fpm.root)
    assert "unix:/run/php/php-fpm.sock" in policy
    guard.write(policy.replace("unix:/run/php/php-fpm.sock", fpm.address))
    guard.start()
    assert ask(guard.address, uri="/app/hello.php").body == b"hello"
    assert ask(guard.address, uri="/app/").body == b"index -"
    assert ask(guard.address, uri="/app/shop/cart/7?a").body == b"shop /app/shop/cart/7?a"
    assert ask(guard.address, uri="/app/uploads/evil.php").body == b""
    reply = ask(guard.address, uri="/app/upload.jpg/x.php")
    assert (reply.status, error(reply)) == (404, "script_not_found")
    result = harness.run([guard.program, "explain", "-c", guard.policy_path, "GET", "/app/index.php/7"],
                         env=guard.environment)
    assert f"asks the application at {fpm.address} for {fpm.root}/index.php with /7" in result.stdout, result.stdout


def test_as_plain_cgi(folder, fpm):
    """One exchange in one process, on a connection that is closed."""
    file = folder / "plain.yaml"
    file.write_text(json.dumps({
        "user": harness.WEB_USER, "defaults": {"auth": "none"},
        "routes": [{"path": "/app/**", "methods": ["GET", "POST"],
                    "fastcgi": {"address": fpm.address, "root": str(fpm.root)}}]}))
    plain = dict(environment("POST", "/app/body.php", body=b"abc"), REDIRECT_STATUS="200",
                 FCGIGUARD_POLICY=str(file))
    result = harness.subprocess.run([str(harness.installed("fcgiguard", folder))], input=b"abc", timeout=60,
                                    stdout=harness.subprocess.PIPE, env=harness.clean_environment(**plain))
    assert result.stdout.startswith(b"Status: 200") and result.stdout.endswith(b"3 " + hashlib.md5(b"abc").hexdigest().encode())


def test_advice(guard, fpm):
    result = harness.run([guard.program, "check", "-c", guard.policy_path], env=guard.environment)
    said = result.stdout + result.stderr
    for what in ("every file beneath root may be run", "cgi.fix_pathinfo = 0", "php runs nothing without a script"):
        assert what in said, said
