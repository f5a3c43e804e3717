"""Everything about machines that libvirt itself answers: networks, volumes, state, start, stop, removal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import libvirt

from labctl.errors import BootError, HostError
from labctl.providers.base import PREFIX, Found, MachineState
from labctl.render.layout import Layout, Network

URI = os.environ.get("LABCTL_LIBVIRT_URI", "qemu:///system")
POOL = os.environ.get("LABCTL_POOL", "labctl")
_POOL_PATH = f"/var/lib/libvirt/images/{POOL}"
# Where labs live if nobody says otherwise: 256 networks that neither Docker, nor libvirt, nor most sites use.
_RANGE = IPv4Network("10.214.0.0/16")

_STATES: dict[int, MachineState] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "suspended",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}


def network_name(lab: str) -> str:
    """The name of a lab's network and bridge: at most 15 characters, unique for the lab's name."""
    return f"lc-{lab[:6].rstrip('-')}-{hashlib.sha256(lab.encode()).hexdigest()[:4]}"


def domain_name(lab: str, node: str) -> str:
    """The name of a node's domain, which its volume's name begins with."""
    return f"{PREFIX}{lab}_{node}"


class Hypervisor:
    """One connection to libvirt.

    Raises:
        HostError: libvirt does not answer.
    """

    def __init__(self) -> None:
        libvirt.registerErrorHandler(
            lambda *_: None, None
        )  # errors are raised; they need not be printed as well
        try:
            self.connection = libvirt.open(URI)
        except libvirt.libvirtError as error:
            raise HostError(
                f"libvirt does not answer at {URI}", why=str(error), hint="labctl doctor --fix"
            ) from error

    # Machines

    def found(self) -> tuple[Found, ...]:
        """Every machine of every lab of this host."""
        machines = []
        for domain in self.connection.listAllDomains():
            lab, _, node = domain.name().removeprefix(PREFIX).partition("_")
            if not domain.name().startswith(PREFIX) or not node:
                continue
            with contextlib.suppress(libvirt.libvirtError):  # it may vanish while we look
                state = _STATES.get(domain.state()[0], "crashed")
                machines.append(Found(lab, node, state, _directory(domain), _started(domain, state)))
        return tuple(machines)

    def domain(self, lab: str, node: str) -> Any:
        """The libvirt domain of a node.

        Raises:
            BootError: there is none.
        """
        try:
            return self.connection.lookupByName(domain_name(lab, node))
        except libvirt.libvirtError as error:
            raise BootError(f"{node} of {lab} has no machine", hint=f"labctl up {lab}") from error

    def describe(self, lab: str, node: str, directory: Path) -> None:
        """Note on the machine itself where its lab's files are."""
        text = json.dumps({"lab": lab, "node": node, "directory": str(directory)})
        domain = self.domain(lab, node)
        flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG | (
            libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
        )
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, text, None, None, flags)

    def start(self, lab: str, node: str) -> None:
        """Start a machine that is stopped, resume one that is suspended."""
        domain = self.domain(lab, node)
        state = _STATES.get(domain.state()[0], "crashed")
        try:
            if state == "suspended":
                domain.resume()
            elif state != "running":
                domain.create()
        except libvirt.libvirtError as error:
            raise BootError(f"{node} does not start", why=str(error), hint="labctl doctor") from error

    def suspend(self, lab: str, node: str) -> None:
        """Freeze a running machine in memory."""
        domain = self.domain(lab, node)
        if domain.isActive():
            domain.suspend()

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        """Shut a machine down; after ``deadline`` seconds, or at once if forced, switch it off."""
        domain = self.domain(lab, node)
        if not domain.isActive():
            return
        end = time.monotonic() + deadline
        with contextlib.suppress(libvirt.libvirtError):
            if not force and _STATES.get(domain.state()[0]) == "running":
                domain.shutdown()
                while domain.isActive() and time.monotonic() < end:
                    time.sleep(0.2)
        if domain.isActive():
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()

    def remove_machines(self, lab: str, node: str = "") -> None:
        """Undefine every machine of the lab, or that of one node, and delete its volumes, half-made ones too."""
        prefix = domain_name(lab, node)
        for domain in self.connection.listAllDomains():
            if domain.name() == prefix or (not node and domain.name().startswith(prefix)):
                if domain.isActive():
                    with contextlib.suppress(libvirt.libvirtError):
                        domain.destroy()
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                )
        for pool in self.connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            pool.refresh()
            for volume in pool.listAllVolumes():
                if volume.name().startswith(f"{prefix}." if node else prefix):
                    volume.delete()

    # Networks

    def network(self, lab: str) -> Network | None:
        """The lab's network as libvirt has it."""
        try:
            xml = self.connection.networkLookupByName(network_name(lab)).XMLDesc()
        except libvirt.libvirtError:
            return None
        return _network(ET.fromstring(xml))  # noqa: S314 - libvirt's own words

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        """A subnet for the lab; libvirt itself guards it from the moment the network is up.

        Args:
            lab: the lab's name.
            wanted: take exactly this one.

        Raises:
            HostError: it is taken, or all are.
        """
        taken = [*self._subnets(), *_routes()]
        candidates = [wanted] if wanted else _candidates(lab)
        for subnet in candidates:
            if not any(subnet.overlaps(other) for other in taken):
                return Network(network_name(lab), subnet, subnet.network_address + 1)
        raise HostError(
            f"no free network for the lab {lab}",
            why=f"{wanted or _RANGE} is in use on this host: {', '.join(sorted(map(str, set(taken))))}",
            hint="choose another with --set network=10.20.30.0/24",
        )

    def connect(self, layout: Layout) -> None:
        """Define and start the lab's network, with the address and the name of each machine.

        Raises:
            HostError: libvirt refuses it.
        """
        with contextlib.suppress(libvirt.libvirtError):
            known = self.connection.networkLookupByName(layout.network.name)
            if _hosts(known.XMLDesc()) == _hosts(_network_xml(layout)):
                if not known.isActive():
                    known.create()
                return
            self.remove_network(layout.lab)
        try:
            self.connection.networkDefineXML(_network_xml(layout)).create()
        except libvirt.libvirtError as error:
            self.remove_network(layout.lab)
            raise HostError(
                f"the network {layout.network.subnet} cannot be made", why=str(error), hint="labctl doctor"
            ) from error

    def remove_network(self, lab: str) -> None:
        """The lab's network gone, if there is one."""
        try:
            network = self.connection.networkLookupByName(network_name(lab))
        except libvirt.libvirtError:
            return
        if network.isActive():
            network.destroy()
        if network.isPersistent():
            network.undefine()

    def _subnets(self) -> Iterator[IPv4Network]:
        for network in self.connection.listAllNetworks():
            with contextlib.suppress(libvirt.libvirtError, AttributeError, ValueError):
                yield _network(ET.fromstring(network.XMLDesc())).subnet  # noqa: S314

    # Storage

    def pool(self) -> Any:
        """The storage pool of all labs, made if need be."""
        try:
            pool = self.connection.storagePoolLookupByName(POOL)
        except libvirt.libvirtError:
            xml = f"<pool type='dir'><name>{POOL}</name><target><path>{_POOL_PATH}</path></target></pool>"
            pool = self.connection.storagePoolDefineXML(xml)
            pool.build()
            pool.setAutostart(1)
        if not pool.isActive():
            pool.create()
        return pool

    def volumes(self) -> dict[str, str]:
        """Path of each volume in the pool, by name."""
        pool = self.pool()
        pool.refresh()
        return {volume.name(): volume.path() for volume in pool.listAllVolumes()}

    def upload(
        self, name: str, source: IO[bytes], size: int, *, capacity: int | None = None, form: str = "raw"
    ) -> str:
        """Put a file into the pool and return its path there. A volume of that name is replaced.

        A second, empty volume ``<name>.whole`` is made when all of it is there; see `whole`.

        Args:
            name: of the volume.
            source: its content.
            size: of the content, in bytes.
            capacity: of the disk inside, in bytes, if it is not raw.
            form: raw or qcow2.

        Raises:
            BootError: libvirt refused, for want of space perhaps.
        """
        pool = self.pool()
        for stale in (f"{name}.whole", name):
            with contextlib.suppress(libvirt.libvirtError):
                pool.storageVolLookupByName(stale).delete()
        xml = (
            f"<volume><name>{escape(name)}</name><capacity unit='B'>{capacity or size}</capacity>"
            f"<target><format type={quoteattr(form)}/><permissions><mode>0644</mode></permissions></target></volume>"
        )
        try:
            volume = pool.createXML(xml)
            stream = self.connection.newStream()
            volume.upload(stream, 0, size)
            stream.sendAll(lambda _stream, count, _: source.read(count), None)
            stream.finish()
            pool.createXML(f"<volume><name>{escape(name)}.whole</name><capacity>0</capacity></volume>")
        except libvirt.libvirtError as error:
            with contextlib.suppress(libvirt.libvirtError):
                pool.storageVolLookupByName(name).delete()
            raise BootError(
                "the box could not be put into libvirt's storage pool", why=str(error), hint="labctl doctor"
            ) from error
        path: str = volume.path()
        return path

    def whole(self, name: str) -> str | None:
        """The path of a volume that was uploaded to its end; None if it was not."""
        volumes = self.volumes()
        return volumes.get(name) if f"{name}.whole" in volumes else None

    def upload_member(self, name: str, archive: Path, member: str, *, capacity: int) -> str:
        """Put a qcow2 image out of a box file into the pool."""
        with tarfile.open(archive) as box:
            source = box.extractfile(member)
            if source is None:
                raise BootError(f"{archive} has no {member}", hint="labctl box build --force")
            return self.upload(name, source, box.getmember(member).size, capacity=capacity, form="qcow2")


def _directory(domain: Any) -> str:
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None)
        return str(json.loads(text)["directory"])
    except (libvirt.libvirtError, ValueError, KeyError, TypeError):
        return ""


def _started(domain: Any, state: MachineState) -> float | None:
    """When the machine was switched on: the age of the pid file that libvirt keeps for it."""
    if state not in ("running", "suspended"):
        return None
    with contextlib.suppress(OSError):
        return Path(f"/run/libvirt/qemu/{domain.name()}.pid").stat().st_mtime
    return None


def _network(root: ET.Element) -> Network:
    address = root.find("ip")
    bridge = root.find("bridge")
    if address is None or bridge is None:
        raise AttributeError("a network without an address")
    gateway = address.get("address", "")
    mask = address.get("netmask") or address.get("prefix") or "24"
    return Network(
        bridge.get("name", ""), IPv4Network(f"{gateway}/{mask}", strict=False), IPv4Address(gateway)
    )


def _hosts(xml: str) -> set[tuple[str | None, str | None]]:
    root = ET.fromstring(xml)  # noqa: S314 - libvirt's own words
    return {(host.get("mac"), host.get("ip")) for host in root.iterfind("ip/dhcp/host")}


def _network_xml(layout: Layout) -> str:
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
        f"<dns>{names}</dns>"
        f"<ip address='{network.gateway}' netmask='{network.subnet.netmask}'><dhcp>{hosts}</dhcp></ip></network>"
    )


def _candidates(lab: str) -> list[IPv4Network]:
    """All subnets, beginning with the lab's own favourite, so that it mostly gets the same one again."""
    subnets = list(_RANGE.subnets(new_prefix=24))
    first = int(hashlib.sha256(lab.encode()).hexdigest(), 16) % len(subnets)
    return subnets[first:] + subnets[:first]


def _routes() -> Iterator[IPv4Network]:
    """What this host already reaches, the default route aside."""
    asked = subprocess.run(
        ["ip", "-json", "-4", "route", "show"], capture_output=True, text=True, check=False
    )
    for route in json.loads(asked.stdout or "[]"):
        with contextlib.suppress(ValueError):
            yield IPv4Network(route["dst"])
