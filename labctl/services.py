"""The services of a lab's nodes: the systemd units that each has by its roles, how they are, where they answer."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labctl.definition.models import Definition
from labctl.errors import BootError
from labctl.providers.base import Answer
from labctl.render import groups, jupyter, registry, rest, storage
from labctl.render.graph import topology
from labctl.side_by_side import each

#: The unit of each group of the inventory that has one.
UNITS = {
    "ldap_server": "slapd",
    "nfs_server": "nfs-server",
    "mariadb": "mariadb",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmrestd": "slurmrestd",
    "registry": "docker-registry",
    "jupyterhub": "jupyterhub",
    "slurmd": "slurmd",
    "munge": "munge",
    "ldap_client": "sssd",
}
#: What is said of a service whose node does not answer.
UNKNOWN = "unknown"

#: Runs a shell script as root of a node.
Ask = Callable[[str, str], Answer]


@dataclass(frozen=True)
class ServiceStatus:
    """One service on one node.

    Attributes:
        name: of its systemd unit.
        node: where it is.
        state: as ``systemctl is-active`` says it, such as active or failed; unknown if the node does not answer.
        address: where other nodes reach it; empty for what serves its own node alone.
    """

    name: str
    node: str
    state: str
    address: str = ""


def look(
    definition: Definition, nodes: Sequence[str], addresses: Mapping[str, str], ask: Ask
) -> tuple[ServiceStatus, ...]:
    """How the services of these nodes are: one question a node, side by side.

    Args:
        definition: what the lab shall be.
        nodes: those whose machines run.
        addresses: of each node, as far as it is known.
        ask: reaches a node, or raises BootError when it does not answer in time.
    """
    members = groups.members(definition.machines())
    units = {
        node: [unit for group, unit in UNITS.items() if node in members.get(group, ())] for node in nodes
    }
    where = _addresses(definition)

    def states(node: str) -> list[str]:
        try:
            said = ask(node, shlex.join(["systemctl", "is-active", *units[node]])).stdout.split()
        except BootError:
            said = []
        return said if len(said) == len(units[node]) else [UNKNOWN] * len(units[node])

    return tuple(
        ServiceStatus(unit, node, state, where[unit].format(addresses[node]) if node in addresses else "")
        for node, answered in zip(nodes, each(nodes, states), strict=True)
        for unit, state in zip(units[node], answered, strict=True)
    )


def _addresses(definition: Definition) -> Mapping[str, str]:
    """Where each service answers, with a place for the node's address."""
    ports = topology.ports(definition)
    return {
        **dict.fromkeys(UNITS.values(), ""),
        "slapd": "ldap://{}:389",
        "nfs-server": "{}:" + ",".join(storage.paths(definition) or ("/",)),
        "slurmdbd": f"{{}}:{topology.DBD_PORT}",
        "slurmctld": f"{{}}:{ports['SlurmctldPort']}",
        "slurmrestd": f"https://{{}}:{rest.port(definition)}",
        "docker-registry": f"https://{{}}:{registry.port(definition)}",
        "jupyterhub": f"http://127.0.0.1:{jupyter.port(definition)}",
        "slurmd": f"{{}}:{ports['SlurmdPort']}",
    }
