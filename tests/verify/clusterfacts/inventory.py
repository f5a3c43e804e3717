"""Read the inventory with Ansible's own reader, once a run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DEADLINE = 120  # seconds; dynamic inventories may ask a cloud


class InventoryError(Exception):
    """The inventory cannot be read."""


def read(path: Path) -> dict[str, Any]:
    """What ``ansible-inventory --list`` says of an inventory file or folder.

    Raises:
        InventoryError: with Ansible's own words.
    """
    if not path.exists():
        raise InventoryError(f"there is no inventory at {path}")
    answer = subprocess.run(
        [*_command(), "--list", "--inventory", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        env={
            **os.environ,
            "ANSIBLE_VERBOSITY": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
        },
    )
    if answer.returncode != 0:
        raise InventoryError(f"ansible-inventory cannot read {path}:\n{answer.stderr.strip()}")
    data: dict[str, Any] = json.loads(answer.stdout)
    if not data.get("_meta", {}).get("hostvars"):
        raise InventoryError(f"the inventory {path} has no hosts with variables\n{answer.stderr.strip()}")
    plain: dict[str, Any] = unmarked(data)
    return plain


def unmarked(value: Any) -> Any:
    """The same without Ansible's marks for ``!unsafe`` strings, which are there for templates only."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        return {key: unmarked(one) for key, one in value.items()}
    return [unmarked(one) for one in value] if isinstance(value, list) else value


def _command() -> list[str]:
    if importlib.util.find_spec("ansible") is not None:
        return [sys.executable, "-m", "ansible", "inventory"]
    return ["ansible-inventory"]
