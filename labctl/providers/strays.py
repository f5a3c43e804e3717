"""What libvirt has of labs and no machine uses: disks and networks that something was cut off before removing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import libvirt

from labctl.providers.base import PREFIX
from labctl.providers.libvirt import POOL

if TYPE_CHECKING:
    from labctl.providers.libvirt import Hypervisor

__all__ = ["POOL", "disks", "networks"]
_BRIDGES = "lc-"  # see `networks.name`


def disks(hypervisor: Hypervisor) -> list[str]:
    """The names of machines' disks whose machine is not there."""
    machines = [domain.name() for domain in hypervisor.connection.listAllDomains()]
    with contextlib.suppress(libvirt.libvirtError):  # there is no pool yet
        names = hypervisor.connection.storagePoolLookupByName(POOL).listVolumes()
        return sorted(
            name
            for name in names
            if name.startswith(PREFIX) and not any(name.startswith(f"{one}.") for one in machines)
        )
    return []


def networks(hypervisor: Hypervisor) -> list[str]:
    """The names of labs' networks that no machine is plugged into."""
    used = "".join(domain.XMLDesc() for domain in hypervisor.connection.listAllDomains())
    names = [network.name() for network in hypervisor.connection.listAllNetworks()]
    return sorted(name for name in names if name.startswith(_BRIDGES) and f"network='{name}'" not in used)
