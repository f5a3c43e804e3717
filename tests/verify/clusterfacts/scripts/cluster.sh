# Slurm as the controller sees it. Waits until nodes have settled: a cluster that was just started may need a moment.
# What an admin has drained stays drained, so nobody waits for that.
# settle

section ping
scontrol ping 2>&1
section nodes
end=$(($(date +%s) + settle))
while :; do
    nodes=$(sinfo --noheader --Node --format='%N %T %P' 2>&1) || true
    echo "$nodes" | grep -qvE ' (idle|mixed|allocated|drained|draining)[^ ]* ' || break
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 1
done
echo "$nodes"
section busy
squeue --noheader --states=running,completing --format='%i %u %N' 2>&1
[ "$level" = quick ] && exit 0
section reasons
sinfo --noheader --list-reasons --format='%n %E' 2>&1
section partitions
scontrol --oneliner show partition 2>&1
section node
scontrol --oneliner show node 2>&1
section config
scontrol show config 2>&1
