"""Slurm itself: controller up, nodes idle, one configuration."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clusterfacts.answers import Sections, records, settings
from clusterfacts.questions import Questions
from clusterfacts.topology import Topology

AT_WORK = ("mixed", "allocated", "completing")


@pytest.mark.needs("slurmctld")
def test_controller_is_up(
    topology: Topology, cluster: Sections, record_testsuite_property: Callable[[str, object], None]
) -> None:
    version = settings(cluster.lines("config")).get("SLURM_VERSION")
    if version:
        record_testsuite_property("slurm_version", version)  # for who reads the results later
    lines = cluster.lines("ping")
    up = lines and all(line.rstrip().endswith("UP") for line in lines)
    assert up, f"{topology.controller}: scontrol ping says: {cluster['ping'] or 'nothing'}"


@pytest.mark.quick
@pytest.mark.needs("slurmctld")
@pytest.mark.nodes("slurmd")
def test_node_is_idle(node: str, cluster: Sections) -> None:
    """Idle; on a cluster that works for others, too: busy with a job of theirs."""
    states = {line.split()[1] for line in cluster.lines("nodes") if line.split()[0] == node}
    assert states, f"{node}: Slurm does not know it; sinfo shows: {cluster['nodes'] or 'nothing'}"
    if cluster["busy"].strip():
        states -= set(AT_WORK)
    why = [line for line in cluster.lines("reasons") if line.split()[0] == node]
    assert states <= {"idle"}, (
        f"{node}: Slurm has it as {', '.join(sorted(states))}, expected idle {'; '.join(why)}"
    )


@pytest.mark.needs("slurmctld")
def test_partition_has_its_nodes(topology: Topology, cluster: Sections, partition: str) -> None:
    expected = next(set(one.nodes) for one in topology.partitions if one.name == partition)
    seen = {line.split()[0] for line in cluster.lines("nodes") if line.split()[-1].rstrip("*") == partition}
    assert seen == expected, (
        f"partition {partition} has the nodes {sorted(seen)}, expected {sorted(expected)}"
    )


@pytest.mark.needs("slurmctld")
def test_one_partition_is_the_default(topology: Topology, cluster: Sections) -> None:
    expected = {one.name for one in topology.partitions if one.default}
    if not expected:
        pytest.skip("the inventory marks no partition as the default")
    seen = {
        entry["PartitionName"]
        for entry in records(cluster.lines("partitions"))
        if entry.get("Default") == "YES"
    }
    assert seen == expected, f"the default partition is {sorted(seen)}, expected {sorted(expected)}"


@pytest.mark.nodes("slurm_common")
@pytest.mark.parametrize("path", ["/etc/slurm/slurm.conf", "/etc/slurm/cgroup.conf"])
def test_configuration_is_the_same_everywhere(
    topology: Topology, questions: Questions, node: str, facts: Sections, path: str
) -> None:
    first = topology.controller or str(topology.first("slurm_common"))
    reference, seen = _checksum(questions.facts(first), path), _checksum(facts, path)
    assert seen, f"{node}: there is no {path}"
    assert seen == reference, f"{node}: {path} differs from that of {first}; try: labctl exec or diff the two"


@pytest.mark.needs("slurmctld", "slurmd")
@pytest.mark.parametrize(
    ("key", "plugin"),
    [
        ("ProctrackType", "proctrack/cgroup"),
        ("TaskPlugin", "task/cgroup"),
        ("SelectType", "select/cons_tres"),
    ],
)
def test_jobs_are_confined_by_configuration(
    topology: Topology, cluster: Sections, key: str, plugin: str
) -> None:
    seen = settings(cluster.lines("config")).get(key, "nothing")
    assert plugin in seen.split(","), f"{topology.controller}: {key} is {seen}, expected {plugin}"


@pytest.mark.needs("slurmctld")
@pytest.mark.nodes("slurmd")
def test_gpus_are_registered(topology: Topology, node: str, cluster: Sections) -> None:
    expected = topology.gpus(node)
    entry = next((entry for entry in records(cluster.lines("node")) if entry.get("NodeName") == node), {})
    gres = entry.get("Gres", "(null)")
    assert Topology.count_gpus(gres) == expected, f"{node}: Slurm has Gres={gres}, expected {expected} GPUs"


def _checksum(facts: Sections, path: str) -> str:
    return next((line.split()[0] for line in facts.lines("checksums") if line.split()[-1] == path), "")
