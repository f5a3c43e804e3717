"""`labctl status`: one lab as it is now."""

from __future__ import annotations

from labctl.cli import show, show_lab
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import reached

EXAMPLES = ("labctl status", "labctl status full --json")


def run(lab: LabArgument = "", name: LabName = "", as_json: Json = False) -> None:
    """Show a lab: nodes, Slurm states, partitions, how long it is up."""
    now = reached(name or lab).status()
    if as_json:
        show.as_json(now)
    else:
        show_lab.lab(now)
