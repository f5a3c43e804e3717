"""Rules for partitions, and for what is handed to slurm.conf as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from labctl.definition.parts import Parts, twice
from labctl.definition.problems import Path, Problem
from labctl.definition.slurm_keys import NODE_KEYS, PARTITION_KEYS, canonical
from labctl.words import instead


def partitions(parts: Parts) -> Iterator[Problem]:
    """Names are there once, also as inventory groups, and one at most is the default."""
    all_of_them = parts.partitions.items()
    named = ((("partitions", i, "name"), each.name, each.name) for i, each in all_of_them)
    yield from twice("partition", named)
    groups = Counter(each.name.replace("-", "_") for _, each in all_of_them)
    spelled = Counter(each.name for _, each in all_of_them)
    for index, each in all_of_them:
        if groups[each.name.replace("-", "_")] > spelled[each.name]:
            yield Problem(("partitions", index, "name"), "two partitions differ in nothing but - and _")
    defaults = [(index, each.name) for index, each in all_of_them if each.default]
    for index, name in defaults[1:]:
        words = f"{name!r} is a second default partition; the first is {defaults[0][1]!r}, and Slurm has one"
        yield Problem(("partitions", index, "default"), words)


def membership(parts: Parts) -> Iterator[Problem]:
    """Every node that computes is in a partition that is there, and every partition has a node."""
    known = [each.name for each in parts.partitions.values()]
    for index, spec in parts.nodes.items():
        for place, name in enumerate(spec.partitions):
            if name not in known and parts.sure("partitions", "partitions.name"):
                words = f"unknown partition {name!r}{instead(name, known)}"
                yield Problem(("nodes", index, "partitions", place), words)
        if "slurmd" in spec.roles and not spec.partitions and parts.sure("nodes.partitions"):
            words = f"{spec.name} runs slurmd but is in no partition, so no job could use it"
            yield Problem(("nodes", index), words + (f" (partitions: {', '.join(known)})" if known else ""))
    used = {name for spec in parts.nodes.values() for name in spec.partitions}
    for index, each in parts.partitions.items():
        if each.name not in used and parts.sure("nodes", "nodes.partitions"):
            words = f"partition {each.name!r} has no node; name it in a node's partitions"
            yield Problem(("partitions", index, "name"), words)


def keys(parts: Parts) -> Iterator[Problem]:
    """What is handed on as it is: keys that Slurm knows, and none that labctl writes itself."""
    for index, spec in parts.nodes.items():
        path: Path = ("nodes", index, "slurm")
        yield from _keys(path, spec.slurm, NODE_KEYS, {"nodename": "the node's name"})
    own = {"partitionname": "the partition's name", "nodes": "the partitions of each node"}
    for index, each in parts.partitions.items():
        path = ("partitions", index, "options")
        yield from _keys(path, each.options, PARTITION_KEYS, own)
        given = {canonical(key, PARTITION_KEYS) for key in each.options}
        if each.max_time is not None and "MaxTime" in given:
            yield Problem(path, "MaxTime is also said by max_time; keep one")
        if each.default and "Default" in given:
            yield Problem(path, "Default is also said by default; keep one")


def _keys(
    path: Path, given: dict[str, Any], known: tuple[str, ...], own: dict[str, str]
) -> Iterator[Problem]:
    seen: set[str] = set()
    for key, value in given.items():
        name = canonical(key, known)
        if key.lower() in own:
            yield Problem((*path, key), f"{key} comes from {own[key.lower()]}")
        elif name is None:
            words = f"unknown key {key!r}{instead(key, known, called='the keys in slurm.conf(5)')}"
            yield Problem((*path, key), words)
        elif name in seen:
            yield Problem(
                (*path, key), f"{name} is there twice; Slurm takes no notice of upper and lower case"
            )
        elif isinstance(value, dict | list):
            yield Problem((*path, key), "slurm.conf knows no nested values here; write one text or number")
        seen.add(name or key)
