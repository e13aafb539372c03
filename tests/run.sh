#!/bin/bash
# Builds fcgiguard and runs all of its tests, on a fresh Debian 12 or 13:
#   gcc         gcc, warnings are errors: unit tests, layers, manual, fuzz replay, end to end
#   sanitizers  the same with AddressSanitizer and UndefinedBehaviorSanitizer
#   clang       clang, warnings are errors: all but the end-to-end tests
# Everything happens in a temporary folder; nothing is written to the source.
# Arguments are handed to pytest. FCGIGUARD_STEPS="gcc clang" picks steps, and
# FCGIGUARD_KEEP=1 leaves the folder of a run that failed.
set -euo pipefail
set -m # so that a step is a process group, and can be interrupted as one

source=$(cd "$(dirname "$0")/.." && pwd)
jobs=$(nproc 2>/dev/null || echo 2)
steps=${FCGIGUARD_STEPS:-gcc sanitizers clang}
started=$SECONDS
work=
child=
results=
last=

say() {
    printf '\n==> %s\n' "$*"
}

fail() {
    printf '\nrun.sh: FAILED: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    status=$?
    trap - EXIT HUP INT TERM
    if [ -n "$child" ]; then # on SIGTERM, pytest stops the servers it started
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -z "$work" ]; then
        :
    elif [ "$status" -ne 0 ] && [ -n "${FCGIGUARD_KEEP:-}" ]; then
        echo "run.sh: left for a look: $work" >&2
    else
        rm -rf "$work"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command with its output in a file and, where $loud is set, on the
# terminal too.
run() {
    local output=$1 result=0
    shift
    if [ -n "${loud:-}" ]; then
        "$@" 2>&1 </dev/null | (trap '' INT TERM; tee "$output") &
    else
        "$@" >"$output" 2>&1 </dev/null &
    fi
    child=$(jobs -p %%)
    wait %% || result=$?
    child=
    return "$result"
}

# The files of the working tree without what a build left in it.
list_source() {
    if [ -e "$source/.git" ] && git ls-files >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' name; do
                [ ! -e "$name" ] || printf '%s\0' "$name"
            done
    else
        find . -type f ! -path './.git/*' ! -path './build/*' ! -name '*.[oa]' ! -name config.status \
            ! -name config.h ! -name Makefile -print0
    fi
}

copy_source() {
    mkdir "$work/source"
    (cd "$source" && list_source | tar -cf - --null --no-recursion -T -) | tar -xf - -C "$work/source" ||
        fail "copying the source"
    cd "$work/source"
    run "$work/autoreconf.out" autoreconf -i || { cat "$work/autoreconf.out" >&2; fail autoreconf; }
    cd "$work"
}

# build NAME CONFIGURE-ARGUMENTS...
build() {
    build=$work/$1
    shift
    mkdir "$build"
    cd "$build"
    run "$build/configure.out" ../source/configure "$@" || { cat "$build/configure.out" >&2; fail "configure $*"; }
    run "$build/make.out" make -s -j "$jobs" all || { cat "$build/make.out" >&2; fail "make, after configure $*"; }
    cd "$work"
}

unit_tests() {
    run "$build/check.out" make -C "$build" -s -j "$jobs" check || {
        cat "$build/check.out" >&2
        [ ! -f "$build/test-suite.log" ] || cat "$build/test-suite.log" >&2
        fail "make check"
    }
    grep -E '^(# )?(TOTAL|PASS|SKIP|FAIL|ERROR)' "$build/check.out" || cat "$build/check.out"
}

end_to_end() {
    last=$build/pytest.out
    loud=yes run "$last" env PYTHONDONTWRITEBYTECODE=1 BUILD="$build" SOURCE="$work/source" TMPDIR="$work" \
        /usr/bin/python3 -m pytest -p no:cacheprovider -n 3 --dist loadfile -ra --durations=8 --color=no \
        "$work/source/tests/e2e" "$@" ||
        fail "end-to-end tests"
}

# result STEP TEXT
result() {
    results="$results  $1: $2"$'\n'
}

"$source/tests/install.sh" build test
work=$(mktemp -d "${TMPDIR:-/tmp}/fcgiguard-test.XXXXXX")
chmod 755 "$work"
copy_source

for step in $steps; do
    case $step in
    gcc)
        say "gcc, warnings are errors"
        build gcc --enable-development CC=gcc
        unit_tests
        end_to_end "$@"
        result gcc "$(tail -n 1 "$last")"
        ;;
    sanitizers)
        say "gcc, AddressSanitizer and UndefinedBehaviorSanitizer"
        export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
        export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
        build sanitizers --enable-development --enable-sanitizers CC=gcc CFLAGS='-g -O1'
        unit_tests
        end_to_end "$@"
        result sanitizers "$(tail -n 1 "$last")"
        unset ASAN_OPTIONS UBSAN_OPTIONS
        ;;
    clang)
        say "clang, warnings are errors"
        build clang --enable-development CC=clang
        unit_tests
        result clang "built and checked"
        ;;
    *) fail "there is no step \"$step\": there are gcc, sanitizers and clang" ;;
    esac
done

printf '\nrun.sh: all passed in %d s\n%s' "$((SECONDS - started))" "$results"
# The plain line that pytest ends with, once more as the last one.
[ -z "$last" ] || tail -n 1 "$last"
