"""The fixtures of the plugin. What they need is imported when a test asks for one of them, and not before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from labctl.errors import LabError
    from labctl.render.connection import Connection
    from labctl.testing.lab_cluster import TestCluster
    from labctl.testing.labs import Labs
    from labctl.testing.registry import Registry
    from labctl.testing.wanted import Wanted

#: Those that give a running cluster.
FIXTURES = (
    "slurm_cluster",
    "slurm_cluster_gpu",
    "slurm_cluster_multi",
    "slurm_cluster_full",
    "slurm_registry",
)
RUN = pytest.StashKey[Path]()  # the folder that the processes of a run share
LABS = pytest.StashKey["Labs"]()  # of this process, once a test has asked for one


@pytest.fixture(scope="session")
def slurm_cluster(request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    """A running cluster of one CPU node, or the one that SLURM_TEST_CLUSTER names."""
    yield from _cluster(request)


@pytest.fixture(scope="session")
def slurm_cluster_gpu(request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    """A running cluster of one node with fake GPUs."""
    yield from _cluster(request)


@pytest.fixture(scope="session")
def slurm_cluster_multi(request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    """A running cluster with a controller and two compute nodes."""
    yield from _cluster(request)


@pytest.fixture(scope="session")
def slurm_cluster_full(request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    """A running cluster with a machine for each service, CPU nodes and a GPU node."""
    yield from _cluster(request)


@pytest.fixture(scope="session")
def slurm_registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """The registry of images of a running cluster of one CPU node, whose jobs can run in containers."""
    from labctl.testing.registry import Registry  # noqa: PLC0415

    yield from map(Registry, _cluster(request))


@pytest.fixture(scope="session")
def slurm_cluster_config(request: pytest.FixtureRequest) -> Connection:
    """Connection facts; nothing is started. Of the lab that is here, or else of one that is nowhere."""
    from labctl.errors import UsageError  # noqa: PLC0415
    from labctl.testing import facts  # noqa: PLC0415
    from labctl.testing.lab_cluster import VARIABLE, connection_of  # noqa: PLC0415

    try:
        return connection_of(request.config.rootpath)
    except UsageError as error:
        if VARIABLE in os.environ:
            pytest.fail(str(error), pytrace=False)
        return facts.default_test_config()


def _cluster(request: pytest.FixtureRequest) -> Iterator[TestCluster]:
    fixture = str(request.fixturename)
    lab = wanted(fixture, getattr(request, "param", None))
    yield taken(request.config, lab, fixture)
    labs(request.config).release(lab, fixture)


def taken(config: pytest.Config, lab: Wanted, fixture: str) -> TestCluster:  # noqa: RET503 - `end` does not return
    """The cluster; a skip where no lab can run, and one failure where one does not come up."""
    from labctl.errors import HostError, LabError  # noqa: PLC0415
    from labctl.testing.labs import NotEnoughError, NotUpError  # noqa: PLC0415

    try:
        return labs(config).take(lab, fixture)
    except LabError as error:
        why = error
    if isinstance(why, NotUpError):
        pytest.skip(f"{why.what}, as was said before: {why.why}")
    unfit = isinstance(why, HostError) and not config.getoption("labctl_require")
    end(why, skip=unfit or isinstance(why, NotEnoughError))


def end(why: LabError, *, skip: bool) -> NoReturn:
    """End a test for this reason."""
    if skip:
        pytest.skip(str(why).replace("\n", "; "))
    pytest.fail(str(why), pytrace=False)


def asked(item: pytest.Item) -> dict[str, Wanted]:
    """The labs of the fixtures that a test uses."""
    names = [name for name in FIXTURES if name in getattr(item, "fixturenames", ())]
    params = getattr(getattr(item, "callspec", None), "params", {})
    return {name: wanted(name, params.get(name)) for name in names}


def wanted(fixture: str, variant: Any) -> Wanted:
    """The lab of a fixture, or the variant of it that a matrix asks for."""
    from labctl.testing.wanted import PRESETS, SERVICES, Wanted  # noqa: PLC0415

    return (
        variant
        if isinstance(variant, Wanted)
        else Wanted(PRESETS[fixture], services=SERVICES.get(fixture, ()))
    )


def labs(config: pytest.Config) -> Labs:
    """The labs of this process; made when the first test asks for one."""
    if LABS not in config.stash:
        from labctl.testing.labs import Labs, Settings  # noqa: PLC0415

        config.stash[LABS] = Labs(
            Settings(
                root=config.rootpath,
                run=config.stash[RUN],
                keep=config.getoption("labctl_keep"),
                logs=config.rootpath / config.getoption("labctl_logs"),
                last=not hasattr(config, "workerinput"),
                call=lambda event, cluster: getattr(config.hook, f"pytest_labctl_{event}")(cluster=cluster),
                say=lambda text: say(config, text),
            )
        )
    return config.stash[LABS]


def say(config: pytest.Config, text: str) -> None:
    """Say it on the terminal, which is captured while a test runs."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if terminal and capture and terminal.verbosity >= 0:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(text)
