#!/bin/sh
# Every fuzz target for so many seconds (60 when not said), then ten million mutants per dialect.
# Stable Rust is enough: no sanitizer is used, for there is no unsafe code to watch.
set -eu
seconds="${1:-60}"
cd "$(dirname "$0")"
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version '^0.13' --locked --quiet

for target in frame message tlv track round_trip records segment configuration core; do
    mkdir -p "corpus/$target"
    cargo fuzz run --sanitizer none --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -print_final_stats=1
done

cd ../..
SIGNALBOX_MUTATIONS="${MUTATIONS:-10000000}" cargo test --release --locked -p tests --test mutations
