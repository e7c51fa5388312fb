#!/usr/bin/env bash
# The demo: an older version of schema/ with rows in it, brought up to date by plumb on a throwaway PostgreSQL, then changed
# behind plumb's back. Run it with `make demo`, which sets everything up first.
#
# PLUMB is the binary (default: the dev build), PLUMB_TEST_PG the folder with PostgreSQL's programs (from tools/setup.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

plumb=${PLUMB:-${CARGO_TARGET_DIR:-target}/debug/plumb}
bin=${PLUMB_TEST_PG:?run make demo, which finds PostgreSQL first}
begun=$SECONDS

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
shown() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }

# --- a PostgreSQL of our own: a socket in a private folder, no TCP, gone at the end --------------------------------------

place=$(mktemp -d /tmp/plumb-demo.XXXXXX) # short: a socket's path has at most 107 bytes
as_server=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL does not run as root.
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

# run CODE COMMAND...: shows the command, and stops the demo when it ends with another code. With $quiet its output goes there.
quiet=
run() {
    local wanted=$1 code=0
    shift
    shown plumb "$@"
    if [ -n "$quiet" ]; then "$plumb" "$@" >"$quiet" 2>&1 || code=$?; else "$plumb" "$@" || code=$?; fi
    [ "$code" = "$wanted" ] || {
        [ -z "$quiet" ] || cat "$quiet" >&2
        printf '\ndemo: "plumb %s" ended with code %s where %s was expected\n' "$*" "$code" "$wanted" >&2
        exit 1
    }
}
sql() { "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$place" -U "$1" -d acme "${@:2}" >/dev/null; }

heading "A throwaway PostgreSQL ($("$bin/postgres" --version | grep -oE '[0-9]+(\.[0-9]+)?' | head -n 1)) in $place"
server initdb -D "$place/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$place/setup.log" 2>&1 ||
    server initdb -D "$place/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$place/setup.log" 2>&1 || { cat "$place/setup.log" >&2; exit 1; }
server pg_ctl -D "$place/data" -w -s -l "$place/server.log" start \
    -o "-c listen_addresses='' -c unix_socket_directories='$place' -c unix_socket_permissions=0700 -c fsync=off" || { cat "$place/server.log" >&2; exit 1; }
"$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$place" -U postgres -d postgres -f fixtures/demo/roles.sql \
    -c 'CREATE ROLE acme LOGIN' -c 'CREATE ROLE support_admin LOGIN SUPERUSER' -c 'CREATE DATABASE acme OWNER acme'
export DATABASE_URL="postgresql://acme@/acme?host=$place"
echo "A database \"acme\", owned by a role without superuser. DATABASE_URL says where it is."

heading "1. From nothing: last year's schema, made by plumb, and rows in it"
quiet=$place/first.out
run 2 plan --schema fixtures/demo/before --out "$place/first.json"
echo "A plan of $(grep -c '"phase":' "$place/first.json") steps."
run 0 apply "$place/first.json" --yes
quiet=
sql acme -f fixtures/demo/rows.sql
echo "Three users of two tenants, with their sessions, tasks, invoices and audit log."

heading "2. The plan to today's schema/"
run 2 plan --out "$place/plan.json"

heading "3. Apply it: what it loses is allowed by name"
allow=()
refused=$(awk -F'"' '$2 == "level" { level = $4 } $2 == "code" && level == "refused" { print $4 }' "$place/plan.json" | sort -u)
for code in $refused; do allow+=(--allow "$code"); done
run 0 apply "$place/plan.json" "${allow[@]}" --yes

heading "4. No drift"
run 0 drift

heading "5. Somebody changes the database behind plumb's back"
changes=(
    'ALTER TABLE invoices DISABLE ROW LEVEL SECURITY'
    'GRANT SELECT ON users TO PUBLIC'
    'ALTER TABLE agent_tasks ADD COLUMN debug_note text'
    'CREATE INDEX agent_tasks_tmp_idx ON agent_tasks (agent_name)'
)
for change in "${changes[@]}"; do
    shown "psql -U support_admin -c \"$change\""
    sql support_admin -c "$change"
done

heading "6. Drift"
run 2 drift

heading "Done in $((SECONDS - begun)) s. The server and its folder are gone now. Three commands to try next:"
cat <<'END'
  plumb dump --db postgresql://... --out schema    write schema/ from a database that you have
  plumb plan --db postgresql://...                 after an edit in schema/: what would change, proven on a copy
  plumb drift --db postgresql://...                what differs from schema/ by now
END
echo "(plumb is $plumb)"
