"""`labctl status`: one lab as it is now, or as it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from labctl.cli import show, show_lab
from labctl.cli.options import Json, LabArgument, LabName
from labctl.cli.state import reached

if TYPE_CHECKING:
    from labctl.known import KnownLab
    from labctl.status import LabStatus

EXAMPLES = (
    "labctl status",
    "labctl status full --json",
    "labctl status --watch",
    "labctl status --json --watch --interval 10 | jq --unbuffered .problems",
)


def run(
    lab: LabArgument = "",
    name: LabName = "",
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Look again and again, until Ctrl-C; with --json a line each time."),
    ] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval", metavar="SECONDS", min=0.1, help="With --watch: how long to wait in between."
        ),
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Show a lab: nodes, Slurm states, partitions, services, how to get in; what is wrong, and what to do about it.

    A node that does not answer is given up after 20 seconds.
    """
    found = reached(name or lab)
    if not watch:
        now = found.status(services=True)
        show.as_json(now) if as_json else show_lab.all_of(now)
        return
    looks = _looks(found, interval)
    try:
        if as_json:
            for now in looks:
                show.as_json_line(now)
        elif show.screen().is_terminal:
            _live(looks)
        else:
            _blocks(looks)
    except KeyboardInterrupt:  # as it is meant to end
        return


def _looks(lab: KnownLab, interval: float) -> Iterator[LabStatus]:
    while True:
        yield lab.status(services=True)
        time.sleep(interval)
        lab = reached(lab.name)  # somebody else may have defined it anew, or destroyed it


def _live(looks: Iterator[LabStatus]) -> None:
    """One picture that changes; the last one stays."""
    from rich.console import Group  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415 - slow to import

    with Live(console=show.screen(), auto_refresh=False, vertical_overflow="visible") as live:
        for now in looks:
            lines = _dated(now)
            for line in lines:  # a line that does not fit would push the others down
                line.no_wrap, line.overflow = True, "ellipsis"
            live.update(Group(*lines), refresh=True)


def _blocks(looks: Iterator[LabStatus]) -> None:
    """One picture below the other."""
    out = show.screen()
    for number, now in enumerate(looks):
        if number:
            out.print()
        for line in _dated(now):
            out.print(line)
        out.file.flush()


def _dated(now: LabStatus) -> list[Text]:
    return [Text(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}", style="dim"), *show_lab.whole(now)]
