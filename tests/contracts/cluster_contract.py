"""What any cluster of `labctl.testing` does, be it a mock or a lab; each of the two has a test class made from this.

A fixture `cluster` gives it, and a fixture `expect` tells a mock what a real cluster finds out by itself.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import UsageError
from labctl.testing import Cluster, JobError, JobTimeoutError, RemoteError, ShippingError

Expect = Callable[..., None]
PATIENCE = 240.0  # seconds; a job takes some of them under software emulation
FACTOR = 7


@dataclass
class Sample:
    name: str
    values: list[float]

    def mean(self) -> float:
        return sum(self.values) / len(self.values)


class SolverError(Exception):
    """Of the project."""


def scaled(number: int) -> int:
    return number * FACTOR


def solve(sample: Sample, *, shift: float = 0.0) -> dict[str, Any]:
    """Uses a class, a function, a constant and modules of this file."""
    return {"mean": sample.mean() + shift, "scaled": scaled(6), "text": json.dumps({"on": sys.platform})}


def twin(sample: Sample) -> Sample:
    return Sample(sample.name + "'", sample.values)


def fails(word: str) -> None:
    raise SolverError(f"no {word}")


def says() -> str:
    print("to stdout")
    print("to stderr", file=sys.stderr)
    os.system("echo by a child")  # noqa: S605
    return platform.python_version()


def job_id() -> str:
    return os.environ["SLURM_JOB_ID"]


def ends() -> None:
    print("on the way out")
    sys.exit(3)


class ClusterContract:
    # Jobs

    def test_a_script_runs_and_its_output_is_its_result(self, cluster: Cluster, expect: Expect) -> None:
        expect("echo hello", stdout="hello\n")
        job = cluster.submit("echo hello").wait(PATIENCE)
        assert (job.state, job.exit_code, job.result, job.stdout) == ("COMPLETED", 0, "hello", "hello\n")

    def test_a_script_from_a_file_gets_its_arguments(
        self, cluster: Cluster, expect: Expect, tmp_path: Path
    ) -> None:
        (tmp_path / "job.sh").write_text('#!/bin/sh\n#SBATCH --comment=mine\necho "$1, $2" >&2\necho "$0"\n')
        expect("echo", stderr="a b, c\n")
        job = cluster.submit(tmp_path / "job.sh", "a b", "c", job_name="named").wait(PATIENCE)
        assert job.stderr == "a b, c\n"
        assert job.script.splitlines()[:3] == [
            "#!/bin/sh",
            "#SBATCH --comment=mine",
            "#SBATCH --output=stdout",
        ]
        assert "#SBATCH --job-name=named" in job.script

    def test_a_script_that_fails_says_how(self, cluster: Cluster, expect: Expect) -> None:
        expect("exit 3", stderr="it broke\n", exit_code=3)
        job = cluster.submit("echo it broke >&2; exit 3").wait(PATIENCE)
        assert (job.state, job.exit_code) == ("FAILED", 3)
        with pytest.raises(JobError, match="did not end as it should") as caught:
            _ = job.result
        assert "it broke" in caught.value.why

    def test_a_function_returns_its_value(self, cluster: Cluster) -> None:
        job = cluster.submit(functools.partial(solve, shift=1.0), Sample("s", [1.0, 2.0]))
        assert job.wait(PATIENCE).result == {"mean": 2.5, "scaled": 42, "text": '{"on": "linux"}'}
        assert "#SBATCH --job-name=solve" in job.script

    def test_objects_of_the_project_come_back(self, cluster: Cluster) -> None:
        assert cluster.submit(twin, Sample("s", [1.0])).wait(PATIENCE).result == Sample("s'", [1.0])

    def test_a_function_runs_within_its_job(self, cluster: Cluster) -> None:
        job = cluster.submit(job_id).wait(PATIENCE)
        assert job.result == job.job_id

    def test_an_exception_of_a_job_comes_back(self, cluster: Cluster) -> None:
        job = cluster.submit(fails, "convergence").wait(PATIENCE)
        assert job.state == "FAILED"
        with pytest.raises(SolverError, match="no convergence") as caught:
            _ = job.result
        assert 'raise SolverError(f"no {word}")' in caught.value.__notes__[0]

    def test_a_wait_ends_in_time_and_a_job_can_be_cancelled(self, cluster: Cluster, expect: Expect) -> None:
        expect("sleep 3600", states=["RUNNING"])
        job = cluster.submit("sleep 3600")
        with pytest.raises(JobTimeoutError, match="is not over within"):
            job.wait(2)
        assert not job.is_over
        job.cancel()
        assert job.wait(PATIENCE).state == "CANCELLED"
        with pytest.raises(JobError, match="CANCELLED"):
            _ = job.result
        job.cancel()

    def test_what_slurm_refuses_is_said_at_once(self, cluster: Cluster, expect: Expect) -> None:
        expect("true", refused="sbatch: error: invalid partition specified: nope")
        with pytest.raises(JobError, match="could not be submitted") as caught:
            cluster.submit("true", partition="nope")
        assert "invalid partition" in caught.value.why

    def test_what_cannot_go_along_is_refused_before_anything_is_submitted(self, cluster: Cluster) -> None:
        with Path(os.devnull).open() as stream, pytest.raises(ShippingError, match="arguments of solve"):
            cluster.submit(solve, stream)
        with pytest.raises(UsageError, match="job array"):
            cluster.submit("true", array="0-3")

    # Functions on nodes

    def test_a_function_on_nodes_gives_a_result_for_each(self, cluster: Cluster) -> None:
        offset = {"by": 1}

        @cluster.on("@slurmd")
        def add(number: int, *, twice: bool = False) -> int:
            return (number + offset["by"]) * (2 if twice else 1)

        results = add(3, twice=True)
        assert results.return_values == dict.fromkeys(cluster.nodes("@slurmd"), 8)
        assert sorted(one.node for one in add.each(1)) == sorted(cluster.nodes("@slurmd"))

    def test_what_a_function_says_is_heard(self, cluster: Cluster) -> None:
        node = cluster.nodes("@slurmd")[0]
        (result,) = cluster.on(node)(says)().values()
        assert result.stdout == "to stdout\nby a child\n"
        assert result.stderr == "to stderr\n"
        assert result.return_value.startswith("3.")

    def test_an_exception_of_a_node_comes_back_with_its_traceback(self, cluster: Cluster) -> None:
        node = cluster.nodes("@slurmd")[0]
        with pytest.raises(SolverError, match="no luck") as caught:
            cluster.on(node)(fails)("luck")
        (note,) = caught.value.__notes__
        assert note.startswith("on ")
        assert "cluster_contract.py" in note
        result = cluster.on(node, check=False)(fails)("luck")[node]
        assert (result.exit_code, type(result.exception)) == (1, SolverError)

    def test_sys_exit_is_an_exit_code(self, cluster: Cluster) -> None:
        result = cluster.on(cluster.nodes("@slurmd")[0])(ends)()
        assert (result.exit_code, result.stdout, result.return_value) == (3, "on the way out\n", None)

    def test_a_lambda_goes_as_well(self, cluster: Cluster) -> None:
        assert cluster.on(cluster.nodes("@slurmd")[0])(lambda: 6 * FACTOR)().return_value == 42

    # Commands, files and facts

    def test_a_command_is_run_on_nodes(self, cluster: Cluster, expect: Expect) -> None:
        expect("id -un", stdout="root\n")
        results = cluster.execute("id -un", "@slurmd")
        assert {node: one.stdout for node, one in results.items()} == dict.fromkeys(
            cluster.nodes("@slurmd"), "root\n"
        )

    def test_a_command_that_fails_raises_unless_that_is_wanted(
        self, cluster: Cluster, expect: Expect
    ) -> None:
        expect("echo nothing to see", stderr="nothing to see\n", exit_code=4)
        command = "echo nothing to see >&2; exit 4"
        with pytest.raises(RemoteError, match="exit code 4") as caught:
            cluster.execute(command)
        assert caught.value.why == "nothing to see"
        result = cluster.execute(command, check=False)
        assert (result.exit_code, result.stderr) == (4, "nothing to see\n")

    def test_nodes_that_are_not_there_are_refused(self, cluster: Cluster) -> None:
        with pytest.raises(UsageError, match="has no node nope"):
            cluster.execute("true", "nope")

    def test_the_facts_are_those_of_a_client(self, cluster: Cluster) -> None:
        config = cluster.get_config()
        assert config.username == "nucci"
        assert config.controller in {node.name for node in config.nodes}
        assert config.partition in {one.name for one in config.partitions}
        assert cluster.name == config.cluster
