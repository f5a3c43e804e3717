"""What a lab's registry and its clients are told: certificate, authority, and what images are called by."""

from __future__ import annotations

from typing import Any

from labctl.definition.models import Definition
from labctl.render import rest
from labctl.render.layout import Layout, Machine, Secrets

_PORT = 5000  # docker-registry's own


def port(definition: Definition) -> object:
    """Where the registry listens, as the definition's variables have it."""
    return definition.vars.get("registry_port", _PORT)


def host(layout: Layout) -> str:
    """What the names of images begin with on the nodes, such as ``cpu-0:5000``; nothing where there is no registry."""
    return (
        f"{_machine(layout).node.name}:{port(layout.definition)}"
        if layout.definition.services.registry
        else ""
    )


def url(layout: Layout) -> str:
    """Where clients outside of the lab reach the registry; nothing where there is none."""
    return f"https://{_address(layout)}" if layout.definition.services.registry else ""


def files(layout: Layout, secrets: Secrets) -> dict[str, str]:
    """What clients need: the authority's certificate."""
    return {rest.CA: secrets.ca_certificate} if layout.definition.services.registry else {}


def of_all(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """The roles registry's and containers'."""
    if not layout.definition.services.registry:
        return {}
    return {
        "registry_certificate": secrets.certificates[_machine(layout).node.name],
        # A name of an image that is good outside of the lab is good inside as well.
        "containers_registries": [
            {"host": one, "ca": secrets.ca_certificate} for one in (host(layout), _address(layout))
        ],
    }


def hidden(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """What nobody but the lab's owner may read."""
    if not layout.definition.services.registry:
        return {}
    return {"registry_key": secrets.private_keys[_machine(layout).node.name]}


def _address(layout: Layout) -> str:
    return f"{_machine(layout).address}:{port(layout.definition)}"


def _machine(layout: Layout) -> Machine:
    return next(machine for machine in layout.machines if "registry" in machine.node.roles)
