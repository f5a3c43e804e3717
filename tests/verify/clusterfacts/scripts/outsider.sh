# A client outside every exported network: a network namespace on the NFS server, with an address of its own, tries
# to mount. Everything it makes is gone afterwards.
# server client prefix exports

command -v ip >/dev/null || { section missing; echo 'ip (iproute2)'; exit 0; }
command -v mount.nfs4 >/dev/null || { section missing; echo 'mount.nfs4 (nfs-common)'; exit 0; }
space=verify$$
point=$(mktemp -d)
clean() { ip netns delete $space; ip link delete vfy-$$; rmdir "$point"; }
trap 'clean 2>/dev/null' EXIT
here() { ip address replace "$server/$prefix" dev vfy-$$ && ip link set vfy-$$ up; }
{
    ip netns add $space && ip link add vfy-$$ type veth peer name eth0 netns $space && here &&
        ip -n $space address add "$client/$prefix" dev eth0 && ip -n $space link set eth0 up && ip -n $space link set lo up
} >/dev/null 2>&1 || { section missing; echo 'the right to make a network namespace with a link'; exit 0; }

# A network manager of the server may take the new link as its own and drop the address, once: give it again.
section reach
for _ in 1 2 3 4 5; do
    here 2>/dev/null
    reason=$(timeout 2 ip netns exec $space bash -c "exec 3<>/dev/tcp/$server/2049" 2>&1) && reason=reached && break
done
echo "$reason"
[ "$reason" = reached ] || exit 0
for export in $exports; do
    section "mount $export"
    timeout 40 ip netns exec $space mount -t nfs4 -o "ro,soft,timeo=50,retrans=1,retry=0" "$server:$export" "$point" 2>&1
    echo "code $?"
done
