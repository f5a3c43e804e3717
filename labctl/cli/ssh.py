"""`labctl ssh`: become ssh, so that flags, input, terminal and exit code are ssh's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from labctl.cli import completion
from labctl.cli.options import LabName
from labctl.cli.state import reached
from labctl.errors import UsageError

EXAMPLES = (
    "labctl ssh slurmctld-0",
    "labctl ssh slurmctld-0 -- sinfo -N -l",
    "labctl ssh -l nucci login-0 -- id",
    "labctl ssh --name full -L 8080:localhost:80 slurmctld-0",
)
SETTINGS = {"allow_interspersed_args": False, "ignore_unknown_options": True}
# ssh(1): the options that take a value.
WITH_VALUE = frozenset("BbcDEeFIiJLlmOoPpQRSWw")


def run(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[SSH OPTIONS] NODE [-- COMMAND...]",
            autocompletion=completion.first_word,
            show_default=False,
        ),
    ],
    name: LabName = "",
) -> None:
    """Log in to a node, or run a command on it. Options of ssh may stand before the node."""
    lab = reached(name)
    flags, pattern, command = split(words)
    nodes = lab.nodes(pattern)
    if len(nodes) != 1:
        raise UsageError(
            f"{pattern} are {len(nodes)} nodes, and ssh goes to one", hint=f"labctl exec {pattern} -- COMMAND"
        )
    for error in lab.unreachable(nodes).values():
        raise error
    argv = lab.ssh_command(nodes[0], command)
    argv[1:1] = flags
    os.execvp(argv[0], argv)  # noqa: S606 - there is no shell to be had here


def split(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Options of ssh, the node, and the command.

    Raises:
        UsageError: no node is named.
    """
    flags: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in {"-", "--"}:
        flag = rest.pop(0)
        flags.append(flag)
        letter = next((i for i, char in enumerate(flag[1:], 1) if char in WITH_VALUE), None)
        if letter == len(flag) - 1 and rest:
            flags.append(rest.pop(0))
    if rest[:1] == ["--"]:
        rest.pop(0)
    if not rest:
        raise UsageError("no node is named", hint="labctl ssh NODE; `labctl status` lists the nodes")
    node, *command = rest
    return flags, node, command[1:] if command[:1] == ["--"] else command
