"""A disk that hangs, and a file that may not grow, under the counters of limits."""

import concurrent.futures
import os
import resource
import subprocess
import time

import pytest

import harness
from records import ask

# Writes of a page or more wait while the first byte of the file that HANG names is not 0.
HANGING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static volatile char *flag;
__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv("HANG"), O_RDONLY | O_CLOEXEC);
    flag = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}
ssize_t pwrite64(int file, const void *at, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    while (size >= 512 && flag != MAP_FAILED && *flag)
        usleep(1000);
    return real(file, at, size, offset);
}
"""


def policy(folder, helper, place):
    return {
        "store": {"url": f"sqlite:{place}/guard.db", "timeout": "500ms"}, "threads": 8, "sandbox": False,
        "defaults": {"auth": "none", "exec": helper},
        "routes": [{"path": "/limited/**", "limits": [{"rate": "1000000/1h", "by": "header:X-Test"}]}, {"path": "/free/**"}],
    }


@pytest.fixture
def disk(folder):
    flag = folder.write("hang/flag", "\0", 0o644)
    source = folder.write("hang/hang.c", HANGING)
    library = folder / "hang/hang.so"
    subprocess.run([os.environ.get("CC", "cc").split()[0], "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    found = {"LD_PRELOAD": str(library), "HANG": str(flag)}
    if harness.SANITIZED:  # it insists on being the first library
        found["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    def hang(hangs):
        with open(flag, "r+b") as file:
            file.write(b"\1" if hangs else b"\0")
    yield found, hang
    hang(False)


def test_a_disk_that_hangs_holds_up_one_request(folder, helper, disk):
    environment, hang = disk
    guard = harness.Guard(folder, policy(folder, helper, folder.writable("hang-store")), name="hang", environment=environment)

    def status(path):
        try:
            return ask(guard.address, uri=path, headers={"X-Test": "x"}, timeout=120).status
        except OSError:
            return 0
    try:
        assert [status("/limited/hello") for _ in range(3)] == [200] * 3
        hang(True)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            asked = [(path, pool.submit(status, path)) for path in ["/limited/hello", "/free/hello"] * 6]

            def held_up():
                return [one for _, one in asked if not one.done()]
            harness.wait_until(lambda: len(held_up()) <= 1, 15, "one is held up, and no more")
            first = held_up()
            for path, other in asked:
                assert other in first or other.result() == (503 if path == "/limited/hello" else 200), path
            hang(False)
            assert [one.result(timeout=60) in (200, 503) for one in first] == [True]
        harness.wait_until(lambda: status("/limited/hello") == 200, 10, "all is well again")
    finally:
        hang(False)
        guard.stop()


def test_a_file_that_may_not_grow_ends_no_worker(folder, helper):
    guard = harness.Guard(folder, policy(folder, helper, folder.writable("size-store")), name="size",
                          limits={resource.RLIMIT_FSIZE: (200 * 1024, 200 * 1024)})
    try:
        found = [ask(guard.address, uri="/limited/hello", headers={"X-Test": str(i)}).status for i in range(400)]
        assert found[0] == 200 and set(found) == {200, 503}
        assert ask(guard.address, uri="/free/hello").status == 200
        assert not [entry for entry in guard.entries() if "was ended by" in str(entry)]
    finally:
        guard.stop()
