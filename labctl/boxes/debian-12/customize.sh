#!/bin/sh
# Makes the tree in $1 a machine of a lab. Runs once, at the end of the box's build, as root of that tree.
# MASK, DISABLE and BLACKLIST come from the recipe and from the roles; WARM_PYTHON says whose modules it has loaded.
# The recipe's other files lie beside this one.
set -eu
root=$1
here=${0%/*}

mkdir -p "$root/etc/systemd/network" "$root/etc/systemd/system.conf.d" "$root/etc/ssh/sshd_config.d" \
    "$root/etc/systemd/system/qemu-guest-agent.service.d"
cat > "$root/etc/systemd/network/80-dhcp.network" <<'EOF'
[Match]
Type=ether

[Network]
DHCP=ipv4
IPv6AcceptRA=no
LinkLocalAddressing=no

# Not by the machine-id, which networkd reads once: a copied machine gets its own later than that.
[DHCPv4]
ClientIdentifier=mac
EOF

# Every machine makes its own host key when it first boots; one kind is enough, and RSA takes minutes to make under emulation.
cat > "$root/etc/systemd/system/ssh-hostkey.service" <<'EOF'
[Unit]
Description=Host key of this machine
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
EOF
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\n' > "$root/etc/ssh/sshd_config.d/10-box.conf"

# systemd's own limit is 90 seconds, and SSSD has needed more where six emulated machines booted at once on a busy host.
printf '[Manager]\nDefaultTimeoutStartSec=300\n' > "$root/etc/systemd/system.conf.d/box.conf"

# The agent tells the journal of every question that it is asked, and to take that down costs more than to answer.
printf '[Service]\nLogLevelMax=notice\n' > "$root/etc/systemd/system/qemu-guest-agent.service.d/box.conf"

printf '/dev/vda / ext4 rw,noatime 0 1\n' > "$root/etc/fstab"
for module in $BLACKLIST; do printf 'blacklist %s\n' "$module"; done > "$root/etc/modprobe.d/box.conf"

# Compiled code is kept; what Ansible runs is compiled as soon as this script is done.
python=$root/usr/lib/python3/dist-packages
install -m 644 "$here/kept_code.py" "$python/kept_code.py"
printf 'import kept_code; kept_code.install()\n' > "$python/kept_code.pth"
mkdir -m 700 "$root/var/cache/kept_code"

# A Python that has all of that loaded, once somebody asks for it; the modules are put there as soon as this script is done.
# gcc is the role mpi's.
mkdir "$root/usr/lib/warm_python"
install -m 644 "$here/warm_python.py" "$root/usr/lib/warm_python/warm_python.py"
chroot "$root" gcc -static -O2 -s -x c - -o /usr/lib/warm_python/python3 < "$here/warm_python.c"
cat > "$root/etc/systemd/system/warm_python.socket" <<EOF
[Unit]
Description=Programs for a Python that has loaded what Ansible needs

[Socket]
ListenStream=/run/warm_python/$WARM_PYTHON
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
EOF
# Each program lives as long as whoever brought it wants, and none goes with another.
cat > "$root/etc/systemd/system/warm_python.service" <<'EOF'
[Unit]
Description=A Python that has loaded what Ansible needs

[Service]
ExecStart=/usr/bin/python3 /usr/lib/warm_python/warm_python.py
Environment=LANG=C.UTF-8
KillMode=process
OOMPolicy=continue
TasksMax=infinity
EOF

# The guest agent sets a clock only where it can run hwclock after that, which spins until the next second begins: all of a CPU,
# and in all machines at once. The chip that it would set is emulated and has the host's time.
chroot "$root" dpkg-divert --quiet --local --rename --add /sbin/hwclock
# Nothing that must be linked first: that costs CPU right after a restore, when all machines are told the time. gcc is the role mpi's.
printf 'int main(void) { return 0; }\n' | chroot "$root" gcc -static -s -x c - -o /sbin/hwclock

# JupyterLab asks node for yarn's settings whenever it starts and may run it: four seconds of a notebook's start under emulation.
# Who needs node is the hub, which is root.
chroot "$root" dpkg-statoverride --update --add root root 0744 /usr/bin/node

# shellcheck disable=SC2086  # a list of units
chroot "$root" systemctl --quiet disable $DISABLE
for unit in $MASK; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
# With networkd comes its wait for the network. Nothing of a bare machine asks for it; mounts over the network do, at a reboot.
chroot "$root" systemctl --quiet enable systemd-networkd.service ssh-hostkey.service warm_python.socket
test -e "$root/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service"

# The modules that find the root disk, and nothing that depends on the machine this was built on.
release=$(ls "$root/lib/modules")
chroot "$root" mktirfs --auto-modules=no --microcode=no --include-modules=virtio_pci,virtio_blk \
    -o "/boot/initrd.img-$release" "$release"

# Nothing that one machine has and the next must not have.
rm -f "$root"/etc/ssh/ssh_host_*_key* "$root/etc/munge/munge.key" "$root/var/lib/dbus/machine-id" "$root/etc/hostname" \
    "$root/etc/resolv.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
: > "$root/etc/machine-id"
