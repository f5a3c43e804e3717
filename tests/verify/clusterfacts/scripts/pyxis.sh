# An image is made here, without any registry, and a job runs in it; all of it as the suite's user.
# directory partition deadline

image=$(mktemp -d "$directory/.verify-pyxis-XXXXXX") || { section broken; echo "cannot write in $directory"; exit 0; }
trap 'cd /; rm -rf "$image"' EXIT
trap 'exit 143' HUP INT TERM
cd "$image" || exit 0

# What enroot's own hooks write into and mount upon is there; the rest is one static program.
make() {
    mkdir -p root/bin root/dev root/etc root/proc root/run root/sys root/tmp && cp "$(command -v busybox)" root/bin/ || return
    for tool in sh cat test; do ln -s busybox "root/bin/$tool" || return; done
    echo 'ID=verify-pyxis' >root/etc/os-release
    mksquashfs root made.sqsh -quiet -no-progress -all-root
}
run() { timeout "$deadline" srun --quiet --partition="$partition" --nodes=1 --ntasks=1 --mem=128M --time=2 "$@" </dev/null; }

try help srun --help
try make make
try job run --container-image="$image/made.sqsh" /bin/sh -c '
    cat /etc/os-release
    test -e /etc/slurm/slurm.conf || echo "no files of the node"
    echo "job $SLURM_JOB_ID"
    exit 7'
try nowhere run --container-image="$image/nowhere.sqsh" /bin/sh -c 'echo ran'
