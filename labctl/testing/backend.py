"""What is behind a cluster: a lab with Slurm on it, or a mock of one. Both do the same; one suite of tests says so."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labctl.reach.parallel import Outcome
from labctl.render.connection import Connection
from labctl.testing.shipping import Parcel

#: States of Slurm in which a job is over.
OVER = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)


@dataclass(frozen=True)
class Submission:
    """A job to be.

    Attributes:
        script: what sbatch gets.
        arguments: of the script.
        parcel: the function that it runs, if it runs one.
        python: the program that runs the function.
    """

    script: str
    arguments: tuple[str, ...] = ()
    parcel: Parcel | None = None
    python: str = "python3"


@dataclass(frozen=True)
class Look:
    """A job as Slurm sees it; ``exit_code`` is None until it is over, ``nodes`` a hostlist."""

    state: str
    reason: str = ""
    exit_code: int | None = None
    nodes: str = ""


@dataclass(frozen=True)
class Output:
    """What a job has written so far; ``answer`` is of the function that it runs, see `labctl.testing.answers`."""

    stdout: str = ""
    stderr: str = ""
    answer: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Called:
    """How a function's process ended on a node; ``answer`` is None if it did not live to give one."""

    exit_code: int
    stdout: str
    stderr: str
    answer: bytes | None = field(repr=False)


class Backend(Protocol):
    """What a cluster asks for. Nodes are names; times are seconds."""

    def connection(self) -> Connection:
        """How clients reach it."""

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """The nodes meant by a hostlist, ``@role``, ``@partition`` or ``all``."""

    def submit(self, submission: Submission) -> str:
        """Submit a job; its id."""

    def look(self, job_id: str) -> Look:
        """The job now."""

    def output(self, job_id: str) -> Output:
        """What it has written."""

    def cancel(self, job_id: str) -> None:
        """End it; one that is over stays as it is."""

    def now(self) -> float:
        """The time by the clock that waits go by."""

    def pause(self) -> None:
        """Let some time go by before the next look."""

    def execute(
        self, nodes: Sequence[str], command: str, *, user: str, timeout: float
    ) -> Generator[tuple[str, Outcome], None, None]:
        """Run a shell command on nodes at the same time; how it ended on each, when it did."""

    def call(
        self, nodes: Sequence[str], parcel: Parcel, *, user: str, timeout: float, python: str
    ) -> Generator[tuple[str, Called], None, None]:
        """Run a function on nodes at the same time; how it ended on each, when it did."""

    def copy(
        self, sources: Sequence[str | Path], target: str | Path, *, user: str, recursive: bool
    ) -> Mapping[str, Outcome]:
        """Copy files, those on nodes with ``NODES:`` in front; how it went for each node."""
