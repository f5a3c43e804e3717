"""The cluster as Slurm sees itself: what sinfo says, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# One call for all: sinfo's start is most of its time. A line for each node in each of its partitions.
ASK = "sinfo --noheader --Node --format='%N|%T|%P|%l|%E'"
_FIELDS = 5
# What a node's Slurm state must begin with to be of use; anything else is a problem to show.
_HEALTHY = ("idle", "mixed", "allocated", "completing", "reserved", "planned")


@dataclass(frozen=True)
class PartitionStatus:
    """One Slurm partition; ``nodes`` is a hostlist."""

    name: str
    default: bool
    nodes: str
    max_time: str


@dataclass(frozen=True)
class SlurmView:
    """What the controller says; `error` if it says nothing."""

    nodes: dict[str, tuple[str, str]]
    partitions: tuple[PartitionStatus, ...]
    error: str = ""


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


def healthy(state: str) -> bool:
    """Whether Slurm uses a node of this state, which ends with a star if the node does not respond."""
    return state.startswith(_HEALTHY) and not state.endswith("*")


def _merged(partitions: Sequence[PartitionStatus]) -> list[PartitionStatus]:
    """Sinfo has a line for each node of a partition; one a partition is enough here."""
    from ClusterShell.NodeSet import NodeSet  # noqa: PLC0415 - a slow import

    merged: dict[str, PartitionStatus] = {}
    for part in partitions:
        known = merged.get(part.name)
        nodes = str(NodeSet(known.nodes) | NodeSet(part.nodes)) if known else str(NodeSet(part.nodes))
        merged[part.name] = PartitionStatus(part.name, part.default, nodes, part.max_time)
    return list(merged.values())
