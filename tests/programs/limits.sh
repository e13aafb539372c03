#!/bin/sh
# The limits it runs under, one a line.
printf 'Content-Type: text/plain\n\n'
for limit in t v n f c; do
    printf '%s %s\n' "$limit" "$(ulimit -"$limit" 2>/dev/null || echo '?')"
done
