"""What labctl asks of those who make machines."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Literal, Protocol

from labctl.console import StepView
from labctl.render.layout import BoxImage, Layout, Network

MachineState = Literal["running", "stopped", "suspended", "crashed"]

# Domain and volume names of a lab begin with this and end with the node's name. Lab names have no underscore, so
# the parts can be told apart, and everything of a lab is found without any file of it.
PREFIX = "labctl_"
# The environment variable that tells the guest agent's `ask`, which knows nodes only, what a lab's domains begin with.
PREFIX_VARIABLE = "LABCTL_DOMAIN_PREFIX"
# What the names of labctl's own boxes in the storage pool begin with; an underscore and the file follow.
BOX = "labctl-"
# What the names of saved disks in the storage pool begin with; the id of the snapshot and the node follow.
STAGED = "labctl-snapshot-"


@dataclass(frozen=True)
class Found:
    """A machine as the hypervisor knows it.

    Attributes:
        lab: the lab it is of.
        node: its name in the lab.
        state: what it does.
        directory: the lab's folder, as the machine's own description says; empty if it does not.
        started: seconds since the epoch, as far as it is known.
    """

    lab: str
    node: str
    state: MachineState
    directory: str = ""
    started: float | None = None


@dataclass(frozen=True)
class MachineXml:
    """A machine in the hypervisor's own words: as it is defined, and as it runs."""

    defined: str
    running: str


@dataclass(frozen=True)
class Identity:
    """Which machine a copy of a saved one is: all that the hypervisor tells machines apart by, and what it boots with.

    Attributes:
        name: its domain's.
        uuid: its domain's.
        mac: of its one network card.
        command_line: its kernel's, from its next boot on.
    """

    name: str
    uuid: str
    mac: str
    command_line: str


@dataclass(frozen=True)
class Place:
    """Where a saved machine is brought back.

    Attributes:
        lab: its lab.
        node: its node.
        directory: the lab's folder.
        disk: the path of its new disk.
        kernel: what it boots; None if its box boots by itself.
        initrd: the same for the initrd.
        network: the name of the lab's network.
        identity: who it is from now on; None if it is who it was.
    """

    lab: str
    node: str
    directory: Path
    disk: str
    kernel: str | None
    initrd: str | None
    network: str
    identity: Identity | None = None


@dataclass(frozen=True)
class Answer:
    """How a script in a machine ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class StagedBox:
    """A box in the storage pool: the bytes that it takes, and when it was last read, in seconds since the epoch."""

    bytes: int
    used: float


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take some."""


class Saver(Protocol):
    """Saves machines with their memory and brings them back; calls for different machines may go side by side.

    What cannot be saved or brought back is a SnapshotError; where nothing else is said, a machine that is not there is
    a BootError.
    """

    def facts(self) -> dict[str, str]:
        """What of the hypervisor saved machines depend on: its versions, and where disks are."""

    def tell(self, lab: str, node: str, script: str, *, stdin: str = "", deadline: float) -> Answer:
        """Run a shell script as root in a machine, without a login; BootError if there is no way to."""

    def set_clock(self, lab: str, node: str, now: float) -> None:
        """Tell a machine what time it is, in seconds since the epoch; BootError if there is no way to."""

    def slim(self, lab: str, node: str) -> float:
        """Have a running machine let go of memory that it does not need; how many seconds ago it has."""

    def stand_alone(self, lab: str, node: str) -> None:
        """Have a running machine's disk stand on its box alone, and on no other snapshot's disk."""

    def pause(self, lab: str, node: str) -> None:
        """Freeze a running machine."""

    def resume(self, lab: str, node: str) -> None:
        """Let a frozen machine go on; one that runs is left alone."""

    def abandon(self, lab: str, node: str) -> None:
        """End the saving of a machine's memory, if that is what it is at."""

    def describe(self, lab: str, node: str) -> MachineXml:
        """A machine as the hypervisor knows it."""

    def save_memory(self, lab: str, node: str, path: Path) -> None:
        """Write a frozen machine's memory to a file; the machine stays frozen."""

    def save_disk(self, lab: str, node: str, sink: Sink) -> None:
        """Write a frozen machine's disk to a stream: what it has of its own, on top of its box."""

    def capacity(self, lab: str, node: str) -> int:
        """The size of a machine's disk as the machine sees it, in bytes."""

    def staged(self) -> frozenset[str]:
        """The saved disks that are there, whole, for machines to stand on."""

    def stage(self, volume: str, source: IO[bytes], size: int, capacity: int) -> None:
        """Have a saved disk of ``size`` bytes there; ``capacity`` is the size of the disk inside, in bytes."""

    def unstage(self, prefix: str) -> None:
        """Delete the saved disks whose names begin so, but for those that a machine stands on."""

    def unstage_others(self, kept: Collection[str]) -> None:
        """Delete saved disks of snapshots that are not among these ids, but for those that a machine stands on."""

    def idle_boxes(self) -> dict[str, StagedBox]:
        """The boxes of labctl in the storage pool that no disk stands on, by name; whosever cache they came from."""

    def new_disk(self, lab: str, node: str, base: str) -> str:
        """A new disk for a machine, on top of a saved one; its path."""

    def placed(self, machine: MachineXml, place: Place) -> MachineXml:
        """What a saved machine is in this place."""

    def renamed(self, sink: Sink, machine: MachineXml) -> Sink:
        """A sink that hands on what `save_memory` wrote, as the memory of this machine."""

    def bring_back(self, machine: MachineXml, memory: Path) -> None:
        """Make a machine as `placed` says and as its memory was, frozen; ``memory``, a file or a pipe, is `renamed`."""

    def adopt(self, directory: Path, node: str, identity: Identity) -> None:
        """Have whoever makes machines know one that was copied, in the lab's folder."""

    def switch_off(self, lab: str, node: str) -> None:
        """Take a machine's power away, if it has any; it stays known to the hypervisor."""


class BuiltBox(Protocol):
    """A box in the user's cache, as far as a provider must know it.

    Attributes:
        vagrant_name: the name under which Vagrant knows it; another content is another name.
        file: the Vagrant box.
        kernel: what is booted directly.
        initrd: its initrd.
        disk_size: of the image, in bytes.
    """

    @property
    def vagrant_name(self) -> str: ...
    @property
    def file(self) -> Path: ...
    @property
    def kernel(self) -> Path: ...
    @property
    def initrd(self) -> Path: ...
    @property
    def disk_size(self) -> int: ...
    def check(self) -> None:
        """Raise BoxError if it is not what was built."""


class Provider(Protocol):
    """Makes machines, and knows all of those that labctl ever made on this host.

    Attributes:
        name: libvirt or virtualbox.
        pool: libvirt's storage pool for the disks.
        saver: saves machines with their memory; None where that cannot be done.
    """

    name: str
    pool: str
    saver: Saver | None

    def found(self) -> tuple[Found, ...]:
        """Every machine of every lab of this host."""

    def network(self, lab: str) -> Network | None:
        """The lab's network, if it is there."""

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        """A network that nothing else on this host uses: the wanted one, or any."""

    def check_box(self, box: BuiltBox) -> None:
        """Refuse a box that no machine can be started from, before anything is touched."""

    def own_image(self, box: BuiltBox, view: StepView, log: Path) -> BoxImage:
        """Have a box that labctl built ready to start machines from."""

    def connect(self, layout: Layout) -> None:
        """Have the lab's network up, with an address for each machine."""

    def make(
        self, layout: Layout, nodes: Sequence[str], view: StepView, log: Path, answered: threading.Event
    ) -> None:
        """Make and start the machines of these nodes; once all have answered there is nothing left to wait for."""

    def start(self, lab: str, node: str) -> None:
        """Start one machine that is stopped, resume one that is suspended."""

    def suspend(self, lab: str, node: str) -> None:
        """Freeze one running machine in memory; `start` lets it go on."""

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        """Shut one machine down within ``deadline`` seconds; switch it off if that was not enough or if forced."""

    def resize(self, lab: str, node: str, *, cpus: int, memory: int) -> None:
        """Give a machine that is off another number of CPUs and other memory, in MiB."""

    def remove(self, lab: str, node: str, directory: Path) -> None:
        """One machine and its disk gone."""

    def destroy(self, lab: str, directory: Path) -> None:
        """Everything of the lab gone, whatever state it is in."""
