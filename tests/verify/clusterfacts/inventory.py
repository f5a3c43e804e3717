"""Read the inventory with Ansible's own reader, once a run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

DEADLINE = 120  # seconds; dynamic inventories may ask a cloud


class InventoryError(Exception):
    """The inventory cannot be read."""


def read(path: Path, cache: Path | None = None) -> dict[str, Any]:
    """What ``ansible-inventory --list`` says of an inventory file or folder.

    Args:
        path: the inventory.
        cache: a file in which the answer is kept for as long as the inventory's files are the same. It has all that
            the inventory has, secrets too, and only its owner can read it.

    Raises:
        InventoryError: with Ansible's own words.
    """
    if not path.exists():
        raise InventoryError(f"there is no inventory at {path}")
    if cache is None:
        return _listed(path)
    key = _digest(path)
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(cache.read_text())
        if known["key"] == key:
            kept: dict[str, Any] = known["inventory"]
            return kept
    data = _listed(path)
    cache.unlink(missing_ok=True)
    with os.fdopen(os.open(cache, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({"key": key, "inventory": data}, stream)
    return data


def _digest(path: Path) -> str:
    digest = hashlib.sha256(str(path.absolute()).encode())
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _listed(path: Path) -> dict[str, Any]:
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
