"""A real Chromium without a window, told what to do over two pipes by the
DevTools protocol. It reaches 127.0.0.1 and nothing else, whatever a page asks
for, and trusts one certificate of the test's own."""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import time

import harness

SECONDS = 120  # for one answer of it: only so that nothing waits for ever
# Names that pages and APIs of the tests have; all others cannot be resolved.
DOMAINS = ("example.com", "example.org")


def certificate(folder):
    """A key and a certificate for all DOMAINS, as files; and the hash by which a browser trusts the key."""
    names = ",".join(f"DNS:*.{domain}" for domain in DOMAINS)
    key, chain, both = folder / "tls.key", folder / "tls.crt", folder / "tls.pem"
    made = harness.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=tests", "-addext", f"subjectAltName={names}", "-keyout", key,
                        "-out", chain])
    assert made.returncode == 0, made.stderr
    folder.write("tls.pem", key.read_bytes() + chain.read_bytes(), 0o600)
    public = harness.subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], capture_output=True,
                                    check=True).stdout
    return Certificate(key, chain, both, base64.b64encode(hashlib.sha256(public).digest()).decode())


class Certificate:
    def __init__(self, key, chain, both, spki):
        self.key, self.chain, self.both, self.spki = key, chain, both, spki


def pipe():
    """Its two ends, under numbers that a shell's redirections leave alone."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
        os.close(end)
    return ends


class Browser:
    def __init__(self, folder, trusted, *switches):
        program = shutil.which("chromium")
        assert program, "there is no chromium: tests/install.sh installs it"
        self.held, self.events, self.count = b"", [], 0
        self.place = profile = folder.path / "chromium"
        profile.mkdir(mode=0o700)
        orders, self.orders = pipe()
        self.answers, answers = pipe()
        rules = ", ".join(f"MAP *.{domain} 127.0.0.1" for domain in DOMAINS) + ", MAP * ~NOTFOUND"
        self.process = harness.Process(
            ["/bin/bash", "-c", f'exec "$0" "$@" 3<&{orders} 4>&{answers}', program, "--headless=new", "--no-sandbox",
             "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-breakpad", "--remote-debugging-pipe", f"--user-data-dir={profile}",
             f"--host-resolver-rules={rules}", f"--ignore-certificate-errors-spki-list={trusted.spki}", *switches,
             "about:blank"],
            folder / "chromium.log", environment=harness.clean_environment(HOME=str(profile), TMPDIR=str(profile)),
            pass_fds=(orders, answers), cwd=str(profile))
        os.close(orders)
        os.close(answers)
        try:
            self.call("Browser.getVersion")
        except BaseException:
            self.stop()
            raise

    # the protocol: JSON objects, each with a NUL behind it

    def receive(self, end):
        while b"\0" not in self.held:
            if not select.select([self.answers], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"chromium does not answer; it said\n{self.process.text()[-3000:]}")
            more = os.read(self.answers, 1 << 16)
            assert more, f"chromium is gone; it said\n{self.process.text()[-3000:]}"
            self.held += more
        message, _, self.held = self.held.partition(b"\0")
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message

    def call(self, method, session=None, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.orders, data):]
        end = time.monotonic() + SECONDS
        while True:
            answer = self.receive(end)
            if answer.get("id") == self.count:
                assert "result" in answer, f"{method}: {answer}"
                return answer["result"]

    def wait_event(self, session, method, since=0, **params):
        """The first event of a page from the one with number `since` on."""
        end, at = time.monotonic() + SECONDS, since
        while True:
            while at == len(self.events):
                self.receive(end)
            event = self.events[at]
            if (event.get("sessionId"), event["method"]) == (session, method) and params.items() <= event["params"].items():
                return event["params"]
            at += 1

    # pages

    def profile(self):
        """Cookies, caches and permissions of their own."""
        return self.call("Target.createBrowserContext")["browserContextId"]

    def page(self, url, profile=None):
        return Page(self, profile or self.profile(), url)

    def allow(self, profile, origin, *names):
        """Gives a permission that a person would be asked for, by the first of its names that is known."""
        for name in names:
            with contextlib.suppress(AssertionError):
                self.call("Browser.setPermission", browserContextId=profile, origin=origin, permission={"name": name},
                          setting="granted")
                return
        raise AssertionError(f"chromium knows none of {names}")

    def stop(self):
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        with contextlib.suppress(Exception):
            self.process.process.wait(20)
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session, and who is left in it
        self.process.process.wait()
        harness.wait_until(lambda: not harness.marked(str(self.place), "cmdline"), 20, "nothing of chromium is left")
        os.close(self.orders)
        os.close(self.answers)


class Page:
    def __init__(self, browser, profile, url):
        self.browser, self.profile = browser, profile
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        self.go(url)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url):
        """Opens an address, as if it was typed."""
        since = len(self.browser.events)
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, (url, result)
        self.browser.wait_event(self.session, "Page.lifecycleEvent", since, name="load", loaderId=result["loaderId"])

    def complaints(self):
        """What the browser would show to a developer of the page, but for statuses of what it asked for."""
        self.run("")  # what was said before comes before the answer
        texts = [event["params"]["entry"]["text"] for event in self.browser.events
                 if event.get("sessionId") == self.session and event["method"] == "Log.entryAdded"]
        return [text for text in texts if "the server responded with a status of" not in text]

    def submit(self, url, **fields):
        """Sends a form of the page's, as a script of it can, and waits for the answer."""
        since = len(self.browser.events)
        self.run("""
            const form = document.createElement("form");
            form.method = "POST";
            form.action = %s;
            for (const [name, value] of Object.entries(%s)) {
                const field = document.createElement("input");
                field.name = name;
                field.value = value;
                form.append(field);
            }
            document.body.append(form);
            setTimeout(() => form.submit(), 0);""" % (json.dumps(url), json.dumps(fields)))
        self.browser.wait_event(self.session, "Page.loadEventFired", since)

    def run(self, script):
        """What the body of an async function returns."""
        result = self.call("Runtime.evaluate", expression=f"(async () => {{{script}}})()", awaitPromise=True,
                           returnByValue=True)
        assert "exceptionDetails" not in result, (script, result)
        return result["result"].get("value")

    def fetch(self, url, **options):
        """A fetch() by script: what script sees of the reply, or {"failed": ...}."""
        return self.run("""
            try {
                const reply = await fetch(%s, %s);
                return {status: reply.status, type: reply.type, url: reply.url, redirected: reply.redirected,
                        headers: Object.fromEntries(reply.headers), body: await reply.text()};
            } catch (error) {
                return {failed: String(error)};
            }""" % (json.dumps(url), json.dumps(options)))
