"""F: the machines of a lab, their disks thrown away and made anew from the box, started at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

from labctl.console import silent
from labctl.lab import Lab
from labctl.providers.libvirt import Hypervisor
from labctl.steps import boot


def boot_bare(directory: Path, name: str) -> float:
    """Seconds from starting all machines of the lab, bare, until the last one answers on SSH.

    The lab's disks are replaced: it is a lab no more afterwards.
    """
    lab = Lab.find(name, base=directory)
    hypervisor = Hypervisor()
    nodes = lab.nodes("all")
    lab.stop(silent(), force=True)
    for node in nodes:
        _renew_disk(hypervisor, name, node)
    (directory / "known_hosts").unlink(missing_ok=True)

    def start(_: threading.Event) -> None:
        for node in nodes:
            hypervisor.start(name, node)

    started = time.monotonic()
    with silent().step("F") as view:
        boot.make_and_await(lab.layout(), nodes, start, view)
    return time.monotonic() - started


def _renew_disk(hypervisor: Hypervisor, lab: str, node: str) -> None:
    pool = hypervisor.pool()
    root = ET.fromstring(hypervisor.domain(lab, node).XMLDesc())  # noqa: S314 - libvirt's own words
    source = root.find("devices/disk/source")
    assert source is not None  # noqa: S101 - every machine has a disk
    path = source.get("file", "")
    volume = hypervisor.connection.storageVolLookupByPath(path)
    xml = ET.fromstring(volume.XMLDesc())  # noqa: S314
    backing, capacity = xml.findtext("backingStore/path"), xml.findtext("capacity")
    volume.delete()
    pool.createXML(
        f"<volume><name>{Path(path).name}</name><capacity>{capacity}</capacity>"
        f"<target><format type='qcow2'/></target>"
        f"<backingStore><path>{backing}</path><format type='qcow2'/></backingStore></volume>"
    )
