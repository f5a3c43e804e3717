"""What the rules of `checks` look at: the parts of a definition that are sound in themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.definition import hostlist
from labctl.definition.problems import Path, Problem

if TYPE_CHECKING:
    from labctl.definition.models import Definition, Group, NodeSpec, Partition, Services, User


@dataclass(frozen=True)
class Parts:
    """Parts by their index in the file. Some may be missing, because a mistake is in them."""

    users: Mapping[int, User] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    nodes: Mapping[int, NodeSpec] = field(default_factory=dict)
    partitions: Mapping[int, Partition] = field(default_factory=dict)
    network: str = "auto"
    services: Services | None = None
    doubtful: frozenset[str] = frozenset()
    """What is not known because a mistake is in it, such as `nodes` or `nodes.roles`."""

    @classmethod
    def of(cls, definition: Definition) -> Parts:
        """All parts of a definition."""
        return cls(
            users=dict(enumerate(definition.users)),
            groups=dict(enumerate(definition.groups)),
            nodes=dict(enumerate(definition.nodes)),
            partitions=dict(enumerate(definition.partitions)),
            network=definition.network,
            services=definition.services,
        )

    def sure(self, *facts: str) -> bool:
        """Nothing of that was left out: only then can it be said that something is missing."""
        return self.doubtful.isdisjoint(facts)

    def names(self) -> dict[int, tuple[str, ...]]:
        """The single nodes of each entry; none where the hostlist is broken."""
        return {index: _expanded(spec) for index, spec in self.nodes.items()}


def _expanded(spec: NodeSpec) -> tuple[str, ...]:
    try:
        return hostlist.expand(spec.name)
    except ValueError:
        return ()


def twice(what: str, entries: Iterable[tuple[Path, Any, str]]) -> Iterator[Problem]:
    """A problem for each value that came before.

    Args:
        what: such a value is, for example uid.
        entries: where it is, the value, and whose it is.
    """
    first: dict[Any, str] = {}
    for path, value, whose in entries:
        if value in first:
            owner = "there twice" if first[value] == value else f"already that of {first[value]}"
            yield Problem(path, f"{what} {value!r} is {owner}")
        first.setdefault(value, whose)
