#!/bin/sh
# Makes tests/.venv with the Python peers. Does nothing when that is already done.
set -eu
cd "$(dirname "$0")/.."

done_mark=.venv/requirements.txt
if cmp -s peers/requirements.txt "$done_mark"; then
    exit 0
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends python3 python3-venv
fi

rm -rf .venv
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement peers/requirements.txt
cp peers/requirements.txt "$done_mark"
