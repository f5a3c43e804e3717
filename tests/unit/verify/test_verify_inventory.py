"""What Ansible says of an inventory is kept for as long as its files are the same, and for nobody else to read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from clusterfacts import inventory

SAID = {"_meta": {"hostvars": {"cpu-0": {"munge_key": {"__ansible_unsafe": "a secret"}}}}}
READ = {"_meta": {"hostvars": {"cpu-0": {"munge_key": "a secret"}}}}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ansible-inventory that says `SAID`, and the file in which it notes its calls."""
    program = tmp_path / "ansible_inventory.py"
    program.write_text(f"print({json.dumps(SAID)!r}); open({str(tmp_path / 'asked')!r}, 'a').write('x')")
    monkeypatch.setattr(inventory, "_command", lambda: [sys.executable, str(program)])
    return tmp_path / "asked"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "inventory" / "group_vars").mkdir(parents=True)
    (tmp_path / "inventory" / "hosts.yml").write_text("all: {}")
    (tmp_path / "inventory" / "group_vars" / "all.yml").write_text("a: 1")
    return tmp_path


def read(lab: Path) -> dict[str, Any]:
    return inventory.read(lab / "inventory", lab / "cache.json")


def test_ansible_is_asked_once_for_an_inventory_that_stays(asked: Path, lab: Path) -> None:
    assert read(lab) == read(lab) == READ
    assert asked.read_text() == "x"
    assert (lab / "cache.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", ["inventory/group_vars/all.yml", "inventory/group_vars/new.yml"])
def test_it_is_asked_again_when_a_file_has_changed(asked: Path, lab: Path, change: str) -> None:
    read(lab)
    (lab / change).write_text("a: 2")
    assert read(lab) == READ
    assert asked.read_text() == "xx"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": 1}'])
def test_what_cannot_be_read_is_not_believed(asked: Path, lab: Path, content: str) -> None:
    (lab / "cache.json").write_text(content)
    (lab / "cache.json").chmod(0o644)
    assert read(lab) == READ
    assert asked.read_text() == "x"
    assert (lab / "cache.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_kept_unasked(asked: Path, lab: Path) -> None:
    for _ in range(2):
        assert inventory.read(lab / "inventory") == READ
    assert asked.read_text() == "xx"
    assert not (lab / "cache.json").exists()


def test_an_inventory_that_is_not_there_is_said(lab: Path) -> None:
    with pytest.raises(inventory.InventoryError, match="there is no inventory at"):
        inventory.read(lab / "nowhere", lab / "cache.json")
