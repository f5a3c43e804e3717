"""`labctl reset`: a running lab as it was when it was verified, within seconds."""

from __future__ import annotations

from labctl.cli.options import LabArgument, LabName
from labctl.cli.state import existing, state

EXAMPLES = ("labctl reset", "labctl reset full")


def run(lab: LabArgument = "", name: LabName = "") -> None:
    """Put a lab back to the snapshot that it was last saved as or made from. What happened since then is lost."""
    found = existing(name or lab)
    snapshot = found.reset(state.reporter())
    print(f"{found.name} is as it was when {snapshot.name} was saved")
