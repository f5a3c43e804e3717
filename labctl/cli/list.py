"""`labctl list`: every lab of this host."""

from __future__ import annotations

from labctl.cli import show
from labctl.cli.options import Json
from labctl.cli.state import lab_type

EXAMPLES = ("labctl list", "labctl list --json")


def run(as_json: Json = False) -> None:
    """List the labs of this host, wherever their files are."""
    labs = lab_type().all()
    if as_json:
        show.as_json(labs)
    elif not labs:
        print("no labs; `labctl up` makes one")
    else:
        show.table(
            ("lab", "state", "nodes", "network", "directory"),
            [(lab.name, lab.state, f"{lab.running}/{lab.nodes}", lab.network, lab.directory) for lab in labs],
        )
