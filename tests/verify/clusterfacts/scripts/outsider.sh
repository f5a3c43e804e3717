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
there() { ip -n $space address add "$client/$prefix" dev eth0 && ip -n $space link set eth0 up && ip -n $space link set lo up; }
nfs() { timeout "$limit" "$@" bash -c "exec 3<>/dev/tcp/$server/2049" 2>&1; }
# make RIGHT COMMAND...: without the right, or where the kernel cannot, there is nothing to try; all else is a failure.
make() {
    right=$1
    shift
    said=$("$@" 2>&1) && return
    case $said in
    *'not permitted'* | *'ermission denied'* | *'not supported'* | *'Unknown device type'*) section missing ;;
    *) section broken ;;
    esac
    echo "$right ($*: $said)"
    exit 0
}
make 'the right to make a network namespace, CAP_SYS_ADMIN' ip netns add $space
make 'the right to make a link, CAP_NET_ADMIN, or the kernel module veth' \
    ip link add vfy-$$ type veth peer name eth0 netns $space
make 'an address on its own end of the link, CAP_NET_ADMIN' here
make 'an address in the network namespace, CAP_NET_ADMIN' there

# A network manager of the server may take the new link as its own and drop the address, once: give it again. A busy
# machine may take seconds to start a shell.
section reach
for limit in 2 2 4 8; do
    here 2>/dev/null
    reason=$(nfs ip netns exec $space) && reason=reached && break
done
echo "${reason:-no answer}"
if [ "$reason" != reached ]; then
    # To ARP and to itself it answers: what is between them is a packet filter, and that refuses strangers as well.
    ip -n $space neighbour show "$server" | grep -q lladdr && nfs env >/dev/null && section filtered && echo yes
    exit 0
fi
for export in $exports; do
    section "mount $export"
    timeout 40 ip netns exec $space mount -t nfs4 -o "ro,soft,timeo=50,retrans=1,retry=0" "$server:$export" "$point" 2>&1
    echo "code $?"
done
