#!/usr/bin/env bash
# Lets libFuzzer look for failures: each target, or those named, for so many executions, beginning with what is
# kept. New inputs go into fuzz/target/new, where the next run finds them; an input that fails into fuzz/artifacts.
#
#     fuzz/run.sh 1000000              # every target
#     fuzz/run.sh 200000 replica       # one
#     fuzz/run.sh keep replica         # makes fuzz/corpus of what there is: the smallest inputs that reach as much
#
# Needs `cargo install cargo-fuzz` and a C++ compiler. No sanitizer: there is no unsafe code in this repository, and
# without one a stable toolchain does, at twice the speed. Ends 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# Without libFuzzer's entropic schedule, whose bookkeeping takes nine tenths of the time where one input reaches a lot.
bytes_max=4096        # of one input
kept_max=120          # inputs of one target, in fuzz/corpus
seconds_max="${FUZZ_SECONDS_MAX:-0}"  # for one target; 0: as long as it takes

what=${1:?how many executions, or keep}
shift
if (($#)); then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi

fuzz() { # TARGET ARGUMENT...
    local target=$1
    shift
    cargo fuzz run -s none "$target" "$@"
}

run() { # TARGET
    local target=$1 new=$PWD/fuzz/target/new/$1 log
    log=$(mktemp)
    mkdir -p "$new"
    local known=("$new")
    for place in corpus found; do
        [[ -d fuzz/$place/$target ]] && known+=("$PWD/fuzz/$place/$target")
    done
    if fuzz "$target" "${known[@]}" -- -runs="$what" -max_total_time="$seconds_max" -max_len=$bytes_max \
        -timeout=25 -rss_limit_mb=4096 -entropic=0 -print_final_stats=1 >"$log" 2>&1; then
        awk -v target="$target" '/^stat::number_of_executed_units/ { runs = $2 } / cov: / { cov = $4 }
            END { printf "%-12s %9d executions, %6d edges, nothing failed\n", target, runs, cov }' "$log"
        rm "$log"
    else
        tail -n 40 "$log"
        echo "$target failed; the whole log: $log"
        return 1
    fi
}

keep() { # TARGET
    local target=$1 new=$PWD/fuzz/target/new/$1 merged
    merged=$(mktemp -d)
    mkdir -p "$new" "fuzz/corpus/$target"
    fuzz "$target" "$merged" "$new" "$PWD/fuzz/corpus/$target" -- -merge=1 -max_len=$bytes_max >/dev/null 2>&1 ||
        return 1
    rm -f "fuzz/corpus/$target"/*
    # Of too many some of every size: the smallest say little, and the largest take long to replay.
    local count
    count=$(find "$merged" -type f | wc -l)
    find "$merged" -type f -printf '%s %p\n' | sort -n |
        awk -v n="$count" -v k=$kept_max 'n <= k || int(NR * k / n) > int((NR - 1) * k / n) { print $2 }' |
        while read -r path; do cp "$path" "fuzz/corpus/$target/"; done
    rm -r "$merged"
    printf '%-12s %4d inputs, %7d bytes\n' "$target" "$(find "fuzz/corpus/$target" -type f | wc -l)" \
        "$(cat "fuzz/corpus/$target"/* | wc -c)"
}

failed=0
for target in "${targets[@]}"; do
    if [[ $what == keep ]]; then keep "$target" || failed=1; else run "$target" || failed=1; fi
done
exit $failed
