# What every script starts with. POSIX shell; each process a script starts costs up to a tenth of a second in an
# emulated machine, so one command answers for all users, files or units at once.
export LC_ALL=C
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
section() { printf '\n@@@ %s\n' "$1"; }
try() { # name, then a command; its exit code and what it says
    name=$1; shift
    out=$("$@" 2>&1 </dev/null); code=$?
    section "$name"
    printf '%s\n%s\n' "$code" "$out"
    return $code
}
# Each node of each partition, its state and the partition. What the backfill scheduler means to do with a node, if others
# wait for it, is no state of the node's: "mixed-", and "planned" where it would be idle.
node_states() {
    sinfo --noheader --Node --format='%N %T %P' 2>&1 | sed -E 's/^([^ ]+) planned /\1 idle /; s/^([^ ]+ [a-z]+)- /\1 /'
}
