"""`labctl collect`: all that a lab can tell about itself in one archive, for a bug report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import show
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import reached, state
from labctl.errors import UsageError

EXAMPLES = ("labctl collect", "labctl collect full -o bug.tar.gz", "labctl collect --json | jq -r .archive")


def run(
    lab: LabArgument = "",
    name: LabName = "",
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The archive, or a folder for it. Default: here, with the lab's name and the time.",
        ),
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Put a lab's files, logs, configurations and states into one archive, for a bug report.

    Keys, passwords and tokens are left out. A node that does not answer is named in it.
    """
    from labctl.reach.collecting import collect  # noqa: PLC0415 - ClusterShell comes with it

    found = reached(name or lab)
    archive = output
    if output.is_dir():
        archive = output / f"labctl-{found.name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.tar.gz"
    if not archive.parent.is_dir():
        raise UsageError(f"there is no folder {archive.parent}", hint=f"mkdir -p {archive.parent}")
    collection = collect(found, archive, state.reporter())
    if as_json:
        show.as_json(collection)
        return
    show.table(
        ("part", "files", "size", "problem"),
        [(part.name, part.files, show.size(part.bytes), part.problem) for part in collection.parts],
    )
    print(f"\n{collection.archive}: {show.size(collection.bytes)}")
    print("Keys, passwords and tokens were left out; look through it before you hand it on.")
