#!/usr/bin/env bash
# All tests, as `cargo test` runs them, in two lanes at once: most of them wait for servers and processes more than they work. What
# failed is said once more at the end, where people and logs that are cut look first. Arguments go to one `cargo test`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=${CARGO_TARGET_DIR:-target}/tests.log
mkdir -p "$(dirname "$log")"

# lane ARGUMENTS: one run of cargo, with everything that it says.
lane() { cargo test --locked --no-fail-fast "$@" 2>&1; }

if [ $# -gt 0 ]; then
    lane "$@" | tee "$log"
    code=${PIPESTATUS[0]}
else
    cargo test --locked --no-run || exit
    # What keeps both processors busy by itself, beside everything else.
    beside=(cases soak conformance systems)
    one=() other=()
    for name in "${beside[@]}"; do one+=(--test "$name"); done
    for file in tests/*.rs; do
        name=$(basename "$file" .rs)
        [[ " ${beside[*]} " == *" $name "* ]] || other+=(--test "$name")
    done
    lane "${one[@]}" >"$log.beside" &
    beside_it=$!
    {
        lane --lib --bins --examples "${other[@]}"
        code=$?
        lane --doc
        exit $((code | $?))
    } | tee "$log"
    code=${PIPESTATUS[0]}
    echo "== the other lane: ${beside[*]}"
    wait "$beside_it" || code=$?
    tee -a "$log" <"$log.beside"
    rm -f "$log.beside"
fi
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
