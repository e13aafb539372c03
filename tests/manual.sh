#!/bin/sh
# Compares the manual with the program: every key of a policy has an item in
# fcgiguard.yaml.5, every command, long option and key of a test file in fcgiguard.8, and mandoc has
# nothing to say against either.
set -eu
: "${BUILD:=.}" "${SOURCE:=.}"
keys_page=$SOURCE/man/fcgiguard.yaml.5
program_page=$SOURCE/man/fcgiguard.8
failed=0

complain() {
    echo "manual.sh: $*" >&2
    failed=1
}

# The words of its input, one a line, without mdoc's escapes: "\-\-config" is "--config".
words() {
    sed -e 's/\\&//g' -e 's/\\-/-/g' | tr -s ' \t,;:()|"' '\n' | sed -e 's/\.$//'
}

for page in "$keys_page" "$program_page"; do
    [ -r "$page" ] || { echo "manual.sh: there is no $page" >&2; exit 1; }
done

# A key is documented where it heads an item: ".It Cm listen.mode".
keys_words=$({ grep '^\.It' "$keys_page" || true; } | words)
program_words=$(words <"$program_page")

# Whether $2 is one of the words $1.
has_word() {
    printf '%s\n' "$1" | grep -qxF -e "$2"
}

keys=$("$BUILD/fcgiguard" help --keys)
[ -n "$keys" ] || complain "fcgiguard help --keys prints nothing"
for key in $keys; do
    has_word "$keys_words" "$key" || complain "$key has no .It in fcgiguard.yaml.5"
done

# "  name     help" and, below it, the usage with its options.
summary=$("$BUILD/fcgiguard" help | sed -n '/^Commands:/,/^Keys of a policy/p')
commands=$(echo "$summary" | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
[ -n "$commands" ] || complain "fcgiguard help lists no commands"
for command in $commands; do
    has_word "$program_words" "$command" || complain "command $command is not in fcgiguard.8"
done
for option in $(echo "$summary" | grep -o -e '--[a-z][a-z-]*' | sort -u); do
    # mdoc writes --config as "Fl -config".
    has_word "$program_words" "$option" || has_word "$program_words" "${option#-}" ||
        complain "option $option is not in fcgiguard.8"
done

# Keys of the files that commands read: "  cases.expect.status  value ...".
program_items=$({ grep '^\.It' "$program_page" || true; } | words)
file_keys=$("$BUILD/fcgiguard" help test | sed -n 's/^  \([a-z_.]*\) .*/\1/p')
[ -n "$file_keys" ] || complain "fcgiguard help test lists no keys"
for key in $file_keys; do
    has_word "$program_items" "${key##*.}" || complain "$key has no .It in fcgiguard.8"
done

# Ql quotes the rest of its line: words behind it stand in its quotes, too.
if grep -nE '^\.(.* )?Pq (.* )?Ql [^ ]+ ([,;:.] [^ ]|(No|Ql|Cm) )' "$keys_page" "$program_page" >&2; then
    complain "more than Ql is to quote stands on its line"
fi

if command -v mandoc >/dev/null 2>&1; then
    for page in "$keys_page" "$program_page"; do
        mandoc -T lint -W warning "$page" || failed=1
    done
fi
exit $failed
