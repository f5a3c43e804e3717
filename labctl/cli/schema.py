"""`labctl schema`: what an editor has to know of definitions."""

from __future__ import annotations

from labctl.cli import show

EXAMPLES = ("labctl schema > lab.schema.json",)


def run() -> None:
    """Print the JSON Schema of definitions; editors complete and check a lab's file with it."""
    from labctl.definition import documented  # noqa: PLC0415
    from labctl.definition.models import Definition  # noqa: PLC0415

    show.as_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **documented.schema(Definition)})
