"""What labctl asks of those who make machines."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, Protocol

from labctl.console import StepView
from labctl.render.layout import BoxImage, Layout, Network

MachineState = Literal["running", "stopped", "suspended", "crashed"]

# Domain and volume names of a lab begin with this and end with the node's name. Lab names have no underscore, so
# the parts can be told apart, and everything of a lab is found without any file of it.
PREFIX = "labctl_"


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
    """

    name: str
    pool: str

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

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        """Shut one machine down within ``deadline`` seconds; switch it off if that was not enough or if forced."""

    def remove(self, lab: str, node: str, directory: Path) -> None:
        """One machine and its disk gone."""

    def destroy(self, lab: str, directory: Path) -> None:
        """Everything of the lab gone, whatever state it is in."""
