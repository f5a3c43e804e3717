"""Each role's README holds the table of its variables, made from its specification.

`ROLES_README_WRITE=1 pytest tests/unit/test_roles_readme.py` writes the tables anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from roles_files import NAMES, ROLES, specification

BEGIN = "<!-- variables: made from meta/argument_specs.yml -->"
END = "<!-- end of variables -->"


def prose(description: Any) -> str:
    """A description in Markdown: C() and O() become code."""
    text = " ".join(description if isinstance(description, list) else [description])
    return re.sub(r"[CO]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", text).replace("|", "\\|")


def kind(option: dict[str, Any]) -> str:
    """An option's type."""
    return f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])


def default(option: dict[str, Any]) -> str:
    """What an option is if nobody sets it."""
    return f"`{json.dumps(option['default'])}`".replace("|", "\\|") if "default" in option else "required"


def rows(options: dict[str, Any]) -> list[str]:
    """A row an option, and one for each key of the dictionaries in it."""
    lines = []
    for name, option in options.items():
        lines.append(f"| `{name}` | {kind(option)} | {default(option)} | {prose(option['description'])} |")
        for key, inner in option.get("options", {}).items():
            need = "required" if inner.get("required") else ""
            lines.append(f"| &nbsp;&nbsp;`{key}` | {kind(inner)} | {need} | {prose(inner['description'])} |")
    return lines


def table(role: Path) -> str:
    """The whole table with its marks."""
    head = ["| variable | type | default | |", "|---|---|---|---|"]
    return "\n".join([BEGIN, *head, *rows(specification(role)), END])


@pytest.mark.parametrize("role", ROLES, ids=NAMES)
def test_the_readme_has_the_variables_of_the_specification(role: Path) -> None:
    path = role / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {role.name}\n\n")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    wanted = before + table(role) + after
    if os.environ.get("ROLES_README_WRITE"):
        path.write_text(wanted, encoding="utf-8")
    else:
        assert text == wanted
