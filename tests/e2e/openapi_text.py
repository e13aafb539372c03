"""Values, parameters and bodies as the text of a request, by the styles of OpenAPI, and a
request asked of fcgiguard. It knows nothing of schemas, nor whether anything fits."""

import json
import urllib.parse

import records


class Raw(float):
    """A number that is written in its own way."""

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __repr__(self):
        return self.text


def kind_of(value):
    return {bool: "boolean", int: "integer", float: "number", Raw: "number", str: "text", list: "list", dict: "object", type(None): "null"}[type(value)]


# ---- as text

def to_json(value):
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{to_json(inner)}" for name, inner in value.items()) + "}"
    return "[" + ",".join(map(to_json, value)) + "]" if isinstance(value, list) else json.dumps(value)


def scalar(value):
    return value if isinstance(value, str) else to_json(value)


def quoted(text, safe=""):
    return urllib.parse.quote(text, safe=safe)


def joined(value, style, explode, safe=""):
    """A value in one piece."""
    if isinstance(value, list):
        separator = {"pipeDelimited": "%7C", "spaceDelimited": "%20"}.get(style, ",")
        return separator.join(quoted(scalar(one), safe) for one in value)
    if isinstance(value, dict):
        return ",".join(f"{quoted(name)}{'=' if explode else ','}{quoted(scalar(one), safe)}" for name, one in value.items())
    return quoted(scalar(value), safe)


def query_pairs(name, value, style, explode):
    name = quoted(name, "[]$.")
    if style == "json":
        return [(name, quoted(to_json(value)))]
    if style == "indexed" and isinstance(value, list):
        return [(f"{name}[{index}]", quoted(scalar(one))) for index, one in enumerate(value)]
    if style in ("deepObject", "indexed") and isinstance(value, dict):
        return [(f"{name}[{quoted(key)}]", quoted(scalar(one))) for key, one in value.items()]
    if explode and isinstance(value, list):
        return [(name, quoted(scalar(one))) for one in value]
    if explode and isinstance(value, dict):
        return [(quoted(key), quoted(scalar(one))) for key, one in value.items()]
    return [(name, joined(value, style, explode))]


def style_of(request, key):
    parameter = request.operation.parameters[key]
    if "content" in parameter:
        return "json", False
    style = parameter.get("style", "form" if key[0] in ("query", "cookie") else "simple")
    return request.styles.get(key, (style, parameter.get("explode", style == "form")))


def serialize_form(body):
    if not isinstance(body, dict):
        return scalar(body)
    return "&".join(f"{quoted(name)}={quoted(scalar(one))}" for name, value in body.items() for one in (value if isinstance(value, list) else [value]))


def serialize_multipart(request):
    if not isinstance(request.body, dict):
        return scalar(request.body)
    lines = []
    for name, value in request.body.items():
        for one in value if isinstance(value, list) else [value]:
            file = name in request.files
            lines += ["--x", f'Content-Disposition: form-data; name="{name}"' + ('; filename="a.txt"' if file else ""), *(["Content-Type: text/plain"] if file else []), "", scalar(one)]
    return "\r\n".join([*lines, "--x--", ""])


def serialize_body(request):
    """The text of a body, and the type that goes with it."""
    if request.raw is not None:
        return request.raw, request.content_type
    if request.content_type is None:
        return None, None
    if "json" in request.content_type:
        return to_json(request.body), request.content_type
    if request.content_type == "application/x-www-form-urlencoded":
        return serialize_form(request.body), request.content_type
    if request.content_type == "multipart/form-data":
        return serialize_multipart(request), "multipart/form-data; boundary=x"
    return scalar(request.body), request.content_type


def serialize(base, request):
    path, pairs, headers, cookies = request.path, [], dict(request.headers), []
    for key, value in request.values.items():
        place, name = key
        style, explode = style_of(request, key)
        if place == "path":
            path = path.replace("{" + name + "}", joined(value, style, explode) or "%20")
        elif place == "query":
            pairs += query_pairs(name, value, style, explode)
        elif place == "header":
            headers[name] = to_json(value) if style == "json" else urllib.parse.unquote(joined(value, style, explode)).encode("ascii", "replace").decode()
        else:
            cookies += [f"{one}={text}" for one, text in query_pairs(name, value, style, explode)]
    pairs += [(quoted(name, "[]"), None if value is None else quoted(value)) for name, value in request.query]
    query = "&".join(name if value is None else f"{name}={value}" for name, value in pairs)
    body, content_type = serialize_body(request)
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    if content_type:
        headers["Content-Type"] = content_type
    return {"change": request.change, "method": request.method, "target": base + path + ("?" + query if query else ""), "headers": headers, "body": body}


# ---- sent

def ask(address, request):
    """What fcgiguard says: the status, and what it names as wrong."""
    body = None if request.get("body") is None else request["body"].encode()
    params = records.environment(request["method"], request["target"], headers=request.get("headers"), body=body)
    with records.Connection(address) as connection:
        reply = connection.ask(params, body or b"")
    told = json.loads(reply.body) if reply.body.startswith(b"{") else {}
    details = ["{in} {field} {error}".format(**detail) for detail in told.get("details", [])]
    return reply.status, "; ".join([told.get("error", ""), *details])
