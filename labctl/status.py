"""A lab as it is right now: the machines as the hypervisor sees them, and the cluster as Slurm sees itself."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from labctl import scratch, services, slurm, troubles
from labctl.definition.models import Definition
from labctl.errors import BootError
from labctl.files import LabFiles
from labctl.providers.base import Found, Provider, Saver
from labctl.render import login
from labctl.render.graph import topology
from labctl.render.graph.topology import Topology
from labctl.services import Ask, ServiceStatus
from labctl.slurm import PartitionStatus, SlurmView
from labctl.steps import tell
from labctl.troubles import Trouble

_DEADLINE = 20.0  # seconds for a node's answer


@dataclass(frozen=True)
class NodeStatus:
    """One node; ``memory`` in MiB, ``slurm`` as sinfo says it, empty where Slurm does not know the node."""

    name: str
    state: str
    address: str
    roles: tuple[str, ...]
    cpus: int
    memory: int
    gpus: int
    slurm: str = ""
    reason: str = ""


@dataclass(frozen=True)
class LabStatus:
    """One lab.

    Attributes:
        state: running, stopped, suspended, partial (some nodes run), or missing.
        uptime_seconds: since the youngest machine was started; None if none runs.
        services: how they are, if that was asked.
        problems: what is wrong, each in one line.
        hints: what to do about each problem, in the same order.
        connect: commands that lead into the lab.
    """

    name: str
    state: str
    directory: str
    uptime_seconds: float | None
    provider: str
    driver: str
    network: str
    nodes: tuple[NodeStatus, ...]
    partitions: tuple[PartitionStatus, ...]
    services: tuple[ServiceStatus, ...]
    problems: tuple[str, ...]
    hints: tuple[str, ...]
    connect: tuple[str, ...]


def look(
    lab: str,
    definition: Definition | None,
    files: LabFiles,
    provider: Provider,
    machines: Sequence[Found],
    *,
    unknown: Trouble,
    with_services: bool = False,
) -> LabStatus:
    """Look at a lab.

    Args:
        lab: its name.
        definition: what it shall be; None if nobody knows.
        files: the lab's own.
        provider: who made it.
        machines: those of this lab.
        unknown: why there is no definition, if there is none.
        with_services: ask every node for its services.
    """
    record = files.record()
    members = _nodes(definition, machines, record.addresses)
    view: SlurmView | None = None
    asked: tuple[ServiceStatus, ...] = ()
    if definition and files.ssh_config.is_file():
        ask = _asking(lab, files.ssh_config, provider.saver)
        running = [node.name for node in members if node.state == "running" and with_services]
        with ThreadPoolExecutor(max_workers=2) as pool:
            looked = pool.submit(services.look, definition, running, record.addresses, ask)
            view = _slurm(members, ask)
            asked = looked.result()
    if view:
        members = _with_slurm(members, view)
    network = provider.network(lab)
    wrong = troubles.found(definition, members, view, asked, lab=lab) if definition else (unknown,)
    return LabStatus(
        name=lab,
        state=overall([node.state for node in members]),
        directory=str(files.directory),
        uptime_seconds=uptime(machines),
        provider=provider.name,
        driver=record.driver,
        network=str(network.subnet) if network else "",
        nodes=tuple(members),
        partitions=view.partitions if view else (),
        services=asked,
        problems=tuple(trouble.what for trouble in wrong),
        hints=tuple(trouble.hint for trouble in wrong),
        connect=connect(lab, members, files.ssh_config),
    )


def pictured(definition: Definition, now: LabStatus) -> Topology:
    """A lab as a picture shows it.

    Args:
        definition: what it shall be.
        now: what it is.
    """
    machinery = f"{now.provider} ({now.driver})" if now.driver else now.provider
    return topology.topology(
        definition,
        about=f"{now.state}, {machinery}",
        network=now.network,
        states={node.name: topology.state(node.state, node.slurm, node.reason) for node in now.nodes},
        addresses={node.name: node.address for node in now.nodes if node.address},
    )


def overall(states: Sequence[str]) -> str:
    """One word for all machines."""
    if not states or all(state == "missing" for state in states):
        return "missing"
    return states[0] if len(set(states)) == 1 else "partial"


def uptime(machines: Sequence[Found]) -> float | None:
    """Seconds since the youngest running machine was started."""
    starts = [machine.started for machine in machines if machine.started and machine.state == "running"]
    return time.time() - max(starts) if starts else None


def connect(lab: str, nodes: Sequence[NodeStatus], config: Path) -> tuple[str, ...]:
    """The commands that lead into a lab, by a login node or its controller if it runs, else by any node that does."""
    running = sorted(
        (node for node in nodes if node.state == "running"), key=lambda node: login.entrance(node.roles)
    )
    if not running or not config.is_file():
        return ()
    node = running[0].name
    return (f"labctl ssh --name {lab} {node}", shlex.join(["ssh", "-F", str(config), node]))


def _slurm(members: Sequence[NodeStatus], ask: Ask) -> SlurmView | None:
    """What the controller says; None if it does not run."""
    controller = next((node for node in members if "slurmctld" in node.roles), None)
    if controller is None or controller.state != "running":
        return None
    try:
        answer = ask(controller.name, slurm.ASK)
    except BootError as error:
        return SlurmView({}, (), f"{controller.name}: {error.why or error.what}")
    return slurm.parse(answer.stdout, error=answer.stderr.strip() if answer.code else "")


def _asking(lab: str, ssh_config: Path, saver: Saver | None) -> Ask:
    """What asks a node: by its guest agent, which answers at once; where there is none by SSH."""
    scratch.folder()
    return lambda node, script: tell.root(saver, lab, node, script, ssh_config=ssh_config, deadline=_DEADLINE)


def _nodes(
    definition: Definition | None, machines: Sequence[Found], addresses: Mapping[str, str]
) -> list[NodeStatus]:
    """Each node of the definition with the state of its machine; of a lab without one, the machines alone."""
    states = {machine.node: machine.state for machine in machines}
    if definition is None:
        return [NodeStatus(node, state, "", (), 0, 0, 0) for node, state in states.items()]
    return [
        NodeStatus(
            name=node.name,
            state=states.get(node.name, "missing"),
            address=addresses.get(node.name, ""),
            roles=node.roles,
            cpus=node.cpus,
            memory=node.memory,
            gpus=node.gpus,
        )
        for node in definition.machines()
    ]


def _with_slurm(nodes: Sequence[NodeStatus], slurm: SlurmView) -> list[NodeStatus]:
    """The same nodes with what Slurm says of each."""
    said = {node.name: slurm.nodes.get(node.name, ("", "")) for node in nodes}
    return [replace(node, slurm=said[node.name][0], reason=said[node.name][1]) for node in nodes]
