"""What the inventory promises: nodes, groups, users, partitions, exports, and the roles' variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

MANY_JOBS = 10  # more than this are not submitted to see that one more is refused


@dataclass(frozen=True)
class User:
    """A user the LDAP directory must know."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True)
class Partition:
    """A partition of slurm.conf and the nodes it must have."""

    name: str
    nodes: tuple[str, ...]
    default: bool


@dataclass(frozen=True)
class Mount:
    """A file system that an NFS client must have mounted."""

    path: str
    server: str
    export: str
    options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written through it."""
        return "ro" in self.options


@dataclass(frozen=True)
class Export:
    """A directory that the NFS server gives away, and to which networks."""

    path: str
    clients: tuple[str, ...]

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The clients that are written as addresses."""
        return tuple(
            ip_network(client, strict=False)
            for client in self.clients
            if re.match(r"[0-9a-f.:]+(/|$)", client)
        )


@dataclass(frozen=True)
class Limit:
    """A QOS whose limits can be tried by jobs that never run.

    Attributes:
        jobs: how many a user may have submitted; none for no limit.
        longer: a time limit that a job of this QOS is refused for; nothing for none.
    """

    qos: str
    jobs: int | None
    longer: str


@dataclass(frozen=True)
class Topology:
    """The cluster as the inventory describes it.

    Args:
        groups: name of a group to its hosts, those of its children included.
        variables: name of a host to its variables, groups' variables merged in.
    """

    groups: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @classmethod
    def parse(cls, inventory: Mapping[str, Any]) -> Topology:
        """Read what ``ansible-inventory --list`` prints."""
        names = [name for name in inventory if name != "_meta"]
        groups = {name: tuple(dict.fromkeys(_hosts(inventory, name))) for name in names}
        return cls(groups=groups, variables=inventory.get("_meta", {}).get("hostvars", {}))

    def nodes(self, group: str = "all", *, but: str | None = None) -> tuple[str, ...]:
        """The hosts of a group, in the inventory's order; none where there is no such group."""
        left_out = set(self.nodes(but)) if but else set()
        return tuple(node for node in self.groups.get(group, ()) if node not in left_out)

    def first(self, group: str) -> str | None:
        """The first host of a group."""
        return next(iter(self.nodes(group)), None)

    def var(self, node: str | None, name: str, default: Any = None) -> Any:
        """A variable of a host; the default where it is not set or null."""
        value = self.variables.get(node or "", {}).get(name)
        return default if value is None else value

    def anywhere(self, name: str) -> Any:
        """A variable that is the same for all hosts: of the first host that has it."""
        return next((value for node in self.nodes() if (value := self.var(node, name)) is not None), None)

    @property
    def controller(self) -> str | None:
        """The host that jobs are submitted on."""
        return self.first("slurmctld")

    @property
    def closed(self) -> tuple[str, ...]:
        """The compute nodes that let users in only while they have a job there."""
        return tuple(node for node in self.nodes("slurmd") if self.var(node, "slurmd_pam_adopt", False))

    @property
    def entrance(self) -> str | None:
        """Where users log in: on a login node, or on a compute node that lets them in."""
        opened = [*self.nodes("login"), *(node for node in self.nodes("slurmd") if node not in self.closed)]
        return next(iter(opened), None)

    @property
    def key_maker(self) -> str | None:
        """A login node that makes users a key for the way to the nodes of their jobs."""
        return next((node for node in self.nodes("login") if self.var(node, "login_user_keys", False)), None)

    @property
    def users(self) -> tuple[User, ...]:
        """The users that the LDAP server is told to hold."""
        return tuple(
            User(
                name=user["name"],
                uid=int(user["uid"]),
                gid=int(user.get("gid") or user["uid"]),
                home=user.get("home") or f"/home/{user['name']}",
                shell=user.get("shell") or "/bin/bash",
            )
            for user in self.var(self.first("ldap_server"), "ldap_server_users", [])
        )

    @property
    def memberships(self) -> dict[str, set[int]]:
        """Name of a user to the gids of the groups it must be in, its own included."""
        gids = {user.name: {user.gid} for user in self.users}
        for group in self.ldap_groups:
            for member in group.get("members") or []:
                gids.setdefault(member, set()).add(int(group["gid"]))
        return gids

    @property
    def ldap_groups(self) -> tuple[Mapping[str, Any], ...]:
        """The groups that the LDAP server is told to hold."""
        return tuple(self.var(self.first("ldap_server"), "ldap_server_groups", []))

    @property
    def user(self) -> User | None:
        """The user that the suite works as: ``verify_user``, else the first one."""
        name = next(
            (self.var(node, "verify_user") for node in self.nodes() if self.var(node, "verify_user")), None
        )
        if name is None:
            return next(iter(self.users), None)
        known = {user.name: user for user in self.users}
        return known.get(name, User(name=name, uid=-1, gid=-1, home=f"/home/{name}", shell="/bin/bash"))  # noqa: S604

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions of slurm.conf, in its order."""
        entries = self.var(self.controller, "slurm_common_partitions", [])
        return tuple(
            Partition(
                name=entry["name"],
                nodes=tuple(entry.get("nodes") or ()) or self.nodes(entry.get("group") or "slurmd"),
                default=str((entry.get("options") or {}).get("Default", "NO")).upper() in ("YES", "TRUE"),
            )
            for entry in entries
        )

    @property
    def default_partition(self) -> Partition | None:
        """The partition of a job that names none; the first where none is marked."""
        partitions = self.partitions
        return next((one for one in partitions if one.default), next(iter(partitions), None))

    @property
    def exports(self) -> tuple[Export, ...]:
        """What the NFS server exports."""
        entries = self.var(self.first("nfs_server"), "nfs_server_exports", [])
        return tuple(
            Export(path=entry["path"], clients=tuple(entry.get("clients") or ())) for entry in entries
        )

    def mounts(self, node: str) -> tuple[Mount, ...]:
        """What a node must have mounted over NFS."""
        return tuple(
            Mount(
                path=entry["path"].rstrip("/"),
                server=entry["source"].partition(":")[0],
                export=entry["source"].partition(":")[2].rstrip("/"),
                options=tuple(str(entry.get("options") or "").split(",")),
            )
            for entry in self.var(node, "nfs_client_mounts", [])
            if node in self.nodes("nfs_client", but="nfs_server")
        )

    @property
    def cluster(self) -> str:
        """Slurm's name of the cluster."""
        return str(self.var(self.controller, "slurm_common_config", {}).get("ClusterName", "cluster"))

    @property
    def accounts(self) -> dict[str, tuple[str, ...]]:
        """Name of a user to the accounts that accounting must let them use, the default one first."""
        return {
            user["name"]: tuple(link["account"] for link in user.get("associations") or ())
            for user in self.var(self.first("slurmdbd"), "slurmdbd_users", [])
            if user.get("state", "present") == "present"
        }

    @property
    def limit(self) -> Limit | None:
        """The first QOS that refuses jobs for their number or their length."""
        for qos in self.var(self.first("slurmdbd"), "slurmdbd_qos", []):
            options = qos.get("options") or {}
            jobs, flags = options.get("MaxSubmitJobsPerUser"), options.get("Flags") or []
            denies = "denyonlimit" in str(flags).lower() and options.get("MaxWall")
            if (jobs and int(jobs) <= MANY_JOBS) or denies:
                # Not much longer: a partition may have a limit of its own.
                longer = str(int(minutes(str(options["MaxWall"]))) + 1) if denies else ""
                return Limit(qos["name"], int(jobs) if jobs else None, longer)
        return None

    def gpus(self, node: str) -> int:
        """How many GPUs slurm.conf gives a node: the sum of ``Gres=gpu:...`` of all types."""
        gres = str(self.var(node, "slurm_common_node", {}).get("Gres", ""))
        return self.count_gpus(gres) or int(self.var(node, "slurm_common_fake_gpus", 0))

    @staticmethod
    def count_gpus(gres: str) -> int:
        """The GPUs in a ``Gres`` of Slurm: ``gpu:fake:4(S:0),gpu:a100:2,license:1`` has six."""
        return sum(
            int(count or 1)
            for count in re.findall(r"(?:^|,)gpu(?::[^:,(\d][^:,(]*)?(?::(\d+))?(?=[,(]|$)", gres)
        )


def minutes(time: str) -> float:
    """A time of Slurm's: 90, 1:30:00, 1-12."""
    days, dash, rest = time.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    if dash:  # days-hours[:minutes[:seconds]]
        hours, mins, seconds = [*parts, 0.0, 0.0][:3]
        return (float(days) * 24 + hours) * 60 + mins + seconds / 60
    hours, mins, seconds = {1: [0.0, *parts, 0.0], 2: [0.0, *parts], 3: parts}[len(parts)]
    return hours * 60 + mins + seconds / 60


def _hosts(inventory: Mapping[str, Any], group: str) -> list[str]:
    entry = inventory.get(group, {})
    hosts = list(entry.get("hosts", []))
    for child in entry.get("children", []):
        hosts += _hosts(inventory, child)
    return hosts
