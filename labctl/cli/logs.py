"""`labctl logs`: what several nodes have logged, as one log."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli import show, show_outcomes
from labctl.cli.completion import nodes as _nodes
from labctl.cli.options import LabName
from labctl.cli.state import reached

if TYPE_CHECKING:
    from labctl.known import KnownLab
    from labctl.reach.log_lines import Entry
    from labctl.reach.logs import Wanted

EXAMPLES = (
    "labctl logs --since -10min",
    "labctl logs @slurmd -u slurmd -n 20",
    "labctl logs -u slurmctld -u slurmd -f",
    "labctl logs --json cpu-0 | jq -r .MESSAGE",
)
# Of a node each; red is for what went wrong.
_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")
# Whatever a machine logs, it must not move the cursor of those who look. A tab may stay.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), 127, *range(128, 160)], "�")


def run(
    *,
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="[NODES]...",
            help="Whose: cpu-0, cpu-[0-1], @slurmd. Default: all.",
            autocompletion=_nodes,
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer's way to say: none given
    name: LabName = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as they grow, until Ctrl-C.")] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Not older than this, such as -1h, today or '2026-01-31 12:00'."
        ),
    ] = "",
    units: Annotated[
        list[str],
        typer.Option("-u", "--unit", metavar="UNIT", help="Of this unit, such as slurmctld; again for more."),
    ] = [],  # noqa: B006 - typer's way to say: none given
    lines: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--lines",
            metavar="COUNT",
            min=0,
            help="Only the last so many of each node; with -f, of each of its logs. Default: all; with -f, 10.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each entry as journald has it, with its node, on a line.")
    ] = False,
) -> None:
    """Print the logs of nodes as one, in order of time, each line with its node.

    They are the journals of systemd and the log files of Slurm and MUNGE.
    """
    from labctl.reach.logs import Wanted  # noqa: PLC0415 - ClusterShell comes with it

    lab = reached(name)
    nodes = lab.nodes(" ".join(patterns) or "all")
    printer = _Json() if as_json else _Lines(nodes)
    wanted = Wanted(units, since, lines, whole=as_json)
    raise typer.Exit((_follow if follow else _read)(lab, nodes, wanted, printer))


def _read(lab: KnownLab, nodes: Sequence[str], wanted: Wanted, printer: _Json | _Lines) -> int:
    from labctl.reach.logs import read  # noqa: PLC0415
    from labctl.reach.parallel import worst  # noqa: PLC0415

    logs = read(lab, nodes, wanted)
    for entry in logs.entries:
        printer.entry(entry)
    sys.stdout.flush()
    show_outcomes.said(logs.failed)
    return worst(logs.failed)


def _follow(lab: KnownLab, nodes: Sequence[str], wanted: Wanted, printer: _Json | _Lines) -> int:
    from labctl.reach.logs import follow  # noqa: PLC0415

    code = 0
    try:
        with closing(follow(lab, nodes, wanted)) as heard:
            for item in heard:
                if isinstance(item, tuple):
                    node, outcome = item
                    show_outcomes.said({node: outcome})
                    code = max(code, outcome.exit_code)
                else:
                    printer.entry(item)
                    sys.stdout.flush()
    except KeyboardInterrupt:  # as it is meant to end
        return code
    return code


class _Json:
    """An object a line."""

    def entry(self, entry: Entry) -> None:
        print(json.dumps(entry.fields))


class _Lines:
    """Lines for people, each with its node in front, in a colour of its own on a terminal."""

    def __init__(self, nodes: Sequence[str]) -> None:
        width = max((len(node) for node in nodes), default=0)
        colours = itertools.cycle(_COLOURS)
        self._names = {
            node: show.coloured(node.ljust(width), colour)
            for node, colour in zip(nodes, colours, strict=False)
        }

    def entry(self, entry: Entry) -> None:
        moment = datetime.fromtimestamp(entry.time // 1_000_000, UTC).astimezone()
        said = f"{moment:%b %d %H:%M:%S}.{entry.time // 1000 % 1000:03d} {entry.speaker}: "
        for number, line in enumerate(entry.text.split("\n")):
            indent = said if number == 0 else " " * len(said)
            print(f"{self._names[entry.node]}  {indent}{line.translate(_CONTROLS)}")
