"""What the tests of the roles read: their files, and Ansible itself."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
NAMES = [path.name for path in ROLES]


def read(path: Path) -> Any:
    """A YAML file's content."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def specification(role: Path, entry: str = "main") -> dict[str, Any]:
    """The options of one entry point of a role."""
    options: dict[str, Any] = read(role / "meta/argument_specs.yml")["argument_specs"][entry]["options"]
    return options


def tasks(role: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task and handler of a role with its file's name; the roles have no blocks."""
    for path in sorted([*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]):
        for task in read(path):
            yield path.name, task


def words(value: Any) -> set[str]:
    """Every word in a task or a variable."""
    return set(re.findall(r"\w+", yaml.safe_dump(value)))


def module(path: Path) -> ModuleType:
    """A role's module or filter file, imported."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = loaded  # dataclasses look their module up
    specification.loader.exec_module(loaded)
    return loaded


def ansible(
    program: str, *arguments: str | Path, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs one of Ansible's programs on the project's roles, without any configuration of the user's."""
    environment = os.environ | {
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "ANSIBLE_CONFIG": str(ROOT / "no-such.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        **variables,
    }
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
