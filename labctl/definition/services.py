"""Which node runs what a service consists of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.definition.models import Node, Services

#: The roles of each service. One that no node has goes to the node of the next one, the last one to a node of its HOSTS.
ROLES: dict[str, tuple[str, ...]] = {
    "accounting": ("mariadb", "slurmdbd"),
    "rest": ("slurmrestd",),
    "registry": ("registry",),
    "login": ("login",),
    "jupyter": ("jupyterhub",),
}
#: The roles beside which the last role of a service goes, the best first, where that is not the controller's.
_HOSTS = {"jupyter": ("login", "slurmctld")}
#: Roles that any number of nodes may have.
MANY = frozenset({"login"})
#: Where jobs run, and where people prepare them: what containers take has to be there.
_WORKPLACES = {"slurmctld", "slurmd", "login"}


def wanted(services: Services | None) -> tuple[str, ...]:
    """The roles of the services that are on; of None, which stands for nothing sound, none."""
    return tuple(
        role for service, roles in ROLES.items() if getattr(services, service, False) for role in roles
    )


def homes(nodes: Sequence[Node], services: Services) -> tuple[Node, ...]:
    """The nodes with the roles of the services that are on: each role is some node's."""
    found = list(nodes)
    for service, roles in ROLES.items():
        if getattr(services, service):
            host = next(role for role in _HOSTS.get(service, ("slurmctld",)) if _first(found, role))
            for role, beside in reversed([*zip(roles, [*roles[1:], host], strict=True)]):
                found = _given(found, role, beside)
    if services.containers or services.registry:
        found = [
            replace(node, roles=(*node.roles, "containers")) if _WORKPLACES & set(node.roles) else node
            for node in found
        ]
    return tuple(found)


def _given(nodes: Iterable[Node], role: str, beside: str) -> list[Node]:
    """The role for the first node that has the role `beside`, unless it is some node's already."""
    nodes = list(nodes)
    home = _first(nodes, role) or _first(nodes, beside)
    return [
        replace(node, roles=tuple(dict.fromkeys([*node.roles, role]))) if node is home else node
        for node in nodes
    ]


def _first(nodes: Iterable[Node], role: str) -> Node | None:
    return next((node for node in nodes if role in node.roles), None)
