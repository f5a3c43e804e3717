"""After all machines are rebooted at once the cluster comes back by itself. Runs with --disruptive only."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest
from clusterfacts.answers import Sections, mounts
from clusterfacts.connection import NodeError
from clusterfacts.questions import Questions
from clusterfacts.topology import Topology

pytestmark = pytest.mark.disruptive
PAUSE = 3  # seconds between two looks at a node that is away


@dataclass(frozen=True)
class Back:
    """The cluster after the reboot: new questions, and how long each node was away."""

    questions: Questions
    seconds: dict[str, float]
    trouble: dict[str, str]


def _boot_id(questions: Questions, node: str) -> str:
    return questions.connections.ask(node, "cat /proc/sys/kernel/random/boot_id", deadline=20).stdout.strip()


def _reboot(questions: Questions, node: str, deadline: float) -> float:
    """Reboot a node and wait until it answers with another boot id; how long that took."""
    started = time.monotonic()
    before = _boot_id(questions, node)
    # In the background and a moment later, so that ssh ends in order.
    questions.connections.ask(node, "(sleep 1; systemctl reboot) >/dev/null 2>&1 </dev/null &", deadline=30)
    questions.connections.forget(node)
    said = "nothing"
    while time.monotonic() - started < deadline:
        time.sleep(PAUSE)
        try:
            if _boot_id(questions, node) not in ("", before):
                _await_boot(questions, node, deadline - (time.monotonic() - started))
                return time.monotonic() - started
            said = "it is still up from before"
        except NodeError as problem:
            said = str(problem)
        questions.connections.forget(node)
    raise NodeError(f"{node} is not back {deadline:.0f} s after the reboot: {said}")


def _await_boot(questions: Questions, node: str, seconds: float) -> None:
    """Wait until systemd has done all it has to do at boot: SSH answers long before that.

    How it went is not asked here; units that failed have a test of their own.
    """
    questions.connections.ask(
        node, "systemctl is-system-running --wait >/dev/null", deadline=max(seconds, 30)
    )


@pytest.fixture(scope="module")
def back(questions: Questions, pytestconfig: pytest.Config) -> Back:
    """All nodes rebooted at once. Nothing is repaired: what does not come back by itself is a failure.

    But for what slurm.conf leaves to an admin: with ReturnToService=0 or 1 a node that was rebooted stays
    down until it is resumed.
    """
    deadline = float(pytestconfig.getoption("--reboot-deadline"))
    nodes = questions.topology.nodes()
    seconds, trouble = {}, {}
    with ThreadPoolExecutor(len(nodes)) as pool:
        running = {node: pool.submit(_reboot, questions, node, deadline) for node in nodes}
        for node, waiting in running.items():
            try:
                seconds[node] = waiting.result()
            except NodeError as problem:
                trouble[node] = str(problem)
    again = Questions(
        questions.topology, questions.connections, deadline=questions.deadline, settle=int(deadline)
    )
    if questions.topology.nodes("slurmctld") and questions.topology.nodes("slurmd"):
        with suppress(NodeError):  # the tests will say so, too
            again.resume()
    return Back(again, seconds, trouble)


def test_node_comes_back(back: Back, node: str) -> None:
    assert node in back.seconds, back.trouble[node]


@pytest.mark.nodes("ldap_client")
def test_users_are_known_again(topology: Topology, back: Back, node: str) -> None:
    seen = back.questions.facts(node).table("passwd", ":")
    missing = [user.name for user in topology.users if user.name not in seen]
    assert not missing, f"{node}: after the reboot the users {missing} are unknown"


@pytest.mark.nodes("nfs_client", but="nfs_server")
def test_mounts_are_there_again(topology: Topology, back: Back, node: str) -> None:
    seen = mounts(back.questions.facts(node)["mounts"])
    for mount in topology.mounts(node):
        kind = seen.get(mount.path, ("", "nothing", frozenset()))[1]
        assert kind == "nfs4", f"{node}: after the reboot {mount.path} is {kind}, expected an NFSv4 mount"


@pytest.mark.nodes("munge")
def test_munge_works_again(topology: Topology, back: Back, node: str) -> None:
    seen = {
        name: reason
        for name, _, reason in (
            line.partition(" ") for line in back.questions.exchange(node).lines("decoded")
        )
    }
    for other in topology.nodes("munge"):
        assert seen.get(other) == "ok", (
            f"{node}: after the reboot the MUNGE credential of {other} is {seen.get(other, 'missing')}"
        )


@pytest.mark.needs("slurmctld")
@pytest.mark.nodes("slurmd")
def test_node_is_idle_again(back: Back, node: str) -> None:
    cluster = back.questions.cluster()
    states = {line.split()[1] for line in cluster.lines("nodes") if line.split()[0] == node}
    why = [line for line in cluster.lines("reasons") if line.split()[0] == node]
    assert states == {"idle"}, (
        f"{node}: after the reboot Slurm has it as {sorted(states)}, expected idle {why}"
    )


@pytest.mark.needs("slurmctld", "slurmd")
def test_jobs_run_again(back: Back) -> None:
    jobs: Sections = back.questions.jobs()
    seen = jobs["file research.out"]
    assert seen == "I love doing research!", (
        f"after the reboot the research job wrote {seen!r}: {jobs['submit research']}"
    )


def test_nothing_has_failed_at_boot(back: Back, node: str) -> None:
    seen = back.questions.facts(node).table("failed")
    assert seen.pop("-", None), f"{node}: systemctl cannot list failed units after the reboot"
    failed = sorted(seen)
    assert not failed, f"{node}: units that failed at boot: {', '.join(failed)}"
