#!/bin/sh
# gather.sh BOUNDARY MOST SECONDS NAME COMMAND ... -- PATH ...: what these commands say and what is in these files, as parts:
# "BOUNDARY NAME" on a line of its own, then the content. Of files larger than MOST bytes it is the end.
# Nothing is written: the disk may be full.
set -u
boundary=$1
most=$2
seconds=$3
shift 3

part() { printf '\n%s %s\n' "$boundary" "$1"; }

while [ "$1" != -- ]; do
    part "$1"
    timeout "$seconds" sh -c "$2" 2>&1 </dev/null || echo "(ended with exit code $?)"
    shift 2
done
shift
# A secret is nothing that everyone on the node may read, and has no business in a log; files that may hold one among
# other things are taken by their names. In what is compressed no secret could be found.
find "$@" -type f \( -perm -o=r -o -name '*.conf' -o -path '*/log/*' \) \
    ! -name '*key*' ! -name '*.pem' ! -name '*.jwks' ! -name '*.gz' ! -name '*.xz' ! -name '*.zst' 2>/dev/null |
    while IFS= read -r file; do
        part "$file"
        tail -c "$most" "$file"
    done
exit 0
