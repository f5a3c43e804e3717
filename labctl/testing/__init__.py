"""Clusters for tests: `TestCluster` is a real one, `mock_cluster()` is none, and both take the same jobs and functions.

Nothing is imported before it is used: pytest loads this package in every project where labctl is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labctl.testing.cluster import Cluster
    from labctl.testing.errors import JobError, JobTimeoutError, RemoteError, ShippingError
    from labctl.testing.facts import create_slurmfile, default_test_config, gpu_test_config
    from labctl.testing.job import Job
    from labctl.testing.lab_cluster import TestCluster
    from labctl.testing.mock import MockBackend, MockCluster, mock_cluster
    from labctl.testing.registry import Registry
    from labctl.testing.results import Result, Results

_WHERE = {
    "Cluster": "cluster",
    "Job": "job",
    "JobError": "errors",
    "JobTimeoutError": "errors",
    "MockBackend": "mock",
    "MockCluster": "mock",
    "Registry": "registry",
    "RemoteError": "errors",
    "Result": "results",
    "Results": "results",
    "ShippingError": "errors",
    "TestCluster": "lab_cluster",
    "create_slurmfile": "facts",
    "default_test_config": "facts",
    "gpu_test_config": "facts",
    "mock_cluster": "mock",
}

__all__ = [
    "Cluster",
    "Job",
    "JobError",
    "JobTimeoutError",
    "MockBackend",
    "MockCluster",
    "Registry",
    "RemoteError",
    "Result",
    "Results",
    "ShippingError",
    "TestCluster",
    "create_slurmfile",
    "default_test_config",
    "gpu_test_config",
    "mock_cluster",
]


def __getattr__(name: str) -> Any:
    """What users import, from the module where it is."""
    if name not in _WHERE:
        raise AttributeError(f"labctl.testing has no {name}")
    return getattr(importlib.import_module(f"labctl.testing.{_WHERE[name]}"), name)
