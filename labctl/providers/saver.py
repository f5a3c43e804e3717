"""Machines saved with their memory while they live, and brought back: libvirt's half of snapshots."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from html import escape
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET

import libvirt

from labctl.errors import BootError, SnapshotError
from labctl.providers import agent
from labctl.providers.base import BOX, STAGED, Answer, Identity, MachineXml, Place, Sink, StagedBox
from labctl.providers.libvirt import Hypervisor, domain_name
from labctl.providers.machine_xml import placed
from labctl.providers.save_file import Renamed
from labctl.providers.vagrant import note_machine

_PULL_DEADLINE = 300.0  # seconds to copy what lies between a disk and its box
_POLL = 0.05  # seconds between two looks at that
# Pieces of memory of less than 2 MiB are not handed back; zeros are in them then, which take no room. And what is asked
# first of a machine that was brought back is read again at once: it would cost most then.
_SLIM = """
sync
echo 3 > /proc/sys/vm/drop_caches
pieces=$(awk '{ for (order = 0; order < 9; order++) kib += $(5 + order) * 4 * 2 ^ order } END { print int(kib / 64) }' \
    /proc/buddyinfo)
dd if=/dev/zero of=/dev/shm/.zeros bs=64k count=$pieces status=none
rm -f /dev/shm/.zeros
read emptied _ < /proc/uptime
date
getent passwd root
command -v sinfo && sinfo
read now _ < /proc/uptime
echo $emptied $now
"""


class LibvirtSaver:
    """Saves and brings back the machines of a lab, one call a machine; calls for different ones may go side by side."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def facts(self) -> dict[str, str]:
        """What of the hypervisor saved machines depend on: its versions, and where disks are."""
        connection = self._hypervisor.connection
        root = ET.fromstring(self._hypervisor.pool().XMLDesc())  # noqa: S314 - libvirt's own words
        return {
            "qemu": str(connection.getVersion()),
            "libvirt": str(connection.getLibVersion()),
            "pool": root.findtext("target/path", ""),  # a disk names what it stands on by its path
        }

    def tell(self, lab: str, node: str, script: str, *, stdin: str = "", deadline: float) -> Answer:
        """Run a shell script as root in a machine, by its guest agent; ``deadline`` in seconds.

        Raises:
            NoAgentError: it has none, or none that answers.
        """
        return agent.run(self._hypervisor.domain(lab, node), script, stdin=stdin, deadline=deadline)

    def set_clock(self, lab: str, node: str, now: float) -> None:
        """Tell a machine what time it is, in seconds since the epoch.

        Raises:
            BootError: it cannot be told.
        """
        agent.set_time(self._hypervisor.domain(lab, node), now)

    def slim(self, lab: str, node: str) -> float:
        """Have a running machine empty its page cache: what is not there need not be saved.

        The machine hands free memory back to the host by itself (free page reporting), within seconds.
        """
        try:
            said = agent.run(self._hypervisor.domain(lab, node), _SLIM).stdout.split()
            emptied, now = float(said[-2]), float(said[-1])
        except (BootError, IndexError, ValueError):  # without an agent it is saved as it is
            return 0.0
        return now - emptied

    def stand_alone(self, lab: str, node: str) -> None:
        """Have a running machine's disk stand on its box alone, and on no other snapshot's disk.

        Raises:
            SnapshotError: QEMU cannot, or is not done in time.
        """
        domain = self._hypervisor.domain(lab, node)
        with _refusing(f"the disk of {node} cannot be saved"):
            root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - libvirt's own words
            for disk in root.iterfind("devices/disk"):
                below = [source.get("file", "") for source in disk.iterfind(".//backingStore/source")]
                target = disk.find("target")
                if len(below) > 1 and target is not None:
                    self._pull(domain, target.get("dev", ""), below[-1])

    @staticmethod
    def _pull(domain: Any, disk: str, base: str) -> None:
        """Copy into a running machine's disk all that lies between it and `base`."""
        domain.blockRebase(disk, base)
        end = time.monotonic() + _PULL_DEADLINE
        while domain.blockJobInfo(disk):
            if time.monotonic() > end:
                domain.blockJobAbort(disk)
                raise SnapshotError(f"the disk of {domain.name()} was not copied in {_PULL_DEADLINE:.0f} s")
            time.sleep(_POLL)

    def pause(self, lab: str, node: str) -> None:
        """Freeze a running machine.

        Raises:
            SnapshotError: libvirt refused it.
        """
        domain = self._hypervisor.domain(lab, node)
        with _refusing(f"{node} does not stand still"):
            domain.suspend()

    def resume(self, lab: str, node: str) -> None:
        """Let a frozen machine go on; one that runs is left alone.

        Raises:
            SnapshotError: libvirt refused it.
        """
        domain = self._hypervisor.domain(lab, node)
        with _refusing(f"{node} does not go on"):
            if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()

    def abandon(self, lab: str, node: str) -> None:
        """End the saving of a machine's memory, if that is what it is at."""
        with contextlib.suppress(libvirt.libvirtError, BootError):
            self._hypervisor.domain(lab, node).abortJob()

    def describe(self, lab: str, node: str) -> MachineXml:
        """A machine as libvirt knows it.

        Raises:
            SnapshotError: it is there no longer.
        """
        domain = self._hypervisor.domain(lab, node)
        secure = libvirt.VIR_DOMAIN_XML_SECURE
        with _refusing(f"{node} cannot be described"):
            return MachineXml(
                defined=domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_INACTIVE),
                running=domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_MIGRATABLE),
            )

    def save_memory(self, lab: str, node: str, path: Path) -> None:
        """Write a frozen machine's memory to a file; the machine stays frozen.

        Raises:
            SnapshotError: libvirt refused it, for want of space perhaps.
        """
        domain = self._hypervisor.domain(lab, node)
        # Ours already when libvirt opens it, or it would belong to root.
        path.touch(mode=0o600)
        with _refusing(f"the memory of {node} could not be saved"):
            root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - libvirt's own words
            targets = [target.get("dev", "") for target in root.iterfind("devices/disk/target")]
            disks = "".join(f"<disk name='{target}' snapshot='no'/>" for target in targets)
            memory = f"<memory snapshot='external' file='{escape(str(path))}'/>"
            xml = f"<domainsnapshot>{memory}<disks>{disks}</disks></domainsnapshot>"
            domain.snapshotCreateXML(xml, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA)

    def save_disk(self, lab: str, node: str, sink: Sink) -> None:
        """Write a frozen machine's disk to a stream: what it has of its own, on top of its box.

        QEMU has written all it knows to the file when a machine is frozen, whatever its cache mode.

        Raises:
            SnapshotError: libvirt refused it.
        """
        connection = self._hypervisor.connection
        with _refusing(f"the disk of {node} could not be saved"):
            volume = connection.storageVolLookupByPath(self._disk(lab, node))
            stream = connection.newStream()
            volume.download(stream, 0, 0)
            stream.recvAll(lambda _stream, data, _: sink.write(data), None)
            stream.finish()

    def capacity(self, lab: str, node: str) -> int:
        """The size of a machine's disk as the machine sees it, in bytes.

        Raises:
            SnapshotError: it is there no longer.
        """
        with _refusing(f"the disk of {node} could not be saved"):
            volume = self._hypervisor.connection.storageVolLookupByPath(self._disk(lab, node))
            return int(volume.info()[1])

    # Bringing back

    def staged(self) -> frozenset[str]:
        """The saved disks that lie in the pool, whole, for machines to stand on."""
        there = self._hypervisor.volumes()
        return frozenset(name for name in there if name.startswith(STAGED) and f"{name}.whole" in there)

    def stage(self, volume: str, source: IO[bytes], size: int, capacity: int) -> None:
        """Put a saved disk into the pool.

        Args:
            volume: its name there.
            source: its content.
            size: of the content, in bytes.
            capacity: of the disk inside, in bytes.

        Raises:
            SnapshotError: libvirt refused it, for want of space perhaps.
        """
        try:
            self._hypervisor.upload(volume, source, size, capacity=capacity, form="qcow2")
        except BootError as error:
            what = f"the saved disk {volume} could not be put into libvirt's storage pool"
            raise SnapshotError(what, why=error.why, hint=error.hint) from error

    def unstage(self, prefix: str) -> None:
        """Delete the saved disks whose names begin so, if no machine stands on any of them."""
        volumes, needed = self._volumes()
        doomed = [volume for volume in volumes if volume.name().startswith(prefix)]
        if not any(volume.path() in needed for volume in doomed):
            for volume in doomed:
                volume.delete()

    def unstage_others(self, kept: Collection[str]) -> None:
        """Delete saved disks of snapshots that are not among these ids, but for those that a machine stands on."""
        volumes, needed = self._volumes()
        for volume in volumes:
            id_, saved, _ = volume.name().removeprefix(STAGED).partition("_")
            if volume.name().startswith(STAGED) and saved and id_ not in kept:
                base = volume.path().removesuffix(".whole")
                if base not in needed:
                    volume.delete()

    def idle_boxes(self) -> dict[str, StagedBox]:
        """The boxes of labctl in the storage pool that no disk stands on, by name; whosever cache they came from."""
        volumes, needed = self._volumes()
        parts: dict[str, list[Any]] = {}
        for volume in volumes:
            box, file, _ = volume.name().partition("_")
            if file and box.startswith(BOX) and not box.startswith(STAGED):
                parts.setdefault(box, []).append(volume)
        return {
            box: StagedBox(sum(part.info()[2] for part in own), max(map(_used, own)))
            for box, own in parts.items()
            if not any(part.path() in needed for part in own)
        }

    def _volumes(self) -> tuple[list[Any], set[str | None]]:
        """All volumes of the pool, and the paths of those that others stand on."""
        volumes = self._hypervisor.looked_through().listAllVolumes()
        return volumes, {ET.fromstring(volume.XMLDesc()).findtext("backingStore/path") for volume in volumes}  # noqa: S314

    def new_disk(self, lab: str, node: str, base: str) -> str:
        """A new disk for a machine, on top of a saved one; its path.

        Raises:
            SnapshotError: libvirt refused it, or the saved one is there no longer.
        """
        pool = self._hypervisor.pool()
        name = f"{domain_name(lab, node)}.img"
        with contextlib.suppress(libvirt.libvirtError):
            pool.storageVolLookupByName(name).delete()
        with _refusing(f"{node} gets no disk"):
            below = pool.storageVolLookupByName(base)
            capacity = below.info()[1]
            made = pool.createXML(
                f"<volume><name>{escape(name)}</name><capacity>{capacity}</capacity>"
                f"<target><format type='qcow2'/></target><backingStore><path>{escape(below.path())}</path>"
                f"<format type='qcow2'/></backingStore></volume>"
            )
            return str(made.path())

    def placed(self, machine: MachineXml, place: Place) -> MachineXml:
        """What a saved machine is in this place.

        Raises:
            SnapshotError: it has something that no machine of a lab has.
        """
        return MachineXml(placed(machine.defined, place), placed(machine.running, place))

    def renamed(self, sink: Sink, machine: MachineXml) -> Sink:
        """A sink that hands on what `save_memory` wrote, as the memory of this machine.

        Libvirt would take another description beside the file as well, but not one with another name.
        """
        return Renamed(sink, machine.running)

    def bring_back(self, machine: MachineXml, memory: Path) -> None:
        """Make a machine as it was when it was saved; it stays frozen.

        Args:
            machine: what `placed` said of it.
            memory: what a `renamed` sink handed on, as a file or a pipe.

        Raises:
            SnapshotError: libvirt or QEMU refused it; why is libvirt's own words.
        """
        connection = self._hypervisor.connection
        name = ET.fromstring(machine.defined).findtext("name")  # noqa: S314 - libvirt's own words
        with _refusing(f"{name} could not be brought back"):
            connection.defineXML(machine.defined)
            connection.restoreFlags(str(memory), None, libvirt.VIR_DOMAIN_SAVE_PAUSED)

    def adopt(self, directory: Path, node: str, identity: Identity) -> None:
        """Have Vagrant know a copied machine: ``vagrant status`` and the like work in the lab's folder."""
        note_machine(directory, node, "libvirt", identity.uuid)

    def switch_off(self, lab: str, node: str) -> None:
        """Take a machine's power away, if it has any; it stays known to libvirt."""
        domain = self._hypervisor.domain(lab, node)
        if domain.isActive():
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()

    def _disk(self, lab: str, node: str) -> str:
        root = ET.fromstring(self._hypervisor.domain(lab, node).XMLDesc())  # noqa: S314 - libvirt's own words
        source = root.find("devices/disk/source")
        if source is None:
            raise SnapshotError(f"{node} has no disk")
        return source.get("file", "")


def _used(volume: Any) -> float:
    """When a volume was last read or written, in seconds since the epoch; now if that is not known."""
    times = ET.fromstring(volume.XMLDesc()).find("target/timestamps")  # noqa: S314 - libvirt's own words
    known = [] if times is None else [float(times.findtext(name, "0")) for name in ("atime", "mtime")]
    return max(known, default=time.time())


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """What libvirt refuses is a SnapshotError, and why is in libvirt's own words."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise SnapshotError(what, why=str(error)) from error
