# All jobs of the suite, as its user on the controller: submitted together, waited for once.
# level deadline partitions ("name:nodes ...") default gpu_partition gpu_node gpu_most gpu_ask gpu_devices accounting

cd "$HOME" 2>/dev/null || { section broken; echo "cannot enter the home $HOME"; exit 0; }
directory=$(mktemp -d "$HOME/.verify-jobs-XXXXXX") || { section broken; echo "cannot write in the home $HOME"; exit 0; }
jobs=
clean() { [ -z "$jobs" ] || scancel --quiet $jobs 2>/dev/null; cd /; rm -rf "$directory"; }
trap clean EXIT
trap 'exit 143' HUP INT TERM
cd "$directory" || exit 0

submit() { # name of the job here, then what sbatch is given
    name=$1; shift
    out=$(sbatch --parsable --time=1 "$@" 2>&1); code=$?
    section "submit $name"
    printf '%s\n%s\n' "$code" "$out"
    [ $code -ne 0 ] || { jobs="$jobs ${out%%;*}"; section "id $name"; echo "${out%%;*}"; }
}
# The least memory (MB), the most memory and the most CPUs of a node of the default partition
least= most=0 cores=0
sizes() {
    while read -r memory cpus; do
        [ "${least:-$memory}" -lt "$memory" ] || least=$memory
        [ "$most" -gt "$memory" ] || most=$memory
        [ "$cores" -gt "$cpus" ] || cores=$cpus
    done
}
steps=
for entry in $partitions; do
    (
        name=${entry%%:*}
        timeout "$deadline" srun --partition="$name" --nodes="${entry#*:}" --ntasks-per-node=1 --mem=32M --time=2 \
            sh -c 'echo "$SLURMD_NODENAME $(hostname -s)"' >"srun-$name.out" 2>"srun-$name.err" </dev/null
        echo $? >"srun-$name.code"
    ) &
    steps="$steps $!"
done

if [ "$level" != quick ]; then
    cat >research.sh <<'SCRIPT'
#!/bin/sh
echo "I love doing research!"
SCRIPT
    sizes <<NODES
$(sinfo --noheader --Node --partition="$default" --format='%m %c')
NODES
    memory=${least:-500}
    [ "$memory" -lt 500 ] || memory=500
    section asked
    echo "memory ${memory}M"
    # What takes longest comes first; what is refused comes last, while the others run.
    submit greedy --job-name=verify-greedy --partition="$default" --mem=64M --output=greedy.out \
        --wrap='dd if=/dev/zero of=/dev/null bs=400M count=1'
    submit research --job-name=research --partition="$default" --nodes=1 --ntasks=1 --mem="${memory}M" \
        --time=00:00:30 --output=research.out --error=research.err research.sh
    submit array --job-name=verify-array --partition="$default" --array=0-2 --mem=32M --output=array-%a.out --wrap='
        echo "task $SLURM_ARRAY_TASK_ID"
        echo "given $SLURM_CPUS_ON_NODE"
        echo "usable $(nproc)"
        echo "cgroup $(cat /proc/self/cgroup)"'
    if [ -n "$gpu_partition" ]; then
        export gpu_devices
        look='env | grep -E "^(SLURM_.*GPU|CUDA|ROCR|ZE_|GPU_)" | sort
            for device in $gpu_devices; do
                if reason=$( (: <"$device") 2>&1 ); then reason=opened; fi
                echo "device $device ${reason##*: }"
            done'
        submit gpu --job-name=verify-gpu --partition="$gpu_partition" --nodelist="$gpu_node" --nodes=1 \
            --gpus="$gpu_ask" --mem=32M --output=gpu.out --wrap="$look"
        submit no-gpu --job-name=verify-no-gpu --partition="$gpu_partition" --nodelist="$gpu_node" --nodes=1 \
            --mem=32M --output=no-gpu.out --wrap="$look"
    fi
    submit too-much-memory --partition="$default" --mem="$((most + 1024))M" --output=/dev/null --wrap=true
    submit too-many-cpus --partition="$default" --nodes=1 --cpus-per-task="$((cores + 1))" \
        --output=/dev/null --wrap=true
    [ -z "$gpu_partition" ] || submit too-many-gpus --partition="$gpu_partition" --nodes=1 \
        --gres="gpu:$((gpu_most + 1))" --output=/dev/null --wrap=true
fi

list=$(echo $jobs | tr ' ' ,)
end=$(($(date +%s) + deadline))
while [ -n "$list" ] && [ -n "$(squeue --noheader --jobs="$list" --format=%i 2>/dev/null)" ]; do
    if [ "$(date +%s)" -ge "$end" ]; then
        section late
        squeue --jobs="$list" --format='%i %j %T %r %N'
        break
    fi
    sleep 1
done
for step in $steps; do wait "$step"; done

section show
for job in $jobs; do scontrol --oneliner show job "$job" 2>&1; done
for name in research.out research.err array-0.out array-1.out array-2.out greedy.out gpu.out no-gpu.out; do
    [ -f "$name" ] || continue
    section "file $name"
    cat "$name"
done
for entry in $partitions; do
    name=${entry%%:*}
    for kind in code out err; do section "srun $name $kind"; cat "srun-$name.$kind"; done
done
[ "$level" = quick ] && exit 0
if [ -n "$accounting" ] && [ -n "$list" ]; then # slurmctld tells slurmdbd of a job's end a moment later
    section sacct
    end=$(($(date +%s) + 60))
    while :; do
        known=$(sacct --noheader --parsable2 --allocations --jobs="$list" \
            --format=JobID,JobName,User,Account,QOS,Partition,State 2>&1)
        case $known in *RUNNING* | *PENDING* | '') ;; *) break ;; esac
        [ "$(date +%s)" -lt "$end" ] || break
        sleep 1
    done
    echo "$known"
fi
section owner
stat -c '%U %G %a' research.out 2>&1
section filesystem
stat -f -c %T . 2>&1
section after
end=$(($(date +%s) + 30))
while :; do
    nodes=$(node_states)
    others=$(squeue --noheader --states=RUNNING,COMPLETING --format='%N' | sort --unique)
    # A node that works for somebody else is not idle, and need not become so.
    [ -z "$others" ] || others=$(scontrol show hostnames "$(echo "$others" | paste --serial --delimiters=,)")
    echo "$nodes" | grep -v ' idle ' | cut --delimiter=' ' --fields=1 | grep -qvxF "${others:-none}" || break
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 1
done
echo "$nodes"
section others
echo "$others"
