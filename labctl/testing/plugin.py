"""The pytest plugin: clusters as fixtures. What it needs is imported when a test asks for a cluster, and not before."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl.testing import hookspecs
from labctl.testing.fixtures import (
    FIXTURES,
    LABS,
    RUN,
    asked,
    end,
    labs,
    say,
    slurm_cluster,
    slurm_cluster_config,
    slurm_cluster_full,
    slurm_cluster_gpu,
    slurm_cluster_multi,
    slurm_registry,
    taken,
)

if TYPE_CHECKING:
    from labctl.errors import LabError
    from labctl.testing.job import Job
    from labctl.testing.wanted import Wanted

# Where pytest looks for fixtures.
__all__ = [
    "slurm_cluster",
    "slurm_cluster_config",
    "slurm_cluster_full",
    "slurm_cluster_gpu",
    "slurm_cluster_multi",
    "slurm_registry",
]
_INTEGRATION = "--run-integration"
_TIMEOUT = "900"  # seconds
_MARKERS = (
    "labctl(reset=False, timeout=SECONDS): reset the lab first, once for what is marked; another deadline for a test",
    "labctl_matrix(preset=[...], box=[...], ...): run the test with each of these labs",
    f"integration_test: a test that is run with {_INTEGRATION} only",
)
_OURS = pytest.StashKey[bool]()  # --run-integration is ours, and not the project's
_SAID = pytest.StashKey[list[tuple[str, str]]]()  # of a test that failed: headlines and text
_RESET = pytest.StashKey[bool]()  # of a node: its lab was reset


# Options and markers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the options; all but one that projects often have themselves."""
    group = parser.getgroup("labctl", "clusters by labctl")
    group.addoption("--labctl-keep", action="store_true", help="leave labs running when the tests have ended")
    group.addoption("--labctl-require", action="store_true", help="fail instead of skip where no lab can run")
    group.addoption(
        "--labctl-logs",
        metavar="DIR",
        default="labctl-logs",
        help="where logs of failed tests go: %(default)s",
    )
    parser.addini("labctl_timeout", "seconds for a test that uses a cluster; 0 is for ever", default=_TIMEOUT)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser
) -> Generator[None, Any, Any]:
    """Have --run-integration, unless the project's conftest has one of its own."""
    result = yield
    early_config.stash[_OURS] = not _knows(parser, _INTEGRATION)
    if early_config.stash[_OURS]:
        parser.getgroup("labctl").addoption(
            _INTEGRATION, action="store_true", help="run tests that are marked integration_test"
        )
    return result


def _knows(parser: pytest.Parser, option: str) -> bool:
    try:
        _, unknown = parser.parse_known_and_unknown_args([option])
    except pytest.UsageError:  # it wants a value, so it is there
        return True
    return option not in unknown


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Tell pytest of the hooks that a project may have."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the markers."""
    own = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    if "integration_test" in own:
        config.stash[_OURS] = False
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    told = getattr(config, "workerinput", {}).get("labctl_run")
    name = f"labctl-{os.getuid()}-{uuid.uuid4().hex[:12]}"
    config.stash[RUN] = Path(told) if told else Path(tempfile.gettempdir()) / name


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist where the run's folder is."""
    node.workerinput["labctl_run"] = str(node.config.stash[RUN])


# Which tests


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each lab of its matrix."""
    marks = list(metafunc.definition.iter_markers("labctl_matrix"))
    if not marks:
        return
    from labctl.testing.wanted import variants  # noqa: PLC0415

    fixture = next((name for name in FIXTURES if name in metafunc.fixturenames), None)
    axes = {key: values for mark in reversed(marks) for key, values in mark.kwargs.items()}
    if fixture is None:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid} has a matrix and uses none of {', '.join(FIXTURES)}"
        )
    try:
        found = dict(variants(fixture, axes))
    except ValueError as error:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from error
    metafunc.parametrize(fixture, found.values(), ids=found.keys(), indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip integration tests that were not asked for. Where the project has such an option, that is up to it."""
    if config.getoption("run_integration", default=False):
        return
    for item in items:
        if item.get_closest_marker("integration_test") and (config.stash[_OURS] or asked(item)):
            item.add_marker(pytest.mark.skip(reason=f"an integration test: {_INTEGRATION} runs it"))


# Around each test that uses a cluster


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what would meet a lab that did not come up, and reset what is to be reset."""
    wanted = asked(item)
    for lab in wanted.values() if LABS in item.config.stash else ():
        if why := labs(item.config).failed(lab):
            pytest.skip(f"the lab of {lab} did not come up, as was said before: {why}")
    for node, mark in item.iter_markers_with_node("labctl") if wanted else ():
        if mark.kwargs.get("reset") and not node.stash.get(_RESET, False):
            node.stash[_RESET] = True
            _reset(item.config, wanted)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Within its deadline, with the project's hooks around it; and no job of it goes on after it."""
    config = item.config
    if not asked(item) or LABS not in config.stash:
        return (yield)
    from labctl.testing import around  # noqa: PLC0415

    ours = labs(config)
    used = {lab: ours.taken[lab].cluster for lab in asked(item).values() if lab in ours.taken}
    folder = config.rootpath / config.getoption("labctl_logs") / around.folder_name(item.nodeid)
    jobs: list[Job] = []
    with ExitStack() as stack:
        for lab in used:
            stack.enter_context(ours.at_work(lab))
        said = item.stash.setdefault(_SAID, [])
        stack.enter_context(around.failures([*used.values()], jobs, folder, said))
        stack.enter_context(around.jobs_end([*used.values()], jobs))
        stack.enter_context(around.deadline(_deadline(item)))
        for cluster in used.values():
            stack.callback(config.hook.pytest_labctl_after_test, cluster=cluster, item=item)
            stack.callback(cluster.hooks.call, "after_test", cluster)
            config.hook.pytest_labctl_before_test(cluster=cluster, item=item)
            cluster.hooks.call("before_test", cluster)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what is known of a failure into the report."""
    report = yield
    if report.when == "call":
        said = item.stash.get(_SAID, None)
        report.sections.extend(said or ())
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the labs of the run. xdist has ended its workers by now."""
    config = session.config
    if LABS not in config.stash and (hasattr(config, "workerinput") or not config.stash[RUN].exists()):
        return
    from labctl.errors import LabError  # noqa: PLC0415

    try:
        labs(config).finish()
    except LabError as error:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        say(config, f"labctl: a lab is left: {error}")


def _reset(config: pytest.Config, wanted: dict[str, Wanted]) -> None:
    from labctl.errors import LabError, UsageError  # noqa: PLC0415

    for fixture, lab in wanted.items():
        taken(config, lab, fixture)
        why: LabError | None = None
        try:
            labs(config).reset(lab)
        except LabError as error:
            why = error
        if why:
            end(why, skip=isinstance(why, UsageError))


def _deadline(item: pytest.Item) -> float:
    own = next(
        (mark.kwargs["timeout"] for mark in item.iter_markers("labctl") if "timeout" in mark.kwargs), None
    )
    return float(item.config.getini("labctl_timeout") if own is None else own)
