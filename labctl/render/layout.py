"""What a lab's files are rendered from: a definition, and where each of its machines is."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from labctl.definition.accounts import Account
from labctl.definition.models import Definition, Node

Driver = Literal["kvm", "qemu"]
Provider = Literal["libvirt", "virtualbox"]


@dataclass(frozen=True)
class Network:
    """The lab's own network.

    Attributes:
        name: of the libvirt network and of its bridge, so 15 characters at most (the kernel's IFNAMSIZ).
        subnet: all of the lab's addresses.
        gateway: the host's address in it.
    """

    name: str
    subnet: IPv4Network
    gateway: IPv4Address


@dataclass(frozen=True)
class Machine:
    """One node as a virtual machine: ``domain`` is its libvirt name, MAC and address are fixed."""

    node: Node
    domain: str
    mac: str
    address: IPv4Address


@dataclass(frozen=True)
class BoxImage:
    """A Vagrant box, and how to start it.

    Attributes:
        name: of the Vagrant box.
        version: of the Vagrant box; None takes the newest.
        kernel: absolute path of the kernel to start directly; None if the box boots by itself.
        initrd: the same for its initrd.
        user: who logs in by SSH: root on labctl's own boxes, vagrant on public ones.
        baked: the packages of every role are inside.
        root: the kernel's ``root=`` argument.
        warm_python: it has a Python that has loaded what Ansible needs, see `labctl.warm_python`.
    """

    name: str
    version: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    user: str = "vagrant"
    baked: bool = False
    root: str = "/dev/vda"
    warm_python: bool = False


@dataclass(frozen=True)
class Layout:
    """All that the files of a lab are rendered from, but its secrets.

    Attributes:
        lab: the lab's name.
        definition: what it shall be.
        network: its network.
        machines: its machines, in the order of the definition.
        box: what they start from.
        driver: ``kvm`` or ``qemu`` (software emulation).
        provider: who makes them.
        directory: the lab's own files, ``.labctl/<name>``, absolute.
        public_key: the lab's public SSH key, one OpenSSH line.
        prefix: what libvirt's domain and volume names begin with.
        pool: libvirt's storage pool for the box and the machines' disks.
        vagrantfile: the name of the file in the directory that tells Vagrant of the machines.
        removed: accounts that were in the definition and may still be in the directory.
    """

    lab: str
    definition: Definition
    network: Network
    machines: tuple[Machine, ...]
    box: BoxImage
    driver: Driver
    provider: Provider
    directory: Path
    public_key: str
    prefix: str
    pool: str = "default"
    vagrantfile: str = "Vagrantfile"
    removed: frozenset[Account] = frozenset()


@dataclass(frozen=True)
class Secrets:
    """What must never be readable for others; generated once for a lab.

    Attributes:
        munge_key: base64.
        ca_certificate: PEM.
        certificates: PEM by node.
        private_keys: PEM by node.
        passwords: clear text by user, for the tests that log in.
        password_hashes: by user, as LDAP stores them: ``{CRYPT}$6$...``.
        jwt_key: base64, of Slurm's tokens; nothing where there is no REST daemon.
        storage_password: slurmdbd's for its database; nothing where there is no accounting.
    """

    munge_key: str = field(repr=False)
    ca_certificate: str = field(repr=False)
    certificates: dict[str, str] = field(repr=False)
    private_keys: dict[str, str] = field(repr=False)
    passwords: dict[str, str] = field(repr=False)
    password_hashes: dict[str, str] = field(repr=False)
    jwt_key: str = field(default="", repr=False)
    storage_password: str = field(default="", repr=False)
