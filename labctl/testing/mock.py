"""A cluster without a machine, for unit tests: the same calls, and the answers that the test wants.

Functions really run, in a process of their own with this Python, from the same parcel that would go to a node: what
cannot be shipped fails here, too. Scripts and commands are never run. They end at once and well, unless
`MockBackend.when` says how.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl import selection
from labctl.definition import loading
from labctl.definition.models import Definition
from labctl.definition.sizes import Sizes
from labctl.reach import copying
from labctl.reach.parallel import LATE, Outcome
from labctl.render.connection import Connection
from labctl.testing import answers, facts
from labctl.testing.backend import OVER, Called, Look, Output, Submission
from labctl.testing.cluster import Cluster
from labctl.testing.errors import JobError
from labctl.testing.shipping import Parcel

_STATES = ("PENDING", "RUNNING")  # before the last one
_RUNNER = Path(__file__).parent / "runner.py"
_PATIENCE = 60.0  # seconds for the function of a job
_TICK = 1.0  # seconds of the mock's own clock that a pause takes
_UNSET: Any = object()
What = str | Callable[..., Any]


@dataclass(frozen=True)
class Plan:
    """How what matches shall end; see `MockBackend.when`."""

    what: What
    result: Any = _UNSET
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    states: tuple[str, ...] = ()
    refused: str = ""
    node: str = ""


@dataclass
class MockJob:
    """A job of the mock's: what was submitted, and how far it is.

    Attributes:
        submission: its `script` is the text that sbatch would have got.
        states: those that it still goes through, the next one first; the last one stays.
    """

    submission: Submission
    plan: Plan
    states: list[str]
    output: Output | None = None
    exit_code: int | None = None


@dataclass
class MockBackend:
    """Notes what it is asked, and answers as it was told to.

    Attributes:
        definition: of the lab that it plays.
        jobs: by their ids: ``mock-1``, ``mock-2``, ...
        commands: each ``(node, user, command)`` that was executed.
        copies: each ``(sources, target)`` that was copied.
    """

    definition: Definition
    jobs: dict[str, MockJob] = field(default_factory=dict)
    commands: list[tuple[str, str, str]] = field(default_factory=list)
    copies: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    _plans: list[Plan] = field(default_factory=list)
    _now: float = 0.0

    def when(
        self,
        what: What = "",
        *,
        result: Any = _UNSET,
        stdout: str = "",
        stderr: str = "",
        exit_code: int = 0,
        states: Sequence[str] = (),
        refused: str = "",
        node: str = "",
    ) -> None:
        """Say how something ends; what was said last of it holds.

        Args:
            what: part of a script or command, or the function; everything if it is empty.
            result: what the function returns, or raises if it is an exception; it is not run then.
            stdout: what the script or command writes.
            stderr: the same.
            exit_code: its own; a job with another one than 0 is FAILED.
            states: those that the job is seen in, one a look; the last one stays, be it over or not.
            refused: what sbatch says instead of taking the job.
            node: only there, where it is a command or a function that is called on nodes.
        """
        plan = Plan(what, result, stdout, stderr, exit_code, tuple(states), refused, node)
        self._plans.insert(0, plan)

    # What a cluster asks for

    def connection(self) -> Connection:
        """See `Backend.connection`; the addresses are nobody's."""
        return facts.config_of(self.definition)

    def nodes(self, pattern: str) -> tuple[str, ...]:
        """See `Backend.nodes`."""
        return selection.select(self.definition.name, self.definition.machines(), pattern)

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`."""
        plan = self._plan(_what(submission))
        if plan.refused:
            raise JobError(
                "the job could not be submitted",
                why=plan.refused,
                hint=f"its script was:\n{submission.script}",
            )
        job_id = f"mock-{len(self.jobs) + 1}"
        # What a function makes of it is seen when it has run.
        self.jobs[job_id] = MockJob(submission, plan, list(plan.states or (*_STATES, "COMPLETED")))
        return job_id

    def look(self, job_id: str) -> Look:
        """See `Backend.look`: one state further with each look."""
        job = self._job(job_id)
        if job.states[0] in OVER:
            self._end(job_id, job)
        state, nodes = job.states[0], self._first_node()
        if len(job.states) > 1 and state not in OVER:
            job.states.pop(0)
        return Look(state, "", job.exit_code, "" if state == "PENDING" else nodes)

    def output(self, job_id: str) -> Output:
        """See `Backend.output`."""
        return self._job(job_id).output or Output()

    def cancel(self, job_id: str) -> None:
        """See `Backend.cancel`."""
        job = self._job(job_id)
        if job.output is None:
            job.states[:], job.exit_code, job.output = ["CANCELLED"], 0, Output()

    def now(self) -> float:
        """See `Backend.now`: no time goes by but in `pause`."""
        return self._now

    def pause(self) -> None:
        """See `Backend.pause`."""
        self._now += _TICK

    def execute(
        self,
        nodes: Sequence[str],
        command: str,
        *,
        user: str,
        timeout: float,  # noqa: ARG002 - it ends at once
    ) -> Generator[tuple[str, Outcome], None, None]:
        """See `Backend.execute`; nothing is run."""
        for node in nodes:
            self.commands.append((node, user, command))
            plan = self._plan(command, node)
            yield node, Outcome(plan.exit_code, plan.stdout, plan.stderr)

    def call(
        self,
        nodes: Sequence[str],
        parcel: Parcel,
        *,
        user: str,  # noqa: ARG002 - we are who we are
        timeout: float,
        python: str,  # noqa: ARG002
    ) -> Generator[tuple[str, Called], None, None]:
        """See `Backend.call`; it runs here, as whoever we are, with this Python."""
        for node in nodes:
            yield node, self._call(parcel, self._plan(parcel.name, node), node, timeout)

    def copy(
        self,
        sources: Sequence[str | Path],
        target: str | Path,
        *,
        user: str,  # noqa: ARG002
        recursive: bool,  # noqa: ARG002
    ) -> Mapping[str, Outcome]:
        """See `Backend.copy`; nothing is copied."""
        self.copies.append((tuple(str(one) for one in sources), str(target)))
        on = next(
            (one.nodes for one in map(copying.place, [str(target), *map(str, sources)]) if one.nodes), ""
        )
        return {node: Outcome(0, "", "") for node in self.nodes(on)}

    # How that comes about

    def _job(self, job_id: str) -> MockJob:
        if job_id not in self.jobs:
            raise JobError(
                f"Slurm does not know the job {job_id}", why=f"there are {', '.join(self.jobs) or 'none'}"
            )
        return self.jobs[job_id]

    def _plan(self, what: str, node: str = "") -> Plan:
        return next(
            (plan for plan in self._plans if plan.node in ("", node) and _matches(plan, what)), Plan("")
        )

    def _end(self, job_id: str, job: MockJob) -> None:
        """Have the job over: what it said, and in which state."""
        if job.output is not None:
            return
        plan, parcel = job.plan, job.submission.parcel
        if parcel is None or (plan.states and job.states[0] != "COMPLETED"):
            text = plan.stdout if plan.result is _UNSET else f"{plan.result}\n"
            job.output, job.exit_code = (
                Output(text, plan.stderr),
                plan.exit_code or int(job.states[0] == "FAILED"),
            )
        else:
            called = self._call(parcel, plan, self._first_node(), _PATIENCE, SLURM_JOB_ID=job_id)
            job.output, job.exit_code = Output(called.stdout, called.stderr, called.answer), called.exit_code
        if job.exit_code and not plan.states:
            job.states[:] = ["FAILED"]

    def _call(self, parcel: Parcel, plan: Plan, node: str, timeout: float, **variables: str) -> Called:
        if plan.result is not _UNSET:
            code = plan.exit_code or int(isinstance(plan.result, BaseException))
            return Called(code, plan.stdout, plan.stderr, answers.pack(plan.result, node=node))
        return _run(parcel, timeout, variables)

    def _first_node(self) -> str:
        return next((one.name for one in self.definition.machines() if "slurmd" in one.roles), "")


class MockCluster(Cluster):
    """A cluster without a machine; `backend` is where the test says what shall happen."""

    def __init__(self, backend: MockBackend) -> None:
        super().__init__(backend)
        self._mock = backend

    @property
    def backend(self) -> MockBackend:
        """What plays the lab."""
        return self._mock


def mock_cluster(
    preset: str | Path = "cpu",
    *,
    cpu_nodes: int | None = None,
    gpu_nodes: int | None = None,
    gpus_per_node: int | None = None,
    overrides: Sequence[str] = (),
) -> MockCluster:
    """A cluster that plays a lab of a preset, or of a definition by its path; the others are those of `TestCluster`."""
    definition = loading.load(
        str(preset), overrides=list(overrides), sizes=Sizes(cpu_nodes, gpu_nodes, None, gpus_per_node)
    )
    return MockCluster(MockBackend(definition))


def _what(submission: Submission) -> str:
    return submission.parcel.name if submission.parcel else submission.script


def _matches(plan: Plan, what: str) -> bool:
    return plan.what.__name__ == what if callable(plan.what) else plan.what in what


def _run(parcel: Parcel, timeout: float, variables: Mapping[str, str]) -> Called:
    """The function in a process of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="labctl-mock-") as folder:
        there = Path(folder)
        (there / "parcel").write_bytes(parcel.data)
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-u", str(_RUNNER), str(there / "parcel"), str(there / "answer")],
                cwd=folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return Called(LATE, "", "", None)
        answer = (there / "answer").read_bytes() if (there / "answer").is_file() else None
        return Called(done.returncode, done.stdout, done.stderr, answer)
