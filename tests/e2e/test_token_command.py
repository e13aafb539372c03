"""fcgiguard token, and tokens that another implementation has signed and judged."""

import base64
import json
import subprocess
import time

import pytest

import harness
from records import ask
from test_callers import token

jwt = pytest.importorskip("jwt", reason="python3-jwt is not installed")
pytest.importorskip("cryptography", reason="python3-cryptography is not installed")

from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

SECRET = "0123456789abcdef" * 4
MAKERS = {
    "RS": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "PS": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
ALGORITHMS = [kind + size for kind in ("HS", "RS", "PS", "ES") for size in ("256", "384", "512")] + ["EdDSA"]


def private_key(algorithm):
    return MAKERS[algorithm if algorithm in MAKERS else algorithm[:2]]()


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Issuer:
    """One algorithm's key, its policy, and the command with it."""

    def __init__(self, folder, algorithm, jwks=False):
        self.algorithm, self.name = algorithm, f"{algorithm}-{'jwks' if jwks else 'pem'}"
        self.program = harness.installed("fcgiguard", folder)
        folder.write(self.name + ".secret", SECRET, 0o600)
        self.secret = folder / (self.name + ".secret")
        if algorithm.startswith("HS"):
            self.sign_with, self.verify_with, keys = SECRET, SECRET, {"secret": f"file:{self.secret}"}
        else:
            key = private_key(algorithm)
            self.sign_with, self.verify_with = pem(key), public_pem(key)
            folder.write(self.name + ".private", pem(key), 0o600)
            folder.write(self.name + ".pem", public_pem(key))
            keys = {"public_key": str(folder / (self.name + ".pem"))}
            if jwks:
                one = {**self.to_jwk(key.public_key()), "kid": "the key"}
                folder.write(self.name + ".json", json.dumps({"keys": [{"kty": "x"}, one]}))
                keys = {"jwks": str(folder / (self.name + ".json"))}
        self.key = folder / (self.name + ".private")
        self.policy = folder / (self.name + ".yaml")
        folder.write(self.name + ".yaml", json.dumps({
            "store": f"sqlite:{folder.writable('store')}/{self.name}.db",
            "auth": {"user": {"jwt": {"algorithms": [algorithm], "issuer": "tests", **keys}}},
            "routes": [{"path": "/a", "auth": "user", "exec": "/usr/bin/true"}]}))

    def to_jwk(self, key):
        kind = {"EdDSA": jwt.algorithms.OKPAlgorithm, "ES": jwt.algorithms.ECAlgorithm,
                "RS": jwt.algorithms.RSAAlgorithm, "PS": jwt.algorithms.RSAAlgorithm}
        made = kind[self.algorithm if self.algorithm == "EdDSA" else self.algorithm[:2]].to_jwk(key)
        return json.loads(made) if isinstance(made, str) else made

    def run(self, *arguments, given=None):
        return subprocess.run([self.program, "token", *map(str, arguments)], input=given, capture_output=True, text=True,
                              env=harness.clean_environment(), check=False)

    def verify(self, text):
        return self.run("verify", "-c", self.policy, "-", given=text)


def claims(**more):
    return {"iss": "tests", "sub": "bob", "exp": int(time.time()) + 600, **more}


@pytest.mark.parametrize("jwks", [False, True], ids=["pem", "jwks"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signed_by_another(folder, algorithm, jwks):
    issuer = Issuer(folder, algorithm, jwks)
    for number in range(5):
        good = jwt.encode(claims(jti=str(number)), issuer.sign_with, algorithm=algorithm, headers={"kid": "the key"})
        result = issuer.verify(good)
        assert result.returncode == 0 and "user        accepts" in result.stdout, result.stdout + result.stderr
        signature = good.rpartition(".")[2]
        flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
        result = issuer.verify(good[:-len(signature)] + flipped)
        assert result.returncode == 1 and "bad_signature" in result.stdout, result.stdout
    for wrong, word in (({"exp": 1}, "expired"), ({"iss": "others"}, "iss_not_allowed"), ({"nbf": 4000000000}, "not_yet_valid"),
                        ({"aud": "others"}, "aud_not_allowed")):
        result = issuer.verify(jwt.encode(claims(**wrong), issuer.sign_with, algorithm=algorithm))
        assert result.returncode == 1 and f"refuses the token, {word}" in result.stdout, (word, result.stdout)
    if not algorithm.startswith("HS"):
        result = issuer.verify(jwt.encode(claims(), pem(private_key(algorithm)), algorithm=algorithm))
        assert result.returncode == 1 and "bad_signature" in result.stdout, result.stdout


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_judged_by_another(folder, algorithm):
    issuer = Issuer(folder, algorithm)
    key = ["--secret", f"file:{issuer.secret}"] if algorithm.startswith("HS") else ["--key", issuer.key]
    begun = int(time.time())
    result = issuer.run("sign", "--algorithm", algorithm, *key, "--claims", '{"sub":"bob","iss":"tests"}', "--kid", "k")
    assert result.returncode == 0, result.stderr
    judged = jwt.decode(result.stdout.strip(), issuer.verify_with, algorithms=[algorithm])
    assert judged["sub"] == "bob" and begun + 600 <= judged["exp"] <= time.time() + 600
    assert jwt.get_unverified_header(result.stdout.strip()) == {"alg": algorithm, "typ": "JWT", "kid": "k"}
    assert issuer.verify(result.stdout).returncode == 0


def test_other_algorithms_of_the_same_key(folder):
    """A public key is no secret, and a key for one algorithm serves no other."""
    issuer = Issuer(folder, "RS256")
    public = (folder / (issuer.name + ".pem")).read_text()
    for algorithm in ("RS384", "RS512", "PS256"):
        result = issuer.verify(jwt.encode(claims(), issuer.sign_with, algorithm=algorithm))
        assert result.returncode == 1 and "alg_not_allowed" in result.stdout, result.stdout
    result = issuer.verify(token(secret=public, **claims()))
    assert result.returncode == 1 and "alg_not_allowed" in result.stdout, result.stdout
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode() + "." + \
        base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode() + "."
    assert "alg_unknown" in issuer.verify(unsigned).stdout


def test_revoke(start_guard, folder, helper):
    """By jti, and by subject; a server that runs refuses from the next request on."""
    folder.write("revoke.key", SECRET, 0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(folder / "revoke.key", harness.WEB_USER)
    guard = start_guard({
        "store": f"sqlite:{folder.writable('revoked')}/guard.db",
        "auth": {"user": {"jwt": {"algorithms": ["HS256"], "secret": "file:revoke.key", "issuer": "tests"}}},
        "routes": [{"path": "/app/h/**", "auth": "user", "exec": helper}]})

    def status(text):
        return ask(guard.address, uri="/app/h/hello", headers={"Authorization": "Bearer " + text}).status

    def command(*arguments, given=None, code=0):
        done = subprocess.run([guard.program, "token", *arguments, "-c", str(guard.policy_path)], input=given, text=True,
                              capture_output=True, env=guard.environment, check=False,
                              **({"user": guard.user, "group": guard.user, "extra_groups": []} if guard.user else {}))
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done
    one, two, other = (token(secret=SECRET, jti=jti, sub=sub, iat=int(time.time()))
                       for jti, sub in (("1", "bob"), ("2", "bob"), ("3", "eve")))
    bare = token(secret=SECRET, sub="bob")
    assert [status(text) for text in (one, two, other, bare)] == [200] * 4
    command("revoke", "-", given=one)
    assert [status(text) for text in (one, two, other, bare)] == [401, 200, 200, 200]
    assert "revoked     yes" in command("verify", "-", given=one, code=1).stdout
    command("revoke", "--jti", "2")
    assert [status(text) for text in (one, two, other, bare)] == [401, 401, 200, 200]
    assert "no jti" in command("revoke", "-", given=bare, code=1).stderr
    command("revoke", "--subject", "bob")
    assert [status(text) for text in (one, two, other, bare)] == [401, 401, 200, 401]
    later = token(secret=SECRET, sub="bob", iat=int(time.time()) + 2)
    harness.wait_until(lambda: status(later) == 200, 10, "a token that was issued later is good")
    assert status(bare) == 401


@pytest.mark.parametrize("arguments, code, words", [
    (["verify"], 2, "a token is needed"), (["revoke"], 2, "one of a token"), (["sign"], 2, "--algorithm"),
    (["frobnicate"], 2, "none of verify"), ([], 2, "not said what to do"), (["verify", "a", "b"], 2, "one argument"),
    (["verify", "--jti", "x", "a"], 2, "does not take --jti"), (["revoke", "--jti", "x", "--subject", "y"], 2, "one of a token"),
    (["revoke", "--jti", "x", "--before", "2027-01-01"], 2, "--before goes"), (["sign", "--algorithm", "none", "--secret", "env:X"], 1, "not an algorithm"),
    (["sign", "--algorithm", "HS256", "--secret", "open sesame"], 1, "not the name of a secret"),
    (["sign", "--algorithm", "HS256", "--secret", "env:SHORT"], 1, "shorter"),
    (["sign", "--algorithm", "RS256", "--key", "/etc/passwd"], 1, "no private key"),
    (["sign", "--algorithm", "RS256", "--key", "/no/such"], 1, "cannot read"),
    (["revoke", "--subject", "x", "--before", "2999-01-01", "-c", "POLICY"], 2, "a time that is over"),
    (["revoke", "--subject", "x", "--before", "now", "-c", "POLICY"], 2, "a time that is over"),
    (["sign", "--algorithm", "HS256", "--secret", "env:LONG", "--kid", ""], 2, "--kid"),
    (["sign", "--algorithm", "HS256", "--secret", "env:LONG", "--kid", b"\xff"], 2, "--kid"),
    (["sign", "--algorithm", "HS256", "--secret", "env:LONG", "--claims", "[]"], 1, "JSON object"),
    (["sign", "--algorithm", "HS256", "--secret", "env:LONG", "--expires", "soon"], 1, "not a duration"),
], ids=str)
def test_misuse(folder, arguments, code, words):
    environment = harness.clean_environment(SHORT="x", LONG=SECRET)
    arguments = [Issuer(folder, "HS256").policy if word == "POLICY" else word for word in arguments]
    result = subprocess.run([harness.installed("fcgiguard", folder), "token", *arguments], env=environment, capture_output=True, text=True,
                            check=False)
    assert result.returncode == code and words in result.stderr, (result.returncode, result.stderr)
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [["TOKEN"], ["verify", "TOKEN", "TOKEN"], ["verify", "TOKEN", "--jti=x"], ["sign", "TOKEN"],
                                       ["revoke", "TOKEN", "--secret=x"], ["revoke", "--jti", "x", "TOKEN"]], ids=str)
def test_misuse_repeats_no_token(folder, arguments):
    program, secret = harness.installed("fcgiguard", folder), token(secret=SECRET)
    result = harness.run([program, "token", *(secret if word == "TOKEN" else word for word in arguments)], env=harness.clean_environment())
    assert result.returncode == 2 and secret not in result.stdout + result.stderr, result.stderr


def test_what_a_token_says_reaches_no_terminal(folder):
    issuer = Issuer(folder, "HS256")
    given = jwt.encode(claims(sub="\x1b[2J\x9b2J\u202e", nbf=0), SECRET, algorithm="HS256")
    result = issuer.verify(f"  {given} \r\n")
    assert result.returncode == 0 and result.stdout.isprintable() is False, result.stderr
    assert result.stdout.replace("\n", "").isascii() and "\x1b" not in result.stdout and "\\u009b" in result.stdout.lower()
    assert "not before  1970-01-01T00:00:00Z" in result.stdout and "no, there is no store" in result.stdout


def test_stores_that_cannot_be_asked(folder):
    """A token counts as good only where the store has been asked, or nobody can have revoked it."""
    issuer = Issuer(folder, "HS256")
    good = jwt.encode(claims(jti="1"), SECRET, algorithm="HS256")
    store = folder / "store" / (issuer.name + ".db")
    for arguments in (["-"], ["--jti", "1"], ["--subject", "bob"]):
        result = issuer.run("revoke", "-c", issuer.policy, *arguments, given=good)
        assert result.returncode == 1 and "cannot find the store" in result.stderr, result.stderr
    assert not store.exists(), "a store of the wrong user's"
    store.write_bytes(b"no database at all, though long enough to be taken for one " * 20)
    store.chmod(0o600)
    result = issuer.verify(good)
    assert result.returncode == 1 and "revoked" not in result.stdout and result.stderr, result.stdout
    store.unlink()
    policy = json.loads(issuer.policy.read_text())
    issuer.policy.write_text(json.dumps({**policy, "store": f"sqlite:{folder.write('closed/guard.db', '', 0o600)}"}))
    (folder / "closed").chmod(0)
    words = [issuer.program, "token", "verify", "-c", issuer.policy, "-"]
    issuer.secret.chmod(0o600)
    if harness.IS_ROOT:
        harness.shutil.chown(issuer.secret, harness.WEB_USER)
    result = subprocess.run(words, input=good, capture_output=True, text=True, check=False, env=harness.clean_environment(),
                            **({"user": harness.WEB_USER, "group": harness.WEB_USER, "extra_groups": []} if harness.IS_ROOT else {}))
    (folder / "closed").chmod(0o755)
    assert result.returncode == 1 and "accepts" in result.stdout and result.stderr, (result.stdout, result.stderr)
