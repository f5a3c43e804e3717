"""pytest's side of the suite: options, one test a node, and a fixture for each thing that can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clusterfacts import inventory
from clusterfacts.account import Account
from clusterfacts.answers import Sections
from clusterfacts.connection import Answer, Connections, transport
from clusterfacts.doors import Doors
from clusterfacts.questions import Questions
from clusterfacts.topology import Topology, User
from testinfra.host import Host

TOPICS = (
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
HEAD_START = 4.0  # seconds
QUESTIONS = pytest.StashKey[Questions]()
BY_NODE = ("facts", "exchange")
OF_CLUSTER = (
    "cluster",
    "jobs",
    "accounting",
    "containers",
    "pyxis",
    "directory",
    "binds",
    "exports",
    "outsider",
    "login",
    "mpi",
    "doors",
    "jupyter",
)  # fixtures, too


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "the cluster to verify")
    group.addoption("--inventory", type=Path, help="Ansible inventory, file or folder, of the cluster")
    group.addoption("--disruptive", action="store_true", help="run the tests that reboot every machine, too")
    group.addoption(
        "--inventory-cache", type=Path, metavar="FILE", help="keep what Ansible says of the inventory there"
    )
    group.addoption(
        "--through",
        metavar="MODULE:FUNCTION",
        help="ask nodes by calling this, and not as the inventory says",
    )
    group.addoption(
        "--jobs-deadline", type=int, default=180, help="seconds that the suite's jobs may take together"
    )
    group.addoption("--settle", type=int, default=60, help="seconds that nodes may take to become idle")
    group.addoption(
        "--reboot-deadline", type=int, default=600, help="seconds that a reboot of all machines may take"
    )


def pytest_configure(config: pytest.Config) -> None:
    path: Path | None = config.getoption("--inventory")
    through: str | None = config.getoption("--through")
    if path is None:
        if config.getoption("--help"):
            return
        raise pytest.UsageError("say which cluster to verify: --inventory PATH")
    try:
        data = inventory.read(path, config.getoption("--inventory-cache"))
    except inventory.InventoryError as problem:
        raise pytest.UsageError(str(problem)) from problem
    config.stash[QUESTIONS] = Questions(
        topology=Topology.parse(data),
        connections=Connections(path, data, transport(through) if through else None),
        deadline=config.getoption("--jobs-deadline"),
        settle=config.getoption("--settle"),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    topology = metafunc.config.stash[QUESTIONS].topology
    if "node" in metafunc.fixturenames:
        mark = next(metafunc.definition.iter_markers("nodes"), None)
        group = mark.args[0] if mark else "all"
        but = mark.kwargs.get("but") if mark else None
        nodes = topology.nodes(group, but=but)
        without = f" that is not in {but}" if but else ""
        metafunc.parametrize("node", nodes or [_nothing(f"the inventory has no node in {group}{without}")])
    if "partition" in metafunc.fixturenames:
        quick = topology.default_partition
        names = [
            pytest.param(one.name, marks=pytest.mark.quick) if one == quick else one.name
            for one in topology.partitions
        ]
        metafunc.parametrize("partition", names or [_nothing("the inventory has no slurm_common_partitions")])


def _nothing(reason: str) -> object:
    return pytest.param("-", marks=pytest.mark.skip(reason=reason))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    topology = config.stash[QUESTIONS].topology
    for item in items:
        for mark in item.iter_markers("needs"):
            for group in mark.args:
                if not topology.nodes(group):
                    item.add_marker(pytest.mark.skip(reason=f"the inventory has no node in {group}"))
        for mark in item.iter_markers("together"):
            count = mark.kwargs.get("count", 2)
            if len(topology.nodes(mark.args[0])) < count:
                item.add_marker(pytest.mark.skip(reason=f"takes {count} nodes in {mark.args[0]}"))
        if item.get_closest_marker("disruptive") and not config.getoption("--disruptive"):
            item.add_marker(pytest.mark.skip(reason="reboots every machine: say --disruptive"))
    items.sort(key=_order)


def _order(item: pytest.Item) -> int:
    """Causes come before what they cause: the first failures are those that are read."""
    topic = item.path.stem.removeprefix("test_")
    return TOPICS.index(topic) if topic in TOPICS else len(TOPICS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Put every question that the selected tests will ask, all at once."""
    questions = session.config.stash[QUESTIONS]
    wanted = [item for item in session.items if not item.get_closest_marker("skip")]
    questions.quick = bool(wanted) and all(item.get_closest_marker("quick") for item in wanted)
    if session.config.option.collectonly:
        return
    if any("jobs" in getattr(item, "fixturenames", ()) for item in wanted):
        questions.begin_jobs(HEAD_START)
    for item in wanted:
        names = set(getattr(item, "fixturenames", ()))
        node = getattr(getattr(item, "callspec", None), "params", {}).get("node")
        for topic in names.intersection(BY_NODE):
            questions.start(topic, node)
        for topic in names.intersection(OF_CLUSTER):
            questions.start(topic)


def pytest_report_header(config: pytest.Config) -> str:
    topology = config.stash[QUESTIONS].topology
    return f"cluster: {config.getoption('--inventory')}: {', '.join(topology.nodes())}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Where the time went: each question, from when to when."""
    times = config.stash[QUESTIONS].survey.times
    if not times:
        return
    terminalreporter.section("questions, in seconds since the start")
    for key, (began, ended) in sorted(times.items(), key=lambda one: one[1]):
        terminalreporter.write_line(f"{began:6.1f} to {ended:5.1f}  {' '.join(map(str, key))}")


@pytest.fixture(scope="session")
def questions(pytestconfig: pytest.Config) -> Iterator[Questions]:
    asked = pytestconfig.stash[QUESTIONS]
    yield asked
    asked.clean()


@pytest.fixture(scope="session")
def topology(questions: Questions) -> Topology:
    return questions.topology


@pytest.fixture
def host(questions: Questions, node: str) -> Host:
    """The testinfra host of the test's node."""
    return questions.connections.host(node)


@pytest.fixture
def user(topology: Topology) -> User:
    """The LDAP user that the suite works as."""
    if topology.user is None:
        pytest.skip("the inventory names no user: set verify_user or ldap_server_users")
    return topology.user


@pytest.fixture
def facts(questions: Questions, node: str) -> Sections:
    return questions.facts(node)


@pytest.fixture
def exchange(questions: Questions, node: str, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.exchange(node)


@pytest.fixture
def cluster(questions: Questions) -> Sections:
    return questions.cluster()


@pytest.fixture
def jobs(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.jobs()


@pytest.fixture
def accounting(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.accounting()


@pytest.fixture
def rest(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.rest()


@pytest.fixture
def containers(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.containers()


@pytest.fixture
def pyxis(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.pyxis()


@pytest.fixture
def mpi(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    return questions.mpi()


@pytest.fixture
def login(questions: Questions, user: User) -> Answer:  # noqa: ARG001 - skips without a user
    if Account.of(questions.topology).key is None:
        pytest.skip("the inventory has no verify_ssh_key")
    if questions.topology.entrance is None:
        pytest.skip("the inventory has no node that users may log in to")
    return questions.login()


@pytest.fixture
def doors(questions: Questions, user: User) -> Doors:  # noqa: ARG001 - skips without a user
    if not questions.topology.closed:
        pytest.skip("the inventory has no compute node with slurmd_pam_adopt")
    if Account.of(questions.topology).key is None:
        pytest.skip("the inventory has no verify_ssh_key")
    return questions.doors()


@pytest.fixture
def jupyter(questions: Questions, user: User) -> Sections:  # noqa: ARG001 - skips without a user
    if not Account.of(questions.topology).password:
        pytest.skip("the inventory has no verify_password")
    return questions.jupyter()


@pytest.fixture
def directory(questions: Questions) -> Sections:
    return questions.directory()


@pytest.fixture
def exports(questions: Questions) -> Sections:
    return questions.exports()


@pytest.fixture
def outsider(questions: Questions) -> Sections:
    return questions.outsider()
