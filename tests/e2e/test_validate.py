"""fcgiguard validate: verdicts, faults of schemas, references into folders, and
the official cases of JSON Schema given to it from outside."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import subprocess
import sys

import pytest

import harness

SUITES = [pathlib.Path(os.environ["SCHEMA_SUITE"])] if "SCHEMA_SUITE" in os.environ else [
    pathlib.Path("/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance"), pathlib.Path("/usr/share/json-schema-test-suite")]
SUITE = next((suite for suite in SUITES if (suite / "tests/draft2020-12").exists()), SUITES[0])
EXCEPTIONS = [(row["file"], row["test"]) for row in json.loads((harness.SOURCE / "tests/data/schema/exceptions.json").read_text())]
DRAFTS = {"draft2020-12": "2020-12", "draft2019-09": "2019-09", "draft7": "7", "draft6": "6", "draft4": "4"}
USER = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"minimum": 18}},
        "additionalProperties": False}


@pytest.fixture(scope="module")
def program(folder):
    return harness.installed("fcgiguard", folder)


@pytest.fixture(scope="module")
def user(folder):
    return folder.write("user.json", json.dumps(USER, indent=1))


def validate(program, *arguments, lines=""):
    """Exit status, verdicts and what was said on standard error."""
    given = lines if isinstance(lines, bytes) else lines.encode()
    result = subprocess.run([str(program), "validate", *map(str, arguments)], input=given, capture_output=True, timeout=120,
                            env=harness.clean_environment(), check=False)
    said = result.stderr.decode()
    assert not harness.REPORTS.search(said), said
    return result.returncode, [json.loads(line) for line in result.stdout.decode().splitlines()], said


def keywords(verdict):
    return [(error["pointer"], error["keyword"]) for error in verdict["errors"]]


# ---- verdicts

def test_lines(program, user):
    status, verdicts, said = validate(program, user, lines='{"name":"Anna"}\n{"name":"secret","age":3}\n{"nam/e":1}')
    assert status == 1 and said == "" and [verdict["valid"] for verdict in verdicts] == [True, False, False]
    assert verdicts[0] == {"valid": True, "errors": []}
    assert sorted(keywords(verdicts[1])) == [("/age", "minimum"), ("/name", "maxLength")]
    assert sorted(keywords(verdicts[2])) == [("/name", "required"), ("/nam~1e", "additionalProperties")]
    assert all(set(error) == {"pointer", "keyword", "message"} for verdict in verdicts for error in verdict["errors"])


def test_no_line_no_verdict(program, user):
    assert validate(program, user) == (0, [], "")
    assert validate(program, user, lines='{"name":"a"}\n') == (0, [{"valid": True, "errors": []}], "")
    assert validate(program, user, lines='{"name":"a"}') == (0, [{"valid": True, "errors": []}], "")


def test_files(program, folder, user):
    good, bad = folder.write("good.json", '{\n "name":\n "a"}\n'), folder.write("bad.json", "7")
    assert validate(program, user, good)[:2] == (0, [{"valid": True, "errors": []}])
    status, verdicts, _ = validate(program, user, bad, folder / "none.json", folder / "bin", good)
    assert status == 1 and [verdict["valid"] for verdict in verdicts] == [False, False, False, True]
    assert [keywords(verdict) for verdict in verdicts] == [[("", "type")], [("", "file")], [("", "file")], []]
    assert "No such file" in verdicts[1]["errors"][0]["message"]


@pytest.mark.parametrize("line, keyword", [
    ("", "json"), ("secret", "json"), ('{"secret":1', "json"), ('{"secret":1,"secret":2}', "json"), ('"secret', "json"),
    (b'"secret\xff"', "json"), ("1 2", "json"), ("1e999", "limit"), ('{"secret\\u0000":1}', "limit"), ("[" * 5000, "limit"),
    ('"secret\\ud800"', "json"), ("NaN", "json"), ("'secret'", "json"),
])
def test_what_is_not_json_is_a_verdict(program, folder, line, keyword):
    line = line if isinstance(line, bytes) else line.encode()
    status, verdicts, said = validate(program, folder.write("any.json", "true"), lines=line + b"\n1\n")
    assert status == 1 and said == "" and len(verdicts) == 2 and verdicts[1]["valid"]
    assert keywords(verdicts[0]) == [("", keyword)] and "secret" not in json.dumps(verdicts)


def test_a_verdict_repeats_no_value(program, folder):
    schema = {"properties": {name: rule for name, rule in [
        ("a", {"type": "null"}), ("b", {"enum": ["x"]}), ("c", {"const": "x"}), ("d", {"pattern": "^x"}), ("e", {"format": "date"}),
        ("f", {"maxLength": 2}), ("g", {"minLength": 99}), ("h", {"anyOf": [False]}), ("i", {"not": {}})]}}
    file = folder.write("all.json", json.dumps(schema))
    status, verdicts, said = validate(program, file, lines=json.dumps({name: "secret" for name in "abcdefghi"}))
    assert status == 1 and said == "" and len(verdicts[0]["errors"]) == 9 and "secret" not in json.dumps(verdicts)


def test_errors_are_bounded(program, folder):
    file = folder.write("numbers.json", '{"items": {"type": "number"}}')
    _, verdicts, _ = validate(program, file, lines=json.dumps(["x"] * 100) + "\n" + json.dumps(["x"] * 101))
    assert [(len(verdict["errors"]), verdict.get("more")) for verdict in verdicts] == [(100, None), (100, True)]


def test_lines_are_bounded(program, folder):
    file, limit = folder.write("any.json", "true"), 16 << 20
    fits, over = b'"' + b"x" * (limit - 2) + b'"', b'"' + b"x" * (limit - 1) + b'"'
    status, verdicts, _ = validate(program, file, lines=b"\n".join([fits, over, b"1"]))
    assert status == 1 and [verdict["valid"] for verdict in verdicts] == [True, False, True]
    assert keywords(verdicts[1]) == [("", "limit")]
    _, verdicts, _ = validate(program, file, folder.write("over.json", over), folder.write("fits.json", fits))
    assert [keywords(verdict) for verdict in verdicts] == [[("", "limit")], []]


def test_verdicts_come_line_by_line(program, user):
    """Whoever feeds it one instance at a time can wait for the verdict."""
    with subprocess.Popen([program, "validate", user], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for line, valid in [(b"{}\n", False), (b'{"name":"a"}\n', True)]:
            process.stdin.write(line)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["valid"] is valid
        process.stdin.close()
        assert process.wait(20) == 1


def test_numbers(program, folder):
    file = folder.write("cents.json", '{"multipleOf": 0.01, "maximum": 9007199254740992}')
    status, verdicts, _ = validate(program, file, lines="4.35\n1.0\n4.351\n9007199254740992\n9007199254740993\n1e300")
    assert [verdict["valid"] for verdict in verdicts] == [True, True, False, True, False, False]


# ---- options

def test_drafts(program, folder):
    file = folder.write("bound.json", '{"maximum": 3, "exclusiveMaximum": true}')
    assert validate(program, "--draft", "4", file, lines="3")[0] == 1
    assert validate(program, "--draft=4", file, lines="2")[0] == 0
    assert validate(program, file, lines="2")[0] == 2
    file = folder.write("own.json", '{"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": true}')
    assert validate(program, "--draft", "2019-09", file, lines="2")[0] == 0


def test_formats(program, folder):
    file = folder.write("date.json", '{"format": "date"}')
    assert validate(program, file, lines='"2023-02-29"')[0] == 1
    assert validate(program, "--no-format", file, lines='"2023-02-29"')[0] == 0


def test_references(program, folder):
    folder.write("schemas/name.json", '{"$defs": {"short": {"maxLength": 2}}, "type": "string", "$ref": "sub/more.json#/$defs/a"}')
    folder.write("schemas/sub/more.json", '{"$defs": {"a": {"pattern": "^x"}, "b": {"$ref": "../name.json#/$defs/short"}}}')
    folder.write("schemas/odd.json", '{"properties":\n {"a": {"type": "text"}}}')
    folder.write("schemas/bad.json", "{")
    folder.write("outside.json", "{}")
    os.mkfifo(folder / "schemas/pipe.json")
    os.symlink("../outside.json", folder / "schemas/link.json")
    os.symlink(folder / "outside.json", folder / "schemas/absolute.json")
    os.symlink("sub/more.json", folder / "schemas/inside.json")
    resolve = ["--resolve", f"http://example.com/s={folder}/schemas"]

    def refer(reference, *lines, more=()):
        return validate(program, *resolve, *more, folder.write("refer.json", json.dumps({"$ref": reference})), lines="\n".join(lines))
    status, verdicts, said = refer("http://example.com/s/name.json", '"xyz"', '"y"', "1")
    assert (status, said) == (1, "") and [verdict["valid"] for verdict in verdicts] == [True, False, False]
    assert refer("http://example.com/s/sub/more.json#/$defs/b", '"xyz"')[0] == 1
    assert refer("http://example.com/s/inside.json#/$defs/a", '"xy"')[0] == 0
    for name, why in [("none.json", "No such file"), ("link.json", "leads out"), ("absolute.json", "leads out"),
                      ("pipe.json", "regular"), ("sub", "regular"), ("bad.json", "bad.json:1:1: is not JSON"), ("", "No such file"),
                      ("%2e%2e/outside.json", "No such file"), ("../outside.json", "no --resolve is for it")]:
        status, verdicts, said = refer("http://example.com/s/" + name, "1")
        assert (status, verdicts) == (2, []) and "refer.json:1:10: $ref: " in said and why in said, (name, said)
    for uri in ("http://example.com/sub/name.json", "https://example.com/s/name.json", "http://example.com/s"):
        assert "no --resolve is for it" in refer(uri)[2]
    status, _, said = refer("http://example.com/s/odd.json")
    assert status == 2 and f"{folder}/schemas/odd.json:2:17: type: is \"text\", expected" in said
    status, _, said = validate(program, folder.write("refer.json", '{"$ref": "http://example.com/s/name.json"}'))
    assert status == 2 and "refer.json:1:10: $ref: " in said
    folder.write("other/t.json", '{"type": "null"}')
    assert refer("urn:example/t.json", "null", "1", more=["--resolve", f"urn:example/={folder}/other"])[0] == 1


@pytest.mark.parametrize("content, pattern", [
    ('{\n "minLength": -1}', ":2:15: minLength: is -1, expected an integer that is not negative"),
    ("{", ":1:1: is not JSON"), ("", ":1:1: is not JSON"), ("[]", ":1:1: is an empty list, expected a schema"),
    ('{"a": 1, "a": 2}', ":1:12: is not JSON: duplicate"), ('{"$schema": "http://example.com/"}', ":1:13: $schema: the dialect"),
    ('{"allOf": [{"pattern": "("}]}', ":1:24: pattern: "),
    (r'{"$ref": "\u001b[31m\u202e"}', ":1:10: $ref: the reference to ?[31m"), (r'{"type": "\u202e"}', r':1:10: type: is "\u202E", expected'),
])
def test_faults(program, folder, content, pattern):
    file = folder.write("fault.json", content)
    status, verdicts, said = validate(program, file, lines="1\n")
    assert (status, verdicts) == (2, []) and said.startswith(f"{file}{pattern}"), said
    assert said.count("\n") == 1


def test_misused(program, folder, user):
    assert validate(program, folder / "none.json")[0] == 2
    for arguments in ([], ["--draft", "5", user], ["--draft", "", user], ["--resolve", "x", user], ["--resolve", "x=/", user],
                      ["--resolve", f"x:y={folder}/none", user], ["--resolve", f"x:y={user}", user], ["--nonsense", user], [user, "--draft"]):
        status, verdicts, said = validate(program, *arguments, lines="{}")
        assert (status, verdicts) == (2, []) and said, arguments


# ---- the official cases

def groups(draft, optional):
    folder = SUITE / "tests" / draft
    for file in sorted(folder.glob("optional/**/*.json" if optional else "*.json")):
        for number, group in enumerate(json.loads(file.read_text())):
            yield str(file.relative_to(folder)), number, group


@pytest.mark.parametrize("optional", [False, True], ids=["required", "optional"])
@pytest.mark.parametrize("draft", DRAFTS)
def test_official_cases(program, folder, draft, optional):
    """Required cases with formats that annotate, the optional ones with formats that assert."""
    options = ["--draft", DRAFTS[draft], "--resolve", f"http://localhost:1234={SUITE / 'remotes'}"] + ["--no-format"] * (not optional)

    def wrong(case):
        name, number, group = case
        lines = "\n".join(json.dumps(test["data"]) for test in group["tests"])
        file = folder.write(f"{draft}-{name.replace('/', '-')}-{number}.json", json.dumps(group["schema"]))
        status, verdicts, said = validate(program, *options, file, lines=lines)
        if len(verdicts) != len(group["tests"]) or status != (not all(verdict["valid"] for verdict in verdicts)):
            return [(name, group["description"], said)]
        return [(name, group["description"], test["description"]) for test, verdict in zip(group["tests"], verdicts)
                if (test["valid"] != verdict["valid"]) != ((name, test["description"]) in EXCEPTIONS)]
    every = max(1, round(1 / harness.SCALE))  # with sanitizers all are run by the unit test
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(wrong, itertools.islice(groups(draft, optional), None, None, every)))
    assert results and not sum(results, [])


def test_jsonschema(program):
    """Generated schemas and instances, to which Python's jsonschema says the same, or otherwise for a reason."""
    pairs = max(80, int(400 * min(1, harness.SCALE)))
    done = subprocess.run([sys.executable, harness.SOURCE / "tests/peers/schema", "--only", "jsonschema", "--seed", "9", "--pairs", str(pairs),
                           "--fcgiguard", program], capture_output=True, text=True, timeout=300, env=harness.clean_environment(), check=False)
    assert done.returncode == 0 and not harness.REPORTS.search(done.stderr), done.stdout + done.stderr
    assert ", 0 without" in done.stdout, done.stdout
