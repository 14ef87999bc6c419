#!/bin/sh
# Installs strace, by which the order of system calls is seen, and libfaketime, which moves a process's wall clock. Does
# nothing when they are there.
set -eu

if command -v strace >/dev/null && command -v faketime >/dev/null; then
    exit 0
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

as_root apt-get update -qq
as_root apt-get install -y -qq --no-install-recommends strace faketime
