"""A lab: a definition brought to life under a name. The one place that knows the order of the steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from labctl import (
    files,
    finding,
    keeping,
    kvm,
    layouts,
    packing,
    providers,
    refusals,
    selection,
    snapshots,
    status,
    target,
)
from labctl.console import Reporter, StepView
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.errors import DamagedError, DefinitionError, LabError, SnapshotError
from labctl.files import LabFiles, Record
from labctl.finding import LabSummary
from labctl.plan import Action, Kind, Observed, Wanted, plan
from labctl.providers.base import PREFIX, PREFIX_VARIABLE, Found, Provider
from labctl.render.layout import BoxImage, Driver, Layout
from labctl.render.ssh_config import ssh_command
from labctl.resources import resource
from labctl.snapshots import Snapshot
from labctl.status import LabStatus
from labctl.steps import boot, box, clock, machines, snapshot
from labctl.steps.box import Box
from labctl.steps.converge import ConvergeResult, converge
from labctl.steps.settle import DEADLINES, settle
from labctl.steps.snapshot import Saved
from labctl.steps.verify import Level, Through, VerifyResult, verify
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
    def of(cls, saved: Snapshot, *, base: Path) -> Lab:
        """The lab that a snapshot is of: where it is, or in a new folder if it was destroyed."""
        known = files.find(base, saved.lab) or next(
            (lab.directory for lab in cls.all() if lab.name == saved.lab), None
        )
        return cls(saved.lab, known or base / files.FOLDER / saved.lab, None)

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

    def plan(self, *, verify: bool = True, fresh: bool = False) -> tuple[Action, ...]:
        """What `up` would do now.

        Args:
            verify: whether the lab shall be verified.
            fresh: make every machine anew, and from no snapshot.
        """
        return self._plan(self._saved() if verify and not fresh else None, verify=verify, fresh=fresh)

    def _plan(self, saved: Snapshot | None, *, verify: bool, fresh: bool) -> tuple[Action, ...]:
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
            torn=bool(record.restoring),
            saved=keeping.in_words(saved) if saved else "",
        )
        save = self.provider.saver is not None
        return plan(Wanted(shapes, target.key(self.definition), verify, save, fresh), observed)

    def _saved(self) -> Snapshot | None:
        """The snapshot that `up` would bring back, if there is nothing of the lab that it had to throw away."""
        if self.provider.saver is None or (self._found() and not self.files.record().restoring):
            return None
        return keeping.equal(self.definition, self.files, self.provider.saver)

    def create(self, reporter: Reporter) -> None:
        """Write the lab's files only."""
        self._check()
        refusals.moving(self.name, self.definition.network, self.files.record(), self._found())
        with self.files.locked(self.name, "create"):
            self._prepare(reporter)

    def up(self, reporter: Reporter, *, verify: bool = True, fresh: bool = False) -> UpResult:
        """Create, start, converge and verify, as far as it is needed; or bring back what was saved.

        Args:
            reporter: is told of it.
            verify: prove it, and save it once it is proven.
            fresh: make every machine anew, and from no snapshot.

        Raises:
            LabError: the step that failed says what and why; `up` again goes on from there.
        """
        self._timings = Timings()
        self._check()
        with self.files.locked(self.name, "up"):
            with self._timings.step("plan"):
                saved = self._saved() if verify and not fresh else None
                actions = self._plan(saved, verify=verify, fresh=fresh)
            if not actions:
                return UpResult(changed=False, steps=self._timings.steps, status=self.status(), verify=None)
            record = self.files.record()
            refusals.moving(self.name, self.definition.network, record, self._found())
            refusals.replacing(self.name, self._origin, record, actions)
            with self._timings.kept(self.files.timings):
                proven = self._brought_back(saved, reporter) if saved else None
                if proven is None:
                    actions = self._plan(None, verify=verify, fresh=fresh) if saved else actions
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
            # One that was frozen knows nothing of the time that went by.
            self._set_clocks(names)

    def suspend(self, reporter: Reporter, nodes: str = "") -> None:
        """Freeze machines in memory, side by side; `resume` and `start` let them go on."""
        names = self.nodes(nodes or "all")
        refusals.without_machine(self.name, names, self._found())
        with self.files.locked(self.name, "suspend"), self._step(reporter, "suspend") as view:
            boot.disconnect(self.directory, names)
            machines.suspend(self.provider, self.name, names, view)

    def resume(self, reporter: Reporter, nodes: str = "") -> tuple[str, ...]:
        """Let those of these machines go on that are suspended, with the right time; which ones that were."""
        suspended = {machine.node for machine in self._found() if machine.state == "suspended"}
        names = tuple(node for node in self.nodes(nodes or "all") if node in suspended)
        if names:
            self.start(reporter, ",".join(names))
        return names

    def stop(self, reporter: Reporter, nodes: str = "", *, force: bool = False) -> None:
        """Shut machines down, side by side; their disks stay."""
        names = self.nodes(nodes or "all")
        refusals.without_machine(self.name, names, self._found())
        with self.files.locked(self.name, "stop"), self._step(reporter, "stop") as view:
            boot.disconnect(self.directory, names)
            machines.stop(self.provider, self.name, names, view, force=force)

    def save_snapshot(self, reporter: Reporter, label: str) -> Saved:
        """Save the running lab under a name of the user's; it goes on running. One of that name is replaced.

        Raises:
            SnapshotError: it cannot be saved; the lab goes on as if nothing had happened.
        """
        self._require_running()
        with self.files.locked(self.name, "snapshot save"):
            return self._save(reporter, label)

    def restore_snapshot(self, reporter: Reporter, saved: Snapshot) -> None:
        """The lab as it was when the snapshot was saved, whatever it is now.

        Raises:
            SnapshotError: the snapshot is damaged or of another kind of host; nothing was touched.
        """
        refusals.foreign(self.name, self.directory, self._found())
        with self.files.locked(self.name, "snapshot restore"):
            self._restore(saved, reporter)
            self._settle(self.layout().driver, reporter)

    def reset(self, reporter: Reporter) -> Snapshot:
        """The lab as it was when it was last saved or brought back; which snapshot that is.

        Raises:
            SnapshotError: there is none, or it is damaged.
        """
        saved = snapshots.get(self.files.record().snapshot)
        if saved is None:
            raise SnapshotError(
                f"{self.name} has no snapshot to go back to", hint="labctl snapshot save NAME, then reset"
            )
        self.restore_snapshot(reporter, saved)
        return saved

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
        proven = self._verify(reporter) if "verify" in kinds else None
        if "snapshot" in kinds:
            self._keep(reporter)
        return proven

    def _keep(self, reporter: Reporter) -> None:
        """Save the lab for the next `up`. It is up and proven, whether or not that works."""
        try:
            self._save(reporter, label="")
        except LabError as error:
            reporter.note(
                f"{error}\nso the next up of {self.name} builds it; the lab itself is up and verified"
            )

    def _brought_back(self, saved: Snapshot, reporter: Reporter) -> VerifyResult | None:
        """What verify said of the lab as it was saved; None, and nothing left, if it could not be brought back."""
        try:
            self._restore(saved, reporter)
            return self._verify(reporter, level="restored", through=self._agent())
        except LabError as error:
            reporter.note(f"{error}\nso the lab is built anew")
            if isinstance(error, DamagedError):
                keeping.remove(saved, self.provider.saver)
        boot.disconnect_all(self.name)
        self.provider.destroy(self.name, self.directory)
        self.files.make()
        self.files.remember(Record(origin=self.files.record().origin))
        return None

    def _restore(self, saved: Snapshot, reporter: Reporter) -> None:
        """Machines, network and files as they were when they were saved."""
        saver, made_from = keeping.saver_of(self.provider), keeping.box_of(saved)
        keeping.fits(saved, saver, _driver(made_from))
        snapshots.check(saved)
        self.files.make()
        boot.disconnect(self.directory, [machine.node for machine in self._found()])
        packing.untar(saved.path / saved.files.file, self.directory)
        self.files.note(restoring=saved.id)
        self._definition = self.files.load()
        layout = self._prepare(reporter, made_from)
        with self._step(reporter, "restore") as view:
            boot.control_directory()
            extra = [machine.node for machine in self._found() if machine.node not in saved.nodes]
            machines.remove(self.provider, self.name, extra, self.directory, view)
            snapshot.restore(saver, saved, layout, view)
            self._set_clocks(list(saved.nodes))
            boot.await_ports(layout, view)
        self.files.note(restoring="", snapshot=saved.id)
        saved.note_use()

    def _save(self, reporter: Reporter, label: str) -> Saved:
        saver, layout = keeping.saver_of(self.provider), self.layout()
        secret = keeping.secrets_of(self.files)
        key = keeping.key(self.definition) if not label else ""
        # Never that of another save: disks in the pool are known by it, and machines may still stand on them.
        id_ = snapshots.new_id(time.time_ns(), key, secret, label, self.name)
        replaced = keeping.replaced(self.name, label, key)
        try:
            with self._step(reporter, "snapshot") as view:
                host = keeping.host(saver, layout.driver)
                saved = snapshot.save(
                    saver, layout, view, id_=id_, label=label, key=key, secrets=secret, host=host
                )
        finally:
            self._set_clocks(self.nodes("all"))
        self.files.note(snapshot=id_)
        for one in replaced:
            keeping.remove(one, saver)
        return saved

    def _set_clocks(self, nodes: Sequence[str]) -> None:
        """Tell machines that stood still what time it is; the controllers last."""
        controllers = [node.name for node in self.definition.machines() if "slurmctld" in node.roles]
        clock.step(self.provider.saver, self.name, nodes, self.files.ssh_config, last=controllers)

    def _agent(self) -> Through | None:
        """How the suite asks machines that were just brought back: without a login, which would take longer."""
        if self.provider.saver is None or not box.is_own(self.definition.box):
            return None
        return Through("labctl.providers.agent:ask", {PREFIX_VARIABLE: f"{PREFIX}{self.name}_"})

    def _prepare(self, reporter: Reporter, made_from: Box | None = None) -> Layout:
        """Box, network and files: all that is needed before a machine can be made.

        Args:
            reporter: is told of it.
            made_from: the box, if it cannot be any of its name.
        """
        definition = self.definition
        with self._timings.step("box"):
            own = box.is_own(definition.box)
            built = made_from or (box.build(definition.box, reporter) if own else None)
        with self._step(reporter, "prepare") as view:
            if built:
                self.provider.check_box(built)
            public = None if built else providers.public_image(definition.box)
            self.files.make()
            # First of all, so that whatever interrupts us, the lab is known by its name.
            self.files.write({"lab.yml": loading.dump(definition)})
            log = self.files.log("prepare")
            image = self.provider.own_image(built, view, log) if built else cast(BoxImage, public)
            driver = _driver(built)
            layout = self._new_layout(image, driver)
            self.files.render(layout)
            self.provider.connect(layout)
            view.note(f"{layout.network.subnet}, {kvm.in_words(driver)}")
        return layout

    def _new_layout(self, image: BoxImage, driver: Driver) -> Layout:
        definition, provider = self.definition, self.provider
        record = self.files.record()
        subnet = layouts.saved_subnet(record) if record.restoring else layouts.wanted_subnet(definition)
        network = provider.network(self.name) or provider.lease(self.name, subnet)
        record = layouts.decided(
            record,
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
            self.files.note(restoring="")  # what was torn has gone
            self._remember_shapes()
            log = self.files.log("boot")
            boot.bring_up(self.provider, layout, made=made, started=started, view=view, log=log)
            self._set_clocks(started)

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

    def _verify(
        self,
        reporter: Reporter,
        *,
        expression: str = "",
        level: Level = "full",
        through: Through | None = None,
    ) -> VerifyResult:
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
                through=through,
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


def _driver(built: Box | None) -> Driver:
    """What runs the machines here, found out with the box's own kernel if it is known."""
    return kvm.driver(built.kernel, built.initrd) if built else kvm.driver(None, None)
