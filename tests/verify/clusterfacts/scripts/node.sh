# Facts of one node, and its half of what nodes give each other: a MUNGE credential, a file in each shared directory.
# me names users groups units checksums modes user shared token level

section boot
read -r boot </proc/sys/kernel/random/boot_id
echo "$boot"
section clock
date +%s.%N
section passwd
[ -z "$users" ] || getent passwd $users
[ "$level" = quick ] && exit 0

section groups
[ -z "$groups" ] || getent group $groups
section memberships
[ -z "$users" ] || getent initgroups $users
section hosts
resolved() { # line "address STREAM name": the first of each name, and in the order of the names
    for name in $names; do
        while read -r address _ canonical; do [ -z "$canonical" ] || break; done
        echo "$name $address"
    done
}
if known=$(getent ahostsv4 $names); then
    resolved <<ANSWERS
$known
ANSWERS
else # some name is unknown: which one?
    for name in $names; do getent ahostsv4 "$name" | { read -r address _; echo "$name $address"; }; done
fi
section mounts
cat /proc/mounts
section cgroup
stat -f -c %T /sys/fs/cgroup
section checksums
sha256sum $checksums 2>/dev/null
section modes
stat -c '%n %a %U %G' $modes 2>/dev/null
section units
systemctl show --property=Id,ActiveState,LoadState $units
section enabled
# From the disk: UnitFileState of `systemctl show` is what systemd remembers from when it last read all units.
systemctl list-unit-files --no-legend $units
section rc
echo /etc/rc[2-4].d/S*
section failed
systemctl list-units --failed --plain --no-legend && echo '- asked'
section filesystems
for counter in /sys/fs/ext4/*/errors_count; do
    [ ! -r "$counter" ] || { read -r errors <"$counter" && echo "${counter%/*} $errors"; }
done
section credential
command -v munge >/dev/null && munge -n -t 600
section keys
[ -z "$user" ] || ! command -v sss_ssh_authorizedkeys >/dev/null || sss_ssh_authorizedkeys "$user"
section shared
[ -z "$shared" ] || shared="$shared" token="$token" node="$me" runuser -u "$user" -- sh -c '
    umask 077
    for directory in $shared; do
        if mkdir -p "$directory/.verify-$token" && echo "$token from $node" >"$directory/.verify-$token/$node"
        then echo "$directory written"; fi
    done' 2>&1
