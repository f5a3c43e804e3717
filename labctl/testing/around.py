"""Around a test that uses clusters: its deadline, the end of its jobs, and what is kept when it fails."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from labctl.errors import LabError
from labctl.reach import logs
from labctl.testing.backend import OVER
from labctl.testing.cluster import Cluster
from labctl.testing.job import Job
from labctl.testing.lab_cluster import TestCluster

_SLACK = 10  # seconds that a node's clock may be behind
_UNITS = ("slurmctld", "slurmd", "munge", "sssd", "slapd", "nfs-server")
_TAIL = 20  # lines of a job's output in the report


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Cut off what is inside after so many seconds; nothing where another plugin has set an alarm already."""
    able = (
        threading.current_thread() is threading.main_thread() and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )
    if not (able and seconds > 0):
        yield
        return

    def late(*_: object) -> None:
        pytest.fail(
            f"the test did not end within {seconds:.0f} s; @pytest.mark.labctl(timeout=...) gives it more"
        )

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def jobs_end(clusters: Sequence[Cluster], submitted: list[Job]) -> Iterator[None]:
    """Cancel the jobs that are submitted inside and are not over when it ends; `submitted` has all of them then."""
    before = [len(cluster.jobs) for cluster in clusters]
    try:
        yield
    finally:
        for cluster, count in zip(clusters, before, strict=True):
            submitted += cluster.jobs[count:]
        for job in submitted:
            with suppress(LabError):  # Slurm may be what the test has broken
                job.cancel()


def told(jobs: Sequence[Job]) -> str:
    """What became of jobs, as far as it is known."""
    return "\n".join(_told(job) for job in jobs)


def _told(job: Job) -> str:
    last = job.last
    if last is None or last.state not in OVER:
        return f"job {job.job_id}: was not waited for to its end, and was cancelled"
    lines = [f"job {job.job_id}: {last.state}, exit code {last.exit_code}, on {last.nodes or 'no node'}"]
    for name, text in (("stdout", job.stdout), ("stderr", job.stderr)):
        if text:
            lines += [f"  {name}:", *(f"    {line}" for line in text.splitlines()[-_TAIL:])]
    return "\n".join(lines)


def collect(cluster: Cluster, since: float, folder: Path) -> list[Path]:
    """Write what the nodes of a lab have logged since then, a file for each; which files.

    Args:
        cluster: a mock has none.
        since: seconds since the epoch.
        folder: for the files; it is made.
    """
    if not isinstance(cluster, TestCluster):
        return []
    wanted = logs.Wanted(units=_UNITS, since=f"@{int(since) - _SLACK}")
    found = logs.read(cluster.lab, cluster.nodes("all"), wanted)
    lines: dict[str, list[str]] = {}
    for entry in found.entries:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time / 1e6))
        lines.setdefault(entry.node, []).append(f"{stamp} {entry.speaker}: {entry.text}")
    for node, outcome in found.failed.items():
        lines.setdefault(node, []).append(
            f"(its logs could not be read to their end: {outcome.stderr.strip()})"
        )
    make(folder)
    paths = []
    for node, said in lines.items():
        path = folder / f"{node}.log"
        path.write_text("\n".join(said) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def make(folder: Path) -> None:
    """Have a folder for logs, which no version control takes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")


def folder_name(test: str) -> str:
    """A folder's name for a test's id."""
    return re.sub(r"[^\w.=,-]+", "_", test).strip("_")[-150:]


@contextmanager
def failures(
    clusters: Sequence[Cluster], jobs: list[Job], folder: Path, said: list[tuple[str, str]]
) -> Iterator[None]:
    """If what is inside fails, say what became of its jobs and where the nodes' logs are.

    Args:
        clusters: that it uses.
        jobs: has those that it submitted, once it has ended.
        folder: for the logs.
        said: gets headlines, each with its text.
    """
    begun = time.time()
    try:
        yield
    except (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, KeyboardInterrupt):
        raise
    except BaseException:
        if jobs:
            said.append(("Slurm jobs", told(jobs)))
        for cluster in clusters:
            try:
                paths = collect(cluster, begun, folder)
            except (LabError, OSError) as error:
                said.append(("logs of nodes", f"those of {cluster.name} could not be collected: {error}"))
            else:
                if paths:
                    said.append(("logs of nodes", "\n".join(map(str, paths))))
        raise
