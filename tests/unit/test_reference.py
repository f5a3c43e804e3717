"""The pages of docs/ that are made from the code say what the code says now, and no page leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.reference import DOCS, pages

ROOT = DOCS.parent
TEXTS = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("name", ["definition.md", "cli.md", "roles.md", "graph.svg"])
def test_what_is_committed_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs` and commit docs/"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8")
    ):
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{path.name}: there is no {target}"
        if anchor:
            assert anchor in anchors(file), f"{path.name}: {target} has no heading #{anchor}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_command_in_the_text_is_one(path: Path) -> None:
    commands = pages()["cli.md"]
    shown = re.findall(r"(?:^|`)labctl ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    for command in shown:
        assert f"\n## {command}\n" in commands, f"{path.name} shows labctl {command}, which there is not"


def anchors(file: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
