#!/usr/bin/env bash
# The simulator's share of the check script: the shipped scenarios twice with equal trace hashes, then
# fresh seeds for a minute. Prints every failing seed with the command that replays it.
#
# Ends 0 only if every scenario ran and held and fresh seeds ran at all. Takes no arguments;
# SMOKE_SECONDS is how long fresh seeds run, default 60, 0 for none, and STARLING_SIM the binary to use instead of
# building one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

fresh_seconds="${SMOKE_SECONDS:-60}"
# No single call may take longer than this, in seconds: far above what one takes on a busy machine, since a
# call that is cut off is a failure.
call_seconds_max=600
seeds_per_call=2
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

if [[ -n "${STARLING_SIM:-}" ]]; then
    sim=$STARLING_SIM
else
    # The profile and features of the tests, so that nothing is built for this alone.
    cargo build --locked --workspace --bin starling-sim || exit 1
    sim=${CARGO_TARGET_DIR:-target}/debug/starling-sim
fi

failed=0
fail() {
    printf 'FAILED: %s\n' "$*"
    failed=1
}

# Runs scenarios and leaves seed, trace hash and verdict of every run, one a line, in $out/TURN/ends.
simulate() { # TURN [FLAG...] FILE...
    local turn=$out/$1
    shift
    rm -rf "$turn" && mkdir "$turn"
    timeout "$call_seconds_max" "$sim" run --out "$turn" "$@" >"$turn/summary" 2>&1
    echo $? >"$turn/code"
    # Members of the whole run are indented by two; there is one line of each for every run.
    grep -hsE '^  "(scenario|seed|trace_hash|verdict)": ' "$turn"/*.json >"$turn/ends"
}

# What did not hold is printed with the command that replays it.
judge() { # TURN
    local code
    code=$(<"$out/$1/code")
    [[ -s $out/$1/ends ]] || fail "nothing ran in $1"
    if ((code != 0)); then
        fail "exit code $code in $1"
        cat "$out/$1/summary"
    fi
}

mapfile -t files < <(printf '%s\n' simulations/scenarios/*.toml simulations/regressions/*.toml | grep -v '\*')
((${#files[@]} >= 12)) || fail "only ${#files[@]} scenarios where at least 12 are shipped"

for file in "${files[@]}"; do
    simulate first "$file" &
    simulate second "$file"
    wait
    judge first
    judge second
    if ! diff "$out/first/ends" "$out/second/ends"; then
        fail "two runs of $file gave different traces"
    fi
done
printf '%d scenarios, twice: %s\n' "${#files[@]}" "$( ((failed)) && echo 'not all well' || echo 'held, with equal traces')"

if ((fresh_seconds == 0)); then
    echo "fresh seeds: not asked for"
    exit "$failed"
fi
# Fresh seeds: from the operating system, so that every run of this script looks elsewhere.
fresh_seed() { od -An -N4 -tu4 /dev/urandom | tr -d ' '; }

ran=0
end=$((SECONDS + fresh_seconds))
while ((SECONDS < end)); do
    for file in "${files[@]}"; do
        ((SECONDS < end)) || break
        seed=$(fresh_seed)
        seeds=$seed..$((seed + seeds_per_call - 1))
        simulate fresh --seeds "$seeds" "$file"
        printf 'fresh seeds %s of %s: %s held\n' "$seeds" "$file" "$(grep -c '"verdict": "held"' "$out/fresh/ends")"
        before=$failed
        judge fresh
        ((failed == before)) || printf 'again: starling-sim run %s --seeds %s\n' "$file" "$seeds"
        ran=$((ran + $(grep -c '^  "trace_hash"' "$out/fresh/ends")))
    done
done
((ran > 0)) || fail "zero fresh seeds ran"
printf '%d fresh seeds in %d s\n' "$ran" "$fresh_seconds"
exit "$failed"
