"""Estimates pi on a cluster: each job throws its own dice, and the mean of all is the answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """What one job does."""

    seed: int
    throws: int


def throw(share: Share) -> float:
    """One job's estimate."""
    dice = random.Random(share.seed)
    hits = sum(dice.random() ** 2 + dice.random() ** 2 <= 1 for _ in range(share.throws))
    return 4 * hits / share.throws


def estimate(cluster: Any, shares: Sequence[Share], **options: Any) -> float:
    """The mean of all jobs' estimates.

    Args:
        cluster: of `labctl.testing`.
        shares: a job for each.
        options: for sbatch.
    """
    jobs = [cluster.submit(throw, share, **options) for share in shares]
    return float(sum(job.result for job in jobs) / len(jobs))
