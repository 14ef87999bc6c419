#!/bin/sh
# Installs what the console is looked at with: Debian's Chromium, Node, and playwright-core. Does nothing when all are there.
set -eu
cd "$(dirname "$0")"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if ! command -v chromium >/dev/null || ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends chromium nodejs npm
fi
if ! cmp -s package-lock.json node_modules/done; then
    npm ci --silent --no-audit --no-fund
    cp package-lock.json node_modules/done
fi
