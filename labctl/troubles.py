"""What keeps a lab from being as defined, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl import services, slurm
from labctl.definition.models import Definition
from labctl.services import ServiceStatus
from labctl.slurm import SlurmView
from labctl.steps import drain

if TYPE_CHECKING:
    from labctl.status import NodeStatus


@dataclass(frozen=True)
class Trouble:
    """What is wrong, in one line, and the command or the deed that mends it."""

    what: str
    hint: str


def found(
    definition: Definition,
    nodes: Sequence[NodeStatus],
    view: SlurmView | None,
    asked: Sequence[ServiceStatus] = (),
    *,
    lab: str,
) -> tuple[Trouble, ...]:
    """What is wrong, causes first: while machines are away nothing else is looked at.

    Args:
        definition: what the lab shall be.
        nodes: how each is.
        view: what Slurm says; None if it was not asked.
        asked: the services that were looked at.
        lab: its name, for the commands.
    """
    away = tuple(_machines(nodes, lab))
    return away or (*_services(asked, lab), *_slurm(definition, view, lab))


def _machines(nodes: Sequence[NodeStatus], lab: str) -> Iterator[Trouble]:
    commands = {"stopped": f"labctl start {lab}", "suspended": f"labctl resume {lab}"}
    for node in nodes:
        if node.state != "running":
            yield Trouble(f"{node.name} is {node.state}", commands.get(node.state, f"labctl up --name {lab}"))


def _services(asked: Sequence[ServiceStatus], lab: str) -> Iterator[Trouble]:
    silent = dict.fromkeys(service.node for service in asked if service.state == services.UNKNOWN)
    for node in silent:
        restart = f"labctl stop {lab} --nodes {node} --force, then labctl up --name {lab}"
        yield Trouble(f"{node} does not answer", f"look at its console in logs/; or {restart}")
    for service in asked:
        if service.state not in ("active", services.UNKNOWN):
            logs = f"labctl logs --name {lab} {service.node} -u {service.name}"
            yield Trouble(
                f"{service.name} on {service.node} is {service.state}",
                f"labctl converge {lab}; or see {logs}",
            )


def _slurm(definition: Definition, view: SlurmView | None, lab: str) -> Iterator[Trouble]:
    if view is None:
        return
    controller = next(node.name for node in definition.machines() if "slurmctld" in node.roles)
    if view.error:
        logs = f"labctl logs --name {lab} {controller} -u slurmctld"
        yield Trouble(f"Slurm does not answer: {view.error}", f"labctl converge {lab}; or see {logs}")
        return
    for node in definition.machines():
        state, reason = view.nodes.get(node.name, ("unknown", "Slurm does not know it"))
        if "slurmd" in node.roles and not slurm.healthy(state):
            what = f"{node.name} is {state}" + (f": {reason}" if reason else "")
            yield Trouble(what, _hint(node.name, state, reason, controller, lab))


def _hint(node: str, state: str, reason: str, controller: str, lab: str) -> str:
    """What helps a node that Slurm does not use: one that a human has taken away only a human gives back."""
    if _by_hand(state, reason):
        resume = f"scontrol update nodename={node} state=resume"
        return f"labctl ssh --name {lab} {controller} -- {resume}"
    return f"labctl up --name {lab}"


def _by_hand(state: str, reason: str) -> bool:
    """Whether a human has taken a node away."""
    return state.startswith("drain") and not reason.startswith(drain.REASON)


def away(nodes: Sequence[NodeStatus]) -> dict[str, str]:
    """The compute nodes that run and that Slurm does not use, each with its state there.

    Without those that a human has taken away.
    """
    return {
        node.name: node.slurm
        for node in nodes
        if "slurmd" in node.roles
        and node.state == "running"
        and not slurm.healthy(node.slurm)
        and not _by_hand(node.slurm, node.reason)
    }
