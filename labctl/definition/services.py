"""Which node runs what a service consists of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.definition.models import Node, Services

#: The roles of each service. One that no node has goes to the node of the next one, the last one to that of its host.
ROLES: dict[str, tuple[str, ...]] = {
    "accounting": ("mariadb", "slurmdbd"),
    "rest": ("slurmrestd",),
    "registry": ("registry",),
    "login": ("login",),
    "jupyter": ("jupyterhub",),
}
#: The host of a service: the first of these roles that some node has. Of all others it is the controller.
_HOSTS = {"jupyter": ("login",)}
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
            host = next(filter(partial(_first, found), _HOSTS.get(service, ())), "slurmctld")
            for role, beside in reversed([*zip(roles, [*roles[1:], host], strict=True)]):
                found = _given(found, role, beside)
    asked = {"containers": services.containers or services.registry, "pyxis": services.pyxis}
    added = tuple(role for role, on in asked.items() if on)
    return tuple(
        replace(node, roles=(*node.roles, *added)) if added and _WORKPLACES & set(node.roles) else node
        for node in found
    )


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
