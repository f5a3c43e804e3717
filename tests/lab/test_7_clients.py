"""Released clients of Slurm's, each as its users run it, on a lab that only got the packages of the extra `clients`.

`make clients` puts the packages into a folder, and LABCTL_TEST_CLIENTS names it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from conftest import DEADLINE, User
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labctl.testing import TestCluster

PACKAGES = Path(os.environ.get("LABCTL_TEST_CLIENTS", "")).absolute()
pytestmark = pytest.mark.skipif(
    "LABCTL_TEST_CLIENTS" not in os.environ,
    reason="some minutes more: make clients, LABCTL_TEST_CLIENTS=build/clients make lab",
)
#: Where Debian's Python looks by itself.
PLACE = "/usr/local/lib/python3.11/dist-packages"
#: Large, and not imported by jobs: what serves the SDK to assistants, and a data base of results for ReFrame.
LEFT_OUT = ("fastmcp", "polars")

SUBMITIT = """
import submitit

executor = submitit.AutoExecutor(folder="logs")
executor.update_parameters(slurm_partition="debug", timeout_min=10)
print("job:", executor.submit(pow, 2, 5).result())
print("array:", [job.result() for job in executor.map_array(pow, [2, 3, 4], [2, 2, 2])])
"""

REFRAME_SETTINGS = """
site_configuration = {
    "systems": [
        {
            "name": "lab",
            "hostnames": [".*"],
            "partitions": [
                {
                    "name": "debug",
                    "scheduler": "squeue",
                    "launcher": "srun",
                    "access": ["--partition=debug"],
                    "environs": ["builtin"],
                }
            ],
        }
    ]
}
"""
REFRAME_CHECK = """
import os
import reframe as rfm
import reframe.utility.sanity as sn


@rfm.simple_test
class JobsKnowTheirNode(rfm.RunOnlyRegressionTest):
    valid_systems = ["lab:debug"]
    valid_prog_environs = ["builtin"]
    executable = "hostname"

    @sanity_function
    def named(self):
        return sn.assert_found(os.uname().nodename.partition(".")[0], self.stdout)
"""

DASK = """
from dask.distributed import Client
from dask_jobqueue import SLURMCluster

if __name__ == "__main__":
    job = {"queue": "debug", "cores": 1, "processes": 1, "memory": "400MB", "walltime": "00:10:00"}
    options = {"scheduler_options": {"dashboard_address": None}, "worker_extra_args": ["--no-dashboard"]}
    with SLURMCluster(n_workers=1, log_directory="logs", **job, **options) as cluster, Client(cluster) as client:
        client.wait_for_workers(1, timeout=600)
        print("sum:", client.submit(sum, [2, 3, 4]).result(timeout=300))
        (worker,) = client.run(lambda: __import__("os").environ["SLURM_JOB_ID"]).values()
        print("job:", worker)
"""

SDK_TASK = """
from slurm import task


@task(time="00:10:00", packaging="none")
def power(base: int, exponent: int) -> int:
    return base**exponent
"""
SDK = """
from sdk_task import power
from slurm import Cluster

with Cluster.from_env("Slurmfile.toml"):
    job = power(2, 5)
    assert job.wait(timeout=600, poll_interval=2)
    print("value:", job.get_result())
"""


@pytest.fixture(scope="module")
def cluster(user: User) -> Iterator[TestCluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in user.env.items():
            patch.setenv(name, value)
        with TestCluster("cpu", "cpu", directory=user.home) as made:
            yield made


@pytest.fixture(scope="module")
def equipped(cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory) -> TestCluster:
    """The lab's node has the packages, and a program `python`."""
    archive = tmp_path_factory.mktemp("packages") / "clients.tar"
    with tarfile.open(archive, "w") as tar:
        for name in sorted(parts("submitit", "reframe-hpc", "slurm-sdk", "dask-jobqueue")):
            tar.add(PACKAGES / name, name, filter=lambda one: None if "__pycache__" in one.name else one)
    cluster.push(archive, "/root/", "cpu-0")
    unpack = f"tar -xf clients.tar -C {PLACE} --no-same-owner && ln -sf python3 /usr/bin/python"
    cluster.execute(f"cd /root && {unpack} && rm clients.tar", "cpu-0", timeout=DEADLINE)
    return cluster


def parts(*packages: str) -> set[str]:
    """The files and folders that these packages, and those that they need, are installed as."""
    known = {canonicalize_name(one.name): one for one in distributions(path=[str(PACKAGES)])}
    todo, found, seen = list(packages), set(), set(LEFT_OUT)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen or name not in known:  # none of this system
            continue
        seen.add(name)
        needed = [Requirement(line) for line in known[name].requires or ()]
        todo += [one.name for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]
        found |= {file.parts[0] for file in known[name].files or () if file.parts[0] not in ("..", "bin")}
    return {name for name in found if (PACKAGES / name).exists()}


def run(cluster: TestCluster, command: str, **programs: str) -> str:
    """What a user's command says, in a folder of its own in their home that has these programs."""
    written = "\n".join(f"cat > {name}.py <<'END'\n{text}\nEND" for name, text in programs.items())
    script = f"set -e; mkdir -p ~/{next(iter(programs))}_; cd ~/{next(iter(programs))}_\n{written}\n{command}"
    done = cluster.execute(script, "cpu-0", user="nucci", timeout=DEADLINE, check=False)["cpu-0"]
    assert done.exit_code == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_submitit_runs_a_function_and_an_array(equipped: TestCluster) -> None:
    said = run(equipped, "python3 power.py", power=SUBMITIT)
    assert "job: 32" in said
    assert "array: [4, 9, 16]" in said


def test_reframe_runs_a_check_through_slurm(equipped: TestCluster) -> None:
    reframe = "python3 -c 'from reframe.frontend.cli import main; main()'"
    said = run(
        equipped, f"{reframe} -C settings.py -c check.py -r", check=REFRAME_CHECK, settings=REFRAME_SETTINGS
    )
    assert "PASSED" in said
    assert "Ran 1/1 test case(s) from 1 check(s)" in said


def test_dask_jobqueue_brings_a_worker_up(equipped: TestCluster) -> None:
    said = run(equipped, "python3 sums.py", sums=DASK)
    assert "sum: 9" in said
    assert re.search(r"job: \d+", said)


def test_the_sdks_ssh_backend_submits_a_task_from_outside(
    equipped: TestCluster, user: User, tmp_path: Path
) -> None:
    (tmp_path / "Slurmfile.toml").write_text(user.ok("config", "cpu", "--format", "slurmfile").out)
    (tmp_path / "program.py").write_text(SDK)
    (tmp_path / "sdk_task.py").write_text(SDK_TASK)
    equipped.push(tmp_path / "sdk_task.py", f"{PLACE}/", "cpu-0")  # functions go by their module's name
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert "value: 32" in done.stdout, done.stdout + done.stderr
