"""Which jobs can be tried on the nodes as they are: one for a node that is away would only wait for its deadline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .answers import Sections
from .connection import NodeError
from .gpus import GpuJob, gpu_job
from .topology import Partition, Topology

WORKING = ("idle", "mixed", "allocated", "completing")
POWER = "~#!%"  # sinfo(1): powered down, or on its way up or down; a job wakes the node


@dataclass(frozen=True)
class Plan:
    """What is submitted, and what is not.

    Attributes:
        spans: the partitions whose nodes a job step is run on, all at once.
        default: the partition of all other jobs.
        gpu: the GPU job; none where the cluster has no GPU or its node is away.
        untried: the sections that the missing jobs would have given, with the reason in them.
    """

    spans: tuple[Partition, ...]
    default: Partition
    gpu: GpuJob | None
    untried: Mapping[str, str]

    @classmethod
    def of(cls, topology: Topology, cluster: Sections, *, quick: bool) -> Plan:
        """Plan the jobs by what the controller says of the nodes.

        Raises:
            NodeError: there is no node that a job could run on.
        """
        default = topology.default_partition
        if default is None:
            raise NodeError("the inventory has no slurm_common_partitions, so no job can be submitted")
        away = dict(_away(topology, cluster))
        if all(node in away for node in default.nodes):
            raise NodeError(
                f"no job was tried: in the partition {default.name} {_reason(away, default.nodes)}"
            )
        asked = (default,) if quick else topology.partitions
        spans = tuple(one for one in asked if not away.keys() & set(one.nodes))
        untried = {}
        for one in asked:
            if one not in spans:
                untried[f"srun {one.name} code"] = "-"
                untried[f"srun {one.name} err"] = f"not tried, because {_reason(away, one.nodes)}"
        gpu = gpu_job(topology)
        if gpu is not None and gpu.node in away:
            for name in ("gpu", "no-gpu", "too-many-gpus"):
                untried[f"submit {name}"] = f"-\nnot tried, because {_reason(away, [gpu.node])}"
            gpu = None
        return cls(spans, default, gpu, untried)


def _away(topology: Topology, cluster: Sections) -> Iterable[tuple[str, str]]:
    """The compute nodes that run no job now, and their state in Slurm's words."""
    seen = {line.split()[0]: line.split()[1] for line in cluster.lines("nodes") if len(line.split()) > 1}
    for node in topology.nodes("slurmd"):
        state = seen.get(node, "unknown")
        if state.rstrip(POWER) not in WORKING:
            yield node, state


def _reason(away: Mapping[str, str], nodes: Iterable[str]) -> str:
    return ", ".join(f"{node} is {away[node]}" for node in nodes if node in away)
