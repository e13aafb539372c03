"""Items of SECURITY-CHECKLIST.md that no other test shows by itself."""

import json

import pytest

import harness
from records import ask
from test_callers import SECRET, bearer


def test_authentication_has_to_be_said(folder):
    """A line that was forgotten opens nothing: there is no policy then."""
    program = harness.installed("fcgiguard", folder)
    routes = {"/open": {"auth": "none"}, "/forgotten": {}}
    file = folder.write("forgotten.json", json.dumps(
        {"routes": [{"path": path, "respond": "nothing", **more} for path, more in routes.items()]}))
    result = harness.run([program, "check", "-c", file], env=harness.clean_environment())
    assert result.returncode == 1 and "routes[1]: the key `auth` is missing" in result.stderr and "routes[0]" not in result.stderr


def test_security_events_are_logged(start_guard, folder, helper):
    """Where what was served is left out, too: who, from where, what was refused, and by whom; and no secret."""
    key = folder.write("key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(key, harness.WEB_USER)
    guard = start_guard({
        "log": {"target": "stderr", "level": "notice"},
        "store": f"sqlite:{folder.writable('store')}/guard.db",
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": f"file:{key}", "issuer": "tests"}}},
        "defaults": {"auth": "user", "exec": helper},
        "routes": [{"path": "/app/h/**"}, {"path": "/app/admin/**", "roles": "admin"}, {"path": "/app/once/**", "limits": [{"rate": "1/1h", "by": "caller"}]},
                   {"path": "/app/office/**", "addresses": "192.0.2.0/24"}]}, name="events")
    person = dict([bearer()])
    for uri, headers, level, code, who in (
            ("/app/h/hello", {}, "auth", "unauthorized", None), ("/app/h/hello", {"Authorization": "Bearer secret.to.ken"}, "auth", "invalid_token", None),
            ("/app/h/hello", dict([bearer(exp=1)]), "auth", "token_expired", None), ("/app/admin/hello", person, "roles", "forbidden", "bob"),
            ("/app/office/hello", person, "addresses", "address_not_allowed", None), ("/app/h/.env", person, "dotfiles", "dotfile", None),
            ("/nowhere", {}, "route", "route_not_found", None)):
        reply = ask(guard.address, uri=uri, headers=headers, replace={"REMOTE_ADDR": "203.0.113.9"})
        line = guard.wait_entry(event="request", requestId=reply.get("X-Request-ID"))
        found = (line["guard"], line["code"], line.get("caller"), line["address"], line["status"])
        assert found == (level, code, who, "203.0.113.9", reply.status), uri
    served = ask(guard.address, uri="/app/once/hello", headers=person)
    refused = ask(guard.address, uri="/app/once/hello", headers=person)
    assert (served.status, refused.status) == (200, 429)
    line = guard.wait_entry(event="request", requestId=refused.get("X-Request-ID"))
    assert (line["level"], line["code"], line["caller"]) == ("notice", "rate_limit_exceeded", "bob")
    assert not guard.entries(requestId=served.get("X-Request-ID"))
    assert person["Authorization"].split()[1] not in guard.text() and "secret.to.ken" not in guard.text()


@pytest.mark.parametrize("status", [None, 204, 200])
def test_preflight_status(start_guard, helper, status):
    rules = {"origins": "https://app.example.com", **({"preflight_status": status} if status else {})}
    guard = start_guard({"defaults": {"auth": "none", "cors": rules}, "routes": [{"path": "/app/h/**", "exec": helper}]}, name=f"preflight-{status}")
    reply = ask(guard.address, "OPTIONS", headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"})
    assert (reply.status, reply.body, reply.get("Access-Control-Allow-Origin")) == (status or 204, b"", "https://app.example.com")
