"""`labctl list`: every lab of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.cli import show
from labctl.cli.options import Json
from labctl.cli.state import known_type, state

if TYPE_CHECKING:
    from labctl.finding import LabSummary

EXAMPLES = ("labctl list", "labctl list --json")


def run(as_json: Json = False) -> None:
    """List the labs of this host, wherever their files are, those too whose files are gone.

    Labs that have no machines yet are known by their files, in this folder and above.
    """
    labs = known_type().all(state.directory.absolute())
    if as_json:
        show.as_json(labs)
    elif not labs:
        print("no labs; `labctl up` makes one")
    else:
        show.table(
            ("lab", "state", "nodes", "network", "directory"),
            [
                (lab.name, lab.state, f"{lab.running}/{lab.nodes}", lab.network, _directory(lab))
                for lab in labs
            ],
        )


def _directory(lab: LabSummary) -> str:
    if lab.directory is None:
        return ""
    return str(lab.directory) if lab.files else f"{lab.directory} (gone; labctl destroy {lab.name})"
