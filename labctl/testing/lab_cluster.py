"""A lab as a test's cluster: made, started, put back, stopped and removed."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from labctl import console, folders
from labctl.console import Reporter
from labctl.definition import loading
from labctl.definition.sizes import Sizes
from labctl.errors import LabError, UsageError
from labctl.lab import Lab
from labctl.render.connection import PREFIX, Connection, connection
from labctl.testing.cluster import Cluster
from labctl.testing.slurm import SlurmBackend

VARIABLE = f"{PREFIX}CLUSTER"  # names the running lab that tests shall use


class TestCluster(Cluster):
    """A lab for tests. As a context manager it starts, and is gone afterwards unless it was there before."""

    __test__ = False  # pytest: it is no test

    def __init__(
        self,
        name: str = "",
        preset: str | Path = "cpu",
        *,
        cpu_nodes: int | None = None,
        gpu_nodes: int | None = None,
        cpus_per_node: int | None = None,
        gpus_per_node: int | None = None,
        memory_per_node: int | None = None,
        box: str = "",
        overrides: tuple[str, ...] = (),
        directory: str | Path = "",
        user: str = "",
        keep: bool | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        """Nothing is touched before `create` or `start`.

        Args:
            name: of the lab; by default that of its definition.
            preset: a preset, or the path of a definition.
            cpu_nodes: how many nodes compute without GPUs.
            gpu_nodes: how many have some.
            cpus_per_node: of each node that computes.
            gpus_per_node: of each node that has some.
            memory_per_node: of each node that computes, in MiB.
            box: what the machines are made from, other than the definition says.
            overrides: ``path=value`` changes of the definition, as for ``labctl up --set``.
            directory: where `.labctl/` is; by default here.
            user: whose jobs `submit` submits; by default the first user of the definition.
            keep: whether the lab stays behind a ``with``; None is to keep what was there before.
            reporter: is told of progress; by default it goes to stderr.

        Raises:
            DefinitionError: the definition cannot be read or is wrong.
        """
        sizes = Sizes(cpu_nodes, gpu_nodes, cpus_per_node, gpus_per_node, memory_per_node)
        changes = [*overrides, *([f"box={box}"] if box else [])]
        definition = loading.load(str(preset), overrides=changes, sizes=sizes)
        base = Path(directory).absolute()
        self._take(Lab.define(definition, base=base, name=name or None), user, keep=keep, reporter=reporter)

    @classmethod
    def of(cls, lab: Lab, *, user: str = "", reporter: Reporter | None = None) -> Self:
        """The cluster of a lab that runs; a ``with`` keeps it."""
        cluster = cls.__new__(cls)
        cluster._take(lab, user, keep=True, reporter=reporter)  # noqa: SLF001 - our own
        cluster._backend = SlurmBackend(lab, user)  # noqa: SLF001
        return cluster

    @classmethod
    def from_env(cls, name: str = "", *, directory: str | Path = "", user: str = "") -> Self:
        """A running lab: that of this name, the one that ``SLURM_TEST_CLUSTER`` names, or the one here or above.

        Raises:
            LabError: there is none, more than one to choose from, or it does not run.
        """
        lab = _meant(name, Path(directory).absolute())
        state = lab.status().state
        if state != "running":
            raise LabError(f"the lab {lab.name} is {state}", hint=f"labctl up --name {lab.name}")
        return cls.of(lab, user=user)

    def _take(self, lab: Lab, user: str, *, keep: bool | None, reporter: Reporter | None) -> None:
        Cluster.__init__(self)
        self.lab = lab
        self._user = user
        self._keep = keep
        self._reporter = reporter or console.reporter()

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.lab.name

    def get_config(self) -> Connection:
        """See `Cluster.get_config`; it is known once the lab was created."""
        if self._backend is not None:  # as it was when it was started, whoever changes the lab meanwhile
            return self._backend.connection()
        return connection(self.lab.layout(), self._user)

    @property
    def exists(self) -> bool:
        """Whether there is anything of the lab."""
        return self.lab.files.definition.is_file() or self.lab.status().state != "missing"

    def create(self) -> None:
        """Write the lab's files only."""
        self.lab.create(self._reporter)

    def start(self) -> None:
        """Have it up, from wherever it is, and proven; from its snapshot within seconds if there is one.

        One that is up and as defined is taken as it is, and hooks are not called.

        Raises:
            LabError: it does not come up; with the reason.
        """
        if self.lab.files.definition.is_file() and not self.lab.plan():
            self._backend = SlurmBackend(self.lab, self._user)
            return
        self.hooks.call("before_start", self)
        self.lab.up(self._reporter)
        self._backend = SlurmBackend(self.lab, self._user)
        self.hooks.call("after_start", self)

    def stop(self) -> None:
        """Shut its machines down; their disks stay."""
        self.hooks.call("before_stop", self)
        self.lab.stop(self._reporter)
        self._backend = None
        self.hooks.call("after_stop", self)

    def reset(self) -> None:
        """Everything as it was when it was verified, and then what `after_start` hooks do; jobs of before are gone.

        Raises:
            SnapshotError: there is no snapshot.
        """
        self.lab.reset(self._reporter)
        self.jobs.clear()
        self._backend = SlurmBackend(self.lab, self._user)
        self.hooks.call("after_start", self)

    def destroy(self) -> None:
        """Everything of the lab gone, whatever state it is in; hooks of stop are called if it was started here."""
        ran = self._backend is not None
        try:
            if ran:
                self.hooks.call("before_stop", self)
        finally:
            self._backend = None
            self.lab.destroy(self._reporter)
        if ran:
            self.hooks.call("after_stop", self)

    def __enter__(self) -> Self:
        """Start it; if that fails or is interrupted, nothing is left that was not there before."""
        if self._keep is None:
            self._keep = self.exists
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it, unless it is to be kept."""
        if not self._keep:
            self.destroy()


def connection_of(directory: str | Path = "", user: str = "") -> Connection:
    """The facts of the lab that `TestCluster.from_env` would find; it need not run.

    Raises:
        UsageError: there is none, or more than one to choose from.
    """
    return connection(_meant("", Path(directory).absolute()).layout(), user)


def _meant(name: str, base: Path) -> Lab:
    wanted = name or os.environ.get(VARIABLE, "")
    if not wanted and folders.find(base, None) is None:
        why = f"{VARIABLE} is not set, and no .labctl/ is in {base} or above"
        raise UsageError("there is no lab here", why=why, hint="labctl up")
    return Lab.find(wanted or None, base=base)
