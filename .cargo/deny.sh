#!/bin/sh
# Gates licences, bans and sources; advisories where their database can be reached.
set -eu
command -v cargo-deny >/dev/null 2>&1 || cargo install cargo-deny --version '^0.20' --locked --quiet
config=.cargo/deny.toml
cargo deny --locked check --config "$config" --hide-inclusion-graph bans licenses sources
if cargo deny --locked check --config "$config" --hide-inclusion-graph advisories >/tmp/signalbox-advisories.$$ 2>&1; then
    echo "advisories ok"
elif grep -qE 'failed to fetch|unable to fetch|failed to load advisory|could not connect|error sending request' /tmp/signalbox-advisories.$$; then
    echo "advisories SKIPPED: their database cannot be reached from here"
else
    cat /tmp/signalbox-advisories.$$
    rm -f /tmp/signalbox-advisories.$$
    exit 1
fi
rm -f /tmp/signalbox-advisories.$$
