"""A lab that answers at once, as `labctl.lab.Lab` would, and notes what it was asked."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from labctl.errors import LabError, UsageError
from labctl.files import LabFiles
from labctl.plan import Action
from labctl.render.ssh_config import scp_command
from labctl.rotating import Planned, Rotated
from labctl.rotation import Kind
from labctl.snapshots import Snapshot
from labctl.steps.converge import ConvergeResult
from labctl.steps.snapshot import Saved


@dataclass(frozen=True)
class Run:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Cli = Callable[..., Run]


@dataclass(frozen=True)
class Node:
    name: str
    state: str
    address: str
    roles: tuple[str, ...]
    cpus: int = 1
    memory: int = 768
    gpus: int = 0
    slurm: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Partition:
    name: str
    default: bool
    nodes: str
    max_time: str | None


@dataclass(frozen=True)
class Service:
    name: str
    node: str
    state: str = "active"
    address: str = ""


@dataclass(frozen=True)
class Status:
    name: str = "full"
    state: str = "running"
    directory: Path = Path("/labs/.labctl/full")
    uptime_seconds: float = 754.0
    provider: str = "libvirt"
    driver: str = "qemu"
    network: str = "10.20.30.0/24"
    nodes: tuple[Node, ...] = (
        Node("slurmctld-0", "running", "10.20.30.10", ("slurmctld",)),
        Node("cpu-0", "running", "10.20.30.11", ("slurmd",), 2, 1024, 0, "idle"),
        Node("cpu-1", "crashed", "10.20.30.12", ("slurmd",), 2, 1024, 0, "down", "Not responding"),
    )
    partitions: tuple[Partition, ...] = (Partition("cpu", True, "cpu-[0-1]", "1:00:00"),)
    services: tuple[Service, ...] = ()
    problems: tuple[str, ...] = ("cpu-1 has crashed",)
    hints: tuple[str, ...] = ("labctl up --name full",)
    connect: tuple[str, ...] = ("labctl ssh --name full slurmctld-0",)


@dataclass(frozen=True)
class Verified:
    passed: int = 43
    failed: int = 0
    skipped: int = 1
    seconds: float = 12.34
    failures: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Up:
    changed: bool
    steps: list[tuple[str, float]]
    status: Status
    verify: Verified | None


@dataclass(frozen=True)
class Summary:
    name: str = "full"
    state: str = "running"
    running: int = 2
    nodes: int = 3
    network: str = "10.20.30.0/24"
    directory: Path | None = None
    files: bool = True


@dataclass
class FakeLab:
    """Every method notes that it was called, and raises `failure` if there is one."""

    name: str = "full"
    directory: Path = Path("/labs/.labctl/full")
    calls: list[str] = field(default_factory=list)
    failure: BaseException | None = None
    actions: tuple[Action, ...] = ()
    labs: tuple[Summary, ...] = ()
    changed: bool = True
    result: ConvergeResult | None = None
    base: Path | None = None
    definition: Any = None
    user: str | None = None
    saved: Snapshot | None = None
    looks: int = 0
    most_looks: int = 1000
    away: tuple[str, ...] = ()

    NODES: ClassVar = {"all": ("slurmctld-0", "cpu-0", "cpu-1"), "@slurmd": ("cpu-0", "cpu-1")}

    @property
    def files(self) -> LabFiles:
        return LabFiles(self.directory)

    @property
    def provider(self) -> SimpleNamespace:
        return SimpleNamespace(saver=None)

    def define(self, definition: Any, *, base: Path, name: str | None, provider: str = "auto") -> FakeLab:
        self.calls.append(f"define {name} {provider}")
        self.definition, self.base, self.name = definition, base, name or definition.name
        return self

    def find(self, name: str | None, *, base: Path) -> FakeLab:
        self.calls.append(f"find {name}")
        self.base = base
        return self

    def all(self, base: Path | None = None) -> tuple[Summary, ...]:  # noqa: ARG002
        return self.labs

    def _do(self, call: str, reporter: Any = None) -> None:
        self.calls.append(call)
        if reporter is not None:
            with reporter.step("boot") as view:
                view.node("cpu-0", "answered on SSH", "ok")
        if self.failure is not None:
            raise self.failure

    def plan(self, *, verify: bool = True, fresh: bool = False) -> tuple[Action, ...]:
        self._do(f"plan verify={verify} fresh={fresh}")
        return self.actions

    def create(self, reporter: Any) -> None:
        self._do("create", reporter)

    def up(
        self,
        reporter: Any,
        *,
        verify: bool = True,
        fresh: bool = False,
        force: bool = False,
        anew: bool = True,
    ) -> Up:
        options = (" force" if force else "") + ("" if anew else " as they are")
        self._do(f"up verify={verify} fresh={fresh}{options}", reporter)
        steps = [("network", 0.2), ("boot", 30.0), ("converge", 60.0)]
        return Up(self.changed, steps, Status(), Verified() if verify else None)

    def converge(
        self, reporter: Any, *, tags: str = "", limit: str = "", check: bool = False
    ) -> ConvergeResult:
        self._do(f"converge {tags} {limit} {check}", reporter)
        assert self.result is not None
        return self.result

    def rotation(self, kind: Kind, *, authority: bool = False) -> tuple[Planned, ...]:
        self._do(f"plan of rotating {kind} {authority}")
        return (Planned("the key lies ready", ("cpu-0", "cpu-1")),)

    def rotate(self, reporter: Any, kind: Kind, *, authority: bool = False) -> Rotated:
        self._do(f"rotate {kind} {authority}", reporter)
        return Rotated(kind, [("converge", 9.0)], ("cpu-0: reads what the new key signs",))

    def verify(self, reporter: Any, *, expression: str = "", level: str = "full") -> Verified:
        self._do(f"verify {expression} {level}", reporter)
        return Verified()

    def status(self, *, services: bool = False) -> Status:
        if not services:
            return Status()
        self.looks += 1
        if self.looks > self.most_looks:
            raise KeyboardInterrupt
        munge = tuple(Service("munge", node) for node in ("cpu-0", "cpu-1"))
        return Status(services=(Service("slurmctld", "slurmctld-0", "active", "10.20.30.10:6817"), *munge))

    def taken(self) -> dict[str, int]:
        return {}

    def start(self, reporter: Any, nodes: str = "") -> None:
        self._do(f"start {nodes}", reporter)

    def suspend(self, reporter: Any, nodes: str = "") -> None:
        self._do(f"suspend {nodes}", reporter)

    def resume(self, reporter: Any, nodes: str = "") -> tuple[str, ...]:
        self._do(f"resume {nodes}", reporter)
        return (nodes,) if nodes else ()

    def stop(self, reporter: Any, nodes: str = "", *, force: bool = False) -> None:
        self._do(f"stop {nodes} {force}", reporter)

    def of(self, saved: Snapshot, *, base: Path) -> FakeLab:
        self.calls.append(f"of {saved.id}")
        self.base = base
        return self

    def save_snapshot(self, reporter: Any, label: str) -> Saved:
        self._do(f"save {label}", reporter)
        assert self.saved is not None
        return Saved(self.saved, 1.26)

    def restore_snapshot(self, reporter: Any, saved: Snapshot) -> None:
        self._do(f"restore {saved.id}", reporter)

    def reset(self, reporter: Any) -> Snapshot:
        self._do("reset", reporter)
        assert self.saved is not None
        return self.saved

    def destroy(self, reporter: Any) -> None:
        self._do("destroy", reporter)

    def nodes(self, pattern: str) -> tuple[str, ...]:
        meant = {node for word in pattern.split() for node in self._meant(word)}
        return tuple(node for node in self.NODES["all"] if node in meant)

    def _meant(self, word: str) -> tuple[str, ...]:
        if word in self.NODES["all"]:
            return (word,)
        if word not in self.NODES:
            raise UsageError(f"there is no node {word}")
        return self.NODES[word]

    def unreachable(self, nodes: Sequence[str]) -> dict[str, LabError]:
        return {
            node: LabError(
                f"{node} cannot be reached", why="it is stopped", hint=f"labctl start --nodes {node}"
            )
            for node in nodes
            if node in self.away
        }

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        """Runs the command here as sshd would there, with the node's name in NODE."""
        assert not tty
        self.user = user
        return ["env", f"NODE={node}", "SHELL=/bin/sh", *(["sh", "-c", " ".join(command)] if command else [])]

    def root_command(self, node: str, script: str, *arguments: str) -> list[str]:
        return self.ssh_command(node, [shlex.join(["sh", "-c", script, "sh", *arguments])])

    def scp_command(self, sources: Sequence[str], target: str, *, recursive: bool = False) -> list[str]:
        return scp_command(self.directory / "ssh_config", sources, target, recursive=recursive)
