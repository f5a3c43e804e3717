"""The order of a run: each figure finds the lab as it needs it, and whatever happens the labs are removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import bare, disk, run
from bench.figures import DISK, Measured, chosen
from bench.programs import BenchError

EVERYTHING = chosen([], skip_naive=True)


class Commands:
    """What a run asks of labctl, and of libvirt between: `bare`, `restore`, `disk of LAB`."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.failing = ""
        self._folder = folder

    def __call__(self, *words: str) -> None:
        self.said.append(" ".join(words))
        if words[0] == self.failing:
            raise BenchError(f"labctl {self.failing} ended with 1")

    def folder(self, lab: str) -> Path:
        return self._folder / lab

    def steps(self, _lab: str) -> list[object]:
        return []

    def forget_steps(self, _lab: str) -> None:
        """There are none."""

    def refuse_taken_names(self) -> None:
        """They are free."""

    def remove_all(self) -> list[str]:
        self.said.append("removed")
        return []


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """labctl and libvirt, of which nothing is real; the machines boot in 40 seconds, and the next time in 38."""
    told, boots = Commands(tmp_path), iter([40.0, 38.0])

    def note(what: str, value: object) -> object:
        told.said.append(what)
        return value

    monkeypatch.setattr(run, "Labctl", lambda *_: told)
    monkeypatch.setattr(run, "Hypervisor", lambda: None)
    monkeypatch.setattr(bare, "boot_bare", lambda *_: note("bare", next(boots)))
    monkeypatch.setattr(bare, "restore_bare", lambda *_: note("restore", 1.0))
    monkeypatch.setattr(disk, "used", lambda _, lab: note(f"disk of {lab}", {}))
    return told


def measured(wanted: frozenset[str], log: Path) -> Measured:
    results: list[Measured] = []
    run.measure(wanted, "full", log, lambda _: None, done=results.append)
    return results[-1]


def test_each_figure_finds_the_lab_as_it_needs_it(commands: Commands, tmp_path: Path) -> None:
    found = measured(EVERYTHING, tmp_path / "log")
    assert commands.said == [
        "up full --name bench --fresh",  # makes the machines to copy as well
        "stop bench --force",
        "bare",  # bare machines are no lab any more
        "destroy bench",
        "up full --name bench --fresh",
        "up full --name bench",
        "converge bench",
        "reset bench",
        "destroy bench",
        "up full --name bench",
        "disk of bench",
        "stop bench --force",  # a host need not have the memory for both
        "up full --name bench-second --no-verify",
        "disk of bench-second",
        "destroy bench-second",
        "stop bench --force",
        "bare",
        "restore",
        "removed",
    ]
    assert found.bare_boots == [40.0, 38.0]
    assert found.seconds["F"] == 39.0


def test_what_nobody_asks_for_is_not_measured(commands: Commands, tmp_path: Path) -> None:
    found = measured(chosen(["reset"], skip_naive=True), tmp_path / "log")
    assert "reset bench" in commands.said
    assert "converge bench" not in commands.said
    assert "disk of bench" not in commands.said
    assert {"F", "first", "cold", "reset"} <= set(found.seconds)
    assert not {"warm", "noop_up", "noop_converge", DISK} & set(found.seconds)


def test_labs_are_removed_whatever_fails(commands: Commands, tmp_path: Path) -> None:
    commands.failing = "converge"
    with pytest.raises(BenchError, match="converge"):
        measured(EVERYTHING, tmp_path / "log")
    assert commands.said[-2:] == ["converge bench", "removed"]
