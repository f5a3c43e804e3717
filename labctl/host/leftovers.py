"""What is left in libvirt of labs that are no more. None of it is removed unasked: there may be work on its disks."""

from __future__ import annotations

from pathlib import Path

from labctl.errors import LabError
from labctl.host.check import Check


def leftovers() -> Check:
    """Machines whose lab's folder is gone, and disks and networks that no machine uses."""
    from labctl.providers import strays  # noqa: PLC0415 - a host may lack libvirt's library
    from labctl.providers.libvirt import Hypervisor  # noqa: PLC0415

    try:
        hypervisor = Hypervisor()
        found = hypervisor.found()
        disks, networks = strays.disks(hypervisor), strays.networks(hypervisor)
    except LabError as error:
        return Check("leftovers", None, error.what)
    dead = sorted({one.lab for one in found if one.directory and not Path(one.directory).exists()})
    seen = [f"{lab}, whose folder is gone" for lab in dead] + [f"the disk {disk}" for disk in disks]
    seen += [f"the network {network}" for network in networks]
    commands = [f"labctl destroy {lab}" for lab in dead]
    commands += [f"virsh vol-delete --pool {strays.POOL} {disk}" for disk in disks]
    commands += [f"virsh net-destroy {network}; virsh net-undefine {network}" for network in networks]
    if not seen:
        return Check("leftovers", True, "none")
    return Check("leftovers", None, ", ".join(seen), "; ".join(commands))
