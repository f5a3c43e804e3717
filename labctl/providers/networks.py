"""Networks of labs: their names, their XML, and which subnets are free on this host."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from labctl import addresses
from labctl.render.layout import Layout, Network

# Where labs live if nobody says otherwise: 256 networks that neither Docker, nor libvirt, nor most sites use.
RANGE = IPv4Network("10.214.0.0/16")


def name(lab: str) -> str:
    """The name of a lab's network and bridge: at most 15 characters, unique for the lab's name."""
    return f"lc-{lab[:6].rstrip('-')}-{hashlib.sha256(lab.encode()).hexdigest()[:4]}"


def parse(text: str) -> Network:
    """Read libvirt's XML of a lab's network.

    Raises:
        ValueError: it has no address.
    """
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own words
    address, bridge = root.find("ip"), root.find("bridge")
    if address is None or bridge is None:
        raise ValueError("a network without an address")
    return Network(bridge.get("name", ""), _subnet(address), IPv4Address(address.get("address", "")))


def subnets(text: str) -> Iterator[IPv4Network]:
    """All IPv4 subnets of any network, by libvirt's XML."""
    for address in ET.fromstring(text).iterfind("ip"):  # noqa: S314 - libvirt's own words
        with contextlib.suppress(ValueError):  # IPv6
            yield _subnet(address)


def _subnet(address: ET.Element) -> IPv4Network:
    mask = address.get("netmask") or address.get("prefix") or "24"
    return IPv4Network(f"{address.get('address')}/{mask}", strict=False)


def register(network: Any, layout: Layout) -> None:
    """Make the machines of a network those of the layout; the network goes on running."""
    live = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE if network.isActive() else 0
    flags = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG | live
    before, wanted = _entries(network.XMLDesc()), _entries(xml(layout))
    # What goes goes first: no name, no address and no MAC may be there twice.
    for command, entries in (
        (libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, before - wanted),
        (libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, wanted - before),
    ):
        for section, entry in sorted(entries):
            network.update(command, section, -1, entry, flags)


def _entries(text: str) -> set[tuple[int, str]]:
    """What a network knows of its machines: the section of its XML, and the entry there."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own words
    leases = {
        f"<host mac='{host.get('mac')}' name='{host.get('name')}' ip='{host.get('ip')}'/>"
        for host in root.iterfind("ip/dhcp/host")
    }
    names = {
        f"<host ip='{host.get('ip')}'><hostname>{host.findtext('hostname')}</hostname></host>"
        for host in root.iterfind("dns/host")
    }
    return {(libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, entry) for entry in leases} | {
        (libvirt.VIR_NETWORK_SECTION_DNS_HOST, entry) for entry in names
    }


def xml(layout: Layout) -> str:
    """A lab's network as libvirt defines it: NAT, and for each machine its address and its name."""
    network = layout.network
    hosts = "".join(
        f"<host mac='{machine.mac}' name='{machine.node.name}' ip='{machine.address}'/>"
        for machine in layout.machines
    )
    names = "".join(
        f"<host ip='{machine.address}'><hostname>{machine.node.name}</hostname></host>"
        for machine in layout.machines
    )
    return (
        f"<network><name>{network.name}</name><forward mode='nat'/><bridge name='{network.name}' stp='off' delay='0'/>"
        # The same each time the network is made: machines that are brought back remember it.
        f"<mac address='{addresses.mac(layout.lab, '')}'/>"
        f"<dns>{names}</dns>"
        f"<ip address='{network.gateway}' netmask='{network.subnet.netmask}'><dhcp>{hosts}</dhcp></ip></network>"
    )


def candidates(lab: str) -> list[IPv4Network]:
    """All subnets, beginning with the lab's own favourite, so that it mostly gets the same one again."""
    subnets = list(RANGE.subnets(new_prefix=24))
    first = int(hashlib.sha256(lab.encode()).hexdigest(), 16) % len(subnets)
    return subnets[first:] + subnets[:first]


def routes() -> Iterator[IPv4Network]:
    """What this host already reaches, default routes aside (a VPN's may be two halves of the world)."""
    asked = subprocess.run(
        ["ip", "-json", "-4", "route", "show"], capture_output=True, text=True, check=False
    )
    for route in json.loads(asked.stdout or "[]"):
        with contextlib.suppress(ValueError):  # "default"
            network = IPv4Network(route["dst"])
            if network.prefixlen > 1:
                yield network
