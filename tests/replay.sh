#!/bin/sh
# Runs every fuzz target over its corpus: what once was a crash stays mended.
# A target without a corpus is a failure. BUILD and SOURCE come from make check.
set -eu

SOURCE=${SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
BUILD=${BUILD:-$SOURCE}
status=0
seen=0

for target in "$SOURCE"/tests/fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    name=${name#fuzz_}
    corpus=$SOURCE/tests/fuzz/corpus/$name
    program=$BUILD/tests/fuzz/fuzz_$name
    seen=$((seen + 1))
    if [ ! -d "$corpus" ] || [ -z "$(find "$corpus" -type f | head -n 1)" ]; then
        echo "FAIL: $name: no corpus in $corpus"
        status=1
    elif [ ! -x "$program" ]; then
        echo "FAIL: $name: $program is not built"
        status=1
    elif "$program" "$corpus" >"$BUILD/replay-$name.out" 2>&1; then
        echo "ok: $name: $(find "$corpus" -type f | wc -l) files"
    else
        tail -n 40 "$BUILD/replay-$name.out"
        echo "FAIL: $name"
        status=1
    fi
    rm -f "$BUILD/replay-$name.out"
done

[ "$seen" -gt 0 ] || { echo "FAIL: there is no fuzz target"; exit 1; }
exit $status
