"""Fixtures: a folder for each module, and fcgiguard with a policy of its own."""

import contextlib
import signal
import sys

import pytest

import harness


def pytest_configure(config):
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    harness.raise_file_limit()
    with contextlib.suppress(ImportError):
        from xdist.workermanage import NodeManager
        NodeManager.EXIT_TIMEOUT = 60  # seconds for the other processes to stop their servers
    if not (harness.BUILD / "fcgiguard").exists():
        pytest.exit(f"there is no {harness.BUILD}/fcgiguard: set BUILD to the folder of a finished `make check`", 2)


def pytest_report_header(config):
    return (f"fcgiguard of {harness.BUILD}, "
            + ("with sanitizers, " if harness.SANITIZED else "")
            + ("as root" if harness.IS_ROOT else "not as root: what needs root is skipped"))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes: its figures go to the one that reports
        session.config.workeroutput["notes"] = harness.NOTES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    harness.NOTES.extend(getattr(node, "workeroutput", {}).get("notes", []))


def pytest_terminal_summary(terminalreporter):
    if harness.NOTES:
        terminalreporter.section("figures")
        for note in harness.NOTES:
            terminalreporter.write_line(note)


needs_root = pytest.mark.skipif(not harness.IS_ROOT, reason="needs root")


@pytest.fixture(scope="module")
def folder(request):
    made = harness.Folder(request.module.__name__.replace("test_", ""))
    yield made
    if not request.session.testsfailed:
        made.remove()
    else:
        print(f"left for a look: {made}", file=sys.stderr)


@pytest.fixture(scope="module")
def helper(folder):
    """The path of the program with all the faults."""
    return str(harness.installed("tests/programs/helper", folder))


@pytest.fixture(scope="module")
def programs(folder):
    """A folder with the scripts of tests/programs, as an administrator would install them."""
    target = folder / "cgi"
    target.mkdir(exist_ok=True)
    for script in sorted((harness.SOURCE / "tests" / "programs").iterdir()):
        if script.suffix in (".sh", ".pl", ".php"):
            folder.write(f"cgi/{script.name}", script.read_bytes(), 0o755)
    harness.shutil.copy(harness.installed("tests/programs/helper", folder), target / "helper")
    return target


@pytest.fixture(scope="module")
def start_guard(folder):
    """Starts fcgiguard with a policy; all are ended, and must end well, after the module."""
    started = []

    def start(policy, **words):
        words.setdefault("name", f"g{len(started)}")
        guard = harness.Guard(folder, policy, **words)
        started.append(guard)
        return guard
    yield start
    failures = []
    for guard in started:
        try:
            guard.stop()
        except AssertionError as failure:
            failures.append(f"{guard.name}: {failure}")
        finally:
            guard.kill()
    assert not failures, "\n".join(failures)
