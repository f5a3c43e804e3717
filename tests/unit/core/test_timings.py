"""Where the time went is written down, also when it was in vain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.timings import Timings


def run(path: Path, *, failing: str = "", error: BaseException | None = None) -> Timings:
    timings = Timings()
    with timings.kept(path):
        for name in ("boot", "converge", "verify"):
            with timings.step(name):
                if name == failing:
                    raise error or RuntimeError(name)
                timings.tasks = {"munge : Run it": 1.234}
    return timings


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_steps_are_in_order_with_their_seconds(tmp_path: Path) -> None:
    timings = run(tmp_path / "timings.json")
    assert [name for name, _ in timings.steps] == ["boot", "converge", "verify"]
    written = read(tmp_path / "timings.json")
    assert [(step["step"], step["seconds"] >= 0) for step in written["steps"]] == [
        ("boot", True),
        ("converge", True),
        ("verify", True),
    ]
    assert not any("failed" in step for step in written["steps"])
    assert written["tasks"] == {"munge : Run it": 1.23}


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=["fails", "is interrupted"])
def test_a_step_that_failed_is_the_last_and_marked(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        run(tmp_path / "timings.json", failing="converge", error=error)
    steps = read(tmp_path / "timings.json")["steps"]
    assert [(step["step"], step.get("failed", False)) for step in steps] == [
        ("boot", False),
        ("converge", True),
    ]


def test_what_failed_is_said_even_if_its_time_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boot"):
        run(tmp_path / "no folder yet" / "timings.json", failing="boot")
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "no folder yet" / "timings.json")
