"""What a mock does beside what every cluster does: it is told how things end, and tells what it was asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.testing import JobError, JobTimeoutError, MockCluster, mock_cluster


@pytest.fixture
def cluster() -> MockCluster:
    return mock_cluster("multi-node", cpu_nodes=3)


def solve(number: int) -> int:
    return number + 1


def test_jobs_are_counted_and_their_scripts_can_be_looked_at(cluster: MockCluster) -> None:
    first, second = cluster.submit("true", nodes=2), cluster.submit(solve, 1)
    assert (first.job_id, second.job_id) == ("mock-1", "mock-2")
    assert "#SBATCH --nodes=2\n" in cluster.backend.jobs["mock-1"].submission.script == first.script


def test_it_is_as_large_as_it_is_asked_to_be(cluster: MockCluster) -> None:
    assert cluster.nodes("@slurmd") == ("compute-0", "compute-1", "compute-2")
    assert mock_cluster("gpu", gpus_per_node=8).get_config().nodes[0].gpus == 8


def test_a_function_that_is_told_what_to_return_is_not_run(cluster: MockCluster) -> None:
    cluster.backend.when(solve, result={"x": 1})
    assert cluster.submit(solve, "no number").result == {"x": 1}
    cluster.backend.when(solve, result=ValueError("told"))
    job = cluster.submit(solve, 1).wait()
    assert job.state == "FAILED"
    with pytest.raises(ValueError, match="told"):
        _ = job.result
    cluster.backend.when(solve, result=7, node="compute-1")
    assert cluster.on("compute-1")(solve)(1).return_value == 7


def test_what_was_said_last_of_it_holds(cluster: MockCluster) -> None:
    cluster.backend.when(stdout="anything\n")
    cluster.backend.when("hostname", stdout="compute-0\n")
    assert cluster.submit("srun hostname").result == "compute-0"
    assert cluster.submit("srun id").result == "anything"
    cluster.backend.when(exit_code=1)
    assert cluster.submit("srun hostname").wait().state == "FAILED"


def test_a_job_goes_through_the_states_that_are_wanted(cluster: MockCluster) -> None:
    cluster.backend.when("true", states=["PENDING", "PENDING", "RUNNING", "OUT_OF_MEMORY"])
    job = cluster.submit("true")
    assert [job.state for _ in range(5)] == [
        "PENDING",
        "PENDING",
        "RUNNING",
        "OUT_OF_MEMORY",
        "OUT_OF_MEMORY",
    ]
    with pytest.raises(JobError, match="mock-1"):
        _ = job.result


def test_a_function_whose_node_dies_gives_nothing(cluster: MockCluster) -> None:
    cluster.backend.when(solve, states=["RUNNING", "NODE_FAIL"])
    with pytest.raises(JobError, match="did not end as it should"):
        _ = cluster.submit(solve, 1).result


def test_waits_take_no_time(cluster: MockCluster) -> None:
    cluster.backend.when("true", states=["PENDING"])
    begun = time.monotonic()
    with pytest.raises(JobTimeoutError, match="within 86400 s"):
        cluster.submit("true").wait(86400)
    assert time.monotonic() - begun < 3600


def test_commands_and_copies_are_noted_and_not_done(cluster: MockCluster, tmp_path: Path) -> None:
    cluster.execute(f"touch {tmp_path}/made", "compute-[0-1]", user="ada")
    assert cluster.backend.commands == [
        ("compute-0", "ada", f"touch {tmp_path}/made"),
        ("compute-1", "ada", f"touch {tmp_path}/made"),
    ]
    cluster.push([Path("a"), "b"], "/srv/", "@slurmctld")
    cluster.pull("/etc/hosts", tmp_path, "compute-0")
    assert cluster.backend.copies == [
        (("a", "b"), "slurmctld-0:/srv/"),
        (("compute-0:/etc/hosts",), str(tmp_path)),
    ]
    assert list(tmp_path.iterdir()) == []


def test_hooks_have_names(cluster: MockCluster) -> None:
    with pytest.raises(UsageError, match="no event 'after_strat'") as caught:
        cluster.hook("after_strat")(print)  # type: ignore[arg-type]
    assert caught.value.hint == "did you mean after_start?"


def test_one_result_is_asked_for_where_there_are_several(cluster: MockCluster) -> None:
    with pytest.raises(UsageError, match="3 results"):
        _ = cluster.execute("true", "@slurmd").stdout
