"""How many nodes compute, and how large they are: what `--cpu-nodes` and its like change in a definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, islice
from typing import Any

from labctl.definition import hostlist
from labctl.definition.overrides import listed, names
from labctl.definition.source import Map, Seq, SourceError


@dataclass(frozen=True)
class Sizes:
    """What shall be other than the definition says; None leaves it as it is. Memory in MiB."""

    cpu_nodes: int | None = None
    gpu_nodes: int | None = None
    cpus_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_per_node: int | None = None


def apply(tree: Map, sizes: Sizes) -> list[SourceError]:
    """Change `tree` in place; what cannot be done is given back."""
    mistakes = []
    for field, value in asdict(sizes).items():
        if value is None:
            continue
        try:
            _CHANGES[field](tree, value, f"--{field.replace('_', '-')} {value}")
        except SourceError as error:
            mistakes.append(error)
    return mistakes


@dataclass(frozen=True)
class _Kind:
    """Some of the nodes that compute, and the words for one of them."""

    words: str
    gpus: bool | None = None

    def entries(self, tree: Map, origin: str) -> list[Map]:
        """Where the definition has such nodes; refused if it has none."""
        found = [item for item in listed(tree, "nodes") if self._has(item)]
        if not found:
            raise SourceError(origin, f"the definition has no {self.words}")
        return found

    def _has(self, item: Any) -> bool:
        return "slurmd" in listed(item, "roles") and self.gpus in (None, bool(item.get("gpus")))


_ANY = _Kind("node with the role slurmd")
_CPU = _Kind("node with the role slurmd and without GPUs", gpus=False)
_GPU = _Kind("node with GPUs", gpus=True)


def _put(kind: _Kind, key: str, tree: Map, value: int, origin: str) -> None:
    for item in kind.entries(tree, origin):
        item.put(key, value, origin)


def _count(kind: _Kind, tree: Map, wanted: int, origin: str) -> None:
    entries = kind.entries(tree, origin)
    if wanted > hostlist.MOST:
        raise SourceError(origin, f"a lab has {hostlist.MOST} nodes at most")
    there = [name for item in entries for name in names(item)]
    if wanted > len(there):
        _grow(tree, entries[-1], wanted - len(there), origin)
    else:
        _shrink(tree, entries, set(there[wanted:]), origin)


def _grow(tree: Map, like: Map, more: int, origin: str) -> None:
    """So many nodes more that are like the last one; of its roles they have slurmd alone."""
    own = names(like)
    taken = {name for item in tree["nodes"] for name in names(item)}
    new = list(islice(_following(own[-1] if own else "", taken, origin), more))
    if listed(like, "roles") == ["slurmd"]:
        like.put("name", hostlist.fold([*own, *new]), origin)
        return
    twin = like.twin()
    twin.put("name", hostlist.fold(new), origin)
    twin.put("roles", ["slurmd"], origin)
    tree["nodes"].put(twin, origin)


def _following(name: str, taken: Collection[str], origin: str) -> Iterator[str]:
    parts = re.fullmatch(r"(.*?)(\d+)", name)
    if not parts:
        raise SourceError(origin, f"{name!r} has no number at its end to count on from")
    numbered = (f"{parts[1]}{number:0{len(parts[2])}}" for number in count(int(parts[2]) + 1))
    return (name for name in numbered if name not in taken)


def _shrink(tree: Map, entries: list[Map], gone: set[str], origin: str) -> None:
    """Without these nodes, and without the partitions that no node is in any more."""
    before = _partitions(tree)
    for item in entries:
        kept = [name for name in names(item) if name not in gone]
        if len(kept) == len(names(item)):
            continue
        others = [role for role in listed(item, "roles") if role != "slurmd"]
        if others:
            raise SourceError(origin, f"{item['name']} cannot go: it has the roles {', '.join(others)}, too")
        item.put("name", hostlist.fold(kept), origin)
    _keep(tree, "nodes", lambda item: item.get("name") != "")
    empty = before - _partitions(tree)
    _keep(tree, "partitions", lambda item: item.get("name") not in empty)


def _partitions(tree: Map) -> set[str]:
    return {str(name) for item in listed(tree, "nodes") for name in listed(item, "partitions")}


def _keep(tree: Map, key: str, wanted: Callable[[Map], bool]) -> None:
    items = tree.get(key)
    if not isinstance(items, Seq):
        return
    kept = [
        (item, place)
        for item, place in zip(items, items.where, strict=True)
        if not isinstance(item, Map) or wanted(item)
    ]
    items.clear()
    items.where.clear()
    for item, place in kept:
        items.put(item, place)


_CHANGES: dict[str, Callable[[Map, int, str], None]] = {
    "cpu_nodes": partial(_count, _CPU),
    "gpu_nodes": partial(_count, _GPU),
    "cpus_per_node": partial(_put, _ANY, "cpus"),
    "gpus_per_node": partial(_put, _GPU, "gpus"),
    "memory_per_node": partial(_put, _ANY, "memory"),
}
