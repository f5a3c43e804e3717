"""Which nodes of a lab are meant by what a user writes: a hostlist, ``@group`` or ``all``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from labctl import words
from labctl.definition.models import Node
from labctl.errors import UsageError

# A group, or all nodes; neither within a name nor within brackets.
_GROUP = re.compile(r"@[\w.-]*|(?<![\w.\[-])all(?![\w.\[-])")


def select(lab: str, nodes: Sequence[Node], pattern: str) -> tuple[str, ...]:
    """The names of the nodes that are meant, in the order of ``nodes``.

    Args:
        lab: its name, for those who are refused.
        nodes: all of the lab's.
        pattern: words, each a hostlist of names, ``@role``, ``@partition`` or ``all``, with spaces or ; between them;
            ``@slurmd!cpu-0`` leaves one out.

    Raises:
        UsageError: the pattern cannot be read or names what is not there.
    """
    names, groups = [node.name for node in nodes], _groups(nodes)
    chosen = {name for word in pattern.replace(";", " ").split() for name in _meant(lab, names, groups, word)}
    unknown = sorted(chosen - set(names))
    if unknown:
        known = [*names, "all", *(f"@{group}" for group in groups)]
        raise UsageError(
            f"{lab} has no node {', '.join(unknown)}",
            hint=words.hint(unknown[0], known, f"its nodes: {NodeSet.fromlist(names)}"),
        )
    return tuple(name for name in names if name in chosen)


def _groups(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """The nodes of each role and of each partition."""
    groups: dict[str, list[str]] = {}
    for node in nodes:
        for name in dict.fromkeys((*node.roles, *node.partitions)):
            groups.setdefault(name, []).append(node.name)
    return groups


def _meant(lab: str, names: Sequence[str], groups: Mapping[str, Sequence[str]], word: str) -> list[str]:
    """The nodes of a hostlist, in which groups may stand as well, with Slurm's and ClusterShell's operators."""

    def members(found: re.Match[str]) -> str:
        group = found[0].removeprefix("@")
        if group not in groups and group != "all":
            known = [f"@{name}" for name in groups]
            raise UsageError(
                f"{lab} has no group @{group}",
                hint=words.hint(f"@{group}", known, f"its groups: {', '.join(known)}"),
            )
        return str(NodeSet.fromlist(list(names if group == "all" else groups[group])))

    try:
        return list(NodeSet(_GROUP.sub(members, word), resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise UsageError(
            f"{word!r} is no hostlist", why=str(error), hint="cpu-[0-1], @slurmd or all"
        ) from error
