"""A lab: a definition brought to life under a name. The one place that knows the order of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from labctl import files, finding, kvm, layouts, providers, refusals, selection, status, target
from labctl.console import Reporter, StepView
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.errors import DefinitionError
from labctl.files import LabFiles
from labctl.finding import LabSummary
from labctl.plan import Action, Kind, Observed, Wanted, plan
from labctl.providers.base import Found, Provider
from labctl.render.layout import BoxImage, Driver, Layout
from labctl.render.ssh_config import ssh_command
from labctl.resources import resource
from labctl.status import LabStatus
from labctl.steps import boot, box, machines
from labctl.steps.converge import ConvergeResult, converge
from labctl.steps.settle import DEADLINES, settle
from labctl.steps.verify import Level, VerifyResult, verify
from labctl.timings import Timings

__all__ = ["Lab", "LabStatus", "LabSummary", "UpResult"]


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
        self._timings = Timings()
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
        return cls._at(finding.folder(name, base))

    @classmethod
    def _at(cls, directory: Path) -> Lab:
        """The lab in a folder. One whose definition is broken is a lab as well: it can be looked at and destroyed."""
        try:
            return cls(directory.name, directory, LabFiles(directory).load())
        except DefinitionError as error:
            lab = cls(directory.name, directory, None)
            lab._broken = error
            return lab

    @classmethod
    def all(cls) -> tuple[LabSummary, ...]:
        """Every lab of this host, found by its machines."""
        return finding.summaries()

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
            raise refusals.without_files(self.name, self.files)
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
        shapes = target.shapes(self.definition)
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
        return plan(Wanted(shapes, target.key(self.definition), verify), observed)

    def create(self, reporter: Reporter) -> None:
        """Write the lab's files only."""
        self._check()
        refusals.moving(self.name, self.definition.network, self.files.record(), self._found())
        with self.files.locked(self.name, "create"):
            self._prepare(reporter)

    def up(self, reporter: Reporter, *, verify: bool = True) -> UpResult:
        """Create, start, converge and verify, as far as it is needed.

        Raises:
            LabError: the step that failed says what and why; `up` again goes on from there.
        """
        self._timings = Timings()
        self._check()
        with self.files.locked(self.name, "up"):
            with self._timings.step("plan"):
                actions = self.plan(verify=verify)
            if not actions:
                return UpResult(changed=False, steps=self._timings.steps, status=self.status(), verify=None)
            record = self.files.record()
            refusals.moving(self.name, self.definition.network, record, self._found())
            refusals.replacing(self.name, self._origin, record, actions)
            with self._timings.kept(self.files.timings):
                proven = self._carry_out(actions, reporter)
            now = self.status()
        return UpResult(changed=True, steps=self._timings.steps, status=now, verify=proven)

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
        refusals.without_machine(self.name, names, self._found())
        with self.files.locked(self.name, "start"), self._step(reporter, "boot") as view:
            boot.control_directory()
            self.provider.connect(layout)
            boot.bring_up(self.provider, layout, started=names, view=view, log=self.files.log("boot"))

    def stop(self, reporter: Reporter, nodes: str = "", *, force: bool = False) -> None:
        """Shut machines down, side by side; their disks stay."""
        names = self.nodes(nodes or "all")
        refusals.without_machine(self.name, names, self._found())
        with self.files.locked(self.name, "stop"), self._step(reporter, "stop") as view:
            boot.disconnect(self.directory, names)
            machines.stop(self.provider, self.name, names, view, force=force)

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
        unknown = f"{self.files.definition} is broken" if self._broken else "its files are gone"
        return status.look(
            self.name, self._definition, self.files, self.provider, self._found(), unknown=unknown
        )

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """The nodes meant by a hostlist, ``@role`` or ``all``, in the order of the definition.

        Raises:
            UsageError: the pattern cannot be read or names what is not there.
        """
        return selection.select(self.name, self.definition.machines(), pattern)

    def layout(self) -> Layout:
        """Where each machine is, as it was decided when the lab was made.

        Raises:
            UsageError: it was never made.
        """
        record = self.files.record()
        refusals.never_made(self.name, record)
        return layouts.read(record, self.files, self.definition, lab=self.name, pool=self.provider.pool)

    def ssh_command(
        self, node: str, command: Sequence[str] = (), *, user: str | None = None, tty: bool | None = None
    ) -> list[str]:
        """The argv that reaches a node; for what each argument means see `labctl.render.ssh_config`."""
        boot.control_directory()
        return ssh_command(self.files.ssh_config, node, command, user=user, tty=tty)

    # The steps

    def _carry_out(self, actions: Sequence[Action], reporter: Reporter) -> VerifyResult | None:
        """All steps that these actions need, in order; what verify said, if it was asked."""
        kinds = {action.kind for action in actions}
        layout = self._prepare(reporter)
        self._boot(layout, actions, reporter)
        if "converge" in kinds or not self._settle(layout.driver, reporter):
            self._converge(reporter)
        return self._verify(reporter) if "verify" in kinds else None

    def _prepare(self, reporter: Reporter) -> Layout:
        """Box, network and files: all that is needed before a machine can be made."""
        definition = self.definition
        with self._timings.step("box"):
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
            self.files.render(layout)
            self.provider.connect(layout)
            view.note(f"{layout.network.subnet}, {kvm.in_words(driver)}")
        return layout

    def _new_layout(self, image: BoxImage, driver: Driver) -> Layout:
        definition, provider = self.definition, self.provider
        network = provider.network(self.name) or provider.lease(self.name, layouts.wanted_subnet(definition))
        record = layouts.decided(
            self.files.record(),
            definition,
            network=network,
            image=image,
            driver=driver,
            provider=provider.name,
        )
        if not record.origin or self._origin != self.name:  # the lab's own lab.yml has the lab's own name
            record.origin = self._origin
        self.files.remember(record)
        return self.layout()

    def _boot(self, layout: Layout, actions: Sequence[Action], reporter: Reporter) -> None:
        def nodes(*kinds: Kind) -> list[str]:
            return [action.node for kind in kinds for action in actions if action.kind == kind]

        made, started, removed = nodes("create", "recreate"), nodes("start"), nodes("remove", "recreate")
        if not (made or started or removed):
            self._remember_shapes()
            return
        if made or removed:
            # First, so that whatever interrupts us, the next `up` knows that the lab is not what it was.
            self.files.note(converged="", verified="")
        with self._step(reporter, "boot") as view:
            boot.control_directory()
            boot.disconnect(self.directory, removed)
            machines.remove(self.provider, self.name, removed, self.directory, view)
            self._remember_shapes()
            log = self.files.log("boot")
            boot.bring_up(self.provider, layout, made=made, started=started, view=view, log=log)

    def _remember_shapes(self) -> None:
        """Note what the machines are made with, once those that cannot stay as they are have gone."""
        shapes = target.shapes(self.definition)
        self.files.note(shapes={node: asdict(shape) for node, shape in shapes.items()})

    def _settle(self, driver: Driver, reporter: Reporter) -> bool:
        """Wait until Slurm is content with machines that were only started; whether it is."""
        with self._step(reporter, "settle") as view:
            return settle(lambda: self.status().problems, DEADLINES[driver], view)

    def _converge(
        self, reporter: Reporter, *, tags: str = "", limit: str = "", check: bool = False
    ) -> ConvergeResult:
        whole = not (tags or limit or check)
        if whole:
            self.files.note(converged="")
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
            self.files.note(converged=target.key(self.definition))
        self._timings.tasks = result.task_seconds
        return result

    def _verify(self, reporter: Reporter, *, expression: str = "", level: Level = "full") -> VerifyResult:
        whole = level == "full" and not expression
        if whole:
            self.files.note(verified="")
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
            self.files.note(verified=target.key(self.definition))
        return result

    # Small things

    def _found(self) -> list[Found]:
        return [machine for machine in self.provider.found() if machine.lab == self.name]

    def _running(self) -> frozenset[str]:
        return frozenset(machine.node for machine in self._found() if machine.state == "running")

    def _check(self) -> None:
        """Refuse, before anything is touched, what cannot be made on this host or under this name."""
        shapes = self.files.record().made_with()
        refusals.unfit_host(self.definition, self._provider_wanted(), shapes, self._running)
        refusals.foreign(self.name, self.directory, self._found())

    def _require_running(self) -> None:
        refusals.not_running(self.name, self.definition, self._running())
        boot.control_directory()

    @contextmanager
    def _step(self, reporter: Reporter, name: str) -> Iterator[StepView]:
        log = self.files.log(name) if self.files.logs.is_dir() else None
        with self._timings.step(name), reporter.step(name, log=log) as view:
            yield view
