"""`labctl start`: power on."""

from __future__ import annotations

from labctl.cli.options import LabArgument, LabName, Nodes
from labctl.cli.state import existing, state

EXAMPLES = ("labctl start", "labctl start full --nodes cpu-[0-1]")


def run(lab: LabArgument = "", name: LabName = "", nodes: Nodes = "") -> None:
    """Start the machines of a lab that was stopped, and wait until they answer and Slurm uses them."""
    existing(name or lab).start(state.reporter(), nodes)
