#!/bin/sh
# Installs Chromium, in which a test opens the HTML report. Needs a Debian or Ubuntu; does nothing when it is there.
set -eu

if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# The list of packages may be missing or old: it is fetched only when the package is not found without it.
$as_root apt-get install -y -q --no-install-recommends chromium || {
    $as_root apt-get update -q
    $as_root apt-get install -y -q --no-install-recommends chromium
}
