"""A lab as it is: where it is, what it shall be, how it does, and the ways into it. Nothing is done to it here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from labctl import finding, folders, layouts, providers, refusals, secrets, selection, status, troubles
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.errors import DefinitionError, HostError, LabError
from labctl.files import LabFiles
from labctl.finding import LabSummary
from labctl.providers.base import Found, Provider
from labctl.render.layout import Layout, Secrets
from labctl.status import LabStatus
from labctl.steps import tell
from labctl.troubles import Trouble
from labctl.ways import Ways

if TYPE_CHECKING:
    from labctl.keeping import SnapshotKey
    from labctl.snapshots import Snapshot


class KnownLab(Ways):
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
        self._broken: DefinitionError | None = None

    @classmethod
    def define(
        cls, definition: Definition, *, base: Path, name: str | None = None, provider: str = "auto"
    ) -> Self:
        """The lab of a definition. Nothing is touched yet."""
        origin = definition.name
        if name:
            definition = loading.loads(loading.dump(definition), overrides=[f"name={name}"])
        return cls(definition.name, base / folders.FOLDER / definition.name, definition, provider, origin)

    @classmethod
    def find(cls, name: str | None, *, base: Path) -> Self:
        """An existing lab: by its files here or above, or by its machines.

        Raises:
            UsageError: there is none of that name, or more than one to choose from.
        """
        return cls._at(finding.folder(name, base))

    @classmethod
    def _at(cls, directory: Path) -> Self:
        """The lab in a folder. One whose definition is broken is a lab as well: it can be looked at and destroyed."""
        try:
            return cls(directory.name, directory, LabFiles(directory).load())
        except DefinitionError as error:
            lab = cls(directory.name, directory, None)
            lab._broken = error
            return lab

    @classmethod
    def of(cls, saved: Snapshot, *, base: Path) -> Self:
        """The lab that a snapshot is of: where it is, or in a new folder if it was destroyed."""
        known = folders.find(base, saved.lab) or next(
            (lab.directory for lab in cls.all() if lab.name == saved.lab), None
        )
        return cls(saved.lab, known or base / folders.FOLDER / saved.lab, None)

    @classmethod
    def all(cls, base: Path | None = None) -> tuple[LabSummary, ...]:
        """Every lab of this host, found by its machines, and by its files in ``base`` and above."""
        return finding.summaries(base)

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

    def status(self, *, services: bool = False) -> LabStatus:
        """The lab as it is now; quick, and needs no lock. With its services every node is asked for them."""
        broken, gone = f"{self.files.definition} is broken", refusals.without_files(self.name, self.files)
        return status.look(
            self.name,
            self._definition,
            self.files,
            self.provider,
            self._found(),
            unknown=Trouble(broken if self._broken else "its files are gone", gone.hint),
            with_services=services,
        )

    def snapshot_key(self) -> SnapshotKey:
        """What a cache may call the snapshot that `up` would bring back here, and which one that is.

        Raises:
            SnapshotError: machines cannot be saved here.
        """
        from labctl.keeping import Keeper  # noqa: PLC0415 - a look at a lab needs nothing of snapshots

        return Keeper(self.provider).named(self.definition, self.files)

    def away(self) -> dict[str, str]:
        """The nodes that run and that Slurm does not use; see `labctl.troubles.away`."""
        return troubles.away(self.status().nodes)

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """The nodes meant by a hostlist, ``@role`` or ``all``, in the order of the definition.

        Raises:
            UsageError: the pattern cannot be read or names what is not there.
        """
        return selection.select(self.name, self.definition.machines(), pattern)

    def unreachable(self, nodes: Sequence[str]) -> dict[str, LabError]:
        """Those of these nodes that nobody gets into, and why; none where nobody can be asked.

        Raises:
            UsageError: the lab was never made.
        """
        record = self.files.record()
        refusals.never_made(self.name, record)
        try:
            machines = {machine.node: machine for machine in self._found()}
        except HostError:
            return {}
        reasons = {node: refusals.unreachable(self.name, node, record, machines.get(node)) for node in nodes}
        return {node: reason for node, reason in reasons.items() if reason}

    def taken(self) -> dict[str, int]:
        """MiB that nodes have already; none where nobody can be asked."""
        try:
            return refusals.taken(
                self.definition, self.files.record().made_with(), refusals.in_memory(self._found())
            )
        except HostError:
            return {}

    def layout(self) -> Layout:
        """Where each machine is, as it was decided when the lab was made; of nodes that came to lab.yml since, nothing.

        Raises:
            UsageError: it was never made.
            LabError: what all others need, such as the controller, is among those that came since.
        """
        record = self.files.record()
        refusals.never_made(self.name, record)
        refusals.unmade_servers(self.name, self.definition, record)
        return layouts.read(record, self.files, self.definition, lab=self.name, pool=self.provider.pool)

    def secrets(self) -> Secrets:
        """Its secrets, as its own file has them."""
        layout, users = self.layout(), [user.name for user in self.definition.users]
        return secrets.load_or_generate(self.files.secrets, self.name, layout.machines, users)

    def slurm_conf(self) -> str:
        """slurm.conf as the controller has it, which is written from what the nodes measured of themselves.

        Raises:
            LabError: the controller does not run, does not answer, or has none yet.
        """
        node = self.nodes("@slurmctld")[0]
        if node not in self._running():
            raise LabError(
                f"{node} does not run, and only it has slurm.conf", hint=f"labctl start {self.name}"
            )
        saver, config = self.provider.saver, self._config()
        answer = tell.root(saver, self.name, node, "cat /etc/slurm/slurm.conf", ssh_config=config)
        if answer.code != 0:
            raise LabError(
                f"{node} has no slurm.conf", why=answer.stderr.strip(), hint=f"labctl up --name {self.name}"
            )
        return answer.stdout

    def _found(self) -> list[Found]:
        return [machine for machine in self.provider.found() if machine.lab == self.name]

    def _there(self) -> list[str]:
        """The nodes that have a machine, whatever it does."""
        return [machine.node for machine in self._found()]

    def _running(self) -> frozenset[str]:
        return frozenset(machine.node for machine in self._found() if machine.state == "running")
