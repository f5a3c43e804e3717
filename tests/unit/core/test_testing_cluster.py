"""The cluster of a test is a lab: what its calls do to it, and what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_lab import FROM_NOTHING, SMALL
from worlds import World

from labctl.console import silent
from labctl.errors import ConvergeError, LabError, UsageError
from labctl.testing import TestCluster


@pytest.fixture
def cluster(world: World) -> TestCluster:
    path = world.home / "small.yml"
    path.write_text(SMALL)
    return TestCluster("mine", path, directory=world.home, cpu_nodes=1, reporter=silent())


def test_nothing_is_touched_before_it_starts(world: World, cluster: TestCluster) -> None:
    assert not cluster.exists
    assert world.taken() == []
    with pytest.raises(LabError, match="does not run"):
        cluster.submit("true")


def test_start_and_stop_and_destroy_are_the_lab_s(world: World, cluster: TestCluster) -> None:
    events = []
    for event in ("before_start", "after_start", "before_stop", "after_stop"):
        cluster.hook(event)(lambda it, event=event: events.append(f"{event} {it.name}"))
    cluster.start()
    done = world.taken()
    assert done[0] == FROM_NOTHING[0]
    assert "make head cpu-0" in done
    assert cluster.nodes("@slurmd") == ("cpu-0",)
    config = cluster.get_config()
    assert (config.cluster, config.username, config.controller) == ("mine", "ann", "head")
    cluster.stop()
    assert events == ["before_start mine", "after_start mine", "before_stop mine", "after_stop mine"]
    assert cluster.lab.status().state == "stopped"
    cluster.start()
    cluster.destroy()
    assert not (world.home / ".labctl").exists()


def test_create_is_enough_for_the_facts(cluster: TestCluster) -> None:
    cluster.create()
    assert cluster.get_config().partition == "cpu"


def test_a_with_leaves_nothing(world: World, cluster: TestCluster) -> None:
    with cluster as entered:
        assert entered is cluster
        assert cluster.lab.status().state == "running"
    assert not (world.home / ".labctl").exists()


def test_a_with_keeps_a_lab_that_was_there_before_and_one_that_is_to_be_kept(
    world: World, cluster: TestCluster
) -> None:
    cluster.start()
    again = TestCluster(
        "mine", world.home / "small.yml", directory=world.home, cpu_nodes=1, reporter=silent()
    )
    with again:
        pass
    assert cluster.lab.status().state == "running"


@pytest.mark.parametrize("reason", [ConvergeError("a task failed"), KeyboardInterrupt()])
def test_a_with_that_does_not_come_up_leaves_nothing(
    world: World, cluster: TestCluster, reason: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise reason

    monkeypatch.setattr("labctl.work.converge", fails)
    with pytest.raises(type(reason)), cluster:
        pytest.fail("it came up")
    assert not (world.home / ".labctl").exists()


def test_a_running_lab_is_found_by_its_name_in_the_environment_or_by_its_folder(
    world: World, cluster: TestCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SLURM_TEST_CLUSTER", raising=False)
    with pytest.raises(UsageError, match="there is no lab here"):
        TestCluster.from_env(directory=tmp_path)
    cluster.create()
    with pytest.raises(LabError, match="the lab mine is missing"):
        TestCluster.from_env(directory=world.home)
    cluster.start()
    below = world.home / "a" / "b"
    below.mkdir(parents=True)
    assert TestCluster.from_env(directory=below).get_config() == cluster.get_config()
    monkeypatch.setenv("SLURM_TEST_CLUSTER", "other")
    with pytest.raises(UsageError, match="there is no lab 'other'"):
        TestCluster.from_env(directory=world.home)
    monkeypatch.setenv("SLURM_TEST_CLUSTER", "mine")
    with TestCluster.from_env(directory=world.home) as found:
        assert found.name == "mine"
    assert cluster.lab.status().state == "running"


def test_a_lab_without_a_snapshot_cannot_be_reset(cluster: TestCluster) -> None:
    cluster.start()
    with pytest.raises(LabError, match="no snapshot"):
        cluster.reset()
