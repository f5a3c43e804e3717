# What accounting knows, asked on the controller, and jobs that are refused or never run: they are held, then cancelled.
# user home cluster qos jobs longer

section clusters
sacctmgr --noheader --parsable2 show cluster format=cluster 2>&1
section associations
sacctmgr --noheader --parsable2 show association where user="$user" cluster="$cluster" format=account,user 2>&1
section default
sacctmgr --noheader --parsable2 show user where name="$user" format=user,defaultaccount 2>&1
section shares
sshare --noheader --parsable2 --users="$user" --format=Account,User,RawShares,FairShare 2>&1
section report
sreport --noheader --parsable2 cluster Utilization 2>&1 && echo '- answered'
as_user() { runuser -u "$user" -- env -i HOME="$home" PATH="$PATH" LC_ALL=C "$@"; }
submit() { # name here, then what sbatch is given
    name=$1; shift
    out=$(as_user sbatch --parsable --hold --time=1 --mem=32M --chdir=/ --output=/dev/null --job-name=verify-limit "$@" --wrap=true 2>&1)
    code=$?
    section "submit $name"
    printf '%s\n%s\n' "$code" "$out"
    [ $code -ne 0 ] || held="$held ${out%%;*}"
}
held=
trap '[ -z "$held" ] || scancel --quiet $held 2>/dev/null' EXIT HUP INT TERM
submit stranger --account=verify-no-such-account
if [ -n "$qos" ]; then
    [ -z "$longer" ] || submit longer --qos="$qos" --time="$longer"
    number=0
    while [ "$number" -lt "$jobs" ]; do
        number=$((number + 1))
        submit "within $number" --qos="$qos"
    done
    [ "$jobs" -eq 0 ] || submit beyond --qos="$qos"
fi
