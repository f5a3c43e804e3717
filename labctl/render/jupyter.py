"""What a lab's JupyterHub is told, and where its page is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labctl.definition.models import Definition
from labctl.errors import UsageError
from labctl.render.layout import Layout

_PORT = 8000  # JupyterHub's own
_MEMORY = 512  # MiB; JupyterLab alone takes some 130, and a kernel 60 and more


@dataclass(frozen=True)
class Page:
    """A page that a node serves to itself alone; others come through SSH.

    Attributes:
        node: its name.
        port: on the node's loopback.
    """

    node: str
    port: int


def port(definition: Definition) -> object:
    """Where the hub serves browsers, as the definition's variables have it."""
    return definition.vars.get("jupyterhub_port", _PORT)


def page(layout: Layout) -> Page | None:
    """Where one logs in to notebooks; None in a lab without.

    Raises:
        UsageError: it serves browsers itself, over TLS, or only Ansible knows the port.
    """
    hub = next((one.node.name for one in layout.machines if "jupyterhub" in one.node.roles), None)
    if hub is None:
        return None
    there = str(port(layout.definition))
    if address := layout.definition.vars.get("jupyterhub_tls_address"):
        raise UsageError(
            "there is nothing to bring here",
            why="JupyterHub serves browsers itself, over TLS",
            hint=f"https://{address}:{there}",
        )
    if not there.isdecimal():
        raise UsageError(
            "jupyterhub_port is not known here",
            why=f"it is no number but {there}",
            hint="give it as a number",
        )
    return Page(hub, int(there))


def of_all(layout: Layout) -> dict[str, Any]:
    """The role jupyterhub's: users choose a partition, the default one first, and have room for a kernel."""
    definition = layout.definition
    if not definition.services.jupyter:
        return {}
    default = definition.default_partition()
    names = [partition.name for partition in definition.partitions]
    smallest = min(machine.node.memory for machine in layout.machines if "slurmd" in machine.node.roles)
    return {
        "jupyterhub_partitions": sorted(names, key=lambda name: name != default),
        "jupyterhub_job": {"memory": f"{min(_MEMORY, smallest // 2)}M"},
    }
