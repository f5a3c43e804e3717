"""Who mistypes a word is told which one was meant; commands, options and definitions have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from saved_labs import a_snapshot
from worlds import World

from labctl import words
from labctl.errors import UsageError
from labctl.lab import Lab
from labctl.snapshots import named
from labctl.steps.recipe import recipe


@pytest.mark.parametrize(
    ("word", "near"),
    [("statsu", "status"), ("STATUS", "status"), ("realmemry", "RealMemory"), ("xyz", ""), ("", "")],
)
def test_the_nearest_word_whatever_its_case(word: str, near: str) -> None:
    assert words.nearest(word, ["start", "status", "RealMemory"]) == near


def test_what_was_meant_or_else_what_there_is() -> None:
    assert words.hint("smal", ["small", "twin"], "labctl list") == "did you mean small?"
    assert words.hint("x", ["small", "twin"], "labctl list") == "labctl list"
    assert words.instead("bx", ["box", "name"]) == "; did you mean 'box'? (allowed: box, name)"
    assert words.instead("vmx", ["box"], called="too many") == " (allowed: too many)"


def test_a_lab_that_has_no_machine_yet_can_be_meant(world: World) -> None:
    folder = world.home / ".labctl" / "play"
    folder.mkdir(parents=True)
    (folder / "lab.yml").write_text("{}")
    with pytest.raises(UsageError) as refused:
        Lab.find("plya", base=world.home)
    assert refused.value.hint == "did you mean play?"


def test_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SNAPSHOTS", str(tmp_path))
    a_snapshot("a1", label="before-upgrade")
    with pytest.raises(UsageError) as refused:
        named("", "before-update")
    assert refused.value.hint == "did you mean before-upgrade?"


def test_a_box() -> None:
    with pytest.raises(UsageError) as refused:
        recipe("debain-12")
    assert refused.value.hint == "did you mean debian-12?"
