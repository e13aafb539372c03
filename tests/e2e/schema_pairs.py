"""JSON Schemas of draft 2020-12 and instances for them, by chance from a seed: the
same seed makes the same pairs everywhere. About half of the instances are made to fit."""

import json
import random

NAMES = ["a", "b", "c", "aa", "x-1", "é"]
STRINGS = ["", "a", "ab", "abc", "aab", "A1", "x-1", "0", "12", "é", "\U0001f600", "a b", "null", "a\n"]
NUMBERS = [0, 1, 2, 3, 5, 10, -1, -7, 1.0, 1.5, 0.1, 0.3, 2.5, 0.25, 19.99, 1e3, 1e-2, 100]
RARE_NUMBERS = [9007199254740992, 9007199254740993, 1e300, 1e-7, -9223372036854775808]
PATTERNS = {"^a": "ab", "b$": "ab", "^[a-c]+$": "abc", "^\\d+$": "12", "^x-": "x-1", "^.{2}$": "ab", "^(a|b)*$": "aab",
            "\\w": "A1", "^[^a]*$": "0", "\\s": "a b", "^(?!a)": "0", "é|\\u0031": "é", "^\\S+$": "abc"}
RARE_PATTERNS = {"^\\p{L}+$": "é", "^[\\w-]+$": "x-1"}
FORMATS = {
    "date": ["2024-02-29", "2023-02-29", "2023-1-01", "20230101"],
    "date-time": ["2024-02-29T10:00:00Z", "2024-02-29T24:00:00Z", "2024-02-29 10:00:00Z", "2024-02-29T10:00:00.5+01:00"],
    "time": ["10:00:00Z", "10:00:00", "25:00:00Z", "10:00:00+24:00"],
    "duration": ["P1D", "PT", "P1Y2M3DT4H", "P1W", "P1WT1H"],
    "email": ["a@example.com", "a@", "@b", "a.b+c@example.com", "a..b@example.com"],
    "hostname": ["example.com", "-a.example", "a_b", "x" * 64],
    "ipv4": ["127.0.0.1", "256.0.0.1", "1.2.3", "01.2.3.4"],
    "ipv6": ["::1", "::ffff:1.2.3.4", ":::", "12345::", "fe80::1%eth0"],
    "uri": ["http://example.com/a?b#c", "/a", "http://a b/", "urn:a:b"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"],
    "json-pointer": ["/a/~0b", "a", "/~2", ""],
    "regex": ["^a+$", "(", "a{2,1}"],
}
TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]
GROUPS = {  # keywords that come together, by the type they are about
    "object": ["properties", "required", "patternProperties", "additionalProperties", "propertyNames", "minProperties",
               "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"],
    "array": ["items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems"],
    "string": ["minLength", "maxLength", "pattern", "format"],
    "number": ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
}


class Chance:
    """random() is the one function of Python's generators that stays the same between versions."""

    def __init__(self, seed):
        self.source = random.Random(seed)

    def below(self, bound):
        return int(self.source.random() * bound)

    def one(self, values):
        return values[self.below(len(values))]

    def some(self, values, most):
        return [value for value in values if self.below(len(values)) < most][:most]

    def happens(self, percent):
        return self.below(100) < percent


class Schemas:
    def __init__(self, chance):
        self.chance = chance

    def root(self):
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **self.schema(3),
                  "$defs": {"d": self.leaf(), "e": {"$anchor": "e", **self.schema(1, refers=False)}}}
        if "$dynamicRef" in json.dumps(schema):
            schema["$dynamicAnchor"] = "node"
        return schema

    def leaf(self):
        kind = self.chance.one(["string", "number", "type", "enum"])
        return self.keywords(kind, 0) if kind in GROUPS else self.simple(kind)

    def simple(self, kind):
        if kind == "type":
            return {"type": self.chance.one(TYPES) if self.chance.happens(80) else self.chance.some(TYPES, 3) or ["null"]}
        values = [self.value(1) for _ in range(1 + self.chance.below(3))]
        return {"const": values[0]} if self.chance.happens(40) else {"enum": values}

    def value(self, depth):
        return Instances(self.chance, {}).anything(depth)

    def schema(self, depth, refers=True):
        if depth == 0:
            return self.leaf()
        kind = self.chance.one(["object", "object", "object", "array", "array", "string", "number", "logic", "logic", "enum", "type",
                                "bool", "reference"])
        if kind == "bool":
            return {"not": {}} if self.chance.happens(20) else {}
        if kind == "reference" and refers:
            return {"$ref": self.chance.one(["#/$defs/d", "#e"])} if depth < 3 else self.schema(depth - 1)
        if kind == "logic":
            return self.logic(depth, refers)
        if kind not in GROUPS:
            return self.simple("enum" if kind == "enum" else "type")
        schema = self.keywords(kind, depth, refers)
        if self.chance.happens(60):
            schema = {"type": kind, **schema}
        if self.chance.happens(25):
            schema.update(self.logic(depth, refers))
        return schema

    def inner(self, depth, refers):
        """Of a member or an item, where a schema may refer to itself."""
        if refers and self.chance.happens(6):
            return {"$ref": "#"} if self.chance.happens(60) else {"$dynamicRef": "#node"}
        if self.chance.happens(8):
            return self.chance.happens(60)
        return self.schema(max(0, depth - 1), refers)

    def logic(self, depth, refers):
        kind = self.chance.one(["allOf", "anyOf", "oneOf", "not", "if"])
        if kind == "not":
            return {"not": self.schema(depth - 1, refers)}
        if kind == "if":
            branches = {name: self.schema(depth - 1, refers) for name in ("then", "else") if self.chance.happens(75)}
            return {"if": self.schema(depth - 1, refers), **branches}
        return {kind: [self.schema(depth - 1, refers) for _ in range(2 + self.chance.below(2))]}

    def keywords(self, kind, depth, refers=True):
        names = self.chance.some(GROUPS[kind], 3) or [self.chance.one(GROUPS[kind])]
        schema = {}
        for name in names:
            schema.update(self.keyword(name, depth, refers))
        return schema

    def keyword(self, name, depth, refers):
        chance = self.chance
        number = RARE_NUMBERS if chance.happens(3) else NUMBERS
        if name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            return {name: chance.one(number)}
        if name == "properties":
            return {name: {key: self.inner(depth, refers) for key in chance.some(NAMES, 3) or ["a"]}}
        if name == "dependentSchemas":  # of the same instance: "#" would have no end
            return {name: {key: self.schema(max(0, depth - 1), refers) for key in chance.some(NAMES, 3) or ["a"]}}
        if name == "patternProperties":
            return {name: {chance.one(["^a", "^x-", "é", "b$"]): self.inner(depth, refers)}}
        if name == "prefixItems":
            return {name: [self.inner(depth, refers) for _ in range(1 + chance.below(2))]}
        if name == "contains":
            counts = {key: chance.below(3) for key in ("minContains", "maxContains") if chance.happens(30)}
            return {name: self.schema(0), **counts}
        if name in ("additionalProperties", "items", "unevaluatedProperties", "unevaluatedItems"):
            return {name: False if chance.happens(50) else self.inner(depth, refers)}
        return {name: {
            "required": lambda: chance.some(NAMES, 2), "propertyNames": lambda: self.keywords("string", 0),
            "dependentRequired": lambda: {chance.one(NAMES): chance.some(NAMES, 2)}, "uniqueItems": lambda: True,
            "multipleOf": lambda: chance.one([1, 2, 3, 0.1, 0.01, 0.25, 1.5, 1e3]),
            "pattern": lambda: chance.one(list(RARE_PATTERNS if chance.happens(4) else PATTERNS)),
            "format": lambda: chance.one(list(FORMATS)),
        }.get(name, lambda: chance.below(4))()}


class Instances:
    def __init__(self, chance, root):
        self.chance, self.root = chance, root

    def scalar(self):
        kind = self.chance.below(5)
        if kind < 2:
            return self.chance.one(STRINGS)
        if kind < 4:
            return self.chance.one(RARE_NUMBERS if self.chance.happens(3) else NUMBERS)
        return self.chance.one([True, False, None])

    def anything(self, depth=2):
        kind = self.chance.below(4)
        if kind == 0 and depth > 0:
            return {name: self.anything(depth - 1) for name in self.chance.some(NAMES, 3)}
        if kind == 1 and depth > 0:
            return [self.anything(depth - 1) for _ in range(self.chance.below(4))]
        return self.scalar()

    def whole(self, schema, depth):
        """What the schema says together with one branch of each of its lists."""
        for name in ("$ref", "$dynamicRef"):
            target = schema.get(name)
            if target:
                defs = self.root.get("$defs", {})
                found = {"#/$defs/d": defs.get("d"), "#e": defs.get("e")}.get(target, self.root)
                schema = {**(found if isinstance(found, dict) else {}), **{key: schema[key] for key in schema if key != name}}
        for name in ("allOf", "anyOf", "oneOf"):
            if name in schema:
                branch = self.chance.one(schema[name])
                schema = {**schema, **(self.whole(branch, depth - 1) if depth > 0 else {})}
        if "then" in schema and self.chance.happens(50):
            schema = {**schema, **schema["if"], **schema["then"]}
        return schema

    def fitting(self, schema, depth=4):
        if not isinstance(schema, dict) or depth == 0:
            return self.scalar()
        schema = self.whole(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.chance.one(schema["enum"])
        kinds = schema.get("type") or [kind for kind, names in GROUPS.items() if set(names) & set(schema)]
        kind = self.chance.one(kinds) if isinstance(kinds, list) and kinds else kinds
        make = {"object": self.object, "array": self.array, "string": self.string, "number": self.number, "integer": self.number,
                "boolean": lambda *_: self.chance.happens(50), "null": lambda *_: None}.get(kind or "")
        return make(schema, depth) if make else self.scalar()

    def object(self, schema, depth):
        names = dict.fromkeys(list(schema.get("required", [])) + self.chance.some(list(schema.get("properties", {})), 3))
        while len(names) < schema.get("minProperties", self.chance.below(3)):
            names[self.chance.one(NAMES + ["ab", "b"])] = None
        rest = schema.get("additionalProperties", True)
        patterns = list(schema.get("patternProperties", {}).values())
        return {name: self.fitting(schema.get("properties", {}).get(name, patterns[0] if patterns else rest), depth - 1) for name in names}

    def array(self, schema, depth):
        prefix = schema.get("prefixItems", [])
        count = max(schema.get("minItems", 0), self.chance.below(4))
        rest = schema.get("contains") if "contains" in schema and self.chance.happens(60) else schema.get("items", True)
        return [self.fitting(prefix[i] if i < len(prefix) else rest, depth - 1) for i in range(count)]

    def string(self, schema, _):
        if "format" in schema:
            return self.chance.one(FORMATS[schema["format"]])
        if "pattern" in schema and self.chance.happens(80):
            return {**PATTERNS, **RARE_PATTERNS}[schema["pattern"]]
        length = schema.get("minLength", 0)
        fitting = [text for text in STRINGS if length <= len(text) <= schema.get("maxLength", 9)]
        return self.chance.one(fitting or STRINGS)

    def number(self, schema, _):
        low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("maximum", 0)))
        if "multipleOf" in schema and self.chance.happens(70):
            return round(schema["multipleOf"] * self.chance.below(400), 6)
        return self.chance.one([low, low + 1, low - 1, *NUMBERS]) if self.chance.happens(70) else self.scalar()


def pairs(seed, schemas, instances):
    """So many schemas, each with so many instances, some of which occur twice."""
    chance = Chance(seed)
    for _ in range(schemas):
        schema = Schemas(chance).root()
        makers = Instances(chance, schema)
        yield schema, [makers.fitting(schema) if chance.happens(65) else makers.anything() for _ in range(instances)]
