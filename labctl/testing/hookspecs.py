"""Hooks that a project's conftest.py may have, each with the cluster; `labctl.testing.hooks` has those without pytest.

A lab that ``SLURM_TEST_CLUSTER`` names is not started or stopped by pytest, so it has the last two alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from labctl.testing.cluster import Cluster


def pytest_labctl_before_start(cluster: Cluster) -> None:
    """A lab is about to be started."""


def pytest_labctl_after_start(cluster: Cluster) -> None:
    """A lab has come up, or was reset: the place to install what tests need."""


def pytest_labctl_before_stop(cluster: Cluster) -> None:
    """A lab is about to be removed: the last chance to fetch something."""


def pytest_labctl_after_stop(cluster: Cluster) -> None:
    """A lab was stopped or removed."""


def pytest_labctl_before_test(cluster: Cluster, item: pytest.Item) -> None:
    """A test that uses the cluster begins."""


def pytest_labctl_after_test(cluster: Cluster, item: pytest.Item) -> None:
    """It has ended, well or badly; its jobs have not been cancelled yet."""
