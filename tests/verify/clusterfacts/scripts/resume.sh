# What an admin has to do after a reboot of all nodes where slurm.conf asks for one (ReturnToService is not 2): resume
# those that Slurm took out because they were rebooted, and no others.
# settle

end=$(($(date +%s) + settle))
until config=$(scontrol show config 2>/dev/null); do
    [ "$(date +%s)" -lt "$end" ] || { section late; echo 'the controller does not answer'; exit 0; }
    sleep 2
done
section policy
printf '%s\n' "$config" | sed -n 's/^ReturnToService *= *//p'
printf '%s\n' "$config" | grep -q '^ReturnToService *= *2' && exit 0
section resumed
while :; do
    rebooted=$(sinfo --noheader --Node --format='%N %T %E' | sort -u | sed -n 's/ down .*unexpectedly rebooted.*//p')
    for node in $rebooted; do scontrol update nodename="$node" state=resume && echo "$node"; done
    node_states | grep -qv ' idle ' || break
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 2
done
