#!/usr/bin/env bash
# Reproduces the figures of docs/performance.md, beside etcd and Redis on the same disk in the same run.
#
#     docs/performance.sh [DIRECTORY] [figures|benches]
#
# DIRECTORY lies on the disk to measure; a temporary one below target/ by default. Both kinds are measured
# unless one is named. Needs cargo, etcd and redis-server, which it installs from Debian's packages as root.
# Nothing else should run meanwhile. Ends 1 if a figure misses its bound.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=${1:-}
kind=${2:-all}
if [[ ! $kind =~ ^(all|figures|benches)$ ]]; then
    echo "usage: docs/performance.sh [DIRECTORY] [figures|benches]" >&2
    exit 2
fi
if [[ -z $directory ]]; then
    mkdir -p target
    directory=$(mktemp -d target/performance.XXXXXX)
    trap 'rm -rf "$directory"' EXIT
fi
mkdir -p "$directory"
directory=$(realpath "$directory")

# The programs of the peers. Debian starts a service of each when it installs them; those would share the disk.
install_peers() {
    local missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v etcd >/dev/null || missing+=(etcd-server)
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
        echo "missing: ${missing[*]}; install them, or run as root on Debian" >&2
        return 1
    fi
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qy install --no-install-recommends "${missing[@]}"
    if command -v systemctl >/dev/null; then
        systemctl stop redis-server etcd 2>/dev/null || true
    fi
}

printf '%s, %s cores, %s, directory %s\n' "$(uname -sr)" "$(nproc)" "$(date -u +%F)" "$directory"
df --output=source,fstype,avail -h "$directory"
missed=0

if [[ $kind != benches ]]; then
    install_peers
    redis-server --version
    etcd --version | head -1
    cargo build --release --locked --workspace --bin starling --example figures
    # A figure each, so that one that is missed keeps none of the others from being measured.
    for figure in writes peers bulk fairness watch idle open inspect top; do
        printf '\n=== %s\n' "$figure"
        target/release/examples/figures target/release/starling "$directory" "$figure" || missed=1
    done
fi

if [[ $kind != figures ]]; then
    printf '\n=== benches\n'
    export STARLING_BENCH_DIR=$directory
    cargo bench --locked --workspace --bench signatures --bench documents
    cargo bench --locked --workspace --bench commit --bench step --bench open --bench exchange \
        --bench catch_up --bench sizes
fi
exit "$missed"
