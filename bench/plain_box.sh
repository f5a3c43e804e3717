#!/bin/sh
# Makes the tree in $1 what a public Debian box is: a user `vagrant` that Vagrant's well-known key opens and that may use sudo,
# an address by DHCP, and the sources of packages. Runs at the end of mmdebstrap, as root of that tree.
# KEY is the public key; MIRROR and NAMESERVER are the host's, as the machines see it.
set -eu
root=$1

chroot "$root" useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/vagrant"
chmod 440 "$root/etc/sudoers.d/vagrant"
mkdir -m 700 "$root/home/vagrant/.ssh"
echo "$KEY" > "$root/home/vagrant/.ssh/authorized_keys"
chmod 600 "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh

printf '[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n' > "$root/etc/systemd/network/80-dhcp.network"
chroot "$root" systemctl --quiet enable systemd-networkd.service
printf '/dev/vda / ext4 rw,noatime 0 1\n' > "$root/etc/fstab"
echo debian > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 debian\n' > "$root/etc/hosts"
echo "nameserver $NAMESERVER" > "$root/etc/resolv.conf"

# As the sources.list of a public box names a mirror that answers, so does this one.
rm -f "$root"/etc/apt/sources.list.d/*
echo "deb [trusted=yes] $MIRROR ./" > "$root/etc/apt/sources.list"
