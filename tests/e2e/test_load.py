"""Thousands of connections that want nothing, or never end what they began:
requests beside them are served, and memory stays bounded."""

import contextlib
import statistics
import threading
import time

import harness
import records
from records import Connection, ask, environment
from scripted import Scripted

IDLE = int(5000 * harness.SCALE)
FEW = int(100 * max(harness.SCALE, 0.4))
LARGE = 2 << 20


def policy(helper):
    return {
        "threads": 16, "connections": 10000,
        # Long, so that nothing below ends by itself.
        "timeouts": {"read": "120s", "write": "120s", "idle": "300s", "drain": "1s"},
        "defaults": {"auth": "none"},
        "routes": [{"path": "/app/h/**", "methods": ["GET", "POST"], "exec": helper}]}


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def serve(address, count, threads=4):
    """Times of `count` requests in some threads, all of them answered right."""
    times, failures, lock = [], [], threading.Lock()

    def some(number):
        for _ in range(number):
            started = time.monotonic()
            try:
                reply = ask(address, timeout=60)
                assert (reply.status, reply.body) == (200, b"hello\n"), reply
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
            with lock:
                times.append(time.monotonic() - started)
    workers = [threading.Thread(target=some, args=(count // threads,)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures, failures[:3]
    return times


def kinds_of_half_a_record():
    """Beginnings that end in the middle of BEGIN_REQUEST, of PARAMS and of STDIN."""
    params = records.pairs(environment(method="POST", uri="/app/h/count", body=b"x" * 1000))
    in_params = records.begin() + records.record(records.PARAMS, params)
    in_stdin = in_params + records.record(records.PARAMS) + records.record(records.STDIN, b"x" * 1000)
    return [records.begin()[:11], in_params[:16 + 8 + len(params) // 2], in_stdin[:-500]]


def test_five_thousand_idle_connections(start_guard, helper, folder):
    limit = harness.raise_file_limit()
    idle = min(IDLE, limit - 1000)
    guard = start_guard(policy(helper), name="load")
    worker = guard.worker()
    serve(guard.address, 40)
    quiet = serve(guard.address, int(600 * harness.SCALE))
    memory_before = harness.memory(worker)

    with contextlib.ExitStack() as stack:
        def connect(data=b"", timeout=60):
            connection = stack.enter_context(Connection(guard.address, timeout))
            if data:
                connection.send(data)
            return connection

        started = time.monotonic()
        waiting = [connect() for _ in range(idle // 2)]
        for _ in range(idle - idle // 2):
            connection = connect(records.request(environment(uri="/app/none"), keep=True))
            assert connection.reply().status == 404
            waiting.append(connection)
        for _ in range(FEW):
            connect(b"\x01")
        halves = kinds_of_half_a_record()
        begun = [connect(halves[n % 3]) for n in range(FEW)]
        never_read = [connect(records.request(environment(uri=f"/app/h/big?{LARGE}"), keep=n % 2 == 0))
                      for n in range(FEW)]
        opened = time.monotonic() - started

        # While they all hang there:
        loaded = serve(guard.address, int(600 * harness.SCALE))
        # A body that stopped in its middle keeps its program, and no more than that.
        harness.wait_until(lambda: len(guard.programs()) <= FEW // 3 + 1, 60, "only the programs that wait for a body")
        settled = serve(guard.address, int(600 * harness.SCALE))
        memory_loaded = harness.memory(worker)
        # A kept one is still good, and one that waited gets what it waited for.
        assert waiting[-1].ask().body == b"hello\n"
        waiting[0].send(records.request(environment()))
        assert waiting[0].reply().body == b"hello\n"
        reply = never_read[-1].reply()
        assert (reply.status, len(reply.body)) == (200, LARGE)
        begun[2].send(b"x" * 500 + records.record(records.STDIN))
        assert begun[2].reply().body.startswith(b"1000 ")
        assert guard.worker() == worker

    harness.NOTES.append(f"{idle} idle, {FEW} of one byte, {FEW} of half a record, {FEW} that never read: opened in {opened:.1f} s")
    for name, times in (("quiet", quiet), ("loaded", loaded), ("settled", settled)):
        harness.NOTES.append(f"  {name:8} p50 {statistics.median(times) * 1000:6.1f} ms  p99 {percentile(times, .99) * 1000:6.1f} ms")
    harness.NOTES.append(f"  worker: {memory_before} kB before, {memory_loaded} kB loaded, high water "
          f"{harness.memory(worker, 'VmHWM')} kB")
    bound = 1200000 if harness.SANITIZED else 250000
    assert harness.memory(worker, "VmHWM") < bound
    guard.wait_no_programs(30)
    harness.wait_until(lambda: len(harness.descriptors(worker)) < 100, 30, "connections are closed")
    assert not guard.spool_files()
    assert harness.memory(guard.pid) < (400000 if harness.SANITIZED else 30000), "the parent stays small"


def test_overload_is_told(start_guard, helper):
    """More than threads and queue can take: 503 at once, and served afterwards."""
    guard = start_guard({
        "threads": 2, "queue": 3, "defaults": {"auth": "none"},
        "routes": [{"path": "/app/h/**", "exec": helper, "errors": "problem", "cors": {"origins": "https://app.example.com"}}]}, name="small")
    params = environment(uri="/app/h/slow?3000", headers={"Origin": "https://app.example.com"}, replace={"HTTPS": "on"})
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(Connection(guard.address)) for _ in range(15)]
        for number, connection in enumerate(busy):  # one by one: a few that come together are let in
            connection.send(records.request(params, keep=True))
            if number < 2:
                harness.wait_until(lambda number=number: len(guard.programs()) > number, 10, "a thread has taken it")
            time.sleep(0.03)
        replies = [connection.reply() for connection in busy]
    statuses = [reply.status for reply in replies]
    assert statuses.count(200) >= 5 and statuses.count(503) >= 5, statuses
    assert set(statuses) == {200, 503}
    refused = next(reply for reply in replies if reply.status == 503)
    assert b"overloaded" in refused.body and refused.get("X-Request-ID")
    assert (refused.get("Content-Type"), refused.get("Retry-After")) == ("application/problem+json", "1")
    assert refused.get("Access-Control-Allow-Origin") == "https://app.example.com" and refused.get("Strict-Transport-Security")
    assert guard.entries(code="overloaded")[0]["route"] == "/app/h/**"
    assert ask(guard.address).status == 200


def test_out_of_descriptors(start_guard, helper):
    """EMFILE: no thread and no listener is lost, and all is well afterwards."""
    limit = 80
    guard = start_guard({
        "threads": 4, "connections": 10000, "defaults": {"auth": "none"},
        "routes": [{"path": "/app/h/**", "exec": helper}]}, name="files",
        limits={harness.resource.RLIMIT_NOFILE: (limit, limit)})
    worker = guard.worker()
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            held = []
            for _ in range(limit * 2):
                connection = Connection(guard.address, 1)
                stack.callback(connection.close)
                held.append(connection)
            for connection in held[:20]:
                connection.try_send(records.request(environment(), keep=True))
            time.sleep(0.3)
        harness.wait_until(lambda: ask(guard.address).status == 200, 15, "served after EMFILE")
    assert guard.worker() == worker, guard.text()[-2000:]
    replies = [ask(guard.address).status for _ in range(20)]
    assert replies == [200] * 20
    guard.wait_no_programs()


def test_a_backend_is_not_blamed_for_what_we_lack(start_guard, folder):
    limit, place = 64, str(folder.writable("backend") / "app.sock")
    application = Scripted(place, {})
    guard = start_guard({
        "threads": 2, "connections": 1000, "defaults": {"auth": "none"},
        "routes": [{"path": "/app/**", "fastcgi": {"address": "unix:" + place, "health": {"failures": 1}}}]}, name="lack",
        limits={harness.resource.RLIMIT_NOFILE: (limit, limit)})
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Connection(guard.address))
        assert first.ask(uri="/none").status == 404  # and is kept
        others = [stack.enter_context(Connection(guard.address)) for _ in range(limit)]
        guard.wait_entry(event="accept_paused")
        assert [first.ask(uri="/app/good").status for _ in range(3)] == [502] * 3
        assert not guard.entries(event="backend_out")
        for one in others:
            one.close()
        harness.wait_until(lambda: first.ask(uri="/app/good").status == 200, 15, "the backend is asked again")
    assert not guard.entries(event="backend_out")
    application.stop()


def test_connections_limit(start_guard, helper):
    guard = start_guard({
        "connections": 20, "defaults": {"auth": "none"}, "routes": [{"path": "/app/h/**", "exec": helper}]}, name="few")
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            connection = Connection(guard.address, 2)
            stack.callback(connection.close)
        time.sleep(0.3)
        assert len(harness.descriptors(guard.worker())) < 20 + 40
    harness.wait_until(lambda: ask(guard.address).status == 200, 15, "served afterwards")
