"""Everything about machines that libvirt itself answers: networks, volumes, state, start, stop, removal."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from html import escape
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Any

import libvirt

from labctl.errors import BootError, HostError
from labctl.providers import networks
from labctl.providers.base import PREFIX, Found, MachineState
from labctl.providers.machine_xml import resized
from labctl.render.layout import Layout, Network

URI = os.environ.get("LABCTL_LIBVIRT_URI", "qemu:///system")
POOL = os.environ.get("LABCTL_POOL", "labctl")
_POOL_PATH = f"/var/lib/libvirt/images/{POOL}"
_POOL_DEADLINE = 60.0  # seconds; the longest that libvirt is at one volume there is the upload of a box
_POOL_POLL = 0.1  # seconds between two tries

_STATES: dict[int, MachineState] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "suspended",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}


def domain_name(lab: str, node: str) -> str:
    """The name of a node's domain, which its volume's name begins with."""
    return f"{PREFIX}{lab}_{node}"


class Hypervisor:
    """Libvirt, by a connection for each thread: it answers five calls of one connection at once, and a restore is one.

    Raises:
        HostError: libvirt does not answer.
    """

    def __init__(self) -> None:
        libvirt.registerErrorHandler(
            lambda *_: None, None
        )  # errors are raised; they need not be printed as well
        self._threads = threading.local()
        _ = self.connection

    @property
    def connection(self) -> Any:
        """This thread's connection; it ends with the thread, and costs two milliseconds."""
        if not hasattr(self._threads, "connection"):
            try:
                self._threads.connection = libvirt.open(URI)
            except libvirt.libvirtError as error:
                raise HostError(
                    f"libvirt does not answer at {URI}", why=str(error), hint="labctl doctor --fix"
                ) from error
        return self._threads.connection

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
            raise BootError(f"{node} of {lab} has no machine", hint=f"labctl up --name {lab}") from error

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
        if not force and _STATES.get(domain.state()[0]) == "running":
            with contextlib.suppress(
                libvirt.libvirtError
            ):  # it may be on its way down already, with a deaf agent
                domain.shutdown()
            while domain.isActive() and time.monotonic() < end:
                time.sleep(0.2)
        if domain.isActive():
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()

    def resize(self, lab: str, node: str, *, cpus: int, memory: int) -> None:
        """Give a machine that is off another number of CPUs and other memory, in MiB.

        Raises:
            BootError: libvirt refuses it.
        """
        domain = self.domain(lab, node)
        try:
            self.connection.defineXML(resized(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), cpus, memory))
        except libvirt.libvirtError as error:
            raise BootError(f"{node} cannot be resized", why=str(error), hint="labctl doctor") from error

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
            # Refused while another lab's volume is being made; what was made by libvirt it knows anyway.
            with contextlib.suppress(libvirt.libvirtError):
                pool.refresh()
            for volume in pool.listAllVolumes():
                if volume.name().startswith(f"{prefix}." if node else prefix):
                    volume.delete()

    # Networks

    def network(self, lab: str) -> Network | None:
        """The lab's network as libvirt has it."""
        try:
            xml = self.connection.networkLookupByName(networks.name(lab)).XMLDesc()
        except libvirt.libvirtError:
            return None
        return networks.parse(xml)

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        """A subnet for the lab; libvirt itself guards it from the moment the network is up.

        Args:
            lab: the lab's name.
            wanted: take exactly this one.

        Raises:
            HostError: it is taken, or all are.
        """
        taken = [*self._subnets(), *networks.routes()]
        candidates = [wanted] if wanted else networks.candidates(lab)
        for subnet in candidates:
            if not any(subnet.overlaps(other) for other in taken):
                return Network(networks.name(lab), subnet, subnet.network_address + 1)
        raise HostError(
            f"no free network for the lab {lab}",
            why=f"{wanted or networks.RANGE} is in use on this host: {', '.join(sorted(map(str, set(taken))))}",
            hint="choose another with --set network=10.20.30.0/24",
        )

    def connect(self, layout: Layout) -> None:
        """Have the lab's network up, with the address and the name of each machine.

        A network that is there is changed as it runs: made anew, it would lose the machines that are plugged in.

        Raises:
            HostError: libvirt refuses it.
        """
        known = self.network(layout.lab)
        if known and known.subnet != layout.network.subnet:
            self.remove_network(layout.lab)
            known = None
        try:
            if known is None:
                self.connection.networkDefineXML(networks.xml(layout))
            network = self.connection.networkLookupByName(layout.network.name)
            networks.register(network, layout)
            if not network.isActive():
                network.create()
        except libvirt.libvirtError as error:
            if known is None:
                self.remove_network(layout.lab)
            raise HostError(
                f"the network {layout.network.subnet} cannot be made", why=str(error), hint="labctl doctor"
            ) from error

    def remove_network(self, lab: str) -> None:
        """The lab's network gone, if there is one."""
        try:
            network = self.connection.networkLookupByName(networks.name(lab))
        except libvirt.libvirtError:
            return
        if network.isActive():
            network.destroy()
        if network.isPersistent():
            network.undefine()

    def _subnets(self) -> Iterator[IPv4Network]:
        for network in self.connection.listAllNetworks():
            with contextlib.suppress(libvirt.libvirtError):  # it may vanish while we look
                yield from networks.subnets(network.XMLDesc())

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
        found = {}
        for volume in self.looked_through().listAllVolumes():
            with contextlib.suppress(libvirt.libvirtError):  # it may vanish while we look
                found[volume.name()] = volume.path()
        return found

    def looked_through(self) -> Any:
        """The pool, after libvirt has looked what lies in it. It refuses to while a volume is made there, by anybody.

        Raises:
            HostError: it refused until the deadline.
        """
        pool = self.pool()
        end = time.monotonic() + _POOL_DEADLINE
        while True:
            try:
                pool.refresh()
            except libvirt.libvirtError as error:
                if time.monotonic() > end:
                    what = f"libvirt does not say what is in its storage pool {POOL}"
                    raise HostError(what, why=str(error), hint=f"virsh pool-refresh {POOL}") from error
                time.sleep(_POOL_POLL)
            else:
                return pool

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
            f"<target><format type='{escape(form)}'/><permissions><mode>0644</mode></permissions></target></volume>"
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
