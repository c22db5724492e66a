#!/bin/sh
# Builds the simulator once for each planted defect and checks that seeds.toml finds it at least
# twice; then that the honest build passes all pairs. Only our own crates are built anew.
#
#   simulations/planted.sh [defect ...]
set -u
cd "$(dirname "$0")/.." || exit 1
all="announce-before-persist write-on-after-failed-commit never-recover skip-signature-check
reuse-incarnation forget-requests lose-last-record summary-without-own accept-foreign-actor
drop-orphan-silently blame-the-relay forget-want-after-timeout apply-in-arrival-order
never-retry-seed talk-without-end"
[ $# -gt 0 ] || set -- $all ""
failed=0
for defect in "$@"; do
    STARLING_PLANTED="$defect" cargo build --quiet \
        -p starling-simulations --example seeds || exit 1
    "${CARGO_TARGET_DIR:-target}/debug/examples/seeds" simulations/seeds.toml || {
        echo "not as wanted: ${defect:-the honest build}"
        failed=1
    }
done
exit $failed
