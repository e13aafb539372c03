"""The tables of README.md, of SECURITY-CHECKLIST.md and of the stacks among the examples: what they
name is there, so that they cannot rot."""

import os
import re
import sys

import pytest

import harness

STACK = "examples/nginx-gateway/README.md"
STACKS = sorted(str(file.relative_to(harness.SOURCE)) for file in harness.EXAMPLES.glob("*/README.md"))
DOCUMENTS = ["README.md", "SECURITY-CHECKLIST.md", *STACKS]
POLICY = ("Policy", "Keys of a policy")
CHECKLIST = ["HTTPS enforced", "Authentication required", "Authorization implemented", "Rate limiting active", "Input validation", "CORS configured",
             "Security headers set", "Error handling secure", "Logging enabled", "API versioning"]
ADVICE = ["use HTTPS everywhere", "implement rate limiting", "validate all inputs", "use security headers", "log security events",
          "implement CORS properly", "use strong authentication", "version your APIs", "expose stack traces", "return detailed errors",
          "trust user input", "use HTTP for APIs", "skip input validation", "ignore rate limiting"]
WORDS = re.compile(r"`([^`]+)`")
TEST = re.compile(r"`((?:test_\w+\.py::)?test_\w+(?:\[[^\]`]*\])?)`")


def text_of(name):
    return (harness.SOURCE / name).read_text()


def rows(name):
    """Each row of each table, as a map of its columns; the first one is also under ''."""
    found, columns = [], None
    for line in text_of(name).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if columns is None:
            columns = cells
        elif not set(cells[0]) <= {"-"} or not cells[0]:
            assert len(cells) == len(columns), f"{name}: {line}"
            found.append({"": cells[0], **dict(zip(columns, cells))})
    return found


def cells(name, *columns):
    return [(row[""], row[column]) for row in rows(name) for column in columns if column in row]


def named_tests(name):
    """Those that it names; one without a file is in the file that the text names."""
    file = re.search(r"`tests/e2e/(test_\w+\.py)`", text_of(name))
    return {test if "::" in test else f"{file[1]}::{test}" for test in TEST.findall(text_of(name))}


@pytest.mark.parametrize("name", ["README.md", "SECURITY-CHECKLIST.md", STACK])
def test_keys_are_known(folder, name):
    """And the words behind them, where there is a choice."""
    program = harness.installed("fcgiguard", folder)
    words = {word for _, cell in cells(name, *POLICY) for word in WORDS.findall(cell)}
    assert len(words) > 10
    for key, _, value in sorted(word.partition(": ") for word in words):
        result = harness.run([program, "help", key], env=harness.clean_environment())
        assert result.returncode == 0 and result.stdout.startswith(f"{key}: "), f"{name}: {key}: {result.stdout}{result.stderr}"
        choice = re.search(r"^  value: +(.*)", result.stdout, re.M)
        assert not value or not choice or value in choice[1].split(", ") or f"one of {value}" in choice[1], f"{name}: {key}: {value}"


@pytest.mark.parametrize("name", STACKS)
def test_policies_have_what_is_said_of_them(folder, name):
    """Keys in the column of that name are in the policy beside, or at least there."""
    policy = ((harness.SOURCE / name).parent / "policy.yaml").read_text()
    said = {key for _, cell in cells(name, "policy.yaml") for word in WORDS.findall(cell) for key in re.findall(r"\b([a-z_]+):(?= )", word)}
    for key in sorted(said):
        if not re.search(rf"\b{key}:", policy):
            assert harness.run([harness.installed("fcgiguard", folder), "help", key], env=harness.clean_environment()).returncode == 0, key


@pytest.fixture(scope="module")
def collected():
    """All tests that the documents name a file of, with and without their parameters."""
    files = sorted({test.partition("::")[0] for name in DOCUMENTS for test in named_tests(name)})
    here = harness.SOURCE / "tests/e2e"
    result = harness.run([sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files], cwd=here,
                         env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=600)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    tests = set(re.findall(r"^(test_\w+\.py::.*)$", result.stdout, re.M))
    return tests | {test.partition("[")[0] for test in tests}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tests_are_there(collected, name):
    assert len(named_tests(name)) > 10 or name == "README.md"
    assert not named_tests(name) - collected


@pytest.mark.parametrize("name", DOCUMENTS[1:])
def test_each_row_is_shown(name):
    """By a test, or it says that this is not possible."""
    shown = cells(name, "Test", "test")
    assert shown and not [item for item, cell in shown if not TEST.search(cell) and not re.match("not possible|the same|all of them", cell)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^):]+)\)", text_of(name))]
    assert links and not [link for link in links if not ((harness.SOURCE / name).parent / link).exists()]


def test_no_item_is_missing():
    """Of the checklists that the tables are about."""
    assert [item for item, _ in cells("README.md", "Keys of a policy")] == CHECKLIST
    items = [row["Item"].removeprefix("Do: ").removeprefix("Do not: ") for row in rows("SECURITY-CHECKLIST.md") if "Item" in row]
    assert items == CHECKLIST + ADVICE
    assert [row["Risk"].split()[0] for row in rows("SECURITY-CHECKLIST.md") if "Risk" in row] == [f"API{number}" for number in range(1, 11)]


def test_no_directive_is_missing():
    """Of the configuration that the stack's policy takes the place of."""
    original = text_of("tests/data/nginx-gateway/original.conf")
    directives = set(re.findall(r"^ +([a-z_]+) [^\n]*[;{]$", original, re.M))
    table = " ".join(item for item, _ in cells(STACK, "Test"))
    assert len(directives) > 25
    assert not [name for name in directives - {"server"} if not re.search(rf"`(?:[^`]*[^a-z_])?{name}\b", table)]
