"""Requests made from an OpenAPI document, the same for the same seed: some as the document
says, most with one thing changed. Whether a change makes a request wrong is for those to say
who judge it; nothing here knows."""

import copy
import json
import random
import re
import urllib.parse

from openapi_text import Raw, kind_of, serialize, serialize_body

METHODS = ["get", "put", "post", "delete", "options", "head", "patch"]
FORMATS = {
    "date-time": "2024-02-29T12:30:00Z", "date": "2024-02-29", "time": "12:30:00Z", "uuid": "45657faa-9c49-41ec-8325-edf26d906ad7", "email": "ann@example.com",
    "uri": "https://example.com/a", "url": "https://example.com/a", "uri-reference": "/a", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
    "byte": "YWJj", "binary": "abc", "duration": "P1D", "regex": "a+", "json-pointer": "/a",
}
BROKEN = {
    "date-time": ["2024-02-30T12:30:00Z", "2024-02-29", "2024-02-29T12:30:00", "2024-02-29 12:30:00Z", "x"], "date": ["2023-02-29", "29.2.2024", "x"],
    "uuid": ["45657faa", "45657faa9c4941ec8325edf26d906ad7", "urn:uuid:45657faa-9c49-41ec-8325-edf26d906ad7"], "email": ["ann", "ann@", "a b@example.com"],
    "uri": ["not a uri", "/a", "http://[", "x"], "url": ["not a url", "x"], "byte": ["?", "YWJ"], "hostname": ["-x", "a..b"], "ipv4": ["256.0.0.1", "1.2.3"],
    "ipv6": [":::", "1"], "duration": ["1D", "P"], "time": ["25:00:00Z"],
}
TRIES = 100  # for each request
SAMPLES = ["a", "abc", "Abc1", "0", "12", "a-b", "a_b", "ABCDEF", "v1.0.0", "/a", "/branches/1.0", "https://example.com/a", "#fff", "stable"]


class Unmade(Exception):
    """No value was found that fits."""


class Document:
    def __init__(self, value):
        self.value = value
        self.is_30 = value["openapi"].startswith("3.0")
        self.base = urllib.parse.urlsplit((value.get("servers") or [{"url": ""}])[0]["url"]).path.rstrip("/")
        self.operations = [Operation(self, path, method) for path in value["paths"] for method in METHODS if method in value["paths"][path]]

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            target = self.value
            for part in node["$ref"].partition("#/")[2].split("/"):
                target = target[urllib.parse.unquote(part).replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def merged(self, schema):
        """What allOf and references make of it, roughly."""
        schema = self.resolve(schema)
        if not isinstance(schema, dict) or "allOf" not in schema:
            return schema if isinstance(schema, dict) else {}
        whole = {name: value for name, value in schema.items() if name != "allOf"}
        for part in map(self.merged, schema["allOf"]):
            for name, value in part.items():
                if name == "properties":
                    whole[name] = {**value, **whole.get(name, {})}
                elif name == "required":
                    whole[name] = [*whole.get(name, []), *value]
                else:
                    whole.setdefault(name, value)
        return whole


class Operation:
    def __init__(self, document, path, method):
        shared, own = document.value["paths"][path], document.value["paths"][path][method]
        self.path, self.method = path, method
        self.parameters = {}
        for parameter in map(document.resolve, [*shared.get("parameters", []), *own.get("parameters", [])]):
            if parameter["in"] != "header" or parameter["name"].lower() not in ("accept", "content-type", "authorization"):
                self.parameters[parameter["in"], parameter["name"]] = parameter
        self.body = document.resolve(own.get("requestBody", {}))


class Request:
    """What is sent, in parts that can still be changed."""

    def __init__(self, operation, files):
        self.operation, self.files = operation, files
        self.method, self.path = operation.method.upper(), operation.path
        self.values, self.styles = {}, {}
        self.query, self.headers = [], {}  # as they are, beside what values become
        self.body, self.content_type = None, None
        self.raw = None  # the body as text
        self.change = ["as described"]


class Maker:
    def __init__(self, document, seed):
        self.document, self.random = document, random.Random(seed)

    # ---- values that fit

    def text(self, schema):
        if "pattern" in schema:
            least, most = schema.get("minLength", 0), schema.get("maxLength", 1000)
            counted = ["f" * int(count) for count in re.findall(r"\{(\d+)\}", schema["pattern"])]
            fitting = [one for one in SAMPLES + counted if re.search(schema["pattern"], one) and least <= len(one) <= most]
            if not fitting:
                raise Unmade(schema["pattern"])
            return self.random.choice([one for one in fitting if "/" not in one] or fitting)
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        least = schema.get("minLength", 0)
        return self.random.choice([one for one in ("a", "abc", "Ann", "x y", "é", "1") if least <= len(one) <= schema.get("maxLength", 9)] or ["a" * least])

    def number(self, schema):
        least, most = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum", schema.get("exclusiveMaximum", 1000))
        least = 0 if isinstance(least, bool) else least
        value = self.random.choice([least + 1, least + 2, 7] if most >= max(least + 2, 7) >= 7 >= least else [min(least + 1, most)])
        if "multipleOf" in schema:
            value = schema["multipleOf"] * self.random.randint(1, 3)
        return value + 0.5 if schema.get("type") == "number" and "multipleOf" not in schema and value + 0.5 <= most and self.random.random() < 0.3 else value

    def type_of(self, schema):
        types = schema.get("type")
        if isinstance(types, list):
            types = self.random.choice([one for one in types if one != "null"] or ["null"])
        return types or ("object" if "properties" in schema else "array" if "items" in schema else None)

    def value(self, schema, depth=0):
        schema = self.document.merged(schema)
        if depth > 6:
            raise Unmade("too deep")
        for name in ("oneOf", "anyOf"):
            if schema.get(name):
                return self.one_of(schema, name, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kind = self.type_of(schema)
        if kind == "object":
            return self.object(schema, depth)
        if kind == "array":
            count = self.random.randint(schema.get("minItems", 0), max(schema.get("minItems", 0), min(schema.get("maxItems", 2), 2)))
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            return self.number(schema)
        return {"boolean": self.random.random() < 0.5, "null": None}.get(kind, "a") if kind != "string" else self.text(schema)

    def one_of(self, schema, name, depth):
        choice = self.random.choice(schema[name])
        value = self.value({"allOf": [choice, {key: inner for key, inner in schema.items() if key not in ("oneOf", "anyOf", "discriminator")}]}, depth)
        discriminator = schema.get("discriminator")
        if discriminator and isinstance(value, dict) and "$ref" in choice:
            names = [key for key, target in discriminator.get("mapping", {}).items() if target == choice["$ref"]]
            value[discriminator["propertyName"]] = (names or [choice["$ref"].rpartition("/")[2]])[0]
        return value

    def object(self, schema, depth):
        made, required = {}, schema.get("required", [])
        for name, inner in schema.get("properties", {}).items():
            if self.document.merged(inner).get("readOnly") or (name not in required and self.random.random() < 0.5):
                continue
            try:
                made[name] = self.value(inner, depth + 1)
            except Unmade:
                if name in required:
                    raise
        return made

    # ---- a request as it is described

    def request(self, operation):
        request = Request(operation, files_of(self.document, operation))
        for key, parameter in operation.parameters.items():
            if parameter.get("required") or self.random.random() < 0.4:
                request.values[key] = self.value(schema_of(parameter))
        types = [name for name, media in operation.body.get("content", {}).items()]
        if types and (operation.body.get("required") or self.random.random() < 0.8):
            request.content_type = self.random.choice(types)
            request.body = self.value(operation.body["content"][request.content_type].get("schema", {}))
            request.content_type = request.content_type.replace("*/*", "application/json").replace("/*", "/x")
        return request


def schema_of(parameter):
    return parameter["schema"] if "schema" in parameter else next(iter(parameter["content"].values())).get("schema", {})


# ---- changes

class Changer:
    """One change to a request, by its name."""

    def __init__(self, maker):
        self.maker, self.document, self.random = maker, maker.document, maker.random

    def places(self, schema, value, at=()):
        """Every value within, with its schema and how to reach it."""
        schema = self.document.merged(schema)
        yield at, schema, value
        for name in ("oneOf", "anyOf"):
            for part in schema.get(name, []):
                schema = {**schema, "properties": {**self.document.merged(part).get("properties", {}), **schema.get("properties", {})}}
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in schema.get("properties", {}):
                    yield from self.places(schema["properties"][name], inner, (*at, name))
        if isinstance(value, list):
            for index, inner in enumerate(value):
                yield from self.places(schema.get("items", {}), inner, (*at, index))

    def others(self, schema, value):
        """Pairs of a change's name and what the value becomes."""
        text, number = isinstance(value, str), isinstance(value, (int, float)) and not isinstance(value, bool)
        for other in ("x", 12, 1.5, True, None, [], ["x"], {}, {"x": 1}, "", "12", "true"):
            if type(other) is not type(value):
                yield f"{kind_of(value)} becomes {json.dumps(other)}", other
        if number:
            for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                if isinstance(schema.get(name), (int, float)) and not isinstance(schema.get(name), bool):
                    yield "at the " + name, schema[name]
                    yield "beyond the " + name, schema[name] + (-1 if "Min" in name.title() else 1)
            yield from [("negative", -1), ("zero", 0), ("2^31", 2**31), ("2^53", 2**53), ("2^63", 2**63), ("1e3", Raw("1e3")), ("1.0", Raw("1.0")), ("1e400", Raw("1e400"))]
        if text:
            yield from [("not in the enum", "other")] if "enum" in schema else []
            yield from [("a bad " + schema["format"], one) for one in BROKEN.get(schema.get("format"), [])]
            yield from [("too long", "a" * (schema["maxLength"] + 1)), ("as long as can be", "é" * schema["maxLength"])] if schema.get("maxLength", 9999) < 5000 else []
            yield from [("too short", "a" * (schema["minLength"] - 1))] if schema.get("minLength") else []
            yield from [("not of the pattern", "?!")] if "pattern" in schema else []
            yield from [("spaces around", " " + value + " "), ("reserved characters", "a:b/c@d"), ("more text", value + ",x"), ("emoji", "\U0001f600"), ("quotes", "a\"'<")]
        if isinstance(value, list):
            yield "a text in the list", [*value, "x"]
            yield "a number in the list", [*value, 5]
            yield from [("the list twice", value + value)] if value else []
            yield from [("too many items", (value or [1]) * (schema["maxItems"] + 1))] if schema.get("maxItems", 99) < 50 else []
            yield "no items", []
        if isinstance(value, dict):
            yield from [("without " + ("a required field" if name in schema.get("required", []) else "a field"),
                         {key: inner for key, inner in value.items() if key != name}) for name in value]
            yield from [("a field more", {**value, "unknown_field": 1}), ("an empty object", {})]
            yield from [("a readOnly field", {**value, name: self.try_value(inner)}) for name, inner in schema.get("properties", {}).items()
                        if self.document.merged(inner).get("readOnly")]
            yield from [("the discriminator", {**value, schema["discriminator"]["propertyName"]: "other"})] if "discriminator" in schema else []

    def try_value(self, schema):
        try:
            return self.maker.value(schema)
        except Unmade:
            return "x"

    def change_value(self, schema, value):
        at, inner, old = self.random.choice(list(self.places(schema, value)))
        name, new = self.random.choice(list(self.others(inner, old)))
        return name, put(value, at, new)

    # Each is told by its name, and False where there is nothing to change.

    def change_parameter(self, request):
        if not request.values:
            return False
        key = self.random.choice(list(request.values))
        name, request.values[key] = self.change_value(schema_of(request.operation.parameters[key]), request.values[key])
        request.change = [f"{key[0]}: {name}", key[1]]

    def change_body(self, request):
        if request.content_type is None:
            return False
        schema = next((media.get("schema", {}) for name, media in request.operation.body["content"].items() if name == request.content_type), {})
        name, request.body = self.change_value(schema, request.body)
        request.change = ["body: " + name]

    def change_body_text(self, request):
        if request.content_type is None or "json" not in request.content_type:
            return False
        text = json.dumps(request.body)
        name, request.raw = self.random.choice([
            ("empty", ""), ("cut", text[:-1]), ("with something behind", text + "x"), ("a name twice", text[:-1] + ',"a":1,"a":2}' if text[-1] == "}" and len(text) > 2 else text + text),
            ("with a byte order mark", "\ufeff" + text), ("no JSON", "x"), ("with blanks", " " + text + "\n"), ("a null byte", text.replace('"', '"\\u0000', 1))])
        request.change = ["JSON: " + name]

    def change_content_type(self, request):
        if request.content_type is None:
            return False
        was = request.content_type
        request.raw, _ = serialize_body(request)
        request.content_type = self.random.choice([None, "text/plain", "application/xml", "application/octet-stream", "application/x-www-form-urlencoded", was.upper(),
                                                   was + "; charset=utf-8", was + "; charset=latin1", "application/vnd.x+json", "x", "application/json; version=1"])
        request.change = [f"content type: {request.content_type if request.content_type != was.upper() else 'in capitals'}"]

    def add_body(self, request):
        if request.content_type is not None:
            return False
        request.content_type, request.raw = self.random.choice(["application/json", "text/plain", "application/x-www-form-urlencoded"]), "{}"
        request.change = ["a body where none is described" if not request.operation.body else "another body"]

    def drop_body(self, request):
        if request.content_type is None:
            return False
        request.content_type = request.body = None
        request.change = ["no body", "required" if request.operation.body.get("required") else "optional"]

    def drop_parameter(self, request):
        keys = [key for key in request.values if key[0] != "path"]
        if not keys:
            return False
        key = self.random.choice(keys)
        del request.values[key]
        request.change = [f"{key[0]}: {'a required' if request.operation.parameters[key].get('required') else 'an optional'} parameter is missing"]

    def add_query(self, request):
        names = [name for place, name in request.operation.parameters if place == "query"] or ["x"]
        name = self.random.choice(names)
        change, pair = self.random.choice([
            ("an unknown parameter", ("unknown", "1")), ("a name in capitals", (name.upper() if name.upper() != name else name.lower(), "1")), ("a parameter twice", (name, "1")), ("a name with []", (name + "[]", "1")),
            ("a name with [x]", (name + "[x]", "1")), ("an empty value", (name, "")), ("a name alone", (name, None)), ("no name", ("", "1")), ("a header unknown", None)])
        request.change = ["query: " + change]
        if pair is None:
            request.change, request.headers["X-Unknown"] = ["header: unknown"], "1"
        else:
            request.query.append(pair)

    def change_style(self, request):
        keys = [key for key, value in request.values.items() if isinstance(value, (list, dict)) and key[0] == "query"]
        if not keys:
            return False
        key = self.random.choice(keys)
        if not request.values[key] or (isinstance(request.values[key], list) and len(request.values[key]) < 2):
            request.values[key] = request.values[key] * 2 if request.values[key] else ["a", "b"]
        style = self.random.choice([("form", True), ("form", False), ("pipeDelimited", False), ("spaceDelimited", False), ("deepObject", True), ("json", False), ("indexed", True)])
        request.styles[key] = style
        request.change = [f"style: {style[0]}{' exploded' if style[1] else ''} for {kind_of(request.values[key])}"]

    def change_target(self, request):
        name, request.path = self.random.choice([("a segment more", request.path + "/unknown"), ("a slash more", request.path + "/"), ("another path", "/unknown"),
                                                 ("in capitals", request.path.upper() if "{" not in request.path else "/X" + request.path), ("a segment less", request.path.rpartition("/")[0] or "/none")])
        request.change = ["path: " + name]

    def change_method(self, request):
        request.method = self.random.choice(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
        request.change = ["method: " + request.method]

    WEIGHTS = [(change_parameter, 10), (change_body, 14), (change_body_text, 3), (change_content_type, 3), (add_body, 1), (drop_body, 1), (drop_parameter, 2), (add_query, 3),
               (change_style, 4), (change_target, 1), (change_method, 1)]

    def change(self, request):
        while True:
            chosen = self.random.choices([row[0] for row in self.WEIGHTS], [row[1] for row in self.WEIGHTS])[0]
            if chosen(self, request) is not False:
                return


def put(value, at, new):
    if not at:
        return new
    value = copy.copy(value)
    value[at[0]] = put(value[at[0]], at[1:], new)
    return value


def files_of(document, operation):
    schema = document.merged(operation.body.get("content", {}).get("multipart/form-data", {}).get("schema", {}))
    found = set()
    for name, inner in schema.get("properties", {}).items():
        inner = document.merged(inner)
        if "binary" in (inner.get("format"), document.merged(inner.get("items", {})).get("format")) or "contentMediaType" in inner:
            found.add(name)
    return found


def requests(document, seed, plain, changed):
    """`plain` as the document says, then `changed` of them with one change each."""
    maker = Maker(document, seed)
    changer = Changer(maker)
    made = 0
    for _ in range(TRIES * (plain + changed)):
        if made == plain + changed:
            return
        operation = maker.random.choice(document.operations)
        if not operation.body and not operation.parameters and maker.random.random() < 0.8:
            continue
        if not operation.body and maker.random.random() < 0.4 and any(one.body for one in document.operations):
            operation = maker.random.choice([one for one in document.operations if one.body])
        try:
            request = maker.request(operation)
        except Unmade:
            continue
        if made >= plain:
            changer.change(request)
        made += 1
        yield serialize(document.base, request)
    raise Unmade("so many requests")
