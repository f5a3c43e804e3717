"""On a real cluster: pytest --run-integration."""

import math
from pathlib import Path

import pytest
from pi_by_lot import Share, estimate

pytestmark = pytest.mark.integration_test


def test_jobs_find_pi(slurm_cluster):
    shares = [Share(seed, 2000) for seed in range(2)]
    assert estimate(slurm_cluster, shares, time=5) == pytest.approx(math.pi, abs=0.2)


def test_a_script_runs_as_the_user(slurm_cluster):
    job = slurm_cluster.submit("id -un; hostname", ntasks=1)
    user, node = job.wait(240).result.split()
    assert user == slurm_cluster.get_config().username
    assert node in slurm_cluster.nodes("@slurmd")


def test_every_node_sees_the_same_home(slurm_cluster):
    slurm_cluster.execute("echo here >~/marker")

    @slurm_cluster.on("@slurmd", user=slurm_cluster.get_config().username)
    def read():
        return (Path.home() / "marker").read_text()

    assert set(read().return_values.values()) == {"here\n"}
