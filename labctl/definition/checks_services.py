"""Rules for services: most roles of one are on a node at most, and all only where the service is on."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.definition import services
from labctl.definition.parts import Parts
from labctl.definition.problems import Problem


def roles(parts: Parts) -> Iterator[Problem]:
    """A node has a service's role only if the service is on, and most roles are one node's at most."""
    if not parts.sure("nodes.roles", "services"):
        return
    names = parts.names()
    for service, of_service in services.ROLES.items():
        for role in of_service:
            having = [(i, name) for i, spec in parts.nodes.items() if role in spec.roles for name in names[i]]
            if having and role not in services.wanted(parts.services):
                words = f"the role {role} is of the service {service}, which is off; say services: {{{service}: true}}"
                yield Problem(("nodes", having[0][0], "roles"), words)
            for index, name in having[1:] if role not in services.MANY else ():
                words = f"{name} is a second {role}; {having[0][1]} is one already, and a lab has one"
                yield Problem(("nodes", index, "roles"), words)
