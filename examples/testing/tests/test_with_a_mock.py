"""Quick, on any machine: no cluster is needed."""

import math

import pytest
from pi_by_lot import Share, estimate, throw

from labctl.testing import JobError, mock_cluster

SHARES = [Share(seed, 2000) for seed in range(2)]


def test_the_function_itself_runs_and_comes_near():
    assert estimate(mock_cluster(), SHARES) == pytest.approx(math.pi, abs=0.2)


def test_the_mean_of_what_jobs_return():
    cluster = mock_cluster()
    cluster.backend.when(throw, result=3.0)
    assert estimate(cluster, SHARES, partition="debug", time=5) == 3.0
    script = cluster.jobs[0].script
    assert "#SBATCH --partition=debug" in script
    assert "#SBATCH --time=5" in script


def test_a_job_that_was_killed_is_noticed():
    cluster = mock_cluster()
    cluster.backend.when(throw, states=["PENDING", "RUNNING", "NODE_FAIL"])
    with pytest.raises(JobError, match="mock-1"):
        estimate(cluster, SHARES)
