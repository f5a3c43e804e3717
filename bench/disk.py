"""How much of the host's disk a lab takes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from labctl.providers.base import PREFIX
from labctl.providers.libvirt import Hypervisor


def used(hypervisor: Hypervisor, lab: str) -> dict[str, int]:
    """Bytes that each volume of a lab takes on disk, by path.

    With all that its machines stand on: saved disks, the box, its kernel and initrd.
    """
    hypervisor.pool().refresh()
    found: dict[str, int] = {}
    for domain in hypervisor.connection.listAllDomains():
        if domain.name().startswith(f"{PREFIX}{lab}_"):
            root = ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))  # noqa: S314 - libvirt's own words
            for path in named_in(root):
                _follow(hypervisor.connection, path, found)
    return found


def named_in(domain: ET.Element) -> list[str]:
    """The files that a domain's XML names: its disks, its kernel and its initrd."""
    sources = [source.get("file") for source in domain.iterfind("devices/disk/source")]
    return [path for path in (*sources, domain.findtext("os/kernel"), domain.findtext("os/initrd")) if path]


def beyond(first: dict[str, int], second: dict[str, int]) -> int:
    """Bytes that the second lab takes on top of what the first has there already."""
    return sum(size for path, size in second.items() if path not in first)


def _follow(connection: Any, path: str | None, found: dict[str, int]) -> None:
    """Add a volume and what it stands on."""
    while path and path not in found:
        volume = connection.storageVolLookupByPath(path)
        found[path] = volume.info()[2]
        path = ET.fromstring(volume.XMLDesc()).findtext("backingStore/path")  # noqa: S314 - libvirt's own words
