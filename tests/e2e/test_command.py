"""The command line: check, explain, help, version; and that explain says what
then happens."""

import json
import re

import pytest

import harness
from records import ask

GOOD = """listen: unix:{socket}
defaults: {{auth: none, hosts: [www.example.com]}}
routes:
  - path: /app/{{id}}
    methods: [GET, POST]
    https: require
    body: 100b
    content_types: application/json
    headers: {{preset: helmet, X-New: "yes"}}
    exec: {program}
"""

BAD = """listen: unix:/tmp/x.sock
thread: 4
timeouts: {read: 5 minutes, idel: 3s}
defaults:
  auth: none
routes:
  - path: /a
    methods: [GET]
    body: {max: 10kg}
    exec: /no/such/program
  - path: /a
    methods: [GET, get]
    hosts: ["*.*.example.com"]
    addresses: {allow: [10.0.0.1/8]}
    exec: /bin/true
  - path: b
    auth: jwt
    headers: hemlet
    exce: /bin/true
  - path: /c
    methods: GET
    exec: {program: /bin/true, timeout: 5x}
  - path: /d
    auth: none
    exec: {program: /bin/true, environment: {LD_PRELOAD: x}}
"""


@pytest.fixture(scope="module")
def program(folder):
    return harness.installed("fcgiguard", folder)


@pytest.fixture(scope="module")
def good(folder, helper):
    return folder.write("good.yaml", GOOD.format(socket=folder / "x.sock", program=helper))


def command(program, *arguments, **more):
    result = harness.run([program, *arguments], env=harness.clean_environment(), **more)
    assert not harness.REPORTS.search(result.stderr), result.stderr
    return result


# ---- check

def test_check_of_a_good_policy(program, good):
    result = command(program, "check", "-c", good)
    assert result.returncode == 0 and result.stderr == "" and "no errors" in result.stdout
    result = command(program, "check", "--quiet", "--config", good)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_says_all_that_is_wrong(program, folder):
    file = folder.write("bad.yaml", BAD)
    result = command(program, "check", "-c", file)
    assert result.returncode == 1
    for line, what in [(2, "thread"), (3, "timeouts.read"), (3, "idel"), (9, "body"), (10, "exec"), (12, "get"), (13, "hosts"),
                       (14, "addresses"), (16, "path"), (17, "auth"), (18, "headers"), (19, "exce"), (22, "timeout"),
                       (25, "LD_PRELOAD")]:
        assert re.search(rf"^{re.escape(str(file))}:{line}:\d+: .*{what}", result.stderr, re.M), (line, what, result.stderr)
    for word in ("threads", "idle", "exec"):
        assert f'did you mean "{word}"?' in result.stderr, (word, result.stderr)
    lines = [int(match) for match in re.findall(rf"^{re.escape(str(file))}:(\d+):", result.stderr, re.M)]
    assert lines == sorted(lines)


@pytest.mark.parametrize("content, pattern", [
    ("", r":1:1?"), ("routes: []", r"routes"), ("{", r":1:"), ("routes:\n\t- x", r":2:"), ("[1, 2]", r":1:1"),
    ("routes:\n  - {path: /a, exec: /bin/true}\n", r"auth"), ("routes:\n  - {path: /a, auth: none}\n", r"handler|exec"),
    ("routes: &a [*a]", r":1:"), ("a: 1\na: 2\n", r":2:1.*a"), ("--- x\n--- y\n", r":"), ("routes: !!python/x []", r":1:"),
    ("\xff\xfe", r":"), ("routes:\n  - {path: /a, auth: none, exec: {program: /bin/true, root: /bin}}", r"exec"),
    ("routes:\n  - {path: '/a/**/b', auth: none, exec: /bin/true}", r"path"),
    ("routes:\n  - {path: '/{a}/{a}', auth: none, exec: /bin/true}", r"path"),
    ("routes:\n  - {path: '/x/{a}', auth: none, exec: /bin/true}\n  - {path: '/x/{b}', auth: none, exec: /bin/true}", r":3:"),
])
def test_check_of_odd_files(program, folder, content, pattern):
    file = folder.write("odd.yaml", content.encode("latin-1"))
    result = command(program, "check", "-c", file)
    assert result.returncode == 1
    assert re.search(pattern, result.stderr) and str(file) in result.stderr, result.stderr


def test_check_of_json(program, folder, helper):
    policy = {"routes": [{"path": "/a", "auth": "none", "exec": helper}]}
    file = folder.write("good.json", json.dumps(policy, indent=1))
    assert command(program, "check", "-c", file).returncode == 0
    policy["routes"][0]["bdoy"] = "1kb"
    file = folder.write("bad.json", json.dumps(policy, indent=1))
    result = command(program, "check", "-c", file)
    assert result.returncode == 1 and re.search(r"bad\.json:7:\d+: .*bdoy.*did you mean \"body\"", result.stderr), result.stderr


def test_check_of_no_file(program, folder):
    result = command(program, "check", "-c", folder / "none.yaml")
    assert result.returncode == 1 and "none.yaml" in result.stderr and "No such file" in result.stderr


API = """openapi: 3.0.3
servers: [{url: /v1}]
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    put:
      operationId: keepPet
      security: [{key: [write]}]
      requestBody: {content: {application/json: {schema: {type: object}}, application/xml: {schema: {type: object}}}}
      responses: {200: {description: kept}, default: {description: other, content: {text/plain: {}}}}
components: {securitySchemes: {key: {type: oauth2, flows: {}}}}
"""


def test_check_of_an_api(program, folder):
    file = folder.write("api.yaml", API)
    result = command(program, "check", "--openapi", file)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout == f"""advice:
{file}:9:75: paths./pets/{{id}}.put.requestBody.content.application/xml: cannot be judged by a schema, so requests of \
this media type are refused
PUT /v1/pets/{{id}} keepPet
  path id
  body (optional) application/json: by its schema
  body (optional) application/xml: not judged
  200: no content is described
  default text/plain: any text
  security: key (write)
{file}: OpenAPI 3.0, 1 operation, no errors
"""
    result = command(program, "check", "-q", "--openapi", file)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_of_a_bad_api(program, folder):
    file = folder.write("api.yaml", API.replace("{type: integer}", "{$ref: ../api.yaml}").replace("[write]", "write"))
    result = command(program, "check", "--openapi", file)
    assert result.returncode == 1 and result.stdout.endswith(f"{file}: 2 errors\n")
    assert [line.rsplit(": ", 1)[1] for line in result.stderr.splitlines()] == [
        "the reference leads out of the document's folder", "expected a list of scopes, [] for none"]
    assert command(program, "check", "--openapi", folder / "none.yaml").returncode == 1
    assert command(program, "check", "--openapi", file, "-c", file).returncode == 2


def test_check_gives_advice(program, folder, helper):
    file = folder.write("risky.yaml", f"listen: tcp:0.0.0.0:9000\nsandbox: false\nroutes:\n  - path: /**\n    auth: none\n"
                        f"    mode: report\n    exec: {helper}\n")
    result = command(program, "check", "-c", file)
    assert result.returncode == 0
    for line in (1, 2, 4, 6):
        assert re.search(rf"risky\.yaml:{line}:\d+: ", result.stdout), (line, result.stdout)


def test_secrets_are_not_shown(program, folder, helper):
    folder.write("open.secret", "do-not-show", 0o644)
    file = folder.write("secret.yaml", f"routes:\n  - path: /a\n    auth: none\n    exec: {{program: {helper}, environment: "
                        "{A: 'file:open.secret', B: 'file:none.secret', C: 'env:NOT_SET_AT_ALL'}}\n")
    result = command(program, "check", "-c", file)
    assert result.returncode == 1
    assert "do-not-show" not in result.stderr + result.stdout
    assert len(re.findall(r"secret\.yaml:4:", result.stderr)) >= 3, result.stderr


# ---- explain

def explain(program, good, *arguments):
    return command(program, "explain", "-c", good, *arguments)


def test_explain_what_is_admitted(program, good, helper):
    result = explain(program, good, "POST", "/app/7", "-s", "-H", "Host: www.example.com", "-H", "Content-Type: application/json",
                     "-d", "{}")
    text = result.stdout
    assert result.returncode == 0, result.stderr
    assert "/app/{id}" in text and helper in text
    judged = re.findall(r"^(?:guards)? +([a-z_]+) +passes", text, re.M)
    assert judged == ["dotfiles", "hosts", "https", "methods", "body", "content_types", "auth"], text
    assert "X-New" in text and "X-Frame-Options" in text


@pytest.mark.parametrize("arguments, status, code", [
    (["GET", "/none", "-H", "Host: www.example.com"], 404, "route_not_found"),
    (["GET", "/app/7", "-H", "Host: evil.example"], 400, "host_not_allowed"),
    (["GET", "/app/7", "-H", "Host: www.example.com"], 403, "https_required"),
    (["DELETE", "/app/7", "-s", "-H", "Host: www.example.com"], 405, "method_not_allowed"),
    (["POST", "/app/7", "-s", "-H", "Host: www.example.com", "-H", "Content-Type: application/json", "-d", "x" * 101], 413,
     "body_too_large"),
    (["POST", "/app/7", "--secure", "--header", "Host: www.example.com", "--header", "Content-Type: text/xml", "--data", "x"], 415,
     "content_type_not_allowed"),
    (["GET", "/app/%00", "-H", "Host: www.example.com"], 400, "path_nul"),
    (["GET", "/app/.git", "-s", "-H", "Host: www.example.com"], 404, "dotfile"),
])
def test_explain_what_is_refused(program, good, arguments, status, code):
    result = explain(program, good, *arguments)
    assert str(status) in result.stdout and code in result.stdout, result.stdout + result.stderr


def test_explain_judges_the_body_it_is_given(program, folder):
    file = folder.write("body.yaml", "routes: [{path: /a, methods: [POST], auth: none, operators: refuse, respond: nothing, "
                        "body: {types: [json, form], fields: {name: {required: true, max_length: 3}}}}]\n")
    given = {"json": ("-H", "Content-Type: application/json", "-d"), "form": ("-H", "Content-Type: application/x-www-form-urlencoded", "-d")}
    for kind, body, reason in (("json", '{"name": "abc"}', None), ("json", '{"name": "abcd"}', "body /name: must have at most 3 characters"),
                               ("json", '{"nam": "abc"}', "body /name: is required"), ("form", "name=abc", None), ("form", "name[$ne]=abc", "operator")):
        result = explain(program, file, "POST", "/a", *given[kind], body)
        assert result.returncode == (1 if reason else 0) and "which is not here" not in result.stdout, result.stdout
        assert not reason or ("400 validation_error" in result.stdout and reason in result.stdout), result.stdout
    result = explain(program, file, "POST", "/a")
    assert result.returncode == 0 and "judges the body, which is not here" in result.stdout, result.stdout


def test_explain_agrees_with_serving(start_guard, program, helper):
    """What explain says of a request is what then happens to it."""
    guard = start_guard({
        "defaults": {"auth": "none", "hosts": ["www.example.com"]},
        "routes": [{"path": "/a/{id}", "methods": ["GET"], "addresses": {"deny": ["192.0.2.1"]}, "exec": helper},
                   {"path": "/b/**", "methods": ["POST"], "body": "5b", "content_types": "text/plain", "exec": helper}]})
    for method, uri, host, address, kind, body in [
            ("GET", "/a/1", "www.example.com", "192.0.2.2", None, None), ("GET", "/a/1", "www.example.com", "192.0.2.1", None, None),
            ("GET", "/a/1", "other.example", "192.0.2.2", None, None), ("GET", "/a/1/2", "www.example.com", "192.0.2.2", None, None),
            ("POST", "/a/1", "www.example.com", "192.0.2.2", None, b""), ("POST", "/b/inspect", "www.example.com", "::1", "text/plain", b"12345"),
            ("POST", "/b/inspect", "www.example.com", "::1", "text/plain", b"123456"), ("POST", "/b/inspect", "www.example.com", "::1", "a/b", b"1"),
            ("GET", "/b/../a/x", "www.example.com", "::1", None, None), ("GET", "/../a", "www.example.com", "::1", None, None)]:
        headers = {"Host": host, "Content-Type": kind}
        reply = ask(guard.address, method, uri, body, headers=headers, replace={"REMOTE_ADDR": address})
        arguments = [method, uri, "-a", address]
        for name, value in headers.items():
            arguments += ["-H", f"{name}: {value}"] if value else []
        arguments += ["-d", body.decode()] if body else []
        text = explain(program, guard.policy_path, *arguments).stdout
        if reply.status == 200:
            assert "200" in text or helper in text, (uri, text)
        else:
            code = json.loads(reply.body)["error"]
            assert str(reply.status) in text and code in text, (method, uri, reply.status, code, text)


def test_explain_tells_what_the_defaults_have_added(program, folder):
    file = folder.write("merged.yaml", """
defaults:
  auth: none
  exec: {program: /usr/bin/true, timeout: 9s, environment: {A: a, B: b}}
  parameters: {query: {page: integer}, unknown: allow}
routes:
  - {path: /same}
  - {path: /query, parameters: {query: {q: {type: string}}}}
  - {path: /program, exec: {program: /usr/bin/env, environment: {A: c}}}
  - {path: /none, parameters: null, exec: {timeout: null, environment: null}}
""")
    for path, told in (("/same", None), ("/query", "parameters.unknown, parameters.query.page"),
                       ("/program", "exec.timeout, exec.environment.B"), ("/none", "exec.program")):
        text = explain(program, file, "GET", path).stdout
        assert re.findall(r"^defaults +(.+)$", text, re.M) == ([told] if told else []), text


def test_explain_looks_for_the_script(program, folder):
    script = folder.write("root/shop/cart.cgi", "#!/bin/sh\ntouch $0.ran\n", 0o755)
    loose = folder.write("root/loose.cgi", "#!/bin/sh\n", 0o777)
    file = folder.write("root.yaml", f"routes:\n  - path: /cgi/**\n    auth: none\n"
                        f"    exec: {{root: {folder / 'root'}, extensions: .cgi}}\n")
    result = explain(program, file, "GET", "/cgi/shop/cart.cgi/7")
    assert result.returncode == 0 and f"runs {script}\n" in result.stdout, result.stdout
    assert not (folder / "root/shop/cart.cgi.ran").exists()
    for uri in ("/cgi/shop/none.cgi", "/cgi/shop", "/cgi", "/cgi/" + "x" * 5000):
        result = explain(program, file, "GET", uri)
        assert result.returncode == 1, uri
        assert re.search(r"^verdict +exec refuses with 404 script_not_found \(.+\)$", result.stdout, re.M), result.stdout
        assert "reply       404 Not Found" in result.stdout and "admitted" not in result.stdout
    result = explain(program, file, "GET", "/cgi/loose.cgi")
    assert result.returncode == 1
    assert re.search(rf"exec fails with 502 program_failed \({loose} can be written", result.stdout), result.stdout


def test_explain_misused(program, good):
    for arguments in ([], ["GET"], ["GET", "/a", "more"], ["GET", "/a", "-H", "nocolon"], ["GET", "/a", "-a", "nonsense"],
                      ["GET", "/a", "-z"]):
        result = explain(program, good, *arguments)
        assert result.returncode != 0 and result.stderr, arguments


# ---- the rest

def test_help(program):
    for arguments in (["help"], ["-h"], ["--help"]):
        result = command(program, *arguments)
        assert result.returncode == 0
        for word in ("serve", "check", "explain", "validate", "version", "routes", "exec.timeout", "listen.mode", "threads"):
            assert word in result.stdout, (arguments, word)
    result = command(program, "help", "exec.timeout")
    assert result.returncode == 0 and "5m" in result.stdout
    result = command(program, "help", "exec.timeot")
    assert result.returncode != 0 and "exec.timeout" in result.stderr
    result = command(program, "help", "version")  # a command, and a key of routes
    assert "usage: fcgiguard version" in result.stdout and "version.serves" in result.stdout
    usages = re.search(r"^Commands:$(.*?)^Options:$", command(program, "help").stdout, re.M | re.S)[1]
    assert set(re.findall(r"^( *)(?:verify|revoke|sign|list|show|reset|rotate|import) ", usages, re.M)) == {" " * 11}


def test_version(program):
    for arguments in (["version"], ["-V"], ["--version"]):
        result = command(program, *arguments)
        assert result.returncode == 0 and re.match(r"^fcgiguard \d+\.\d+\.\d+", result.stdout)


def test_misused(program):
    for arguments in ([], ["serv"], ["--nonsense"], ["serve", "--nonsense"], ["check", "extra", "words"], ["serve", "-c"]):
        result = command(program, *arguments, timeout=20)
        assert result.returncode != 0 and result.stderr, arguments
    assert "serve" in command(program, "serv").stderr


def test_as_cgi_program_arguments_are_ignored(program, good, folder):
    """RFC 3875, 4.4: a query may become arguments; none of them is an option."""
    environment = harness.clean_environment(
        GATEWAY_INTERFACE="CGI/1.1", FCGIGUARD_POLICY=str(good), REQUEST_METHOD="GET", REQUEST_URI="/none", SERVER_NAME="x",
        SERVER_PORT="80", SERVER_PROTOCOL="HTTP/1.1", REDIRECT_STATUS="200", HTTP_HOST="www.example.com", REMOTE_ADDR="::1")
    for arguments in ([], ["version"], ["--help"], ["serve", "-c", "/etc/passwd"]):
        result = harness.run([program, *arguments], env=environment, stdin=harness.subprocess.DEVNULL, user=harness.WEB_USER)
        assert result.stdout.startswith("Status: 404 "), (arguments, result.stdout, result.stderr)
    del environment["REDIRECT_STATUS"]
    result = harness.run([program], env=environment, stdin=harness.subprocess.DEVNULL, user=harness.WEB_USER)
    assert result.stdout.startswith("Status: 403 "), result.stdout
    environment["FCGIGUARD_POLICY"] = str(folder / "none.yaml")
    environment["REDIRECT_STATUS"] = "200"
    result = harness.run([program], env=environment, stdin=harness.subprocess.DEVNULL, user=harness.WEB_USER)
    assert result.stdout.startswith("Status: 500 ") and "none.yaml" not in result.stdout and "none.yaml" in result.stderr


@pytest.mark.skipif(not harness.IS_ROOT, reason="needs root")
def test_as_cgi_program_of_root_a_user_is_needed(program, good, folder):
    environment = harness.clean_environment(
        GATEWAY_INTERFACE="CGI/1.1", REQUEST_METHOD="GET", REQUEST_URI="/none", SERVER_NAME="x", SERVER_PORT="80",
        SERVER_PROTOCOL="HTTP/1.1", REDIRECT_STATUS="200", HTTP_HOST="www.example.com", REMOTE_ADDR="::1")
    for user, status in (("", "500"), (f"user: {harness.WEB_USER}\n", "404")):
        environment["FCGIGUARD_POLICY"] = str(folder.write("root.yaml", user + good.read_text()))
        result = harness.run([program], env=environment, stdin=harness.subprocess.DEVNULL)
        assert result.stdout.startswith(f"Status: {status} "), (user, result.stdout, result.stderr)
        assert "root.yaml" not in result.stdout
        assert ("names no `user`" in result.stderr) == (status == "500"), result.stderr
