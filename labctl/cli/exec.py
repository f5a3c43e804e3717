"""`labctl exec`: one command on many nodes at once, with equal output folded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import show
from labctl.cli.options import Json, LabName, NodeWords
from labctl.cli.state import existing
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.cli.parallel import Outcome

EXAMPLES = (
    "labctl exec all -- uptime",
    "labctl exec @slurmd -- systemctl is-active slurmd",
    "labctl exec -u nucci 'cpu-[0-1]' -- id",
    "tar c src | labctl exec all -- tar x -C /tmp",
)
SETTINGS = {"allow_interspersed_args": False}


def run(
    words: NodeWords,
    name: LabName = "",
    user: Annotated[
        str, typer.Option("-u", "-l", "--user", metavar="USER", help="Run it as this user.")
    ] = "",
    no_stdin: Annotated[bool, typer.Option("-n", "--no-stdin", help="Do not read standard input.")] = False,
    as_json: Json = False,
) -> None:
    """Run a command on nodes in parallel: cpu-[0-1], @slurmd, all. The exit code is the worst of theirs."""
    from labctl.cli.parallel import run_all  # noqa: PLC0415 - ClusterShell comes with it

    pattern, *command = words
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        raise UsageError("no command is given", hint=f"labctl exec {pattern} -- COMMAND")
    lab = existing(name)
    commands = {
        node: lab.ssh_command(node, command, user=user or None, tty=False) for node in lab.nodes(pattern)
    }
    given = b"" if no_stdin or sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    outcomes = run_all(commands, given)
    if as_json:
        show.as_json(outcomes)
    else:
        _print(outcomes)
    raise typer.Exit(max((outcome.exit_code for outcome in outcomes.values()), default=0))


def _print(outcomes: dict[str, Outcome]) -> None:
    from labctl.cli.parallel import folded  # noqa: PLC0415

    line = "-" * 15
    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        for nodes, text in folded({node: getattr(outcome, name) for node, outcome in outcomes.items()}):
            count = f" ({len(nodes)})" if len(nodes) > 1 else ""
            stream.write(f"{line}\n{nodes}{count}\n{line}\n{text}\n")
        stream.flush()
    codes = {node: str(outcome.exit_code) for node, outcome in outcomes.items() if outcome.exit_code}
    for nodes, code in folded(codes):
        print(f"{nodes}: exited with {code}", file=sys.stderr)
