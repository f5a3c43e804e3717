"""A host on which labs can be made in no time: what would boot, converge or verify machines is noted and believed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from savers import FakeSaver

from labctl import slurm
from labctl.console import BaseReporter, StepView
from labctl.definition.models import Definition
from labctl.providers.base import Answer, BuiltBox, Found, MachineState, Saver
from labctl.render.layout import BoxImage, Layout, Network
from labctl.steps.converge import ConvergeResult
from labctl.steps.verify import VerifyResult


class Notes(BaseReporter):
    """Keeps what was said about no step."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class FakeProvider:
    """Machines that are but an entry in a dictionary; the protocol of `labctl.providers.base`.

    Attributes:
        kernel: what machines of labctl's own box are booted with; without one, each boots by itself and is no copy.
    """

    name: str = "libvirt"
    pool: str = "labctl"
    saver: Saver | None = None
    kernel: str | None = None
    machines: dict[tuple[str, str], MachineState] = field(default_factory=dict)
    directories: dict[str, str] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    leased: dict[str, Network] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failures: dict[str, BaseException] = field(default_factory=dict)

    def _call(self, verb: str, *words: str) -> None:
        self.calls.append(" ".join((verb, *words)))
        if verb in self.failures:
            raise self.failures.pop(verb)

    def found(self) -> tuple[Found, ...]:
        return tuple(
            Found(lab, node, state, self.directories.get(lab, ""), 1.0 if state == "running" else None)
            for (lab, node), state in self.machines.items()
        )

    def network(self, lab: str) -> Network | None:
        return self.networks.get(lab)

    def lease(self, lab: str, wanted: IPv4Network | None) -> Network:
        subnet = wanted or IPv4Network(f"10.214.{len(self.leased)}.0/24")
        self.leased[lab] = Network(f"lc-{lab}"[:15], subnet, subnet[1])
        return self.leased[lab]

    def check_box(self, box: BuiltBox) -> None:
        """It is whole."""

    def own_image(self, box: BuiltBox, view: StepView, log: Path) -> BoxImage:
        del box, view, log
        self._call("stage")
        return BoxImage("labctl-debian-12", "1.0.0", self.kernel, self.kernel, "root", baked=True)

    def connect(self, layout: Layout) -> None:
        self._call("connect", layout.lab)
        self.networks[layout.lab] = layout.network

    def make(
        self, layout: Layout, nodes: Sequence[str], view: StepView, log: Path, answered: threading.Event
    ) -> None:
        del view, log, answered
        told = (layout.directory / layout.vagrantfile).read_text()
        assert all(f"name: '{node}'" in told for node in nodes)
        self._call("make", *nodes)
        self.directories[layout.lab] = str(layout.directory)
        self.machines.update({(layout.lab, node): "running" for node in nodes})

    def start(self, lab: str, node: str) -> None:
        self._call("start", node)
        self.machines[lab, node] = "running"

    def suspend(self, lab: str, node: str) -> None:
        self._call("suspend", node)
        self.machines[lab, node] = "suspended"

    def stop(self, lab: str, node: str, *, force: bool, deadline: float) -> None:
        del deadline
        self._call("force" if force else "stop", node)
        self.machines[lab, node] = "stopped"

    def resize(self, lab: str, node: str, *, cpus: int, memory: int) -> None:
        assert self.machines[lab, node] == "stopped"
        self._call("resize", node, f"{cpus}/{memory}")

    def remove(self, lab: str, node: str, directory: Path) -> None:
        del directory
        self._call("remove", node)
        self._lose(lab, node)

    def destroy(self, lab: str, directory: Path) -> None:
        del directory
        self._call("destroy", lab)
        self.networks.pop(lab, None)
        for key in [key for key in self.machines if key[0] == lab]:
            self._lose(*key)

    def _lose(self, lab: str, node: str) -> None:
        self.machines.pop((lab, node), None)
        if isinstance(self.saver, FakeSaver):
            self.saver.lose(lab, node)


@dataclass
class World:
    """The host; `failures` make the next call of that kind fail; `jobs` are those that run on nodes which go;
    `units` are those that are not active; `says` is what nodes answer to scripts with such words in them."""

    home: Path
    provider: FakeProvider = field(default_factory=FakeProvider)
    box: str = "a"
    slurm: dict[str, tuple[str, str]] = field(default_factory=dict)
    required: list[dict[str, int]] = field(default_factory=list)
    boxes: tuple[Any, ...] = ()
    through: Any = None
    jobs: str = ""
    units: dict[tuple[str, str], str] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> list[str]:
        """What was asked of the provider, of converge and of verify, in order."""
        return self.provider.calls

    def failing(self, verb: str, error: BaseException) -> None:
        """The next call of this kind fails."""
        self.provider.failures[verb] = error

    def taken(self) -> list[str]:
        """The calls so far; what follows begins anew."""
        calls = [*self.calls]
        self.calls.clear()
        return calls

    def converge(self, directory: Path, **options: Any) -> ConvergeResult:
        words = [path.name for path in options["playbooks"][1:]]  # the first is the project's own
        words += [f"{key}={options[key]}" for key in ("tags", "limit", "check") if options.get(key)]
        assert (directory / "inventory" / "hosts.yml").is_file()
        playbook = options["playbooks"][0].stem
        self.provider._call("converge", *([] if playbook == "site" else [playbook]), *words)
        return ConvergeResult(3, 9, 0, {}, [], {"munge : Run it": 1.234})

    def verify(self, inventory: Path, **options: Any) -> VerifyResult:
        words = [options[key] for key in ("level", "expression") if options.get(key)]
        assert (inventory / "hosts.yml").is_file()
        self.through = options["through"]
        self.provider._call("verify", *words)
        return VerifyResult(5, 0, 0, 1.0, (), {})

    def make_and_await(
        self, layout: Layout, nodes: Sequence[str], make: Callable[[threading.Event], None], view: StepView
    ) -> None:
        del layout, view
        make(threading.Event())
        self.provider._call("await", *nodes)

    def await_network(self, layout: Layout, view: StepView) -> None:
        del view
        self.provider._call("await", *(machine.node.name for machine in layout.machines))

    def require(
        self, definition: Definition, provider: str = "auto", taken: Any = None, made: Sequence[str] = ()
    ) -> None:
        del definition, provider, made
        self.required.append(dict(taken or {}))
        self.provider._call("require")

    def tell(
        self,
        _saver: object,
        _lab: str,
        node: str,
        script: str,
        *,
        ssh_config: Path,
        stdin: str = "",
        deadline: float = 60.0,
    ) -> Answer:
        """What the nodes answer: of their services, of Slurm, and when they are told that nodes go, or come back."""
        del ssh_config, stdin, deadline
        for words, said in self.says.items():
            if words in script:
                return Answer(0, said, "")
        if "State=DRAIN" in script:
            self.provider._call("drain", "by", node)
            return Answer(0, self.jobs, "")
        if "State=RESUME" in script and self.calls[-1:] != ["converge"]:
            self.provider._call("resume", "by", node)
        if script == slurm.ASK:
            return Answer(0, self.sinfo(), "")
        if script.startswith("systemctl is-active"):
            units = script.split()[2:]
            return Answer(0, "".join(f"{self.units.get((node, unit), 'active')}\n" for unit in units), "")
        return Answer(0, "", "")

    def sinfo(self) -> str:
        """What sinfo prints."""
        everyone = {node: ("idle", "none") for _, node in self.provider.machines} | self.slurm
        return "".join(f"{node}|{state}|cpu|1:00|{why}\n" for node, (state, why) in everyone.items())
