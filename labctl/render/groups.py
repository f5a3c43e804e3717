"""Inventory groups: one for each role, one for each partition."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.definition.models import Node

SERVERS = ("ldap_server", "nfs_server", "slurmctld", "slurmd")
#: Of services: a lab without them has no such groups.
SERVICES = (
    "mariadb",
    "slurmdbd",
    "slurmrestd",
    "containers",
    "pyxis",
    "registry",
    "login",
    "mpi",
    "jupyterlab",
    "jupyterhub",
)
ROLES = (
    "common",
    "ldap_server",
    "ldap_client",
    "nfs_server",
    "nfs_client",
    "munge",
    "mariadb",
    "mpi",
    "slurm_common",
    "slurmdbd",
    "slurmctld",
    "containers",
    "pyxis",
    "slurmd",
    "slurmrestd",
    "registry",
    "login",
    "jupyterlab",
    "jupyterhub",
)

_SLURM = {"slurmctld", "slurmd", "slurmdbd", "slurmrestd", "login", "jupyterhub"}


def members(nodes: Iterable[Node]) -> dict[str, list[str]]:
    """The nodes of each group, also of those that have none, but for groups of services that the lab does not have."""
    nodes = [node for node in nodes if not node.bare]
    serving = [*SERVERS, *(role for role in SERVICES if any(role in node.roles for node in nodes))]
    found = {role: [node.name for node in nodes if role in node.roles] for role in serving}
    slurm = [node.name for node in nodes if _SLURM & set(node.roles)]
    found["ldap_client"] = [node.name for node in nodes]
    found["nfs_client"] = [node.name for node in nodes if "nfs_server" not in node.roles]
    found["munge"] = slurm
    found["slurm_common"] = slurm
    if "login" in found:
        found["mpi"] = [node.name for node in nodes if {"login", "slurmd"} & set(node.roles)]
    if "jupyterhub" in found:
        found["jupyterlab"] = [node.name for node in nodes if {"jupyterhub", "slurmd"} & set(node.roles)]
    ordered = {role: found[role] for role in ROLES if role in found}
    for name in dict.fromkeys(partition for node in nodes for partition in node.partitions):
        ordered[partition_group(name)] = [node.name for node in nodes if name in node.partitions]
    return ordered


def partition_group(partition: str) -> str:
    """The group of a partition's nodes; Ansible's group names have no hyphens."""
    return f"partition_{partition.replace('-', '_')}"
