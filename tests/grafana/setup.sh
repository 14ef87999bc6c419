#!/bin/sh
# Puts Debian's Prometheus and Alertmanager into tests/.prometheus, so that no service of theirs is started; and, where npm
# is, Grafana's types into grafana/types/node_modules. Does nothing when that is already done.
set -eu
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if [ ! -x .prometheus/usr/bin/prometheus ] || [ ! -x .prometheus/usr/bin/prometheus-alertmanager ]; then
    rm -rf .prometheus
    mkdir .prometheus
    (
        cd .prometheus
        # The list of packages may be missing or old: it is fetched only when the packages are not found without it.
        apt-get download -qq prometheus prometheus-alertmanager 2>/dev/null || {
            as_root apt-get update -qq
            apt-get download -qq prometheus prometheus-alertmanager
        }
        for package in *.deb; do dpkg-deb --extract "$package" .; done
        rm -f ./*.deb
    )
fi

# Debian's Alertmanager reads its own templates from this one place, wherever it is started from.
templates=/usr/share/prometheus/alertmanager
if [ ! -e "$templates/default.tmpl" ]; then
    as_root mkdir -p "$templates"
    as_root cp .prometheus"$templates"/*.tmpl "$templates"
fi

if command -v npm >/dev/null && [ ! -d ../grafana/types/node_modules/typescript ]; then
    (cd ../grafana/types && npm ci --silent --ignore-scripts --no-audit --no-fund)
fi
