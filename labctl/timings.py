"""Where the time of `up` went."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.render.report.page import Step


@dataclass(frozen=True)
class Taken:
    """The time that an `up` took: that of its steps, in order, and seconds by Ansible task."""

    steps: tuple[Step, ...] = ()
    tasks: Mapping[str, float] = field(default_factory=dict)


def read(path: Path) -> Taken:
    """What is written there of the last `up`; nothing if there was none or if the file is damaged."""
    try:
        kept = json.loads(path.read_text())
        steps = [Step(one["step"], float(one["seconds"]), bool(one.get("failed"))) for one in kept["steps"]]
        return Taken(tuple(steps), {task: float(seconds) for task, seconds in kept["tasks"].items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Taken()


class Timings:
    """The time that each step took.

    Attributes:
        steps: names and seconds, in order; that of a step that failed as well.
        tasks: seconds by Ansible task.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []
        self.tasks: Mapping[str, float] = {}
        self._failed: set[int] = set()

    @property
    def taken(self) -> Taken:
        """What they are so far."""
        steps = (Step(name, seconds, at in self._failed) for at, (name, seconds) in enumerate(self.steps))
        return Taken(tuple(steps), self.tasks)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of a step."""
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self._failed.add(len(self.steps))
            raise
        finally:
            self.steps.append((name, time.monotonic() - started))

    @contextmanager
    def kept(self, path: Path) -> Iterator[None]:
        """Write them to a file when all is over, however it ends."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # no folder yet or no space left: what failed matters more than its time
                self._write(path)
            raise
        self._write(path)

    def _write(self, path: Path) -> None:
        timings = {
            "steps": [_line(step) for step in self.taken.steps],
            "tasks": {task: round(seconds, 2) for task, seconds in self.tasks.items()},
        }
        path.write_text(json.dumps(timings, indent=2) + "\n")


def _line(step: Step) -> dict[str, Any]:
    failed = {"failed": True} if step.failed else {}
    return {"step": step.name, "seconds": round(step.seconds, 2), **failed}
