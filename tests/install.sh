#!/bin/sh
# Installs the Debian packages that building and testing need; does nothing when
# they are all there. Without arguments everything, else the named sets:
#   build    compiler, autotools, libraries
#   demo     what examples/quickstart.sh needs beside that
#   test     web servers, their modules, and the programs that the tests run
# Web servers that come with their packages are not started.
set -eu

build='gcc make autoconf automake pkg-config libc6-dev linux-libc-dev
    libyaml-dev libjansson-dev libssl-dev libseccomp-dev libsqlite3-dev libcurl4-openssl-dev libc-ares-dev
    libhiredis-dev libpcre2-dev zlib1g-dev'
demo='lighttpd curl'
tests='check clang mandoc openssl python3 python3-jwt python3-cryptography python3-pytest python3-pytest-xdist python3-jsonschema python3-fastapi python3-uvicorn curl git procps
    lighttpd lighttpd-mod-openssl nginx apache2-bin libapache2-mod-fcgid caddy chromium
    nodejs gitweb cgit perl libcgi-pm-perl libfcgi-perl php-cgi php-fpm dokuwiki redis-server faketime systemd
    json-schema-test-suite libtest-json-schema-acceptance-perl'

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

wanted=
[ $# -gt 0 ] || set -- build test
for set in "$@"; do
    case $set in
    build) wanted="$wanted $build" ;;
    demo) wanted="$wanted $demo" ;;
    test) wanted="$wanted $tests" ;;
    *) fail "there is no set of packages \"$set\"; there are build, demo and test" ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    fail "this is for Debian 12 or 13 (dpkg and apt-get); elsewhere install by hand: $wanted"
fi

# "pkg-config" is provided by pkgconf on newer releases, so ask for what is
# provided, too.
is_installed() {
    case $(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null) in ii*) return 0 ;; esac
    [ "$1" = pkg-config ] && command -v pkg-config >/dev/null 2>&1
}

missing=
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    fail "these packages are missing, and only root (or sudo) can install them:$missing"
fi

echo "install.sh: installing$missing"

# A policy of "start nothing" for as long as this runs (invoke-rc.d(8)).
guard=/usr/sbin/policy-rc.d
placed=
cleanup() {
    [ -z "$placed" ] || $as_root rm -f "$guard"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$guard" ]; then
    placed=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root sh -c "cat > $guard && chmod 755 $guard"
fi

# The tests run a copy of DokuWiki: its package is not to enter it in Apache's configuration.
case " $missing " in
*" dokuwiki "*)
    echo 'dokuwiki dokuwiki/system/configure-webserver multiselect ' | $as_root debconf-set-selections ||
        fail "debconf does not take an answer for dokuwiki"
    ;;
esac

# shellcheck disable=SC2086 # lists of words
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update ||
        echo "install.sh: apt-get update failed; going on with the package lists that are there" >&2
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install $missing >&2 ||
        fail "apt-get could not install:$missing"
}
