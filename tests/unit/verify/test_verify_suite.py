"""The suite as a whole: collected for any inventory, skipping with a reason, failing with a message."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import clusterfacts
import pytest

SUITE = Path(clusterfacts.__file__).parents[1]
WHOLE = """
all:
  vars: {ansible_connection: local, verify_user: nucci}
  hosts: {ldap-0: {}, nfs-0: {}, slurmctld-0: {}, cpu-0: {}, cpu-1: {}}
  children:
    ldap_server: {hosts: {ldap-0: {}}}
    ldap_client: {hosts: {ldap-0: {}, nfs-0: {}, slurmctld-0: {}, cpu-0: {}, cpu-1: {}}}
    nfs_server: {hosts: {nfs-0: {}}}
    nfs_client: {hosts: {ldap-0: {}, slurmctld-0: {}, cpu-0: {}, cpu-1: {}}}
    munge: {children: {slurm_common: {}}}
    slurm_common: {children: {slurmctld: {}, slurmd: {}}}
    slurmctld:
      hosts: {slurmctld-0: {}}
      vars: {slurm_common_partitions: [{name: cpu, options: {Default: "YES"}}, {name: other}]}
    slurmd: {hosts: {cpu-0: {}, cpu-1: {}}}
"""
BARE = "all: {hosts: {one: {ansible_connection: local}}}\n"


def pytest_of(tmp_path: Path, inventory: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite in a process of its own."""
    path = tmp_path / "hosts.yml"
    path.write_text(inventory)
    command = [sys.executable, "-m", "pytest", str(SUITE), "--inventory", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def collected(tmp_path: Path, inventory: str, *options: str) -> list[str]:
    out = pytest_of(tmp_path, inventory, "--collect-only", "-q", *options).stdout
    return [line for line in out.splitlines() if "::" in line]


def test_there_is_a_test_for_each_node_of_the_group(tmp_path: Path) -> None:
    names = collected(tmp_path, WHOLE)
    assert [name for name in names if "test_node_answers" in name] == [
        f"test_nodes.py::test_node_answers[{node}]"
        for node in ("ldap-0", "nfs-0", "slurmctld-0", "cpu-0", "cpu-1")
    ]
    assert [name for name in names if "test_exports_are_nfs4_mounts[nfs-0]" in name] == []


def test_quick_is_a_small_part(tmp_path: Path) -> None:
    names = collected(tmp_path, WHOLE, "-m", "quick")
    kinds = {name.partition("::")[2].partition("[")[0] for name in names}
    assert kinds == {
        "test_node_answers",
        "test_clock_is_right",
        "test_every_user_resolves",
        "test_node_is_idle",
        "test_partition_has_its_nodes",
        "test_srun_over_all_nodes",
    }
    assert [name for name in names if "srun" in name] == ["test_jobs.py::test_srun_over_all_nodes[cpu]"]


def test_nodes_are_rebooted_on_demand_only_and_last(tmp_path: Path) -> None:
    names = collected(tmp_path, WHOLE)
    disruptive = [name for name in names if name.startswith("test_reboot.py")]
    assert names[-len(disruptive) :] == disruptive != []
    skipped = pytest_of(tmp_path, WHOLE, "-m", "disruptive")
    assert skipped.returncode == 0
    assert f"{len(disruptive)} skipped" in skipped.stdout
    assert "say --disruptive" in skipped.stdout


def test_what_the_inventory_lacks_is_skipped_with_the_reason(tmp_path: Path) -> None:
    out = pytest_of(tmp_path, BARE, "-k", "not test_nodes").stdout
    for group in ("ldap_server", "nfs_server", "slurmctld", "munge", "slurmd"):
        assert f"the inventory has no node in {group}" in out
    assert "passed" not in out
    assert "failed" not in out


def test_no_inventory_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(SUITE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "--inventory PATH" in done.stderr


def test_a_broken_inventory_is_said(tmp_path: Path) -> None:
    done = pytest_of(tmp_path, "all: {hosts: [\n")
    assert done.returncode == 4
    assert "cannot read" in done.stderr


def test_every_assertion_has_a_message() -> None:
    """A failure is read by an admin who does not know the code."""
    for path in sorted(SUITE.glob("test_*.py")):
        silent = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Assert) and not node.msg
        ]
        assert not silent, f"{path.name}: lines {silent}"


def test_the_suite_does_not_know_labctl() -> None:
    for path in SUITE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] == "labctl"], path


@pytest.mark.parametrize(
    "name", ["--inventory", "--disruptive", "--jobs-deadline", "--settle", "--reboot-deadline"]
)
def test_options_are_explained(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(SUITE), "--help"], capture_output=True, text=True, check=True
    )
    assert name in done.stdout


def test_causes_come_before_what_they_cause(tmp_path: Path) -> None:
    files = [name.partition("::")[0] for name in collected(tmp_path, WHOLE)]
    assert list(dict.fromkeys(files)) == [
        f"test_{topic}.py"
        for topic in (
            "nodes",
            "ldap",
            "nfs",
            "munge",
            "slurm",
            "jobs",
            "gpus",
            "accounting",
            "rest",
            "containers",
            "pyxis",
            "mpi",
            "login",
            "jupyter",
            "reboot",
        )
    ]
