"""Rules for nodes: names that can be host names, once each, with room in the network and every service."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from labctl.definition import hostlist
from labctl.definition.parts import Parts, twice
from labctl.definition.problems import Problem

#: Inventory groups and words of Slurm's, Ansible's and labctl's own; Ansible cannot tell a host from a group.
RESERVED = frozenset(
    {"all", "ungrouped", "localhost", "default", "login", "mpi", "munge", "slurmctld", "slurmd"}
)
ONE_EACH = ("ldap_server", "nfs_server", "slurmctld")


def host_names(parts: Parts) -> Iterator[Problem]:
    """Every name is a hostlist of host names."""
    for index, spec in parts.nodes.items():
        try:
            names = hostlist.expand(spec.name)
        except ValueError as error:
            yield Problem(("nodes", index, "name"), str(error))
            continue
        words = next(filter(None, map(_name_problem, names)), "")
        if words:
            yield Problem(("nodes", index, "name"), words)


def _name_problem(name: str) -> str:
    if name in RESERVED:
        return f"{name!r} means something else to Ansible or Slurm; try {name + '-0'!r}"
    return hostlist.hostname_problem(name)


def once(parts: Parts) -> Iterator[Problem]:
    """No node is there twice."""
    names = parts.names()
    yield from twice("node", ((("nodes", i, "name"), name, name) for i in names for name in names[i]))


def room(parts: Parts) -> Iterator[Problem]:
    """The network has an address for each."""
    if parts.network == "auto":
        return
    free = IPv4Network(parts.network).num_addresses - 3  # the network itself, the host and broadcast
    count = sum(len(names) for names in parts.names().values())
    if count > free:
        words = f"{parts.network} has room for {max(free, 0)} nodes, and the lab has {count}"
        yield Problem(("network",), f"{words}; take a larger network or auto")


def services(parts: Parts) -> Iterator[Problem]:
    """One LDAP server, one NFS server and one controller; and a node that computes."""
    names = parts.names()
    nodes = parts.nodes.items()
    for role in ONE_EACH:
        having = [(i, name) for i, spec in nodes if role in spec.roles for name in names[i]]
        if _missing(parts, role):
            yield Problem(("nodes",), f"no node has the role {role}; a lab needs exactly one")
        for index, name in having[1:]:
            words = f"{name} is a second {role}; {having[0][1]} is one already, and a lab has one"
            yield Problem(("nodes", index, "roles"), words)
    if _missing(parts, "slurmd"):
        yield Problem(("nodes",), "no node has the role slurmd; a lab needs one at least to run jobs")


def bare(parts: Parts) -> Iterator[Problem]:
    """A bare node has no roles and no variables, for nothing sets it up."""
    for index, spec in parts.nodes.items():
        for key in ("roles", "vars") if spec.bare else ():
            if getattr(spec, key):
                yield Problem(("nodes", index, key), f"a bare node has no {key}: no playbook ever gets to it")


def gpu_types(parts: Parts) -> Iterator[Problem]:
    """No more GPUs have a type than there are."""
    for index, spec in parts.nodes.items():
        typed = sum(spec.gpu_types.values())
        if typed > spec.gpus:
            words = f"{typed} GPUs have a type here, and the node has {spec.gpus}"
            yield Problem(("nodes", index, "gpu_types"), f"{words}; say gpus: {typed}")


def _missing(parts: Parts, role: str) -> bool:
    known = parts.sure("nodes", "nodes.roles")
    return known and not any(role in spec.roles for spec in parts.nodes.values())


def compute_only(parts: Parts) -> Iterator[Problem]:
    """What is Slurm's business is on nodes that run slurmd."""
    for index, spec in parts.nodes.items():
        if "slurmd" in spec.roles or not parts.sure("nodes.roles"):
            continue
        for key in ("gpus", "partitions", "slurm", "features"):
            if getattr(spec, key):
                yield Problem(("nodes", index, key), f"only a node with the role slurmd can have {key}")
