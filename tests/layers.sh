#!/bin/sh
# The order of the source's folders: a file includes only headers of its own
# folder and of those before it in the list, by the name "folder/file.h". The
# script first plants violations in a copy and must find every one of them.
set -eu

SOURCE=${SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
layers='base data http identity store process guard handler respond watch policy front cli'

# Prints the violations of a tree.
violations() {
    (cd "$1" && find . -type f \( -name '*.c' -o -name '*.h' \) | LC_ALL=C sort |
        xargs -r awk -v layers="$layers" '
            BEGIN { count = split(layers, names, " "); for (i = 1; i <= count; i++) rank[names[i]] = i }
            FNR == 1 {
                file = FILENAME; sub(/^\.\//, "", file)
                folder = file; sub(/\/.*/, "", folder)
                if (!(folder in rank) || file !~ /\//) print file ": is in no folder of the list"
            }
            /^[ \t]*#[ \t]*include/ {
                where = file ":" FNR ": "
                line = $0; sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line); sub(/[ \t]*(\/[*\/].*)?$/, "", line)
                if (line ~ /^<.*>$/) {
                    name = substr(line, 2, length(line) - 2); first = name; sub(/\/.*/, "", first)
                    if (first in rank) print where "<" name "> is ours and wants quotes"
                    next
                }
                if (line !~ /^".*"$/) { print where "cannot be judged: " $0; next }
                name = substr(line, 2, length(line) - 2)
                if (name == "config.h") next
                first = name; sub(/\/.*/, "", first)
                if (name ~ /(^|\/)\.\.?\//) print where "\"" name "\" is a relative path"
                else if (name !~ /\//) print where "\"" name "\" does not name its folder"
                else if (!(first in rank)) print where "\"" name "\": " first " is no folder of the list"
                else if (rank[first] > rank[folder]) print where folder " must not know " first " (\"" name "\")"
            }')
}

# Every planted line must be found, and nothing else.
test_self() {
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    mkdir "$copy/base" "$copy/http" "$copy/front"
    printf '#include "config.h"\n#include <stdio.h>\n#include "base/text.h"\n' >"$copy/base/text.h"
    printf '#include "base/text.h"\n#include "http/path.h"\n' >"$copy/http/path.h"
    printf '#include "http/path.h"\n' >"$copy/front/serve.c"
    [ -z "$(violations "$copy")" ] || { echo "layers.sh: finds fault with a good tree"; violations "$copy"; exit 1; }
    planted=0
    for line in '#include "front/serve.h"' ' #  include "http/../base/text.h"' '#include "./text.h"' \
        '#include "path.h"' '#include "nowhere/x.h"' '#include <http/path.h>' '#include HEADER' \
        '#include "front/serve.h" // why'; do
        printf '%s\n' "$line" >"$copy/http/planted.c"
        [ "$(violations "$copy" | wc -l)" = 1 ] || { echo "layers.sh: does not find: $line"; exit 1; }
        planted=$((planted + 1))
    done
    rm "$copy/http/planted.c"
    mkdir "$copy/other" && : >"$copy/other/file.c" && echo '/* */' >"$copy/other/file.c"
    [ "$(violations "$copy" | wc -l)" = 1 ] || { echo "layers.sh: does not find a folder outside the list"; exit 1; }
    echo "ok: finds all of $((planted + 1)) planted violations"
}

test_self
found=$(violations "$SOURCE/src")
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo "FAIL: $(printf '%s\n' "$found" | wc -l) includes against the order of the folders"
    exit 1
fi
echo "ok: $(find "$SOURCE/src" -name '*.[ch]' | wc -l) files keep the order of the folders"
