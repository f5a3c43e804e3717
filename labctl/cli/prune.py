"""`labctl prune`: room on the disk, without anything that is needed."""

from __future__ import annotations

from typing import Annotated

import typer

from labctl.cli import show
from labctl.cli.options import Json

EXAMPLES = ("labctl prune", "labctl prune --days 0", "labctl prune --dry-run")


def run(
    days: Annotated[
        float, typer.Option("--days", metavar="DAYS", min=0, help="Keep what was used within so many days.")
    ] = 14.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove snapshots and boxes that no lab needs and that were not used of late. Snapshots with a name stay."""
    from labctl import keeping  # noqa: PLC0415

    gone = keeping.prune(days, dry_run=dry_run)
    if as_json:
        show.as_json(gone)
        return
    for item in gone:
        print(f"{'would remove' if dry_run else 'removed'} {item.what}: {show.size(item.bytes)}")
    print(f"{show.size(sum(item.bytes for item in gone))} in all" if gone else "nothing to remove")
