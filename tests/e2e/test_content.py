"""What a request brings: schemas and fields for bodies, queries, paths, headers
and cookies, from the bytes on the wire to the list of what is wrong."""

import gzip
import json
import os
import tempfile
import zlib

import pytest

from records import Connection, environment

FIELDS = {
    "email": {"required": True, "type": "email"},
    "name": {"min_length": 2, "max_length": 100, "pattern": "^[^<>]*$"},
    "age": {"type": "integer", "minimum": 18},
    "site": {"type": "url", "https": True, "public": True},
    "password": {"type": "password", "min_length": 8, "require": ["upper", "lower", "digit", "special"]},
}
SCHEMA = {"type": "object", "required": ["items"], "additionalProperties": False, "properties": {
    "items": {"type": "array", "maxItems": 3, "items": {"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer"}, "price": {"type": "number", "multipleOf": 0.01}}}},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}}}}
GOOD = {"email": "someone@example.com", "name": "O'Brien", "age": 18, "site": "https://example.com/", "password": "Secret-12"}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def schema():
    with tempfile.NamedTemporaryFile("w", prefix="fg-schema-", suffix=".json") as file: # for the guard's own user, too
        os.chmod(file.name, 0o644)
        json.dump(SCHEMA, file)
        file.flush()
        yield file.name


@pytest.fixture(scope="module")
def guard(start_guard, helper, schema):

    def route(path, **more):
        return {"path": path, "methods": ["GET", "POST", "DELETE"], "exec": helper, **more}
    picture = {"most": 2, "least": 1, "max": "20kb", "names": ["picture"], "types": ["image/png"], "extensions": [".png"]}
    return start_guard({
        "defaults": {"auth": "none"},
        "routes": [
            route("/fields/**", body={"fields": FIELDS, "types": ["json", "form", "multipart", "text"]}),
            route("/json/**", body={"fields": FIELDS}),
            route("/open/**", body={"fields": {"my_id": "integer"}, "unknown": "allow", "types": ["form", "multipart"]}),
            route("/loose/**", body={"fields": FIELDS, "unknown": "allow", "required": False}),
            route("/items/**", body={"schema": schema, "types": ["json", "form"], "max": "100kb", "depth": 8, "values": 100, "string": "1kb"}),
            route("/zip/**", body={"schema": schema, "codings": ["gzip", "deflate"], "inflated": "10kb"}),
            route("/text/**", body={"fields": FIELDS}, validation_status=422, validation_details="fields"),
            route("/none/**", body={"fields": FIELDS}, validation_details="none"),
            route("/report/**", body={"fields": FIELDS, "mode": "report"}),
            route("/files/**", body={"fields": {"title": "string"}, "files": picture, "types": ["multipart"]}),
            route("/users/{id}", parameters={
                "path": {"id": "uuid"}, "query": {"page": {"type": "integer", "minimum": 1}, "all": "boolean"},
                "headers": {"x-tenant": {"required": True, "pattern": "^[a-z]+$"}}, "cookies": {"theme": {"enum": ["dark", "light"]}}}),
        ]}, name="content")


def send(guard, uri, body=b"", content_type=JSON, method="POST", **headers):
    given = {**headers, **({"content-type": content_type} if content_type is not None and body else {})}
    with Connection(guard.address) as connection:
        return connection.ask(environment(method, uri, headers=given, body=body), body)


def send_json(guard, uri, value, **words):
    return send(guard, uri, json.dumps(value).encode(), **words)


def details(reply, status=400, code="validation_error"):
    answer = json.loads(reply.body)
    assert (reply.status, answer["error"]) == (status, code), reply.raw
    return answer.get("details")


def wrong(reply, **words):
    return {(item["in"], item["field"]): item.get("error") for item in details(reply, **words)}


# ---- JSON

def test_what_fits_reaches_the_program_as_it_was_sent(guard):
    body = b'{ "email" : "someone@example.com",\n "name":"\\u0041nn" }'
    reply = send(guard, "/fields/echo", body)
    assert reply.status == 200 and reply.body == body


@pytest.mark.parametrize("change, field, words", [
    ({"email": None}, "/email", "must be a string"), ({"email": "x"}, "/email", "e-mail"), ({"name": "x"}, "/name", "at least 2"),
    ({"name": "<b>"}, "/name", "form"), ({"age": 17}, "/age", "at least 18"), ({"age": 18.5}, "/age", "integer"), ({"age": "18"}, "/age", "integer"),
    ({"site": "http://example.com/"}, "/site", "https"), ({"site": "https://169.254.169.254/"}, "/site", "public"),
    ({"password": "secret-12"}, "/password", "upper-case"), ({"password": "Sec-12"}, "/password", "at least 8"), ({"admin": True}, "/admin", "not allowed"),
])
def test_what_does_not_fit_is_told(guard, change, field, words):
    reply = send_json(guard, "/fields/echo", {**GOOD, **change})
    found = wrong(reply)
    assert list(found) == [("body", field)] and words in found["body", field]
    entry = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
    assert (entry["guard"], entry["code"], entry["status"]) == ("body", "validation_error", 400)


def test_all_of_it_is_told_at_once(guard):
    assert set(wrong(send_json(guard, "/fields/echo", {"name": 1, "age": "x"}))) == {("body", "/email"), ("body", "/name"), ("body", "/age")}


def test_an_integer_may_be_written_with_a_point(guard):
    assert send(guard, "/fields/echo", b'{"email":"a@example.com","age":18.0}').status == 200


@pytest.mark.parametrize("body, words", [
    (b"", "missing"), (b"{", "at byte 1"), (b"{}x", "at byte 2"), (b'{"a":1,"a":2}', "twice"), (b"\xef\xbb\xbf{}", "byte order mark"), (b'"\xff"', "UTF-8"),
    (b'{"email":"\\u0000"}', ""), (b'{"email":"\\ud800"}', ""), (b"[" * 600, "nested"), (b"[[[[[[[[[1]]]]]]]]]", ""),
    (b'{"age":1e400}', ""), (b'{"age":99999999999999999999}', ""), (b"{'a':1}", ""), (b"NaN", ""), (b"null", "object"),
])
def test_what_is_not_plain_json_is_refused(guard, body, words):
    found = wrong(send(guard, "/fields/echo", body))
    assert any(words in message for message in found.values()), found


def test_numbers_do_not_lose_by_rounding(guard):
    assert send(guard, "/items/echo", b'{"items":[{"id":9007199254740993,"price":4.35}]}').status == 200
    assert ("body", "/items/0/price") in wrong(send(guard, "/items/echo", b'{"items":[{"id":1,"price":4.355}]}'))


@pytest.mark.parametrize("value, field", [
    ({"items": [{"id": 1}] * 4}, "/items"), ({"items": [{"id": 1}, {}]}, "/items/1/id"), ({"items": [], "x": 1}, "/x"), ([], ""),
    ({"items": [{"id": 1, "a/b~": 1}, {"id": "1"}]}, "/items/1/id"),
])
def test_a_schema_in_a_file(guard, value, field):
    assert ("body", field) in wrong(send_json(guard, "/items/echo", value))


def test_limits_of_json(guard):
    assert send_json(guard, "/items/echo", {"items": [{"id": 1, "n": "x" * 1024}]}).status == 200
    for value in ({"items": [{"id": 1, "n": "x" * 1025}]}, {"items": [{"id": 1, "n": list(range(100))}]}):
        assert details(send_json(guard, "/items/echo", value))
    assert details(send(guard, "/items/echo", b'{"items":' + b" " * 102400 + b"[]}"), 413, "body_too_large") is None


def test_a_hostile_body_is_refused_quickly(guard):
    many = b"{" + b",".join(b'"k%d":1' % i for i in range(60000)) + b"}"
    for body in (b"[" * 1000000, b"[" + b"[]," * 300000 + b"[]]", many, b'"' + b"x" * 1000000 + b'"'):
        assert details(send(guard, "/fields/echo", body))


def test_details_by_policy(guard):
    assert details(send_json(guard, "/text/echo", {"age": 1}), 422) == [{"in": "body", "field": "/email"}, {"in": "body", "field": "/age"}]
    assert details(send_json(guard, "/none/echo", {"age": 1})) is None


def test_values_are_not_repeated(guard):
    reply = send_json(guard, "/fields/echo", {"email": "S3CRET", "age": "S3CRET", "password": "S3CRET", "name": "S3CRET<"})
    assert details(reply) and b"S3CRET" not in reply.raw
    assert "S3CRET" not in json.dumps(guard.wait_entry(event="request", requestId=reply.get("X-Request-ID")))


def test_report_lets_it_through(guard):
    reply = send_json(guard, "/report/echo", {"age": 1})
    assert reply.status == 200 and json.loads(reply.body) == {"age": 1}
    assert guard.wait_entry(event="reported", requestId=reply.get("X-Request-ID"))["code"] == "validation_error"


def test_methods_without_a_body(guard):
    assert send(guard, "/fields/echo", method="GET").status == 200
    assert send(guard, "/fields/echo", method="DELETE").status == 200
    assert details(send_json(guard, "/fields/echo", {"age": 1}, method="DELETE"))
    assert send(guard, "/loose/echo").status == 200
    assert send_json(guard, "/loose/echo", {**GOOD, "other": 1}).status == 200


# ---- types

@pytest.mark.parametrize("content_type", [
    None, "application/x-www-form-urlencoded,x+json", "application/x-www-form-urlencoded x+json", "application/x-www-form-urlencoded+json",
    "application/json/x+json", "application/\xe9+json", "text/x,y", 'text/plain; x="multipart/related; boundary=a"', "application/json; boundary=x",
    "application/xml", "image/png", "application/octet-stream", "application/json; charset=latin1", "application/json; charset=utf-16",
    "application/jsonp", "multipart/mixed; boundary=x", "application/json; a=1; a=2", "text", "json",
    "Application/x-www-form-urlencoded", "\tapplication/x-www-form-urlencoded", "multipart/Form-Data; boundary=x",
])
def test_types_that_cannot_be_judged(guard, content_type):
    assert details(send_json(guard, "/fields/echo", GOOD, content_type=content_type), 415, "content_type_not_allowed") is None


@pytest.mark.parametrize("content_type", [
    "application/json", "Application/JSON", "application/json; charset=UTF-8", 'application/json;charset="utf-8"', "application/problem+json",
])
def test_types_of_json(guard, content_type):
    assert send_json(guard, "/fields/echo", GOOD, content_type=content_type).status == 200


def test_json_alone_unless_others_are_named(guard):
    assert send_json(guard, "/json/echo", GOOD).status == 200
    for content_type in (FORM, "text/plain", "multipart/form-data; boundary=XX"):
        details(send(guard, "/json/echo", b"email=a%40example.com", content_type), 415, "content_type_not_allowed")


@pytest.mark.parametrize("body", [
    b"my_id=1&+my_id=x", b"my_id=1&my.id=x", b"my+id=x", b"my[id=x", b"my_id=1&my_id[]=x", b"my_id[x]=x", b"other=1;my_id=x", b"my_id=x",
])
def test_names_that_programs_take_for_another(guard, body):
    assert send(guard, "/open/echo", b"my_id=1&my-id=x&other.x=1", FORM).status == 200
    assert details(send(guard, "/open/echo", body, FORM))


def test_multipart_comes_by_post(guard):
    body = multipart(field(b"my_id", b"1"))
    for method, status in (("POST", 200), ("DELETE", 415)):
        assert send(guard, "/open/echo", body, "multipart/form-data; boundary=XX", method=method).status == status
    assert send(guard, "/open/echo", body.replace(b"XX", b"X,X"), 'multipart/form-data; boundary="X,X"').status == 400


def test_text_is_a_string(guard):
    assert wrong(send(guard, "/fields/echo", b"hello", content_type="text/plain")) == {("body", ""): "must be an object"}


# ---- forms

def test_a_form(guard):
    body = b"email=someone%40example.com&name=O%27Brien&age=18"
    reply = send(guard, "/fields/echo", body, FORM)
    assert reply.status == 200 and reply.body == body


@pytest.mark.parametrize("body, field", [
    (b"age=18", "/email"), (b"email=a%40example.com&age=17", "/age"), (b"email=a%40example.com&age=x", "/age"),
    (b"email=a%40example.com&email=b%40example.com", "/email"), (b"email=a%40example.com&admin=1", "/admin"), (b"email=%", "/email"),
    (b"email=%00", "/email"), (b"email=%ff", "/email"), (b"em%zz=1", ""),
])
def test_a_form_that_does_not_fit(guard, body, field):
    assert ("body", field) in wrong(send(guard, "/fields/echo", body, FORM))


def test_a_form_with_a_list(guard):
    assert ("body", "/tags/1") in wrong(send(guard, "/items/echo", b"tags=abc&tags=abcd", FORM))


# ---- multipart

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


def multipart(*parts, end=b"--XX--\r\n"):
    return b"".join(b"--XX\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + end


def field(name, value):
    return b'Content-Disposition: form-data; name="%s"' % name, value


def picture(name=b"picture", filename=b"a.png", content_type=b"image/png", content=PNG):
    return b'Content-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s' % (name, filename, content_type), content


def upload(guard, *parts, uri="/files/echo", **words):
    return send(guard, uri, multipart(*parts, **words), "multipart/form-data; boundary=XX")


def test_files(guard):
    reply = upload(guard, field(b"title", b"x"), picture(), picture(filename=b"b.PNG"))
    assert reply.status == 200 and reply.body == multipart(field(b"title", b"x"), picture(), picture(filename=b"b.PNG"))


@pytest.mark.parametrize("parts", [
    [field(b"title", b"x")], [picture(), picture(), picture()], [picture(name=b"other")], [picture(filename=b"a.php")],
    [picture(filename=b"a.png.php")], [picture(filename=b"../a.png")], [picture(filename=b"")], [picture(content_type=b"text/html")],
    [picture(content=b"<html><script>")], [picture(content=b"GIF89a")], [picture(content=PNG + b"x" * 20480)], [picture(), field(b"other", b"x")],
    [picture(), field(b"title", b"x"), field(b"title", b"y")], [picture(), (b"Content-Type: text/plain", b"x")], [picture(), picture(name=b"admin", filename=b"", content=b"")], [picture(), picture(name=b"title")],
    [picture(), (b'Content-Disposition: form-data; NAME="title"', b"x")], [picture(), (b'X:\r\nContent-Disposition: form-data; name="title"', b"x")],
    [picture(), (b'Content-Disposition: form-data; name="title"\r\nContent-Transfer-Encoding: base64', b"eA==")],
])
def test_files_that_may_not_be_there(guard, parts):
    assert details(upload(guard, *parts))


@pytest.mark.parametrize("body", [
    multipart(picture())[:-2] + b"x", multipart(picture(), end=b""), multipart(picture(), end=b"--XX--\r\nmore"), b"x" + multipart(picture()),
    multipart(picture()).replace(b"\r\n", b"\n"), b"",
])
def test_a_broken_multipart(guard, body):
    assert details(send(guard, "/files/echo", body, "multipart/form-data; boundary=XX"))


def test_many_parts(guard):
    assert details(upload(guard, *[field(b"title", b"x")] * 15000))


def test_a_form_without_files(guard):
    good = [field(b"email", b"a@example.com"), field(b"age", b"18")]
    assert upload(guard, *good, uri="/fields/echo").status == 200
    assert ("body", "/picture") in wrong(upload(guard, *good, picture(), uri="/fields/echo"))


# ---- codings

ITEMS = json.dumps({"items": [{"id": 1}]}).encode()
ZIPPED = gzip.compress(ITEMS, mtime=0)  # the same in each process that collects tests


@pytest.mark.parametrize("coding, body", [("gzip", ZIPPED), ("deflate", zlib.compress(ITEMS)), ("x-gzip", ZIPPED)])
def test_a_compressed_body_is_judged_and_passed_on(guard, coding, body):
    reply = send(guard, "/zip/echo", body, content_encoding=coding)
    assert reply.status == 200 and reply.body == body


def test_what_was_compressed_is_judged(guard):
    assert ("body", "/items") in wrong(send(guard, "/zip/echo", gzip.compress(b"{}"), content_encoding="gzip"))


@pytest.mark.parametrize("uri, coding", [("/items/echo", "gzip"), ("/zip/echo", "br"), ("/zip/echo", "gzip, gzip"), ("/zip/echo", "zstd")])
def test_codings_that_are_not_allowed(guard, uri, coding):
    details(send(guard, uri, gzip.compress(ITEMS), content_encoding=coding), 415, "content_coding_not_allowed")


@pytest.mark.parametrize("body", [ZIPPED[:-4], ZIPPED + b"x", ITEMS, zlib.compress(ITEMS), ZIPPED * 2])
def test_a_broken_coding(guard, body):
    assert details(send(guard, "/zip/echo", body, content_encoding="gzip"))


def test_a_bomb(guard):
    body = gzip.compress(b" " * 50_000_000)
    details(send(guard, "/zip/echo", body, content_encoding="gzip"), 413, "body_too_large")


# ---- parameters

USER = "/users/45657faa-9c49-41ec-8325-edf26d906ad7"


def ask_user(guard, uri=USER, **headers):
    return send(guard, uri, method="GET", **{"x_tenant": "acme", **headers})


@pytest.mark.parametrize("uri, headers", [
    (USER, {}), (USER + "?page=2&all=true", {}), (USER + "?", {}), (USER, {"cookie": "a=%41; theme=dark; theme2=x; connect.sid=s%3Ax"}), (USER, {"x_other": "1"}),
])
def test_parameters_that_fit(guard, uri, headers):
    assert ask_user(guard, uri, **headers).status == 200


@pytest.mark.parametrize("uri, headers, place, name", [
    ("/users/1", {}, "path", "id"), (USER + "?page=0", {}, "query", "page"), (USER + "?page=x", {}, "query", "page"), (USER + "?page=1&page=2", {}, "query", "page"),
    (USER + "?all=1", {}, "query", "all"), (USER + "?debug=1", {}, "query", "debug"), (USER + "?page", {}, "query", "page"), (USER + "?%zz=1", {}, "query", ""),
    (USER, {"x_tenant": "ACME"}, "header", "x-tenant"), (USER, {"cookie": "theme=red"}, "cookie", "theme"),
    (USER, {"cookie": "theme=dark; theme=light"}, "cookie", "theme"), (USER, {"cookie": "theme=\xff"}, "cookie", "theme"),
    (USER, {"cookie": "theme=%64ark"}, "cookie", "theme"), (USER, {"cookie": 'theme="dark"'}, "cookie", "theme"), (USER, {"cookie": "theme[]=red; theme=dark"}, "cookie", ""),
    (USER, {"cookie": "a=1,theme=red"}, "cookie", ""), (USER, {"cookie": "a=1 theme=red"}, "cookie", ""), (USER, {"cookie": "%74heme=red"}, "cookie", ""),
    (USER + "?page=1;all=x", {}, "query", ""),
])
def test_parameters_that_do_not_fit(guard, uri, headers, place, name):
    assert (place, name) in wrong(ask_user(guard, uri, **headers))


def test_a_header_that_is_missing(guard):
    assert wrong(send(guard, USER, method="GET")) == {("header", "x-tenant"): "is required"}
