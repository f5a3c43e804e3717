"""Changes to a definition from the command line: ``nodes.cpu-[0-1].memory=2048``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from labctl.definition import hostlist
from labctl.definition.source import Map, Seq, SourceError, parse
from labctl.words import instead

_LISTS = ("users", "groups", "nodes", "partitions")


def apply(tree: Map, overrides: Sequence[str]) -> list[SourceError]:
    """Change `tree` in place, in the given order; what cannot be done is given back.

    A path's steps are keys; in a list they are names: of a user, a partition, and for nodes any hostlist,
    ``@role``, ``@partition`` or ``all``.
    """
    mistakes = []
    for override in overrides:
        try:
            _apply(tree, override)
        except SourceError as error:
            mistakes.append(error)
    return mistakes


def _apply(tree: Map, override: str) -> None:
    origin = f"--set {override}"
    path, equals, text = override.partition("=")
    steps = [step.strip() for step in path.split(".")]
    if not equals or not all(steps):
        raise SourceError(origin, "not of the form path=value, such as nodes.cpu-0.memory=2048")
    for target in list(_targets(tree, "the definition", steps[:-1], origin)):
        # Read anew for each: they must not share one list or mapping.
        value = _value(text, origin)
        if steps[-1] in _LISTS and target is tree and not isinstance(value, list):
            raise SourceError(origin, f"{path} is a list; name one of its items, or give a whole list")
        target.put(steps[-1], value, origin)


def _value(text: str, origin: str) -> Any:
    if text.lstrip().startswith("{{"):  # a template of Ansible's, which YAML would take for a mapping
        return text
    try:
        return parse(text, origin)
    except SourceError as error:
        raise SourceError(origin, error.words) from error


def _targets(tree: Any, name: str, steps: list[str], origin: str) -> Iterator[Map]:
    """Every mapping that `steps` lead to from `tree`, which is `name`."""
    if isinstance(tree, Seq):
        if not steps:
            raise SourceError(origin, f"{name} is a list: say of which one, and which key of it")
        choose = _nodes if name == "nodes" else _named
        for item in choose(tree, name, steps[0], origin):
            yield from _targets(item, steps[0], steps[1:], origin)
    elif not isinstance(tree, Map):
        raise SourceError(origin, f"{name} is {tree!r} and has no keys")
    elif not steps:
        yield tree
    else:
        if steps[0] not in tree:
            tree.put(steps[0], Seq(origin) if steps[0] in _LISTS else Map(origin), origin)
        yield from _targets(tree[steps[0]], steps[0], steps[1:], origin)


def _named(items: Seq, of: str, step: str, origin: str) -> Iterator[Map]:
    named = [item for item in items if isinstance(item, Map) and item.get("name") == step]
    if not named:
        known = [str(item.get("name")) for item in items if isinstance(item, Map)]
        raise SourceError(origin, f"{of} has no {step!r}{instead(step, known)}")
    yield from named


def _nodes(items: Seq, of: str, step: str, origin: str) -> Iterator[Map]:
    """The chosen nodes; an entry of which only some are meant is split, in place and in order."""
    known = {name: item for item in items for name in names(item)}
    wanted = _wanted(known, step, origin)
    unknown = sorted(wanted - set(known)) or ([] if wanted else [step])
    if unknown:
        allowed = [*known, "all", *(f"@{group}" for group in _groups(items))]
        raise SourceError(origin, f"{of} has no {unknown[0]!r}{instead(unknown[0], allowed)}")
    entries = list(zip(items, items.where, strict=True))
    items.clear()
    items.where.clear()
    for item, place in entries:
        for meant, part in _split(item, place, wanted):
            items.put(part, place)
            if meant:
                yield part


def _groups(items: Iterable[Any]) -> dict[str, None]:
    """The roles and partitions of entries."""
    return dict.fromkeys(
        str(group) for item in items for key in ("roles", "partitions") for group in listed(item, key)
    )


def _wanted(known: dict[str, Map], step: str, origin: str) -> set[str]:
    if step == "all":
        return set(known)
    if step.startswith("@"):
        return {name for name, item in known.items() if step[1:] in _groups([item])}
    try:
        return set(hostlist.expand(step))
    except ValueError as error:
        raise SourceError(origin, str(error)) from error


def _split(item: Any, place: str, wanted: set[str]) -> list[tuple[bool, Any]]:
    """The entry as runs of nodes that are all wanted or all not."""
    runs = [(meant, list(run)) for meant, run in groupby(names(item), key=wanted.__contains__)]
    if len(runs) <= 1:
        return [(any(meant for meant, _ in runs), item)]
    parts: list[tuple[bool, Any]] = []
    for meant, run in runs:
        part = item.twin()
        part.put("name", hostlist.fold(run), place)
        parts.append((meant, part))
    return parts


def names(item: Any) -> tuple[str, ...]:
    """The single nodes of an entry; none if its name cannot be read."""
    name = item.get("name") if isinstance(item, Map) else None
    try:
        return hostlist.expand(name) if isinstance(name, str) else ()
    except ValueError:
        return ()


def listed(item: Any, key: str) -> list[Any]:
    """The list that an entry has there; an empty one if it has none, or something else."""
    value = item.get(key) if isinstance(item, Map) else None
    return value if isinstance(value, list) else []
