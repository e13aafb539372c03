"""Programs people really have: git over HTTP, gitweb, cgit, CGI.pm, php-cgi,
with the policies of examples/."""

import hashlib
import os
import pathlib

import pytest

import harness
import servers

GIT_SERVERS = ["lighttpd", "nginx", "mod_fcgid", "mod_proxy_fcgi"]


def make_repositories(folder, name):
    """A folder with a bare repository of the web server's user, which takes pushes."""
    root = folder.writable(name)
    bare = root / "project.git"
    environment = harness.clean_environment(HOME=str(folder.path), GIT_CONFIG_NOSYSTEM="1")
    for arguments in (["init", "-q", "--bare", bare], ["-C", bare, "config", "http.receivepack", "true"],
                      ["-C", bare, "config", "core.compression", "0"],
                      ["-C", bare, "symbolic-ref", "HEAD", "refs/heads/main"]):
        result = harness.run(["git", *arguments], env=environment)
        assert result.returncode == 0, result.stderr
    (bare / "description").write_text("A project to be looked at\n")
    if harness.IS_ROOT:
        for path in [bare, *bare.rglob("*")]:
            harness.shutil.chown(path, harness.WEB_USER, harness.WEB_USER)
    return root


@pytest.fixture(scope="module", params=GIT_SERVERS)
def git_front(request, folder):
    name = "git-" + request.param
    repositories = make_repositories(folder, name + "-repositories")
    settings = {"gitweb": folder.write(name + "-gitweb.conf", f'our $projectroot = "{repositories}";\n'),
                "cgit": folder.write(name + "-cgitrc", f"virtual-root=/app/cgit\ncache-size=0\nscan-path={repositories}\n")}
    policy = servers.example_policy("git.yaml", socket=folder.writable("run") / (name + ".sock"), git=repositories, **settings)
    front = servers.start(request.param, folder, policy, name)
    front.repositories = repositories
    yield front
    front.stop()
    front.guard.stop()


def git(where, *arguments, ok=True, **more):
    environment = harness.clean_environment(
        HOME=str(where), GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@b",
        GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@b", **more)
    result = harness.run(["git", "-c", "core.compression=0", *arguments], env=environment, cwd=where)
    assert not ok or result.returncode == 0, result.stderr
    return result


def test_clone_push_fetch(git_front, tmp_path):
    url = f"http://127.0.0.1:{git_front.port}/app/git/project.git"
    git(tmp_path, "clone", "-q", url, "first")
    first = tmp_path / "first"
    git(first, "checkout", "-q", "-B", "main")
    big = os.urandom(20 << 20)
    (first / "big").write_bytes(big)
    (first / "server").write_text(git_front.kind)
    git(first, "add", ".")
    git(first, "commit", "-q", "-m", f"through {git_front.kind}")
    git(first, "push", "-q", "--force", "origin", "main")
    head = git(first, "rev-parse", "HEAD").stdout.strip()
    assert (git_front.repositories / "project.git/refs/heads/main").read_text().strip() == head
    git(tmp_path, "clone", "-q", url, "second")
    second = tmp_path / "second"
    assert hashlib.sha256((second / "big").read_bytes()).digest() == hashlib.sha256(big).digest()
    (first / "small").write_text(f"more through {git_front.kind}")
    git(first, "add", ".")
    git(first, "commit", "-q", "-m", "more")
    git(first, "push", "-q", "origin", "main")
    git(second, "fetch", "-q", "origin")
    assert git(second, "rev-parse", "origin/main").stdout == git(first, "rev-parse", "HEAD").stdout
    entries = [entry for entry in git_front.guard.log() if entry["event"] == "request"]
    assert entries and all(entry["status"] in (200, 304) for entry in entries), [
        entry for entry in entries if entry["status"] not in (200, 304)]


def test_push_is_refused_by_the_repository(git_front, tmp_path):
    """What git-http-backend refuses arrives as its own answer."""
    settings = git_front.repositories / "project.git/config"
    before = settings.read_text()
    settings.write_text(before.replace("receivepack = true", "receivepack = false"))
    try:
        url = f"http://127.0.0.1:{git_front.port}/app/git/project.git"
        git(tmp_path, "clone", "-q", url, "third")
        third = tmp_path / "third"
        git(third, "checkout", "-q", "-B", "main")
        (third / "x").write_text("x")
        git(third, "add", ".")
        git(third, "commit", "-q", "-m", "x")
        refused = git(third, "push", "origin", "main", ok=False)
        assert refused.returncode != 0 and "403" in refused.stderr, refused.stderr
    finally:
        settings.write_text(before)


def test_outside_the_repositories(git_front):
    for target in ("/app/git/../../etc/passwd", "/app/git/none.git/info/refs?service=git-upload-pack",
                   "/app/git/project.git/.git/config"):
        assert git_front.fetch(target).status in (400, 403, 404)


def test_gitweb(git_front):
    reply = git_front.fetch("/app/gitweb")
    assert reply.status == 200 and b"project.git" in reply.body and b"looked at" in reply.body
    reply = git_front.fetch("/app/gitweb?p=project.git;a=summary")
    assert reply.status == 200 and b"project.git" in reply.body
    assert reply.get("X-Content-Type-Options") == "nosniff"


@pytest.mark.skipif(not pathlib.Path("/usr/lib/cgit/cgit.cgi").exists(), reason="cgit is not installed")
def test_cgit(git_front):
    reply = git_front.fetch("/app/cgit/")
    assert reply.status == 200 and b"project" in reply.body, reply.body[:500]
    reply = git_front.fetch("/app/cgit/project.git/log/")
    assert reply.status == 200 and b"project" in reply.body, reply.body[:500]


# ---- Perl and PHP

@pytest.fixture(scope="module", params=["lighttpd", "nginx", "mod_fcgid", "caddy"])
def script_front(request, folder, programs):
    name = "scripts-" + request.param
    policy = servers.example_policy("scripts.yaml", cgi=programs, socket=folder.writable("run") / (name + ".sock"))
    front = servers.start(request.param, folder, policy, name)
    yield front
    front.stop()
    front.guard.stop()


def multipart(fields, name, content):
    mark = "----a-boundary"
    body = b""
    for field, value in fields.items():
        body += f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    body += (f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
             "Content-Type: application/octet-stream\r\n\r\n").encode() + content + f"\r\n--{mark}--\r\n".encode()
    return body, f"multipart/form-data; boundary={mark}"


@pytest.mark.parametrize("script", ["perl/form.pl", "php/form.php"])
def test_form(script_front, script):
    reply = script_front.fetch(f"/app/{script}/more/path?q=1", method="POST", body=b"name=some+one&word=%C3%A9",
                               headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status == 200, (reply.body, script_front.guard.text()[-2000:])
    text = reply.body.decode()
    assert "name=some one\n" in text and "word=é\n" in text
    assert "method=POST path=/more/path" in text
    assert reply.all("Set-Cookie")


@pytest.mark.parametrize("script", ["perl/form.pl", "php/form.php"])
def test_upload(script_front, script):
    content = os.urandom(300000)
    body, kind = multipart({"name": "x"}, "upload.bin", content)
    reply = script_front.fetch(f"/app/{script}", method="POST", body=body, headers={"Content-Type": kind})
    assert reply.status == 200, (reply.body, script_front.guard.text()[-2000:])
    assert hashlib.md5(content).hexdigest() in reply.body.decode()


@pytest.mark.parametrize("script", ["perl/form.pl", "php/form.php"])
def test_get_form(script_front, script):
    reply = script_front.fetch(f"/app/{script}?q=1")
    assert reply.status == 200 and b"q=1" in reply.body
    assert script_front.fetch(f"/app/{script}", method="POST", body=b"{}",
                              headers={"Content-Type": "application/json"}).status == 415


def test_perl_sets_two_cookies(script_front):
    assert len(script_front.fetch("/app/perl/form.pl").all("Set-Cookie")) == 2


def test_script_of_another_kind(script_front):
    assert script_front.fetch("/app/perl/form.php").status == 404
    assert script_front.fetch("/app/php/form.pl").status == 404
