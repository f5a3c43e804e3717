"""`labctl destroy`: nothing stays."""

from __future__ import annotations

from labctl.cli.options import LabArgument, LabName
from labctl.cli.state import existing, state

EXAMPLES = ("labctl destroy full", "labctl destroy")


def run(lab: LabArgument = "", name: LabName = "") -> None:
    """Remove a lab: machines, disks, network, lease and files. Also a half-made one, or one without files."""
    doomed = existing(name or lab)
    doomed.destroy(state.reporter())
    print(f"{doomed.name} is gone")
