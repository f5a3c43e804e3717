#!/bin/sh
# log_files.sh LINES SINCE SERVICES [follow]: the logs that these services write to files.
# LINES is what tail --lines takes; SINCE is a time as journalctl reads it, or nothing.
set -u
lines=$1
since=$2
services=$3
follow=${4:-}

# SERVICE FILE, a line each.
configured() {
    sed -nE 's/^\s*(slurmctld|slurmd)LogFile\s*=\s*([^#[:space:]]+).*/\L\1\E \2/Ip' /etc/slurm/slurm.conf
    sed -nE 's/^\s*LogFile\s*=\s*([^#[:space:]]+).*/slurmdbd \1/Ip' /etc/slurm/slurmdbd.conf
    echo munge /var/log/munge/munged.log
}

[ -z "$since" ] || echo "=> since $(systemd-analyze timestamp -- "$since" 2>/dev/null | sed -n 's/.*@//p')"
zone=$(date +%z)
found=$(configured 2>/dev/null)
set --
while read -r service file; do
    case $file in
    *%[hn]*) file=$(echo "$file" | sed "s/%[hn]/$(uname -n | cut -d. -f1)/g") ;;
    esac
    # A node that is no controller has slurm.conf, too, and no log of slurmctld.
    case " $services " in
    *" $service "*) [ -f "$file" ] || continue ;;
    *) continue ;;
    esac
    echo "=> file $zone $service $file"
    set -- "$@" "$file"
done <<END
$found
END
[ $# -gt 0 ] || exit 0
exec tail --verbose --lines="$lines" ${follow:+--follow=name --retry} -- "$@" 2>/dev/null
