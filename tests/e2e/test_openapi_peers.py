"""An OpenAPI document beside npm's express-openapi-validator: what that said of requests made
from tests/data/openapi/peers/api.json is in express.json beside it, with the reason where
another verdict is given here. tests/peers/openapi makes that file, and compares three real
descriptions as well."""

import json

import pytest

import harness
import openapi_text

DATA = harness.SOURCE / "tests" / "data" / "openapi" / "peers"
RECORDED = json.loads((DATA / "express.json").read_text(encoding="utf-8"))
CASES, REASONS = RECORDED["cases"], RECORDED["reasons"]


@pytest.fixture(scope="module")
def guard(start_guard, folder):
    api = folder.write("peers/api.json", (DATA / "api.json").read_bytes())
    return start_guard({"openapi": str(api), "defaults": {"auth": "none", "hosts": "localhost", "respond": "nothing"}}, name="openapi-peers")


def is_admitted(status):
    return status < 400


def test_verdicts_are_those_of_express_or_differ_for_a_reason(guard):
    for case in CASES:
        status, words = openapi_text.ask(guard.address, case)
        assert status == case["ours"], (case, words)
        assert is_admitted(status) == is_admitted(case["express"]) or len(REASONS[case["why"]]) > 20, (case, words)


def test_what_is_recorded():
    verdicts = [is_admitted(case["express"]) for case in CASES]
    assert len(CASES) >= 300 and verdicts.count(True) >= 80 and verdicts.count(False) >= 80
    assert all(("why" in case) == (is_admitted(case["ours"]) != is_admitted(case["express"])) for case in CASES)
    assert {case["why"] for case in CASES if "why" in case} == set(range(len(REASONS)))
