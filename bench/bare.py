"""F: the machines of a lab with new disks straight from the box, started at once; and what libvirt's restore costs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import libvirt

from bench.programs import BenchError
from labctl import scratch
from labctl.console import silent
from labctl.lab import Lab
from labctl.providers.libvirt import Hypervisor
from labctl.render.layout import Layout
from labctl.side_by_side import each
from labctl.steps import boot


def boot_bare(hypervisor: Hypervisor, directory: Path) -> float:
    """Seconds from starting all machines of a stopped lab, bare, until the last one answers on SSH.

    The lab's disks are replaced: it is a lab no more afterwards.
    """
    layout = Lab.find(directory.name, base=directory).layout()
    nodes = _nodes(layout)
    box = _box(hypervisor, layout)
    for node in nodes:
        _renew_disk(hypervisor, layout.lab, node, box)
    (directory / "known_hosts").unlink(missing_ok=True)
    scratch.folder()

    def start(_: threading.Event) -> None:
        for node in nodes:
            hypervisor.start(layout.lab, node)

    started = time.monotonic()
    with silent().step("F") as view:
        boot.make_and_await(layout, nodes, start, view)
    return time.monotonic() - started


def restore_bare(hypervisor: Hypervisor, directory: Path, folder: Path) -> float:
    """Seconds that libvirt alone needs to restore the running machines of a lab, side by side.

    Args:
        hypervisor: the connection.
        directory: of the lab.
        folder: for the saved machines.
    """
    layout = Lab.find(directory.name, base=directory).layout()
    domains = {node: hypervisor.domain(layout.lab, node) for node in _nodes(layout)}
    each(list(domains), lambda node: domains[node].save(str(folder / f"{node}.save")))
    started = time.monotonic()
    each(list(domains), lambda node: hypervisor.connection.restore(str(folder / f"{node}.save")))
    return time.monotonic() - started


def _nodes(layout: Layout) -> list[str]:
    return [machine.node.name for machine in layout.machines]


def _box(hypervisor: Hypervisor, layout: Layout) -> Any:
    """The volume of the lab's box: whatever the lab's disks stand on now, bare machines stand on this."""
    for name, path in hypervisor.volumes().items():
        if name.startswith(f"{layout.box.name}_vagrant_box_image_") and not name.endswith(".whole"):
            return hypervisor.connection.storageVolLookupByPath(path)
    raise BenchError(f"the box {layout.box.name} is not in libvirt's pool")


def _renew_disk(hypervisor: Hypervisor, lab: str, node: str, box: Any) -> None:
    domain = hypervisor.domain(lab, node)
    if domain.hasManagedSaveImage():  # or it would go on from there
        domain.managedSaveRemove()
    name = f"{domain.name()}.bare.img"
    volume = hypervisor.pool().createXML(
        f"<volume><name>{escape(name)}</name><capacity>{box.info()[1]}</capacity>"
        f"<target><format type='qcow2'/></target>"
        f"<backingStore><path>{escape(box.path())}</path><format type='qcow2'/></backingStore></volume>"
    )
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    hypervisor.connection.defineXML(with_disk(domain.XMLDesc(flags), volume.path()))


def with_disk(xml: str, path: str) -> str:
    """A domain's XML with another file as its disk."""
    root = ET.fromstring(xml)  # noqa: S314 - libvirt's own words
    disk = root.find("devices/disk")
    source = None if disk is None else disk.find("source")
    if disk is None or source is None:
        raise BenchError(f"{root.findtext('name')} has no disk")
    source.set("file", path)
    for below in disk.findall("backingStore"):
        disk.remove(below)
    return ET.tostring(root, encoding="unicode")
