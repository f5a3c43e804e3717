"""The questions: which script runs on which node, and with what. The answers come back as sections."""

from __future__ import annotations

import functools
import shlex
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Concatenate, ParamSpec, TypeVar

from . import connection, doors
from .account import Account
from .answers import Sections
from .connection import Answer, Connections, NodeError
from .doors import Doors
from .jobs import Plan
from .shared import shared, writers
from .survey import Survey, ahead
from .topology import Partition, Topology, User

SCRIPTS = Path(__file__).parent / "scripts"
OUTSIDE = ("192.0.2.0/30", "198.51.100.0/30", "203.0.113.0/30")  # RFC 5737: networks that nobody has
CHECKSUMS = ("/etc/slurm/slurm.conf", "/etc/slurm/cgroup.conf", "/etc/munge/munge.key")
MANY_NAMES = 32  # more nodes than this and a node is asked to resolve the controller's name only
UNITS = {
    "ldap_server": "slapd.service",
    "ldap_client": "sssd.service",
    "nfs_server": "nfs-server.service",
    "munge": "munge.service",
    "mariadb": "mariadb.service",
    "slurmdbd": "slurmdbd.service",
    "slurmrestd": "slurmrestd.service",
    "slurmctld": "slurmctld.service",
    "slurmd": "slurmd.service",
    "registry": "docker-registry.service",
    "jupyterhub": "jupyterhub.service",
}

P = ParamSpec("P")
T = TypeVar("T")


def once(
    method: Callable[Concatenate[Questions, P], T],
) -> Callable[Concatenate[Questions, P], T]:
    """Put the question a method stands for once; the answer, or the error, is everyone's."""

    @functools.wraps(method)
    def asked(self: Questions, /, *args: P.args, **kwargs: P.kwargs) -> T:
        answer: T = self.survey.ask((method.__name__, *args), lambda: method(self, *args, **kwargs))
        return answer

    return asked


def script(name: str, **variables: object) -> str:
    """A script of the suite with its variables set."""
    lines = [f"{key}={shlex.quote(str(value))}" for key, value in variables.items()]
    return "\n".join([*lines, (SCRIPTS / "lib.sh").read_text(), (SCRIPTS / f"{name}.sh").read_text()])


@dataclass
class Questions:
    """Every question the suite can put; each is put once, whoever asks first.

    Args:
        quick: ask only what the quick tests need to know.
        deadline: seconds that jobs together may take.
        settle: seconds that nodes may take to become idle before anything is asked.
    """

    topology: Topology
    connections: Connections
    quick: bool = False
    deadline: int = 180
    settle: int = 60
    token: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    survey: Survey = field(default_factory=Survey)

    def start(self, topic: str, node: str | None = None) -> Thread:
        """Put a question in the background, so that its answer is there when a test wants it."""
        question = getattr(self, topic)
        return ahead(f"{topic} {node or ''}", question if node is None else lambda: question(node))

    def begin_jobs(self, most: float) -> None:
        """Submit the jobs, which take longest, before anything else keeps the nodes busy.

        Returns when the controller has told what it knows without jobs, or after ``most`` seconds.
        """
        self.start("jobs")
        self.start("cluster").join(most)

    @once
    def facts(self, node: str) -> Sections:
        """What a node knows of itself, users and mounts."""
        topology, user = self.topology, self.topology.user
        client = node in topology.nodes("ldap_client")
        names = topology.nodes()
        if len(names) > MANY_NAMES:
            names = tuple(filter(None, [node, topology.controller]))
        return self._ask(
            node,
            "node",
            level=self._level,
            me=node,
            names=" ".join(names),
            users=" ".join(one.name for one in topology.users) if client else "",
            groups=" ".join(group["name"] for group in topology.ldap_groups) if client else "",
            units=" ".join(unit for role, unit in UNITS.items() if node in topology.nodes(role))
            or "ssh.service",
            checksums=" ".join(CHECKSUMS),
            modes="/etc/munge/munge.key",
            user=user.name if user and client else "",
            shared=" ".join(shared(topology, node).values()),
            token=self.token,
        )

    @once
    def exchange(self, node: str) -> Sections:
        """What a node can read of what every other node wrote."""
        directories = shared(self.topology, node)
        remote = [mount.path for mount in self.topology.mounts(node)]
        credentials = self._credentials()  # on every node: it waits until all have written their files, too
        if node not in self.topology.nodes("munge"):
            credentials = {}
        account = Account.of(self.topology)
        return self._ask(
            node,
            "exchange",
            stdin="".join(f"{other} {made}\n" for other, made in credentials.items() if made),
            user=account.user.name,
            home=account.user.home,
            shared=" ".join(directories.values()),
            squashed=" ".join(path for path in directories.values() if path.startswith(tuple(remote))),
            writers=" ".join(writers(self.topology)),
            token=self.token,
        )

    @once
    def cluster(self) -> Sections:
        """Nodes, partitions and configuration as the controller has them, before any job."""
        return self._ask(
            self._host("slurmctld"),
            "cluster",
            deadline=self.settle + 60,
            settle=self.settle,
            level=self._level,
        )

    @once
    def jobs(self) -> Sections:
        """How the jobs ended that the suite's user submitted."""
        # First: nodes are idle only until jobs run.
        plan = Plan.of(self.topology, self.cluster(), quick=self.quick)
        user, controller, gpu = Account.of(self.topology).user, self._host("slurmctld"), plan.gpu
        sections = self._ask_as(
            user,
            controller,
            "jobs",
            level=self._level,
            deadline=self.deadline,
            partitions=" ".join(f"{one.name}:{len(one.nodes)}" for one in plan.spans),
            default=plan.default.name,
            gpu_partition=gpu.partition if gpu else "",
            gpu_node=gpu.node if gpu else "",
            gpu_most=gpu.most if gpu else 0,
            gpu_ask=gpu.asked if gpu else 0,
            gpu_devices=" ".join(gpu.devices) if gpu else "",
            accounting="yes" if self.topology.nodes("slurmdbd") else "",
        )
        return Sections(sections | plan.untried)

    @once
    def accounting(self) -> Sections:
        """What accounting says of the suite's user, and what becomes of jobs that its limits forbid."""
        user, limit = Account.of(self.topology).user, self.topology.limit
        return self._ask(
            self._host("slurmctld"),
            "accounting",
            user=user.name,
            home=user.home,
            cluster=self.topology.cluster,
            qos=limit.qos if limit else "",
            jobs=limit.jobs or 0 if limit else 0,
            longer=limit.longer if limit else "",
        )

    @once
    def rest(self) -> Sections:
        """What the REST daemon answers to its user with a token, and to others."""
        user, node, partition = (
            Account.of(self.topology).user,
            self._host("slurmrestd"),
            self.topology.default_partition,
        )
        port = self.topology.var(node, "slurmrestd_port", 6820)
        address = self.topology.var(node, "slurmrestd_tls_address", "")
        return self._ask(
            node,
            "rest",
            deadline=180,
            stdin=self.topology.anywhere("verify_rest_ca") or "",
            user=user.name,
            home=user.home,
            partition=partition.name if partition else "",
            plain=f"http://127.0.0.1:{port}",
            tls=f"https://{address}:{port}" if address else "",
            address=address,
            port=port,
        )

    @once
    def containers(self) -> Sections:
        """What becomes of an image that the suite's user makes, and of jobs that run in it."""
        self.cluster()  # nodes are idle only until jobs run
        node, partition = self._host("containers"), self.topology.default_partition
        registries = self.topology.var(node, "containers_registries", [])
        user = Account.of(self.topology).user
        return self._ask_as(
            user,
            node,
            "containers",
            bundles=self.topology.anywhere("verify_bundles") or user.home,
            deadline=self.deadline,
            partition=partition.name if partition else "",
            registry=registries[0]["host"] if registries and self.topology.nodes("registry") else "",
            token=self.token,
        )

    @once
    def jupyter(self) -> Sections:
        """What JupyterHub says to the suite's user and to others, and what becomes of a notebook."""
        self.cluster()  # nodes are idle only until jobs run
        node, account, partition = (
            self._host("jupyterhub"),
            Account.of(self.topology),
            self._aside(),
        )
        address = self.topology.var(node, "jupyterhub_tls_address", "")
        port = self.topology.var(node, "jupyterhub_port", 8000)
        certificate = self.topology.var(node, "jupyterhub_tls_certificate", "")
        return self._ask(
            node,
            "jupyter",
            deadline=self.deadline + 120,
            stdin=f"{account.password}\n{certificate}",
            user=account.user.name,
            partition=partition.name if partition else "",
            patience=self.deadline,
            page=f"https://{address}:{port}" if address else f"http://127.0.0.1:{port}",
        )

    @once
    def pyxis(self) -> Sections:
        """What becomes of an image that the suite's user makes without any registry, and of jobs that run in it."""
        self.cluster()  # nodes are idle only until jobs run
        user, partition = Account.of(self.topology).user, self.topology.default_partition
        return self._ask_as(
            user,
            self._host("pyxis"),
            "pyxis",
            directory=user.home,
            deadline=self.deadline,
            partition=partition.name if partition else "",
        )

    @once
    def mpi(self) -> Sections:
        """A program that the suite's user builds on the login node and runs as a job on several compute nodes."""
        with suppress(NodeError):
            self.jobs()  # nodes are to be idle before and after those
        partition = self.topology.default_partition
        if partition is None:
            raise NodeError("the inventory has no slurm_common_partitions, so no job can be submitted")
        return self._ask_as(
            Account.of(self.topology).user,
            self._host("login"),
            "mpi",
            deadline=self.deadline,
            partition=partition.name,
            nodes=min(2, len(partition.nodes)),
        )

    @once
    def doors(self) -> Doors:
        """Who gets in by SSH on a compute node that is for jobs alone."""
        node, account = self.topology.closed[0], Account.of(self.topology)
        aside = self._aside()
        notebook = [] if aside and node not in aside.nodes else [self.jupyter]
        # The user shall have no job there while that is tried.
        for jobs in (self.jobs, self.mpi, self.rest, self.containers, self.pyxis, *notebook):
            with suppress(NodeError):
                jobs()
        short = node.partition(".")[0]
        occupying = script("occupy", user=account.user.name, node=short, wait=self.deadline)
        login = self.topology.key_maker
        return doors.tried(node, self._host("slurmctld"), self.connections, account, occupying, login=login)

    @once
    def resume(self) -> Sections:
        """What an admin would do after a reboot: nodes resumed where slurm.conf leaves that to one."""
        controller = self._host("slurmctld")
        return self._ask(controller, "resume", deadline=self.settle + 60, settle=self.settle)

    @once
    def directory(self) -> Sections:
        """How the LDAP server stores passwords."""
        return self._ask(self._host("ldap_server"), "directory")

    @once
    def binds(self) -> Sections:
        """How binds to the LDAP server end, with and without TLS."""
        account = Account.of(self.topology)
        uris = self.topology.var(account.client, "ldap_client_uris", [])
        return self._ask(
            account.client,
            "binds",
            stdin=f"{account.password}\n",
            uri=uris[0] if uris else "",
            base=self.topology.var(account.client, "ldap_client_base", ""),
            user=account.user.name,
        )

    @once
    def login(self) -> Answer:
        """The suite's user logs in by SSH where users do."""
        account, node = Account.of(self.topology), self.topology.entrance
        if node is None:
            raise NodeError("the inventory has no node that users may log in to")
        told = 'id -un; pwd -P; echo "$HOME"; stat -c "%U %a" "$HOME"; command -v sinfo'
        told += "; prlimit --noheadings --raw --output RESOURCE,HARD"
        # As a person's shell, which may make a key for the way to other nodes: see `doors`.
        shell = f"bash -lc {shlex.quote(told)}"
        command = self.connections.login(node, account.user.name, account.key, shell)
        return connection.run(command, whom=f"{node} as {account.user.name}", deadline=120)

    @once
    def exports(self) -> Sections:
        """What the NFS server exports."""
        return self._ask(self._host("nfs_server"), "exports")

    @once
    def outsider(self) -> Sections:
        """How a mount from outside the exported networks ends."""
        taken = [network for export in self.topology.exports for network in export.networks]
        free = [one for one in map(ip_network, OUTSIDE) if not any(one.overlaps(net) for net in taken)]
        if not free:
            return Sections(missing="a network that is not exported to")
        server, client = free[0].hosts()
        return self._ask(
            self._host("nfs_server"),
            "outsider",
            deadline=300,
            server=server,
            client=client,
            prefix=free[0].prefixlen,
            exports=" ".join(export.path for export in self.topology.exports),
        )

    def clean(self) -> None:
        """Remove what the nodes wrote for each other."""
        node = next((one for one in writers(self.topology) if self.survey.asked(("facts", one))), None)
        if node is not None and not self.quick:
            user, directories = Account.of(self.topology).user, shared(self.topology, node).values()
            self._ask(node, "cleanup", user=user.name, shared=" ".join(directories), token=self.token)

    @property
    def _level(self) -> str:
        return "quick" if self.quick else "full"

    def _aside(self) -> Partition | None:
        """A partition without the node whose doors are tried, where there is one; else the default one."""
        tried = self.topology.closed[:1]
        apart = [one for one in self.topology.partitions if one.nodes and not {*tried} & {*one.nodes}]
        return apart[0] if tried and apart else self.topology.default_partition

    def _host(self, group: str) -> str:
        node = self.topology.first(group)
        if node is None:
            raise NodeError(f"the inventory has no node in {group}")
        return node

    def _ask(
        self, node: str, name: str, *, stdin: str = "", deadline: float = 120, **variables: object
    ) -> Sections:
        sent = time.time()
        answer = self.connections.ask(node, script(name, **variables), stdin=stdin, deadline=deadline)
        sections = Sections.parse(answer.stdout)
        sections |= {"stderr": answer.stderr.strip(), "sent": str(sent), "received": str(time.time())}
        return sections

    def _ask_as(self, user: User, node: str, name: str, *, deadline: int, **variables: object) -> Sections:
        """Have the user run a script that submits jobs, which may take so many seconds, in a clean environment."""
        text = script(name, HOME=user.home, deadline=deadline, **variables)
        shell = f'runuser -u {user.name} -- env -i PATH="$PATH" sh -c {shlex.quote("export HOME; " + text)}'
        answer = self.connections.ask(node, shell, deadline=deadline + 120)
        sections = Sections.parse(answer.stdout)
        if sections["broken"] or not sections:
            said = sections["broken"] or answer.stderr.strip()
            raise NodeError(f"{node}: {user.name} cannot submit jobs: {said}")
        return Sections(sections | {"stderr": answer.stderr.strip()})

    def _credentials(self) -> dict[str, str]:
        """A MUNGE credential of each node, once every node has written its files; a dead node has none."""
        nodes = dict.fromkeys([*self.topology.nodes("munge"), *writers(self.topology)])
        for node in nodes:
            self.start("facts", node)
        credentials = {}
        for node in nodes:
            with suppress(NodeError):
                credentials[node] = self.facts(node)["credential"].strip()
        return {node: made for node, made in credentials.items() if node in self.topology.nodes("munge")}
