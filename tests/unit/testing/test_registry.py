"""A lab's registry as tests use it: on a mock, which notes what would be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.testing import MockCluster, Registry, RemoteError, mock_cluster
from labctl.testing.fixtures import wanted
from labctl.testing.wanted import variants


@pytest.fixture
def cluster() -> MockCluster:
    return mock_cluster(overrides=["services.registry=true"])


def test_it_says_where_it_is(cluster: MockCluster) -> None:
    registry = Registry(cluster)
    assert registry.name == "cpu-0:5000"
    assert registry.url.startswith("https://")
    assert registry.ca is not None
    assert registry.reference("app:1") == "docker://cpu-0:5000/app:1"


def test_an_image_is_pushed_from_the_controller_by_the_user_of_jobs(cluster: MockCluster) -> None:
    assert Registry(cluster).push("oci:my images:app", "app:1") == "docker://cpu-0:5000/app:1"
    expected = "skopeo copy --quiet 'oci:my images:app' docker://cpu-0:5000/app:1"
    assert cluster.backend.commands == [("cpu-0", "nucci", expected)]


def test_a_pull_gives_the_path_of_a_bundle_that_jobs_run_in(cluster: MockCluster) -> None:
    cluster.backend.when("umoci unpack", stdout="/home/nucci/app\n")
    assert Registry(cluster).pull("app:1", "app") == "/home/nucci/app"
    ((_, _, script),) = cluster.backend.commands
    assert "docker://cpu-0:5000/app:1" in script
    cluster.submit("hostname", container="/home/nucci/app")
    assert "#SBATCH --container=/home/nucci/app" in cluster.jobs[0].script


def test_what_the_registry_does_not_have_is_an_error_with_its_words(cluster: MockCluster) -> None:
    cluster.backend.when("none:1", stderr="manifest unknown", exit_code=1)
    with pytest.raises(RemoteError) as refusal:
        Registry(cluster).pull("none:1", "app")
    assert "manifest unknown" in str(refusal.value)


def test_a_cluster_without_one_says_so() -> None:
    with pytest.raises(UsageError) as refusal:
        Registry(mock_cluster()).reference("app:1")
    assert "cpu has no registry" in str(refusal.value)


def test_the_fixtures_lab_has_one_and_is_another_than_that_of_slurm_cluster() -> None:
    ours, other = wanted("slurm_registry", None), wanted("slurm_cluster", None)
    assert ours.arguments() == {"overrides": ("services.registry=true",)}
    assert ours.name(Path("/p")) != other.name(Path("/p"))
    assert other.arguments() == {}


def test_a_matrix_keeps_the_registry_beside_changes_of_its_own() -> None:
    ((_, lab),) = variants("slurm_registry", {"overrides": [["users.0.name=ann"]]})
    assert lab.arguments() == {"overrides": ("users.0.name=ann", "services.registry=true")}
