"""What comes with login nodes: a plain srun starts MPI programs, and compute nodes are for whoever has a job there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labctl.definition.models import Definition, Node


def slurm_conf(definition: Definition) -> dict[str, Any]:
    """What slurm.conf says besides."""
    return {"MpiDefault": "pmix"} if definition.services.login else {}


def of_all(definition: Definition) -> dict[str, Any]:
    """The role login's: homes are shared, and so is a key in them that opens the nodes of a user's jobs."""
    return {"login_user_keys": True} if definition.services.login else {}


def of_node(definition: Definition, node: Node) -> dict[str, Any]:
    """A compute node is closed to who has no job there, unless users log in to that very node, or to none."""
    closed = definition.services.login and "slurmd" in node.roles and "login" not in node.roles
    return {"slurmd_pam_adopt": True} if closed else {}


def entrance(roles: tuple[str, ...]) -> int:
    """How far a node with these roles is from being where one logs in: a login node, the controller, any other."""
    return 0 if "login" in roles else 1 if "slurmctld" in roles else 2
