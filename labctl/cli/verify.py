"""`labctl verify`: is the lab what it should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import show, show_lab
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import existing, state
from labctl.errors import UsageError, VerifyError

if TYPE_CHECKING:
    from labctl.steps.verify import Level

EXAMPLES = (
    "labctl verify",
    "labctl verify full -k 'munge or ldap'",
    "labctl verify --quick",
    "labctl verify --disruptive",
)


def run(
    *,
    lab: LabArgument = "",
    name: LabName = "",
    expression: Annotated[
        str,
        typer.Option("-k", "--expression", metavar="EXPR", help="Only tests that match, as for pytest -k."),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Leave the slow tests out.")] = False,
    disruptive: Annotated[
        bool, typer.Option("--disruptive", help="Instead, the tests that reboot all nodes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Test a running lab: LDAP, NFS, MUNGE, Slurm, jobs. Exits with 7 if a test fails."""
    if quick and disruptive:
        raise UsageError("--quick and --disruptive are different runs", hint="give one of them")
    level: Level = "quick" if quick else "disruptive" if disruptive else "full"
    try:
        result = existing(name or lab).verify(state.reporter(), expression=expression, level=level)
    except VerifyError as error:
        if as_json and hasattr(error, "result"):
            show.as_json(error.result)
        raise
    if as_json:
        show.as_json(result)
    else:
        print(show_lab.verified(result))
