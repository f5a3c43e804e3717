"""The provider VirtualBox: Vagrant makes the machines, VBoxManage is asked for everything else.

Rendered, validated and tested against recorded answers only: it was never run on a real VirtualBox.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import NoReturn

from labctl.console import StepView
from labctl.errors import BootError, BoxError, HostError
from labctl.providers.base import PREFIX, BuiltBox, Found, MachineState, Saver
from labctl.providers.vagrant import LabVagrant, follower, forget_machines
from labctl.render.layout import BoxImage, Layout, Network

# Since 6.1.28 VirtualBox lets host-only networks be in 192.168.56.0/21 only, unless /etc/vbox/networks.conf says more.
_RANGE = IPv4Network("192.168.56.0/21")
_LINE = re.compile(r'^"(?P<name>[^"]+)" \{(?P<uuid>[0-9a-f-]+)\}$')
_STATES: dict[str, MachineState] = {
    "running": "running",
    "starting": "running",
    "restoring": "running",
    "stopping": "running",
    "saving": "running",
    "paused": "suspended",
    "saved": "suspended",
    "aborted": "crashed",
    "aborted-saved": "crashed",
    "gurumeditation": "crashed",
    "stuck": "crashed",
}
_OFF = ("poweroff", "saved", "aborted", "aborted-saved")  # no process of it is left


class VirtualBoxProvider:
    """Machines by Vagrant's own VirtualBox provider."""

    name = "virtualbox"
    pool = ""
    saver: Saver | None = None  # its snapshots know nothing of other machines

    def found(self) -> tuple[Found, ...]:
        """Every machine of every lab of this host."""
        machines = []
        for line in _manage("list", "vms").splitlines():
            match = _LINE.match(line)
            lab, _, node = match["name"].removeprefix(PREFIX).partition("_") if match else ("", "", "")
            if match and match["name"].startswith(PREFIX) and node:
                machines.append(Found(lab, node, _state(match["name"])))
        return tuple(machines)

    def network(self, lab: str) -> Network | None:  # noqa: ARG002 - Vagrant looks for it by its address
        """Not known before Vagrant has made it; `lease` gives the same one each time."""
        return None

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        """A host-only network of the lab's name; one of eight, unless the definition says which."""
        subnets = list(_RANGE.subnets(new_prefix=24))
        subnet = wanted or subnets[int(hashlib.sha256(lab.encode()).hexdigest(), 16) % len(subnets)]
        return Network(f"lab {lab}"[:15], subnet, subnet.network_address + 1)

    def own_image(self, box: BuiltBox, view: StepView, log: Path) -> BoxImage:  # noqa: ARG002
        """There is none; see `check_box`."""
        self.check_box(box)

    def check_box(self, box: BuiltBox) -> NoReturn:
        """Refused: labctl's own boxes boot without a boot loader, which VirtualBox cannot.

        Raises:
            BoxError: always.
        """
        raise BoxError(
            f"{box.vagrant_name} is for libvirt",
            why="VirtualBox cannot boot a kernel directly, and the box has no boot loader",
            hint="take a public box: --set box=debian/bookworm64",
        )

    def connect(self, layout: Layout) -> None:
        """Nothing to do: Vagrant makes the host-only network with the first machine."""

    def make(
        self, layout: Layout, nodes: Sequence[str], view: StepView, log: Path, answered: threading.Event
    ) -> None:
        """Make and start the machines of these nodes; once all have answered there is nothing left to wait for."""
        LabVagrant(layout.directory, log=log, on_line=follower(nodes, view), enough=answered).make(
            nodes, "virtualbox"
        )

    def start(self, lab: str, node: str) -> None:
        """Start one machine that is stopped, resume one that is suspended."""
        name = f"{PREFIX}{lab}_{node}"
        if _word(name) == "paused":
            _manage("controlvm", name, "resume")
        elif _state(name) != "running":
            _manage("startvm", name, "--type", "headless")

    def suspend(self, lab: str, node: str) -> None:
        """Freeze one running machine in memory."""
        name = f"{PREFIX}{lab}_{node}"
        if _word(name) == "running":
            _manage("controlvm", name, "pause")

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        """Shut one machine down; switch it off if that was not enough or if forced."""
        name = f"{PREFIX}{lab}_{node}"
        end = time.monotonic() + deadline
        if not force and _word(name) == "running":
            _manage("controlvm", name, "acpipowerbutton")
            while time.monotonic() < end and _word(name) not in _OFF:
                time.sleep(min(1, deadline / 10))
        if _word(name) not in _OFF:
            _manage("controlvm", name, "poweroff")

    def resize(self, lab: str, node: str, *, cpus: int, memory: int) -> None:
        """Give a machine that is off another number of CPUs and other memory, in MiB."""
        _manage("modifyvm", f"{PREFIX}{lab}_{node}", "--cpus", str(cpus), "--memory", str(memory))

    def remove(self, lab: str, node: str, directory: Path) -> None:
        """One machine and its disk gone."""
        self.stop(lab, node, force=True, deadline=0)
        _manage("unregistervm", f"{PREFIX}{lab}_{node}", "--delete")
        forget_machines(directory, node)

    def destroy(self, lab: str, directory: Path) -> None:
        """Every machine of the lab gone, whatever state it is in."""
        for machine in self.found():
            if machine.lab == lab:
                self.remove(lab, machine.node, directory)
        forget_machines(directory)


def _state(name: str) -> MachineState:
    return _STATES.get(_word(name), "stopped")


def _word(name: str) -> str:
    """VirtualBox's own word for what a machine does."""
    facts = _manage("showvminfo", name, "--machinereadable")
    match = re.search(r'^VMState="([\w-]+)"$', facts, re.MULTILINE)
    return match[1] if match else "poweroff"


def _manage(*words: str) -> str:
    try:
        done = subprocess.run(
            ["VBoxManage", *words], capture_output=True, text=True, check=False, timeout=120
        )
    except OSError as error:
        raise HostError(
            "VirtualBox is not installed", why=str(error), hint="install it, or use libvirt"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise BootError(f"VBoxManage {words[0]} did not end within 120 s", hint="labctl doctor") from error
    if done.returncode != 0:
        raise BootError(f"VBoxManage {words[0]} failed", why=done.stderr.strip(), hint="labctl doctor")
    return done.stdout
