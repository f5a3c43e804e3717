"""A lab as a picture shows it: nodes, what each serves, who asks whom, and how each of them is.

A picture of a definition alone is a plan; states come on top where there is a lab.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from labctl.definition import hostlist
from labctl.definition.models import Definition, Node
from labctl.render import groups, jupyter, registry, rest, storage

Tone = Literal["good", "busy", "off", "bad"]
Service = Literal["LDAP", "NFS", "Slurm", "MUNGE", "Accounting", "MariaDB", "REST", "Registry", "Jupyter"]

#: What a role is to somebody who looks at a picture; a role that is not here is shown by its name.
WORDS = {
    "ldap_server": "LDAP server",
    "nfs_server": "NFS server",
    "mariadb": "MariaDB",
    "slurmdbd": "Slurm accounting",
    "slurmctld": "Slurm controller",
    "slurmd": "compute node",
    "slurmrestd": "Slurm REST API",
    "registry": "registry of images",
    "login": "login node",
    "jupyterhub": "JupyterHub",
}
#: Beside the word for a state, for eyes that see no colours.
SYMBOLS: dict[Tone, str] = {"good": "●", "busy": "◐", "off": "○", "bad": "✖"}
# slurm.conf(5): where the daemons listen unless it says something else.
_PORTS = {"SlurmctldPort": 6817, "SlurmdPort": 6818}
#: slurmdbd.conf(5): where slurmdbd listens.
DBD_PORT = 6819
_GOOD = ("idle", "running")
_BUSY = ("mixed", "allocated", "completing", "reserved", "planned")
_OFF = ("stopped", "suspended", "missing")


@dataclass(frozen=True)
class State:
    """How a node is: a word, what that means, and why it is so, if that is known."""

    word: str
    tone: Tone
    reason: str = ""


@dataclass(frozen=True)
class Link:
    """A service: who gives it, who uses it, and what passes between them.

    Attributes:
        service: its name.
        server: the node that gives it; nothing where all are equals.
        clients: the nodes that use it; the server may be its own.
        about: what it is for, and the ports.
    """

    service: Service
    server: str
    clients: tuple[str, ...]
    about: str


@dataclass(frozen=True)
class Rack:
    """Nodes that are in the same partitions."""

    partitions: tuple[str, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Topology:
    """All that a picture of a lab is made from.

    Attributes:
        lab: its name.
        about: the lab as a whole in a few words, such as ``running, up 2 m``.
        network: the subnet, or what it will be.
        nodes: all of them, in the order of the definition.
        partitions: what is said of each partition, by its name: ``default, 1:00:00``.
        links: who talks to whom.
        states: of each node, as far as it is known.
        addresses: of each node, as far as it is known.
    """

    lab: str
    about: str
    network: str
    nodes: tuple[Node, ...]
    partitions: dict[str, str]
    links: tuple[Link, ...]
    states: Mapping[str, State] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[Node, ...]:
        """The nodes that give a service to the others."""
        giving = {link.server for link in self.links}
        return tuple(node for node in self.nodes if node.name in giving)

    @property
    def racks(self) -> tuple[Rack, ...]:
        """All other nodes, by their partitions."""
        found: dict[tuple[str, ...], list[Node]] = {}
        for node in self.nodes:
            if node not in self.servers:
                found.setdefault(node.partitions, []).append(node)
        return tuple(Rack(partitions, tuple(nodes)) for partitions, nodes in found.items())

    def alike(self, nodes: Iterable[Node]) -> tuple[tuple[Node, ...], ...]:
        """Nodes that differ in nothing that a picture shows are together."""
        found: dict[tuple[object, ...], list[Node]] = {}
        for node in nodes:
            looks = (roles(node), node.cpus, node.memory, node.gpus, self.states.get(node.name))
            found.setdefault(looks, []).append(node)
        return tuple(tuple(group) for group in found.values())

    def clients(self, link: Link) -> str:
        """Who uses a service, in the fewest words; nothing if that is nobody but its server."""
        if set(link.clients) <= {link.server or link.clients[0]}:
            return ""
        others = [node.name for node in self.nodes if node.name not in link.clients]
        short = f"all but {hostlist.fold(others)}" if others else "all nodes"
        return min(short, hostlist.fold(list(link.clients)), key=len)

    def title(self, rack: Rack) -> str:
        """What a rack is, with what is said of its partitions: ``partition cpu (default, 1:00:00)``."""
        known = self.partitions
        named = [f"{name} ({known[name]})" if known[name] else name for name in rack.partitions]
        return f"partition{'s' if len(named) > 1 else ''} {', '.join(named)}" if named else "other nodes"


def topology(
    definition: Definition,
    *,
    about: str = "planned",
    network: str = "",
    states: Mapping[str, State] | None = None,
    addresses: Mapping[str, str] | None = None,
) -> Topology:
    """The picture of a definition, and of the lab that it is, if there is one.

    Args:
        definition: what is or shall be.
        about: the lab as a whole in a few words.
        network: its subnet; nothing while it has none.
        states: of its nodes, see `state`.
        addresses: of its nodes.
    """
    return Topology(
        lab=definition.name,
        about=about,
        network=network or ("a free /24" if definition.network == "auto" else definition.network),
        nodes=definition.machines(),
        partitions=_partitions(definition),
        links=_links(definition),
        states=states or {},
        addresses=addresses or {},
    )


def roles(node: Node) -> tuple[str, ...]:
    """What a node is, in words; one without roles only uses what the others give, and a bare one not even that."""
    return tuple(WORDS.get(role, role) for role in node.roles) or ("bare" if node.bare else "client",)


def size(node: Node) -> tuple[str, str, str]:
    """A node's CPUs, memory and GPUs in words; nothing for no GPU."""
    return (_count(node.cpus, "CPU"), f"{node.memory} MiB", _count(node.gpus, "GPU") if node.gpus else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def state(machine: str, slurm: str = "", reason: str = "") -> State:
    """What is said of a node: Slurm's word for it while its machine runs, the machine's own otherwise.

    Args:
        machine: its machine's state.
        slurm: as sinfo says it, in the long form; nothing where Slurm does not know the node.
        reason: why Slurm does not use it.
    """
    word = slurm if slurm and machine == "running" else machine
    silent = word.endswith("*")  # sinfo(1): the node does not respond
    if word in _OFF:
        return State(word, "off")
    if word.startswith(_GOOD) and not silent:
        return State(word, "good", reason)
    return State(word, "busy" if word.startswith(_BUSY) and not silent else "bad", reason)


def _partitions(definition: Definition) -> dict[str, str]:
    default = definition.default_partition()
    words = {}
    for partition in definition.partitions:
        said = ("default" if partition.name == default else "", _limit(partition.max_time or ""))
        words[partition.name] = ", ".join(filter(None, said))
    return words


def _limit(time: str) -> str:
    """Slurm's MaxTime as a reader takes it: a bare number would be anything."""
    return f"{time} minutes" if time.isdigit() else time


def _links(definition: Definition) -> tuple[Link, ...]:
    """The services by the very groups that the roles go by."""
    nodes = definition.machines()
    members = groups.members(nodes)
    (ldap,), (nfs,), (controller,) = (members[role] for role in ("ldap_server", "nfs_server", "slurmctld"))
    listening = ports(definition)
    return (
        Link("LDAP", ldap, tuple(members["ldap_client"]), "users, groups (389, StartTLS)"),
        Link("NFS", nfs, tuple(members["nfs_client"]), _shares(definition)),
        Link(
            "Slurm",
            controller,
            tuple(members["slurmd"]),
            f"jobs ({listening['SlurmctldPort']}, {listening['SlurmdPort']})",
        ),
        Link("MUNGE", "", tuple(members["munge"]), "one key, mutual trust"),
        *_accounting(members),
        *(
            Link(
                "REST",
                server,
                tuple(members["slurmctld"]),
                f"who has a token ({rest.port(definition)}, TLS)",
            )
            for server in members.get("slurmrestd", [])
        ),
        *(
            Link(
                "Registry", server, tuple(members["containers"]), f"images ({registry.port(definition)}, TLS)"
            )
            for server in members.get("registry", [])
        ),
        *(
            Link(
                "Jupyter", server, tuple(members["slurmd"]), f"notebooks ({jupyter.port(definition)}, by SSH)"
            )
            for server in members.get("jupyterhub", [])
        ),
    )


def _accounting(members: Mapping[str, list[str]]) -> Iterator[Link]:
    """Accounting and its database, which has a line of its own where it has a node of its own."""
    for daemon in members.get("slurmdbd", []):
        yield Link("Accounting", daemon, tuple(members["slurmctld"]), f"jobs, accounts, limits ({DBD_PORT})")
        for database in members["mariadb"]:
            if database != daemon:
                yield Link("MariaDB", database, (daemon,), "accounting's database (3306)")


def _shares(definition: Definition) -> str:
    return f"{', '.join(storage.paths(definition))} (2049)".lstrip()


def ports(definition: Definition) -> dict[str, object]:
    """Where Slurm's daemons listen, by their keys in slurm.conf."""
    given = definition.vars.get("slurm_common_config")
    return {key: given.get(key, port) if isinstance(given, Mapping) else port for key, port in _PORTS.items()}
