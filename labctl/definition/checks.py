"""What the parts of a definition must agree on.

Each rule looks at all parts, so that all mistakes are found at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from labctl.definition import accounts, hostlist
from labctl.definition.problems import Path, Problem, instead
from labctl.definition.slurm_keys import NODE_KEYS, PARTITION_KEYS, canonical

if TYPE_CHECKING:
    from labctl.definition.models import Definition, Group, NodeSpec, Partition, User

#: Accounts and groups of a Debian system. Local ones win over LDAP's: such a user could never log in.
RESERVED_ACCOUNTS = frozenset(
    """root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody
    nogroup _apt adm tty disk dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp
    video sasl plugdev staff users kmem input sgx kvm render crontab netdev messagebus sshd polkitd munge
    slurm openldap sssd statd _rpc systemd-network systemd-timesync systemd-resolve systemd-journal vagrant
    mysql redis""".split()  # noqa: SIM905 - a list literal of these fills a screen
)
#: Inventory groups and words of Slurm's, Ansible's and labctl's own; Ansible cannot tell a host from a group.
RESERVED_NODES = frozenset({"all", "ungrouped", "localhost", "default", "munge", "slurmctld", "slurmd"})
ONE_EACH = ("ldap_server", "nfs_server", "slurmctld")


@dataclass(frozen=True)
class Parts:
    """The parts of a definition that are sound in themselves, by their index; others may be missing."""

    users: Mapping[int, User] = field(default_factory=dict)
    groups: Mapping[int, Group] = field(default_factory=dict)
    nodes: Mapping[int, NodeSpec] = field(default_factory=dict)
    partitions: Mapping[int, Partition] = field(default_factory=dict)
    network: str = "auto"
    complete: bool = True
    """Nothing was left out: only then it can be said that something is missing."""

    @classmethod
    def of(cls, definition: Definition) -> Parts:
        """All parts of a definition."""
        return cls(
            users=dict(enumerate(definition.users)),
            groups=dict(enumerate(definition.groups)),
            nodes=dict(enumerate(definition.nodes)),
            partitions=dict(enumerate(definition.partitions)),
            network=definition.network,
        )

    def names(self) -> dict[int, tuple[str, ...]]:
        """The single nodes of each entry; none where the hostlist is broken."""
        return {index: _expanded(spec) for index, spec in self.nodes.items()}


def problems(parts: Parts) -> tuple[Problem, ...]:
    """Everything that is wrong between the parts."""
    return tuple(problem for rule in RULES for problem in rule(parts))


def _expanded(spec: NodeSpec) -> tuple[str, ...]:
    try:
        return hostlist.expand(spec.name)
    except ValueError:
        return ()


def _twice(entries: Iterable[tuple[Path, Any]], what: str) -> Iterator[Problem]:
    first: dict[Any, Path] = {}
    for path, value in entries:
        if value in first:
            yield Problem(path, f"{what} {value!r} is there twice; also at {_where(first[value])}")
        first.setdefault(value, path)


def _where(path: Path) -> str:
    return str(Problem(path, "")).removesuffix(": ")


def _host_names(parts: Parts) -> Iterator[Problem]:
    for index, spec in parts.nodes.items():
        try:
            names = hostlist.expand(spec.name)
        except ValueError as error:
            yield Problem(("nodes", index, "name"), str(error))
            continue
        for name in names:
            words = hostlist.hostname_problem(name)
            if not words and name in RESERVED_NODES:
                words = f"{name!r} means something else to Ansible or Slurm; try {name + '-0'!r}"
            if words:
                yield Problem(("nodes", index, "name"), words)
                break


def _nodes_once(parts: Parts) -> Iterator[Problem]:
    names = parts.names()
    entries = (((("nodes", index, "name"), name)) for index in names for name in names[index])
    yield from _twice(entries, "node")


def _accounts_once(parts: Parts) -> Iterator[Problem]:
    users, groups = parts.users.items(), parts.groups.items()
    yield from _twice(((("users", i, "name"), user.name) for i, user in users), "user")
    yield from _twice(((("users", i, "uid"), user.uid) for i, user in users), "uid")
    yield from _twice(((("users", i, "home"), user.directory) for i, user in users if user.home), "home")
    yield from _twice(((("groups", i, "name"), group.name) for i, group in groups), "group")
    yield from _twice(((("groups", i, "gid"), group.gid) for i, group in groups), "gid")


def _own_groups(parts: Parts) -> Iterator[Problem]:
    """A user's own group must not take the number or the name of another one."""
    groups = list(parts.groups.values())
    numbers = {group.gid: group.name for group in groups}
    names = {group.name: group.gid for group in groups}
    for index, user in parts.users.items():
        gid = accounts.primary_gid(user, groups)
        if user.gid is None and numbers.get(gid, user.name) != user.name:
            words = f"the user's own group would have gid {gid}, which is that of the group {numbers[gid]!r}"
            yield Problem(("users", index, "uid"), f"{words}; say gid: {gid} if that is meant")
        elif user.gid is not None and gid not in numbers and user.name in names:
            words = f"no group has gid {gid}, and the group {user.name!r} has {names[user.name]}"
            yield Problem(("users", index, "gid"), f"{words}; allowed: the gid of a group under groups")
    yield from _twice(
        (
            (("users", i, "gid"), user.gid)
            for i, user in parts.users.items()
            if user.gid and user.gid not in numbers
        ),
        "no group under groups has the gid, and so a group of one user's own; gid",
    )


def _reserved_accounts(parts: Parts) -> Iterator[Problem]:
    named = [
        *((("users", i, "name"), user.name) for i, user in parts.users.items()),
        *((("groups", i, "name"), group.name) for i, group in parts.groups.items()),
        *(
            (("users", i, "groups", k), name)
            for i, user in parts.users.items()
            for k, name in enumerate(user.groups)
        ),
    ]
    for path, name in named:
        if name in RESERVED_ACCOUNTS:
            yield Problem(path, f"{name!r} is an account or group of the system itself; take another name")


def _partitions(parts: Parts) -> Iterator[Problem]:
    partitions = parts.partitions.items()
    yield from _twice(((("partitions", i, "name"), each.name) for i, each in partitions), "partition")
    groups = Counter(partition.name.replace("-", "_") for partition in dict(partitions).values())
    spelled = Counter(partition.name for partition in dict(partitions).values())
    for index, partition in partitions:
        if groups[partition.name.replace("-", "_")] > spelled[partition.name]:
            yield Problem(("partitions", index, "name"), "two partitions differ in nothing but - and _")
    defaults = [(index, partition.name) for index, partition in partitions if partition.default]
    for index, name in defaults[1:]:
        words = f"{name!r} is a second default partition; the first is {defaults[0][1]!r}, and Slurm has one"
        yield Problem(("partitions", index, "default"), words)


def _membership(parts: Parts) -> Iterator[Problem]:
    known = [partition.name for partition in parts.partitions.values()]
    for index, spec in parts.nodes.items():
        for place, name in enumerate(spec.partitions):
            if name not in known and parts.complete:
                words = f"unknown partition {name!r}{instead(name, known)}"
                yield Problem(("nodes", index, "partitions", place), words)
        if "slurmd" in spec.roles and not spec.partitions:
            words = f"{spec.name} runs slurmd but is in no partition, so no job could use it"
            yield Problem(("nodes", index), words + (f" (partitions: {', '.join(known)})" if known else ""))
    used = {name for spec in parts.nodes.values() for name in spec.partitions}
    for index, partition in parts.partitions.items():
        if partition.name not in used and parts.complete:
            words = f"partition {partition.name!r} has no node; name it in a node's partitions"
            yield Problem(("partitions", index, "name"), words)


def _compute_only(parts: Parts) -> Iterator[Problem]:
    for index, spec in parts.nodes.items():
        if "slurmd" in spec.roles:
            continue
        for key in ("gpus", "partitions", "slurm", "features"):
            if getattr(spec, key):
                yield Problem(("nodes", index, key), f"only a node with the role slurmd can have {key}")


def _slurm_keys(parts: Parts) -> Iterator[Problem]:
    for index, spec in parts.nodes.items():
        yield from _keys(("nodes", index, "slurm"), spec.slurm, NODE_KEYS, {"NodeName": "name"})
    own = {"PartitionName": "name", "Nodes": "partitions of the nodes"}
    for index, partition in parts.partitions.items():
        yield from _keys(("partitions", index, "options"), partition.options, PARTITION_KEYS, own)
        given = {canonical(key, PARTITION_KEYS) for key in partition.options}
        if partition.max_time is not None and "MaxTime" in given:
            yield Problem(("partitions", index, "options"), "MaxTime is also said by max_time; keep one")
        if partition.default and "Default" in given:
            yield Problem(("partitions", index, "options"), "Default is also said by default; keep one")


def _keys(
    path: Path, given: dict[str, Any], known: tuple[str, ...], own: dict[str, str]
) -> Iterator[Problem]:
    for key, value in given.items():
        elsewhere = {name.lower(): place for name, place in own.items()}.get(key.lower())
        if elsewhere:
            yield Problem((*path, key), f"{key} comes from {elsewhere}")
        elif canonical(key, known) is None:
            yield Problem((*path, key), f"unknown key {key!r}{instead(key, known)}")
        elif isinstance(value, dict | list):
            yield Problem((*path, key), "slurm.conf knows no nested values here; write one text or number")


def _services(parts: Parts) -> Iterator[Problem]:
    names = parts.names()
    for role in ONE_EACH:
        having = [(i, name) for i, spec in parts.nodes.items() if role in spec.roles for name in names[i]]
        if not having and parts.complete:
            yield Problem(("nodes",), f"no node has the role {role}; a lab needs exactly one")
        for index, name in having[1:]:
            words = f"{name} is a second {role}; {having[0][1]} is one already, and a lab has one"
            yield Problem(("nodes", index, "roles"), words)
    if parts.complete and not any("slurmd" in spec.roles for spec in parts.nodes.values()):
        yield Problem(("nodes",), "no node has the role slurmd; a lab needs one at least to run jobs")
    if parts.complete and not parts.users:
        yield Problem(("users",), "a lab needs a user: jobs do not run as root, and it is proven by jobs")


def _network(parts: Parts) -> Iterator[Problem]:
    if parts.network == "auto":
        return
    room = IPv4Network(parts.network).num_addresses - 3  # the network itself, the host and broadcast
    count = sum(len(names) for names in parts.names().values())
    if count > room:
        words = f"{parts.network} has room for {max(room, 0)} nodes, and the lab has {count}"
        yield Problem(("network",), f"{words}; take a larger network or auto")


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    _network,
    _accounts_once,
    _own_groups,
    _reserved_accounts,
    _host_names,
    _nodes_once,
    _services,
    _compute_only,
    _membership,
    _partitions,
    _slurm_keys,
)
