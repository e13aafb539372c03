"""Policies that take their routes from an OpenAPI document: what its operations
let in, by whom, and what of the policy comes on top."""

import json
import urllib.parse

import pytest

import harness
import servers
from records import Connection, environment
from test_callers import SECRET, bearer, token

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
ID = "45657faa-9c49-41ec-8325-edf26d906ad7"


def parameter(name, place, schema, **more):
    return {"name": name, "in": place, "schema": schema, **({"required": True} if place == "path" else {}), **more}


def body(required=True, **types):
    return {"required": required, "content": {name.replace("__", "+").replace("_", "/"): content for name, content in types.items()}}


INTEGERS = {"type": "array", "items": {"type": "integer"}}
PAGE = {"type": "object", "additionalProperties": False, "properties": {"size": {"type": "integer", "maximum": 100}, "sort": {"enum": ["up", "down"]}}}
USER = {"type": "object", "required": ["name"], "properties": {
    "id": {"type": "integer", "readOnly": True}, "name": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 18},
    "inner": {"type": "object", "properties": {"a": {"type": "boolean"}}}}}
FILES = {"type": "object", "required": ["picture"], "properties": {
    "title": {"type": "string", "maxLength": 5}, "picture": {"type": "string", "format": "binary"},
    "more": {"type": "array", "maxItems": 2, "items": {"type": "string", "format": "binary"}}, "about": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}}}
REPLY = {"200": {"description": "Good"}}


def operation(name=None, **more):
    return {**({"operationId": name} if name else {}), "responses": REPLY, **more}


def document(**more):
    return {
        "openapi": "3.0.3", "info": {"title": "Things", "version": "1"}, "servers": [{"url": "/app"}],
        "paths": {
            "/query": {"get": operation("query", parameters=[
                parameter("n", "query", {"type": "integer", "minimum": 1}), parameter("ids", "query", INTEGERS),
                parameter("list", "query", {**INTEGERS, "maxItems": 3}, explode=False), parameter("page", "query", PAGE, style="deepObject"),
                parameter("flat", "query", PAGE, explode=False), parameter("empty", "query", {"type": "integer"}, allowEmptyValue=True),
                {"name": "filter", "in": "query", "content": {JSON: {"schema": PAGE}}}])},
            "/spread": {"get": operation(parameters=[parameter("page", "query", PAGE)])},
            "/needed": {"get": operation(parameters=[parameter("q", "query", {"type": "string"}, required=True)])},
            "/path/{user-id}/{list}": {"get": operation(parameters=[parameter("user-id", "path", {"type": "string", "format": "uuid"}),
                                                                   parameter("list", "path", INTEGERS)])},
            "/head": {"get": operation(parameters=[parameter("X_Ids", "header", INTEGERS), parameter("X-Page", "header", PAGE, explode=True),
                                                   parameter("Accept", "header", {"enum": ["never"]}),
                                                   parameter("theme", "cookie", {"enum": ["dark", "light"]}, required=True)])},
            "/users": {"post": operation("createUser", requestBody=body(application_json={"schema": USER})),
                       "put": operation("anyUser", requestBody={"required": False, "content": {
                           JSON: {"schema": USER}, FORM: {"schema": USER}, "text/*": {"schema": {"type": "string", "maxLength": 5}},
                           "application/vnd.user+json": {"schema": {"type": "object", "maxProperties": 0}}, "image/*": {}}})},
            "/ranges": {"put": operation(requestBody={"content": {
                **{name: {"schema": USER} for name in (JSON, "text/json", "application/xml", "multipart/form-data")}, "*/*": {}}})},
            "/files": {"post": operation("upload", requestBody=body(**{"multipart_form-data": {
                "schema": FILES, "encoding": {"picture": {"contentType": "image/png"}}}}))},
            "/reported": {"get": operation("reported", parameters=[parameter("n", "query", {"type": "integer"})])},
            "/mixed": {"get": operation("mixed"), "put": operation()},
            "/head-only": {"head": operation(), "get": operation()},
        }, **more}


SCRIPT = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s|%s|%s|%s|' "$SCRIPT_NAME" "$PATH_INFO" "$QUERY_STRING" "${REMOTE_USER:-}"
cat
"""


@pytest.fixture(scope="module")
def script(folder):
    return str(folder.write("cgi/show.sh", SCRIPT, 0o755))


def write(folder, name, value):
    return str(folder.write(f"{name}.json", json.dumps(value, indent=1), 0o644))


@pytest.fixture(scope="module")
def guard(start_guard, folder, script):
    return start_guard({
        "openapi": {"file": write(folder, "api", document())}, "defaults": {"auth": "none", "exec": script},
        "routes": [{"operation": "createUser", "body": "200b"}, {"operation": "upload", "body": {"files": {"max": "1kb", "extensions": ".png"}}},
                   {"operation": "reported", "mode": "report"}, {"operation": "mixed", "mode": "report"}, {"path": "/app/own", "exec": script}]}, name="openapi")


@pytest.fixture(scope="module")
def front(folder, script):
    started = servers.start("lighttpd", folder, {
        "openapi": {"file": write(folder, "front", document())}, "defaults": {"auth": "none", "exec": script}, "routes": [
            {"path": "/app/own", "exec": script}]}, name="openapi-front")
    yield started
    started.stop()
    started.guard.stop()


def send(guard, uri, content=b"", content_type=JSON, method="GET", **headers):
    given = {**headers, **({"content-type": content_type} if content_type is not None and content else {})}
    with Connection(guard.address) as connection:
        return connection.ask(environment(method, uri, headers=given, body=content), content)


def wrong(reply, status=400, code="validation_error"):
    answer = json.loads(reply.body)
    assert (reply.status, answer["error"]) == (status, code), reply.raw
    return {(item["in"], item["field"]): item["error"] for item in answer.get("details", [])}


# ---- routes

def test_operations_are_routes(guard):
    reply = send(guard, f"/app/path/{ID}/1,2")
    assert reply.status == 200 and reply.body == f"/app|/path/{ID}/1,2|||".encode()
    assert send(guard, "/app/own").status == 200
    for method, uri, status, code in (("GET", "/query", 404, "route_not_found"), ("GET", "/app/nothing", 404, "route_not_found"),
                                      ("POST", "/app/query", 405, "method_not_allowed"), ("HEAD", "/app/query", 200, None),
                                      ("HEAD", "/app/head-only", 200, None)):
        reply = send(guard, uri, method=method)
        assert reply.status == status, (method, uri)
        assert code is None or json.loads(reply.body)["error"] == code
    assert send(guard, "/app/users", b"x", method="DELETE").get("Allow") == "POST, PUT"


# ---- parameters

@pytest.mark.parametrize("query", [
    "", "n=1", "ids=1&ids=2", "list=1,2", "list=1%2C2", "page[size]=10&page[sort]=up", "page%5Bsize%5D=10", "flat=size,10,sort,up", "empty=", "empty=3",
    'filter={"size":10}', "filter=%7B%22size%22%3A10%7D",
])
def test_parameters_of_the_query(guard, query):
    reply = send(guard, "/app/query?" + query)
    assert reply.status == 200 and reply.body == f"/app|/query|{query}||".encode()


@pytest.mark.parametrize("query, field, words", [
    ("n=0", "n", "at least 1"), ("n=", "n", "integer"), ("n=1.0", "n", "integer"), ("n=+1", "n", "integer"), ("n=1&n=2", "n", "more than once"),
    ("N=1", "N", "not allowed"), ("other=1", "other", "not allowed"), ("ids=1&ids=x", "ids/1", "integer"), ("ids=1,2", "ids/0", "integer"),
    ("ids[]=1", "ids[]", "taken for another"), ("list=1,x", "list/1", "integer"), ("list=1,2,3,4", "list", "at most 3"), ("list=1&list=2", "list", "more than once"),
    ("list=1,2%2C3", "list", "escaped"), ("page[size]=101", "page/size", "at most 100"), ("page[size]=1&page[size]=2", "page[size]", "more than once"),
    ("page[other]=1", "page/other", "not allowed"), ("page=1", "page", "object"), ("page[size][x]=1", "page[size][x]", "taken for another"),
    ("page.size=1", "page.size", "not allowed"), ("flat=size", "flat", "names and values"), ("flat=size,x", "flat/size", "integer"),
    ("flat=size,1,size,2", "flat", "more than once"), ("empty=x", "empty", ""), ("filter={", "filter", "JSON"), ('filter={"size":101}', "filter/size", "at most 100"),
    ('filter={"size":1,"size":2}', "filter", "JSON"), ("n=1;ids=2", "", "semicolon"), ("n=%ff", "n", "UTF-8"), ("n", "n", "integer"),
])
def test_parameters_of_the_query_that_do_not_fit(guard, query, field, words):
    found = wrong(send(guard, "/app/query?" + query))
    assert list(found)[0] == ("query", field) and words in found["query", field], found


def test_an_object_spread_over_the_query(guard):
    assert send(guard, "/app/spread?size=10&sort=down").status == 200
    assert ("query", "page/size") in wrong(send(guard, "/app/spread?size=x"))
    assert ("query", "page") in wrong(send(guard, "/app/spread?page=x"))
    assert ("query", "other") in wrong(send(guard, "/app/spread?other=1"))


def test_what_is_required(guard):
    assert wrong(send(guard, "/app/needed")) == {("query", "q"): "is required"}
    assert send(guard, "/app/needed?q=").status == 200


def test_parameters_of_the_path(guard):
    assert list(wrong(send(guard, "/app/path/7/1,2"))) == [("path", "user-id")]
    assert list(wrong(send(guard, f"/app/path/{ID}/1,x"))) == [("path", "list/1")]
    assert send(guard, f"/app/path/{ID}/1%2c2%2C3").status == 200
    assert "escaped" in wrong(send(guard, f"/app/path/{ID}/1,2%2C3"))["path", "list"]


def test_headers_and_cookies(guard):
    good = {"x-ids": "1, 2", "x-page": "size=10,sort=up", "cookie": "theme=dark; other=1", "accept": "text/plain", "x-other": "1"}
    assert send(guard, "/app/head", **good).status == 200
    assert list(wrong(send(guard, "/app/head", **{**good, "x-ids": "1,x"}))) == [("header", "x-ids/1")]
    assert list(wrong(send(guard, "/app/head", **{**good, "x-page": "size=10,size"}))) == [("header", "x-page")]
    assert list(wrong(send(guard, "/app/head", **{**good, "cookie": "other=1"}))) == [("cookie", "theme")]
    assert list(wrong(send(guard, "/app/head", **{**good, "cookie": "theme=dark; theme=light"}))) == [("cookie", "theme")]


# ---- bodies

def test_a_body_is_judged_by_its_type(guard):
    good = json.dumps({"name": "Ann", "age": 18}).encode()
    reply = send(guard, "/app/users", good, method="POST")
    assert reply.status == 200 and reply.body.endswith(b"|" + good)
    assert wrong(send(guard, "/app/users", b'{"age": 3, "id": 1}', method="POST")).keys() == {("body", "/name"), ("body", "/age"), ("body", "/id")}
    assert send(guard, "/app/users", b'{"name": "Ann", "more": 1}', method="POST").status == 200, "it says nothing of others"
    assert "missing" in wrong(send(guard, "/app/users", method="POST"))["body", ""]
    assert send(guard, "/app/users", b'{"name": "Ann"}', "text/plain", "POST").status == 415
    assert send(guard, "/app/users", b'{"name": "Ann"}', None, "POST").status == 415
    assert send(guard, "/app/users", b'{"name": "Ann"}' + b" " * 200, method="POST").status == 413, "what the policy says is kept"


@pytest.mark.parametrize("content, content_type, status", [
    (b"", None, 200), (b'{"name":"Ann"}', JSON, 200), (b'{"name":1}', JSON, 400), (b"name=Ann&age=20", FORM, 200), (b"name=Ann&age=x", FORM, 400),
    (b"name=Ann&a=true", FORM, 200), (b"name=Ann&a=x", FORM, 400), (b"short", "text/plain", 200), (b"too long", "text/plain", 400), (b"short", "text/csv", 200),
    (b"{}", "application/vnd.user+json", 200), (b'{"name":"Ann"}', "application/vnd.user+json", 400), (b'{"name":"Ann"}', "application/other+json", 415),
    (PNG, "image/png", 200), (b"\xff{[", "image/x-any", 200), (b"<a/>", "application/xml", 415), (b"x", "image", 415), (b"x", "image/*", 415),
    (b'{"name":"Ann"}', JSON + "; charset=latin1", 415), (b"name=Ann", FORM + "x", 415),
])
def test_types_of_a_body(guard, content, content_type, status):
    assert send(guard, "/app/users", content, content_type, "PUT").status == status


@pytest.mark.parametrize("content, content_type, status", [
    (b'{"name":"Ann"}', JSON, 200), (b'{"name":1}', JSON, 400), (PNG, "image/png", 200), (b'{"name":1}', "text/json", 415), (b"<a/>", "application/xml", 415),
    (b"--x\r\nContent-Disposition: form-data; name=name\r\n\r\ntoo long for it\r\n--x--\r\n", "multipart/form-data; boundary=x", 415),
])
def test_what_a_media_type_asks_is_not_left_out_for_a_range(guard, content, content_type, status):
    assert send(guard, "/app/ranges", content, content_type, "PUT").status == status


def test_an_operation_without_body_takes_none(guard):
    assert send(guard, "/app/query", b"{}").status == 415
    assert send(guard, "/app/query", b"x", None).status == 415


def multipart(*parts):
    lines = []
    for name, filename, content_type, content in parts:
        said = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
        lines += [b"--x", said.encode(), *([b"Content-Type: " + content_type.encode()] if content_type else []), b"", content]
    return b"\r\n".join([*lines, b"--x--", b""])


PICTURE = ("picture", "a.png", "image/png", PNG)


@pytest.mark.parametrize("parts, field", [
    ([PICTURE], None), ([PICTURE, ("title", None, None, b"short")], None), ([PICTURE, ("more", "b.png", None, b"any"), ("more", "c.png", None, b"any")], None),
    ([PICTURE, ("about", None, JSON, b'{"n":1}'), ("list", None, JSON, b'{"n":1}'), ("list", None, JSON, b'{"n":2}')], None), ([PICTURE, ("list", None, JSON, b'{"n":"x"}')], "/list/0/n"), ([PICTURE, ("about", None, None, b'{"n":"x"}')], "/about/n"), ([PICTURE, ("about", None, None, b"x")], "/about"),
    ([PICTURE, ("title", None, None, b"too long")], "/title"), ([], "/picture"), ([("picture", "", "application/octet-stream", b"")], "/picture"),
    ([("picture", None, None, b"text")], "/picture"), ([PICTURE, PICTURE], "/picture"), ([("picture", "a.png", "image/png", b"GIF89a....")], "/picture"),
    ([("picture", "a.gif", "image/png", PNG)], "/picture"), ([("picture", "a.png", "image/png", PNG + bytes(2000))], "/picture"),
    ([PICTURE, *[("more", "b.png", None, b"any")] * 3], "/more"), ([PICTURE, ("other", "b.png", None, b"any")], "/other"), ([PICTURE, ("title", "b.png", None, b"any")], "/title"),
])
def test_files(guard, parts, field):
    if not parts:
        parts = [("title", None, None, b"short")]
    reply = send(guard, "/app/files", multipart(*parts), "multipart/form-data; boundary=x", "POST")
    if field is None:
        assert reply.status == 200, reply.raw
    else:
        assert list(wrong(reply)) == [("body", field)]


KINDS_OF_PETS = {"Cat": {"type": "object", "required": ["kind", "lives"], "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}},
                 "Dog": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}, "barks": {"type": "boolean"}}}}


def test_fields_that_are_not_described(start_guard, folder, script):
    pet = {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}], "discriminator": {"propertyName": "kind", "mapping": {"c": "#/components/schemas/Cat"}}}
    api = write(folder, "closed-api", {**document(), "components": {"schemas": KINDS_OF_PETS}, "paths": {
        "/users": {"post": operation("users", requestBody={"content": {JSON: {"schema": USER}, FORM: {"schema": USER}}})},
        "/files": {"post": operation("files", requestBody=body(**{"multipart_form-data": {"schema": FILES}}))},
        "/pets": {"post": operation("pets", requestBody=body(application_json={"schema": pet}))}}})
    guard = start_guard({"openapi": {"file": api, "unknown_fields": "refuse"}, "defaults": {"auth": "none", "exec": script}, "routes": [
        {"path": "/app/own", "exec": script}]}, name="closed")
    for uri, content, content_type, field in (
            ("users", b'{"name":"Ann","inner":{"a":true}}', JSON, None), ("users", b'{"name":"Ann","more":1}', JSON, "/more"),
            ("users", b'{"name":"Ann","inner":{"a":true,"b":1}}', JSON, "/inner/b"), ("users", b"name=Ann", FORM, None), ("users", b"name=Ann&_method=PUT", FORM, "/_method"),
            ("files", multipart(PICTURE), "multipart/form-data; boundary=x", None), ("files", multipart(PICTURE, ("x", None, None, b"1")), "multipart/form-data; boundary=x", "/x"),
            ("files", multipart(PICTURE, ("about", None, None, b'{"n":1,"m":2}')), "multipart/form-data; boundary=x", "/about/m"),
            ("pets", b'{"kind":"c","lives":9}', JSON, None), ("pets", b'{"kind":"Dog","barks":true}', JSON, None), ("pets", b'{"kind":"c","lives":9,"barks":true}', JSON, "/barks"),
            ("pets", b'{"kind":"Dog","lives":9}', JSON, "/lives"), ("pets", b'{"kind":"Cow"}', JSON, "/kind")):
        reply = send(guard, "/app/" + uri, content, content_type, "POST")
        if field is None:
            assert reply.status == 200, (content, reply.raw)
        else:
            assert list(wrong(reply)) == [("body", field)], content


# ---- what is only reported

def test_reported(guard):
    assert send(guard, "/app/reported?n=x&other=1").status == 200
    entry = guard.wait_entry(event="reported", route="/app/reported")
    assert (entry["guard"], entry["code"]) == ("parameters", "validation_error")


def test_a_method_of_none_is_refused_beside_an_operation_that_reports(guard):
    assert send(guard, "/app/mixed", method="DELETE").status == 405
    assert send(guard, "/app/mixed?n=1").status == 200, "this one reports"
    assert send(guard, "/app/mixed?n=1", method="PUT").status == 400


def test_undocumented_is_reported(start_guard, folder, script):
    guard = start_guard({"openapi": {"file": write(folder, "shadow", document()), "undocumented": "report"}, "defaults": {
        "auth": "none", "hosts": "localhost", "exec": script}, "routes": [{"path": "/app/own", "methods": "GET", "exec": script}]}, name="shadow")
    for method, uri in (("GET", "/app/nothing"), ("DELETE", "/app/query"), ("POST", "/app")):
        reply = send(guard, uri, method=method)
        assert reply.status == 200 and reply.body.startswith(b"/app|" + uri[4:].encode()), (method, uri)
        entry = guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))
        assert (entry["guard"], entry["code"]) == ("route", "undocumented")
    for method, uri, status in (("GET", "/apple", 404), ("GET", "/", 404), ("DELETE", "/app/own", 405), ("TRACE", "/app/query", 405),
                                ("TRACE", "/app/nothing", 404), ("GET", "/app/query?n=x", 400)):
        assert send(guard, uri, method=method).status == status, (method, uri)
    assert send(guard, "/app/nothing", host="other").status == 400, "the guards of the defaults judge"


def test_undocumented_ends_with_its_version(start_guard, folder, script):
    guard = start_guard({"openapi": {"file": write(folder, "versions", document()), "undocumented": "report"}, "defaults": {
        "auth": "none", "exec": script}, "versions": {"path": "/app", "list": {"v0": {"sunset": "2020-01-01"}, "v1": {"deprecated": "2026-01-01"}}}},
        name="versions")
    assert send(guard, "/app/v0/nothing").status == 410
    assert send(guard, "/app/v9/nothing").status == 404
    reply = send(guard, "/app/v1/nothing")
    assert (reply.status, reply.get("Deprecation")) == (200, "@1767225600")
    assert send(guard, "/app/query").status == 200, "an operation without a version"


# ---- who may call

SECURE = {"components": {"securitySchemes": {
    "user": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "sid"}, "oauth": {"type": "oauth2", "flows": {"clientCredentials": {
        "tokenUrl": "https://example.com/", "scopes": {"read": "", "write": ""}}}}}}, "security": [{"user": []}]}


def secure(name, security=None):
    return {"get": operation(name, **({} if security is None else {"security": security}))}


def test_security(start_guard, folder, script):
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    paths = {"/all": secure("all"), "/open": secure("open", []), "/either": secure("either", [{"user": []}, {"key": []}]),
             "/maybe": secure("maybe", [{"user": []}, {}]), "/scoped": secure("scoped", [{"oauth": ["read"]}]), "/more": secure("more", [{"oauth": ["read"]}]),
             "/session": secure("session", [{"session": []}]), "/both": secure("both", [{"session": [], "user": []}]), "/admin": secure("admin")}
    guard = start_guard({
        "openapi": {"file": write(folder, "secure", {**document(), **SECURE, "paths": paths}), "auth": {"oauth": "user", "key": "partner", "session": "none"}},
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests"}}, "partner": {"api_key": {
            "header": "X-API-Key", "keys": [{"id": "7m2q0zd5x1k8r4tv", "digest": "sha256:" + "0" * 64, "owner": "acme"}]}}},
        "defaults": {"exec": script}, "routes": [{"operation": "more", "scopes": "write"}, {"operation": "admin", "roles": "admin"}]}, name="secure")
    nobody, person = {}, {"authorization": bearer()[1]}
    reader, writer = ({"authorization": "Bearer " + token(scope=scope)} for scope in ("read", "read write"))
    admin = {"authorization": "Bearer " + token(roles=["admin"])}
    for uri, headers, status in (("all", nobody, 401), ("all", person, 200), ("open", nobody, 200), ("either", nobody, 401), ("either", person, 200),
                                 ("either", {"x-api-key": "x"}, 401), ("maybe", nobody, 200), ("maybe", person, 200), ("maybe", {"authorization": "Bearer x"}, 401),
                                 ("scoped", nobody, 401), ("scoped", person, 403), ("scoped", reader, 200), ("more", reader, 403), ("more", writer, 200),
                                 ("session", nobody, 200), ("both", nobody, 401), ("both", person, 200), ("admin", person, 403), ("admin", admin, 200)):
        assert send(guard, "/app/" + uri, **headers).status == status, (uri, headers)
    result = harness.run([guard.program, "check", "-c", guard.policy_path], env=harness.clean_environment())
    assert result.returncode == 0 and "GET /open (open): anybody may call it" in result.stdout and "/all" not in result.stdout, result.stdout


def test_what_an_entry_leaves_out_is_the_documents(start_guard, folder, script):
    """And not what the defaults say, which may let in anybody."""
    folder.write("jwt.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "jwt.key", harness.WEB_USER)
    security = {"mode": [{"user": []}], "way": [{"user": []}], "maybe": [{"user": []}, {}], "surely": [{"user": []}, {}], "scoped": [{"oauth": ["read"]}],
                "more": [{"oauth": ["read"]}], "open": []}
    guard = start_guard({
        "openapi": {"file": write(folder, "left", {**document(), **SECURE, "paths": {"/" + name: secure(name, asked) for name, asked in security.items()}}),
                    "auth": {"oauth": "user"}},
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "tests"}}},
        "defaults": {"exec": script, "auth": {"methods": "user", "optional": True, "mode": "report"}, "scopes": {"all": "audit", "mode": "report"}},
        "routes": [{"operation": "mode", "auth": {"mode": "enforce"}}, {"operation": "way", "auth": "user"}, {"operation": "maybe", "auth": {"mode": "enforce"}},
                   {"operation": "surely", "auth": {"optional": False}}, {"operation": "scoped", "scopes": {"mode": "enforce"}},
                   {"operation": "more", "scopes": "write"}, {"operation": "open", "auth": {"mode": "enforce"}}]}, name="left")
    tokens = {scope: {"authorization": "Bearer " + token(scope=scope)} for scope in ("read", "audit", "read audit", "read write")}
    for uri, headers, status in (("mode", {}, 401), ("way", {}, 401), ("maybe", {}, 200), ("maybe", {"authorization": "Bearer x"}, 401), ("surely", {}, 401),
                                 ("scoped", tokens["audit"], 403), ("scoped", tokens["read"], 403), ("scoped", tokens["read audit"], 200),
                                 ("more", tokens["read"], 403), ("more", tokens["read write"], 200), ("open", {}, 200), ("open", {"authorization": "Bearer x"}, 401)):
        assert send(guard, "/app/" + uri, **headers).status == status, (uri, headers)


def test_what_is_passed_over_is_told(folder, script):
    answer = {"200": {"description": "Good", "headers": {"X-Left": {"schema": {"type": "integer"}}}}}
    file = folder.write("passed.yaml", json.dumps({"openapi": write(folder, "passed-api", {**document(), "paths": {
        "/a": {"get": operation("a", responses=answer)}, "/b": {"get": operation("b", responses=answer)}}}), "defaults": {"auth": "none", "exec": script}}), 0o644)
    said = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file], env=harness.clean_environment()).stdout
    assert said.count("headers of replies are not judged") == 1, said


def test_a_key_that_is_sought_elsewhere_is_told(folder, script):
    file = folder.write("elsewhere.yaml", json.dumps({
        "openapi": write(folder, "elsewhere-api", {**document(), **SECURE, "security": [], "paths": {"/a": secure("a", [{"key": []}])}}),
        "auth": {"key": {"api_key": {**KEYS["user"]["api_key"], "header": "X-Other"}}}, "defaults": {"exec": script}}), 0o644)
    said = harness.run([harness.installed("fcgiguard", folder), "check", "-c", file], env=harness.clean_environment()).stdout
    assert "does not look where it is said to be, in X-API-Key" in said, said


# ---- replies

THING = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "secret": {"type": "string", "writeOnly": True}}}
TELL = """#!/bin/sh
printf 'Status: 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n'
cat
"""


def test_replies(start_guard, folder):
    content = {JSON: {"schema": THING}}
    told = {"post": operation("told", requestBody={"content": {JSON: {}}}, responses={"200": {"description": "A thing", "content": content}})}
    kept = {"post": {**told["post"], "operationId": "kept"}}
    silent = {"post": {**told["post"], "operationId": "silent", "responses": {"204": {"description": "Nothing"}}}}
    api = write(folder, "replies", {**document(), "paths": {"/told": told, "/kept": kept, "/silent": silent}})
    script = str(folder.write("cgi/tell.sh", TELL, 0o755))
    guard = start_guard({"openapi": {"file": api, "replies": "enforce"}, "defaults": {"auth": "none", "exec": script},
                         "routes": [{"operation": "kept", "replies": {"strip": True}}]}, name="replies")
    for uri, said, status, left in (("told", b'{"id":1}', 200, b'{"id":1}'), ("told", b'{"id":1,"more":2}', 502, None), ("told", b'{"id":"x"}', 502, None),
                                    ("told", b'{"id":1,"secret":"x"}', 502, None), ("kept", b'{"id":1,"more":2}', 200, b'{"id":1}'), ("silent", b"{}", 502, None)):
        reply = send(guard, "/app/" + uri, said, method="POST")
        assert reply.status == status and (left is None or reply.body == left), (uri, said, reply.raw)
    loose = start_guard({"openapi": {"file": api, "replies": "report"}, "defaults": {"auth": "none", "exec": script}, "routes": [
        {"path": "/own", "exec": script}]}, name="loose")
    reply = send(loose, "/app/told", b'{"id":1,"more":2}', method="POST")
    assert reply.status == 200 and reply.body == b'{"id":1,"more":2}'
    assert loose.wait_entry(event="reported", route="/app/told")["guard"] == "replies"


# ---- what does not load

TANGLE = {"allOf": [{}] * 20001}
KEYS = {"user": {"api_key": {"keys": [{"id": "7m2q0zd5x1k8r4tv", "digest": "sha256:" + "0" * 64, "owner": "acme"}]}}}
ANYBODY = {"defaults": {"auth": "none", "exec": "SCRIPT"}}
SOMEBODY = {"auth": KEYS, "defaults": {"exec": "SCRIPT"}}


def check(folder, name, policy, api):
    file = folder.write(f"{name}.yaml", json.dumps({"openapi": write(folder, name + "-api", api), **policy}), 0o644)
    return harness.run([harness.installed("fcgiguard", folder), "check", "-q", "-c", file], env=harness.clean_environment()).stderr


@pytest.mark.parametrize("name, policy, paths, words", [
    ("handler", {"defaults": {"auth": "none"}}, {"/a": secure("a")}, "handler-api.json:14:4: GET /a (a): there is no handler"),
    ("typo", {**ANYBODY, "routes": [{"operation": "creatUser"}]}, {"/a": secure("createUser")}, 'did you mean "createUser"?'),
    ("open", {**SOMEBODY, "routes": [{"operation": "a", "auth": "none"}]}, {"/a": secure("a", [{"user": []}])}, "asks who calls GET /a"),
    ("twice", {**ANYBODY, "routes": [{"operation": "a"}, {"operation": "a"}]}, {"/a": secure("a")}, "has an entry in line 1 already"),
    ("methods", {**ANYBODY, "routes": [{"operation": "a", "methods": "POST"}]}, {"/a": secure("a")}, "names the methods"),
    ("schema", {**ANYBODY, "routes": [{"operation": "a", "body": {"fields": {"x": "string"}}}]}, {"/a": secure("a")}, "says what the body may be"),
    ("query", {**ANYBODY, "routes": [{"operation": "a", "parameters": {"query": {"x": "string"}}}]}, {"/a": secure("a")}, "says what this may be"),
    ("overlap", {**ANYBODY, "routes": [{"path": "/app/{other}"}]},
     {"/{x}": {"get": operation(parameters=[parameter("x", "path", {})])}}, "of this path is in line 1 already"),
    ("branches", ANYBODY, {"/a": {"get": operation(parameters=[parameter("q", "query", TANGLE)])}}, "branches-api.json:14:4: GET /a: the schema has too many branches"),
    ("pieces", ANYBODY, {"/{x}.json": {"get": operation(parameters=[parameter("x", "path", {})])}}, ""),
    ("useless", {**ANYBODY, "routes": [{"operation": "a"}, {"path": "/app/a"}]}, {"/a": secure("a")}, "says nothing"),
    ("ways", {"defaults": {"exec": "SCRIPT"}}, {"/a": secure("a", [{"key": []}])}, "no `auth` at the top of the policy is called key"),
    ("wider", {**SOMEBODY, "auth": {**KEYS, "other": KEYS["user"]}, "routes": [{"operation": "a", "auth": ["user", "other"]}]}, {"/a": secure("a", [{"user": []}])}, 'come by "other"'),
    ("optional", {**SOMEBODY, "routes": [{"operation": "a", "auth": {"methods": "user", "optional": True}}]}, {"/a": secure("a", [{"user": []}])}, "asks who calls"),
    ("absent", {**SOMEBODY, "routes": [{"operation": "a", "auth": {"optional": True}}]}, {"/a": secure("a", [{"user": []}])}, "asks who calls"),
    ("unnamed", {**SOMEBODY, "auth": {**KEYS, "key": KEYS["user"]}, "defaults": {"exec": "SCRIPT", "auth": "none"},
                 "routes": [{"operation": "a", "auth": {"mode": "enforce"}}]}, {"/a": secure("a", [{"user": [], "key": []}])}, "two security schemes together"),
    ("scopes", {**SOMEBODY, "auth": {**KEYS, "oauth": KEYS["user"]}}, {"/a": secure("a", [{"user": []}, {"oauth": ["read"]}])}, "alternatives with different scopes"),
    ("word", {**ANYBODY, "routes": [{"operation": "a", "replies": "report"}]}, {"/a": secure("a")}, "expected a map of mode, strip, max and values"),
    ("reported", {**SOMEBODY, "auth": {"oauth": KEYS["user"]}, "defaults": {"exec": "SCRIPT", "scopes": {"all": "audit", "mode": "report"}}},
     {"/a": secure("a", [{"oauth": ["read"]}])}, "have a `mode` of their own"),
    ("together", {**SOMEBODY, "auth": {**KEYS, "key": KEYS["user"]}}, {"/a": secure("a", [{"user": [], "key": []}])}, "two security schemes together"),
])
def test_what_does_not_load(folder, script, name, policy, paths, words):
    policy = json.loads(json.dumps(policy).replace("SCRIPT", script))
    said = check(folder, name, policy, {**document(), **SECURE, "security": [], "paths": paths})
    assert said and words in said, said


def test_an_entry_by_operation_is_of_its_path(folder, script):
    paths = {"/a/{id}": {"get": operation("a", parameters=[parameter("id", "path", {})])}, "/b": {"get": operation("b")}, "/c": {"get": operation("c")}}
    policy = {"store": f"sqlite:{folder}/guard.db", "defaults": {"auth": "none", "exec": script, "limits": {"use": [{"rate": "9/m", "by": "path:id"}]}}, "routes": [
        {"operation": name, "limits": {"mode": "report"}} for name in "abc"]}
    said = check(folder, "of-its-path", policy, {**document(), "paths": paths})
    assert [line.split("path:id, ")[-1] for line in said.splitlines()] == [
        f"and the path /app/{name} has no {{id}} (at /app/{name})" for name in "bc"], said


@pytest.mark.parametrize("base", ["v1", "/{tenant}", "/a/../v1", "//v1", "/v1/**", "/v%31", "/."])
def test_bases_that_no_path_begins_with(folder, script, base):
    name = write(folder, "base-api", {**document(), "paths": {"/a": secure("a", [])}})
    file = folder.write("base.yaml", f"openapi: {{file: {name}, base: '{base}'}}\ndefaults: {{auth: none, exec: {script}}}\n", 0o644)
    said = harness.run([harness.installed("fcgiguard", folder), "check", "-q", "-c", file], env=harness.clean_environment()).stderr
    assert "base.yaml:1:" in said and "openapi.base: expected a path such as /v1" in said and said.count("expected") == 1, said


def test_a_document_that_is_not_there_is_told_where_it_is_named(folder, script):
    file = folder.write("absent.yaml", f"openapi: absent-api.yaml\ndefaults: {{auth: none, exec: {script}}}\n", 0o644)
    said = harness.run([harness.installed("fcgiguard", folder), "check", "-q", "-c", file], env=harness.clean_environment()).stderr
    assert "absent.yaml:1:10: openapi: " in said and "absent-api.yaml cannot be read: No such file" in said, said


# ---- behind a web server

@pytest.mark.parametrize("method, target, content, content_type, status", [
    ("GET", "/app/query?ids=1&ids=2&list=1,2&page[size]=3", None, None, 200), ("GET", "/app/query?page%5Bsize%5D=3", None, None, 200),
    ("GET", "/app/query?" + urllib.parse.urlencode({"filter": '{"size": 1}', "list": "1,2"}), None, None, 200), ("GET", "/app/query?ids=x", None, None, 400),
    ("GET", f"/app/path/{ID}/1,2", None, None, 200), ("GET", f"/app/path/{ID}/1%2C2", None, None, 200), ("GET", "/app/path/1/2", None, None, 400),
    ("POST", "/app/users", b'{"name":"Ann"}', JSON, 200), ("POST", "/app/users", b'{"name":1}', JSON, 400), ("POST", "/app/users", b"x", "text/plain", 415),
    ("POST", "/app/files", multipart(PICTURE), "multipart/form-data; boundary=x", 200), ("POST", "/app/files", multipart(PICTURE, PICTURE), "multipart/form-data; boundary=x", 400),
    ("PUT", "/app/users", PNG, "image/png", 200), ("PUT", "/app/users", b"name=Ann&age=20", FORM, 200), ("GET", "/app/own", None, None, 200),
    ("GET", "/app/nothing", None, None, 404), ("DELETE", "/app/users", None, None, 405),
])
def test_behind_lighttpd(front, method, target, content, content_type, status):
    headers = [("Content-Type", content_type)] if content_type else []
    reply = front.fetch(target, method, headers, content)
    assert reply.status == status, (reply.status, reply.body)
