"""The hypervisor that libvirt itself has for tests: it runs in this process and boots nothing."""

from __future__ import annotations

import contextlib
from typing import Any

import libvirt

from labctl.providers.libvirt import Hypervisor, domain_name

URI = "test:///default"
_DOMAIN = "<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def clean(connection: Any) -> None:
    """Remove what an earlier test has made; the hypervisor lives as long as anybody has a connection."""
    with contextlib.suppress(libvirt.libvirtError):
        for domain in connection.listAllDomains():
            if domain.isActive():
                domain.destroy()
            domain.undefine()
    for network in connection.listAllNetworks():
        if network.name() != "default":
            if network.isActive():
                network.destroy()
            network.undefine()
    for pool in connection.listAllStoragePools():
        if pool.name() != "default-pool":
            for volume in pool.listAllVolumes():
                volume.delete()


def define(hypervisor: Hypervisor, name: str) -> Any:
    """A domain that is not started."""
    return hypervisor.connection.defineXML(_DOMAIN.format(name))


def machine(hypervisor: Hypervisor, lab: str, node: str, *, start: bool = True) -> Any:
    """A node's domain."""
    domain = define(hypervisor, domain_name(lab, node))
    if start:
        domain.create()
    return domain


def volume(hypervisor: Hypervisor, name: str) -> Any:
    """An empty volume in labctl's pool."""
    return hypervisor.pool().createXML(f"<volume><name>{name}</name><capacity>0</capacity></volume>")


class Stream:
    """What libvirt's test hypervisor lacks: a way for bytes into a volume."""

    def __init__(self) -> None:
        self.taken = b""
        self.finished = False
        self.limit: int | None = None

    def sendAll(self, read: Any, opaque: Any) -> None:  # noqa: N802 - libvirt's name
        """Take all that `read` gives, or as much as fits."""
        while part := read(self, 4096, opaque):
            self.taken += part
            if self.limit is not None and len(self.taken) > self.limit:
                raise libvirt.libvirtError("cannot write: No space left on device")

    def finish(self) -> None:
        """All is there."""
        self.finished = True
