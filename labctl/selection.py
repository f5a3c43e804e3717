"""Which nodes of a lab are meant by what a user writes: a hostlist, ``@group`` or ``all``."""

from __future__ import annotations

from collections.abc import Sequence

from ClusterShell.NodeSet import NodeSet, NodeSetException

from labctl import words
from labctl.definition.models import Node
from labctl.errors import UsageError


def select(lab: str, nodes: Sequence[Node], pattern: str) -> tuple[str, ...]:
    """The names of the nodes that are meant, in the order of ``nodes``.

    Args:
        lab: its name, for those who are refused.
        nodes: all of the lab's.
        pattern: words, each a hostlist, ``@role``, ``@partition`` or ``all``, with spaces or ; between them.

    Raises:
        UsageError: the pattern cannot be read or names what is not there.
    """
    names = [node.name for node in nodes]
    chosen = {name for word in pattern.replace(";", " ").split() for name in _meant(lab, nodes, word)}
    unknown = sorted(chosen - set(names))
    if unknown:
        raise UsageError(
            f"{lab} has no node {', '.join(unknown)}",
            hint=words.hint(unknown[0], names, f"its nodes: {NodeSet.fromlist(names)}"),
        )
    return tuple(name for name in names if name in chosen)


def _meant(lab: str, nodes: Sequence[Node], word: str) -> list[str]:
    if word in ("all", "@all"):
        return [node.name for node in nodes]
    return _members(lab, nodes, word[1:]) if word.startswith("@") else _expand(word)


def _members(lab: str, nodes: Sequence[Node], group: str) -> list[str]:
    groups: dict[str, list[str]] = {}
    for node in nodes:
        for name in (*node.roles, *node.partitions):
            groups.setdefault(name, []).append(node.name)
    if group not in groups:
        known = [f"@{name}" for name in groups]
        raise UsageError(
            f"{lab} has no group @{group}",
            hint=words.hint(f"@{group}", known, f"its groups: {', '.join(known)}"),
        )
    return groups[group]


def _expand(word: str) -> list[str]:
    try:
        return list(NodeSet(word))
    except NodeSetException as error:
        raise UsageError(
            f"{word!r} is no hostlist", why=str(error), hint="cpu-[0-1], @slurmd or all"
        ) from error
