"""Layouts for the tests of what is rendered: labs that are nowhere, at addresses that nobody has."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.render.layout import BoxImage, Layout, Machine, Network, Secrets

BAKED = BoxImage(
    name="labctl/debian-12",
    version="1.0.0",
    kernel="/var/lib/libvirt/images/debian-12.vmlinuz",
    initrd="/var/lib/libvirt/images/debian-12.initrd",
    user="root",
    baked=True,
)
PUBLIC = BoxImage(name="generic/debian12")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkwQ2r0s7Wf8c0m1o2v3b4n5k6j7h8g9f0d1s2a3q4w"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB+/abc=\n-----END CERTIFICATE-----\n"


def a_layout(source: str | Definition = "full", **changes: Any) -> Layout:
    """A lab as the last step before rendering leaves it."""
    definition = load(source) if isinstance(source, str) else source
    lab = definition.name
    network = Network(f"lab-{lab}"[:15], IPv4Network("10.20.30.0/24"), IPv4Network("10.20.30.0/24")[1])
    machines = tuple(
        Machine(node, f"labctl-{lab}-{node.name}", f"52:54:00:0a:0b:{index:02x}", network.subnet[10 + index])
        for index, node in enumerate(definition.machines())
    )
    given: dict[str, Any] = {
        "lab": lab,
        "definition": definition,
        "network": network,
        "machines": machines,
        "box": BAKED,
        "driver": "qemu",
        "provider": "libvirt",
        "directory": Path("/srv/labs/.labctl") / lab,
        "public_key": f'{KEY} somebody\'s key, "quoted" & <odd>',
        "prefix": f"labctl-{lab}-",
    }
    return Layout(**{**given, **changes})


def secrets(definition: Definition, **more: str) -> Secrets:
    """Secrets that can be searched for."""
    nodes = [node.name for node in definition.machines()]
    return Secrets(
        munge_key="TVVOR0UtS0VZ",
        ca_certificate=PEM,
        certificates=dict.fromkeys(nodes, PEM),
        private_keys=dict.fromkeys(nodes, PEM.replace("CERTIFICATE", "PRIVATE KEY")),
        passwords={user.name: f"password-of-{user.name}" for user in definition.users},
        password_hashes={user.name: f"{{CRYPT}}$6$hash-of-{user.name}" for user in definition.users},
        **more,
    )
