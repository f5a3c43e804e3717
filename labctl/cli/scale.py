"""`labctl scale`: more nodes of a group, or fewer; a short way to write that into a lab's definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from labctl.cli import bring_up, completion
from labctl.cli.options import DryRun, Force, Json, LabName, Verify
from labctl.cli.state import recounted, state
from labctl.errors import UsageError

EXAMPLES = (
    "labctl scale cpu=4",
    "labctl scale slurmd=5 --dry-run",
    "labctl scale --name full cpu=1 gpu=2",
    "labctl scale compute=2 --force",
)


def run(
    *,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="GROUP=COUNT...",
            help="How many nodes a group shall have. A group is a partition, slurmd, or nodes that are called alike.",
            autocompletion=completion.counts,
            show_default=False,
        ),
    ],
    name: LabName = "",
    dry_run: DryRun = False,
    verify: Verify = True,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give a lab more nodes that compute, or fewer, and bring it up; nodes that stay go on with their jobs.

    The counts are kept in the lab's own definition. What is added is like the last node of the group; those with the
    highest numbers go first. No machine that stays is made anew: if one had to be, `up` must be asked for that.
    """
    lab = recounted(name, counted(words))
    bring_up.bring_up(
        lab,
        state.reporter(),
        dry_run=dry_run,
        verify=verify,
        fresh=False,
        force=force,
        as_json=as_json,
        anew=False,
    )


def counted(words: Sequence[str]) -> dict[str, int]:
    """How many nodes each group shall have.

    Raises:
        UsageError: a word does not say that, or two are of one group.
    """
    counts: dict[str, int] = {}
    for word in words:
        group, _, count = word.partition("=")
        if not group or not count.isdecimal():
            raise UsageError(
                f"{word!r} is not of the form GROUP=COUNT",
                hint="labctl scale cpu=4; a lab is named with --name",
            )
        if group in counts:
            raise UsageError(f"{group} is counted twice", why=f"{counts[group]} and {count}", hint="name one")
        counts[group] = int(count)
    return counts
