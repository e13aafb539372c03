"""Answers of middlewares beside those of fcgiguard, header by header, and what a browser makes of
them. It asks a guard that runs, and knows neither how peers are asked nor which differences
there may be: those are rules in tests/data/middleware/differences.json."""

import collections
import json
import re

import harness
import records
from middleware_matrix import CONFIGURATIONS, REQUESTS

DATA = harness.SOURCE / "tests" / "data" / "middleware"
NAMES = {"access-control-allow-headers", "access-control-expose-headers", "vary"}  # lists without case
LISTS = NAMES | {"access-control-allow-methods"}
OWN = {"date", "connection", "keep-alive", "content-length", "content-type", "transfer-encoding", "x-request-id", "location"}  # of servers, or of one request
COMPARED = {
    "cors": lambda name: name.startswith("access-control-") or name == "vary",
    "hosts": lambda name: name == "location",
    "https": lambda name: name == "location",
    "helmet": lambda name: name not in OWN,
}


# ---- one answer

def compared(kind, status, headers):
    """What of an answer is compared: the status, and values by names; lists in an order of their own, and no blanks between directives."""
    found = {}
    for name, value in headers:
        name = name.lower()
        if COMPARED[kind](name):
            value = value.replace("; ", ";") if name.startswith("content-security-policy") else value
            found[name] = f"{found[name]}, {value}" if name in found else value
    for name in LISTS & found.keys():
        words = (found[name].lower() if name in NAMES else found[name]).split(",")
        found[name] = ", ".join(sorted({word.strip() for word in words} - {""}))
    return [status, dict(sorted(found.items()))]


def items(headers, name):
    return [one.strip() for one in headers.get(name, "").split(",")]


def may_read(origin, mode, headers):
    """The CORS check (Fetch, 4.10)."""
    allowed = headers.get("access-control-allow-origin")
    if allowed == "*" and mode == "omit":
        return True
    return allowed == origin and (mode == "omit" or headers.get("access-control-allow-credentials") == "true")


def may_send(asked, mode, status, headers):
    """What a CORS-preflight fetch makes of a reply (Fetch, 4.8), the CORS check aside."""
    method, names = asked
    methods, allowed = items(headers, "access-control-allow-methods"), [one.lower() for one in items(headers, "access-control-allow-headers")]
    if not 200 <= status <= 299:
        return False
    if method not in methods and method not in ("GET", "HEAD", "POST") and (mode == "include" or "*" not in methods):
        return False
    if "authorization" in names and "authorization" not in allowed:
        return False
    return all(name in allowed or (mode == "omit" and "*" in allowed) for name in names)


def browser(request, answer):
    """The modes of credentials in which a script may read the reply, or send what it asks for."""
    status, headers = answer
    origin = request.headers["Origin"]
    modes = [mode for mode in ("omit", "include") if may_read(origin, mode, headers) and (not request.asked or may_send(request.asked, mode, status, headers))]
    return " ".join(modes)


def expected(configuration, request):
    """The modes that the configuration means to let in, by its own words."""
    if request.origin not in configuration.origins:
        return ""
    if request.asked:
        method, names = request.asked
        methods, headers = {*configuration.methods, "GET", "HEAD", "POST"}, {name.lower() for name in configuration.headers or names}
        unnamed = {"authorization"} & set(names) if "*" in headers else set(names)
        if not ({method, "*"} & methods and unnamed <= headers):
            return ""
    return "omit include" if configuration.credentials else "omit"


def fields(kind, request, answer):
    """What is compared of an answer, by name."""
    status, headers = answer
    found = {"status": f"{status // 100}xx" if request.asked and request.origin else str(status), **headers}
    if kind == "cors" and request.origin:
        found["browser"] = browser(request, answer)
    return found


# ---- ours

def route_of(configuration):
    return f"/c{CONFIGURATIONS.index(configuration)}"


def policy(folder):
    """One policy with all of them: for each, a route that answers 204, one whose program says what it is told to, and one for callers alone."""
    program = folder.write("told.pl", '#!/usr/bin/perl\nprint pack "H*", $ENV{QUERY_STRING};\n', 0o755)
    key = folder.write("jwt.key", "k" * 64, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(key, harness.WEB_USER)
    routes, cors = [], {}
    for configuration in CONFIGURATIONS:
        path, keys = route_of(configuration), dict(configuration.ours)
        if "cors" in keys:
            cors[path[1:]] = keys["cors"]
            keys["cors"] = path[1:]
        keys["methods"] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
        routes += [{"path": f"{path}/**", "respond": "nothing", **keys}, {"path": f"{path}/app/**", "exec": str(program), **keys},
                   {"path": f"{path}/private", "respond": "nothing", **keys, "auth": "user"}]
    return {"auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:jwt.key", "issuer": "example.com", "audience": "example.com"}}},
            "defaults": {"auth": "none"}, "cors": cors, "routes": routes}


def target_of(configuration, request):
    if request.private:
        return f"{route_of(configuration)}/private"
    if request.reply == (204, {}):
        return route_of(configuration) + (request.target or "/")
    status, headers = request.reply
    lines = [f"Status: {status} -", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return f"{route_of(configuration)}/app/told?{chr(10).join(lines).encode().hex()}"


class Ours:
    """A guard that runs, asked on one connection; what was asked once is not asked again."""

    def __init__(self, guard):
        self.connection, self.answers = records.Connection(guard.address), {}

    def ask(self, configuration, request):
        key = (configuration.name, request.name)
        if key not in self.answers:
            port = {"HTTPS": "on", "SERVER_PORT": "443"} if request.secure else {}
            reply = self.connection.ask(records.environment(request.method, target_of(configuration, request), headers=request.headers, replace=port))
            headers = [(name, value.replace(route_of(configuration), "", 1) if name == "Location" else value) for name, value in reply.headers]
            self.answers[key] = compared(configuration.kind, reply.status, headers)
        return self.answers[key]


# ---- theirs

def load(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def pack(answers):
    """Requests by the answer that they got; of its headers what differs from those of the first one (None: it is not there)."""
    first = next(iter(answers.values()))[1]
    packed = {}
    for name, (status, headers) in answers.items():
        other = {key: headers.get(key) for key in sorted(first.keys() | headers.keys()) if headers.get(key) != first.get(key)}
        packed.setdefault(json.dumps([status, other]), []).append(name)
    groups = [(json.loads(key), names) for key, names in packed.items()]
    return {"first": first, "answers": [{"status": status, "other": other, "requests": names} for (status, other), names in groups]}


def unpack(packed):
    def headers(other):
        return {key: value for key, value in {**packed["first"], **other}.items() if value is not None}
    return {name: [group["status"], headers(group["other"])] for group in packed["answers"] for name in group["requests"]}


# ---- differences

class Rule:
    """A rule of differences.json: patterns for peer and field, for the names of configurations and requests, for what the configuration
    says of the origin and for either value ("-": there is none); how many there are, and why."""

    def __init__(self, words):
        self.words = words

    def holds(self, difference):
        return all(re.fullmatch(self.words.get(key, ".*"), value, re.DOTALL) for key, value in difference.items())


def judged(configuration, request):
    if "Origin" not in request.headers:
        return "none"
    return "allowed" if request.origin in configuration.origins else "refused"


class Comparison:
    """All answers of `peers` ({peer: {configuration: answers}}) beside ours."""

    def __init__(self, ours, peers, rules):
        self.rules, self.left = [Rule(words) for words in rules], []
        self.asked, self.values, self.different, self.counts, self.verdicts = (collections.Counter() for _ in range(5))
        for configuration in CONFIGURATIONS:
            for peer in configuration.peers:
                for request in REQUESTS[configuration.kind]:
                    self.add(peer, configuration, request, peers[peer][configuration.name][request.name], ours.ask(configuration, request))

    def add(self, peer, configuration, request, theirs, ours):
        theirs, ours = fields(configuration.kind, request, theirs), fields(configuration.kind, request, ours)
        self.asked[peer] += 1
        if "browser" in ours:
            self.verdicts[(peer, theirs["browser"] == ours["browser"])] += 1
        for field in sorted(theirs.keys() | ours.keys()):
            self.values[peer] += 1
            if theirs.get(field) != ours.get(field):
                self.add_difference({"peer": peer, "field": field, "configurations": configuration.name, "requests": request.name,
                                     "origin": judged(configuration, request), "theirs": theirs.get(field, "-"), "ours": ours.get(field, "-")})

    def add_difference(self, difference):
        self.different[difference["peer"]] += 1
        number = next((number for number, rule in enumerate(self.rules) if rule.holds(difference)), None)
        if number is None:
            self.left.append(difference)
        else:
            self.counts[number] += 1

    def stale(self):
        """Rules that say another number than there is."""
        return [(self.counts[number], rule.words) for number, rule in enumerate(self.rules) if rule.words["count"] != self.counts[number]]
