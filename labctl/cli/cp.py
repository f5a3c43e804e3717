"""`labctl cp`: files to and from many nodes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import show, show_outcomes
from labctl.cli.options import Json, LabName, User
from labctl.cli.state import reached
from labctl.errors import UsageError

EXAMPLES = (
    "labctl cp job.sh @slurmd:/tmp/",
    "labctl cp -u nucci -r src slurmctld-0:",
    "labctl cp slurmctld-0:/etc/slurm/slurm.conf .",
    "labctl cp 'cpu-[0-1]:/var/log/slurm/slurmd.log' logs/",
)


def run(
    words: Annotated[list[str], typer.Argument(metavar="SRC... DST", show_default=False)],
    name: LabName = "",
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Copy folders as well.")] = False,
    user: User = "",
    as_json: Json = False,
) -> None:
    """Copy files to nodes or from nodes, in parallel. NODES:PATH is on nodes: cpu-[0-1]:/tmp, @slurmd:/tmp, all:.

    What comes from more than one node goes into a folder for each node in DST, which is made: from cpu-[0-1] to
    logs/ that is logs/cpu-0/slurmd.log and logs/cpu-1/slurmd.log. The exit code is the worst of all nodes'.
    """
    from labctl.reach.copying import copy  # noqa: PLC0415 - ClusterShell comes with it
    from labctl.reach.parallel import worst  # noqa: PLC0415

    *sources, target = words
    if not sources:
        raise UsageError(f"where shall {target} go?", hint="labctl cp SRC... DST")
    outcomes = copy(reached(name), sources, target, user=user, recursive=recursive)
    if as_json:
        show.as_json(outcomes)
    else:
        show_outcomes.said(outcomes)
    raise typer.Exit(worst(outcomes))
