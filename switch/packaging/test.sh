#!/bin/sh
# What is installed: the unit and how little it may do, and the package from its making to its purge, in a root of its own.
# Needs Debian's dpkg; says so where it is not there.
set -eu
cd "$(dirname "$0")"
say() { echo "packaging: $*"; }
fail() { say "FAILED: $*"; exit 1; }

if command -v systemd-analyze >/dev/null; then
    # 20 stands for an exposure of 2.0 (rules S56).
    systemd-analyze security --offline=true --threshold=20 ./signalbox.service >/dev/null 2>&1 ||
        fail "the unit may do more than an exposure of 2.0"
    say "the unit: $(systemd-analyze security --offline=true ./signalbox.service 2>/dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/exposure \1/p')"
else
    say "not run, it needs systemd-analyze: the exposure of the unit"
fi
if ! command -v dpkg-deb >/dev/null; then
    say "not run, it needs dpkg: the package"
    exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sh deb.sh "$out" >/dev/null
root=$out/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/etc" "$root/usr/bin"
for file in var/lib/dpkg/status var/lib/dpkg/available etc/passwd etc/group; do : > "$root/$file"; done
in_root() { dpkg --root="$root" --force-script-chrootless --force-depends --force-not-root "$@" >"$out/said" 2>&1 || { cat "$out/said"; fail "dpkg $*"; }; }

in_root --install "$out"/*.deb
for file in usr/bin/signalbox usr/lib/systemd/system/signalbox.service usr/lib/systemd/system/signalbox.socket usr/lib/sysusers.d/signalbox.conf etc/signalbox/signalbox.toml \
    usr/share/man/man1/signalbox.1.gz usr/share/bash-completion/completions/signalbox; do
    [ -f "$root/$file" ] || fail "$file was not installed"
done
[ "$(stat -c %a "$root/var/lib/signalbox")" = 700 ] || fail "the state is not for its owner alone"
"$root/usr/bin/signalbox" check --config "$root/etc/signalbox/signalbox.toml" | grep -q '^sound:' ||
    fail "the configuration that is installed is not sound"
[ -z "$(find "$root/etc/systemd" -type l 2>/dev/null)" ] || fail "a unit was enabled by its installation"
# The listeners that systemd would bind are those of the configuration that is installed.
units=$root/usr/lib/systemd/system
listens=$("$root/usr/bin/signalbox" config show --config "$root/etc/signalbox/signalbox.toml" |
    sed -n 's/^\(acquirer\|issuer\)\..*\.listen = "\(.*\)".*/\2/p' | sort)
[ "$(sed -n 's/^ListenStream=//p' "$units/signalbox.socket" | sort)" = "$listens" ] ||
    fail "signalbox.socket binds other addresses than the configuration: $listens"
if command -v systemd-analyze >/dev/null; then
    # Of a root without systemd only what is wrong with the units themselves counts.
    wrong=$(systemd-analyze verify --man=no "$units/signalbox.service" "$units/signalbox.socket" 2>&1 | grep 'signalbox\.' |
        grep -v 'is not executable' || true)
    [ -z "$wrong" ] || fail "$wrong"
fi
echo "money moved" > "$root/var/lib/signalbox/facts"
in_root --remove signalbox
[ -f "$root/etc/signalbox/signalbox.toml" ] || fail "a removal took the configuration along"
[ ! -e "$root/usr/bin/signalbox" ] || fail "a removal left the binary"
in_root --purge signalbox
[ ! -e "$root/etc/signalbox" ] || fail "a purge left the configuration"
[ -f "$root/var/lib/signalbox/facts" ] || fail "a purge took the journal along"
say "the package: installed, checked, removed, purged; the journal stays"
