"""Settle: machines that were only started, or a controller that was, until the cluster has found itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from labctl.console import StepView

# Seconds for the cluster to find itself after machines were started: slurmd waits for its mounts, these for the server.
DEADLINES = {"kvm": 60.0, "qemu": 180.0}
_POLL = 2.0  # seconds between two looks


def settle(problems: Callable[[], Sequence[str]], deadline: float, view: StepView) -> bool:
    """Wait until nothing is wrong any more; whether that came within the deadline.

    Args:
        problems: looks at the lab and says what is wrong with it.
        deadline: seconds that it may take.
        view: is told of the first problem.
    """
    end = time.monotonic() + deadline
    while found := problems():
        view.note(found[0])
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    view.note("Slurm has settled")
    return True
