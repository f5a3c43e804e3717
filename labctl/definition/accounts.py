"""The groups of a lab, complete: written ones, each user's own, and those that are only mentioned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from labctl.definition.models import Definition, Group, User

#: Where the numbers of groups begin that have none of their own.
FIRST_FREE_GID = 10100


@dataclass(frozen=True)
class ResolvedGroup:
    """A group with its number and with the names of those whose further group it is."""

    name: str
    gid: int
    members: tuple[str, ...]


class Account(NamedTuple):
    """A user or a group of the directory, by its name."""

    kind: str
    name: str


def named(definition: Definition) -> frozenset[Account]:
    """Every user and group that the definition puts into the directory, those in its `vars` included."""
    users, groups = definition.users, resolve(definition.users, definition.groups)
    return frozenset(
        [
            *(Account("user", user.name) for user in users),
            *(Account("group", group.name) for group in groups),
            *(Account("user", name) for name in _names(definition.vars.get("ldap_server_users"))),
            *(Account("group", name) for name in _names(definition.vars.get("ldap_server_groups"))),
        ]
    )


def _names(entries: Any) -> list[str]:
    """The names of a variable's entries; a template in their place has none that could be read here."""
    listed = entries if isinstance(entries, list) else []
    return [str(entry["name"]) for entry in listed if isinstance(entry, dict) and "name" in entry]


def primary_gid(user: User, groups: Iterable[Group]) -> int:
    """What the user says, else the group of the user's name, else the uid."""
    if user.gid is not None:
        return user.gid
    return next((group.gid for group in groups if group.name == user.name), user.uid)


def resolve(users: Sequence[User], groups: Sequence[Group]) -> tuple[ResolvedGroup, ...]:
    """Every group of the lab: written ones first, then users' own, then mentioned ones.

    Numbers depend on the order of the definition alone: a lab built again elsewhere has the same.
    """
    numbers = {group.name: group.gid for group in groups}
    taken = {*numbers.values(), *(user.uid for user in users)}
    for user in users:
        gid = primary_gid(user, groups)
        if gid not in numbers.values():
            numbers.setdefault(user.name, gid)
        taken.add(gid)
    free = (number for number in count(FIRST_FREE_GID) if number not in taken)
    for user in users:
        for name in user.groups:
            if name not in numbers:
                numbers[name] = next(free)
    return tuple(
        ResolvedGroup(name, gid, tuple(user.name for user in users if name in user.groups))
        for name, gid in numbers.items()
    )
