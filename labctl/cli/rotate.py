"""`labctl rotate`: a new secret for a running lab."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import show
from labctl.cli.options import DryRun, Json, LabArgument, LabName
from labctl.cli.state import existing, state
from labctl.rotation import Kind

EXAMPLES = (
    "labctl rotate munge",
    "labctl rotate jwt full --dry-run",
    "labctl rotate tls --authority",
    "labctl rotate ldap --json",
)


def run(
    *,
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="KIND",
            help="munge (the key), jwt (the key of Slurm's tokens), tls (the servers' certificates) or ldap (the "
            "users' passwords).",
            show_default=False,
        ),
    ],
    lab: LabArgument = "",
    name: LabName = "",
    authority: Annotated[
        bool,
        typer.Option(
            "--authority", help="With tls: a new certificate authority as well. Old certificates die."
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give a running lab a new secret, and see that the old one is dead. Jobs go on.

    What is interrupted or fails, `labctl up --name LAB` brings to its end.
    """
    found = existing(name or lab)
    if dry_run:
        planned = found.rotation(kind, authority=authority)
        if as_json:
            show.as_json(planned)
        else:
            show.table(("nodes", "what"), [(",".join(one.nodes), one.does) for one in planned])
        return
    done = found.rotate(state.reporter(), kind, authority=authority)
    if as_json:
        show.as_json(done)
        return
    print(f"{found.name} has a new secret of the kind {kind}:")
    for proof in done.proofs:
        print(f"  {proof}")
