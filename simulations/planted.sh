#!/usr/bin/env bash
# Plants one defect after the other, and prints a table: what found it. Each must be found by at least
# two pairs of seeds.toml; and without any defect all pairs must hold. One build serves all of them: our
# own crates, with STARLING_PLANTED set, in a directory of their own.
#
#   simulations/planted.sh [DEFECT ...]   all of them and none, or only those named; "" names none
#
# PLANTED_RUNS, if set, is a directory for the runs that found something, for `starling-sim explain`.
# PLANTED_PROFILE is the profile to build with: dev or release, which takes far longer to build.
# The starling-sim built beside takes one by hand: starling-sim run --plant DEFECT ...
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

all=(announce-before-persist write-on-after-failed-commit never-recover skip-signature-check
    reuse-incarnation forget-requests lose-last-record summary-without-own accept-foreign-actor
    drop-orphan-silently blame-the-relay forget-want-after-timeout apply-in-arrival-order
    never-retry-seed talk-without-end "")
# Pairs of one defect may take this long together, in seconds: a defect may not hang the search for it.
defect_seconds_max=900

(($#)) || set -- "${all[@]}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/planted"
# Our crates too are built to run: a few minutes for the build, and one or two for all pairs of all defects.
export CARGO_PROFILE_DEV_OPT_LEVEL="${CARGO_PROFILE_DEV_OPT_LEVEL:-2}"
profile="${PLANTED_PROFILE:-dev}"
# The features of the tests.
STARLING_PLANTED=1 cargo build --quiet --profile "$profile" --workspace --locked --example seeds --bin starling-sim || exit 1
[[ $profile == dev ]] && profile=debug
failed=0
printf '| defect | found by | pairs | properties (pairs) |\n| --- | --- | --- | --- |\n'
for defect in "$@"; do
    timeout --kill-after=10 "$defect_seconds_max" "$CARGO_TARGET_DIR/$profile/examples/seeds" \
        simulations/seeds.toml "$defect" ${PLANTED_RUNS:+"$PLANTED_RUNS/${defect:-none}"} || {
        echo "not as wanted: ${defect:-nothing planted}" >&2
        failed=1
    }
done
exit $failed
