"""`labctl verify`: is the lab what it should be?"""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import show, show_lab
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import existing, state

EXAMPLES = ("labctl verify", "labctl verify full -k 'munge or ldap'", "labctl verify --quick")


def run(
    lab: LabArgument = "",
    name: LabName = "",
    expression: Annotated[
        str,
        typer.Option("-k", "--expression", metavar="EXPR", help="Only tests that match, as for pytest -k."),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Leave the slow tests out.")] = False,
    as_json: Json = False,
) -> None:
    """Test a running lab: LDAP, NFS, MUNGE, Slurm, jobs. Exits with 7 if a test fails."""
    level = "quick" if quick else "full"
    result = existing(name or lab).verify(state.reporter(), expression=expression, level=level)
    if as_json:
        show.as_json(result)
    else:
        print(show_lab.verified(result))
