"""What a command does to a lab: each step with its line on screen, its log, its time and its note in the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import cast

from labctl import (
    keeping,
    kvm,
    layouts,
    lock,
    making,
    packing,
    providers,
    scratch,
    snapshots,
    target,
    warm_python,
)
from labctl.about import about
from labctl.console import Reporter, StepView
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.files import LabFiles
from labctl.keeping import Keeper
from labctl.plan import Action, concerned
from labctl.providers.base import PREFIX, PREFIX_VARIABLE, Answer, Provider
from labctl.render import variables
from labctl.render.layout import BoxImage, Driver, Layout
from labctl.resources import resource
from labctl.snapshots import Snapshot
from labctl.steps import boot, box, clock, drain, machines, snapshot, tell
from labctl.steps.box import Box
from labctl.steps.converge import ConvergeResult, converge
from labctl.steps.settle import DEADLINES, settle
from labctl.steps.snapshot import Saved
from labctl.steps.suite import Suite
from labctl.steps.verify import Level, Through, VerifyResult, stand_by, verify
from labctl.steps.verify_page import Page
from labctl.timings import Timings

_NETWORKS = 120.0  # seconds to wait for labs that take a subnet just now; each needs one or two


class Work:
    """One command's work on a lab that it holds. In which order the steps are done is up to the lab.

    Attributes:
        reporter: is told of it.
        timings: the time that each step took.
        keeper: of the lab's snapshots.
    """

    def __init__(self, lab: str, files: LabFiles, provider: Provider, reporter: Reporter) -> None:
        self.reporter = reporter
        self.timings = Timings()
        self.keeper = Keeper(provider)
        self._lab = lab
        self._files = files
        self._provider = provider

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        """One step, shown and timed; its log is there once the lab has a folder."""
        log = self._files.log(name) if self._files.logs.is_dir() else None
        with self.timings.step(name), self.reporter.step(name, log=log) as view:
            yield view

    # Out of the cluster, and back

    @contextmanager
    def drained(self, controller: str, nodes: Sequence[str], *, force: bool) -> Iterator[None]:
        """These nodes get no new jobs; if what is done meanwhile fails, they take jobs again.

        Raises:
            JobsRunError: jobs run on them, and `force` does not say to queue those again.
        """
        tell = self._tell(controller)
        with self.step("drain") as view:
            drain.drain(tell, nodes, view, force=force)
        try:
            yield
        except BaseException:
            self.reporter.note(drain.given_back(tell, nodes))
            raise

    def resume(self, layout: Layout) -> None:
        """Let nodes take jobs again that were drained by us."""
        controller = next(one.node.name for one in layout.machines if "slurmctld" in one.node.roles)
        drain.resume(self._tell(controller))

    def _tell(self, node: str) -> partial[Answer]:
        """What runs a script as root of a node."""
        return partial(
            tell.root,
            self._provider.saver,
            self._lab,
            node,
            ssh_config=self._files.ssh_config,
            deadline=drain.DEADLINE,
        )

    def ask(self, node: str, script: str, stdin: str = "") -> Answer:
        """Run a script as root of a node; for what each argument means see `tell.root`."""
        return self._tell(node)(script, stdin=stdin)

    # From nothing to machines

    def prepare(self, definition: Definition, origin: str, made_from: Box | None = None) -> Layout:
        """Box, network and files: all that is needed before a machine can be made.

        Args:
            definition: what the lab shall be.
            origin: the name in the definition that it is made from.
            made_from: the box, if it cannot be any of its name.
        """
        with self.timings.step("box"):
            own = box.is_own(definition.box)
            built = made_from or (box.build(definition.box, self.reporter) if own else None)
        with self.step("prepare") as view:
            if built:
                self._provider.check_box(built)
            public = None if built else providers.public_image(definition.box)
            self._files.make()
            # First of all, so that whatever interrupts us, the lab is known by its name.
            self._files.write({"lab.yml": loading.dump(definition)})
            log = self._files.log("prepare")
            image = self._provider.own_image(built, view, log) if built else cast(BoxImage, public)
            driver = _driver(built)
            # From the moment that a subnet is found free until it is taken nobody else may find it so.
            with lock.of_the_host("the networks of this host", deadline=_NETWORKS):
                layout = self._layout(definition, origin, image, driver)
                self._files.render(layout)
                self._provider.connect(layout)
            view.note(f"{layout.network.subnet}, {kvm.in_words(layout.driver)}")
        return layout

    def _layout(self, definition: Definition, origin: str, image: BoxImage, driver: Driver) -> Layout:
        record = self._files.record()
        subnet = layouts.saved_subnet(record) if record.restoring else layouts.wanted_subnet(definition)
        network = self._provider.network(self._lab) or self._provider.lease(self._lab, subnet)
        record = layouts.decided(
            record,
            definition,
            network=network,
            image=image,
            driver=driver,
            provider=self._provider.name,
        )
        if not record.origin or origin != self._lab:  # the lab's own lab.yml has the lab's own name
            record.origin = origin
        self._files.remember(record)
        return layouts.read(record, self._files, definition, lab=self._lab, pool=self._provider.pool)

    def boot(self, layout: Layout, actions: Sequence[Action]) -> None:
        """Make, start and remove the machines that these actions name."""
        made, resized = concerned(actions, "create", "recreate"), concerned(actions, "resize")
        started, removed = [*concerned(actions, "start"), *resized], concerned(actions, "remove", "recreate")
        if not (made or started or removed):
            self._remember_shapes(layout.definition)
            return
        if made or removed or resized:
            # First, so that whatever interrupts us, the next `up` knows that the lab is not what it was.
            self._files.note(converged="", verified="")
        with self.step("boot") as view:
            scratch.folder()
            boot.disconnect(layout.directory, [*removed, *resized])
            machines.remove(self._provider, self._lab, removed, layout.directory, view)
            machines.resize(self._provider, layout, resized, view)
            self._files.note(restoring="", copying=[])  # what was torn, or half a copy, has gone
            self._remember_shapes(layout.definition)
            making.bring_up(
                self._provider,
                layout,
                self._files,
                made=made,
                started=started,
                view=view,
                say=self.reporter.note,
            )
            self.set_clocks(layout, started)

    def _remember_shapes(self, definition: Definition) -> None:
        """Note what the machines are made with, once those that cannot stay as they are have gone."""
        shapes = target.shapes(definition)
        self._files.note(shapes={node: asdict(shape) for node, shape in shapes.items()})

    def set_clocks(self, layout: Layout, nodes: Sequence[str]) -> None:
        """Tell machines that stood still what time it is; the controllers last."""
        controllers = [one.node.name for one in layout.machines if "slurmctld" in one.node.roles]
        clock.step(self._provider.saver, self._lab, nodes, self._files.ssh_config, last=controllers)

    # From machines to a cluster

    def settle(self, problems: Callable[[], Sequence[str]]) -> Sequence[str]:
        """Wait until there is none of these problems any more; those that are left at the deadline."""
        with self.step("settle") as view:
            return settle(problems, DEADLINES.get(self._files.record().driver, DEADLINES["qemu"]), view)

    def converge(
        self,
        definition: Definition,
        *,
        playbook: str = "",
        tags: str = "",
        limit: str = "",
        check: bool = False,
    ) -> ConvergeResult:
        """Run the playbooks, or the one of this name alone; what is less than all of them makes no converged lab."""
        whole = not (playbook or tags or limit or check)
        own = [] if playbook else map(Path, definition.playbooks)
        if whole:
            self._files.note(converged="")
        with self.step("converge") as view:
            result = converge(
                self._files.directory,
                inventory=self._files.inventory,
                playbooks=[resource("playbooks") / f"{playbook or 'site'}.yml", *own],
                view=view,
                log=self._files.log("converge"),
                tags=tags,
                skip=variables.needless(definition, baked=bool(self._files.record().image.get("baked"))),
                limit=limit,
                check=check,
                python=warm_python.interpreter() if self._files.record().image.get("warm_python") else "",
            )
            view.note(f"changed={result.changed}")
        if whole:
            self._files.note(converged=target.key(definition), removed=[])
            self._files.forget_accounts()
        self.timings.tasks = result.task_seconds
        return result

    def verify(
        self,
        definition: Definition,
        *,
        expression: str = "",
        level: Level = "full",
        through: Through | None = None,
        begun: Suite | None = None,
    ) -> VerifyResult:
        """Run the suite, or the one that stands by; what is less than all of it is no proof."""
        whole = level == "full" and not expression
        if whole:
            self._files.note(verified="")
        told = about(definition, self._files, self._provider, self.timings)
        with self.step("verify") as view:
            result = verify(
                self._files.inventory,
                suite=resource("tests/verify"),
                view=view,
                junit=self._files.junit,
                log=self._files.log("verify"),
                expression=expression,
                level=level,
                through=through,
                page=Page(self._files.report, told),
                begun=begun,
            )
        key = target.key(definition)
        if whole and self._files.record().converged == key:  # else this was proof of what is to change yet
            self._files.note(verified=key)
        return result

    def standing_by(self, *, level: Level, through: Through | None) -> AbstractContextManager[Suite]:
        """The suite, started; its start costs nothing while something else is waited for."""
        return stand_by(
            self._files.inventory,
            suite=resource("tests/verify"),
            junit=self._files.junit,
            log=self._files.log("verify"),
            level=level,
            through=through,
        )

    def agent(self, definition: Definition) -> Through | None:
        """How the suite asks machines that were just brought back: without a login, which would take longer."""
        if self._provider.saver is None or not box.is_own(definition.box):
            return None
        return Through("labctl.providers.agent:ask", {PREFIX_VARIABLE: f"{PREFIX}{self._lab}_"})

    # To a snapshot and back

    def save(self, layout: Layout, label: str) -> Saved:
        """Save the running lab, in the place of the snapshots that this one replaces; `label` is empty for `up`.

        Raises:
            SnapshotError: it cannot be saved; the lab goes on as if nothing had happened.
        """
        saver, secrets = self.keeper.saver(), keeping.secrets_of(self._files)
        key = keeping.key(layout.definition) if not label else ""
        # Never that of another save: disks in the pool are known by it, and machines may still stand on them.
        id_ = snapshots.new_id(time.time_ns(), key, secrets, label, self._lab)
        host = self.keeper.host(layout.driver)
        replaced = keeping.replaced(self._lab, label, key)
        try:
            with self.step("snapshot") as view:
                saved = snapshot.save(
                    saver, layout, view, id_=id_, label=label, key=key, secrets=secrets, host=host
                )
        finally:
            self.set_clocks(layout, [machine.node.name for machine in layout.machines])
        self._files.note(snapshot=id_)
        for one in replaced:
            self.keeper.remove(one)
        return saved

    def check(self, saved: Snapshot) -> Box | None:
        """Refuse a snapshot that cannot be brought back here, before anything is touched; the box that it stands on.

        Raises:
            SnapshotError: it is damaged or of another kind of host, its box is gone, or machines cannot be saved here.
        """
        self.keeper.saver()
        made_from = keeping.box_of(saved)
        self.keeper.fits(saved, _driver(made_from))
        snapshots.check(saved)
        return made_from

    def take_files(self, saved: Snapshot, nodes: Sequence[str]) -> None:
        """The lab's own files as they were saved; until `restore` has ended, the lab is torn.

        Args:
            saved: the snapshot.
            nodes: those that have a machine now.
        """
        self._files.make()
        boot.disconnect(self._files.directory, nodes)
        packing.untar(saved.path / saved.files.file, self._files.directory)
        self._files.note(restoring=saved.id)

    def restore(self, saved: Snapshot, layout: Layout, nodes: Sequence[str]) -> None:
        """The machines as they were saved; those that were not there then are removed.

        Args:
            saved: the snapshot.
            layout: the lab as it was.
            nodes: those that have a machine now.
        """
        with self.step("restore") as view:
            scratch.folder()
            extra = [node for node in nodes if node not in saved.nodes]
            machines.remove(self._provider, self._lab, extra, layout.directory, view)
            snapshot.restore(self.keeper.saver(), saved, layout, view)
            self.set_clocks(layout, list(saved.nodes))
            boot.await_network(layout, view)
        self._files.note(restoring="", snapshot=saved.id)
        saved.note_use()


def _driver(built: Box | None) -> Driver:
    """What runs the machines here, found out with the box's own kernel if it is known."""
    return kvm.driver(built.kernel, built.initrd) if built else kvm.driver(None, None)
