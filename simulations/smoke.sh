#!/usr/bin/env bash
# The simulator's share of the check script: the shipped scenarios twice with equal trace hashes, then
# fresh seeds for a minute. Prints every failing seed with the command that replays it.
#
# Ends 0 only if every scenario ran and held and fresh seeds ran at all. Takes no arguments, but these variables:
#   SMOKE_SECONDS  how long fresh seeds run, default 60; 0 for none
#   SMOKE_RUNS     instead: how many fresh runs, however long they take, so that the end does not depend on the
#                  machine's speed
#   SMOKE_FROM     the first fresh seed, so that the same ones can be run again; default: any
#   STARLING_SIM   the binary to use instead of building one
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

fresh_seconds="${SMOKE_SECONDS:-60}"
fresh_runs="${SMOKE_RUNS:-}"
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

# What did not hold is printed with the command that replays it. A run that is missing did not hold either.
judge() { # TURN RUNS
    local code runs
    code=$(<"$out/$1/code")
    runs=$(grep -c '^  "trace_hash"' "$out/$1/ends")
    ((runs == $2)) || fail "$runs of $2 runs came to an end in $1"
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
    judge first 1
    judge second 1
    if ! diff "$out/first/ends" "$out/second/ends"; then
        fail "two runs of $file gave different traces"
    fi
done
printf '%d scenarios, twice: %s\n' "${#files[@]}" "$( ((failed)) && echo 'not all well' || echo 'held, with equal traces')"

if [[ $fresh_runs == 0 || (-z $fresh_runs && $fresh_seconds == 0) ]]; then
    echo "fresh seeds: not asked for"
    exit "$failed"
fi

# Seeds come from the operating system, so that every run of this script looks elsewhere, or go on from a given one.
next=${SMOKE_FROM:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
first=$next ran=0 wrong=()
end=$((SECONDS + fresh_seconds))
goes_on() {
    if [[ -n $fresh_runs ]]; then ((ran < fresh_runs)); else ((SECONDS < end)); fi
}
while goes_on; do
    for file in "${files[@]}"; do
        goes_on || break
        seeds=$next..$((next + seeds_per_call - 1))
        next=$((next + seeds_per_call))
        simulate fresh --seeds "$seeds" "$file"
        printf 'fresh seeds %s of %s: %s held\n' "$seeds" "$file" "$(grep -c '"verdict": "held"' "$out/fresh/ends")"
        before=$failed
        failed=0
        judge fresh "$seeds_per_call"
        ((failed)) && wrong+=("starling-sim run $file --seeds $seeds")
        failed=$((failed || before))
        ran=$((ran + seeds_per_call))
    done
done
((ran > 0)) || fail "zero fresh seeds ran"
printf '%d fresh runs in %d s, from seed %s\n' "$ran" $((SECONDS - end + fresh_seconds)) "$first"
((${#wrong[@]})) && printf 'not all held: %s\n' "${wrong[@]}"
exit "$failed"
