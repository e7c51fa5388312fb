#!/usr/bin/env bash
# Whole-process bench: `plumb plan` between two live databases, unproven, beside `pg_dump --schema-only` of one of them; and the
# reading of one catalog, connection included, as `plumb snapshot -v` times it.
#
#   tools/bench.sh [TABLES...]           default: 100 1000 10000; `make bench` builds and runs it
#   tools/bench.sh --files [TABLES...]   default: 1000; `make bench FILES=1`: plans from files, unproven, proven, and proven again
#                                        with the copy of the live schema that the plan before has kept
#   tools/bench.sh --drift [TABLES...]   default: 1000; `make bench DRIFT=1`: `plumb drift` of files that have not changed since the last one,
#                                        beside `pg_dump --schema-only`, and the first one, which loads them
#
# The programs are run in turn on a throwaway PostgreSQL, RUNS times each (default 7), so that what else the machine does meets
# them alike. PLUMB is the binary (default: the release build), PLUMB_TEST_PG the folder with PostgreSQL's programs, GENERATOR
# a script that writes DIR/before.sql and DIR/after.sql (default: ../shared/workloads/generate.py where it is, else the tables
# written here).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

plumb=${PLUMB:-${CARGO_TARGET_DIR:-target}/release/plumb}
bin=${PLUMB_TEST_PG:?run make bench, which finds PostgreSQL first}
runs=${RUNS:-7}
generator=${GENERATOR-../shared/workloads/generate.py}
files=''
if [ "${1:-}" = --files ] || [ "${1:-}" = --drift ]; then
    files=$1
    shift
fi
[ "$#" -gt 0 ] || if [ "$files" ]; then set -- 1000; else set -- 100 1000 10000; fi

place=$(mktemp -d /tmp/plumb-bench.XXXXXX)
as_server=()
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$place"
    as_server=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
fi
server() { (cd "$place" && "${as_server[@]}" env HOME="$place" "$bin/$1" "${@:2}"); }
cleanup() {
    local code=$?
    trap - EXIT INT TERM HUP
    [ ! -e "$place/data/postmaster.pid" ] || server pg_ctl -D "$place/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$place"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

server initdb -D "$place/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$place/setup.log" 2>&1 || { cat "$place/setup.log" >&2; exit 1; }
server pg_ctl -D "$place/data" -w -s -l "$place/server.log" start \
    -o "-c listen_addresses='' -c unix_socket_directories='$place' -c fsync=off -c autovacuum=off -c max_locks_per_transaction=1024" ||
    { cat "$place/server.log" >&2; exit 1; }
export PGHOST=$place PGUSER=postgres

# own_tables TABLES CHANGED: tables as real ones are, twenty to a schema; with CHANGED every fiftieth is another.
own_tables() {
    awk -v n="$1" -v changed="$2" 'BEGIN {
        for (i = 0; i < n; i++) {
            s = sprintf("app_%04d", int(i / 20)); t = s "." sprintf("item_%05d", i); other = changed && i % 50 == 7
            if (i % 20 == 0) {
                printf "CREATE SCHEMA %s;\nCREATE TYPE %s.state AS ENUM (\047draft\047, \047open\047, \047closed\047);\n", s, s
                printf "CREATE FUNCTION %s.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;\n", s
            }
            fk = i % 20 ? sprintf("    parent_id uuid REFERENCES %s.item_%05d (id) ON DELETE CASCADE,\n", s, i - 1) : ""
            printf "CREATE TABLE %s (\n    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),\n    tenant_id uuid NOT NULL,\n%s", t, fk
            printf "    title %s NOT NULL,\n    amount numeric(12,2) NOT NULL DEFAULT 0 CHECK (amount >= 0),\n", other ? "varchar(400)" : "text"
            printf "    status %s.state NOT NULL DEFAULT \047draft\047,\n    payload jsonb NOT NULL DEFAULT \047{}\047,\n%s", s, other ? "    note text,\n" : ""
            printf "    created_at timestamptz NOT NULL DEFAULT now(),\n    updated_at timestamptz NOT NULL DEFAULT now()\n);\n"
            printf "CREATE INDEX ON %s (tenant_id, created_at DESC);\nCREATE INDEX ON %s (lower(title));\nCREATE INDEX ON %s (status) WHERE status <> \047closed\047;\n", t, t, t
            printf "ALTER TABLE %s ENABLE ROW LEVEL SECURITY;\nCREATE POLICY own ON %s USING (tenant_id = current_setting(\047app.tenant\047)::uuid);\n", t, t
            printf "CREATE TRIGGER touch BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s.touch();\nCOMMENT ON TABLE %s IS \047rows of one tenant\047;\n", t, s, t
            if (i % 5 == 0) printf "CREATE VIEW %s_open AS SELECT id, title, amount FROM %s WHERE status = \047open\047;\n", t, t
        }
    }'
}

written() { # TABLES: $place/before.sql and $place/after.sql, and in $source where they are from
    if [ -f "$generator" ] && command -v python3 >/dev/null; then
        python3 "$generator" "$place/files" --tables "$1" >/dev/null
        mv "$place/files/before.sql" "$place/files/after.sql" "$place/"
        rm -rf "$place/files"
        source=$generator
    else
        own_tables "$1" 0 >"$place/before.sql"
        own_tables "$1" 1 >"$place/after.sql"
        source="tools/bench.sh"
    fi
}

# Milliseconds that a command takes; it has to end with one of the codes.
timed() {
    local codes=$1 begun ended code=0
    shift
    begun=${EPOCHREALTIME/[.,]/}
    "$@" >/dev/null 2>"$place/said" || code=$?
    ended=${EPOCHREALTIME/[.,]/}
    [[ " $codes " == *" $code "* ]] || { cat "$place/said" >&2; echo "bench: $* ended with code $code" >&2; exit 1; }
    echo $(((ended - begun) / 1000))
}
# Milliseconds that `plumb snapshot` says it has read the catalog for.
reading() {
    "$plumb" snapshot --db "$1" --out "$place/snapshot.json" -v 2>&1 | sed -nE 's/^ *([0-9]+)\.[0-9]+ ms +reading the catalog of .*/\1/p'
}
sorted() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n; }
median() { sorted "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
least() { sorted "$1" | head -n 1; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

url() { echo "postgresql://postgres@/$1?host=$place"; }
loaded() { # SIDE: a database of its file
    "$bin/createdb" "$1"
    "$bin/psql" -X -q -v ON_ERROR_STOP=1 -d "$1" -f "$place/$1.sql" >/dev/null
    "$bin/psql" -X -q -d "$1" -c "VACUUM ANALYZE"
}

# own_cache: a cache of one's own, in which nothing is kept yet.
own_cache() {
    export PLUMB_CACHE=$place/cache PLUMB_PG_BIN=$bin
    chmod 755 "$place"
}

# Plans from files of which 5 % are others than in the database. The cache is one of its own; in it the server's template is made
# before anything is timed.
from_files() {
    echo "| tables | unproven, median (least) | proven | ratio of medians (of least) | proven, the copy kept | ratio of medians (of least) |"
    echo "| ---: | ---: | ---: | ---: | ---: | ---: |"
    own_cache
    for tables in "$@"; do
        written "$tables"
        loaded before
        plan=("$plumb" plan --db "$(url before)" --schema "$place/after.sql" --out - -q)
        timed "2" "${plan[@]}" --no-prove >/dev/null
        unproven='' cold='' kept=''
        for _ in $(seq "$runs"); do
            unproven+=" $(timed 2 "${plan[@]}" --no-prove)"
            rm -rf "$PLUMB_CACHE/copy"
            cold+=" $(timed 2 "${plan[@]}")"
            kept+=" $(timed 2 "${plan[@]}")"
        done
        u=$(median "$unproven") c=$(median "$cold") k=$(median "$kept")
        ul=$(least "$unproven") cl=$(least "$cold") kl=$(least "$kept")
        echo "| $tables | $u ms ($ul ms) | $c ms ($cl ms) | $(ratio "$c" "$u") ($(ratio "$cl" "$ul")) | $k ms ($kl ms) | $(ratio "$k" "$u") ($(ratio "$kl" "$ul")) |"
        "$bin/dropdb" before
    done
}

# Drift of a database that is as its files say: the first one loads them, the others take what that has kept.
drifting() {
    echo "| tables | pg_dump -s, median (least) | drift, files unchanged | ratio of medians (of least) | drift, files loaded | ratio of medians (of least) |"
    echo "| ---: | ---: | ---: | ---: | ---: | ---: |"
    own_cache
    for tables in "$@"; do
        written "$tables"
        loaded before
        dump=("$bin/pg_dump" --schema-only -f /dev/null -d before)
        drift=("$plumb" drift --db "$(url before)" --schema "$place/before.sql" -q)
        timed "0" "${dump[@]}" >/dev/null
        timed "0" "${drift[@]}" >/dev/null
        dumps='' warm='' cold=''
        for _ in $(seq "$runs"); do
            dumps+=" $(timed 0 "${dump[@]}")"
            rm -rf "$PLUMB_CACHE/compiled"
            cold+=" $(timed 0 "${drift[@]}")"
            warm+=" $(timed 0 "${drift[@]}")"
        done
        d=$(median "$dumps") w=$(median "$warm") c=$(median "$cold")
        dl=$(least "$dumps") wl=$(least "$warm") cl=$(least "$cold")
        echo "| $tables | $d ms ($dl ms) | $w ms ($wl ms) | $(ratio "$w" "$d") ($(ratio "$wl" "$dl")) | $c ms ($cl ms) | $(ratio "$c" "$d") ($(ratio "$cl" "$dl")) |"
        "$bin/dropdb" before
    done
}

echo "PostgreSQL $("$bin/postgres" --version | grep -oE '[0-9]+(\.[0-9]+)?' | head -n 1), $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown), $runs runs each, in turn"
echo
if [ "$files" ]; then
    if [ "$files" = --drift ]; then drifting "$@"; else from_files "$@"; fi
    echo
    echo "Tables from $source."
    exit 0
fi
echo "| tables | pg_dump -s, median (least) | reading one catalog | ratio of medians (of least) | plumb plan of two | ratio of medians (of least) |"
echo "| ---: | ---: | ---: | ---: | ---: | ---: |"
for tables in "$@"; do
    written "$tables"
    for side in before after; do loaded "$side"; done
    dump=("$bin/pg_dump" --schema-only -f /dev/null -d before)
    plan=("$plumb" plan --db "$(url before)" --schema "$(url after)" --no-prove --out - -q)
    timed "0" "${dump[@]}" >/dev/null
    timed "2" "${plan[@]}" >/dev/null
    dumps='' readings='' plans=''
    for _ in $(seq "$runs"); do
        dumps+=" $(timed 0 "${dump[@]}")"
        readings+=" $(reading "$(url before)")"
        plans+=" $(timed 2 "${plan[@]}")"
    done
    d=$(median "$dumps") r=$(median "$readings") p=$(median "$plans")
    dl=$(least "$dumps") rl=$(least "$readings") pl=$(least "$plans")
    echo "| $tables | $d ms ($dl ms) | $r ms ($rl ms) | $(ratio "$r" "$d") ($(ratio "$rl" "$dl")) | $p ms ($pl ms) | $(ratio "$p" "$d") ($(ratio "$pl" "$dl")) |"
    for side in before after; do "$bin/dropdb" "$side"; done
done
echo
echo "Tables from $source."
