"""How many nodes compute, and how large they are: what `--cpu-nodes`, its like and `scale` change in a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from labctl.definition import counts
from labctl.definition.overrides import listed, names
from labctl.definition.source import Map, SourceError
from labctl.words import instead


@dataclass(frozen=True)
class Sizes:
    """What shall be other than the definition says; None leaves it as it is. Memory in MiB.

    Attributes:
        groups: how many nodes each of these groups shall have; for what a group is see `groups_of`.
    """

    cpu_nodes: int | None = None
    gpu_nodes: int | None = None
    cpus_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_per_node: int | None = None
    groups: Mapping[str, int] = field(default_factory=dict)


def apply(tree: Map, sizes: Sizes) -> list[SourceError]:
    """Change `tree` in place; what cannot be done is given back."""
    wanted = [
        partial(change, tree, value, f"--{name.replace('_', '-')} {value}")
        for name, change in _CHANGES.items()
        if (value := getattr(sizes, name)) is not None
    ]
    wanted += [partial(_count_group, tree, group, count) for group, count in sizes.groups.items()]
    mistakes = []
    for change in wanted:
        try:
            change()
        except SourceError as error:
            mistakes.append(error)
    return mistakes


def groups_of(tree: Map) -> dict[str, list[Map]]:
    """Where the definition has the nodes of each group that can be counted.

    A group is what nodes that compute have in common: their name without its number, the role slurmd, a partition, or
    else ``cpu`` and ``gpu``, without GPUs and with them. Nodes with GPUs come first: the last ones come and go, so that
    what is added and taken away again leaves the others as they were.
    """
    computing = sorted((item for item in listed(tree, "nodes") if _ANY.has(item)), key=_CPU.has)
    groups: dict[str, list[Map]] = {}
    for called in (_stems, lambda _: ["slurmd"], lambda item: listed(item, "partitions"), _kinds):
        found: dict[str, list[Map]] = {}
        for item in computing:
            for group in called(item):
                found.setdefault(str(group), []).append(item)
        groups = found | groups
    return groups


def _count_group(tree: Map, group: str, wanted: int) -> None:
    origin, known = f"{group}={wanted}", groups_of(tree)
    if group not in known:
        guess = instead(group, sorted(known))
        raise SourceError(origin, f"the definition has no group {group!r} of nodes that compute{guess}")
    counts.put(tree, known[group], wanted, origin)


def _stems(item: Map) -> set[str]:
    """The name that an entry's nodes share; none if they share none, for then some of them cannot be counted alone."""
    stems = {name.rstrip("0123456789").rstrip("-") for name in names(item)}
    return stems if len(stems) == 1 else set()


def _kinds(item: Map) -> list[str]:
    return ["gpu" if item.get("gpus") else "cpu"]


@dataclass(frozen=True)
class _Kind:
    """Some of the nodes that compute, and the words for one of them."""

    words: str
    gpus: bool | None = None

    def entries(self, tree: Map, origin: str) -> list[Map]:
        """Where the definition has such nodes; refused if it has none."""
        found = [item for item in listed(tree, "nodes") if self.has(item)]
        if not found:
            raise SourceError(origin, f"the definition has no {self.words}")
        return found

    def has(self, item: Any) -> bool:
        """Whether an entry stands for such nodes."""
        return "slurmd" in listed(item, "roles") and self.gpus in (None, bool(item.get("gpus")))


_ANY = _Kind("node with the role slurmd")
_CPU = _Kind("node with the role slurmd and without GPUs", gpus=False)
_GPU = _Kind("node with GPUs", gpus=True)


def _put(kind: _Kind, key: str, tree: Map, value: int, origin: str) -> None:
    for item in kind.entries(tree, origin):
        item.put(key, value, origin)


def _count(kind: _Kind, tree: Map, wanted: int, origin: str) -> None:
    counts.put(tree, kind.entries(tree, origin), wanted, origin)


_CHANGES: dict[str, Callable[[Map, int, str], None]] = {
    "cpu_nodes": partial(_count, _CPU),
    "gpu_nodes": partial(_count, _GPU),
    "cpus_per_node": partial(_put, _ANY, "cpus"),
    "gpus_per_node": partial(_put, _GPU, "gpus"),
    "memory_per_node": partial(_put, _ANY, "memory"),
}
