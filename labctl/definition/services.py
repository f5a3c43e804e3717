"""Which node runs what a service consists of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.definition.models import Node, Services

#: The roles of each service. One that no node has goes to the node of the next one, the last one to the controller's.
ROLES: dict[str, tuple[str, ...]] = {
    "accounting": ("mariadb", "slurmdbd"),
    "rest": ("slurmrestd",),
    "registry": ("registry",),
    "login": ("login",),
}
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
            for role, beside in reversed([*zip(roles, [*roles[1:], "slurmctld"], strict=True)]):
                found = _given(found, role, beside)
    asked = {"containers": services.containers or services.registry, "pyxis": services.pyxis}
    added = tuple(role for role, on in asked.items() if on)
    return tuple(
        replace(node, roles=(*node.roles, *added)) if added and _WORKPLACES & set(node.roles) else node
        for node in found
    )


def _given(nodes: Iterable[Node], role: str, beside: str) -> list[Node]:
    """The role for the node that has the role `beside`, unless it is some node's already."""
    nodes = list(nodes)
    if any(role in node.roles for node in nodes):
        return nodes
    return [replace(node, roles=(*node.roles, role)) if beside in node.roles else node for node in nodes]
