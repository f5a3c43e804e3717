"""Playbooks of the user's own: where they are, and all that they are made of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labctl.definition.problems import Problem

#: Folders beside a playbook from which Ansible takes what the playbook names.
BESIDE = (
    *("action_plugins", "files", "filter_plugins", "group_vars", "handlers", "host_vars", "library"),
    *("lookup_plugins", "module_utils", "roles", "tasks", "templates", "test_plugins", "vars"),
)


def locate(plain: dict[str, Any], folder: Path) -> list[Problem]:
    """Make the paths in a definition's plain data absolute, in place; a problem for each that leads to no file."""
    given = plain.get("playbooks")
    if not isinstance(given, list):  # that is wrong in itself
        return []
    lost = []
    for index, path in enumerate(given):
        if isinstance(path, str):
            given[index] = os.path.normpath(folder.absolute() / Path(path).expanduser())
            if not Path(given[index]).is_file():
                lost.append(Problem(("playbooks", index), f"there is no playbook {given[index]}"))
    return lost


def content(playbooks: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Every file that these playbooks are made of, by a name that does not say where they are.

    These are the playbooks themselves, and all in the folders `BESIDE` them.
    """
    for number, playbook in enumerate(map(Path, playbooks)):
        if playbook.is_file():
            yield f"{number}/{playbook.name}", playbook
        for folder in BESIDE:
            for path in sorted((playbook.parent / folder).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    yield f"{number}/{path.relative_to(playbook.parent)}", path
