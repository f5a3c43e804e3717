"""Distributions: what packages are called there, how they are installed, and which of libvirt's daemons they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.host.check import Commands

_OS_RELEASE = Path("/etc/os-release")
RUN = Path("/run")


@dataclass(frozen=True)
class Distribution:
    """A family of distributions.

    Attributes:
        names: as os-release(5) has them in ID and ID_LIKE.
        packages: of each program that labctl needs; several with spaces between them.
        before: commands before an installation.
        install: what the names of packages are put behind.
        units: what systemd starts so that libvirt answers; sockets start their services.
        daemons: the same where there is no systemd: each with its socket below /run/libvirt, in this order.
    """

    names: tuple[str, ...]
    packages: Mapping[str, str]
    before: Commands
    install: tuple[str, ...]
    units: tuple[str, ...]
    daemons: tuple[tuple[str, str], ...]

    def installation(self, programs: Sequence[str]) -> Commands:
        """The commands that install these programs."""
        packages = [package for program in programs for package in self.packages[program].split()]
        return (*self.before, (*self.install, *dict.fromkeys(packages)))


_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
DEBIAN = Distribution(
    names=("debian", "ubuntu"),
    packages={
        "qemu-system-x86_64": "qemu-system-x86",
        "qemu-img": "qemu-utils",
        "libvirtd": "libvirt-daemon-system",
        "virsh": "libvirt-clients",
        "dnsmasq": "dnsmasq-base",
        "dbus-daemon": "dbus",
        "iptables": "iptables",
        "ip": "iproute2",
        "ssh": "openssh-client",
        "vagrant": "vagrant vagrant-libvirt",
        "mmdebstrap": "mmdebstrap",
        "mke2fs": "e2fsprogs",
    },
    before=((*_APT, "update"),),
    install=(*_APT, "install", "-y", "--no-install-recommends"),
    units=("libvirtd.service",),
    daemons=(("virtlogd", "virtlogd-sock"), ("libvirtd", "libvirt-sock")),
)
# libvirt's work is divided among several daemons there, and there is no libvirtd.
FEDORA = Distribution(
    names=("fedora", "rhel", "centos"),
    packages={
        "qemu-system-x86_64": "qemu-system-x86-core",
        "qemu-img": "qemu-img",
        "virtqemud": "libvirt-daemon-driver-qemu libvirt-daemon-kvm",
        "virsh": "libvirt-client",
        "dnsmasq": "dnsmasq",
        "dbus-daemon": "dbus-daemon",
        "iptables": "iptables-nft",
        "ip": "iproute",
        "ssh": "openssh-clients",
        "vagrant": "vagrant vagrant-libvirt",
        "mmdebstrap": "mmdebstrap",
        "mke2fs": "e2fsprogs",
    },
    before=(),
    install=("dnf", "install", "-y", "--setopt=install_weak_deps=False"),
    units=("virtqemud.socket", "virtnetworkd.socket", "virtstoraged.socket", "virtlogd.socket"),
    daemons=tuple(
        (daemon, f"{daemon}-sock") for daemon in ("virtlogd", "virtnetworkd", "virtstoraged", "virtqemud")
    ),
)


def here() -> Distribution | None:
    """This host's; None if labctl does not know it."""
    try:
        lines = _OS_RELEASE.read_text().splitlines()
    except OSError:
        return None
    facts = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    names = [facts.get("ID", ""), *facts.get("ID_LIKE", "").split()]
    return next((one for name in names for one in (DEBIAN, FEDORA) if name in one.names), None)


def systemd() -> bool:
    """Whether systemd is in charge of this host."""
    return (RUN / "systemd" / "system").is_dir()
