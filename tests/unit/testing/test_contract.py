"""The mock does what a lab does; tests/lab holds a lab to the same."""

from __future__ import annotations

import pytest
from cluster_contract import ClusterContract, Expect

from labctl.testing import MockCluster, mock_cluster


@pytest.fixture
def cluster() -> MockCluster:
    return mock_cluster("multi-node")


@pytest.fixture
def expect(cluster: MockCluster) -> Expect:
    return cluster.backend.when


class TestMock(ClusterContract):
    pass
