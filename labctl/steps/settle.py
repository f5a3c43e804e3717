"""Settle: machines that were only started, or a controller that was, until the cluster has found itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from labctl.console import StepView
from labctl.errors import BootError

# Seconds for the cluster to find itself after machines were started: slurmd waits for its mounts, these for the server.
DEADLINES = {"kvm": 60.0, "qemu": 180.0}
_POLL = 2.0  # seconds between two looks


def settle(problems: Callable[[], Sequence[str]], deadline: float, view: StepView) -> Sequence[str]:
    """Wait until nothing is wrong any more; what still is at the deadline, nothing if all is well.

    Args:
        problems: looks at the lab and says what is wrong with it.
        deadline: seconds that it may take.
        view: is told of the first problem.
    """
    end = time.monotonic() + deadline
    while found := problems():
        view.note(found[0])
        if time.monotonic() > end:
            return found
        time.sleep(_POLL)
    view.note("Slurm has settled")
    return ()


def unsettled(lab: str, left: Sequence[str]) -> BootError:
    """The error of machines that answer while the cluster does without them.

    Args:
        lab: its name.
        left: what is still wrong at the deadline.
    """
    return BootError(
        f"the machines of {lab} answer, but Slurm does not use all of them in time",
        why="\n".join(left),
        hint=f"labctl up --name {lab} mends it; labctl logs --name {lab} -u slurmctld -u slurmd says more",
    )
