#!/bin/sh
# The differential tests against iso8583_rs, which takes the one specification of a process from SPEC_FILE.
set -eu
cd "$(dirname "$0")"
for dialect in ascii ebcdic; do
    SPEC_FILE="$PWD/$dialect.yaml" cargo test --quiet --locked --test "$dialect"
done
