"""What is done to several machines of a lab, through whoever makes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from labctl.console import StepView
from labctl.providers.base import Provider
from labctl.render.layout import Layout
from labctl.side_by_side import each

_STOP_DEADLINE = 180.0  # seconds for a machine to shut down, on a busy host, before it is switched off


def start(provider: Provider, lab: str, nodes: Sequence[str]) -> None:
    """Start machines that are stopped or suspended, side by side."""
    each(nodes, lambda node: provider.start(lab, node))


def suspend(provider: Provider, lab: str, nodes: Sequence[str], view: StepView) -> None:
    """Freeze machines in memory, side by side."""

    def one(node: str) -> None:
        provider.suspend(lab, node)
        view.node(node, "suspended", "ok")

    each(nodes, one)


def stop(
    provider: Provider, lab: str, nodes: Sequence[str], view: StepView, *, last: Collection[str], force: bool
) -> None:
    """Shut machines down, or switch them off, side by side; their disks stay.

    Args:
        provider: whose they are.
        lab: the lab.
        nodes: the machines.
        view: is told of each.
        last: those among them that others need until they are down themselves. A client of NFS does not let go of a
            hard mount whose server has gone, and is only switched off at its deadline.
        force: switch them off, all at once.
    """

    def one(node: str) -> None:
        view.node(node, "switching off" if force else "shutting down")
        provider.stop(lab, node, force=force, deadline=_STOP_DEADLINE)
        view.node(node, "stopped", "ok")

    needed = [] if force else [node for node in nodes if node in last]
    each([node for node in nodes if node not in needed], one)
    each(needed, one)


def remove(provider: Provider, lab: str, nodes: Sequence[str], directory: Path, view: StepView) -> None:
    """Machines and their disks gone, one after the other."""
    for node in nodes:
        provider.remove(lab, node, directory)
        view.node(node, "removed", "changed")


def resize(provider: Provider, layout: Layout, nodes: Sequence[str], view: StepView) -> None:
    """Machines shut down, and of the size that the layout says; they stay off."""
    machines = {one.node.name: one.node for one in layout.machines}

    def one(name: str) -> None:
        node = machines[name]
        provider.stop(layout.lab, name, force=False, deadline=_STOP_DEADLINE)
        provider.resize(layout.lab, name, cpus=node.cpus, memory=node.memory)
        view.node(name, f"has {node.cpus} CPUs and {node.memory} MiB", "changed")

    each(nodes, one)
