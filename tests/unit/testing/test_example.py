"""The example project works as it is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "testing"


def test_the_example_runs_without_a_cluster(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_TEST_CLUSTER", raising=False)
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    words = ("-p", "no:labctl", "-p", "labctl.testing.plugin", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess(*words, timeout=300).assert_outcomes(passed=3, skipped=3)
