"""Which address and which MAC a node has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from labctl.render.layout import Network

_FIRST = 10  # of the subnet; what is below is the host's


def assign(network: Network, names: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """An address for each node: the one it had, or the lowest free one.

    Args:
        network: where they shall be.
        names: of the nodes, in the order of the definition.
        known: the addresses that nodes had, those of nodes that are no more among them.
    """
    kept = {
        name: address
        for name, address in known.items()
        if name in names and IPv4Address(address) in network.subnet
    }
    taken = set(kept.values())
    free = (
        str(address)
        for number, address in enumerate(network.subnet.hosts(), start=1)
        if number >= min(_FIRST, network.subnet.num_addresses - 2 - len(names))
        and str(address) not in taken
        and address != network.gateway
    )
    return {name: kept.get(name) or next(free) for name in names}


def mac(lab: str, node: str) -> str:
    """A MAC address in QEMU's range, the same for the same node of the same lab."""
    digest = hashlib.sha256(f"{lab}/{node}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])
