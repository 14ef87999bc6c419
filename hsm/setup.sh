#!/bin/sh
# Installs SoftHSM2, the software token that the tests of this crate run against, and pkcs11-tool, which drives the
# development token. Needs a Debian or Ubuntu; does nothing when they are there.
set -eu

for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    if [ -e "$module" ] && command -v pkcs11-tool >/dev/null 2>&1; then
        exit 0
    fi
done

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# The list of packages may be missing or old: it is fetched only when the package is not found without it.
$as_root apt-get install -y -q --no-install-recommends softhsm2 opensc || {
    $as_root apt-get update -q
    $as_root apt-get install -y -q --no-install-recommends softhsm2 opensc
}
