#!/bin/sh
# Makes the Debian package from the release binary: `sh deb.sh OUT [BINARY]`. Needs dpkg-deb and nothing else; the tree is
# small enough to be written down here.
set -eu
out=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
binary=${2:-$top/target/release/signalbox}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -1)
arch=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

place() { install -D -m "$1" "$2" "$tree/$3"; }
place 755 "$binary" usr/bin/signalbox
place 644 "$here/signalbox.service" usr/lib/systemd/system/signalbox.service
place 644 "$here/signalbox.socket" usr/lib/systemd/system/signalbox.socket
place 644 "$here/sysusers.conf" usr/lib/sysusers.d/signalbox.conf
place 644 "$top/switch/config.example.toml" etc/signalbox/signalbox.toml
place 644 "$top/switch/config.example.toml" usr/share/doc/signalbox/config.example.toml
for dialect in "$top"/switch/dialects/*.toml; do
    place 644 "$dialect" "usr/share/doc/signalbox/dialects/$(basename "$dialect")"
done
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo "Upstream-Name: signalbox"
    echo
    echo "Files: *"
    echo "Copyright: the Signalbox maintainers"
    echo "License: Apache-2.0"
    echo " On Debian systems the text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."
} > "$tree/usr/share/doc/signalbox/copyright"
gzip -9n < "$top/CHANGELOG.md" > "$tree/usr/share/doc/signalbox/changelog.gz"
mkdir -p "$tree/usr/share/man/man1" "$tree/usr/share/bash-completion/completions"
"$binary" man | gzip -9n > "$tree/usr/share/man/man1/signalbox.1.gz"
"$binary" completions bash > "$tree/usr/share/bash-completion/completions/signalbox"

mkdir "$tree/DEBIAN"
{
    echo "Package: signalbox"
    echo "Version: $version"
    echo "Architecture: $arch"
    echo "Maintainer: Signalbox maintainers <maintainers@signalbox.invalid>"
    echo "Depends: libc6 (>= 2.36)"
    echo "Recommends: systemd"
    echo "Section: net"
    echo "Priority: optional"
    echo "Installed-Size: $(du -sk "$tree" | cut -f1)"
    echo "Description: card authorization switch"
    echo " Acquirers connect over TCP or TLS and send ISO 8583; Signalbox finds the issuer of the"
    echo " card, asks it, and answers, losing nothing and doubling nothing."
} > "$tree/DEBIAN/control"
echo /etc/signalbox/signalbox.toml > "$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/$script" "$tree/DEBIAN/$script"
done
# The same tree gives the same package.
find "$tree" -newermt @0 -exec touch -h -d @0 {} +
dpkg-deb --root-owner-group --build -Zxz "$tree" "$out/signalbox_${version}_$arch.deb"
