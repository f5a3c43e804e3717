# An image made here goes to the registry and comes back as a bundle, and a job runs in it; all of it as the suite's user.
# bundles partition registry token deadline

directory=$(mktemp -d "$bundles/.verify-containers-XXXXXX") || { section broken; echo "cannot write in $bundles"; exit 0; }
chmod 755 "$directory" # slurmstepd reads a bundle as root, which is nobody on NFS
image="$registry/verify/image:$token" # of one repository, however often this is run
pushed=
clean() {
    [ -z "$pushed" ] || skopeo delete "docker://$image" >/dev/null 2>&1
    cd /
    rm -rf "$directory"
}
trap clean EXIT
trap 'exit 143' HUP INT TERM
cd "$directory" || exit 0

# Slurm reads the bundle's own folder and config.json as nobody; the image's files only the job reads.
unpack() { umoci unpack --rootless --image "images:$1" "$1" && chmod a+rx "$1" && chmod a+r "$1/config.json"; }
# The files have the same times each time, and so the registry has them once however often this is run.
make() {
    umoci init --layout images && umoci new --image images:made && unpack made || return
    mkdir made/rootfs/bin made/rootfs/etc && cp /bin/busybox made/rootfs/bin/ && ln -s busybox made/rootfs/bin/sh || return
    echo 'ID=verify-containers' >made/rootfs/etc/os-release
    find made/rootfs -exec touch --no-dereference --date=@0 {} +
    umoci repack --image images:made made
}
run() { timeout "$deadline" srun --quiet --partition="$partition" --nodes=1 --ntasks=1 --mem=64M --time=2 "$@" </dev/null; }

bundle=made
if try make make && [ -n "$registry" ]; then
    mkdir nobody
    bundle=pulled
    try push skopeo copy --quiet oci:images:made "docker://$image" && pushed=yes
    try pull skopeo copy --quiet "docker://$image" oci:images:pulled && unpack pulled
    try unknown skopeo copy --quiet "docker://$registry/verify/no-such-image:1" oci:images:unknown
    try untrusted skopeo copy --quiet --src-cert-dir="$directory/nobody" "docker://$image" oci:images:untrusted
fi
try job run --container="$directory/$bundle" /bin/sh -c '
    busybox cat /etc/os-release
    busybox test -e /etc/slurm/slurm.conf || echo "no files of the node"
    echo "job $SLURM_JOB_ID"
    exit 7'
try nowhere run --container="$directory/nowhere" /bin/sh -c 'echo ran'
