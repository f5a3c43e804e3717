"""Layouts of labs that are nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labctl.definition.models import Definition
from labctl.providers.base import PREFIX
from labctl.render.layout import BoxImage, Layout, Machine, Network


def network(subnet: str, name: str = "lc-full") -> Network:
    """A network with the host first."""
    addresses = IPv4Network(subnet)
    return Network(name, addresses, addresses[1])


def lay_out(
    definition: Definition,
    where: Network,
    *,
    addresses: Mapping[str, IPv4Address] = {},
    directory: Path = Path("/labs/.labctl/full"),
) -> Layout:
    """A lab in a network: each node at the next address, or where `addresses` says."""
    machines = tuple(
        Machine(
            node,
            f"{PREFIX}{definition.name}_{node.name}",
            f"52:54:00:00:00:{index:02x}",
            addresses.get(node.name, where.subnet[10 + index]),
        )
        for index, node in enumerate(definition.machines())
    )
    return Layout(
        lab=definition.name,
        definition=definition,
        network=where,
        machines=machines,
        box=BoxImage("labctl-debian-12-abc", "1.0.0", "/pool/vmlinuz", "/pool/initrd", "root", baked=True),
        driver="qemu",
        provider="libvirt",
        directory=directory,
        public_key="ssh-ed25519 AAAA lab",
        prefix=f"{PREFIX}{definition.name}_",
    )
