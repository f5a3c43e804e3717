"""`labctl presets`: what ships."""

from __future__ import annotations

from labctl.cli import show
from labctl.cli.options import Json

EXAMPLES = ("labctl presets", "labctl presets --json")


def run(as_json: Json = False) -> None:
    """List the definitions that ship with labctl, and what they cost."""
    from labctl.definition import loading  # noqa: PLC0415

    found = loading.presets()
    if as_json:
        show.as_json(found)
        return
    show.table(
        ("preset", "nodes", "cpus", "memory", "what it is"),
        [(one.name, one.nodes, one.cpus, f"{one.memory} MiB", one.description) for one in found],
    )
