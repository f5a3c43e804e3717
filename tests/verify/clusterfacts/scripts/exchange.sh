# What the other nodes gave, seen from this one. Standard input: a line "node credential" for each.
# user home shared token writers squashed

section decoded
while read -r name credential; do
    reason=$(printf '%s' "$credential" | unmunge -n 2>&1) && reason=ok
    printf '%s %s\n' "$name" "$reason"
done
section read
[ -z "$shared" ] || shared="$shared" token="$token" writers="$writers" runuser -u "$user" -- sh -c '
    for directory in $shared; do for writer in $writers; do
        seen=$( { IFS= read -r line <"$directory/.verify-$token/$writer" && echo "$line"; } 2>&1 )
        printf "%s %s %s\n" "$directory" "$writer" "${seen:-nothing}"
    done; done'
section root
for directory in $squashed; do
    printf '%s ' "$directory"
    if reason=$(ls "$directory/.verify-$token" 2>&1 >/dev/null); then echo 'can list'; else echo "${reason##*: }"; fi
done
section home
[ -z "$home" ] || stat -c '%a %U %G' "$home" 2>&1
