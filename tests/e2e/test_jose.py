"""Tokens that npm's jose has signed, and what was made wrong from them
(tests/data/jwt), through a guard that runs: each is let in, or refused by name."""

import json

import pytest

import harness
from records import ask

FILE = json.loads((harness.SOURCE / "tests" / "data" / "jwt" / "jose.json").read_text())
ALGORITHMS = list(dict.fromkeys(vector["algorithm"] for vector in FILE["vectors"]))
SETS = list(FILE["sets"])


def method(folder, name):
    """A way to sign in: the algorithms and the key set of one set of the file."""
    folder.write(name + ".json", json.dumps(FILE["sets"][name]["jwks"]))
    return {"jwt": {"algorithms": FILE["sets"][name]["algorithms"], "jwks": str(folder / (name + ".json")),
                    "issuer": FILE["issuer"], "audience": FILE["audience"]}}


@pytest.fixture(scope="module")
def guard(start_guard, folder, helper):
    return start_guard({
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {name: method(folder, name) for name in SETS},
        "routes": [{"path": f"/app/{name}/**", "auth": name, "exec": {"program": helper, "pass": ["REMOTE_USER"]}}
                   for name in SETS]})


def answer(guard, vector):
    reply = ask(guard.address, uri=f"/app/{vector['set']}/inspect", headers={"Authorization": "Bearer " + vector["token"]})
    body = json.loads(reply.body)
    if reply.status == 200:
        return reply.status, [entry for entry in body["environment"] if entry.startswith("REMOTE_USER=")]
    return reply.status, body["error"]


def expected(vector):
    if vector["expect"] == "good":
        return 200, ["REMOTE_USER=user-7"]
    return 401, "token_expired" if vector["expect"] == "expired" else "invalid_token"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vectors(guard, algorithm):
    vectors = [vector for vector in FILE["vectors"] if vector["algorithm"] == algorithm]
    assert {vector["expect"] for vector in vectors} >= {"good", "bad_signature"}
    wrong = [(vector["set"], vector["name"], got) for vector in vectors if (got := answer(guard, vector)) != expected(vector)]
    assert not wrong, wrong


@pytest.mark.parametrize("vectors_of, route", [("secret", "public"), ("public", "secret")])
def test_tokens_of_another_method(guard, vectors_of, route):
    """What one route lets in is a stranger's at the next."""
    for vector in FILE["vectors"]:
        if vector["set"] == vectors_of and vector["expect"] == "good":
            assert answer(guard, {**vector, "set": route}) == (401, "invalid_token"), vector["name"]


def test_words(guard, folder):
    """The reason is told by `token verify`, one of each kind; the client is not told."""
    seen = {}
    for vector in FILE["vectors"]:
        seen.setdefault(vector["expect"], vector)
    for expect, vector in seen.items():
        done = harness.run([guard.program, "token", "verify", "-c", guard.policy_path, "--", vector["token"]])
        word = "accepts" if expect == "good" else f"refuses the token, {expect}"
        line = [line for line in done.stdout.splitlines() if line.startswith(vector["set"])]
        assert line and word in line[0], (expect, done.stdout, done.stderr)
