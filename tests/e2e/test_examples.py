"""Every example is what a test has run; here are the policies, and the first
thing a reader tries."""

import json
import os
import pwd
import re
import time

import pytest

import harness
import servers
from records import ask
from test_callers import key_command, token


@pytest.fixture(scope="module")
def cgi(folder):
    for script in (harness.EXAMPLES / "cgi").iterdir():
        folder.write(f"srv/cgi/{script.name}", script.read_bytes(), 0o755)
    folder.write("site/database.secret", "x", 0o600)
    return folder / "srv/cgi"


def placed(name, folder, cgi):
    text = (harness.EXAMPLES / name).read_text().replace("/srv/cgi", str(cgi))
    group = harness.WEB_USER or servers.grp.getgrgid(os.getgid()).gr_name
    return folder.write(f"site/{name}", text.replace("group: www-data", f"group: {group}"))


def temporary(folder, name):
    (folder / name).mkdir()
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_all_policies_are_known():
    assert {file.name for file in harness.EXAMPLES.glob("*.yaml") if not file.name.endswith(".test.yaml")} == {"answers.yaml", "api.yaml", "backends.yaml", "cors.yaml", "errors.yaml", "git.yaml", "headers.yaml", "minimal.yaml", "php.yaml", "proxy.yaml", "scripts.yaml", "site.yaml", "versions.yaml"}


@pytest.mark.parametrize("name", ["minimal.yaml", "headers.yaml", "site.yaml", "scripts.yaml", "git.yaml", "versions.yaml"])
def test_policy_is_good(folder, cgi, name):
    file = placed(name, folder, cgi)
    result = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file], env=harness.clean_environment())
    assert result.returncode == 0, result.stderr


def test_minimal_is_ten_lines():
    lines = (harness.EXAMPLES / "minimal.yaml").read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) <= 10


def test_minimal(start_guard, cgi):
    guard = start_guard("", start=False)
    guard.write(servers.example_policy("minimal.yaml", cgi=cgi, socket=guard.address))
    guard.start()
    reply = ask(guard.address, uri="/app/hello")
    assert reply.status == 200 and reply.body.startswith(b"Hello from a CGI program") and reply.get("X-Powered-By") is None
    reply = ask(guard.address, "POST", "/app/notes", b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert (reply.status, json.loads(reply.body)) == (201, {"received": 8})
    for method, uri, headers, status in (("GET", "/", {}, 404), ("POST", "/app/hello", {}, 405), ("GET", "/app/hello", {"Host": "x"}, 400),
                                         ("POST", "/app/notes", {"Content-Type": "text/plain"}, 415)):
        assert ask(guard.address, method, uri, b"x" if method == "POST" else None, headers=headers).status == status


def test_api(start_guard, folder, cgi):
    """As its comment says, a key is made; people come with a token."""
    secret = "the-secret-of-the-login-service-32"
    folder.write("api/jwt.key", secret, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "api/jwt.key", harness.WEB_USER)
    guard = start_guard("", start=False)
    user = harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name
    guard.write(servers.example_policy("api.yaml", cgi=cgi, socket=guard.address, jwt_key=folder / "api/jwt.key",
                                       store=folder.writable("api-store") / "guard.db", user=f"user: {user}"))
    guard.start()
    claims = {"iss": "https://login.example.com", "aud": "https://api.example.com", "sub": "7",
              "iat": int(time.time()), "exp": int(time.time()) + 600}
    person = {"Authorization": "Bearer " + token(secret=secret, **claims)}
    admin = {"Authorization": "Bearer " + token(secret=secret, **claims, roles=["admin"])}
    partner = {"X-API-Key": key_command(guard, "create", "--owner", "acme", "--roles", "partner", "--scopes", "read")}
    for uri, headers, status in (("/app/health", {}, 200), ("/app/report", {}, 401), ("/app/report", partner, 200),
                                 ("/app/report", person, 403), ("/app/admin", partner, 401), ("/app/admin", person, 403),
                                 ("/app/admin", admin, 200), ("/app/users/7", person, 200), ("/app/users/8", person, 403)):
        assert ask(guard.address, uri=uri, headers=headers).status == status, (uri, status)
    writer = {"Authorization": "Bearer " + token(secret=secret, **{**claims, "sub": "9"}), "Content-Type": "application/json"}
    for uri, body, status in (("/app/notes?draft=true", {"title": "x", "stars": 5}, 201), ("/app/notes", {"stars": 6}, 400),
                              ("/app/notes?debug=1", {"title": "x"}, 400), ("/app/notes", {"title": "x", "admin": True}, 400)):
        assert ask(guard.address, "POST", uri, json.dumps(body).encode(), headers=writer).status == status, (uri, body)
    found = [ask(guard.address, uri="/app/users/7", headers=person).status for _ in range(20)]
    assert found.count(200) in (17, 18, 19) and found[-1] == 429, found
    assert ask(guard.address, uri="/app/report", headers=partner).status == 200, "it is by caller"
    found = [ask(guard.address, uri="/app/report", headers={"X-API-Key": "x"}).status for _ in range(8)]
    assert found[0] == 401 and found[-1] == 429, found
    assert ask(guard.address, uri="/app/report", headers=partner).status == 429, "who guesses is banned"
    assert ask(guard.address, uri="/app/health").status == 200


def test_cors(start_guard, folder, cgi):
    """What scripts of which origin get to read, and what is answered when a browser asks."""
    guard = start_guard("", start=False, name="cors-example")
    user = harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name
    guard.write(servers.example_policy("cors.yaml", cgi=cgi, socket=guard.address, store=folder.writable("cors-store") / "guard.db",
                                       user=f"user: {user}"))
    guard.start()
    key = {"X-API-Key": key_command(guard, "create", "--owner", "front")}
    app, staging, other = "https://app.example.com", "https://x.staging.example.com", "https://example.com"
    for uri, more, origin, status, allowed in (
            ("/app/status", {}, other, 200, "*"), ("/app/status", {}, None, 200, "*"), ("/app/notes", key, app, 200, app),
            ("/app/notes", key, staging, 200, staging), ("/app/notes", key, other, 200, None), ("/app/notes", {}, app, 401, app),
            ("/app/internal", key, app, 200, None), ("/app/nowhere", {}, app, 404, app)):
        reply = ask(guard.address, uri=uri, headers={**more, **({"Origin": origin} if origin else {})})
        assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (status, allowed), (uri, origin, reply.status)
    for uri, method, origin, allowed in (("/app/notes", "GET", staging, staging), ("/app/notes", "POST", app, app), ("/app/notes", "GET", other, None)):
        reply = ask(guard.address, "OPTIONS", uri, headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-api-key"})
        assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (204, allowed), (method, origin, reply.status)
    note = {**key, "Content-Type": "application/json"}
    for origin, status in ((app, 201), (staging, 403), (None, 201)):
        reply = ask(guard.address, "POST", "/app/notes", b"{}", headers={**note, **({"Origin": origin} if origin else {})})
        assert reply.status == status, (origin, reply.status, reply.body)


def test_openapi(start_guard, folder, cgi):
    """What the document says, and what the policy adds."""
    secret = "the-secret-of-the-login-service-32"
    folder.write("openapi/jwt.key", secret, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "openapi/jwt.key", harness.WEB_USER)
    folder.write("srv/cgi/notes-api.sh", (harness.EXAMPLES / "openapi/notes-api.sh").read_bytes(), 0o755)
    folder.write("api.yaml", (harness.EXAMPLES / "openapi/api.yaml").read_bytes(), 0o644)
    guard = start_guard("", start=False, name="openapi-example")
    user = harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name
    guard.write(servers.example_policy("openapi/policy.yaml", cgi=cgi, socket=guard.address, jwt_key=folder / "openapi/jwt.key",
                                       user=f"user: {user}"))
    guard.start()
    claims = {"iss": "https://login.example.com", "sub": "ann", "exp": int(time.time()) + 600}
    person = {"Authorization": "Bearer " + token(secret=secret, **claims)}
    editor = {"Authorization": "Bearer " + token(secret=secret, **claims, roles=["editor"])}
    note = "/app/notes/45657faa-9c49-41ec-8325-edf26d906ad7"
    reply = ask(guard.address, uri="/app/notes?tags=a,b&page=2", headers=person)
    assert (reply.status, reply.body) == (200, b"GET /notes for ann\n")
    for method, uri, headers, body, status in (
            ("GET", "/app/health", {}, None, 200), ("GET", "/app/notes", {}, None, 401), ("GET", "/app/notes?tags=a,B", person, None, 400),
            ("GET", "/app/notes?page=0", person, None, 400), ("GET", "/app/notes?debug=1", person, None, 400), ("GET", note, person, None, 200),
            ("GET", "/app/notes/7", person, None, 400), ("DELETE", note, person, None, 403), ("DELETE", note, editor, None, 204),
            ("POST", "/app/notes", {**person, "Content-Type": "application/json"}, b'{"title": "x", "tags": ["a"]}', 201),
            ("POST", "/app/notes", {**person, "Content-Type": "application/json"}, b'{"title": "x", "admin": true}', 400),
            ("POST", "/app/notes", {**person, "Content-Type": "application/json"}, b'{"title": "x", "id": "45657faa-9c49-41ec-8325-edf26d906ad7"}', 400),
            ("POST", "/app/notes", {**person, "Content-Type": "text/plain"}, b"x", 415), ("PUT", note + "/picture", {**person, "Content-Type": "image/png"}, b"x" * 30000, 204),
            ("PATCH", note, person, None, 405), ("GET", "/app/secret", person, None, 404)):
        assert ask(guard.address, method, uri, body, headers=headers).status == status, (method, uri, body)


def test_dokuwiki(folder, cgi):
    """What its comments promise, by explain; test_php_application.py has it with the application."""
    for script in ("doku.php", "install.php", "conf/local.php", "inc/init.php", "lib/exe/fetch.php", "lib/exe/xmlrpc.php", "lib/plugins/acl/admin.php"):
        folder.write("wiki/" + script, "")
    text = servers.example_policy("dokuwiki/policy.yaml", socket=folder / "wiki.sock", store=folder.writable("wiki-store") / "guard.db",
                                  wiki=folder / "wiki", user="user: " + (harness.WEB_USER or pwd.getpwuid(os.getuid()).pw_name))
    file = folder.write("wiki.yaml", text)
    program = harness.installed("fcgiguard", folder)

    def explain(method, target, *arguments):
        return harness.run([program, "explain", "-c", file, *arguments, "-H", "Host: www.example.com", method, target], env=harness.clean_environment()).stdout
    assert "308" in explain("GET", "/wiki/doku.php") and "https_required" in explain("POST", "/wiki/doku.php")
    for target, script in (("/wiki/", "doku.php"), ("/wiki/doku.php?id=start&do=edit", "doku.php"), ("/wiki/lib/exe/fetch.php?media=x.png", "lib/exe/fetch.php")):
        assert f"asks the application at unix:/run/php/php-fpm.sock for {folder}/wiki/{script}" in explain("GET", target, "-s"), target
    for target in ("/wiki/conf/local.php", "/wiki/inc/init.php", "/wiki/install.php", "/wiki/lib/exe/xmlrpc.php", "/wiki/lib/plugins/acl/admin.php",
                   "/wiki-admin/inc/init.php", "/wiki-admin/install.php"):
        said = explain("GET", target, "-s", "-a", "192.0.2.7")
        assert "asks the application" not in said and "404" in said, (target, said)
    assert "asks the application" in explain("GET", "/wiki-admin/", "-s", "-a", "192.0.2.7")
    assert "address_not_allowed" in explain("GET", "/wiki-admin/", "-s", "-a", "203.0.113.9")
    assert "validation_error" in explain("GET", "/wiki/doku.php?do=admin", "-s")


def test_errors(start_guard, cgi):
    """Problems for programs, pages for browsers, and one route as FastAPI has it."""
    guard = start_guard("", start=False, name="errors-example")
    guard.write(servers.example_policy("errors.yaml", cgi=cgi, socket=guard.address))
    guard.start()
    assert ask(guard.address, uri="/app/hello").status == 200
    problem = json.loads(ask(guard.address, uri="/app/office").body)
    assert problem["type"] == "https://www.example.com/problems/address_not_allowed" and problem["detail"] == "Only the office may do this"
    page = ask(guard.address, uri="/nowhere", headers={"Accept": "text/html, */*;q=0.8", "Accept-Language": "de-AT, en;q=0.5"})
    assert page.get("Content-Language") == "de" and "Bitte pr&#252;fen Sie die Adresse." in page.body.decode()
    note = ask(guard.address, "POST", "/app/notes", b'{"stars": 6}', headers={"Content-Type": "application/json", "Accept": "text/html"})
    assert note.status == 422 and {"type": "missing", "loc": ["body", "title"], "msg": "Field required"} in json.loads(note.body)["detail"]


def test_site(folder, cgi):
    """What its comments promise, by explain."""
    file = placed("site.yaml", folder, cgi)
    program = harness.installed("fcgiguard", folder)

    def explain(*arguments):
        return harness.run([program, "explain", "-c", file, *arguments], env=harness.clean_environment()).stdout
    text = explain("POST", "/app/admin/users", "-a", "203.0.113.9", "-s", "-H", "Host: www.example.com")
    assert "403" in text and "address_not_allowed" in text
    text = explain("GET", "/app/hello.sh", "-H", "Host: www.example.com")
    assert "308" in text
    text = explain("GET", "/app/hello.sh/2026", "-s", "-H", "Host: www.example.com")
    assert "X-Frame-Options" in text and "X-Powered-By" not in text


@pytest.mark.parametrize("name", ["express", "fastapi"])
def test_table_of_a_stack(name):
    """Its README names the tests that there are, and all of them."""
    said = set(re.findall(r"`(test_\w+)`", (harness.EXAMPLES / name / "README.md").read_text()))
    there = set(re.findall(r"^def (test_\w+)", (harness.SOURCE / f"tests/e2e/test_stack_{name}.py").read_text(), re.M))
    assert said == there


@pytest.mark.skipif(not os.path.exists("/usr/bin/curl"), reason="curl is not installed")
def test_quickstart(folder):
    program = harness.installed("fcgiguard", folder)
    environment = harness.clean_environment(FCGIGUARD=str(program), TMPDIR=temporary(folder, "quick"))
    result = harness.run([harness.EXAMPLES / "quickstart.sh"], env=environment, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(re.findall(r"^   -> 20[01], admitted", result.stdout, re.M)) == 2, result.stdout
    assert len(re.findall(r'^   -> 4\d\d, refused by "[a-z_]+" \([a-z_]+\): [A-Z]', result.stdout, re.M)) == 6, result.stdout
    assert "X-Content-Type-Options: nosniff" in result.stdout
    assert not os.listdir(folder / "quick")


@pytest.mark.skipif(not os.path.exists("/usr/bin/curl"), reason="curl is not installed")
def test_quickstart_keep(folder):
    program = harness.installed("fcgiguard", folder)
    environment = harness.clean_environment(FCGIGUARD=str(program), TMPDIR=temporary(folder, "quick-keep"))
    result = harness.run([harness.EXAMPLES / "quickstart.sh", "--keep"], env=environment, timeout=300)
    stop = re.search(r"To stop it: kill (\d+) (\d+); rm -r (\S+)", result.stdout)
    assert result.returncode == 0 and stop, result.stdout + result.stderr
    pids = [int(stop[1]), int(stop[2])]
    try:
        port = int(re.search(r"Still running: http://127\.0\.0\.1:(\d+)/", result.stdout)[1])
        assert servers.fetch(port, "/app/hello").status == 200
    finally:
        for pid in pids:
            os.kill(pid, harness.signal.SIGTERM)
        harness.wait_until(lambda: not [pid for pid in pids if harness.status_of(pid).get("State", "Z")[0] != "Z"], 15, "both end")
        harness.shutil.rmtree(stop[3])


def test_quickstart_misused():
    result = harness.run([harness.EXAMPLES / "quickstart.sh", "--wrong"])
    assert result.returncode == 2 and "usage" in result.stderr
