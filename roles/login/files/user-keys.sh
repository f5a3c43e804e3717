# Managed by Ansible. The first login gives users a key without a passphrase for the way from here to the nodes of their jobs, in
# the home that all nodes share. Whoever has a key of any kind in ~/.ssh, or takes this one away from authorized_keys, is left alone.
#
# The key is not restricted by from="ADDRESSES": the line is the user's once it is written, and a node that joins the cluster later
# would be refused. Who can read the key can read the home, and is in the cluster already.
(
    # What every later login does, and what starts no process.
    for key in "$HOME"/.ssh/id_*; do
        [ ! -e "$key" ] || exit 0
    done
    { [ -O "$HOME" ] && [ -w "$HOME" ] && [ "$(id -u)" -ge 1000 ]; } || exit 0
    umask 077
    mkdir -p "$HOME/.ssh" && cd "$HOME/.ssh" || exit 0
    # A second login waits until the first one has made the key, on another login node as well, and finds it.
    exec 9>>authorized_keys && flock -w 10 9 && [ ! -e id_ed25519 ] || exit 0
    draft=$(mktemp -d .id_XXXXXX) || exit 0
    trap 'rm -rf "$draft"' EXIT
    ssh-keygen -q -t ed25519 -N '' -C "$(id -un), made by the first login for use in the cluster" -f "$draft/key" || exit 0
    # The last line of the file may have no end.
    [ -z "$(tail -c 1 authorized_keys)" ] || echo >&9
    # The key comes last, because it says that all is done: a login that was cut off before leaves the rest to the next one.
    cat "$draft/key.pub" >&9 && mv "$draft/key.pub" id_ed25519.pub && mv "$draft/key" id_ed25519
) </dev/null >/dev/null 2>&1 || :
