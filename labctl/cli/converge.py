"""`labctl converge`: run the roles again."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import completion, show
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import existing, state

EXAMPLES = (
    "labctl converge",
    "labctl converge full --limit @slurmd --tags slurm_common",
    "labctl converge --check",
)
SHOWN = 20


def run(
    *,
    lab: LabArgument = "",
    name: LabName = "",
    tags: Annotated[str, typer.Option("--tags", metavar="TAGS", help="Only tasks with these tags.")] = "",
    limit: Annotated[
        str,
        typer.Option("--limit", metavar="NODES", help="Only these nodes.", autocompletion=completion.nodes),
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Run the Ansible roles over a running lab, as `up` has last made it; an edit of lab.yml is for `up`."""
    result = existing(name or lab).converge(state.reporter(), tags=tags, limit=limit, check=check)
    if as_json:
        show.as_json(result)
        return
    verb = "would change" if check else "changed"
    if not result.changed:
        print(f"nothing {verb} ({result.ok} tasks ok)")
        return
    print(f"{result.changed} tasks {verb} something, {result.ok - result.changed} did not:")
    for task in result.changed_tasks[:SHOWN]:
        print(f"  {task}")
    if len(result.changed_tasks) > SHOWN:
        print(f"  and {len(result.changed_tasks) - SHOWN} more")
