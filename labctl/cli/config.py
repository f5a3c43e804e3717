"""`labctl config`: how clients reach a lab."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from labctl.cli import show
from labctl.cli.options import LabArgument, LabName
from labctl.cli.state import reached

EXAMPLES = (
    "labctl config",
    "labctl config full --format json",
    'eval "$(labctl config --format env)"',
    "labctl config --format ssh >> ~/.ssh/config",
    "labctl config --format slurmfile > Slurmfile.toml",
)
Form = Literal["json", "ssh", "env", "slurmfile"]


def run(
    *,
    lab: LabArgument = "",
    name: LabName = "",
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="json, ssh (for ~/.ssh/config), env (for a shell) or slurmfile (for SDKs of Slurm).",
        ),
    ] = "json",
    user: Annotated[
        str,
        typer.Option(
            "-u", "-l", "--user", metavar="USER", help="Who logs in. Default: the first user of the lab."
        ),
    ] = "",
) -> None:
    """Print how clients reach a lab: host, user, key, known hosts, partitions and nodes.

    No secret is printed, only where it is. The lab need not run; its addresses are its own until it is destroyed.
    """
    from labctl.render import connection  # noqa: PLC0415

    to = connection.connection(reached(name or lab).layout(), user)
    if form == "json":
        show.as_json(to)
        return
    sys.stdout.write(
        {"ssh": connection.ssh, "env": connection.env, "slurmfile": connection.slurmfile}[form](to)
    )
