"""What nginx relies on in a FastCGI application, with fcgiguard between the two.

Each request is made twice, by way of fcgiguard and straight to an application of
the same kind, and the replies must be the same: status, headers, body and
whether the body was whole. The application is a real one, by libfcgi; where
single records matter, it is scripted."""

import re
import socket

import pytest

import harness
import records
import scripted
import servers
from http_backend import CLOSE, Backend
from records import STDERR, STDOUT, record

# Answers by the last segment of the path. What it is told and sent it writes down, but for what fcgiguard
# says by itself (an identifier, and that there is no body), and what is between nginx and its client alone.
APPLICATION = r"""
use strict;
use warnings;
use FCGI;
umask 0;
my $socket = FCGI::OpenSocket($ARGV[0], 16) or die "no socket";
my $request = FCGI::Request(\*STDIN, \*STDOUT, \*STDERR, \%ENV, $socket);
my %answers = (
    "redirect" => "Location: http://example.com/there?a=b\r\nContent-Type: text/html\r\n\r\nmoved\n",
    "path" => "Location: /there\r\n\r\n",
    "permanent" => "Status: 301 Moved\r\nLocation: http://example.com/\r\n\r\n",
    "missing" => "Status: 404 Not Found\r\n\r\n",
    "teapot" => "Status: 418 I am a teapot\r\nContent-Type: text/plain\r\n\r\nshort and stout\n",
    "untyped" => "X-Only: this\r\n\r\nsome text\n",
    "bare" => "\r\nsome text\n",
    "none" => "Status: 204 No Content\r\n\r\n",
    "unchanged" => "Status: 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
    "cookies" => "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Type: text/plain\r\n\r\ncookies\n",
    "names" => "content-type: text/plain\nX-Twice: one\nX-Twice: two\nX-Empty:\nETag: \"v\"\n\nlines end in LF\n",
    "extra" => "Content-Type: text/plain\r\nContent-Length: 8\r\n\r\nSEE-THIS and not this\n",
    "zero" => "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\nnot this\n",
    "exact" => "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nexact",
    "short" => "Content-Type: text/plain\r\nContent-Length: 100\r\n\r\ntoo short\n",
    "nothing" => "Content-Type: text/plain\r\nContent-Length: 100\r\n\r\n",
    "large" => "Content-Type: application/octet-stream\r\n\r\n" . join("", map { "$_\n" } 1 .. 200000),
);
while ($request->Accept() >= 0) {
    my ($name) = $ENV{REQUEST_URI} =~ m!([^/?]*)(?:\?.*)?$!;
    if ($name eq "told") {
        my $body = "";
        while (read(STDIN, my $piece, 5000)) { $body .= $piece; }
        print "Content-Type: text/plain\r\n\r\n";
        print map { "$_=$ENV{$_}\n" } sort grep { /^(?:HTTP_|CONTENT_|REQUEST_(?:METHOD|URI)|QUERY_STRING)/ }
            grep { !/^HTTP_(?:X_REQUEST_ID|CONNECTION|CONTENT_TYPE|CONTENT_LENGTH)$/ && $ENV{$_} } keys %ENV;
        print "body=$body\n";
    } elsif ($name eq "pieces") {
        for my $piece ("Content-Ty", "pe: text/pl", "ain\r", "\n", "X-Split: y", "es\r\n\r", "\nSEE", "-THIS\n") {
            print $piece;
            $request->Flush();
        }
    } elsif ($name eq "errors") {
        print STDERR "said aside " x 2000;
        print "Content-Type: text/plain\r\n\r\nserved\n";
    } else {
        print $answers{$name};
    }
    $request->Finish();
}
"""

MODES = {
    "buffered": "",
    "kept": "fastcgi_keep_conn on;",
    "unbuffered": "fastcgi_buffering off; fastcgi_request_buffering off;",
    "kept-unbuffered": "fastcgi_keep_conn on; fastcgi_buffering off; fastcgi_request_buffering off;",
}
# What fcgiguard adds by itself, and what no two replies have in common.
NOT_COMPARED = ("date", "x-request-id")


def server(port, address, settings):
    return f"""
    server {{
        listen 127.0.0.1:{port};
        include /etc/nginx/fastcgi_params;
        client_body_buffer_size 2k;
        {settings}
        location / {{ fastcgi_pass {address}; }}
        location /aside/ {{ internal; return 200 "from aside\\n"; }}
        location /caught/ {{
            fastcgi_pass {address}; fastcgi_intercept_errors on; error_page 404 /aside/;
        }}
    }}"""


class Pair:
    """nginx twice: straight to one application, and by way of fcgiguard to another of its kind."""

    def __init__(self, nginx, direct, guarded):
        self.nginx, self.direct, self.guarded = nginx, direct, guarded

    def send(self, data, method="GET"):
        return servers.fetch_raw(self.direct, data, method), servers.fetch_raw(self.guarded, data, method)

    def ask(self, target, method="GET", headers=(), body=None):
        return self.send(servers.request(method, target, headers, body), method)


def outcome(reply):
    headers = sorted((name.lower(), value) for name, value in reply.headers if name.lower() not in NOT_COMPARED)
    return reply.status, headers, reply.body, reply.complete


def same(replies):
    """The reply, which must be the same by both ways."""
    direct, guarded = replies
    assert outcome(guarded) == outcome(direct)
    return guarded


def start_pair(folder, name, guard, direct, settings):
    ports = harness.free_port(), harness.free_port()
    nginx = servers.nginx(folder, server(ports[0], "unix:" + direct, settings)
                          + server(ports[1], "unix:" + guard.address, settings), name, ports[0])
    return Pair(nginx, *ports)


def policy(address):
    return {"defaults": {"auth": "none", "headers": "off", "hosts": ["localhost"]},
            "routes": [{"path": "/**", "fastcgi": address}]}


@pytest.fixture(scope="module")
def applications(folder):
    script = folder.write("application.pl", APPLICATION)
    own = folder.writable("applications")
    started, paths = [], [str(own / "direct.sock"), str(own / "guarded.sock")]
    for path in paths:
        started.append(harness.Process(["/usr/bin/perl", script, path], own / "output.log", harness.WEB_USER))
    harness.wait_until(lambda: all(harness.os.path.exists(path) for path in paths), 20, "the applications listen")
    yield paths
    for process in started:
        process.end(harness.signal.SIGKILL)


@pytest.fixture(scope="module")
def guard(start_guard, applications):
    return start_guard(policy("unix:" + applications[1]), name="guard")


@pytest.fixture(scope="module", params=MODES)
def pair(request, folder, guard, applications):
    made = start_pair(folder, request.param, guard, applications[0], MODES[request.param])
    yield made
    made.nginx.stop()


# ---- replies

@pytest.mark.parametrize("name, status", [
    ("redirect", 302), ("path", 302), ("permanent", 301), ("missing", 404), ("teapot", 418), ("none", 204),
    ("untyped", 200), ("bare", 200), ("unchanged", 304), ("cookies", 200), ("names", 200), ("exact", 200),
    ("pieces", 200), ("large", 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reply_is_the_applications(pair, method, name, status):
    reply = same(pair.ask("/a/" + name, method))
    assert reply.status == status and reply.complete
    assert method == "GET" or reply.body == b""


def test_redirect_keeps_target_and_body(pair):
    reply = same(pair.ask("/redirect"))
    assert (reply.status, reply.get("Location"), reply.body) == (302, "http://example.com/there?a=b", b"moved\n")


def test_cookies_stay_apart(pair):
    assert same(pair.ask("/cookies")).all("Set-Cookie") == ["a=1; Path=/", "b=2"]


def test_headers_in_pieces(pair):
    reply = same(pair.ask("/pieces"))
    assert (reply.get("X-Split"), reply.body) == ("yes", b"SEE-THIS\n")


def test_errors_are_not_output(pair, guard):
    assert same(pair.ask("/errors")).body == b"served\n"
    guard.wait_text("said aside")


def test_error_page_of_nginx(pair):
    reply = same(pair.ask("/caught/missing"))
    assert (reply.status, reply.body) == (404, b"from aside\n")


@pytest.mark.parametrize("name, body", [("extra", b"SEE-THIS"), ("zero", b"")])
def test_data_behind_the_content_length_is_dropped(pair, name, body):
    reply = same(pair.ask("/" + name))
    assert (reply.status, reply.body, reply.complete) == (200, body, True)
    assert same(pair.ask("/" + name, "HEAD")).body == b""


@pytest.mark.parametrize("name", ["short", "nothing"])
def test_short_reply_is_seen_to_be_short(pair, name):
    """nginx answers 502 where nothing of a buffered body came, and breaks off otherwise."""
    reply = servers.fetch(pair.guarded, "/" + name)
    assert not reply.complete or reply.status == 502
    assert same(pair.ask("/" + name, "HEAD")).status == 200


def test_short_reply_of_no_stated_length_for_the_client(folder, guard):
    """Even where nginx does not pass the length on, as with gzip or what is added behind a body."""
    for name, settings in MODES.items():
        port = harness.free_port()
        snippet = server(port, "unix:" + guard.address, settings + " gzip on; gzip_types text/plain; gzip_min_length 1;")
        nginx = servers.nginx(folder, snippet, "gzip-" + name, port)
        try:
            reply = nginx.fetch("/short", headers={"Accept-Encoding": "gzip"})
            assert reply.get("Content-Length") is None and not reply.complete, name
        finally:
            nginx.stop()


# ---- requests

def test_parameters(pair):
    reply = same(pair.ask("/told?a=b&c=%20d", headers=[
        ("Cookie", "a=1"), ("X-Blah", "one"), ("If-Modified-Since", "Tue, 01 Dec 2026 00:00:00 GMT"), ("Accept", "*/*")]))
    for line in (b"REQUEST_METHOD=GET", b"QUERY_STRING=a=b&c=%20d", b"HTTP_COOKIE=a=1", b"HTTP_X_BLAH=one",
                 b"HTTP_IF_MODIFIED_SINCE=Tue, 01 Dec 2026 00:00:00 GMT", b"REQUEST_URI=/told?a=b&c=%20d"):
        assert line in reply.body.splitlines()


def test_many_headers(pair):
    same(pair.ask("/told", headers=[(f"X-Header-{number}", "value" * 20) for number in range(80)]))


def told_body(reply):
    stated = re.search(rb"^CONTENT_LENGTH=(\d+)$", reply.body, re.M)
    return int(stated[1]) if stated else 0, reply.body.partition(b"\nbody=")[2][:-1]


@pytest.mark.parametrize("size", [0, 6, 1280, 5120, 102400, 900000])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_body(pair, method, size):
    body = (b"0123456789" * (size // 10 + 1))[:size]
    length, came = told_body(same(pair.ask("/told", method, {"Content-Type": "text/plain"}, body)))
    assert (length, came) == (size, body)


@pytest.mark.parametrize("size", [0, 6, 5120, 102400])
def test_chunked_body(pair, size):
    """The application is always told a length, which nginx only knows when it collects a body."""
    body = b"x" * size
    request = servers.request("POST", "/told", {"Transfer-Encoding": "chunked"}, servers.chunked(body))
    reply = servers.fetch_raw(pair.guarded, request, "POST")
    length, came = told_body(reply)
    assert (reply.status, length, came) == (200, size, body)


def test_expected_continue(pair):
    for port in (pair.direct, pair.guarded):
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(b"POST /told HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 6\r\n"
                           b"Expect: 100-continue\r\n\r\n")
            interim = b"HTTP/1.1 100 Continue\r\n\r\n"
            assert client.recv(len(interim), socket.MSG_WAITALL) == interim
            client.sendall(b"foobar")
            assert told_body(servers.Response(servers.receive_all(client), "POST"))[1] == b"foobar"


def test_pipelined_bodies(pair):
    bodies = [b"0123456789", b"0123456789" * 128, b"0123456789" * 512, b"foobar"]
    data = b"".join(servers.request("POST", "/told", (), body, close=body == bodies[-1]) for body in bodies)
    for port in (pair.direct, pair.guarded):
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(data)
            received = servers.receive_all(client)
        whole = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received)  # without the bounds of chunks
        assert re.findall(rb"body=(\w+)\n", whole) == bodies


# ---- single records

def split(request):
    """Headers, padding, output and errors whose parts arrive by themselves."""
    head = b"Location: http://localhost/redirect\r\nContent-Type: text/html\r\n\r\n"
    line = b"test text, just for test"
    number = request.id
    stream = b"".join(record(STDOUT, head[at:at + 7], number, padding=at % 9) for at in range(0, len(head), 7))
    stream += (record(STDOUT, b"SEE-THIS\n", number, padding=8) + record(STDOUT, line + line, number)
               + record(STDERR, line, number, padding=3) + record(STDOUT, b"", number) + scripted.ending(request=number))
    for at in range(0, len(stream), 5):
        request.send(stream[at:at + 5])


def count(request):
    request.reply(b"connection %d\n" % request.number)


def broken(request):
    request.send(records.stream(STDOUT, scripted.head() + b"a part", request.id, end=False))
    return "close"


@pytest.fixture(scope="module")
def split_pair(folder, start_guard):
    own = folder.writable("split")
    made = [scripted.Scripted(str(own / name), {"split": split, "count": count, "broken": broken}) for name in ("a.sock", "b.sock")]
    # With one connection, each request waits until that of the one before is free.
    guard = start_guard(policy({"address": "unix:" + made[1].path, "connections": 1}), name="split-guard")
    pair = start_pair(folder, "split-nginx", guard, made[0].path, MODES["buffered"])
    pair.applications = made
    yield pair
    pair.nginx.stop()
    for application in made:
        application.stop()


def test_records_in_pieces(split_pair):
    for method in ("GET", "HEAD"):
        reply = same(split_pair.ask("/split", method))
        assert reply.status == 302
    assert same(split_pair.ask("/split")).body == b"SEE-THIS\n" + b"test text, just for test" * 2


def test_connection_is_kept(split_pair):
    """The application's is used again, also where nginx keeps none itself."""
    application = split_pair.applications[1]
    servers.fetch(split_pair.guarded, "/count")
    before = application.connections
    for target, method in (("/count", "GET"), ("/split", "GET"), ("/count", "GET"), ("/count", "POST")):
        assert servers.fetch(split_pair.guarded, target, method).status in (200, 302)
    assert application.connections <= before + 1


def test_reply_without_length_that_breaks_off(folder, start_guard, split_pair):
    """nginx sees it where it keeps connections and buffers replies, as the manual says."""
    guard = start_guard(policy("unix:" + split_pair.applications[1].path), name="broken-guard")
    port = harness.free_port()
    nginx = servers.nginx(folder, server(port, "unix:" + guard.address, MODES["kept"]), "broken-nginx", port)
    reply = nginx.fetch("/broken")
    nginx.stop()
    assert (reply.status, reply.complete) == (200, False)


def test_application_that_keeps_no_connection(folder, start_guard):
    """It answers one request and closes, whatever it was asked for."""
    own = folder.writable("closing")

    def closing(request):
        request.reply(b"served\n")
        return "close"
    application = scripted.Scripted(str(own / "app.sock"), {"close": closing})
    pair = start_pair(folder, "closing-nginx", start_guard(policy("unix:" + application.path), name="closing-guard"),
                      application.path, MODES["kept"])
    for method in ("GET", "POST", "POST", "GET"):
        reply = same(pair.ask("/close", method))
        assert (reply.status, reply.body) == (200, b"served\n")
    pair.nginx.stop()
    application.stop()


# ---- beside nginx's own proxy: an HTTP application

def http(text):
    return text.replace("\n", "\r\n").encode()


HTTP_REPLIES = {
    "length": [http("HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 8\n\n") + b"SEE-THIS"],
    "chunked": [http("HTTP/1.1 200 OK\nContent-Type: text/plain\nTransfer-Encoding: chunked\n\n"), b"3\r\nSEE\r\n",
                b"5\r\n-THIS\r\n0\r\n\r\n"],
    "pieces": [http("HTTP/1.1 200 OK\nContent-Ty"), http("pe: text/plain\nX-Split: y"),
               http("es\nContent-Length: 8\n"), http("\n") + b"SEE-", b"THIS"],
    "closed": [http("HTTP/1.1 200 OK\nContent-Type: text/plain\n\n") + b"to the end", CLOSE],
    "old": [http("HTTP/1.0 200 OK\nContent-Type: text/plain\n\n") + b"HTTP/1.0", CLOSE],
    "redirect": [http("HTTP/1.1 302 Found\nLocation: http://example.com/there?a=b\nContent-Length: 0\n\n")],
    "missing": [http("HTTP/1.1 404 Not Found\nContent-Type: text/plain\nContent-Length: 4\n\n") + b"none"],
    "cookies": [http("HTTP/1.1 200 OK\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: text/plain\n"
                     "Content-Length: 2\n\n") + b"ok"],
    "none": [http("HTTP/1.1 204 No Content\n\n")],
    "short": [http("HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 100\n\n") + b"too short", CLOSE],
    "short-chunked": [http("HTTP/1.1 200 OK\nContent-Type: text/plain\nTransfer-Encoding: chunked\n\n")
                      + b"ff\r\ntoo short", CLOSE],
}


@pytest.fixture(scope="module", params=["buffered", "unbuffered"])
def http_pair(request, folder, start_guard):
    backends = [Backend(scripts=HTTP_REPLIES), Backend(scripts=HTTP_REPLIES)]
    name = "http-" + request.param
    guard = start_guard({"defaults": {"auth": "none", "headers": "off", "hosts": ["localhost"]},
                         "routes": [{"path": "/**", "http": backends[1].url}]}, name=name + "-guard")
    ports = harness.free_port(), harness.free_port()
    modes = {"buffered": "", "unbuffered": "proxy_buffering off; proxy_request_buffering off;"}
    snippet = f"""
    server {{
        listen 127.0.0.1:{ports[0]}; proxy_http_version 1.1; {modes[request.param]}
        location / {{ proxy_pass {backends[0].url}; proxy_redirect off; proxy_set_header Connection ""; }}
    }}""" + server(ports[1], "unix:" + guard.address, "fastcgi_keep_conn on;" + MODES[request.param])
    pair = Pair(servers.nginx(folder, snippet, name, ports[0]), *ports)
    pair.applications, pair.buffered = backends, request.param == "buffered"
    yield pair
    pair.nginx.stop()
    for backend in backends:
        backend.stop()


@pytest.mark.parametrize("name", [name for name in HTTP_REPLIES if not name.startswith("short")])
def test_http_reply(http_pair, name):
    reply = same(http_pair.ask("/" + name))
    assert reply.complete and reply.status in (200, 204, 302, 404)


@pytest.mark.parametrize("name", ["length", "redirect", "none"])
def test_http_head(http_pair, name):
    assert same(http_pair.ask("/" + name, "HEAD")).body == b""


def test_http_reply_that_breaks_off(http_pair):
    """One without a length nginx only sees where it buffers replies, as the manual says."""
    for name in ["short", "short-chunked"] if http_pair.buffered else ["short"]:
        assert not servers.fetch(http_pair.guarded, "/" + name).complete


@pytest.mark.parametrize("size", [0, 6, 5120, 102400])
def test_http_body(http_pair, size):
    body = b"x" * size
    for sent in (servers.request("POST", "/length", {"Content-Type": "text/plain"}, body),
                 servers.request("POST", "/length", {"Transfer-Encoding": "chunked"}, servers.chunked(body))):
        assert servers.fetch_raw(http_pair.guarded, sent, "POST").body == b"SEE-THIS"
        assert http_pair.applications[1].last().body == body


def test_http_connection_is_kept(http_pair):
    backend = http_pair.applications[1]
    servers.fetch(http_pair.guarded, "/length")
    before = backend.connections
    for name in ("length", "chunked", "redirect", "missing"):
        servers.fetch(http_pair.guarded, "/" + name)
    assert backend.connections <= before + 1  # a request may come before the connection is back
