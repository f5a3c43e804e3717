"""`labctl exec`: one command on many nodes at once, with equal output folded."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from labctl.cli import show, show_outcomes
from labctl.cli.options import Json, LabName, NodeWords, User
from labctl.cli.state import reached
from labctl.errors import UsageError

EXAMPLES = (
    "labctl exec all -- uptime",
    "labctl exec @slurmd -- systemctl is-active slurmd",
    "labctl exec -u nucci login-0 -- id",
    "tar c src | labctl exec all -- tar x -C /tmp",
)
SETTINGS = {"allow_interspersed_args": False}


def run(
    words: NodeWords,
    name: LabName = "",
    user: User = "",
    no_stdin: Annotated[bool, typer.Option("-n", "--no-stdin", help="Do not read standard input.")] = False,
    as_json: Json = False,
) -> None:
    """Run a command on nodes in parallel: cpu-[0-1], @slurmd, all. The exit code is the worst of theirs.

    Ctrl-C ends it on all of them.
    """
    from labctl.reach.commands import run_on  # noqa: PLC0415 - ClusterShell comes with it
    from labctl.reach.parallel import worst  # noqa: PLC0415

    pattern, *command = words
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise UsageError("no command is given", hint=f"labctl exec {pattern} -- COMMAND")
    lab = reached(name)
    given = None if no_stdin or sys.stdin is None or sys.stdin.isatty() else sys.stdin.fileno()
    outcomes = run_on(lab, lab.nodes(pattern), command, user=user or None, given=given)
    if as_json:
        show.as_json(outcomes)
    else:
        show_outcomes.said(outcomes)
    raise typer.Exit(worst(outcomes))
