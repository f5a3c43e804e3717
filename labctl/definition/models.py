"""The definition of a lab: the one source of its schema, of its error messages and of the reference page.

Every field is checked here by its own type; what several fields must agree on (two defaults, a uid
twice) is in `checks`, so that all mistakes of a file are found in one go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from labctl.definition import checks, hostlist
from labctl.definition.parts import Parts
from labctl.definition.services import homes
from labctl.definition.values import (
    AbsolutePath,
    AccountName,
    BoxName,
    Feature,
    Gecos,
    Gid,
    GpuType,
    LabName,
    Network,
    PartitionName,
    SlurmTime,
    Uid,
    VariableName,
)

Role = Literal[
    "ldap_server",
    "nfs_server",
    "mariadb",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "slurmrestd",
    "registry",
    "login",
    "jupyterhub",
]
Provider = Literal["auto", "libvirt", "virtualbox"]


class _Part(BaseModel):
    """A part of a definition: unknown keys are mistakes, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Group(_Part):
    """A POSIX group in the lab's directory."""

    name: AccountName
    """The group's name."""
    gid: Gid
    """Its number."""


class User(_Part):
    """A person with an account in the lab's directory, a home on NFS and the lab's SSH key."""

    name: AccountName
    """The login name."""
    uid: Uid
    """The user's number, the same on every node."""
    gid: Gid | None = None
    """The primary group's number; without it the user has a group of their own: same name, same number."""
    groups: list[AccountName] = []
    """Further groups. One that is not under `groups` of the lab is made, with a free gid from 10100 up."""
    shell: AbsolutePath = "/bin/bash"
    """The login shell."""
    home: AbsolutePath | None = None
    """The home directory; without it /home/<name>, which NFS shares with every node."""
    gecos: Gecos = ""
    """The full name."""

    @property
    def directory(self) -> str:
        """The home directory, also when the definition does not say one."""
        return self.home or f"/home/{self.name}"


class NodeSpec(_Part):
    """One node, or several that are alike."""

    name: str
    """A host name, or a hostlist such as cpu-[0-1]."""
    roles: list[Role] = []
    """What runs on it. Every node that is not bare is also a client of the lab's LDAP and NFS."""
    bare: bool = False
    """Leave the machine as its box made it: in the lab's network, but no part of the cluster, and in no inventory."""
    cpus: Annotated[int, Field(strict=True, ge=1, le=256)] = 1
    """Virtual CPUs."""
    memory: Annotated[int, Field(strict=True, ge=256)] = 768
    """Memory in MiB."""
    gpus: Annotated[int, Field(strict=True, ge=0, le=64)] = 0
    """How many GPUs Slurm shall see; they are fakes that no program can compute on."""
    gpu_type: GpuType = "fake"
    """The GPUs' type, the middle part of gpu:fake:4."""
    gpu_types: dict[GpuType, Annotated[int, Field(strict=True, ge=1, le=64)]] = {}
    """How many of the GPUs are of another type, such as {a100: 2}, for several types on one node."""
    partitions: list[str] = []
    """The Slurm partitions that the node is in."""
    features: list[Feature] = []
    """Slurm features, for --constraint; those of its partitions come on top."""
    slurm: dict[str, Any] = {}
    """Keys of slurm.conf's NodeName line that override what the machine itself says."""
    vars: dict[VariableName, Any] = {}
    """Ansible variables of the node."""


class Partition(_Part):
    """A Slurm partition."""

    name: PartitionName
    """The name that jobs ask for."""
    default: bool = False
    """Where jobs go that name none. If no partition says so, the first one is it."""
    max_time: SlurmTime | None = None
    """Slurm's MaxTime: minutes, hours:minutes:seconds, days-hours or UNLIMITED."""
    features: list[Feature] = []
    """Features that each of its nodes gets."""
    options: dict[str, Any] = {}
    """Any other key of slurm.conf's PartitionName line."""


class Services(_Part):
    """What a lab has besides users, files and jobs. A service runs with the controller unless a node has its role."""

    accounting: bool = False
    """Slurm's accounting: MariaDB and slurmdbd (roles mariadb and slurmdbd), an account for each group of a user's."""
    rest: bool = False
    """Slurm's REST daemon with tokens, over TLS (role slurmrestd)."""
    registry: bool = False
    """A registry of container images, over TLS (role registry). It turns `containers` on, too."""
    containers: bool = False
    """Jobs in OCI containers, and tools for images, wherever jobs are made or run (role containers)."""
    pyxis: bool = False
    """Jobs in containers by Pyxis and enroot (role pyxis). This host fetches both, unless it has them already."""
    login: bool = False
    """Login nodes with compilers (role login), MPI, and compute nodes that let in who has a job there."""
    jupyter: bool = False
    """JupyterHub, on a login node where there is one, and notebooks that are jobs (roles jupyterhub and jupyterlab)."""


@dataclass(frozen=True)
class Node:
    """One single machine of a lab: hostlists expanded, features of its partitions and roles of services included."""

    name: str
    roles: tuple[str, ...] = ()
    cpus: int = 1
    memory: int = 768
    gpus: int = 0
    gpu_type: str = "fake"
    gpu_types: dict[str, int] = field(default_factory=dict)
    partitions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    slurm: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    bare: bool = False


class Definition(_Part):
    """A whole lab."""

    name: LabName
    """The lab's name, if the command line gives no other."""
    box: BoxName = "debian-12"
    """A box that labctl builds, or the name of any Vagrant box."""
    provider: Provider = "auto"
    """Who makes the machines."""
    network: Network = "auto"
    """auto leases a free /24; or a private IPv4 network such as 10.20.30.0/24."""
    users: list[User] = []
    """The accounts; jobs of the first one prove that the lab works."""
    groups: list[Group] = []
    """Groups with a number of your own choice."""
    nodes: list[NodeSpec]
    """The machines."""
    partitions: list[Partition] = []
    """The Slurm partitions."""
    services: Services = Services()
    """What the lab has besides."""
    vars: dict[VariableName, Any] = {}
    """Any variable of any role, for every node; it wins over what labctl would set."""
    playbooks: list[str] = []
    """Playbooks of your own, which converge runs after the roles, in this order. Paths begin at this file's folder."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        found = checks.problems(Parts.of(self))
        if found:
            words = "\n".join(str(problem) for problem in found)
            raise PydanticCustomError("lab", "{words}", {"words": words, "problems": found})
        return self

    def machines(self) -> tuple[Node, ...]:
        """Every single node, in the order of the definition."""
        inherited = {partition.name: partition.features for partition in self.partitions}
        return homes(
            [_node(name, spec, inherited) for spec in self.nodes for name in hostlist.expand(spec.name)],
            self.services,
        )

    def default_partition(self) -> str | None:
        """The partition of jobs that name none.

        Slurm itself knows no default until one is marked, and until then refuses a bare ``sbatch``. Who
        tries a lab expects that to work, so the first partition is the default if none is marked;
        ``options: {Default: "NO"}`` on it gets Slurm's own behaviour back.
        """
        marked = [partition.name for partition in self.partitions if partition.default]
        return next(iter(marked or [partition.name for partition in self.partitions]), None)


def _node(name: str, spec: NodeSpec, inherited: dict[str, list[str]]) -> Node:
    from_partitions = [feature for partition in spec.partitions for feature in inherited.get(partition, [])]
    return Node(
        name=name,
        roles=tuple(dict.fromkeys(spec.roles)),
        cpus=spec.cpus,
        memory=spec.memory,
        gpus=spec.gpus,
        gpu_type=spec.gpu_type,
        gpu_types=dict(spec.gpu_types),
        partitions=tuple(dict.fromkeys(spec.partitions)),
        features=tuple(dict.fromkeys([*spec.features, *from_partitions])),
        slurm=dict(spec.slurm),
        vars=dict(spec.vars),
        bare=spec.bare,
    )
