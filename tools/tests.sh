#!/usr/bin/env bash
# All tests, as `cargo test` runs them. What failed is said once more at the end, where people and logs that are cut look first.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=${CARGO_TARGET_DIR:-target}/tests.log
mkdir -p "$(dirname "$log")"
cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}
[ "$code" = 0 ] || {
    echo
    echo "== what failed, once more"
    # From the word "failures:" to the result of each program, but for the list of names that repeats it.
    awk '
        /^     Running |^   Doc-tests / { program = $0 }
        /^failures:$/ { blocks++; if (blocks % 2) { print program; told = 0 } }
        /^test result: / { blocks = 0 }
        /^ +at |^ +[0-9]+: |^stack backtrace|^note: Some details/ { next }
        blocks % 2 && told++ < 60 { print substr($0, 1, 300) }
        /^error(\[|:)/ { print }
    ' "$log" | tail -n 300
}
exit "$code"
