# Slurm as the controller sees it. Waits until nodes have settled: a cluster that was just started may need a moment.
# What an admin has drained stays drained, so nobody waits for that.
# settle

if [ "$level" != quick ]; then # that sinfo answers says as much
    section ping
    scontrol ping 2>&1
fi
settled() {
    while read -r _ state _; do
        case $state in idle* | mixed* | allocated* | drained* | draining*) ;; *) return 1 ;; esac
    done <<NODES
$nodes
NODES
}
section nodes
waited=0
while :; do
    nodes=$(node_states)
    settled && break
    [ "$waited" -lt "$settle" ] || break
    sleep 1
    waited=$((waited + 1))
done
echo "$nodes"
section busy
case $nodes in
*" mixed"* | *" allocated"* | *" completing"*)
    squeue --noheader --states=running,completing --format='%i %u %N' 2>&1 ;;
esac
[ "$level" = quick ] && exit 0
section reasons
sinfo --noheader --list-reasons --format='%n %E' 2>&1
section partitions
scontrol --oneliner show partition 2>&1
section node
scontrol --oneliner show node 2>&1
section config
scontrol show config 2>&1
