"""A lab as it is right now: the machines as the hypervisor sees them, and the cluster as Slurm sees itself."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from labctl.definition.models import Definition
from labctl.errors import BootError
from labctl.files import LabFiles
from labctl.providers.base import Found, Provider, Saver
from labctl.render.graph import topology
from labctl.render.graph.topology import Topology
from labctl.steps import boot

# What a node's Slurm state must begin with to be of use; anything else is a problem to show.
_HEALTHY = ("idle", "mixed", "allocated", "completing", "reserved", "planned")
# One call for all: sinfo's start is most of its time. A line for each node in each of its partitions.
_ASK = "sinfo --noheader --Node --format='%N|%T|%P|%l|%E'"
_FIELDS = 5
_DEADLINE = 20.0  # seconds for the controller's answer


@dataclass(frozen=True)
class NodeStatus:
    """One node; ``memory`` in MiB, ``slurm`` as sinfo says it, empty where Slurm does not know the node."""

    name: str
    state: str
    address: str
    roles: tuple[str, ...]
    cpus: int
    memory: int
    gpus: int
    slurm: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PartitionStatus:
    """One Slurm partition; ``nodes`` is a hostlist."""

    name: str
    default: bool
    nodes: str
    max_time: str


@dataclass(frozen=True)
class LabStatus:
    """One lab.

    Attributes:
        state: running, stopped, suspended, partial (some nodes run), or missing.
        uptime_seconds: since the youngest machine was started; None if none runs.
        problems: what is wrong, each in one line.
    """

    name: str
    state: str
    directory: str
    uptime_seconds: float | None
    provider: str
    driver: str
    network: str
    nodes: tuple[NodeStatus, ...]
    partitions: tuple[PartitionStatus, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class SlurmView:
    """What the controller says; `error` if it says nothing."""

    nodes: dict[str, tuple[str, str]]
    partitions: tuple[PartitionStatus, ...]
    error: str = ""


def look(
    lab: str,
    definition: Definition | None,
    files: LabFiles,
    provider: Provider,
    machines: Sequence[Found],
    *,
    unknown: str,
) -> LabStatus:
    """Look at a lab.

    Args:
        lab: its name.
        definition: what it shall be; None if nobody knows.
        files: the lab's own.
        provider: who made it.
        machines: those of this lab.
        unknown: why there is no definition, if there is none.
    """
    record = files.record()
    members = _nodes(definition, machines, record.addresses)
    slurm = _slurm(lab, members, files, provider.saver) if definition else None
    if slurm:
        members = _with_slurm(members, slurm)
    network = provider.network(lab)
    return LabStatus(
        name=lab,
        state=overall([node.state for node in members]),
        directory=str(files.directory),
        uptime_seconds=uptime(machines),
        provider=provider.name,
        driver=record.driver,
        network=str(network.subnet) if network else "",
        nodes=tuple(members),
        partitions=slurm.partitions if slurm else (),
        problems=problems(definition, members, slurm) if definition else (unknown,),
    )


def pictured(definition: Definition, now: LabStatus) -> Topology:
    """A lab as a picture shows it.

    Args:
        definition: what it shall be.
        now: what it is.
    """
    machinery = f"{now.provider} ({now.driver})" if now.driver else now.provider
    return topology.topology(
        definition,
        about=f"{now.state}, {machinery}",
        network=now.network,
        states={node.name: topology.state(node.state, node.slurm, node.reason) for node in now.nodes},
        addresses={node.name: node.address for node in now.nodes if node.address},
    )


def overall(states: Sequence[str]) -> str:
    """One word for all machines."""
    if not states or all(state == "missing" for state in states):
        return "missing"
    return states[0] if len(set(states)) == 1 else "partial"


def uptime(machines: Sequence[Found]) -> float | None:
    """Seconds since the youngest running machine was started."""
    starts = [machine.started for machine in machines if machine.started and machine.state == "running"]
    return time.time() - max(starts) if starts else None


def ask_slurm(ssh_config: Path, controller: str) -> SlurmView:
    """Nodes and partitions as the controller sees them, over the lab's shared SSH connection."""
    command = ["ssh", "-F", str(ssh_config), "-o", "BatchMode=yes", controller, _ASK]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_DEADLINE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return SlurmView({}, (), f"{controller} did not answer within {_DEADLINE:.0f} s")
    return parse(done.stdout, error=done.stderr.strip() if done.returncode else "")


def parse(text: str, error: str = "") -> SlurmView:
    """Read the controller's answer: a line for each node in each of its partitions."""
    nodes, partitions = {}, []
    for line in text.splitlines():
        fields = line.split("|", 4)  # what an administrator writes into a reason may have bars
        if len(fields) == _FIELDS:
            name, state, partition, limit, reason = fields
            nodes[name] = (state, "" if reason == "none" else reason)
            partitions.append(PartitionStatus(partition.rstrip("*"), partition.endswith("*"), name, limit))
    return SlurmView(nodes, tuple(_merged(partitions)), error)


def problems(definition: Definition, nodes: Sequence[NodeStatus], slurm: SlurmView | None) -> tuple[str, ...]:
    """What keeps the lab from being as defined."""
    found = [f"{node.name} is {node.state}" for node in nodes if node.state != "running"]
    if slurm is None or found:
        return tuple(found)
    if slurm.error:
        return (f"Slurm does not answer: {slurm.error}",)
    for node in definition.machines():
        if "slurmd" in node.roles:
            state, reason = slurm.nodes.get(node.name, ("unknown", "Slurm does not know it"))
            if not state.startswith(_HEALTHY) or state.endswith("*"):
                found.append(f"{node.name} is {state}" + (f": {reason}" if reason else ""))
    return tuple(found)


def _slurm(lab: str, members: Sequence[NodeStatus], files: LabFiles, saver: Saver | None) -> SlurmView | None:
    """What the controller says; None if it does not run or cannot be reached.

    By its guest agent, which answers at once; where there is none by SSH, whose first connection takes a second.
    """
    controller = next((node for node in members if "slurmctld" in node.roles), None)
    if controller is None or controller.state != "running" or not files.ssh_config.is_file():
        return None
    with suppress(BootError):
        if saver is not None:
            answer = saver.tell(lab, controller.name, _ASK, deadline=_DEADLINE)
            return parse(answer.stdout, error=answer.stderr.strip() if answer.code else "")
    boot.control_directory()
    return ask_slurm(files.ssh_config, controller.name)


def _nodes(
    definition: Definition | None, machines: Sequence[Found], addresses: Mapping[str, str]
) -> list[NodeStatus]:
    """Each node of the definition with the state of its machine; of a lab without one, the machines alone."""
    states = {machine.node: machine.state for machine in machines}
    if definition is None:
        return [NodeStatus(node, state, "", (), 0, 0, 0) for node, state in states.items()]
    return [
        NodeStatus(
            name=node.name,
            state=states.get(node.name, "missing"),
            address=addresses.get(node.name, ""),
            roles=node.roles,
            cpus=node.cpus,
            memory=node.memory,
            gpus=node.gpus,
        )
        for node in definition.machines()
    ]


def _with_slurm(nodes: Sequence[NodeStatus], slurm: SlurmView) -> list[NodeStatus]:
    """The same nodes with what Slurm says of each."""
    said = {node.name: slurm.nodes.get(node.name, ("", "")) for node in nodes}
    return [replace(node, slurm=said[node.name][0], reason=said[node.name][1]) for node in nodes]


def _merged(partitions: Sequence[PartitionStatus]) -> list[PartitionStatus]:
    """Sinfo has a line for each node of a partition; one a partition is enough here."""
    from ClusterShell.NodeSet import NodeSet  # noqa: PLC0415 - a slow import

    merged: dict[str, PartitionStatus] = {}
    for part in partitions:
        known = merged.get(part.name)
        nodes = str(NodeSet(known.nodes) | NodeSet(part.nodes)) if known else str(NodeSet(part.nodes))
        merged[part.name] = PartitionStatus(part.name, part.default, nodes, part.max_time)
    return list(merged.values())
