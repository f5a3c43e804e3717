# A job of a user's that stays on a node until it is cancelled. The last line is its state, once it runs, and its number.
# user node wait

partition=$(sinfo --noheader --Node --nodes="$node" --format=%R | head -n 1)
job=$(runuser -u "$user" -- env -i PATH="$PATH" sbatch --parsable --nodelist="$node" --partition="$partition" --ntasks=1 \
    --mem=128M --time=5 --chdir=/ --output=/dev/null --job-name=verify-door --wrap='sleep 300' 2>&1) || { echo "$job"; exit; }
job=${job%%;*}
end=$(($(date +%s) + wait))
while :; do
    state=$(squeue --noheader --jobs="$job" --format=%T 2>&1)
    case $state in PENDING | CONFIGURING) [ "$(date +%s)" -ge "$end" ] || { sleep 1; continue; } ;; esac
    break
done
echo "$state $job"
