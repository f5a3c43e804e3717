"""One measuring run: every figure once, in the order in which one stands on the other."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import bare, disk, naive
from bench.figures import DISK, NAIVE, Measured
from bench.labs import LAB, SECOND, Labctl
from bench.programs import BenchError
from labctl.definition import loading
from labctl.files import LabFiles
from labctl.providers.libvirt import Hypervisor
from labctl.render.layout import Driver
from labctl.steps import box

PRESET = "full"
#: What the comparison does without: its mirror has Debian's packages, and none of PyPI's.
_PLAIN = ["services.jupyter=false"]
_ROOMS = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it; snapshots are too large for a /tmp in memory
Say = Callable[[str], None]


def require(wanted: frozenset[str], preset: str) -> None:
    """Refuse, before anything is measured, what would fail or be counted in at the end.

    Raises:
        BenchError: the plain box has not been made, or labctl's own.
    """
    if NAIVE in wanted:
        naive.require_prepared()
        naive.refuse_strangers(Hypervisor())
    name = loading.load(preset).box
    if box.is_own(name) and box.current(name) is None:
        raise BenchError(f"the box {name} has not been built", hint=f"labctl box build {name}")


def measure(
    wanted: frozenset[str], preset: str, log: Path, say: Say, *, done: Callable[[Measured], None]
) -> None:
    """Measure these figures.

    Args:
        wanted: their names.
        preset: the lab that is measured.
        log: what programs say is appended to it.
        say: is told how far it is.
        done: is handed what is known so far: before the long wait for `naive`, and after it.

    Raises:
        LabError: something could not be measured. Labs and snapshots are gone all the same.
    """
    found = Measured(preset, nodes=len(loading.load(preset).machines()))
    with tempfile.TemporaryDirectory(prefix="labctl-bench.", dir=_ROOMS) as name:
        room = Path(name)
        room.chmod(0o711)  # QEMU's own user comes by
        _labs(wanted, found, room, log, say)
    done(found)
    if NAIVE in wanted:
        plain = loading.load(preset, overrides=_PLAIN)
        found.steps[NAIVE] = naive.measure(plain, _driver(found), log, say)
        found.seconds[NAIVE] = sum(step["seconds"] for step in found.steps[NAIVE])
        say(f"naive: {found.seconds[NAIVE]:.1f} s")
        done(found)


def _driver(found: Measured) -> Driver:
    return "kvm" if found.driver == "kvm" else "qemu"


def _labs(wanted: frozenset[str], found: Measured, room: Path, log: Path, say: Say) -> None:
    saved = room / "saved"
    saved.mkdir(mode=0o711)
    labctl = Labctl(room, room / "snapshots", log)
    labctl.refuse_taken_names()
    session = _Session(labctl, found, say)
    try:
        session.all(wanted)
        session.bare()
        found.seconds["bare_restore"] = bare.restore_bare(Hypervisor(), labctl.folder(LAB), saved)
        say(f"libvirt's bare restore of them: {found.seconds['bare_restore']:.1f} s")
    finally:
        for complaint in labctl.remove_all():
            say(f"left behind: {complaint}")


class _Session:
    """The labs of a run, from nothing to the second one."""

    def __init__(self, labctl: Labctl, found: Measured, say: Say) -> None:
        self._labctl = labctl
        self._found = found
        self._say = say

    def all(self, wanted: frozenset[str]) -> None:
        """Measure what of it is wanted; in this order each finds the lab as it needs it."""
        preset = self._found.preset
        self._timed("first", "up", preset, "--name", LAB, "--fresh")
        self.bare()
        self._labctl("destroy", LAB)
        self._timed("cold", "up", preset, "--name", LAB, "--fresh")
        self._found.driver = LabFiles(self._labctl.folder(LAB)).record().driver
        if "noop_up" in wanted:
            self._timed("noop_up", "up", preset, "--name", LAB)
        if "noop_converge" in wanted:
            self._timed("noop_converge", "converge", LAB)
        if "reset" in wanted:
            self._timed("reset", "reset", LAB)
        if "warm" in wanted:
            self._labctl("destroy", LAB)
            self._timed("warm", "up", preset, "--name", LAB)
        if DISK in wanted:
            self._second()

    def bare(self) -> None:
        """The lab's machines bare. F is the mean of all times that this is done: a host changes its pace meanwhile."""
        self._say("F: as many bare machines of the same box")
        self._labctl("stop", LAB, "--force")
        boots = self._found.bare_boots
        boots.append(bare.boot_bare(Hypervisor(), self._labctl.folder(LAB)))
        self._found.seconds["F"] = sum(boots) / len(boots)
        self._say(f"F: {boots[-1]:.1f} s")

    def _second(self) -> None:
        """The disk of a second lab. The first is stopped meanwhile: a host need not have the memory for both."""
        hypervisor = Hypervisor()
        first = disk.used(hypervisor, LAB)
        self._labctl("stop", LAB, "--force")
        self._say(f"{DISK}: labctl up {self._found.preset} --name {SECOND} --no-verify")
        self._labctl("up", self._found.preset, "--name", SECOND, "--no-verify")
        second = disk.used(hypervisor, SECOND)
        self._found.disk_bytes = {"first": sum(first.values()), "second": disk.beyond(first, second)}
        self._labctl("destroy", SECOND)

    def _timed(self, name: str, *words: str) -> None:
        self._say(f"{name}: labctl {' '.join(words)}")
        self._labctl.forget_steps(LAB)
        started = time.monotonic()
        self._labctl(*words)
        self._found.seconds[name] = time.monotonic() - started
        steps = self._labctl.steps(LAB)
        if steps:
            self._found.steps[name] = steps
        self._say(f"{name}: {self._found.seconds[name]:.1f} s")


def load() -> float:
    """How many processes were busy during the last minute; a run on a busy host is worth little."""
    return os.getloadavg()[0]
