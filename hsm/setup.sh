#!/bin/sh
# Installs SoftHSM2, the software token that the tests of this crate run against. Needs a Debian or Ubuntu;
# does nothing when it is there.
set -eu

for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    if [ -e "$module" ]; then
        exit 0
    fi
done

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# The list of packages may be missing or old: it is fetched only when the package is not found without it.
$as_root apt-get install -y -q --no-install-recommends softhsm2 || {
    $as_root apt-get update -q
    $as_root apt-get install -y -q --no-install-recommends softhsm2
}
