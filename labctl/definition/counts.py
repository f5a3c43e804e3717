"""So many nodes of a kind as there shall be: further ones like the last, or without the last ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count, islice

from labctl.definition import hostlist
from labctl.definition.overrides import listed, names
from labctl.definition.source import Map, Seq, SourceError


def put(tree: Map, entries: Sequence[Map], wanted: int, origin: str) -> None:
    """Change `tree` in place so that these entries of it stand for so many nodes.

    Args:
        tree: the whole definition.
        entries: those of its nodes that are counted; further ones are like the last of them.
        wanted: how many there shall be.
        origin: where that is said.

    Raises:
        SourceError: it cannot be.
    """
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


def _shrink(tree: Map, entries: Sequence[Map], gone: set[str], origin: str) -> None:
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
