"""Machines whose memory and disks are a few bytes: saved to real files, brought back through real pipes."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Collection, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from labctl.errors import BootError, SnapshotError
from labctl.providers.base import STAGED, Answer, Identity, MachineState, MachineXml, Place, Sink, StagedBox
from labctl.providers.save_file import Renamed

HOST = {"qemu": "7002022", "libvirt": "9000000", "pool": "/pool"}
Machine = tuple[str, str]
_HEAD = struct.Struct("=16s5I56x")


def save_file(xml: str, memory: bytes, *, cookie: bytes = b"") -> bytes:
    """What libvirt writes when it saves a machine's memory."""
    text = xml.encode() + b"\0"
    offset = len(text) if cookie else 0
    head = _HEAD.pack(b"LibvirtQemudSave", 2, len(text + cookie), 1, 0, offset)
    return head + text + cookie + memory


def of_save_file(content: bytes) -> tuple[str, bytes]:
    """The machine that such a file is of, in libvirt's words, and its memory."""
    magic, version, length, running, compressed, cookie = _HEAD.unpack_from(content)
    assert (magic, version, running, compressed, cookie) == (b"LibvirtQemudSave", 2, 1, 0, 0)
    text = content[_HEAD.size : _HEAD.size + length]
    assert text.endswith(b"\0")
    return text[:-1].decode(), content[_HEAD.size + length :]


@dataclass
class FakeSaver:
    """The protocol `Saver` of `labctl.providers.base`; `failures` make the next call of that kind, for that node, fail.

    Attributes:
        states: of each machine, by lab and node; those of a FakeProvider, if it has one.
        memory: what is in each machine.
        disks: what each machine's disk has of its own, on top of the one below.
        below: the saved disk that each machine's disk stands on.
        pool: the saved disks.
        boxes: those in the pool that no disk stands on.
        places: where each machine was brought back.
        told: the scripts that each machine was told, with their standard input.
        answers: how scripts end in a machine; well, if it is not among these.
        mute: machines whose guest agent does not answer.
        adopted: who each copied machine is, as Vagrant was told.
        blind: machines that are brought back without anybody reading their memory.
        slow: machines whose memory is written until they are abandoned.
        slim_for: for how many seconds each has been slim when it says so.
    """

    states: MutableMapping[Machine, MachineState]
    memory: dict[Machine, bytes] = field(default_factory=dict)
    disks: dict[Machine, bytes] = field(default_factory=dict)
    below: dict[Machine, str] = field(default_factory=dict)
    pool: dict[str, bytes] = field(default_factory=dict)
    boxes: dict[str, StagedBox] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failures: dict[str, BaseException] = field(default_factory=dict)
    host: dict[str, str] = field(default_factory=lambda: dict(HOST))
    told: list[tuple[str, str, str]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    adopted: dict[tuple[Path, str], Identity] = field(default_factory=dict)
    blind: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    slim_for: dict[str, float] = field(default_factory=dict)
    writing: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)

    def _call(self, verb: str, node: str) -> None:
        self.calls.append(f"{verb} {node}")
        error = self.failures.pop(f"{verb} {node}", None)
        if error is not None:
            raise error

    def did(self, verb: str) -> list[str]:
        """The nodes that were asked for this, sorted."""
        return sorted(call.partition(" ")[2] for call in self.calls if call.partition(" ")[0] == verb)

    def content(self, lab: str, node: str) -> tuple[bytes, bytes]:
        """What is in a machine and on its disk; one that was just made has some of its own."""
        key = lab, node
        below = self.pool[self.below[key]] if key in self.below else b""
        own = self.disks.setdefault(key, os.urandom(5000))
        return self.memory.setdefault(key, os.urandom(3 << 20)), below + own

    def lose(self, lab: str, node: str) -> None:
        """A machine is gone, and its disk with it."""
        for kept in (self.memory, self.disks, self.below):
            kept.pop((lab, node), None)

    def facts(self) -> dict[str, str]:
        return self.host

    def tell(self, lab: str, node: str, script: str, *, stdin: str = "", deadline: float) -> Answer:
        assert deadline > 0
        # What Slurm says is up to the World, which is asked by SSH.
        if node in self.mute or "sinfo" in script or self.states.get((lab, node)) != "running":
            raise BootError(f"the guest agent of {node} does not answer")
        self._call("tell", node)
        self.told.append((node, script, stdin))
        return self.answers.get(node, Answer(0, "", ""))

    def set_clock(self, lab: str, node: str, now: float) -> None:
        assert abs(now - time.time()) < 60
        assert self.states[lab, node] == "running"
        self._call("clock", node)

    def stand_alone(self, lab: str, node: str) -> None:
        self.disks[lab, node] = self.content(lab, node)[1]
        self.below.pop((lab, node), None)
        self._call("alone", node)

    def slim(self, lab: str, node: str) -> float:
        del lab
        self._call("slim", node)
        return self.slim_for.get(node, 0.0)

    def pause(self, lab: str, node: str) -> None:
        self._call("pause", node)
        self.states[lab, node] = "suspended"

    def resume(self, lab: str, node: str) -> None:
        self.states[lab, node] = "running"
        self._call("resume", node)

    def abandon(self, lab: str, node: str) -> None:
        del lab
        self._call("abandon", node)
        self.abandoned.set()

    def describe(self, lab: str, node: str) -> MachineXml:
        return MachineXml(f"defined {lab}/{node}", f"running {lab}/{node}")

    def save_memory(self, lab: str, node: str, path: Path) -> None:
        assert self.states[lab, node] == "suspended"
        if node in self.slow:
            self.writing.set()
            assert self.abandoned.wait(10)
            raise SnapshotError(f"the memory of {node} could not be saved", why="it was abandoned")
        assert not self.slow or self.writing.wait(10)
        path.write_bytes(save_file(self.describe(lab, node).running, self.content(lab, node)[0]))
        self._call("memory", node)

    def save_disk(self, lab: str, node: str, sink: Sink) -> None:
        assert self.states[lab, node] == "suspended"
        self.content(lab, node)
        disk = self.disks[lab, node]
        for start in range(0, len(disk), 999):
            sink.write(disk[start : start + 999])
        self._call("disk", node)

    def capacity(self, lab: str, node: str) -> int:
        del lab, node
        return 16 << 30

    def staged(self) -> frozenset[str]:
        return frozenset(self.pool)

    def stage(self, volume: str, source: IO[bytes], size: int, capacity: int) -> None:
        assert capacity == 16 << 30
        content = b"".join(iter(lambda: source.read(777), b""))
        assert len(content) == size
        self.pool[volume] = content
        self._call("stage", volume)

    def unstage(self, prefix: str) -> None:
        doomed = {volume for volume in self.pool if volume.startswith(prefix)}
        if not doomed & set(self.below.values()):
            for volume in doomed:
                del self.pool[volume]
        self._call("unstage", prefix)

    def unstage_others(self, kept: Collection[str]) -> None:
        stray = {volume for volume in self.pool if volume.removeprefix(STAGED).partition("_")[0] not in kept}
        for volume in stray - set(self.below.values()):
            del self.pool[volume]

    def idle_boxes(self) -> dict[str, StagedBox]:
        return dict(self.boxes)

    def new_disk(self, lab: str, node: str, base: str) -> str:
        self.below[lab, node] = base
        self.disks[lab, node] = b""
        return f"/pool/{lab}_{node}.img"

    def placed(self, machine: MachineXml, place: Place) -> MachineXml:
        self.places[place.node] = place
        was = machine.defined.removeprefix("defined ")
        assert machine.running == f"running {was}"
        assert place.identity or was == f"{place.lab}/{place.node}"
        return self.describe(place.lab, place.node)

    def renamed(self, sink: Sink, machine: MachineXml) -> Sink:
        return Renamed(sink, machine.running)

    def bring_back(self, machine: MachineXml, memory: Path) -> None:
        lab, _, node = machine.defined.removeprefix("defined ").partition("/")
        self._call("bring", node)
        if node not in self.blind:
            content = memory.read_bytes()
            if not content:
                raise SnapshotError(f"{node} could not be brought back", why="failed to read qemu header")
            running, self.memory[lab, node] = of_save_file(content)
            assert running == machine.running
        self._call("brought", node)
        self.states[lab, node] = "suspended"

    def adopt(self, directory: Path, node: str, identity: Identity) -> None:
        self._call("adopt", node)
        self.adopted[directory, node] = identity

    def switch_off(self, lab: str, node: str) -> None:
        if (lab, node) not in self.states:
            raise BootError(f"{node} has no machine")
        self._call("off", node)
        self.states[lab, node] = "stopped"
