"""What the parts of a definition must agree on.

Each rule looks at all parts, so that all mistakes are found at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from labctl.definition import checks_accounts, checks_nodes, checks_services, checks_slurm
from labctl.definition.parts import Parts
from labctl.definition.problems import Problem

RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    checks_nodes.room,
    checks_accounts.someone,
    checks_accounts.once,
    checks_accounts.own_groups,
    checks_accounts.not_reserved,
    checks_nodes.services,
    checks_nodes.host_names,
    checks_nodes.once,
    checks_nodes.compute_only,
    checks_nodes.bare,
    checks_nodes.gpu_types,
    checks_services.roles,
    checks_slurm.membership,
    checks_slurm.partitions,
    checks_slurm.keys,
)


def problems(parts: Parts) -> tuple[Problem, ...]:
    """Everything that is wrong between the parts."""
    return tuple(problem for rule in RULES for problem in rule(parts))
