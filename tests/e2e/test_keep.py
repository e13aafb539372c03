"""Request smuggling over nginx's kept connections, where it was once real: an
early refusal leaves a body unread, and a careless parser runs it."""

import threading

import pytest

import records
import servers
from records import environment, raw


def forged():
    return records.request(environment(uri=raw("Status: 200\n\nforged-answer").replace("?", "/forged?"),
                                       replace={"REMOTE_USER": "ADMIN-FORGED"}), keep=True)


@pytest.fixture(scope="module", params=["buffered", "unbuffered"])
def front(request, folder, helper):
    policy = {"threads": 2, "defaults": {"auth": "none"}, "routes": [
        {"path": "/app/h/**", "methods": ["GET"], "exec": helper},
        {"path": "/app/small", "methods": ["POST"], "body": "100b", "exec": helper},
        {"path": "/app/types", "methods": ["POST"], "content_types": "application/json", "exec": helper}]}
    front = servers.start("nginx", folder, policy, name=f"keep-{request.param}", unbuffered=request.param == "unbuffered")
    yield front
    front.stop()
    front.guard.stop()


@pytest.mark.parametrize("target, method, status", [
    ("/app/none", "POST", 404), ("/app/h/hello", "POST", 405), ("/app/small", "POST", 413), ("/app/types", "POST", 415),
    ("/app/h/%5c", "POST", 400)])
def test_refused_body_is_never_run(front, target, method, status):
    one = forged()
    for copies in (1, 3, 50, 700):
        # Shifted, so that some copy starts where a careless parser would.
        for shift in (0, 1, 8):
            reply = front.fetch(target, method=method, body=b"\0" * shift + one * copies)
            assert reply.status == status, (reply.status, reply.body)
            assert b"forged-answer" not in reply.body
            for _ in range(3):
                reply = front.fetch("/app/h/hello")
                assert (reply.status, reply.body) == (200, b"hello\n")
    text = front.guard.text()
    assert "forged" not in text and "ADMIN" not in text


def test_others_are_not_answered_wrong(front):
    """Refused bodies and good requests at the same time, over the same few connections."""
    failures = []

    def refused():
        for _ in range(15):
            reply = front.fetch("/app/small", method="POST", body=forged() * 100)
            if reply.status != 413:
                failures.append(("refused", reply.status))

    def served():
        for number in range(30):
            reply = front.fetch(raw(f"Content-Type: a/b\n\nanswer-{number}"))
            if (reply.status, reply.body) != (200, b"answer-%d" % number):
                failures.append(("served", reply.status, reply.body))
    threads = [threading.Thread(target=run) for run in (refused, served) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]
    assert "forged" not in front.guard.text()
