"""A project gets its labs by the plugin alone: shared by workers, kept between runs, of several presets, reset."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, User

from labctl.testing.lab_cluster import VARIABLE

HOME = os.environ["HOME"]  # pytester has one of its own, where no box is
EXAMPLE = Path(__file__).parents[2] / "examples" / "testing"
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(user: User, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Pytest in the project, in a process of its own."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.delenv("USERPROFILE", raising=False)
    for name, value in user.env.items():
        monkeypatch.setenv(name, value)
    words = ("-p", "no:cacheprovider", "--run-integration", "--labctl-require")
    return lambda *more: pytester.runpytest_subprocess(*words, *more, timeout=DEADLINE)


def labs_of(user: User, project: Path) -> list[dict[str, Any]]:
    labs: list[dict[str, Any]] = user.ok("list", "--json").json()
    return [lab for lab in labs if Path(lab["directory"]).is_relative_to(project)]


def test_workers_share_a_lab_and_the_next_run_finds_it(
    run: Run, user: User, pytester: pytest.Pytester
) -> None:
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    run("-n", "2", "--labctl-keep").assert_outcomes(passed=6)
    (lab,) = labs_of(user, pytester.path)
    assert lab["state"] == "running"
    user.ok("ssh", "--name", lab["name"], "cpu-0", "--", "touch /var/tmp/kept")
    same = "def test_it_is_the_same(slurm_cluster):\n    slurm_cluster.execute('ls /var/tmp/kept')\n"
    (pytester.path / "tests" / "test_kept.py").write_text(same)
    run().assert_outcomes(passed=7)
    assert labs_of(user, pytester.path) == []


def test_a_matrix_of_presets_and_a_lab_that_is_reset(run: Run, user: User, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.labctl_matrix(preset=["cpu", "multi-node"])
        def test_all_nodes_compute(slurm_cluster):
            nodes = slurm_cluster.nodes("@slurmd")
            job = slurm_cluster.submit("srun hostname | sort", nodes=len(nodes)).wait(240)
            assert job.result.split() == sorted(nodes)

        def test_something_is_left_behind(slurm_cluster):
            slurm_cluster.execute("touch /var/tmp/left")

        @pytest.mark.labctl(reset=True)
        def test_and_gone_again(slurm_cluster):
            assert slurm_cluster.execute("ls /var/tmp/left", check=False).exit_code != 0
        """
    )
    result = run("-v")
    result.assert_outcomes(passed=4)
    for preset in ("cpu", "multi-node"):
        result.stdout.fnmatch_lines([f"*::test_all_nodes_compute[[]*{preset}*PASSED*"])
    assert labs_of(user, pytester.path) == []
