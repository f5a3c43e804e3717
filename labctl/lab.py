"""A lab: a definition brought to life under a name. The one place that knows the order of the steps."""

from __future__ import annotations

import difflib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, cast

from ClusterShell.NodeSet import NodeSet, NodeSetException

from labctl import files, host, kvm, providers, secrets, status
from labctl.console import Reporter, StepView
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.errors import DefinitionError, HostError, LabError, UsageError
from labctl.files import LabFiles
from labctl.plan import Action, Observed, Shape, Wanted, plan
from labctl.providers.base import PREFIX, Found, Provider
from labctl.render.inventory import inventory
from labctl.render.layout import BoxImage, Driver, Layout, Machine, Network
from labctl.render.layout import Provider as ProviderName
from labctl.render.ssh_config import ssh_config
from labctl.render.vagrantfile import vagrantfile
from labctl.resources import resource
from labctl.status import LabStatus, NodeStatus
from labctl.steps import boot, box
from labctl.steps.converge import ConvergeResult, converge
from labctl.steps.verify import Level, VerifyResult, verify

__all__ = ["Lab", "LabStatus", "LabSummary", "UpResult"]

_FIRST_ADDRESS = 10  # of the subnet; what is below is the host's
# Seconds for the cluster to find itself after machines were started: slurmd waits for its mounts, these for the server.
_SETTLES: dict[Driver, float] = {"kvm": 60.0, "qemu": 180.0}
_SETTLE_POLL = 2.0  # seconds between two looks
_STOP_DEADLINE = 90.0  # seconds for a machine to shut down before it is switched off


@dataclass(frozen=True)
class LabSummary:
    """A lab among others."""

    name: str
    state: str
    running: int
    nodes: int
    network: str
    directory: Path | None


@dataclass(frozen=True)
class UpResult:
    """What `up` did; ``steps`` are names and seconds, in order."""

    changed: bool
    steps: list[tuple[str, float]]
    status: LabStatus
    verify: VerifyResult | None


class Lab:
    """One lab, whatever state it is in."""

    def __init__(
        self,
        name: str,
        directory: Path,
        definition: Definition | None,
        provider: str = "auto",
        origin: str = "",
    ) -> None:
        self.name = name
        self.directory = directory
        self.files = LabFiles(directory)
        self._definition = definition
        self._wanted_provider = provider
        self._origin = origin or name
        self._provider: Provider | None = None
        self._steps: list[tuple[str, float]] = []
        self._broken: DefinitionError | None = None

    @classmethod
    def define(
        cls, definition: Definition, *, base: Path, name: str | None = None, provider: str = "auto"
    ) -> Lab:
        """The lab of a definition. Nothing is touched yet."""
        origin = definition.name
        if name:
            definition = loading.loads(loading.dump(definition), overrides=[f"name={name}"])
        return cls(definition.name, base / files.FOLDER / definition.name, definition, provider, origin)

    @classmethod
    def find(cls, name: str | None, *, base: Path) -> Lab:
        """An existing lab: by its files here or above, or by its machines.

        Raises:
            UsageError: there is none of that name, or more than one to choose from.
        """
        directory = files.find(base, name)
        if directory:
            return cls._at(directory.name, directory)
        labs = cls.all()
        if name is None and len(labs) == 1:
            name = labs[0].name
        for lab in labs:
            if lab.name == name:
                return cls._at(lab.name, lab.directory or base / files.FOLDER / lab.name)
        if name and providers.choose("auto").network(name):  # all that is left of one that was interrupted
            return cls._at(name, base / files.FOLDER / name)
        if name is None:
            raise UsageError(
                "which lab?" if labs else "there is no lab",
                why=f"there are {', '.join(lab.name for lab in labs)}" if labs else "",
                hint="name one with --name" if labs else "labctl up",
            )
        near = difflib.get_close_matches(name, [lab.name for lab in labs], 1)
        raise UsageError(
            f"there is no lab {name!r}",
            hint=f"did you mean {near[0]}?" if near else "labctl list shows all labs",
        )

    @classmethod
    def _at(cls, name: str, directory: Path) -> Lab:
        """The lab in a folder. One whose definition is broken is a lab as well: it can be looked at and destroyed."""
        try:
            return cls(name, directory, LabFiles(directory).load())
        except DefinitionError as error:
            lab = cls(name, directory, None)
            lab._broken = error
            return lab

    @classmethod
    def all(cls) -> tuple[LabSummary, ...]:
        """Every lab of this host, found by its machines."""
        provider = providers.choose("auto")
        by_lab: dict[str, list[Found]] = {}
        for machine in provider.found():
            by_lab.setdefault(machine.lab, []).append(machine)
        return tuple(_summary(name, machines, provider) for name, machines in sorted(by_lab.items()))

    @property
    def definition(self) -> Definition:
        """What the lab shall be.

        Raises:
            DefinitionError: somebody has broken it.
            UsageError: its files are gone, so nobody knows.
        """
        if self._broken:
            raise self._broken
        if self._definition is None:
            raise UsageError(
                f"the files of the lab {self.name} are gone",
                why=f"{self.files.definition} is missing, so what the lab shall be is not known",
                hint=f"labctl up FILE --name {self.name} writes them anew, labctl destroy {self.name} removes the lab",
            )
        return self._definition

    @property
    def provider(self) -> Provider:
        """Who makes the machines."""
        if self._provider is None:
            self._provider = providers.choose(self._provider_wanted())
        return self._provider

    def _provider_wanted(self) -> str:
        """Libvirt, virtualbox or auto: as the user, the lab or its definition says."""
        if self._wanted_provider != "auto":
            return self._wanted_provider
        return self.files.record().provider or (self._definition.provider if self._definition else "auto")

    # From wherever the lab is to where it shall be

    def plan(self, *, verify: bool = True) -> tuple[Action, ...]:
        """What `up` would do now."""
        record = self.files.record()
        states = {machine.node: machine.state for machine in self._found()}
        shapes = self._shapes()
        problems: tuple[str, ...] = ()
        if states.keys() == shapes.keys() and set(states.values()) == {"running"} and record.converged:
            problems = self.status().problems
        observed = Observed(
            states=states,
            shapes=record.made_with(),
            converged=record.converged,
            verified=record.verified,
            problems=problems,
            key_lost=not self.files.key.is_file(),
        )
        return plan(Wanted(shapes, self._key(), verify), observed)

    def create(self, reporter: Reporter) -> None:
        """Write the lab's files only."""
        self._require_host()
        self._refuse_foreign()
        self._refuse_moving()
        with self.files.locked(self.name, "create"):
            self._prepare(reporter)

    def up(self, reporter: Reporter, *, verify: bool = True) -> UpResult:
        """Create, start, converge and verify, as far as it is needed.

        Raises:
            LabError: the step that failed says what and why; `up` again goes on from there.
        """
        self._steps = []
        self._require_host()
        self._refuse_foreign()
        with self.files.locked(self.name, "up"):
            with self._timed_step("plan"):
                actions = self.plan(verify=verify)
            if not actions:
                return UpResult(changed=False, steps=self._steps, status=self.status(), verify=None)
            self._refuse_moving()
            self._refuse_replacing(actions)
            layout = self._prepare(reporter)
            self._boot(layout, actions, reporter)
            kinds = {action.kind for action in actions}
            if "converge" in kinds or self._unsettled(layout.driver, reporter):
                self._converge(reporter)
            proven = self._verify(reporter) if "verify" in kinds else None
            self._write_timings()
            now = self.status()
        return UpResult(changed=True, steps=self._steps, status=now, verify=proven)

    def converge(
        self, reporter: Reporter, *, tags: str = "", limit: str = "", check: bool = False
    ) -> ConvergeResult:
        """Run the playbooks on the running lab."""
        self._require_running()
        with self.files.locked(self.name, "converge"):
            return self._converge(reporter, tags=tags, limit=limit, check=check)

    def verify(self, reporter: Reporter, *, expression: str = "", level: Level = "full") -> VerifyResult:
        """Run the suite on the running lab."""
        self._require_running()
        with self.files.locked(self.name, "verify"):
            return self._verify(reporter, expression=expression, level=level)

    def start(self, reporter: Reporter, nodes: str = "") -> None:
        """Start machines that are stopped or suspended, and wait until they answer."""
        layout = self.layout()
        names = self.nodes(nodes or "all")
        self._require_made(names)
        with self.files.locked(self.name, "start"), self._step(reporter, "boot") as view:
            boot.control_directory()
            self.provider.connect(layout)
            boot.make_and_await(layout, names, lambda _: self._each(names, self._start), view)

    def stop(self, reporter: Reporter, nodes: str = "", *, force: bool = False) -> None:
        """Shut machines down, side by side; their disks stay."""
        names = self.nodes(nodes or "all")
        self._require_made(names)
        with self.files.locked(self.name, "stop"), self._step(reporter, "stop") as view:
            boot.disconnect(self.directory, names)

            def stop(node: str) -> None:
                view.node(node, "switching off" if force else "shutting down")
                self.provider.stop(self.name, node, force=force, deadline=_STOP_DEADLINE)
                view.node(node, "stopped", "ok")

            self._each(names, stop)

    def destroy(self, reporter: Reporter) -> None:
        """Everything of the lab gone, whatever state it is in and whether or not its files are there."""
        with self.files.locked(self.name, "destroy"), self._step(reporter, "destroy") as view:
            nodes = [machine.node for machine in self._found()]
            view.note(f"{len(nodes)} machines")
            boot.disconnect_all(self.name)
            self.provider.destroy(self.name, self.directory)
            self.files.remove()

    # What it is

    def status(self) -> LabStatus:
        """The lab as it is now; quick, and needs no lock."""
        found = {machine.node: machine for machine in self._found()}
        record = self.files.record()
        definition = self._definition
        nodes = [
            NodeStatus(
                name=node.name,
                state=found[node.name].state if node.name in found else "missing",
                address=record.addresses.get(node.name, ""),
                roles=node.roles,
                cpus=node.cpus,
                memory=node.memory,
                gpus=node.gpus,
            )
            for node in (definition.machines() if definition else ())
        ] or [NodeStatus(node, machine.state, "", (), 0, 0, 0) for node, machine in found.items()]
        slurm = None
        controller = next((node for node in nodes if "slurmctld" in node.roles), None)
        if definition and controller and controller.state == "running" and self.files.ssh_config.is_file():
            boot.control_directory()
            slurm = status.ask_slurm(self.files.ssh_config, controller.name)
            nodes = [_with_slurm(node, slurm) for node in nodes]
        network = self.provider.network(self.name)
        return LabStatus(
            name=self.name,
            state=status.overall([node.state for node in nodes]),
            directory=str(self.directory),
            uptime_seconds=status.uptime(list(found.values())),
            provider=self.provider.name,
            driver=record.driver,
            network=str(network.subnet) if network else "",
            nodes=tuple(nodes),
            partitions=slurm.partitions if slurm else (),
            problems=status.problems(definition, nodes, slurm) if definition else (self._unknown(),),
        )

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """The nodes meant by a hostlist, ``@role`` or ``all``, in the order of the definition.

        Raises:
            UsageError: the pattern cannot be read or names what is not there.
        """
        machines = self.definition.machines()
        names = [node.name for node in machines]
        chosen: set[str] = set()
        for word in pattern.replace(";", " ").split():
            if word in ("all", "@all"):
                chosen.update(names)
            elif word.startswith("@"):
                chosen.update(self._members(word[1:]))
            else:
                chosen.update(_expand(word))
        unknown = sorted(chosen - set(names))
        if unknown:
            near = difflib.get_close_matches(unknown[0], names, 1)
            raise UsageError(
                f"{self.name} has no node {', '.join(unknown)}",
                hint=f"did you mean {near[0]}?" if near else f"its nodes: {NodeSet.fromlist(names)}",
            )
        return tuple(name for name in names if name in chosen)

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        """The argv that reaches a node.

        Args:
            node: its name.
            command: what to run there; nothing is a shell.
            user: who to be there, other than the lab's own user.
            tty: force or refuse a terminal; None leaves it to ssh.
        """
        boot.control_directory()
        terminal = [] if tty is None else ["-t" if tty else "-T"]
        login = ["-l", user] if user else []
        return [
            "ssh",
            "-F",
            str(self.files.ssh_config),
            *terminal,
            *login,
            node,
            *(["--", *command] if command else []),
        ]

    # The steps

    def _prepare(self, reporter: Reporter) -> Layout:
        """Box, network and files: all that is needed before a machine can be made."""
        definition = self.definition
        with self._timed_step("box"):
            built = box.build(definition.box, reporter) if box.is_own(definition.box) else None
        with self._step(reporter, "prepare") as view:
            if built:
                self.provider.check_box(built)
            public = None if built else providers.public_image(definition.box)
            self.files.make()
            # First of all, so that whatever interrupts us, the lab is known by its name.
            self.files.write({"lab.yml": loading.dump(definition)})
            log = self.files.log("prepare")
            if built:
                image = self.provider.own_image(built, view, log)
                driver = kvm.driver(built.path / "vmlinuz", built.path / "initrd")
            else:
                image, driver = cast(BoxImage, public), kvm.driver(None, None)
            layout = self._new_layout(image, driver)
            self._write(layout)
            self.provider.connect(layout)
            view.note(f"{layout.network.subnet}, {_accelerator(driver)}")
        return layout

    def _boot(self, layout: Layout, actions: Sequence[Action], reporter: Reporter) -> None:
        by_kind = {
            kind: [action.node for action in actions if action.kind == kind] for kind in _MACHINE_KINDS
        }
        if not any(by_kind.values()):
            self._remember_shapes()
            return
        made = by_kind["create"] + by_kind["recreate"]
        if made or by_kind["remove"]:
            # First, so that whatever interrupts us, the next `up` knows that the lab is not what it was.
            self._note(converged="", verified="")
        with self._step(reporter, "boot") as view:
            boot.control_directory()
            for node in by_kind["remove"] + by_kind["recreate"]:
                boot.disconnect(self.directory, [node])
                self.provider.remove(self.name, node, self.directory)
                view.node(node, "removed", "changed")
            self._remember_shapes()
            boot.forget_host_keys(self.directory, [self._address(layout, node) for node in made])

            def make(answered: threading.Event) -> None:
                self._each(by_kind["start"], self._start)
                if made:
                    self.provider.make(layout, made, view, self.files.log("boot"), answered)

            boot.make_and_await(layout, [*made, *by_kind["start"]], make, view)

    def _shapes(self) -> dict[str, Shape]:
        """What each machine of the definition is made with."""
        version = self._box_version()
        return {
            node.name: Shape(node.cpus, node.memory, version, node.roles)
            for node in self.definition.machines()
        }

    def _remember_shapes(self) -> None:
        """Note what the machines are made with, once those that cannot stay as they are have gone."""
        record = self.files.record()
        record.shapes = {node: asdict(shape) for node, shape in self._shapes().items()}
        self.files.remember(record)

    def _unsettled(self, driver: Driver, reporter: Reporter) -> bool:
        """Wait until Slurm is content with machines that were only started; whether it still is not after that."""
        end = time.monotonic() + _SETTLES[driver]
        with self._step(reporter, "settle") as view:
            while problems := self.status().problems:
                view.note(problems[0])
                if time.monotonic() > end:
                    return True
                time.sleep(_SETTLE_POLL)
            view.note("all nodes are well")
        return False

    def _converge(
        self, reporter: Reporter, *, tags: str = "", limit: str = "", check: bool = False
    ) -> ConvergeResult:
        whole = not (tags or limit or check)
        self._note(converged="" if whole else None)
        with self._step(reporter, "converge") as view:
            result = converge(
                self.directory,
                inventory=self.files.inventory,
                playbook=resource("playbooks") / "site.yml",
                view=view,
                log=self.files.log("converge"),
                tags=tags,
                limit=limit,
                check=check,
            )
            view.note(f"changed={result.changed}")
        if whole:
            self._note(converged=self._key())
        self._tasks = result.task_seconds
        return result

    def _verify(self, reporter: Reporter, *, expression: str = "", level: Level = "full") -> VerifyResult:
        whole = level == "full" and not expression
        self._note(verified="" if whole else None)
        with self._step(reporter, "verify") as view:
            result = verify(
                self.files.inventory,
                suite=resource("tests/verify"),
                view=view,
                junit=self.files.junit,
                log=self.files.log("verify"),
                expression=expression,
                level=level,
            )
        if whole:
            self._note(verified=self._key())
        return result

    # Layout and files

    def _new_layout(self, image: BoxImage, driver: Driver) -> Layout:
        definition = self.definition
        wanted = None if definition.network == "auto" else IPv4Network(definition.network)
        network = self.provider.network(self.name) or self.provider.lease(self.name, wanted)
        record = self.files.record()
        record.addresses = _addresses(
            network, [node.name for node in definition.machines()], record.addresses
        )
        if not record.origin or self._origin != self.name:  # the lab's own lab.yml has the lab's own name
            record.origin = self._origin
        record.image, record.driver, record.provider = asdict(image), driver, self.provider.name
        record.network = {
            "name": network.name,
            "subnet": str(network.subnet),
            "gateway": str(network.gateway),
        }
        self.files.remember(record)
        return self.layout()

    def layout(self) -> Layout:
        """Where each machine is, as it was decided when the lab was made.

        Raises:
            UsageError: it was never made.
        """
        record = self.files.record()
        if not record.network:
            raise UsageError(f"the lab {self.name} was never made", hint=f"labctl up {self.name}")
        machines = tuple(
            Machine(
                node,
                f"{PREFIX}{self.name}_{node.name}",
                _mac(self.name, node.name),
                IPv4Address(record.addresses[node.name]),
            )
            for node in self.definition.machines()
        )
        return Layout(
            lab=self.name,
            definition=self.definition,
            network=Network(
                record.network["name"],
                IPv4Network(record.network["subnet"]),
                IPv4Address(record.network["gateway"]),
            ),
            machines=machines,
            box=BoxImage(**record.image),
            driver=cast(Driver, record.driver),
            provider=cast(ProviderName, record.provider),
            directory=self.directory,
            public_key=secrets.ssh_key(self.files.key, f"labctl-{self.name}"),
            prefix=f"{PREFIX}{self.name}_",
            pool=self.provider.pool,
        )

    def _write(self, layout: Layout) -> None:
        users = [user.name for user in self.definition.users]
        known = secrets.load_or_generate(self.files.secrets, self.name, layout.machines, users)
        self.files.write({"Vagrantfile": vagrantfile(layout), "ssh_config": ssh_config(layout)})
        self.files.write(inventory(layout, known))
        self.files.forget_hosts({machine.node.name for machine in layout.machines})

    def _key(self) -> str:
        return files.key_of(self.definition, self._box_version())

    def _box_version(self) -> str:
        name = self.definition.box
        return f"{name}-{box.recipe_key(name)}" if box.is_own(name) else name

    def _note(self, **changes: str | None) -> None:
        record = self.files.record()
        for key, value in changes.items():
            if value is not None:
                setattr(record, key, value)
        self.files.remember(record)

    # Small things

    def _unknown(self) -> str:
        return f"{self.files.definition} is broken" if self._broken else "its files are gone"

    def _found(self) -> list[Found]:
        return [machine for machine in self.provider.found() if machine.lab == self.name]

    def _running(self) -> frozenset[str]:
        return frozenset(machine.node for machine in self._found() if machine.state == "running")

    def _refuse_foreign(self) -> None:
        for machine in self._found():
            if (
                machine.directory
                and Path(machine.directory).resolve() != self.directory.resolve()
                and Path(machine.directory).exists()
            ):
                raise LabError(
                    f"there is a lab {self.name} already, of another folder",
                    why=f"its files are in {machine.directory}",
                    hint="choose another name with --name, or work from that folder",
                )

    def _refuse_moving(self) -> None:
        """The addresses of machines are on their disks."""
        wanted, subnet = self.definition.network, self.files.record().network.get("subnet", "")
        if subnet and wanted not in ("auto", subnet) and self._found():
            raise LabError(
                f"the network of the lab {self.name} is {subnet} and cannot become {wanted}",
                why="its machines have their addresses in it",
                hint=f"labctl destroy {self.name}, then labctl up again",
            )

    def _refuse_replacing(self, actions: Sequence[Action]) -> None:
        """Whoever gives a definition a name that another lab has may not know it; whoever edits one does."""
        known = self.files.record().origin
        doomed = [action.node for action in actions if action.kind in ("remove", "recreate")]
        if doomed and known and self._origin not in (self.name, known):
            raise LabError(
                f"there is a lab {self.name} already, made from {known} and not from {self._origin}",
                why=f"its machines would go, and all that is on them: {', '.join(doomed)}",
                hint=f"choose another --name, or labctl destroy {self.name} first",
            )

    def _require_host(self) -> None:
        """Refuse what this host cannot run; if it cannot even be asked, say all that it lacks."""
        shapes = self.files.record().made_with()
        try:
            running = self._running()
        except HostError:
            host.require(self.definition, self._provider_wanted())
            raise
        taken = {
            node.name: shapes[node.name].memory if node.name in shapes else node.memory
            for node in self.definition.machines()
            if node.name in running
        }
        host.require(self.definition, self._provider_wanted(), taken)

    def _require_made(self, nodes: Sequence[str]) -> None:
        made = {machine.node for machine in self._found()}
        missing = [node for node in nodes if node not in made]
        if missing:
            raise LabError(
                f"{', '.join(missing)} of {self.name} has no machine", hint=f"labctl up {self.name}"
            )

    def _require_running(self) -> None:
        wanted = {node.name for node in self.definition.machines()}
        down = sorted(wanted - self._running())
        if down:
            raise LabError(
                f"not running: {', '.join(down)}", hint=f"labctl up {self.name}, or labctl start {self.name}"
            )
        boot.control_directory()

    def _members(self, group: str) -> list[str]:
        machines = self.definition.machines()
        groups: dict[str, list[str]] = {}
        for node in machines:
            for name in (*node.roles, *node.partitions):
                groups.setdefault(name, []).append(node.name)
        if group not in groups:
            near = difflib.get_close_matches(group, groups, 1)
            raise UsageError(
                f"{self.name} has no group @{group}",
                hint=f"did you mean @{near[0]}?"
                if near
                else f"its groups: {', '.join('@' + name for name in groups)}",
            )
        return groups[group]

    def _start(self, node: str) -> None:
        self.provider.start(self.name, node)

    @staticmethod
    def _each(nodes: Sequence[str], work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
            list(pool.map(work, nodes))

    @staticmethod
    def _address(layout: Layout, node: str) -> str:
        return next(str(machine.address) for machine in layout.machines if machine.node.name == node)

    @contextmanager
    def _step(self, reporter: Reporter, name: str) -> Iterator[StepView]:
        log = self.files.log(name) if self.files.logs.is_dir() else None
        with self._timed_step(name), reporter.step(name, log=log) as view:
            yield view

    @contextmanager
    def _timed_step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._steps.append((name, time.monotonic() - started))

    def _write_timings(self) -> None:
        timings = {
            "steps": [{"step": name, "seconds": round(seconds, 2)} for name, seconds in self._steps],
            "tasks": {task: round(seconds, 2) for task, seconds in getattr(self, "_tasks", {}).items()},
        }
        self.files.timings.write_text(json.dumps(timings, indent=2) + "\n")


_MACHINE_KINDS = ("create", "start", "remove", "recreate")


def _summary(name: str, machines: Sequence[Found], provider: Provider) -> LabSummary:
    network = provider.network(name)
    directory = next((machine.directory for machine in machines if machine.directory), "")
    return LabSummary(
        name=name,
        state=status.overall([machine.state for machine in machines]),
        running=sum(machine.state == "running" for machine in machines),
        nodes=len(machines),
        network=str(network.subnet) if network else "",
        directory=Path(directory) if directory else None,
    )


def _with_slurm(node: NodeStatus, slurm: status.SlurmView) -> NodeStatus:
    fields: dict[str, Any] = asdict(node)
    fields["slurm"], fields["reason"] = slurm.nodes.get(node.name, ("", ""))
    return NodeStatus(**fields)


def _expand(word: str) -> list[str]:
    try:
        return list(NodeSet(word))
    except NodeSetException as error:
        raise UsageError(
            f"{word!r} is no hostlist", why=str(error), hint="cpu-[0-1], @slurmd or all"
        ) from error


def _addresses(network: Network, names: Sequence[str], known: dict[str, str]) -> dict[str, str]:
    """An address for each node: the one it had, or the lowest free one."""
    kept = {
        name: address
        for name, address in known.items()
        if name in names and IPv4Address(address) in network.subnet
    }
    taken = set(kept.values())
    free = (
        str(address)
        for number, address in enumerate(network.subnet.hosts(), start=1)
        if number >= min(_FIRST_ADDRESS, network.subnet.num_addresses - 2 - len(names))
        and str(address) not in taken
        and address != network.gateway
    )
    return {name: kept.get(name) or next(free) for name in names}


def _mac(lab: str, node: str) -> str:
    """A MAC address in QEMU's range, the same for the same node of the same lab."""
    digest = hashlib.sha256(f"{lab}/{node}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def _accelerator(driver: str) -> str:
    return "KVM" if driver == "kvm" else "software emulation (some ten times slower than KVM)"
