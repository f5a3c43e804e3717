"""The provider libvirt: Vagrant makes the machines, libvirt is asked for everything else."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import platformdirs

from labctl.console import StepView
from labctl.errors import BootError
from labctl.providers import agent
from labctl.providers.base import BuiltBox, Found, Saver
from labctl.providers.libvirt import POOL, Hypervisor
from labctl.providers.saver import LibvirtSaver
from labctl.providers.vagrant import BOX_VERSION, LabVagrant, add_box, follower, forget_machines
from labctl.render.layout import BoxImage, Layout, Network

_POWER_OFF = ("/bin/systemctl", "poweroff")
_TOLD = 20.0  # seconds


class LibvirtProvider:
    """Machines by vagrant-libvirt."""

    name = "libvirt"
    pool = POOL

    def __init__(self) -> None:
        self.hypervisor = Hypervisor()
        self.saver: Saver | None = LibvirtSaver(self.hypervisor)

    def found(self) -> tuple[Found, ...]:
        """Every machine of every lab of this host."""
        return self.hypervisor.found()

    def network(self, lab: str) -> Network | None:
        """The lab's network, if it is there."""
        return self.hypervisor.network(lab)

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        """A network that nothing else on this host uses."""
        return self.hypervisor.lease(lab, wanted)

    def check_box(self, box: BuiltBox) -> None:
        """Refuse a box that is damaged. One that is in libvirt's pool already was whole when it came there.

        Raises:
            BoxError: it is not what was built.
        """
        if not all(self._staged(box).values()):
            box.check()

    def _staged(self, box: BuiltBox) -> dict[str, str | None]:
        """Where the box's files are in the pool, by their names; None for one that is not whole there."""
        names = {path.name: f"{box.vagrant_name}_{path.name}" for path in (box.kernel, box.initrd)}
        names[box.file.name] = _volume(box)
        return {name: self.hypervisor.whole(volume) for name, volume in names.items()}

    def own_image(self, box: BuiltBox, view: StepView, log: Path) -> BoxImage:
        """A box of labctl's own, known to Vagrant and whole in libvirt's pool.

        Vagrant would upload it by itself, but guards that inside one process only: a second lab could start from
        half a volume, and an interrupted upload would stay. So it is staged here, under the name Vagrant looks for.
        """
        from filelock import FileLock  # noqa: PLC0415 - slow to import

        name = box.vagrant_name
        with FileLock(platformdirs.user_cache_path("labctl") / "stage.lock"):
            if not all(self._staged(box).values()):
                view.note("handing the box to libvirt (once)")
                for path in (box.kernel, box.initrd):
                    with path.open("rb") as source:
                        self.hypervisor.upload(f"{name}_{path.name}", source, path.stat().st_size)
                self.hypervisor.upload_member(_volume(box), box.file, "box.img", capacity=box.disk_size)
            add_box(name, box.file, log)
            staged = self._staged(box)
        return BoxImage(
            name=name,
            version=BOX_VERSION,
            kernel=staged[box.kernel.name],
            initrd=staged[box.initrd.name],
            user="root",
            baked=True,
            warm_python=True,
        )

    def connect(self, layout: Layout) -> None:
        """Have the lab's network up, and the pool for its volumes."""
        self.hypervisor.pool()
        self.hypervisor.connect(layout)

    def make(
        self, layout: Layout, nodes: Sequence[str], view: StepView, log: Path, answered: threading.Event
    ) -> None:
        """Make and start the machines of these nodes; once all have answered there is nothing left to wait for."""
        LabVagrant(
            layout.directory, layout.vagrantfile, log=log, on_line=follower(nodes, view), enough=answered
        ).make(nodes, "libvirt")
        for node in nodes:
            self.hypervisor.describe(layout.lab, node, layout.directory)

    def start(self, lab: str, node: str) -> None:
        """Start one machine that is stopped, resume one that is suspended."""
        self.hypervisor.start(lab, node)

    def suspend(self, lab: str, node: str) -> None:
        """Freeze one running machine in memory."""
        self.hypervisor.suspend(lab, node)

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        """Shut one machine down.

        labctl's own boxes have no logind, without which neither the power button nor the guest agent's own command for
        it does anything; systemctl then tells the first process itself.
        """
        if not force and self._runs(lab, node):
            with contextlib.suppress(BootError):  # without an agent, or if it has gone before it could answer
                agent.execute(self.hypervisor.domain(lab, node), _POWER_OFF, deadline=_TOLD)
        self.hypervisor.stop(lab, node, force=force, deadline=deadline)

    def _runs(self, lab: str, node: str) -> bool:
        return any((one.lab, one.node, one.state) == (lab, node, "running") for one in self.found())

    def resize(self, lab: str, node: str, *, cpus: int, memory: int) -> None:
        """Give a machine that is off another number of CPUs and other memory, in MiB."""
        self.hypervisor.resize(lab, node, cpus=cpus, memory=memory)

    def remove(self, lab: str, node: str, directory: Path) -> None:
        """One machine and its disk gone, and Vagrant's note of it."""
        self.hypervisor.remove_machines(lab, node)
        shutil.rmtree(directory / ".vagrant" / "machines" / node, ignore_errors=True)
        forget_machines(directory, node)

    def destroy(self, lab: str, directory: Path) -> None:
        """Everything of the lab gone from libvirt, and from Vagrant's own notes."""
        self.hypervisor.remove_machines(lab)
        self.hypervisor.remove_network(lab)
        forget_machines(directory)


def _volume(box: BuiltBox) -> str:
    """The name that vagrant-libvirt looks for in the pool."""
    return f"{box.vagrant_name}_vagrant_box_image_{BOX_VERSION}_box.img"
