"""The little Markdown that the pages need."""

from __future__ import annotations

import re
from collections.abc import Iterable

MADE = "<!-- Made by `make docs` from the code: change it there. -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    names = list(head)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def prose(text: str) -> str:
    """A description on one line, safe in a table."""
    return re.sub(r"\s+", " ", text.replace("\b", "")).strip().replace("|", "\\|").replace("<", "&lt;")
