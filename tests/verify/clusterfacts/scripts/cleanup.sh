# The files that nodes wrote for each other.  user shared token
shared="$shared" token="$token" runuser -u "$user" -- sh -c '
    for directory in $shared; do rm -rf "$directory/.verify-$token"; done'
