"""What a lab shall be, as `labctl.plan` compares it with what is there."""

from __future__ import annotations

from labctl import files
from labctl.definition.models import Definition
from labctl.plan import Shape
from labctl.steps import box

#: What a node is besides its roles, as a shape has it.
CLIENT = "client"


def shapes(definition: Definition) -> dict[str, Shape]:
    """What each machine of the definition is made with.

    Every node but a bare one is a client of the others, so that one which becomes bare is made anew.
    """
    version = _box_version(definition.box)
    return {
        node.name: Shape(node.cpus, node.memory, version, node.roles if node.bare else (*node.roles, CLIENT))
        for node in definition.machines()
    }


def key(definition: Definition) -> str:
    """Content hash of all that the lab's converge and verify depend on."""
    return files.key_of(definition, _box_version(definition.box))


def _box_version(name: str) -> str:
    return f"{name}-{box.recipe_key(name)}" if box.is_own(name) else name
