"""`labctl.testing` on a real lab: the contract that the mock is held to, and what only a lab can show.

With SLURM_TEST_CLUSTER the lab of that name is used and left running; without it one is made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_contract import PATIENCE, ClusterContract, Expect
from conftest import User

from labctl.testing import TestCluster
from labctl.testing.lab_cluster import VARIABLE


@pytest.fixture(scope="module")
def cluster(user: User) -> Iterator[TestCluster]:
    if VARIABLE in os.environ:
        yield TestCluster.from_env()
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in user.env.items():
            patch.setenv(name, value)
        with TestCluster("multi-node", "multi-node", directory=user.home) as made:
            patch.setenv(VARIABLE, made.name)
            yield made


@pytest.fixture
def expect() -> Expect:
    return lambda *_, **__: None


class TestLab(ClusterContract):
    pass


def test_a_job_spans_nodes(cluster: TestCluster) -> None:
    nodes = cluster.nodes("@slurmd")
    job = cluster.submit("srun hostname | sort", nodes=len(nodes)).wait(PATIENCE)
    assert job.result.split() == sorted(nodes)


def test_results_come_as_nodes_have_them(cluster: TestCluster) -> None:
    nodes = cluster.nodes("@slurmd")

    @cluster.on("@slurmd")
    def at_your_pace(slow: str) -> float:
        if os.uname().nodename.partition(".")[0] == slow:
            time.sleep(20)
        return time.time()

    heard = [result.node for result in at_your_pace.each(nodes[0])]
    assert heard[-1] == nodes[0]
    assert sorted(heard) == sorted(nodes)


def test_a_function_that_hangs_is_cut_off_where_it_hangs(cluster: TestCluster) -> None:
    node = cluster.nodes("@slurmd")[0]

    def hangs() -> None:
        time.sleep(3599)

    with pytest.raises(TimeoutError) as caught:
        cluster.on(node, timeout=5)(hangs)()
    assert "time.sleep(3599)" in caught.value.__notes__[0]
    assert cluster.execute("pgrep --full 'labctl-[0-9a-f]+:'", node, check=False).stdout == ""


def test_a_function_runs_as_the_user_that_is_named(cluster: TestCluster) -> None:
    def who() -> tuple[int, str]:
        return os.getuid(), os.environ["HOME"]

    node = cluster.nodes("@slurmd")[0]
    assert cluster.on(node, user="nucci")(who)().return_value == (10000, "/home/nucci")
    assert cluster.on(node)(who)().return_value == (0, "/root")


def test_files_go_and_come_back(cluster: TestCluster, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("42\n")
    cluster.push(tmp_path / "input.txt", "input.txt")
    assert cluster.submit('expr "$(cat ~/input.txt)" + 1 | tee ~/output.txt').wait(PATIENCE).result == "43"
    cluster.pull("output.txt", tmp_path)
    assert (tmp_path / "output.txt").read_text() == "43\n"
    cluster.execute("rm input.txt output.txt")


def test_the_plugin_serves_a_project_and_collects_logs_where_it_fails(
    cluster: TestCluster, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, cluster.name)
    pytester.makepyfile(
        """
        import os, pytest

        def rank():
            return os.environ["SLURM_PROCID"]

        @pytest.mark.integration_test
        def test_a_function(slurm_cluster):
            assert slurm_cluster.submit(rank).wait(240).result == "0"

        @pytest.mark.labctl(timeout=15)
        def test_that_hangs(slurm_cluster):
            job = slurm_cluster.submit("sleep 3600")
            print("submitted", job.job_id)
            job.wait(3600)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--run-integration", timeout=600)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the test did not end within 15 s*", "*was not waited for to its end*"])
    logs = {path.stem for path in pytester.path.glob("labctl-logs/*that_hangs/*.log")}
    assert cluster.get_config().controller in logs
    job = next(line for line in result.outlines if line.startswith("submitted ")).split()[1]
    assert (
        cluster.execute(f"squeue --noheader --job {job} --states RUNNING,PENDING", check=False).stdout == ""
    )


@pytest.mark.skipif(VARIABLE in os.environ, reason="the lab is not ours to stop")
def test_a_cluster_can_be_reset_stopped_and_started(cluster: TestCluster, user: User) -> None:
    cluster.execute("touch /root/left", "all")
    cluster.reset()
    assert cluster.execute("ls /root/left", "all", check=False)[cluster.nodes()[0]].exit_code != 0
    cluster.stop()
    cluster.start()
    job = cluster.submit("srun hostname | sort", nodes=len(cluster.nodes("@slurmd"))).wait(PATIENCE)
    assert job.result.split() == sorted(cluster.nodes("@slurmd"))
    assert user.ok("status", "--name", cluster.name, "--json").json()["problems"] == []
