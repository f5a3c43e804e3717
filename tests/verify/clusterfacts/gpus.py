"""The GPUs of a cluster and what the suite's GPU job asks for."""

from __future__ import annotations

from dataclasses import dataclass

from .answers import files
from .topology import Topology


@dataclass(frozen=True)
class GpuJob:
    """Where GPU jobs run and what they ask for.

    Attributes:
        node: the node they run on.
        partition: its partition.
        count: the GPUs of the node.
        most: the GPUs of that node of the partition that has most.
        devices: the device files in the order of the GPUs' numbers; none where the inventory names none.
        fake: whether they are stand-ins.
    """

    node: str
    partition: str
    count: int
    most: int
    devices: tuple[str, ...]
    fake: bool

    @property
    def asked(self) -> int:
        """Half of them, so that there are some that the job must not see."""
        return max(1, self.count // 2)


def gpu_job(topology: Topology) -> GpuJob | None:
    """The GPU job on the first node with GPUs that a partition has."""
    for partition in topology.partitions:
        node = next((node for node in partition.nodes if topology.gpus(node)), None)
        if node is not None:
            return GpuJob(
                node=node,
                partition=partition.name,
                count=topology.gpus(node),
                most=max(topology.gpus(one) for one in partition.nodes),
                devices=devices(topology, node),
                fake=bool(topology.var(node, "slurm_common_fake_gpus", 0)),
            )
    return None


def devices(topology: Topology, node: str) -> tuple[str, ...]:
    """The device files of a node's GPUs, as the inventory gives them to gres.conf."""
    lines = topology.var(node, "slurm_common_gres", [])
    listed = [
        path for line in lines if line.get("Name") == "gpu" for path in files(str(line.get("File", "")))
    ]
    fake = int(topology.var(node, "slurm_common_fake_gpus", 0))
    return tuple(listed) or tuple(f"/dev/fakegpu{number}" for number in range(fake))
