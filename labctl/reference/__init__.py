"""The pages of docs/ that are made from the code: ``python -m labctl.reference`` writes them anew.

A unit test holds what is committed to what would be written.
"""

from __future__ import annotations

from pathlib import Path

from labctl.definition.loading import load
from labctl.reference.command_line import cli
from labctl.reference.definition import definition
from labctl.reference.role_index import roles
from labctl.render.graph.svg import svg
from labctl.render.graph.topology import topology

DOCS = Path(__file__).resolve().parents[2] / "docs"


def pages() -> dict[str, str]:
    """The text of each page that is made, by its name in docs/."""
    return {
        "definition.md": definition(),
        "cli.md": cli(),
        "roles.md": roles(),
        "graph.svg": svg(topology(load("full"))),
    }


def write(folder: Path = DOCS) -> None:
    """Write them."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
