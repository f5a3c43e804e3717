"""A lab: a definition brought to life under a name. The one place that knows the order of the steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from labctl import refusals, rotating, scratch, snapshots, target
from labctl.console import Reporter
from labctl.definition.accounts import named
from labctl.definition.models import Definition
from labctl.errors import DamagedError, LabError, SnapshotError
from labctl.files import Record
from labctl.finding import LabSummary
from labctl.keeping import Keeper
from labctl.known import KnownLab
from labctl.observing import observed
from labctl.plan import Action, Wanted, concerned, plan
from labctl.render.layout import Layout
from labctl.rotating import Planned, Rotated
from labctl.rotation import Kind
from labctl.snapshots import Snapshot
from labctl.status import LabStatus
from labctl.steps import boot, machines
from labctl.steps.converge import ConvergeResult
from labctl.steps.settle import unsettled
from labctl.steps.snapshot import Saved
from labctl.steps.verify import Level, VerifyResult
from labctl.work import Work

__all__ = ["Lab", "LabStatus", "LabSummary", "UpResult"]


@dataclass(frozen=True)
class UpResult:
    """What `up` did; ``steps`` are names and seconds, in order."""

    changed: bool
    steps: list[tuple[str, float]]
    status: LabStatus
    verify: VerifyResult | None


class Lab(KnownLab):
    """One lab, and all that can be done to it."""

    # From wherever the lab is to where it shall be

    def plan(self, *, verify: bool = True, fresh: bool = False) -> tuple[Action, ...]:
        """What `up` would do now.

        Args:
            verify: whether the lab shall be verified.
            fresh: make every machine anew, and from no snapshot.
        """
        return self._plan(self._saved() if verify and not fresh else None, verify=verify, fresh=fresh)

    def _plan(self, saved: Snapshot | None, *, verify: bool, fresh: bool) -> tuple[Action, ...]:
        shapes, save = target.shapes(self.definition), self.provider.saver is not None
        there = observed(self.files, self._found(), shapes, lambda: self.status().problems, saved)
        given = self.definition
        wanted = Wanted(shapes, target.key(given), verify, save, fresh, given.playbooks, named(given))
        return plan(wanted, there)

    def _saved(self) -> Snapshot | None:
        """The snapshot that `up` would bring back, if there is nothing of the lab that it had to throw away."""
        if self._found() and not self.files.record().restoring:
            return None
        return Keeper(self.provider).equal(self.definition, self.files)

    def create(self, reporter: Reporter) -> None:
        """Write the lab's files only."""
        self._check()
        refusals.moving(self.name, self.definition.network, self.files.record(), self._found())
        with self._work(reporter, "create") as work:
            work.prepare(self.definition, self._origin)

    def up(
        self,
        reporter: Reporter,
        *,
        verify: bool = True,
        fresh: bool = False,
        force: bool = False,
        anew: bool = True,
    ) -> UpResult:
        """Create, start, converge and verify, as far as it is needed; or bring back what was saved.

        Args:
            reporter: is told of it.
            verify: prove it, and save it once it is proven.
            fresh: make every machine anew, and from no snapshot.
            force: let nodes go on which jobs run; Slurm queues these jobs again.
            anew: whether machines may be made anew that could not become what they shall be.

        Raises:
            LabError: the step that failed says what and why; `up` again goes on from there.
        """
        self._check()
        with self._work(reporter, "up") as work:
            with work.timings.step("plan"):
                saved = self._saved() if verify and not fresh else None
                actions = self._plan(saved, verify=verify, fresh=fresh)
            if not actions:
                return UpResult(changed=False, steps=work.timings.steps, status=self.status(), verify=None)
            record = self.files.record()
            refusals.moving(self.name, self.definition.network, record, self._found())
            refusals.replacing(self.name, self._origin, record, actions)
            if not anew:
                refusals.made_anew(self.name, record, actions)
            with work.timings.kept(self.files.timings):
                proven = self._brought_back(saved, work) if saved else None
                if proven is None:
                    actions = self._plan(None, verify=verify, fresh=fresh) if saved else actions
                    proven = self._carry_out(actions, work, force=force)
            now = self.status()
        return UpResult(changed=True, steps=work.timings.steps, status=now, verify=proven)

    def converge(
        self, reporter: Reporter, *, tags: str = "", limit: str = "", check: bool = False
    ) -> ConvergeResult:
        """Run the playbooks on the running lab, with the inventory as it is; only `up` and `create` write it.

        Raises:
            ConvergeError: a task failed.
            BootError: all went well, but Slurm does not find all of its nodes again in time.
        """
        self._require_as_made()
        refusals.without_playbooks(self.definition)
        nodes = ",".join(self.nodes(limit)) if limit else ""  # to Ansible @slurmd were a file
        with self._work(reporter, "converge") as work:
            before = self.away()
            result = work.converge(self.definition, tags=tags, limit=nodes, check=check)
            if not check:
                self._found_again(before, work)
        return result

    def verify(self, reporter: Reporter, *, expression: str = "", level: Level = "full") -> VerifyResult:
        """Run the suite on the running lab."""
        self._require_as_made()
        with self._work(reporter, "verify") as work:
            return work.verify(self.definition, expression=expression, level=level)

    def rotation(self, kind: Kind, *, authority: bool = False) -> tuple[Planned, ...]:
        """What `rotate` would do now."""
        refusals.not_rotatable(self.name, kind, self.definition, self.files.record(), authority=authority)
        return rotating.planned(self.definition, kind, authority=authority)

    def rotate(self, reporter: Reporter, kind: Kind, *, authority: bool = False) -> Rotated:
        """Give the running lab a new secret of a kind; its jobs go on. See `labctl.rotating`."""
        self.rotation(kind, authority=authority)
        self._require_as_made()
        with self._work(reporter, "rotate") as work:
            return rotating.rotate(work, self.files, self.layout(), kind, authority=authority)

    def start(self, reporter: Reporter, nodes: str = "") -> None:
        """Start machines that are stopped or suspended, and wait until they answer and Slurm uses them.

        Raises:
            BootError: one does not answer in time, or Slurm does not use one in time; they run on.
        """
        layout = self.layout()
        names = self.nodes(nodes or "all")
        refusals.without_machine(self.name, names, self._found())
        self._fit(names)
        with self._work(reporter, "start") as work:
            before, off = self.away(), set(names) - self._running()
            with work.step("boot") as view:
                scratch.folder()
                self.provider.connect(layout)
                boot.bring_up(self.provider, layout, started=names, view=view, log=self.files.log("boot"))
                # One that was frozen knows nothing of the time that went by.
                work.set_clocks(layout, names)
            if off and self._has_slurm():
                self._found_again(before, work)

    def suspend(self, reporter: Reporter, nodes: str = "") -> None:
        """Freeze machines in memory, side by side; `resume` and `start` let them go on."""
        names = self.nodes(nodes or "all")
        refusals.without_machine(self.name, names, self._found())
        with self._work(reporter, "suspend") as work, work.step("suspend") as view:
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
        with self._work(reporter, "stop") as work, work.step("stop") as view:
            boot.disconnect(self.directory, names)
            machines.stop(self.provider, self.name, names, view, last=self._servers(), force=force)

    def save_snapshot(self, reporter: Reporter, label: str) -> Saved:
        """Save the running lab under a name of the user's; it goes on running. One of that name is replaced.

        Raises:
            SnapshotError: it cannot be saved; the lab goes on as if nothing had happened.
        """
        self._require_running()
        with self._work(reporter, "snapshot save") as work:
            return work.save(self.layout(), label)

    def restore_snapshot(self, reporter: Reporter, saved: Snapshot) -> None:
        """The lab as it was when the snapshot was saved, whatever it is now.

        Raises:
            SnapshotError: the snapshot is damaged or of another kind of host; nothing was touched.
        """
        refusals.foreign(self.name, self.directory, self._found())
        with self._work(reporter, "snapshot restore") as work:
            former = rotating.since(self.files, saved)
            work.restore(saved, self._all_but_machines(saved, work), self._there())
            self._settle(work)
            if former:
                reporter.note(f"{self.name} has its former secrets again: {', '.join(former)}")

    def reset(self, reporter: Reporter) -> Snapshot:
        """The lab as it was when it was last saved or brought back; which snapshot that is.

        Raises:
            SnapshotError: there is none, it is damaged, or it has secrets that were replaced since.
        """
        saved = snapshots.get(self.files.record().snapshot)
        if saved is None:
            raise SnapshotError(
                f"{self.name} has no snapshot to go back to", hint="labctl snapshot save NAME, then reset"
            )
        refusals.former_secrets(saved, rotating.since(self.files, saved))
        self.restore_snapshot(reporter, saved)
        return saved

    def destroy(self, reporter: Reporter) -> None:
        """Everything of the lab gone, whatever state it is in and whether or not its files are there."""
        with self._work(reporter, "destroy") as work, work.step("destroy") as view:
            view.note(f"{len(self._there())} machines")
            boot.disconnect_all(self.name)
            self.provider.destroy(self.name, self.directory)
            self.files.remove()
            scratch.forget(self.name)

    # The steps

    def _carry_out(self, actions: Sequence[Action], work: Work, *, force: bool) -> VerifyResult | None:
        """All steps that these actions need, in order; what verify said, if it was asked."""
        kinds = {action.kind for action in actions}
        before = {} if "verify" in kinds else self.away()  # verify waits by itself
        with self._without_new_jobs(actions, work, force=force):  # before anything else: jobs may keep nodes
            layout = work.prepare(self.definition, self._origin)
        work.boot(layout, actions)
        if "converge" in kinds or not self._settle(work):
            work.converge(self.definition)
            self.files.note(rotating="")
            if len(concerned(actions, "create", "recreate")) < len(layout.machines):
                work.resume(layout)
            if "verify" not in kinds:
                self._found_again(before, work)
        proven = work.verify(self.definition) if "verify" in kinds else None
        if "snapshot" in kinds:
            self._keep(layout, work)
        return proven

    def _without_new_jobs(
        self, actions: Sequence[Action], work: Work, *, force: bool
    ) -> AbstractContextManager[None]:
        """The nodes that go are drained; they take jobs again if what is done meanwhile, while all is there, fails."""
        drained, gone = concerned(actions, "drain"), concerned(actions, "remove", "recreate", "resize")
        if not drained:
            return nullcontext()
        made = self.files.record().made_with()
        controller = next(node for node, one in made.items() if "slurmctld" in one.roles and node not in gone)
        return work.drained(controller, drained, force=force)

    def _keep(self, layout: Layout, work: Work) -> None:
        """Save the lab for the next `up`. It is up and proven, whether or not that works."""
        try:
            work.save(layout, label="")
        except LabError as error:
            work.reporter.note(
                f"{error}\nso the next up of {self.name} builds it; the lab itself is up and verified"
            )

    def _brought_back(self, saved: Snapshot, work: Work) -> VerifyResult | None:
        """What verify said of the lab as it was saved; None, and nothing left, if it could not be brought back."""
        try:
            # The same but for where its playbooks are, which may be elsewhere on the host that saved it.
            layout, through = (
                self._all_but_machines(saved, work, self.definition),
                work.agent(self.definition),
            )
            with work.standing_by(level="restored", through=through) as begun:
                work.restore(saved, layout, self._there())
                return work.verify(self.definition, level="restored", through=through, begun=begun)
        except LabError as error:
            work.reporter.note(f"{error}\nso the lab is built anew")
            if isinstance(error, DamagedError):
                work.keeper.remove(saved)
        boot.disconnect_all(self.name)
        self.provider.destroy(self.name, self.directory)
        self.files.make()
        self.files.remember(Record(origin=self.files.record().origin))
        return None

    def _all_but_machines(self, saved: Snapshot, work: Work, definition: Definition | None = None) -> Layout:
        """Network and files as they were when they were saved; where the machines will be."""
        made_from = work.check(saved)
        work.take_files(saved, self._there())
        self._definition = definition or self.files.load()
        return work.prepare(self.definition, self._origin, made_from)

    def _settle(self, work: Work) -> bool:
        """Wait until Slurm is content with machines that were only started; whether it is."""
        return not work.settle(lambda: self.status().problems)

    def _has_slurm(self) -> bool:
        """Whether there is a Slurm to wait for: it was set up, and all machines run that compute nodes need."""
        needed = {
            node.name
            for node in self.definition.machines()
            if set(node.roles) != {"slurmd"} and not node.bare
        }
        return bool(self.files.record().converged) and needed <= self._running()

    def _found_again(self, before: Mapping[str, str], work: Work) -> None:
        """Wait for nodes that were not away before; a controller that is started anew asks each how it is.

        Raises:
            BootError: some are still away at the deadline.
        """
        known = {node for node, state in before.items() if state}
        left = work.settle(
            lambda: [
                f"{node} is {state or 'not known to Slurm'}"
                for node, state in self.away().items()
                if node not in known
            ]
        )
        if left:
            raise unsettled(self.name, left)

    # Small things

    def _servers(self) -> set[str]:
        """The nodes that others have their users and their files from."""
        made = self.files.record().made_with()
        return {node for node, one in made.items() if {"ldap_server", "nfs_server"} & set(one.roles)}

    def _check(self) -> None:
        """Refuse, before anything is touched, what cannot be made on this host or under this name."""
        refusals.without_playbooks(self.definition)
        self._fit(self.nodes("all"))

    def _fit(self, started: Collection[str]) -> None:
        """Refuse what has no room on this host, or no right to this name, once these nodes run."""
        shapes = self.files.record().made_with()
        refusals.unfit_host(self.definition, self._provider_wanted(), shapes, self._found, started)
        refusals.foreign(self.name, self.directory, self._found())

    def _require_as_made(self) -> None:
        refusals.edited(self.name, self.definition, self.files.record())
        self._require_running()

    def _require_running(self) -> None:
        refusals.not_running(self.name, self.definition, self._running())
        scratch.folder()

    @contextmanager
    def _work(self, reporter: Reporter, doing: str) -> Iterator[Work]:
        """The lab is held for a command."""
        with self.files.locked(self.name, doing):
            yield Work(self.name, self.files, self.provider, reporter)
