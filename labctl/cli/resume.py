"""`labctl resume`: machines that go on where they stood still."""

from __future__ import annotations

from labctl.cli.options import LabArgument, LabName, Nodes
from labctl.cli.state import existing, state

EXAMPLES = ("labctl resume", "labctl resume full --nodes gpu-0")


def run(lab: LabArgument = "", name: LabName = "", nodes: Nodes = "") -> None:
    """Let suspended machines of a lab go on, with their clocks set, and wait until Slurm uses them."""
    found = existing(name or lab)
    if not found.resume(state.reporter(), nodes):
        print(f"no machine of {found.name} is suspended: nothing to do")
