"""What slurm.conf and gres.conf say that is not in the machines themselves."""

from __future__ import annotations

from typing import Any

from labctl.definition.models import Node, Partition
from labctl.definition.slurm_keys import HARDWARE_KEYS, NODE_KEYS, PARTITION_KEYS, canonical
from labctl.render import accounting, login
from labctl.render.groups import partition_group
from labctl.render.layout import Layout


def of_all(layout: Layout) -> dict[str, Any]:
    """What is the same on every node: the cluster's name and its partitions."""
    nodes = layout.definition.machines()
    config: dict[str, Any] = {"ClusterName": layout.lab}
    if any(set(_spelled(node.slurm, NODE_KEYS)) & set(HARDWARE_KEYS) for node in nodes):
        # Else slurmd would refuse to be what its machine is not.
        config["SlurmdParameters"] = "config_overrides"
    config |= accounting.slurm_conf(layout) | login.slurm_conf(layout.definition)
    default = layout.definition.default_partition()
    return {
        "slurm_common_config": config,
        "slurm_common_partitions": [
            {
                "name": partition.name,
                "group": partition_group(partition.name),
                "options": _options(partition, partition.name == default),
            }
            for partition in layout.definition.partitions
        ],
    }


def of_node(node: Node) -> dict[str, Any]:
    """What is one node's own: features, GPUs, and what overrides its hardware."""
    if "slurmd" not in node.roles:
        return {}
    line: dict[str, Any] = {}
    if node.features:
        line["Feature"] = ",".join(node.features)
    variables: dict[str, Any] = {"slurm_common_node": {**line, **_spelled(node.slurm, NODE_KEYS)}}
    if node.gpus:
        variables["slurm_common_fake_gpus"] = node.gpus
        variables["slurm_common_fake_gpu_type"] = node.gpu_type
    if node.gpu_types:
        variables["slurm_common_fake_gpu_types"] = node.gpu_types
    return variables


def _options(partition: Partition, default: bool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if default:
        options["Default"] = "YES"
    if partition.max_time is not None:
        options["MaxTime"] = partition.max_time
    return {**options, **_spelled(partition.options, PARTITION_KEYS)}


def _spelled(keys: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The same keys as slurm.conf(5) spells them, so that one key is not there in two spellings."""
    return {canonical(key, known) or key: value for key, value in keys.items()}
