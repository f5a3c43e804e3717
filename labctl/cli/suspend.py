"""`labctl suspend`: machines that stand still and keep their memory."""

from __future__ import annotations

from labctl.cli.options import LabArgument, LabName, Nodes
from labctl.cli.state import existing, state

EXAMPLES = ("labctl suspend", "labctl suspend full --nodes gpu-0")


def run(lab: LabArgument = "", name: LabName = "", nodes: Nodes = "") -> None:
    """Freeze the machines of a lab in memory: no CPU is used until `labctl resume`. A reboot of the host ends them."""
    existing(name or lab).suspend(state.reporter(), nodes)
