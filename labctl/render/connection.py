"""How a client reaches a lab: facts for programs, and the same as files and words that other programs read.

Secrets are named by their paths and never told.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl import words
from labctl.errors import UsageError
from labctl.render import login, registry, rest
from labctl.render.layout import Layout
from labctl.render.ssh_config import quoted

#: What the names of the environment's variables begin with; the names of facts follow.
PREFIX = "SLURM_TEST_"
_PORT = 22
_JOBS = "slurm_jobs"  # the folder in a user's home where SDKs put what their jobs need


@dataclass(frozen=True)
class Partition:
    """A partition; `max_time` is Slurm's, and nothing where it has no limit of its own."""

    name: str
    default: bool
    max_time: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """A node; ``memory`` in MiB."""

    name: str
    address: str
    roles: tuple[str, ...]
    cpus: int
    memory: int
    gpus: int


@dataclass(frozen=True)
class Connection:
    """What a client has to know.

    Attributes:
        cluster: the lab's name, which is Slurm's ClusterName as well.
        hostname: the address of the node to log in to: a login node, or the controller where there is none.
        port: of its SSH server.
        username: who logs in there.
        home: of that user.
        key_filename: the private key that opens the account.
        known_hosts: the host keys of the nodes, as ssh keeps them.
        ssh_config: the lab's own, with a host for each node.
        controller: the controller's name.
        login: the name of the node to log in to.
        partition: where jobs go that name none.
        partitions: all of them.
        nodes: all of them.
        rest_url: of Slurm's REST daemon; nothing where there is none.
        rest_ca: the certificate of the authority that its own is signed by; None where there is none.
        registry: what names of images begin with on the nodes, such as ``cpu-0:5000``; nothing where there is none.
        registry_url: where clients outside of the lab reach it.
        registry_ca: the certificate of the authority that its own is signed by; None where there is none.
    """

    cluster: str
    hostname: str
    port: int
    username: str
    home: str
    key_filename: Path
    known_hosts: Path
    ssh_config: Path
    controller: str
    login: str
    partition: str
    partitions: tuple[Partition, ...]
    nodes: tuple[Member, ...]
    rest_url: str = ""
    rest_ca: Path | None = None
    registry: str = ""
    registry_url: str = ""
    registry_ca: Path | None = None


def connection(layout: Layout, user: str = "") -> Connection:
    """How somebody reaches a lab.

    Args:
        layout: the lab.
        user: one of its users, or who owns its machines; by default the first of its users.

    Raises:
        UsageError: it has no such user.
    """
    definition = layout.definition
    controller = next(machine for machine in layout.machines if "slurmctld" in machine.node.roles)
    door = min(layout.machines, key=lambda machine: login.entrance(machine.node.roles))
    homes = _homes(layout)
    username = user or next(iter(homes))
    if username not in homes:
        raise UsageError(
            f"{layout.lab} has no user {username!r}",
            hint=words.hint(username, homes, f"its users: {', '.join(homes)}"),
        )
    default = definition.default_partition()
    machines = [machine.node for machine in layout.machines]
    return Connection(
        cluster=layout.lab,
        hostname=str(door.address),
        port=_PORT,
        username=username,
        home=homes[username],
        key_filename=layout.directory / "id_ed25519",
        known_hosts=layout.directory / "known_hosts",
        ssh_config=layout.directory / "ssh_config",
        controller=controller.node.name,
        login=door.node.name,
        partition=default or "",
        partitions=tuple(
            Partition(
                name=one.name,
                default=one.name == default,
                max_time=one.max_time or "",
                nodes=tuple(node.name for node in machines if one.name in node.partitions),
            )
            for one in definition.partitions
        ),
        nodes=tuple(
            Member(node.name, str(machine.address), node.roles, node.cpus, node.memory, node.gpus)
            for machine in layout.machines
            for node in [machine.node]
        ),
        rest_url=rest.url(layout),
        rest_ca=layout.directory / rest.CA if definition.services.rest else None,
        registry=registry.host(layout),
        registry_url=registry.url(layout),
        registry_ca=layout.directory / rest.CA if definition.services.registry else None,
    )


def _homes(layout: Layout) -> dict[str, str]:
    """Who may log in with the lab's key, and where they are then; whoever owns the machines comes last."""
    owner = layout.box.user
    homes = {user.name: user.directory for user in layout.definition.users}
    return {**homes, owner: "/root" if owner == "root" else f"/home/{owner}"}


def ssh(to: Connection) -> str:
    """Hosts for ~/.ssh/config. They bear the lab's name, for other clusters have a cpu-0, too."""
    hosts = "".join(f"Host {node.name}.{to.cluster}\n    HostName {node.address}\n" for node in to.nodes)
    return f"""\
# The lab {to.cluster}, for ~/.ssh/config or a file that it includes: ssh {to.login}.{to.cluster}
{hosts}Host *.{to.cluster}
    User {to.username}
    Port {to.port}
    IdentityFile {quoted(to.key_filename)}
    IdentitiesOnly yes
    UserKnownHostsFile {quoted(to.known_hosts)}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking accept-new
"""


def env(to: Connection) -> str:
    """Variables for a shell: ``eval "$(labctl config --format env)"``."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _variables(to))


def _variables(to: Connection) -> Iterator[tuple[str, str]]:
    yield f"{PREFIX}CLUSTER", to.cluster
    for fact in ("hostname", "port", "username", "key_filename", "known_hosts", "ssh_config", "partition"):
        yield f"{PREFIX}{fact.upper()}", str(getattr(to, fact))
    if to.rest_url:
        yield f"{PREFIX}REST_URL", to.rest_url
        yield f"{PREFIX}REST_CA", str(to.rest_ca)
    if to.registry_url:
        yield f"{PREFIX}REGISTRY", to.registry
        yield f"{PREFIX}REGISTRY_URL", to.registry_url
        yield f"{PREFIX}REGISTRY_CA", str(to.registry_ca)


def slurmfile(to: Connection) -> str:
    """A Slurmfile.toml, where SDKs of Slurm look for their cluster."""
    return f"""\
# The lab {to.cluster}: its environment is [default], which is taken when none is named.

[default.cluster]
backend = "ssh"
# Every node must see it, as it does the homes of the lab's users.
job_base_dir = {_toml(f"{to.home}/{_JOBS}")}
partitions = [{", ".join(_toml(one.name) for one in to.partitions)}]

[default.cluster.backend_config]
hostname = {_toml(to.hostname)}
port = {to.port}
username = {_toml(to.username)}
key_filename = {_toml(str(to.key_filename))}
allow_agent = false
look_for_keys = false
# The keys of the lab's hosts are in a file of its own, which clients that read this one do not know:
# {to.known_hosts}
host_key_policy = "warn"
default_partition = {_toml(to.partition)}
"""


def _toml(text: str) -> str:
    """A string as TOML has it: as JSON has it."""
    return json.dumps(text, ensure_ascii=False)
