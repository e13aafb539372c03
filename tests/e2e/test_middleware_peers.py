"""CORS, security headers, hosts and HTTPS beside npm's cors and helmet and Starlette's middlewares: what these answered
to the requests of middleware_matrix.py is in tests/data/middleware/peers.json, which tests/peers/middleware makes.
The same is answered here, header by header, but for the rules in differences.json beside it, each of which holds as often
as it says."""

import pytest

import harness
import middleware_compare as compare
import middleware_matrix as matrix

RECORDED = compare.load("peers.json")
RULES = compare.load("differences.json")


@pytest.fixture(scope="module")
def ours(start_guard, folder):
    return compare.Ours(start_guard(compare.policy(folder), name="middleware-peers"))


@pytest.fixture(scope="module")
def comparison(ours):
    answers = {peer: {name: compare.unpack(packed) for name, packed in configurations.items()} for peer, configurations in RECORDED["peers"].items()}
    return compare.Comparison(ours, answers, RULES)


def test_answers_are_those_of_others_or_differ_by_a_rule(comparison):
    assert not comparison.left


def test_each_rule_holds_as_often_as_it_says(comparison):
    assert not comparison.stale()


def test_each_rule_has_a_reason():
    assert all(len(rule["why"]) > 40 for rule in RULES)


def test_a_browser_lets_scripts_do_what_a_configuration_says(ours):
    for configuration in matrix.CORS:
        for request in matrix.REQUESTS["cors"]:
            if request.origin:
                verdict = compare.browser(request, ours.ask(configuration, request))
                assert verdict == compare.expected(configuration, request), (configuration.name, request.name)


@pytest.mark.parametrize("number", range(len(matrix.UNSAFE)))
def test_what_is_unsafe_is_no_policy(folder, number):
    name, _, rules = matrix.UNSAFE[number]
    file = folder.write(f"unsafe{number}.json", compare.json.dumps({"listen": "unix:/tmp/s", "routes": [{"path": "/", "auth": "none", "respond": "nothing", "cors": rules}]}))
    done = harness.run([harness.BUILD / "fcgiguard", "check", "-c", file])
    assert done.returncode != 0 and "origins" in done.stderr, name
    for status, headers in RECORDED["unsafe"][number].values():
        assert status == 204 and headers["access-control-allow-credentials"] == "true", name


def test_what_is_recorded(comparison):
    assert all(rule["count"] > 0 for rule in RULES)
    assert {peer: len(configurations) for peer, configurations in RECORDED["peers"].items()} == {
        peer: sum(peer in configuration.peers for configuration in matrix.CONFIGURATIONS) for peer in RECORDED["peers"]}


def test_the_manual_has_these_numbers(comparison):
    manual = (harness.SOURCE / "man" / "fcgiguard.yaml.5").read_text(encoding="utf-8")
    verdicts = {peer: (comparison.verdicts[(peer, True)], comparison.verdicts[(peer, True)] + comparison.verdicts[(peer, False)]) for peer in ("cors", "starlette")}
    assert f"answer to {sum(comparison.asked.values())} requests" in manual
    assert "To a browser {} of {} answers of cors say the same, and {} of {} of Starlette's.".format(*verdicts["cors"], *verdicts["starlette"]) in manual
