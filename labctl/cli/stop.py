"""`labctl stop`: power off, keep everything."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli.options import LabArgument, LabName, Nodes
from labctl.cli.state import existing, state

EXAMPLES = ("labctl stop", "labctl stop full --nodes gpu-0 --force")


def run(
    lab: LabArgument = "",
    name: LabName = "",
    nodes: Nodes = "",
    force: Annotated[bool, typer.Option("--force", help="Pull the plug instead of shutting down.")] = False,
) -> None:
    """Shut the machines of a lab down. Their disks stay; `labctl start` brings them back."""
    existing(name or lab).stop(state.reporter(), nodes, force=force)
