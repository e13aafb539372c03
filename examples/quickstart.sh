#!/bin/sh
# Shows fcgiguard at work on Debian 12 or 13: builds it, puts it between
# lighttpd and two small CGI programs (examples/cgi) with the policy
# examples/minimal.yaml, sends some requests and says what became of them.
#
#   quickstart.sh           cleans up at the end
#   quickstart.sh --keep    leaves the server running and says how to stop it
set -eu

keep=
case ${1:-} in
'') ;;
--keep) keep=yes ;;
*) echo "usage: quickstart.sh [--keep]" >&2; exit 2 ;;
esac

source=$(cd "$(dirname "$0")/.." && pwd)
work=
guard=
server=

fail() {
    printf '\nquickstart.sh: %s\n' "$*" >&2
    for log in "$work/build.log" "$work/guard.log" "$work/lighttpd.log"; do
        [ ! -s "$log" ] || { printf '\n%s ends in:\n' "$log" >&2; tail -n 15 "$log" >&2; }
    done
    exit 1
}

cleanup() {
    status=$?
    trap - EXIT
    if [ "$status" -ne 0 ] || [ -z "$keep" ]; then
        [ -z "$server" ] || kill "$server" 2>/dev/null || :
        [ -z "$guard" ] || kill "$guard" 2>/dev/null || :
        wait
        [ -z "$work" ] || rm -rf "$work"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

"$source/tests/install.sh" build demo
work=$(mktemp -d "${TMPDIR:-/tmp}/fcgiguard-quickstart.XXXXXX")
chmod 755 "$work"

# ---- build, without writing to the source

program=${FCGIGUARD:-}
if [ -z "$program" ]; then
    echo "Building fcgiguard ..."
    mkdir "$work/source" "$work/build"
    (cd "$source" && tar -cf - configure.ac Makefile.am src man tests examples) | tar -xf - -C "$work/source"
    {
        (cd "$work/source" && rm -f config.h && autoreconf -i) &&
            (cd "$work/build" && ../source/configure) && make -C "$work/build" -s -j "$(nproc)" fcgiguard
    } >"$work/build.log" 2>&1 || fail "fcgiguard could not be built"
    program=$work/build/fcgiguard
fi

# ---- fcgiguard and lighttpd, as an ordinary user

mkdir "$work/run" "$work/www" "$work/cgi" "$work/bin"
cp "$source"/examples/cgi/*.sh "$work/cgi/"
cp "$program" "$work/bin/fcgiguard"
chmod 755 "$work"/cgi/*.sh "$work/bin/fcgiguard"
as_user=
group=$(id -gn)
if [ "$(id -u)" = 0 ]; then
    as_user='setpriv --reuid=www-data --regid=www-data --clear-groups'
    group=www-data
    chown www-data:www-data "$work/run"
fi

# What the examples say of a whole system, for this folder.
here() {
    sed -e "s|/run/fcgiguard/|$work/run/|" -e "s|/srv/cgi/|$work/cgi/|" -e "s|group: www-data|group: $group|" "$1"
}
here "$source/examples/minimal.yaml" >"$work/policy.yaml"

free_port() {
    port=$1
    while [ "$port" -lt 65000 ]; do
        hex=$(printf '%04X' "$port")
        grep -qs "^ *[0-9]*: [0-9A-F]*:$hex " /proc/net/tcp /proc/net/tcp6 || { echo "$port"; return; }
        port=$((port + 1))
    done
}
port=$(free_port $((20000 + $$ % 12000))) # below those that connections are given
url=http://127.0.0.1:$port

cat >"$work/lighttpd.conf" <<END
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$work/www"
server.errorlog = "$work/run/lighttpd.log"
END
here "$source/examples/lighttpd/socket.conf" >>"$work/lighttpd.conf"

"$work/bin/fcgiguard" check -q -c "$work/policy.yaml" || fail "the policy is refused"
# shellcheck disable=SC2086 # a list of words
$as_user "$work/bin/fcgiguard" serve -c "$work/policy.yaml" >"$work/guard.log" 2>&1 &
guard=$!
# shellcheck disable=SC2086
$as_user lighttpd -D -f "$work/lighttpd.conf" >"$work/lighttpd.log" 2>&1 &
server=$!

tries=0
until [ -S "$work/run/guard.sock" ] && curl -s -o /dev/null "$url/"; do
    kill -0 "$guard" 2>/dev/null || fail "fcgiguard did not start"
    kill -0 "$server" 2>/dev/null || fail "lighttpd did not start"
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "the servers did not answer within 10 s"
    sleep 0.1
done

# ---- requests

failures=0
count=0

# field NAME < JSON: the value of one member
field() {
    sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p" | tail -n 1
}

# show EXPECTED TITLE METHOD PATH CURL-ARGUMENTS...
show() {
    expected=$1 title=$2 method=$3 path=$4
    shift 4
    count=$((count + 1))
    curl -s -i -X "$method" --path-as-is -o "$work/reply" "$@" "$url$path" || fail "no answer to $method $path"
    tr -d '\r' <"$work/reply" | sed -n '1,/^$/p' >"$work/head"
    tr -d '\r' <"$work/reply" | sed '1,/^$/d' >"$work/body"
    status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$work/head")
    id=$(sed -n 's/^X-Request-ID: //Ip' "$work/head")
    line=$(grep -F "\"requestId\":\"$id\"" "$work/guard.log" | grep -F '"event":"request"' || :)
    printf '\n%d. %s\n   %s %s%s\n' "$count" "$title" "$method" "$path" "$(describe "$@")"
    case $status in
    2*) printf '   -> %s, admitted: %s\n' "$status" "$(head -n 1 "$work/body")" ;;
    *) printf '   -> %s, refused by "%s" (%s): %s\n' "$status" "$(echo "$line" | field guard)" \
        "$(field error <"$work/body")" "$(field message <"$work/body")" ;;
    esac
    if [ "$status" != "$expected" ]; then
        printf '   !! expected %s\n' "$expected"
        failures=$((failures + 1))
    fi
}

# The part of curl's arguments that a reader wants to see.
describe() {
    while [ $# -gt 1 ]; do
        case $1 in
        -H) printf ', %s' "$2" ;;
        --data-binary) printf ', a body of %d bytes' "$(printf '%s' "$2" | wc -c)" ;;
        esac
        shift 2
    done
}

note='{"text": "remember the milk"}'
big=$(head -c 20000 /dev/zero | tr '\0' x)
json='Content-Type: application/json'

printf '\nlighttpd on %s, fcgiguard behind it, with this policy (examples/minimal.yaml):\n\n' "$url"
sed 's/^/    /' "$source/examples/minimal.yaml"

show 200 "A route that the policy names" GET /app/hello
cp "$work/head" "$work/first"
show 201 "A note, as the policy wants it" POST /app/notes -H "$json" --data-binary "$note"
show 404 "A path that no route names" GET /app/phpmyadmin/index.php
show 405 "A method that the route does not name" DELETE /app/hello
show 400 "A host that the policy does not name" GET /app/hello -H 'Host: evil.example'
show 400 "A path that servers and programs read differently" GET /app/hello%5C..%5Cnotes
show 415 "A form where JSON is wanted" POST /app/notes -H 'Content-Type: text/xml' --data-binary "$note"
show 413 "A body that is too large" POST /app/notes -H "$json" --data-binary "$big"

printf '\nThe first answer left with these headers (the program itself sent Content-Type and X-Powered-By):\n\n'
sed -n '2,$p' "$work/first" | sed -e '/^$/d' -e 's/^/    /'
printf '\nAnd one line of the log:\n\n    %s\n' "$(grep -F '"event":"request"' "$work/guard.log" | tail -n 1)"

[ "$failures" -eq 0 ] || fail "$failures of $count answers were not as expected"
if [ -n "$keep" ]; then
    printf '\nStill running: %s/app/hello\nPolicy: %s (kill -HUP %s loads it again)\nLog: %s\n' \
        "$url" "$work/policy.yaml" "$guard" "$work/guard.log"
    printf 'To stop it: kill %s %s; rm -r %s\n' "$guard" "$server" "$work"
else
    printf '\nAll %d answers were as expected. With --keep the server stays.\n' "$count"
fi
